//! Alerts from inside the service: the rules of objectives, evaluated each minute over the log's own folder.
//!
//! With the feature `alerts`, a logger that writes files evaluates the rules if `AUDIT_SLO_FILE` or a variable of a
//! place for alerts is set, or if its [`Builder`](crate::Builder) has a notifier. An alert that fires or is resolved
//! is a line of the log (`alert.fired`, `alert.resolved`), and [`AuditLogger::health`](crate::AuditLogger::health)
//! has what fires. Of several processes that write to a folder, one evaluates. If it ends, another takes over within
//! seconds, with the same alerts.

#[cfg(not(feature = "alerts"))]
mod absent;
#[cfg(feature = "alerts")]
mod log_lines;
#[cfg(feature = "alerts")]
mod present;

#[cfg(not(feature = "alerts"))]
pub(crate) use absent::AlertThread;
#[cfg(feature = "alerts")]
pub use llm_audit_slo::notify::{Evaluation, Lines, Notifier, NotifyError};
#[cfg(feature = "alerts")]
pub use llm_audit_slo::{Alert, Severity};
#[cfg(feature = "alerts")]
pub(crate) use present::AlertThread;
