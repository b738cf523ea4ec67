//! Bodies in the JSON of OTLP.
//!
//! The types of `opentelemetry-proto` take less than the specification allows. They refuse `null` for a member that is
//! not set, lists without `values`, and texts for numbers. They also refuse what JavaScript makes of texts and integers.
//! So the JSON is mended before. A record that is still not one is left out, and the others are recorded.

use std::borrow::Cow;

use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use super::{Decoded, check_size};
use crate::answer::{Accepted, Refusal, Signal};

/// An estimate of what an object of serde_json takes: a node of a tree with room for eleven members.
const OBJECT_BYTES: usize = 700;
/// What a member or an item takes, as a list can have twice the places that it needs.
const ITEM_BYTES: usize = 64;
/// Below it a double has every whole number.
const WHOLE_MAX: f64 = (1_u64 << 53) as f64;
/// The member of a body that has its records, and the path it is sent to.
const ROOTS: [(&str, &str); 3] = [
    ("resourceLogs", "/v1/logs"),
    ("resourceSpans", "/v1/traces"),
    ("resourceMetrics", "/v1/metrics"),
];
/// Members that are numbers, and that some senders write as texts.
const NUMBERS: [&str; 7] = [
    "severityNumber",
    "droppedAttributesCount",
    "droppedEventsCount",
    "droppedLinksCount",
    "flags",
    "kind",
    "code",
];

/// Returns the message, without the records that cannot be read.
pub(super) fn decode_json(signal: Signal, body: &[u8]) -> Result<(Decoded, Accepted), Refusal> {
    check_size(0, estimated_bytes(body))?;
    let parsed = serde_json::from_slice(body);
    let parsed = parsed.or_else(|_| serde_json::from_slice(&without_lone_surrogates(body)));
    let mut value: Value = parsed.map_err(malformed)?;
    if !value.is_object() {
        return Err(Refusal::malformed("not OTLP: the body is not an object"));
    }
    check_root(&value, signal)?;
    check_size(count_records(&value, signal), 0)?;
    mend(&mut value);
    Ok(match signal {
        Signal::Logs => {
            let (request, left_out) = read::<_, LogRecord>(value, signal)?;
            (Decoded::Logs(request), left_out)
        }
        Signal::Traces => {
            let (request, left_out) = read::<_, Span>(value, signal)?;
            (Decoded::Traces(request), left_out)
        }
        Signal::Metrics => (Decoded::Metrics(count_records(&value, signal)), Accepted::default()),
    })
}

/// Refuses records of another signal. As unknown members they would be lost, and the sender would not know.
fn check_root(value: &Value, signal: Signal) -> Result<(), Refusal> {
    let is_misplaced = |(root, path): &&(&str, &str)| {
        value.get(root).is_some() && Signal::from_path(path) != Some(signal)
    };
    ROOTS.iter().find(is_misplaced).map_or(Ok(()), |(root, path)| {
        Err(Refusal::malformed(format!("the body has {root}, which belongs to {path}")))
    })
}

fn malformed(error: serde_json::Error) -> Refusal {
    Refusal::malformed(format!("not OTLP: {error}"))
}

/// Reads a request, if need be without the records that are not of type `R`.
fn read<T: DeserializeOwned, R: DeserializeOwned>(
    mut value: Value,
    signal: Signal,
) -> Result<(T, Accepted), Refusal> {
    let error = match T::deserialize(&value) {
        Ok(request) => return Ok((request, Accepted::default())),
        Err(error) => error,
    };
    let rejected = drop_unreadable::<R>(&mut value, list_name(signal));
    let why = Some(format!("a record is not OTLP: {error}"));
    T::deserialize(&value).map(|request| (request, Accepted { rejected, why })).map_err(malformed)
}

/// Removes the records that are not of type `R` from the lists of this name, and returns how many.
fn drop_unreadable<R: DeserializeOwned>(value: &mut Value, name: &str) -> u64 {
    let Value::Object(members) = value else { return 0 };
    let lists = members.iter_mut().filter_map(|(of, list)| Some((of, list.as_array_mut()?)));
    lists.fold(0, |dropped, (of, list)| {
        let before = list.len();
        if of == name {
            list.retain(|record| R::deserialize(record).is_ok());
        }
        let below = list.iter_mut().map(|item| drop_unreadable::<R>(item, name)).sum::<u64>();
        dropped + (before - list.len()) as u64 + below
    })
}

