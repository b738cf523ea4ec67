//! Facts about an operation that a library's hook knows and its span lacks.

use super::entered;
use super::reason::FailureReason;

/// Adds to the operation of a span what the span has no fields for.
///
/// It is for hooks of libraries: such a hook runs inside a span of its library, and knows more than the
/// span.
///
/// # Examples
///
/// ```
/// use llm_audit::layer::tracing::{Amendment, AuditLayer};
/// use tracing_subscriber::prelude::*;
///
/// # let seen = llm_audit::testing::capture();
/// let _subscriber = tracing_subscriber::registry().with(AuditLayer::new("benefits")).set_default();
///
/// let call = tracing::info_span!("chat", gen_ai.operation.name = "chat");
/// let is_recorded = call.in_scope(|| {
///     Amendment::default().failure("insufficient_quota", "pay first").apply_to_span("chat")
/// });
/// assert!(is_recorded, "the layer records the operation, so the hook does not");
/// drop(call);
/// # let lines = seen.lines();
/// # assert!(lines[0].contains(r#""type":"insufficient_quota","message":"pay first""#), "{lines:?}");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it changes nothing until it is applied"]
pub struct Amendment {
    pub(super) failure: Option<FailureReason>,
    pub(super) first_token_ms: Option<f64>,
}

impl Amendment {
    /// Says that the operation failed, and why, whatever its span says.
    pub fn failure(mut self, error_type: &str, message: &str) -> Self {
        let (error_type, message) = (Some(error_type.to_owned()), message.to_owned());
        self.failure = Some(FailureReason { error_type, message });
        self
    }

    /// Sets the time to the first token of a model's stream, in milliseconds.
    pub fn first_token_ms(mut self, milliseconds: f64) -> Self {
        self.first_token_ms = Some(milliseconds);
        self
    }

    /// Applies it to the innermost operation that this thread is in, if its span has this name.
    ///
    /// Returns whether an [`AuditLayer`](super::AuditLayer) records that operation. It is applied when
    /// the span is left.
    pub fn apply_to_span(&self, name: &str) -> bool {
        entered::amend_innermost(name, self)
    }

    /// Takes over what the later one says.
    pub(super) fn merge(&mut self, later: Self) {
        self.failure = later.failure.or(self.failure.take());
        self.first_token_ms = later.first_token_ms.or(self.first_token_ms);
    }
}
