//! Values of OTLP as JSON, and ids and times.

use std::fmt::Write;

use llm_audit_log::{Json, Usd};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::{Map, Number, Value, json};

/// How deep lists and objects may be nested.
const DEPTH_MAX: usize = 64;
/// How long a text may be that is read as JSON.
const JSON_BYTES_MAX: usize = 1 << 20;

/// Returns a value as JSON; `Null` if there is none.
pub(super) fn json_of(value: Option<AnyValue>) -> Value {
    nested(value, DEPTH_MAX)
}

/// Returns attributes as an object.
pub(super) fn object_of(attributes: Vec<KeyValue>) -> Map<String, Value> {
    members(attributes, DEPTH_MAX)
}

fn nested(value: Option<AnyValue>, depth: usize) -> Value {
    match value.and_then(|value| value.value) {
        // Names of strings are of profiles alone.
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text),
        Some(Any::BoolValue(value)) => Value::Bool(value),
        Some(Any::IntValue(value)) => Value::from(value),
        Some(Any::DoubleValue(value)) => number_or_text(value),
        Some(Any::BytesValue(bytes)) => text_or_hash(bytes),
        Some(Any::ArrayValue(_) | Any::KvlistValue(_)) if depth == 0 => "[TOO_DEEP]".into(),
        Some(Any::ArrayValue(list)) => {
            list.values.into_iter().map(|value| nested(Some(value), depth - 1)).collect()
        }
        Some(Any::KvlistValue(list)) => Value::Object(members(list.values, depth - 1)),
    }
}

fn members(list: Vec<KeyValue>, depth: usize) -> Map<String, Value> {
    list.into_iter().map(|member| (member.key, nested(member.value, depth))).collect()
}

/// JSON has no number for these, so they become texts.
fn number_or_text(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

/// Returns bytes as text, which is redacted as any other. No rule would find a secret in bytes of another kind, so only
/// their length and their hash are returned.
fn text_or_hash(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or_else(
        |error| {
            let bytes = error.as_bytes();
            let hash = hmac_sha256::Hash::hash(bytes);
            let mut hex = String::with_capacity(2 * hash.len());
            hash.iter().for_each(|byte| write!(hex, "{byte:02x}").expect("a String accepts any"));
            json!({"bytes": bytes.len(), "sha256": hex})
        },
        Value::String,
    )
}

/// Returns the text of a value; lists and objects have none, and an empty text counts as none.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Returns a number, also one that is written as text.
fn number_of(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

/// Returns a number from 0, also one that is written as text. Clocks that are set back make negative ones.
pub(super) fn latency_of(value: &Value) -> Option<f64> {
    number_of(value).filter(|number| *number >= 0.0)
}

/// Returns a whole number from 0, also one that is written as text.
pub(super) fn count_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Returns an amount of dollars, also one that is written as text.
pub(super) fn cost_of(value: &Value) -> Option<Usd> {
    let text = value.as_str().and_then(|text| text.trim().parse().ok());
    text.or_else(|| Usd::try_from(value.as_f64()?).ok())
}

/// Returns a number as JSON, also one that is written as text; `None` for anything else.
pub(super) fn number_json_of(value: &Value) -> Option<Value> {
    let count = count_of(value).map(Value::from);
    count.or_else(|| number_of(value).map(Value::from))
}

/// Returns a value that may be a count. Lists and objects become a value that is not one.
pub(super) fn count_json_of(value: &Value) -> Json<'_> {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(count), _) => count.into(),
            (None, number) => number.unwrap_or_default().into(),
        },
        _ => false.into(),
    }
}

/// Returns a boolean, also one that is written as text.
pub(super) fn bool_of(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

/// Returns a content as the value of its JSON, so that values under sensitive keys are redacted. A long one stays a text,
/// because its value may take a hundred times the memory.
pub(super) fn content_of(value: Value) -> Value {
    match &value {
        Value::String(text) if text.len() > JSON_BYTES_MAX => value,
        Value::String(text) if text.trim_start().starts_with(['{', '[', '"']) => {
            serde_json::from_str(text).unwrap_or(value)
        }
        _ => value,
    }
}

/// Returns the id of these bytes, unless they are of another length or all zero.
pub(super) fn trace_id_of(bytes: &[u8]) -> Option<u128> {
    bytes.try_into().ok().map(u128::from_be_bytes).filter(|id| *id != 0)
}

/// Returns the id of these bytes, unless they are of another length or all zero.
pub(super) fn span_id_of(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes).filter(|id| *id != 0)
}

/// Returns microseconds; 0 means that the time is not known.
pub(super) fn micros_of(nanos: u64) -> Option<i64> {
    i64::try_from(nanos / 1_000).ok().filter(|micros| *micros != 0)
}
