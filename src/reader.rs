//! Reads log files back: lines, folders, completeness, and the tree of a trace.
//!
//! These are the readers of the crate `llm-audit-log`.

pub use llm_audit_log::{
    DEPTH_MAX, Ending, Entry, Error, Event, Finding, Folder, Follow, Found, Input, Instance, Items,
    Json, LINE_BYTES_MAX, Line, Lines, LogFile, Members, Span, State, Step, Trace, Verification,
    Writers, parse, read_line, verify, verify_folder, verify_with,
};

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_redacted_can_be_read() {
        assert_eq!(llm_audit_redact::LINE_BYTES_MAX, super::LINE_BYTES_MAX);
    }
}
