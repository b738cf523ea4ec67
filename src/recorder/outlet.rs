//! The destination of a layer's events.

use std::sync::atomic::Ordering;

use super::global::{INITIALIZED, STATE};
use super::{AuditLogger, emit, peek_current_logger};
#[cfg(any(feature = "rmcp", feature = "tower"))]
use crate::context::{TRACE_RATE_DEFAULT, TraceContext};
use crate::pricing::{self, Usage, Usd};
use crate::record::event::AuditEvent;
#[cfg(any(feature = "macros", feature = "tower"))]
use crate::sanitize::Sanitizer;

/// The destination of a layer's events: a logger of its own, or the one that [`emit`] uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlet(pub(crate) Option<AuditLogger>);

/// Reports whether this logger records nothing. `None` means the recorder of the process.
#[allow(dead_code, reason = "the layers are optional")]
#[inline]
pub(crate) fn is_logger_off(logger: Option<&AuditLogger>) -> bool {
    // A replay answers also what is not recorded.
    #[cfg(feature = "replay")]
    if crate::context::has_replayed() {
        return false;
    }
    match logger {
        Some(logger) => !logger.0.settings().enabled,
        // Relaxed: `Once` orders the rest.
        None => STATE.load(Ordering::Relaxed) == INITIALIZED,
    }
}

#[allow(dead_code, reason = "the layers are optional")]
impl Outlet {
    #[inline]
    pub(crate) fn emit(&self, event: &AuditEvent<'_>) {
        #[cfg(feature = "replay")]
        if super::replayed::emit_replayed(event) {
            return;
        }
        match &self.0 {
            Some(logger) => logger.emit(event),
            None => emit(event),
        }
    }

    /// Reports whether nothing is recorded at all. If so, a layer can skip its work.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        is_logger_off(self.0.as_ref())
    }

    /// Calls `look` with the logger that receives the events. Returns `None` before `init`.
    pub(crate) fn peek_logger<R>(&self, look: impl FnOnce(&AuditLogger) -> R) -> Option<R> {
        #[cfg(feature = "replay")]
        if let Some(logger) = super::replayed::replay_logger_here() {
            return Some(look(&logger));
        }
        match &self.0 {
            Some(logger) => Some(look(logger)),
            None => peek_current_logger(look),
        }
    }

    /// Returns the sanitizer of the logger that receives the events.
    #[cfg(any(feature = "macros", feature = "tower"))]
    pub(crate) fn sanitizer(&self) -> Sanitizer {
        self.peek_logger(|logger| logger.sanitizer().clone()).unwrap_or_default()
    }

    /// Returns the cost by the first of these models that has a price with this provider. Before
    /// `init` it uses the built-in prices.
    pub(crate) fn cost_with_provider(
        &self,
        provider: &str,
        models: &[&str],
        usage: Usage,
    ) -> Option<Usd> {
        self.peek_logger(|logger| logger.cost_with_provider(provider, models, usage))
            .unwrap_or_else(|| pricing::built_in_cost(provider, models, usage))
    }

    /// Counts a call whose answer had no readable usage. Before `init` nobody counts.
    pub(crate) fn count_unmetered(&self, model: &str) {
        self.peek_logger(|logger| logger.count_unmetered(model));
    }

    /// Returns the `traceparent` of a call made in this span, and its `tracestate`. The logger that
    /// receives the events decides about a new trace.
    #[cfg(any(feature = "rmcp", feature = "tower"))]
    pub(crate) fn trace_headers(&self, context: &TraceContext) -> (String, Option<String>) {
        let rate = self.peek_logger(|logger| logger.sampling().new_trace_rate());
        let rate = rate.unwrap_or(TRACE_RATE_DEFAULT);
        (context.to_traceparent_at_rate(rate), context.to_tracestate_at_rate(rate))
    }

    pub(crate) fn captures_content(&self) -> bool {
        self.peek_logger(AuditLogger::captures_content).unwrap_or(false)
    }
}
