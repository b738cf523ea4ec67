//! Spans as events.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::log_record::message_member;
use super::origin::Origin;
use super::presets::{Sender, Signal, judgement_of};
use super::table::{Table, To};
use super::value::{micros_of, object_of, span_id_of, text_of, trace_id_of};
use super::{Mapper, ReceivedEvent, own};

/// How many events and links of a span are kept.
const PARTS_MAX: usize = 64;

/// The ids of a span, as far as they are valid.
#[derive(Clone, Copy)]
struct Ids {
    trace: Option<u128>,
    span: Option<u64>,
    parent: Option<u64>,
}

pub(super) fn event_of(span: Span, origin: &Origin, mapper: &Mapper) -> ReceivedEvent {
    let ids = Ids {
        trace: trace_id_of(&span.trace_id),
        span: span_id_of(&span.span_id),
        parent: span_id_of(&span.parent_span_id),
    };
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    let timestamp = micros_of(end).or(micros_of(start));
    let latency_ms = (start > 0).then(|| end.checked_sub(start)).flatten();
    let latency_ms = latency_ms.map(|nanos| nanos as f64 / 1e6);
    let (event, latency_ms) = if own::is_own(&span.attributes, origin) {
        let event = own::event_of(span.attributes, origin, mapper.captures_content);
        let exact = event.latency_ms.or(latency_ms);
        (event, exact)
    } else {
        let event = foreign(span, ids, origin, mapper);
        let measured = latency_ms.or(event.latency_ms);
        (event, measured)
    };
    ReceivedEvent {
        trace_id: ids.trace,
        span_id: ids.span,
        parent_span_id: event.parent_span_id.or(ids.parent),
        timestamp,
        latency_ms,
        ..event
    }
}

/// Takes out the events that judge the span, as the log records that other senders make of them.
pub(super) fn take_judgements(span: &mut Span) -> Vec<LogRecord> {
    let judgements = span.events.extract_if(.., |event| judgement_of(&event.name).is_some());
    let records = judgements.map(|event| LogRecord {
        trace_id: span.trace_id.clone(),
        span_id: span.span_id.clone(),
        time_unix_nano: event.time_unix_nano,
        event_name: event.name,
        attributes: event.attributes,
        dropped_attributes_count: event.dropped_attributes_count,
        ..LogRecord::default()
    });
    records.collect()
}

fn foreign(span: Span, ids: Ids, origin: &Origin, mapper: &Mapper) -> ReceivedEvent {
    let sender = Sender::of(origin, &span.name);
    let mut draft = Draft::new(mapper.captures_content);
    draft.read(span.attributes, sender.table);
    for count in
        [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count]
    {
        draft.note_dropped(count);
    }
    put_status(&mut draft, span.status);
    put_events(&mut draft, span.events, sender.table);
    put_links(&mut draft, span.links);
    let mut shape = sender.shape(&mut draft, Signal::Span, &span.name);
    if shape.owns_tokens && !draft.tokens.is_empty() {
        shape.owns_tokens = is_innermost(ids, mapper);
    }
    draft.into_event(shape, origin)
}

/// Notes the span above one that has tokens, before any span of the request is mapped: an exporter may sort the outer
/// one first.
pub(super) fn note_caller(span: &Span, origin: &Origin, mapper: &Mapper) {
    let ids = (trace_id_of(&span.trace_id), span_id_of(&span.parent_span_id));
    let (Some(trace), Some(parent)) = ids else { return };
    let table = Sender::of(origin, &span.name).table;
    let place = |key: &str| table.rank(key).map(|rank| table.place(rank));
    let is_count = |key: &str| matches!(place(key), Some(To::Tokens(_)));
    let mut names = span.attributes.iter().map(|attribute| &*attribute.key);
    if names.any(|key| key.contains("token") && is_count(key)) {
        mapper.memory().callers.insert((trace, parent), ());
    }
}

/// Whether a call of a model is the one that counts its tokens. If a framework and its client are both instrumented,
/// one call is directly below another. The one below ends first, and so it arrives first.
fn is_innermost(ids: Ids, mapper: &Mapper) -> bool {
    let Some(trace) = ids.trace else { return true };
    let callers = &mut mapper.memory().callers;
    let repeats = ids.span.is_some_and(|span| callers.get(&(trace, span)).is_some());
    if let Some(parent) = ids.parent {
        callers.insert((trace, parent), ());
    }
    !repeats
}

/// The status decides whether the span failed, if it is set.
fn put_status(draft: &mut Draft, status: Option<Status>) {
    let Some(Status { code, message }) = status else { return };
    match StatusCode::try_from(code) {
        Ok(StatusCode::Ok) => draft.succeeded = Some(true),
        Ok(StatusCode::Error) => draft.succeeded = Some(false),
        _ => return,
    }
    if !message.is_empty() {
        draft.error_message.get_or_insert(message);
    }
}

/// Exceptions say why a span failed, and messages are its content. Others are kept as `data.events`.
fn put_events(draft: &mut Draft, events: Vec<Event>, table: &Table) {
    let mut others = Vec::new();
    for event in events {
        match message_member(&event.name) {
            _ if event.name == "exception" => put_exception(draft, event),
            Some(member) => draft.messages.push(member, object_of(event.attributes)),
            None if is_part(&event.name) => draft.read(event.attributes, table),
            None => others.push(event),
        }
    }
    if others.is_empty() {
        return;
    }
    let count = others.len();
    let kept = others.into_iter().take(PARTS_MAX).map(|event| {
        let time = micros_of(event.time_unix_nano);
        json!({"name": event.name, "time_us": time, "attributes": object_of(event.attributes)})
    });
    draft.put_content("events", kept.collect());
    draft.data.insert("events_count".to_owned(), count.into());
}

/// Whether the attributes of an event of this name are those of its span.
fn is_part(event_name: &str) -> bool {
    event_name.starts_with("gen_ai.client.inference") || event_name.starts_with("gen_ai.content.")
}

fn put_exception(draft: &mut Draft, event: Event) {
    let mut exception: Map<String, Value> = object_of(event.attributes);
    let mut text = |name: &str| exception.remove(name).as_ref().and_then(text_of);
    let (error_type, message) = (text("exception.type"), text("exception.message"));
    // A span that ended well caught it.
    let is_caught = draft.error_type.is_none() && draft.error_message.is_none();
    draft.succeeded = draft.succeeded.or(is_caught.then_some(true));
    draft.traceback = text("exception.stacktrace").or(draft.traceback.take());
    draft.error_type = draft.error_type.take().or(error_type);
    draft.error_message = draft.error_message.take().or(message);
}

fn put_links(draft: &mut Draft, links: Vec<Link>) {
    if links.is_empty() {
        return;
    }
    let kept = links.into_iter().take(PARTS_MAX).filter_map(|link| {
        let (trace, span) = (trace_id_of(&link.trace_id)?, span_id_of(&link.span_id)?);
        Some(json!({"trace_id": format!("{trace:032x}"), "span_id": format!("{span:016x}")}))
    });
    draft.data.insert("links".to_owned(), kept.collect());
}