/// Returns an estimate of the memory of the parsed body, from its punctuation outside of texts.
fn estimated_bytes(body: &[u8]) -> usize {
    let (mut bytes, mut in_text, mut is_escaped) = (0, false, false);
    for byte in body {
        bytes += match byte {
            b'{' if !in_text => OBJECT_BYTES,
            b'[' | b',' if !in_text => ITEM_BYTES,
            _ => 1,
        };
        in_text ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    bytes
}

/// Returns the body with U+FFFD for each half of a surrogate pair that lacks the other. JavaScript writes one if it cuts
/// a text in the middle of a character.
fn without_lone_surrogates(body: &[u8]) -> Cow<'_, [u8]> {
    let (mut mended, mut at) = (Cow::Borrowed(body), 0);
    while let Some(found) = body[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        let next = escaped_unit(body, at + 6);
        let length = match escaped_unit(body, at) {
            Some(0xD800..0xDC00) if matches!(next, Some(0xDC00..0xE000)) => 12,
            Some(0xD800..0xE000) => {
                mended.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            _ => 2,
        };
        at = body.len().min(at + length);
    }
    mended
}

/// Returns the UTF-16 unit of an escape such as `\ud83d`.
fn escaped_unit(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns the name of the lists of records.
fn list_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "logRecords",
        Signal::Traces => "spans",
        Signal::Metrics => "dataPoints",
    }
}

/// Returns the number of log records, spans or data points.
fn count_records(value: &Value, signal: Signal) -> u64 {
    let name = list_name(signal);
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
    if let Some(value) = members.remove("intValue") {
        let (name, value) = mended_int(value);
        members.insert(name.to_owned(), value);
    }
    for (name, value) in members.iter_mut() {
        match (name.as_str(), &mut *value) {
            ("arrayValue" | "kvlistValue", Value::Object(list)) => {
                list.entry("values").or_insert_with(|| Value::Array(Vec::new()));
            }
            ("doubleValue", Value::String(text)) => {
                // Not a number or infinite: JSON has no such number, and neither has the log.
                *value = text.parse().ok().and_then(Number::from_f64).into();
            }
            ("boolValue", Value::String(text)) => *value = text.parse::<bool>().ok().into(),
            (name, Value::String(text)) if NUMBERS.contains(&name) => {
                *value = number_of(text).into();
            }
            ("attributes" | "values", Value::Array(items)) => {
                items.iter_mut().for_each(name_attribute)
            }
            _ => {}
        }
        mend(value);
    }
    members.retain(|_, value| !value.is_null());
}

/// Returns the member that an `intValue` has to be. JavaScript has fractions and numbers over 64 bits there.
fn mended_int(value: Value) -> (&'static str, Value) {
    let text = value.as_str().map(str::trim);
    let number = value.as_f64().or_else(|| text?.parse().ok());
    let whole = number.filter(|number| number.fract() == 0.0 && number.abs() < WHOLE_MAX);
    let int = value.as_i64().or_else(|| text?.parse().ok()).or(whole.map(|whole| whole as i64));
    if let Some(int) = int {
        return ("intValue", int.into());
    }
    match number.and_then(Number::from_f64) {
        Some(number) => ("doubleValue", Value::Number(number)),
        None => ("stringValue", value),
    }
}

