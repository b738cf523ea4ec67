//! Events that `llm-audit` itself sent, back again.

use llm_audit_log::schema::Status;
use llm_audit_log::schema::ids::parse_span_id;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde_json::{Map, Value};

use super::origin::Origin;
use super::value::{cost_of, count_of, json_of, latency_of, text_of};
use super::{CONTENT, ReceivedEvent};

/// The attribute without which a record is not one of ours.
const EVENT_TYPE: &str = "llm_audit.event_type";

/// Whether `llm-audit` itself sent a record with these attributes.
pub(super) fn is_own(attributes: &[KeyValue], origin: &Origin) -> bool {
    origin.is_own() && attributes.iter().any(|attribute| attribute.key == EVENT_TYPE)
}

/// Returns the event. Attributes that `llm_audit.data` repeats are left out.
pub(super) fn event_of(
    attributes: Vec<KeyValue>,
    origin: &Origin,
    captures_content: bool,
) -> ReceivedEvent {
    let mut event = ReceivedEvent::default();
    let mut members = origin.members();
    for KeyValue { key, value, .. } in attributes {
        let value = json_of(value);
        let text = || text_of(&value);
        match &*key {
            EVENT_TYPE => event.event_type = text().unwrap_or_default(),
            "gen_ai.agent.name" => event.agent = text().unwrap_or_default(),
            "llm_audit.action" => event.action = text().unwrap_or_default(),
            "llm_audit.status" => {
                event.status = value.as_str().and_then(Status::from_name).unwrap_or_default();
            }
            "llm_audit.parent_span_id" => {
                event.parent_span_id = text().and_then(|id| parse_span_id(&id).ok());
            }
            "llm_audit.latency_ms" => event.latency_ms = latency_of(&value),
            "gen_ai.usage.input_tokens" => event.tokens_input = count_of(&value),
            "gen_ai.usage.output_tokens" => event.tokens_output = count_of(&value),
            "llm_audit.cost.exact" => event.cost_usd = cost_of(&value),
            "llm_audit.cost.usd" if event.cost_usd.is_none() => event.cost_usd = cost_of(&value),
            "llm_audit.data" => event.data = object_of_text(&value, "value"),
            "llm_audit.error" => event.error = Some(object_of_text(&value, "message")),
            "llm_audit.instance" | "llm_audit.seq" | "llm_audit.kept" => {
                let name = key.trim_start_matches("llm_audit.").to_owned();
                members.insert(name, value);
            }
            _ => {}
        }
    }
    if !captures_content {
        event.data.retain(|member, _| !CONTENT.contains(&&**member));
    }
    if event.agent.is_empty() {
        origin.agent().clone_into(&mut event.agent);
    }
    if event.action.is_empty() {
        event.action.clone_from(&event.event_type);
    }
    put_origin(&mut event.data, members);
    event
}

/// Returns the object of a JSON text. What is not an object becomes a member of one.
fn object_of_text(value: &Value, member: &str) -> Map<String, Value> {
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    match parsed.unwrap_or_else(|| value.clone()) {
        Value::Object(object) => object,
        other => Map::from_iter([(member.to_owned(), other)]),
    }
}

/// Puts in the origin. An origin that it had is that of the sender's own source.
fn put_origin(data: &mut Map<String, Value>, mut members: Map<String, Value>) {
    if let Some(source) = data.remove("origin") {
        members.insert("origin".to_owned(), source);
    }
    data.insert("origin".to_owned(), Value::Object(members));
}
