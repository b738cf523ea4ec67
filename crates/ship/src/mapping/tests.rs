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
        "data":{"model":"gpt-4o","provider":"openai","conversation":"c1","user":"u_1","tenant":"acme"}"#;
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
            ("tenant.id", "acme"),
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
fn a_span_has_the_kind_the_content_and_the_cost_of_open_inference() {
    let of = |event_type: &str, rest: &str| {
        let rest = format!(
            r#""event_type":"{event_type}","action":"a","status":"ok","latency_ms":1,"cost_usd":0.25{rest}"#
        );
        mapped(&event(DRAWN, &rest), None, |record| {
            let Record::Span(span) = record else { panic!("{record:?}") };
            let cost = span.attributes.iter().any(|(key, _)| key == "llm.cost.total");
            let text = |name| attribute(&span.attributes, name).map(str::to_owned);
            (text("openinference.span.kind"), cost, text("input.value"), text("output.value"))
        })
    };
    let some = |text: &str| Some(text.to_owned());
    let asked = r#","data":{"model":"m","prompt":[{"role":"user"}],"completion":"yes"}"#;
    assert_eq!(
        of("llm.invoke", asked),
        (some("LLM"), true, some(r#"[{"role":"user"}]"#), some("yes"))
    );
    let found = r#","data":{"result":{"rows":2}}"#;
    assert_eq!(of("tool.result", found), (some("TOOL"), false, None, some(r#"{"rows":2}"#)));
    for (event_type, kind) in
        [("request.end", "AGENT"), ("agent.invoke", "AGENT"), ("api.call", "CHAIN")]
    {
        assert_eq!(of(event_type, ""), (some(kind), false, None, None), "{event_type}");
    }
}

#[test]
fn an_evaluation_is_the_event_of_the_genai_conventions() {
    let rest = r#""event_type":"eval.result","action":"tone","status":"ok","latency_ms":5,
        "data":{"name":"tone","score":0.5,"label":"pass","explanation":"kind"}"#;
    mapped(&event(DRAWN, rest), None, |record| {
        let Record::Log(log) = record else { panic!("{record:?}") };
        assert_eq!(log.event_name, "gen_ai.evaluation.result");
        let (trace, span) = log.ids.expect("those of the judged span");
        assert_eq!(format!("{trace:032x}{span:016x}"), format!("{DRAWN}8ffb1bbb905c172d"));
        for (name, value) in [
            ("gen_ai.evaluation.name", "tone"),
            ("gen_ai.evaluation.score.label", "pass"),
            ("gen_ai.evaluation.explanation", "kind"),
            ("llm_audit.event_type", "eval.result"),
        ] {
            assert_eq!(attribute(&log.attributes, name), Some(value), "{name}");
        }
        let score = ("gen_ai.evaluation.score.value".into(), AttributeValue::Double(0.5));
        assert!(log.attributes.contains(&score));
    });
}

#[test]
fn a_request_of_mcp_has_the_attributes_of_the_conventions() {
    let rest = r#""event_type":"mcp.request","action":"prompts/get explain","status":"ok","latency_ms":1,
        "data":{"mcp.method.name":"prompts/get","gen_ai.prompt.name":"explain","jsonrpc.request.id":"7"}"#;
    mapped(&event(DRAWN, rest), None, |record| {
        let Record::Span(span) = record else { panic!("{record:?}") };
        assert_eq!(&*span.name, "prompts/get explain");
        for (key, value) in [
            ("mcp.method.name", Some("prompts/get")),
            ("gen_ai.prompt.name", Some("explain")),
            ("jsonrpc.request.id", Some("7")),
            ("mcp.session.id", None),
        ] {
            assert_eq!(attribute(&span.attributes, key), value, "{key}");
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
    // A judgement has the ids of the span that it judges, which stays one.
    parent_of(line(7, 4, r#""event_type":"eval.result""#));
    assert_eq!(parent_of(line(10, 7, took)), Some(7));
}

/// Maps lines of a logger that draws a quarter of the traces. Returns the spans with their parents, and the log
/// records, by their span ids.
fn mapped_in_order(
    lines: &[(u64, u64, &str)],
    rates: &SamplingRates,
) -> Vec<(u64, Option<u64>, bool)> {
    let mut mapper = Mapper::default();
    let each = |(span, parent, rest): &(u64, u64, &str)| {
        let mut bytes = format!(
            r#"{{"instance":"4c8e78a91890a010","trace_id":"{NOT_DRAWN}","span_id":"{span:016x}",
            "parent_span_id":"{parent:016x}","timestamp":"2026-11-29T23:00:40Z","agent":"a","action":"b",
            "latency_ms":9,{rest}}}"#
        )
        .into_bytes();
        match mapper.map(&parse(&mut bytes).unwrap(), Some(rates)) {
            Record::Span(of) => (of.span_id, of.parent_span_id, true),
            Record::Log(of) => (of.ids.unwrap().1, None, false),
        }
    };
    lines.iter().map(each).collect()
}

fn sampled() -> SamplingRates {
    let mut start =
        br#"{"event_type":"audit.start","data":{"sampling":{"trace_rate":0.25,"success_rate":0.1,
        "error_rate":1,"failed_traces":"whole","slow_threshold_ms":1500}}}"#
            .to_vec();
    let Some(ReadNotice::Start(started)) = ReadNotice::of(&parse(&mut start).unwrap()) else {
        panic!("not read")
    };
    started.rates.unwrap()
}

#[test]
fn no_span_of_a_kept_trace_is_below_one_that_was_not_sent() {
    const DRAWN_ALONE: &str = r#""event_type":"llm.invoke","status":"ok""#;
    const SLOW: &str = r#""event_type":"llm.invoke","status":"ok","kept":"slow""#;
    const CUSTOM: &str = r#""event_type":"my.step","status":"ok","kept":"slow""#;
    const OF_PARENT: &str = r#""event_type":"tool.result","status":"ok","kept":"parent""#;
    const HELD: &str = r#""event_type":"tool.result","status":"ok","kept":"failed""#;
    const FAILURE: &str = r#""event_type":"tool.error","status":"error""#;
    // The rates alone decide on events of failed traces, so nothing is known of its parent.
    let mut rates = sampled();
    rates.keeps_failed_traces = false;
    assert_eq!(mapped_in_order(&[(4, 3, FAILURE)], &rates), [(4, None, false)]);
    for kept in [FAILURE, OF_PARENT, HELD] {
        for alone in [DRAWN_ALONE, SLOW, CUSTOM] {
            // Before the trace is known to be kept: 3 is not sent as a span, and 4 goes below 2.
            let lines = [(3, 2, alone), (4, 3, kept), (2, 1, alone)];
            let expected = [(3, None, false), (4, Some(2), true), (2, Some(1), true)];
            assert_eq!(mapped_in_order(&lines, &sampled()), expected, "{kept} {alone}");
        }
    }
}
