//! Bodies in the JSON of OTLP.
//!
//! The types of `opentelemetry-proto` take less than the specification allows. They refuse `null` for a member that is
//! not set, lists without `values`, and texts for the numbers of `doubleValue`. So the JSON is mended before.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Decoded, check_size};
use crate::answer::{Refusal, Signal};

/// An estimate of what an object of serde_json takes: a node of a tree with room for eleven members.
const OBJECT_BYTES: usize = 700;
/// What a member or an item takes, as a list can have twice the places that it needs.
const ITEM_BYTES: usize = 64;

pub(super) fn decode_json(signal: Signal, body: &[u8]) -> Result<Decoded, Refusal> {
    check_size(0, estimated_bytes(body))?;
    let malformed = |error: serde_json::Error| Refusal::malformed(format!("not OTLP: {error}"));
    let mut value: Value = serde_json::from_slice(body).map_err(malformed)?;
    if !value.is_object() {
        return Err(Refusal::malformed("not OTLP: the body is not an object"));
    }
    check_size(count_records(&value, signal), 0)?;
    mend(&mut value);
    Ok(match signal {
        Signal::Logs => Decoded::Logs(from_value(value)?),
        Signal::Traces => Decoded::Traces(from_value(value)?),
        Signal::Metrics => Decoded::Metrics(count_records(&value, signal)),
    })
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| Refusal::malformed(format!("not OTLP: {error}")))
}

/// Returns an estimate of the memory of the parsed body, from its punctuation. That of texts counts, too.
fn estimated_bytes(body: &[u8]) -> usize {
    let of = |byte: &u8| match byte {
        b'{' => OBJECT_BYTES,
        b'[' | b',' => ITEM_BYTES,
        _ => 1,
    };
    body.iter().map(of).sum()
}

/// Returns the number of log records, spans or data points.
fn count_records(value: &Value, signal: Signal) -> u64 {
    let name = match signal {
        Signal::Logs => "logRecords",
        Signal::Traces => "spans",
        Signal::Metrics => "dataPoints",
    };
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(member, value)| match value {
                Value::Array(items) if member == name => items.len() as u64,
                value => count_records(value, signal),
            })
            .sum(),
        Value::Array(items) => items.iter().map(|item| count_records(item, signal)).sum(),
        _ => 0,
    }
}

/// Makes of the value what the types accept. It is at most 128 levels deep, because it was parsed.
fn mend(value: &mut Value) {
    match value {
        Value::Object(members) => mend_object(members),
        Value::Array(items) => items.iter_mut().for_each(mend),
        _ => {}
    }
}

fn mend_object(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
    for (name, value) in members.iter_mut() {
        match (name.as_str(), &mut *value) {
            ("arrayValue" | "kvlistValue", Value::Object(list)) => {
                list.entry("values").or_insert_with(|| Value::Array(Vec::new()));
            }
            ("doubleValue", Value::String(text)) => {
                // Not a number or infinite: JSON has no such number, and neither has the log.
                let number = text.parse().ok().and_then(serde_json::Number::from_f64);
                *value = number.map_or(Value::Null, Value::Number);
            }
            ("attributes" | "values", Value::Array(items)) => {
                items.iter_mut().for_each(name_attribute)
            }
            _ => {}
        }
        mend(value);
    }
}

/// Gives an attribute without a name the empty one.
fn name_attribute(attribute: &mut Value) {
    if let Value::Object(members) = attribute {
        members.entry("key").or_insert_with(|| Value::String(String::new()));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use serde_json::json;

    use super::*;

    fn logs(record: Value) -> Result<Decoded, Refusal> {
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
        decode_json(Signal::Logs, body.to_string().as_bytes())
    }

    #[test]
    fn the_forms_of_the_specification_are_accepted() {
        let record = json!({
            "timeUnixNano": "1544712660300000000",
            "observedTimeUnixNano": 1544712660300000000_u64,
            "severityNumber": 10,
            "traceId": "5B8EFFF798038103D269B633813FC60C",
            "spanId": "eee19b7ec3c1b174",
            "body": null,
            "unknown": {"a": [1]},
            "attributes": [
                {"key": "int", "value": {"intValue": "10"}},
                {"key": "number", "value": {"intValue": 10}},
                {"key": "double", "value": {"doubleValue": "2.5"}},
                {"key": "nan", "value": {"doubleValue": "NaN"}},
                {"key": "list", "value": {"arrayValue": {}}},
                {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k"}]}}},
                {"key": "none", "value": {}},
                {"key": "null", "value": null},
                {"key": "other", "value": {"newValue": 1}},
            ],
        });
        let Ok(Decoded::Logs(request)) = logs(record) else { panic!("refused") };
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!(record.time_unix_nano, record.observed_time_unix_nano);
        assert_eq!((record.trace_id.len(), record.span_id.len()), (16, 8));
        let value = |name: &str| {
            let attribute = record.attributes.iter().find(|attribute| attribute.key == name);
            attribute.unwrap().value.as_ref().and_then(|value| value.value.clone())
        };
        assert_eq!(value("int"), Some(Any::IntValue(10)));
        assert_eq!(value("number"), Some(Any::IntValue(10)));
        assert_eq!(value("double"), Some(Any::DoubleValue(2.5)));
        assert!(matches!(value("list"), Some(Any::ArrayValue(list)) if list.values.is_empty()));
        for name in ["nan", "none", "null", "other"] {
            assert_eq!(value(name), None, "{name}");
        }
    }

    #[test]
    fn other_json_is_malformed() {
        for record in [json!(1), json!({"traceId": "xyz"}), json!({"timeUnixNano": "soon"})] {
            assert!(logs(record.clone()).is_err(), "{record}");
        }
        for body in ["", "[]", "1", "{", "{\"resourceLogs\":{}}"] {
            assert!(decode_json(Signal::Logs, body.as_bytes()).is_err(), "{body}");
        }
        let deep = format!("{{\"resourceLogs\":{}", "[".repeat(100_000));
        assert!(decode_json(Signal::Logs, deep.as_bytes()).is_err());
        assert!(decode_json(Signal::Logs, b"{}").is_ok());
    }

    #[test]
    fn objects_are_weighed_before_they_are_parsed() {
        let empty = format!("{{\"resourceLogs\":[{}]}}", vec!["{}"; 1 << 20].join(","));
        let Err(refusal) = decode_json(Signal::Logs, empty.as_bytes()) else { panic!("accepted") };
        assert_eq!(refusal.status, http::StatusCode::PAYLOAD_TOO_LARGE);
    }
}
