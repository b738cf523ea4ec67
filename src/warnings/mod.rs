//! Warnings on stderr. Nothing else in the library prints, except exporters.

#[cfg(feature = "tracing")]
pub(crate) mod disabled_spans;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::{self, UnknownVariable};

/// Warns about variables that begin with `AUDIT_` and are not known. Only the first call of a process looks.
pub(crate) fn warn_of_unknown_variables() {
    static LOOKED: AtomicBool = AtomicBool::new(false);
    // Relaxed: the flag guards no other memory. A forked child inherits it and stays silent.
    if !LOOKED.swap(true, Ordering::Relaxed) {
        let names = std::env::vars_os().map(|(name, _)| name);
        print_to_stderr(&unknown_variables_warning(&config::find_unknown_variables(names)));
    }
}

/// Warns about a `TRACEPARENT` that is not valid, once in this process.
pub(crate) fn warn_of_ignored_traceparent(why: &str) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        print_to_stderr(&format!(
            "llm-audit: TRACEPARENT is ignored: {why} (AUDIT_NOTICES=none silences this)\n"
        ));
    }
}

/// Warns about the first events that the queue lost in this process.
pub(crate) fn warn_of_lost_events(events: u64) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        print_to_stderr(&format!(
            "llm-audit: {events} events were lost because the queue was full, and further losses are \
             only counted; raise AUDIT_QUEUE_CAPACITY and AUDIT_QUEUE_BYTES, or sample more \
             (AUDIT_NOTICES=none silences this)\n"
        ));
    }
}

/// Warns about the first write to the log that failed in this process.
pub(crate) fn warn_of_failed_write(path: &Path, error: &io::Error) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        print_to_stderr(&format!(
            "llm-audit: cannot write {}: {error}; events are lost, which is counted, until it can be \
             written again (AUDIT_NOTICES=none silences this)\n",
            path.display()
        ));
    }
}

/// Warns about the first file in this process that retention by days would remove if a destination had it.
pub(crate) fn warn_of_waiting_retention(file: &Path, destination: &str, why: &str) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        print_to_stderr(&format!(
            "llm-audit: AUDIT_RETENTION_DAYS keeps {} and later files, because {why}. If nothing should go to \
             {destination} any more, or its address was mistyped, `llm-audit ship forget {destination}` ends the wait \
             (AUDIT_NOTICES=none silences this)\n",
            file.display()
        ));
    }
}

/// Warns about the first file that retention removed in this process before a destination had all of it.
pub(crate) fn warn_of_unshipped_events(file: &str, destination: &str, events: Option<u64>) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        let events = events.map_or("unknown".to_owned(), |events| events.to_string());
        print_to_stderr(&format!(
            "llm-audit: retention removed {file} before {destination} had all of it (events not sent: {events}); \
             further ones are only counted, in audit.retired lines (AUDIT_NOTICES=none silences this)\n"
        ));
    }
}

/// Warns about the first export of metrics that failed in this process.
#[cfg(feature = "otlp")]
pub(crate) fn warn_of_failed_export(error: &llm_audit_ship::otlp::Error) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        print_to_stderr(&format!(
            "llm-audit: cannot send metrics: {error}; they are sent again with the next export, and \
             further failures are only counted (AUDIT_NOTICES=none silences this)\n"
        ));
    }
}

/// Warns about a thread beside the writer, or about a place that it sends to. The caller tells each trouble once.
#[cfg(any(feature = "alerts", feature = "cloudwatch-logs", feature = "otlp"))]
pub(crate) fn warn_of_trouble(trouble: &str) {
    print_to_stderr(&format!("llm-audit: {trouble} (AUDIT_NOTICES=none silences this)\n"));
}

/// Returns a line for each variable.
fn unknown_variables_warning(unknown: &[UnknownVariable]) -> String {
    let mut text = String::new();
    for variable in unknown {
        let _ = writeln!(text, "llm-audit: {variable}"); // a string takes everything
    }
    text
}

/// Writes to stderr in one write. An error is ignored: nothing is left to report it on.
fn print_to_stderr(text: &str) {
    if !text.is_empty() {
        let _ = write_to_stderr(text.as_bytes());
    }
}

/// Goes past the lock of `io::stderr`: in a forked child, a thread of the parent may hold it for good.
#[cfg(unix)]
fn write_to_stderr(text: &[u8]) -> io::Result<()> {
    use std::fs::File;
    use std::os::fd::AsFd;

    File::from(io::stderr().as_fd().try_clone_to_owned()?).write_all(text)
}

#[cfg(not(unix))]
fn write_to_stderr(text: &[u8]) -> io::Result<()> {
    io::stderr().write_all(text)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn a_warning_is_a_line_per_variable() {
        let names = ["AUDIT_FSYCN", "AUDIT_FSYNC", "AUDIT_VERBOSITY"].map(OsString::from);
        let text = unknown_variables_warning(&config::find_unknown_variables(names));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        let expected = "llm-audit: AUDIT_FSYCN is not a known variable; the closest is AUDIT_FSYNC";
        assert_eq!(lines[0], expected);
        assert!(
            lines[1].starts_with("llm-audit: AUDIT_VERBOSITY is not a known variable; "),
            "{text}"
        );
        assert_eq!(unknown_variables_warning(&[]), "");
    }
}
