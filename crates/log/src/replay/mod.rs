//! Recorded events as values, for tests that replay them.

#[cfg(feature = "replay")]
mod answers;
mod event;
#[cfg(feature = "replay")]
mod fixture;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::error::Error;
use crate::folder::Folder;
use crate::trace::{Found, Trace};
#[cfg(feature = "replay")]
pub use answers::{Answers, Asked, NoAnswer};
pub use event::{RecordedError, RecordedEvent};
#[cfg(feature = "replay")]
pub use fixture::{
    FixtureCall, FixtureFailure, FixtureGap, FixtureRoot, ReplayFixture, StepKind, comparable_url,
    hash_input,
};

/// Reads the events of an action that failed or timed out, in the order of the log.
///
/// `path` is a folder of a log, or a file of any name; with the feature `zstd` it may end in `.zst`. The
/// action is its name, or `None` for all. Lines that are no events are skipped.
///
/// # Errors
///
/// The folder or a file cannot be read.
///
/// # Examples
///
/// ```no_run
/// use llm_audit_log::replay::errors_from_jsonl;
///
/// for event in errors_from_jsonl("logs", "plan_search")? {
///     let error = event.error.unwrap_or_default();
///     println!("{}: {:?}", error.message, error.input_snapshot);
/// }
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
pub fn errors_from_jsonl<'a>(
    path: impl AsRef<Path>,
    action: impl Into<Option<&'a str>>,
) -> Result<Vec<RecordedEvent>, Error> {
    let mut errors = Vec::new();
    for_each_event(path.as_ref(), action.into(), |event| {
        if event.is_failure() {
            errors.push(event);
        }
    })?;
    Ok(errors)
}

/// Reads the last event of an action that ended with status `ok`.
///
/// If one of these events has a `data.result`, it is the last of those. The beginnings of steps,
/// `tool.call` and `request.start`, are not meant. `path` and the action are as for
/// [`errors_from_jsonl`].
///
/// # Errors
///
/// The folder or a file cannot be read.
///
/// # Examples
///
/// ```no_run
/// use llm_audit_log::replay::successful_result;
///
/// let plans = successful_result("logs", "plan_search")?;
/// println!("{:?}", plans.as_ref().and_then(|event| event.member("result")));
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
pub fn successful_result<'a>(
    path: impl AsRef<Path>,
    action: impl Into<Option<&'a str>>,
) -> Result<Option<RecordedEvent>, Error> {
    let mut last: Option<RecordedEvent> = None;
    for_each_event(path.as_ref(), action.into(), |event| {
        let has_result = |event: &RecordedEvent| event.member("result").is_some();
        let is_better = !last.as_ref().is_some_and(has_result) || has_result(&event);
        if event.status == Some(crate::Status::Ok) && !event.is_start() && is_better {
            last = Some(event);
        }
    })?;
    Ok(last)
}

/// Reads the events of one trace, span by span in the order of their first events.
///
/// `trace_id` is the id or its beginning, as [`Trace::find`] takes it. If the log has no such trace,
/// there are no events. `path` is as for [`errors_from_jsonl`].
///
/// # Errors
///
/// The folder or a file cannot be read, `trace_id` is not the beginning of an id, or several traces
/// begin so.
///
/// # Examples
///
/// ```no_run
/// let events = llm_audit_log::replay::full_trace("logs", "4bf92f3577b34da6")?;
/// assert!(events.iter().all(|event| !event.agent.is_empty()));
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
pub fn full_trace(path: impl AsRef<Path>, trace_id: &str) -> Result<Vec<RecordedEvent>, Error> {
    let trace = match Trace::find(&open(path.as_ref())?, trace_id, |_| {})? {
        Found::One(trace) => trace,
        Found::Nothing => return Ok(Vec::new()),
        Found::Several(ids) => {
            let ids = ids.join(", ");
            return Err(Error::parse("trace id", format!("several traces begin so: {ids}")));
        }
    };
    Ok(trace.events().filter_map(|event| event_of_text(&event.line)).collect())
}

/// Reads the event in a line that was parsed before.
fn event_of_text(line: &str) -> Option<RecordedEvent> {
    let mut bytes = line.as_bytes().to_vec();
    Some(RecordedEvent::from_line(&crate::parse(&mut bytes).ok()?))
}

fn open(path: &Path) -> Result<Folder, Error> {
    if path.is_dir() { Folder::open(path) } else { Folder::of_files([path]) }
}

fn for_each_event(
    path: &Path,
    action: Option<&str>,
    mut each: impl FnMut(RecordedEvent),
) -> Result<(), Error> {
    let folder = open(path)?;
    let mut lines = folder.lines();
    while let Some(mut entry) = lines.next_line()? {
        let Ok(line) = entry.parse() else { continue };
        let is_wanted = action.is_none_or(|action| line.action() == Some(action));
        if is_wanted && !line.is_own() && line.event_type().is_some() {
            each(RecordedEvent::from_line(&line));
        }
    }
    Ok(())
}
