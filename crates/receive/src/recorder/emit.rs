//! Emits an event as it was received: with the ids, the time, the tokens and the cost that were given.

use std::time::{Duration, SystemTime};

use llm_audit::{AuditEvent, AuditLogger, ErrorDetail, EventType, TraceContext, Usd};
use serde_json::Value;

use crate::mapping::ReceivedEvent;

/// Emits the event, and waits for room.
pub(super) fn emit_received(logger: &AuditLogger, received: &ReceivedEvent) {
    let context = context_of(received);
    let error = received.error.as_ref().map(ErrorDetail::from_object);
    let text = |name| received.data.get(name).and_then(Value::as_str).unwrap_or("");
    let event_type = EventType::from_name(&received.event_type);
    let mut event = AuditEvent::new(event_type, &received.agent, &received.action).span(&context);
    event = event.model(text("model")).user(text("user")).tenant(text("tenant"));
    event = received.timestamp.and_then(system_time).map_or(event, |time| event.timestamp(time));
    event = received.latency_ms.map_or(event, |ms| event.latency_ms(ms));
    event = received.usage.as_ref().map_or(event, |usage| event.usage(usage));
    event = received.tokens_input.map_or(event, |tokens| event.tokens_input(tokens));
    event = received.tokens_output.map_or(event, |tokens| event.tokens_output(tokens));
    event = cost_of(logger, received).map_or(event, |cost| event.cost_usd(cost));
    let first_token_ms = received.data.get("first_token_ms").and_then(Value::as_f64);
    event = first_token_ms.map_or(event, |ms| event.first_token_ms(ms));
    event = if received.data.is_empty() { event } else { event.data(&received.data) };
    event = error.as_ref().map_or(event, |error| event.error(error));
    // An error would make an event that went well fail.
    logger.emit_wait(&event.status(received.status));
}

/// Returns the ids of the event, with new ones if it has none. An id of zeros is not an id.
fn context_of(received: &ReceivedEvent) -> TraceContext {
    let new = TraceContext::new_trace();
    let trace = received.trace_id.filter(|id| *id != 0).unwrap_or(new.trace_id());
    let span = received.span_id.filter(|id| *id != 0).unwrap_or(new.span_id());
    let parent = received.parent_span_id.filter(|id| *id != 0);
    TraceContext::from_ids(trace, span, parent).unwrap_or(new)
}

fn system_time(micros: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))
}

/// Returns the cost that the sender says, or else that of the tokens.
fn cost_of(logger: &AuditLogger, received: &ReceivedEvent) -> Option<Usd> {
    let model = || received.data.get("model").and_then(Value::as_str);
    received.cost_usd.or_else(|| logger.calculate_cost(model()?, received.usage?))
}
