//! A step with a span of its own, recorded when it ends, also if it is dropped halfway.

use std::error::Error;
use std::time::Instant;

use llm_audit::{AuditEvent, ErrorDetail, EventType, InSpan, TraceContext};
use serde_json::Value;

/// The context of the thread or task; a new trace outside of any.
pub(crate) fn current_span_or_new() -> TraceContext {
    TraceContext::current().unwrap_or_else(TraceContext::new_trace)
}

/// Milliseconds since `begin`.
pub(crate) fn step_ms_since(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// A step that has begun. What is done for it is below [`span`](Self::span), so its own event must
/// come, whatever becomes of the step. If it is dropped before it ended, it was cancelled.
pub(crate) struct AgentStep {
    event: Option<(EventType<'static>, &'static str, &'static str)>,
    data: Value,
    span: TraceContext,
    begin: Instant,
}

impl AgentStep {
    /// Begins a step below the current span. If it is cancelled, the event is of this type, agent
    /// and action.
    pub(crate) fn begin(
        event_type: EventType<'static>,
        agent: &'static str,
        action: &'static str,
        data: Value,
    ) -> Self {
        let event = Some((event_type, agent, action));
        Self { event, data, span: current_span_or_new().new_span(), begin: Instant::now() }
    }

    pub(crate) fn span(&self) -> &TraceContext {
        &self.span
    }

    pub(crate) fn latency_ms(&self) -> f64 {
        step_ms_since(self.begin)
    }

    /// Does the step's work below its span and records how it ended.
    pub(crate) async fn run<T, E: Error>(
        mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let outcome = work.in_span(self.span.clone()).await;
        self.record(outcome.as_ref().err().map(ErrorDetail::from_error));
        outcome
    }

    /// The step ended, and its event comes from elsewhere.
    pub(crate) fn recorded_elsewhere(mut self) {
        self.event = None;
    }

    fn record(&mut self, error: Option<ErrorDetail<'_>>) {
        let Some((event_type, agent, action)) = self.event.take() else { return };
        let event = AuditEvent::new(event_type, agent, action)
            .span(&self.span)
            .latency_ms(self.latency_ms())
            .data(&self.data)
            .content(&["body"]);
        llm_audit::emit(&match &error {
            Some(error) => event.error(error),
            None => event,
        });
    }
}

impl Drop for AgentStep {
    fn drop(&mut self) {
        self.record(Some(ErrorDetail::new("Cancelled", "the step was dropped before it ended")));
    }
}
