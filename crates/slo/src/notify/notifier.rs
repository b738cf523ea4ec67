//! The interface of a place for alerts, and its errors.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Alert;

/// A place that alerts are sent to. The [`Dispatcher`](super::Dispatcher) gives each one a thread, so it may wait. It
/// should have a limit: [`shutdown`](super::Dispatcher::shutdown) does not end a thread that hangs.
///
/// ```
/// use llm_audit_slo::Alert;
/// use llm_audit_slo::notify::{Notifier, NotifyError};
///
/// struct Push;
///
/// impl Notifier for Push {
///     fn name(&self) -> &str {
///         "push"
///     }
///
///     fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
///         let state = if alert.is_firing() { "fires" } else { "is resolved" };
///         send(&format!("{} {state}: {}", alert.rule, alert.summary))
///             .map_err(|error| NotifyError::temporary(error.to_string()))
///     }
/// }
/// # fn send(_: &str) -> Result<(), std::fmt::Error> { Ok(()) }
/// # assert_eq!(Push.name(), "push");
/// ```
pub trait Notifier: Send {
    /// Returns its name in counts and warnings, without credentials.
    fn name(&self) -> &str;

    /// Tells one alert: it fires, it still fires after the time for a repeat, or it is resolved. Control characters
    /// are removed from its texts, and long ones are cut.
    ///
    /// # Errors
    ///
    /// If the alert was not accepted. If the error is temporary, the same alert comes again, before any later one.
    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError>;

    /// Returns whether an alert that still fires is told again after the time for a repeat: `true` by default.
    fn repeats(&self) -> bool {
        true
    }

    /// Learns that all objectives were evaluated, after the alerts of this evaluation. Does nothing by default.
    ///
    /// # Errors
    ///
    /// If this could not be passed on. After a temporary error it is tried again until the next evaluation.
    fn evaluated(&mut self, evaluation: &Evaluation) -> Result<(), NotifyError> {
        let _ = evaluation;
        Ok(())
    }
}

/// The end of one evaluation of all objectives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluation {
    /// When it ended, in microseconds since the Unix epoch.
    pub at: i64,
    /// The alerts that fire, and those that were resolved in the last 15 minutes.
    pub alerts: Vec<Arc<Alert>>,
}

/// Why an alert did not reach its place.
pub struct NotifyError {
    text: String,
    temporary: bool,
    retry_after: Option<Duration>,
}

impl NotifyError {
    /// Makes an error that another attempt may not meet: a timeout, an answer such as 503. `text` contains no
    /// credentials, since it appears in warnings.
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), temporary: true, retry_after: None }
    }

    /// Makes an error that another attempt would meet again: an answer such as 400.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), temporary: false, retry_after: None }
    }

    /// Asks for a longer wait before the next attempt. [`Retry::longest`](super::Retry::longest) limits it.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns whether another attempt may succeed.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    pub(super) fn retry_after(&self) -> Duration {
        self.retry_after.unwrap_or_default()
    }
}

impl fmt::Debug for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for NotifyError {}
