//! Emits an event as it was received: with the ids, the time, the tokens and the cost that were given.

use std::time::{Duration, SystemTime};

use llm_audit::{
    AuditEvent, AuditLogger, ErrorDetail, EventType, TraceContext, Usage, Usd, is_event_type_name,
};
use serde_json::Value;

use crate::mapping::ReceivedEvent;

/// Emits the event, and waits for room.
///
/// # Errors
///
/// Returns why the event may not have its type.
pub(super) fn emit_received(
    logger: &AuditLogger,
    received: &ReceivedEvent,
) -> Result<(), &'static str> {
    let name = received.event_type.as_str();
    if name.starts_with("audit.") || name.starts_with("alert.") {
        return Err("types that begin with audit. or alert. are those of the log's own lines");
    }
    if !is_event_type_name(name) {
        return Err("an event's name is not a dotted lower-case name");
    }
    let context = context_of(received);
    let error = received.error.as_ref().map(ErrorDetail::from_object);
    let usage = usage_of(received);
    let text = |name| received.data.get(name).and_then(Value::as_str).unwrap_or("");
    let event_type = EventType::from_name(name);
    let mut event = AuditEvent::new(event_type, &received.agent, &received.action).span(&context);
    event = event.model(text("model")).user(text("user")).tenant(text("tenant"));
    event = received.timestamp.and_then(system_time).map_or(event, |time| event.timestamp(time));
    event = received.latency_ms.map_or(event, |ms| event.latency_ms(ms));
    event = usage.as_ref().map_or(event, |usage| event.usage(usage));
    event = received.tokens_input.map_or(event, |tokens| event.tokens_input(tokens));
    event = received.tokens_output.map_or(event, |tokens| event.tokens_output(tokens));
    event = cost_of(logger, received, usage).map_or(event, |cost| event.cost_usd(cost));
    let first_token_ms = received.data.get("first_token_ms").and_then(Value::as_f64);
    event = first_token_ms.map_or(event, |ms| event.first_token_ms(ms));
    event = if received.data.is_empty() { event } else { event.data(&received.data) };
    event = error.as_ref().map_or(event, |error| event.error(error));
    // An error would make an event that went well fail.
    logger.emit_wait(&event.status(received.status));
    Ok(())
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

/// Returns the usage of a model call that says its tokens, with the parts that have another price.
fn usage_of(received: &ReceivedEvent) -> Option<Usage> {
    let (input, output) = (received.tokens_input?, received.tokens_output?);
    if received.event_type != "llm.invoke" {
        return None;
    }
    let parts = received.data.get("usage");
    let part = |name| parts.and_then(|parts| parts.get(name)?.as_u64()).unwrap_or(0);
    let mut usage = Usage::from((input, output));
    usage.cache_read = part("cache_read");
    usage.cache_write = part("cache_write");
    usage.cache_write_1h = part("cache_write_1h");
    usage.reasoning = part("reasoning");
    usage.audio_input = part("audio_input");
    usage.audio_output = part("audio_output");
    Some(usage)
}

/// Returns the cost that the sender says, or else that of the tokens.
fn cost_of(logger: &AuditLogger, received: &ReceivedEvent, usage: Option<Usage>) -> Option<Usd> {
    let given = received.cost_usd.as_ref().and_then(|text| text.parse().ok());
    let model = received.data.get("model").and_then(Value::as_str);
    given.or_else(|| logger.calculate_cost(model?, usage?))
}
