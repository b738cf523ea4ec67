//! The newest traces of a log, for somebody who names none.

use std::collections::VecDeque;

use llm_audit::reader::{Folder, Line, LogFile, Scan};

use crate::arguments::LogInput;
use crate::ui::{escape_for_terminal, fit_to_width, format_time, terminal_columns};

/// How many traces are listed.
const LISTED: usize = 8;

/// A trace by its newest event.
struct RecentTrace {
    id: String,
    time: Option<i64>,
    has_failed: bool,
    who: String,
}

/// Says what a trace is chosen by, and which are the newest.
pub(super) fn ask_for_id(folder: Option<&Folder>, input: &LogInput) -> String {
    let mut text =
        "which trace? Give the first digits of its ID, or --last, --failed or --slowest".to_owned();
    // A pipe has an end that may be far away.
    let folder = folder.filter(|folder| !folder.files().iter().any(LogFile::is_stream));
    let Some(folder) = folder else { return text };
    let mut recent = VecDeque::new();
    Scan::of(folder).service(input.service.as_deref()).for_each(|line, _| note(line, &mut recent));
    if !recent.is_empty() {
        text += ". The newest are";
    }
    for trace in recent.iter().rev() {
        let time = trace.time.map_or("-".to_owned(), format_time);
        let sign = if trace.has_failed { "failed  " } else { "" };
        let line = format!("  {}  {time}  {sign}{}", trace.id, trace.who);
        let line = escape_for_terminal(&line);
        text += "\n";
        text +=
            &terminal_columns().map_or(line.to_string(), |columns| fit_to_width(&line, columns));
    }
    text
}

/// Moves the trace of an event to the end.
fn note(line: &Line<'_>, recent: &mut VecDeque<RecentTrace>) {
    let Some(id) = line.trace_id() else { return };
    let id = id.get(..12).unwrap_or(id);
    let at = recent.iter().position(|trace| trace.id == id);
    let before = at.and_then(|at| recent.remove(at));
    if recent.len() == LISTED {
        recent.pop_front();
    }
    let has_failed = line.status().is_some_and(llm_audit::Status::is_failure);
    let name = |text: Option<&str>| text.unwrap_or("-").to_owned();
    recent.push_back(RecentTrace {
        id: id.to_owned(),
        time: line.timestamp(),
        has_failed: has_failed || before.is_some_and(|trace| trace.has_failed),
        who: format!("{}  {}", name(line.agent()), name(line.action())),
    });
}
