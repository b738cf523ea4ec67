//! Attributes that no sender would send.

use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::Event;

use super::super::presets::{JUDGEMENTS, PRESETS};
use super::super::table::To;
use super::*;

/// Every name of every table, and where it goes.
fn names() -> Vec<(&'static str, To)> {
    let rows =
        PRESETS.iter().flat_map(|preset| preset.rows.iter().copied().flatten()).chain(JUDGEMENTS);
    rows.flat_map(|row| row.names.iter().map(|name| (*name, row.to))).collect()
}

const RECORDS: [&str; 10] = [
    "claude_code.api_request",
    "claude_code.tool_result",
    "codex.sse_event",
    "codex.tool_result",
    "gemini_cli.api_response",
    "gemini_cli.tool_call",
    "gen_ai.choice",
    "eval.result",
    "feedback.given",
    "anything else",
];

#[test]
fn no_value_is_lost_that_is_not_what_its_name_says() {
    let mapper = Mapper::new(true);
    for record in RECORDS {
        for (name, _) in names().into_iter().filter(|(_, to)| ![To::Query, To::Time].contains(to)) {
            let value = "a value like no other";
            let attributes = vec![text(name, value)];
            let span = Span { name: record.to_owned(), attributes, ..Span::default() };
            let mut events = mapped_spans(&mapper, "any", vec![span.clone()]);
            let log = LogRecord {
                event_name: record.to_owned(),
                attributes: span.attributes,
                ..LogRecord::default()
            };
            events.extend(mapped_logs(&mapper, "any", vec![log]));
            // The name of a span is not in its attributes.
            let is_type = name == "event.name";
            for event in events.iter().skip(usize::from(is_type)) {
                assert!(format!("{event:?}").contains(value), "{record} {name}: {event:?}");
            }
        }
    }
}

fn value(rng: &mut fastrand::Rng, depth: u32) -> Any {
    let any = |rng: &mut fastrand::Rng| AnyValue {
        value: (rng.u8(..8) > 0).then(|| value(rng, depth + 1)),
    };
    let key = |rng: &mut fastrand::Rng| ["content", "a", "", "password"][rng.usize(..4)];
    match rng.u8(..if depth > 3 { 6 } else { 8 }) {
        0 => Any::StringValue(
            ["", "12", "-1", "1e400", "NaN", "true", "{\"a\":", "[1,2]", "é\u{0}", "[TRUNCATED"]
                [rng.usize(..10)]
            .to_owned(),
        ),
        1 => Any::BoolValue(rng.bool()),
        2 => Any::IntValue(*rng.choice(&[0, -1, 7, i64::MAX, i64::MIN]).expect("one")),
        3 => Any::DoubleValue(*rng.choice(&[0.0, -0.5, f64::NAN, f64::MAX]).expect("one")),
        4 => Any::BytesValue(vec![0; rng.usize(..9)]),
        5 => Any::StringValueStrindex(rng.i32(..)),
        6 => Any::ArrayValue(ArrayValue { values: (0..rng.u8(..4)).map(|_| any(rng)).collect() }),
        _ => {
            let values = (0..rng.u8(..4)).map(|_| KeyValue {
                key: key(rng).to_owned(),
                value: Some(any(rng)),
                ..KeyValue::default()
            });
            Any::KvlistValue(KeyValueList { values: values.collect() })
        }
    }
}

fn attributes(rng: &mut fastrand::Rng, names: &[(&str, To)]) -> Vec<KeyValue> {
    let numbered = ["gen_ai.prompt.0.content", "llm.prompts.99999999999.a", "gen_ai.prompt..", "x"];
    let one = |rng: &mut fastrand::Rng| {
        let name = match rng.u8(..4) {
            0 => numbered[rng.usize(..numbered.len())],
            _ => names[rng.usize(..names.len())].0,
        };
        attribute(name, value(rng, 0))
    };
    (0..rng.usize(..24)).map(|_| one(rng)).collect()
}

/// Whatever the values are, each record becomes an event of JSON, with a type and an agent, or is skipped.
#[test]
fn any_values_become_an_event() {
    let (mut rng, names) = (fastrand::Rng::with_seed(11), names());
    let mapper = Mapper::new(true);
    for _ in 0..3_000 {
        let record = RECORDS[rng.usize(..RECORDS.len())].to_owned();
        let scope = ["any", "llm-audit"][rng.usize(..2)];
        let bytes = |rng: &mut fastrand::Rng| vec![rng.u8(..2); rng.usize(..20)];
        let event = Event { attributes: attributes(&mut rng, &names), ..Event::default() };
        let span = Span {
            name: record.clone(),
            trace_id: bytes(&mut rng),
            span_id: bytes(&mut rng),
            start_time_unix_nano: rng.u64(..),
            end_time_unix_nano: rng.u64(..),
            attributes: attributes(&mut rng, &names),
            events: vec![Event { name: record.clone(), ..event.clone() }, event],
            ..Span::default()
        };
        let log = LogRecord {
            event_name: record,
            severity_number: rng.i32(..),
            body: Some(AnyValue { value: Some(value(&mut rng, 0)) }),
            attributes: attributes(&mut rng, &names),
            ..LogRecord::default()
        };
        let mut events = mapped_spans(&mapper, scope, vec![span]);
        events.extend(mapped_logs(&mapper, scope, vec![log]));
        for event in events {
            assert!(!event.event_type.is_empty() && !event.agent.is_empty(), "{event:?}");
            serde_json::to_string(&event.data).expect("JSON");
        }
    }
}
