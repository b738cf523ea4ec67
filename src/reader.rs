//! Reads log files back: lines, folders, filters, completeness, and the tree of a trace.
//!
//! These are the readers of the crate `llm-audit-log`.
//!
//! # Examples
//!
//! ```
//! use llm_audit::reader::{Folder, verify};
//! # use llm_audit::{AuditEvent, AuditLogger, EventType};
//!
//! # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
//! # let logger = AuditLogger::builder().directory(&folder).debug(true).build()?;
//! # logger.emit(&AuditEvent::new(EventType::ToolCall, "benefits", "search"));
//! # drop(logger);
//! let mut calls = 0;
//! let log = Folder::open(&folder)?;
//! let mut lines = log.lines();
//! while let Some(mut entry) = lines.next_line()? {
//!     let line = entry.parse()?;
//!     calls += u32::from(line.event_type() == Some("tool.call"));
//! }
//! assert_eq!(calls, 1);
//! assert!(verify(&folder)?.is_clean());
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok::<(), llm_audit::Error>(())
//! ```

pub use llm_audit_log::schema::notices::{UserRow, UserTotals};
pub use llm_audit_log::{
    Basis, Choice, Counting, DEPTH_MAX, Ending, Entry, Error, Estimate, Event, Expression, Failure,
    Failures, Figures, Filter, Finding, Folder, Follow, Found, GroupBy, Groups, Input, Instance,
    Items, Json, LINE_BYTES_MAX, Line, Lines, LogFile, Members, Position, Scan, Scanned, Span,
    State, Step, Sums, Timeline, Trace, Verification, Writers, parse, read_line, verify,
    verify_folder, verify_with,
};

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_redacted_can_be_read() {
        assert_eq!(llm_audit_redact::LINE_BYTES_MAX, super::LINE_BYTES_MAX);
    }
}
