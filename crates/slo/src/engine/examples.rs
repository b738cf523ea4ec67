//! Traces that show what an alert is about.

use std::path::Path;

use llm_audit_log::{Filter, Folder, Scan, shell_word};

use crate::objectives::{Indicator, Objective, member};
use crate::rules::RuleOutcome;

/// How many traces an alert names.
const TRACES_MAX: usize = 3;
/// The digits of a trace's id in a command.
const ID_DIGITS: usize = 12;

/// Finds the last traces with an event that the alert is about. There are none if the log cannot be read.
pub(super) fn find_examples(
    dir: &Path,
    service: &str,
    objective: &Objective,
    outcome: &RuleOutcome,
    (from, to): (i64, i64),
) -> Vec<String> {
    let has_examples = !matches!(objective.indicator, Indicator::Lost | Indicator::Silence);
    let (true, Ok(folder)) = (has_examples, Folder::open(dir)) else { return Vec::new() };
    let mut filter = Filter::default();
    (filter.since, filter.until) = (Some(from), Some(to));
    let service = Some(service).filter(|service| !service.is_empty());
    let mut traces = Vec::new();
    Scan::of(&folder).filter(filter).service(service).for_each(|line, _| {
        let is_of_subject =
            outcome.subject.as_ref().is_none_or(|(name, value)| member(line, name) == Some(value));
        if is_of_subject
            && let Some(id) = line.trace_id()
            && objective.indicator.is_example(line)
            && traces.last().is_none_or(|last| last != id)
        {
            traces.retain(|known| known != id);
            traces.push(id.to_owned());
            if traces.len() > TRACES_MAX {
                traces.remove(0);
            }
        }
    });
    traces.reverse();
    traces
}

/// Returns the command that makes a test of the first trace; empty without one.
pub(super) fn command(traces: &[String], dir: &Path) -> String {
    traces.first().map_or(String::new(), |id| {
        let id = id.get(..ID_DIGITS).unwrap_or(id);
        format!("llm-audit fixture {id} --dir {} --test", shell_word(dir))
    })
}
