//! Objectives and alerts over the logs of `llm-audit`.

mod alert;
#[cfg(feature = "notify")]
pub mod notify;

pub use alert::{Alert, Severity};
