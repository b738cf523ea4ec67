use llm_audit_log::parse;
use llm_audit_log::schema::notices::ReadNotice;

use super::*;

/// The randomness of the first is the largest, that of the second the least.
const DRAWN: &str = "0af7651916cd43dd84ffffffffffffff";
const NOT_DRAWN: &str = "0af7651916cd43dd8400000000000000";

fn event(trace: &str, rest: &str) -> String {
    format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"4c8e78a91890a010\",\"seq\":1,\"trace_id\":\"{trace}\",\
         \"span_id\":\"8ffb1bbb905c172d\",\"timestamp\":\"2026-11-29T23:00:40.5Z\",\"agent\":\"benefits\",{rest}}}"
    )
}

fn mapped<R>(line: &str, rates: Option<f64>, each: impl FnOnce(Record<'_>) -> R) -> R {
    let mut start = format!(
        "{{\"event_version\":\"3.0\",\"instance\":\"4c8e78a91890a010\",\"event_type\":\"audit.start\",\
         \"timestamp\":\"2026-11-29T23:00:00Z\",\"agent\":\"a\",\"action\":\"b\",\"status\":\"ok\",\"data\":{{\"sampling\":\
         {{\"trace_rate\":{},\"success_rate\":0.1,\"error_rate\":1,\"slow_threshold_ms\":1500}}}}}}",
        rates.unwrap_or(1.0)
    )
    .into_bytes();
    let start = parse(&mut start).unwrap();
    let Some(ReadNotice::Start(started)) = ReadNotice::of(&start) else { panic!("not read") };
    let mut bytes = line.as_bytes().to_vec();
    let line = parse(&mut bytes).unwrap();
    each(Mapper::default().map(&line, started.rates.filter(|_| rates.is_some()).as_ref()))
}

fn attribute<'r>(attributes: &'r [Attribute<'_>], name: &str) -> Option<&'r str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| match value {
        AttributeValue::Text(text) => &**text,
        _ => panic!("{name} is a number"),
    })
}

#[test]
fn a_call_of_a_model_is_a_span_of_the_genai_conventions() {
    let rest = r#""event_type":"llm.invoke","action":"answer","status":"ok","latency_ms":250.5,
        "tokens_input":7,"tokens_output":3,"cost_usd":0.25,
        "data":{"model":"gpt-4o","provider":"openai","conversation":"c1","user":"u_1"}"#;
    mapped(&event(DRAWN, rest), None, |record| {
        let Record::Span(span) = record else { panic!("{record:?}") };
        assert_eq!((&*span.name, span.kind, span.error), ("chat gpt-4o", SpanKind::Client, None));
        assert_eq!(span.end - span.start, 250_500_000);
        assert_eq!(
            format!("{:032x}{:016x}", span.trace_id, span.span_id),
            format!("{DRAWN}8ffb1bbb905c172d")
        );
        for (name, value) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.conversation.id", "c1"),
            ("user.id", "u_1"),
        ] {
            assert_eq!(attribute(&span.attributes, name), Some(value), "{name}");
        }
        for (name, value) in [
            ("gen_ai.usage.input_tokens", AttributeValue::Int(7)),
            ("gen_ai.usage.output_tokens", AttributeValue::Int(3)),
            ("llm_audit.cost.usd", AttributeValue::Double(0.25)),
        ] {
            assert!(span.attributes.contains(&(name.into(), value)), "{name}");
        }
    });
}

#[test]
fn a_failure_has_its_type_and_message() {
    let rest = r#""event_type":"tool.error","action":"plan.search","status":"timeout","latency_ms":1,
        "error":{"message":"too late"}"#;
    mapped(&event(DRAWN, rest), None, |record| {
        let Record::Span(span) = record else { panic!("{record:?}") };
        assert_eq!((&*span.name, span.error), ("execute_tool plan.search", Some("too late")));
        assert_eq!(attribute(&span.attributes, "error.type"), Some("timeout"));
        assert_eq!(
            attribute(&span.attributes, "llm_audit.error"),
            Some(r#"{"message":"too late"}"#)
        );
    });
}

#[test]
fn what_took_no_time_is_a_log_record() {
    let rest = r#""event_type":"agent.route","action":"route.question","status":"ok""#;
    mapped(&event(DRAWN, rest), None, |record| {
        let Record::Log(log) = record else { panic!("{record:?}") };
        assert_eq!((log.event_name, log.severity), ("agent.route", Severity::Info));
        assert_eq!(log.time, Some(1_795_993_240_500_000_000));
        assert_eq!(log.ids.map(|(_, span)| span), Some(0x8ffb_1bbb_905c_172d));
    });
}

#[test]
fn what_another_event_ends_is_a_log_record() {
    for event_type in ["request.start", "tool.call"] {
        let rest =
            format!(r#""event_type":"{event_type}","action":"a","status":"ok","latency_ms":1"#);
        mapped(&event(DRAWN, &rest), None, |record| {
            assert!(matches!(record, Record::Log(_)), "{event_type}");
        });
    }
}

#[test]
fn only_traces_that_are_kept_whole_have_spans() {
    let took = r#""event_type":"tool.result","action":"a","status":"ok","latency_ms":9"#;
    let with = |kept: &str| format!(r#"{took},"kept":"{kept}""#);
    let failed = r#""event_type":"tool.error","action":"a","status":"error","latency_ms":9"#;
    for (trace, rest, rate, expected) in [
        (DRAWN, took.to_owned(), Some(0.25), Some("ot=th:c")),
        (NOT_DRAWN, took.to_owned(), Some(0.25), None),
        (NOT_DRAWN, took.to_owned(), Some(1.0), Some("")),
        (NOT_DRAWN, took.to_owned(), None, Some("")),
        (NOT_DRAWN, with("failed"), Some(0.25), Some("")),
        (NOT_DRAWN, with("parent"), Some(0.25), Some("")),
        (NOT_DRAWN, with("slow"), Some(0.25), None),
        (NOT_DRAWN, failed.to_owned(), Some(0.25), Some("")),
    ] {
        mapped(&event(trace, &rest), rate, |record| {
            let state = match &record {
                Record::Span(span) => Some(&*span.trace_state),
                Record::Log(_) => None,
            };
            assert_eq!(state, expected, "{trace} {rest} {rate:?}");
        });
    }
}

#[test]
fn a_span_below_an_event_without_time_is_below_the_span_above_it() {
    let line = |span: u64, parent: u64, rest: &str| {
        format!(
            r#"{{"trace_id":"{DRAWN}","span_id":"{span:016x}","parent_span_id":"{parent:016x}",
            "timestamp":"2026-11-29T23:00:40Z","agent":"a","action":"b","status":"ok",{rest}}}"#
        )
    };
    let point = |span, parent| line(span, parent, r#""event_type":"agent.route""#);
    let mut mapper = Mapper::default();
    let mut parent_of = |text: String| {
        let mut bytes = text.into_bytes();
        let line = parse(&mut bytes).unwrap();
        match mapper.map(&line, None) {
            Record::Span(span) => span.parent_span_id,
            Record::Log(_) => None,
        }
    };
    parent_of(point(2, 1));
    parent_of(point(3, 2));
    // Two that lead to each other.
    parent_of(point(8, 9));
    parent_of(point(9, 8));
    let took = r#""event_type":"tool.result","latency_ms":1"#;
    assert_eq!(parent_of(line(4, 3, took)), Some(1));
    assert_eq!(parent_of(line(5, 4, took)), Some(4));
    assert_eq!(parent_of(line(6, 9, took)), None);
}
