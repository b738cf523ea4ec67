//! The open spans of a layer, found above a span, and their operations, recorded.

use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::amendment::Amendment;
use super::fields::GenAiFields;
use super::names::{self, is_client_span, is_kept_span};
use super::open::{OpenSpan, OpenSpans};
use super::operation::TracedOperation;
use super::{AuditLayer, entered};
use crate::context::TraceContext;

impl AuditLayer {
    /// Runs `use_open` on this layer's open span.
    pub(super) fn with_open_span<'a, S: LookupSpan<'a> + 'a, R>(
        &self,
        span: &SpanRef<'a, S>,
        use_open: impl FnOnce(&mut OpenSpan) -> R,
    ) -> Option<R> {
        if !is_kept_span(span.metadata()) && !is_client_span(span.metadata()) {
            return None;
        }
        let mut extensions = span.extensions_mut();
        let held = extensions.get_mut::<OpenSpans>()?;
        held.0.iter_mut().find(|(layer, _)| *layer == self.id).map(|(_, open)| use_open(open))
    }

    pub(super) fn context_of_span<'a, S: LookupSpan<'a> + 'a>(
        &self,
        span: &SpanRef<'a, S>,
    ) -> Option<TraceContext> {
        self.with_open_span(span, |open| open.context.clone()).flatten()
    }

    /// Returns the innermost operation of these spans.
    pub(super) fn innermost_operation<'a, S: LookupSpan<'a> + 'a>(
        &self,
        mut spans: impl Iterator<Item = SpanRef<'a, S>>,
    ) -> Option<(SpanRef<'a, S>, TraceContext)> {
        spans.find_map(|span| self.context_of_span(&span).map(|context| (span, context)))
    }

    /// Returns the value of one of the names in these fields, or in the first of the spans above that has one.
    fn value_or_above<'a, S: LookupSpan<'a> + 'a>(
        &self,
        fields: &GenAiFields,
        above: impl Iterator<Item = SpanRef<'a, S>>,
        names: &[&str],
    ) -> Option<String> {
        let of = |fields: &GenAiFields| fields.text(names).map(str::to_owned);
        let value = |span| self.with_open_span(&span, |open| of(&open.fields)).flatten();
        of(fields).or_else(|| above.filter_map(value).next())
    }

    /// Returns the context for the user, the tenant and the conversation that these fields or the spans above name.
    pub(super) fn with_identity<'a, S: LookupSpan<'a> + 'a, A: Iterator<Item = SpanRef<'a, S>>>(
        &self,
        context: TraceContext,
        fields: &GenAiFields,
        above: impl Fn() -> A,
    ) -> TraceContext {
        let value = |names| self.value_or_above(fields, above(), names);
        context.with_known([names::USER, names::TENANT, names::CONVERSATION].map(value))
    }

    /// Returns the context that is the parent of a new operation.
    ///
    /// It is the operation above, a scope entered inside that one, or the current context of the
    /// thread.
    pub(super) fn parent_context(
        &self,
        operation: Option<TraceContext>,
        is_contextual: bool,
    ) -> Option<TraceContext> {
        let Some(operation) = operation else { return TraceContext::current() };
        let scope = is_contextual.then(|| entered::scope_inside_operation(&operation)).flatten();
        Some(scope.unwrap_or(operation))
    }

    /// Records the start of a tool when its name is known.
    pub(super) fn record_tool_call<'a, S: LookupSpan<'a> + 'a>(&self, span: &SpanRef<'a, S>) {
        let due = self.with_open_span(span, |open| {
            let is_due = !open.is_call_recorded && open.is_named_tool();
            open.is_call_recorded |= is_due;
            open.has_call_arguments |= is_due && open.fields.text(names::ARGUMENTS).is_some();
            is_due.then(|| open.clone())
        });
        if let Some(open) = due.flatten() {
            self.record_operation(&open, span, |operation| {
                operation.record_tool_start(open.began_at)
            });
        }
    }

    pub(super) fn record_operation<'a, S: LookupSpan<'a> + 'a, R>(
        &self,
        open: &OpenSpan,
        span: &SpanRef<'a, S>,
        record: impl FnOnce(&TracedOperation<'_>) -> R,
    ) -> Option<R> {
        let above = || span.scope().skip(1);
        let context = self.with_identity(open.context.clone()?, &open.fields, above);
        let agent = self.value_or_above(&open.fields, above(), names::AGENT);
        let operation = TracedOperation {
            outlet: &self.outlet,
            fields: &open.fields,
            context: &context,
            agent: agent.as_deref().unwrap_or(&self.agent),
            name: span.name(),
            latency: Some(open.latency()),
            lacks_answer: open.expects_answer && !open.fields.is_answered,
            has_call_arguments: open.has_call_arguments,
            repeats_tokens: open.repeats_tokens,
            has_panicked: open.has_panicked,
            reason: open.reason.as_ref(),
            has_failed_child: open.has_failed_child,
            amendment: &open.amendment,
        };
        Some(record(&operation))
    }

    /// Records an event that belongs to no span's operation as an operation of its own, or an evaluation of the
    /// operation above.
    pub(super) fn record_event<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        event: &Event<'_>,
        fields: &GenAiFields,
        above: Option<TraceContext>,
        ctx: &Context<'_, S>,
    ) {
        let above = self.parent_context(above, event.is_contextual());
        let is_evaluation = names::is_evaluation(event.metadata());
        let context = match above {
            Some(judged) if is_evaluation => judged,
            Some(above) => above.new_span(),
            None => TraceContext::new_root(),
        };
        let above = || ctx.event_scope(event).into_iter().flatten();
        let context = self.with_identity(context, fields, above);
        let agent = self.value_or_above(fields, above(), names::AGENT);
        let operation = TracedOperation {
            outlet: &self.outlet,
            fields,
            context: &context,
            agent: agent.as_deref().unwrap_or(&self.agent),
            name: event.metadata().name(),
            latency: None,
            lacks_answer: false,
            has_call_arguments: false,
            repeats_tokens: false,
            has_panicked: false,
            reason: None,
            has_failed_child: false,
            amendment: &Amendment::default(),
        };
        if is_evaluation {
            operation.record_evaluation();
        } else {
            operation.record_end();
        }
    }
}
