//! Log records as events.

use std::mem;

use llm_audit_log::schema::EventType;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::Value;

use super::draft::Draft;
use super::origin::Origin;
use super::presets::{Sender, Signal, judgement_of};
use super::value::{json_of, micros_of, span_id_of, trace_id_of};
use super::{Mapper, ReceivedEvent, own};

/// The least `SeverityNumber` of an error.
const SEVERITY_ERROR: i32 = 17;
/// The events of the older conventions, whose body is a content.
const MESSAGES: [(&str, &str); 5] = [
    ("gen_ai.choice", "completion"),
    ("gen_ai.system.message", "prompt"),
    ("gen_ai.user.message", "prompt"),
    ("gen_ai.assistant.message", "prompt"),
    ("gen_ai.tool.message", "prompt"),
];

/// Returns the member of `data` that an event of the older conventions is.
pub(super) fn message_member(event_name: &str) -> Option<&'static str> {
    MESSAGES.iter().find(|(name, _)| *name == event_name).map(|(_, member)| *member)
}

pub(super) fn event_of(mut record: LogRecord, origin: &Origin, mapper: &Mapper) -> ReceivedEvent {
    let ids = (trace_id_of(&record.trace_id), span_id_of(&record.span_id));
    let timestamp = micros_of(record.time_unix_nano).or(micros_of(record.observed_time_unix_nano));
    if own::is_own(&record.attributes, origin) {
        let (trace_id, span_id) = ids;
        let event = own::event_of(record.attributes, origin, mapper.captures_content);
        return ReceivedEvent { trace_id, span_id, timestamp, ..event };
    }
    let name = take_name(&mut record);
    let sender = Sender::of(origin, &name);
    let mut draft = Draft::new(mapper.captures_content);
    draft.is_in_span = ids.1.is_some();
    draft.read(record.attributes, sender.table);
    draft.note_dropped(record.dropped_attributes_count);
    let decides = !sender.is_agent();
    put_severity(&mut draft, record.severity_number, record.severity_text, decides);
    put_body(&mut draft, &name, record.body);
    let sequence = draft.sequence;
    let scope = Some(&*origin.scope).filter(|scope| !scope.is_empty());
    let named = if name.is_empty() { scope.unwrap_or("log") } else { &name };
    let shape = sender.shape(&mut draft, Signal::Log, named);
    let mut event = draft.into_event(shape, origin);
    (event.trace_id, event.timestamp) = (ids.0, timestamp);
    match EventType::from_name(&event.event_type).is_judgement() {
        true => event.span_id = ids.1,
        false => event.parent_span_id = ids.1,
    }
    note_missing(sequence, &mut event, mapper);
    event
}

/// Takes out the name of a record's event. Some senders have it in an attribute, and its prefix in the body.
fn take_name(record: &mut LogRecord) -> String {
    let attribute = record.attributes.iter().find(|attribute| attribute.key == "event.name");
    let attribute = attribute.and_then(|KeyValue { value, .. }| text_in(value.as_ref()));
    let Some(name) = attribute.filter(|name| !name.is_empty()) else {
        return mem::take(&mut record.event_name);
    };
    let has_prefix = |whole: &str| whole.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    let body = text_in(record.body.as_ref()).filter(|body| has_prefix(body));
    let whole = body.or(Some(&*record.event_name).filter(|whole| has_prefix(whole)));
    whole.unwrap_or(name).to_owned()
}

fn text_in(value: Option<&AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The severity decides whether the record of any program failed. Those of agents all have the same.
fn put_severity(draft: &mut Draft, number: i32, text: String, decides: bool) {
    if decides && number > 0 && (draft.has_failed() || number >= SEVERITY_ERROR) {
        draft.succeeded = draft.succeeded.or(Some(number < SEVERITY_ERROR));
    }
    if !text.is_empty() && !text.eq_ignore_ascii_case("info") {
        draft.data.insert("severity".to_owned(), text.into());
    }
}

/// The body of a message, a prompt or a judgement is a content. Of other records it is their text, unless it repeats the name.
fn put_body(draft: &mut Draft, name: &str, body: Option<AnyValue>) {
    let body = json_of(body);
    if let Some(member) = message_member(name) {
        return draft.put_content(member, body);
    }
    if body.is_null() || body.as_str().is_some_and(|text| text.is_empty() || text == name) {
        return;
    }
    if name.starts_with("gen_ai.") || name.ends_with("prompt") || judgement_of(name).is_some() {
        return draft.put_content("body", body);
    }
    if draft.succeeded == Some(false) && draft.error_message.is_none() {
        draft.error_message = body.as_str().map(str::to_owned);
    }
    draft.data.insert("message".to_owned(), body);
}

/// Puts into `data.origin` how many records of the same session did not arrive before this one.
fn note_missing(sequence: Option<u64>, event: &mut ReceivedEvent, mapper: &Mapper) {
    let Some(sequence) = sequence else { return };
    let session = event.data.get("conversation").and_then(Value::as_str).unwrap_or(&event.agent);
    let origin = event.data.get("origin");
    let of = |member| origin.and_then(|origin| origin.get(member));
    let process = (of("service"), of("instance").or_else(|| of("pid")));
    let missing = mapper.memory().sequences.missing_before((process, session), sequence);
    let origin = event.data.get_mut("origin").and_then(Value::as_object_mut);
    if let Some(origin) = origin.filter(|_| missing > 0) {
        origin.insert("missing".to_owned(), missing.into());
    }
}