/// Returns the number in a text, or that of an enumeration's name.
fn number_of(text: &str) -> Option<i64> {
    let severity = || Some(SeverityNumber::from_str_name(text)? as i64);
    let kind = || Some(SpanKind::from_str_name(text)? as i64);
    let status = || Some(StatusCode::from_str_name(text)? as i64);
    text.trim().parse().ok().or_else(severity).or_else(kind).or_else(status)
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

    fn logs(records: &[Value]) -> (Vec<LogRecord>, Accepted) {
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
        let decoded = decode_json(Signal::Logs, body.as_bytes());
        let Ok((Decoded::Logs(mut request), left_out)) = decoded else { panic!("refused") };
        (request.resource_logs.remove(0).scope_logs.remove(0).log_records, left_out)
    }

    #[test]
    fn the_forms_of_the_specification_are_accepted() {
        let record = json!({
            "timeUnixNano": "1544712660300000000",
            "observedTimeUnixNano": 1544712660300000000_u64,
            "severityNumber": "10",
            "droppedAttributesCount": "3",
            "flags": "some",
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
                {"key": "large", "value": {"intValue": 1e21}},
                {"key": "over", "value": {"intValue": "9223372036854775808"}},
                {"key": "whole", "value": {"intValue": 7.0}},
                {"key": "spaces", "value": {"intValue": " 7 "}},
                {"key": "half", "value": {"intValue": 0.5}},
                {"key": "words", "value": {"intValue": "many"}},
                {"key": "bool", "value": {"boolValue": "true"}},
            ],
        });
        let (records, left_out) = logs(&[record]);
        let record = &records[0];
        assert_eq!(left_out, Accepted::default());
        assert_eq!(record.time_unix_nano, record.observed_time_unix_nano);
        assert_eq!((record.trace_id.len(), record.span_id.len()), (16, 8));
        let value = |name: &str| {
            let attribute = record.attributes.iter().find(|attribute| attribute.key == name);
            attribute.unwrap().value.as_ref().and_then(|value| value.value.clone())
        };
        assert_eq!(value("int"), Some(Any::IntValue(10)));
        assert_eq!(value("number"), Some(Any::IntValue(10)));
        assert_eq!((record.severity_number, record.dropped_attributes_count), (10, 3));
        for (name, number) in
            [("double", 2.5), ("large", 1e21), ("over", 2_f64.powi(63)), ("half", 0.5)]
        {
            assert_eq!(value(name), Some(Any::DoubleValue(number)), "{name}");
        }
        assert_eq!(
            (value("whole"), value("spaces")),
            (Some(Any::IntValue(7)), Some(Any::IntValue(7)))
        );
        assert_eq!(value("words"), Some(Any::StringValue("many".to_owned())));
        assert_eq!(value("bool"), Some(Any::BoolValue(true)));
        assert!(matches!(value("list"), Some(Any::ArrayValue(list)) if list.values.is_empty()));
        for name in ["nan", "none", "null", "other"] {
            assert_eq!(value(name), None, "{name}");
        }
    }

    #[test]
    fn other_json_is_malformed() {
        for body in ["", "[]", "1", "{", "{\"resourceLogs\":{}}"] {
            assert!(decode_json(Signal::Logs, body.as_bytes()).is_err(), "{body}");
        }
        let deep = format!("{{\"resourceLogs\":{}", "[".repeat(100_000));
        assert!(decode_json(Signal::Logs, deep.as_bytes()).is_err());
        assert!(decode_json(Signal::Logs, b"{}").is_ok());
    }

    #[test]
    fn a_record_that_is_not_one_is_left_out_alone() {
        for record in [json!(1), json!({"traceId": "xyz"}), json!({"timeUnixNano": "soon"})] {
            let (records, left_out) = logs(&[json!({}), record.clone(), json!({"eventName": "a"})]);
            assert_eq!((records.len(), left_out.rejected), (2, 1), "{record}");
            assert_eq!(records[1].event_name, "a");
            assert!(left_out.why.is_some_and(|why| why.starts_with("a record is not OTLP: ")));
        }
    }

    #[test]
    fn names_of_enumerations_are_numbers() {
        for (name, number) in
            [("STATUS_CODE_ERROR", 2), ("SPAN_KIND_CLIENT", 3), ("SEVERITY_NUMBER_INFO", 9)]
        {
            assert_eq!(number_of(name), Some(number), "{name}");
        }
        assert_eq!(number_of("other"), None);
    }

    #[test]
    fn half_a_character_is_replaced() {
        let cases = [
            (r"a\ud83d", "a\u{FFFD}"),
            (r"\ud83db", "\u{FFFD}b"),
            (r"\ude00\ud83d\ud83d\ude00", "\u{FFFD}\u{FFFD}\u{1F600}"),
            (r"\uD83D\n\\ud83d", "\u{FFFD}\n\\ud83d"),
        ];
        for (escaped, expected) in cases {
            let body = format!(r#"{{"resourceLogs":[{{"schemaUrl":"{escaped}"}}]}}"#);
            let decoded = decode_json(Signal::Logs, body.as_bytes());
            let Ok((Decoded::Logs(request), _)) = decoded else { panic!("{body}") };
            assert_eq!(request.resource_logs[0].schema_url, expected);
        }
        for body in [r"\", r"\ud83", r"\u", r"\ud83d\"] {
            assert!(decode_json(Signal::Logs, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn braces_in_a_text_are_not_weighed() {
        let text = r#"{"a":[{"b":"c\\"},{}]}"#.repeat(20_000);
        let (records, _) = logs(&[json!({"body": {"stringValue": text}}), json!({})]);
        assert_eq!(records.len(), 2);
        assert_eq!(estimated_bytes(br#"{"\"{":"\\","{":[]}"#), OBJECT_BYTES + 2 * ITEM_BYTES + 16);
    }

    #[test]
    fn objects_are_weighed_before_they_are_parsed() {
        let empty = format!("{{\"resourceLogs\":[{}]}}", vec!["{}"; 1 << 20].join(","));
        let Err(refusal) = decode_json(Signal::Logs, empty.as_bytes()) else { panic!("accepted") };
        assert_eq!(refusal.status, http::StatusCode::PAYLOAD_TOO_LARGE);
    }
}
