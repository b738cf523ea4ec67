//! Recorded events as values, for tests that replay what happened.
//!
//! [`errors_from_jsonl`], [`successful_result`] and [`full_trace`] read a log by the names that its
//! events have. With the feature `replay`, a `ReplayFixture` is a recorded trace, and a `Replayer` runs it
//! again without network. `docs/replay.md` shows how a failure becomes a test.
//!
//! # Examples
//!
//! ```
//! use llm_audit::replay::errors_from_jsonl;
//! # use llm_audit::{AuditEvent, AuditLogger, ErrorDetail, EventType};
//!
//! # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
//! # let logger = AuditLogger::builder().directory(&folder).debug(true).build()?;
//! # let error = ErrorDetail::new("Unreadable", "the arguments are not JSON");
//! # logger.emit(&AuditEvent::new(EventType::ToolError, "benefits", "plan_search").error(&error));
//! # drop(logger);
//! let errors = errors_from_jsonl(&folder, "plan_search")?;
//! let error = errors[0].error.as_ref();
//! assert_eq!(error.map(|error| error.message.as_str()), Some("the arguments are not JSON"));
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok::<(), llm_audit::Error>(())
//! ```

#[cfg(feature = "replay")]
mod outcome;
#[cfg(feature = "replay")]
mod replayer;
#[cfg(all(feature = "replay", feature = "tower"))]
mod request;
#[cfg(feature = "replay")]
pub(crate) mod state;

#[cfg(feature = "replay")]
pub use llm_audit_log::replay::{
    FixtureCall, FixtureFailure, FixtureGap, FixtureRoot, ReplayFixture, StepKind,
};
pub use llm_audit_log::replay::{
    RecordedError, RecordedEvent, errors_from_jsonl, full_trace, successful_result,
};
#[cfg(feature = "replay")]
pub use outcome::Replay;
#[cfg(feature = "replay")]
pub use replayer::{Replayer, RootInput};
