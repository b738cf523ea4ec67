//! Objectives and alerts over the logs of `llm-audit`.

mod alert;

pub use alert::{Alert, Severity};
