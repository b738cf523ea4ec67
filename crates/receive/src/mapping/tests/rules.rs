//! What holds for every sender.

use std::fs;

use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::Status as TraceStatus;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use serde_json::{Value, json};

use super::super::CONTENT;
use super::*;

fn log(attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord { attributes, ..LogRecord::default() }
}

fn only(events: Vec<ReceivedEvent>) -> ReceivedEvent {
    let [event] = <[_; 1]>::try_from(events).expect("one event");
    event
}

fn request(name: &str) -> String {
    let path = format!("{}/testdata/{name}.json", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).expect("a request")
}

#[test]
fn gaps_in_a_senders_numbers_are_told() {
    let mapper = Mapper::default();
    let missing = |session: &str, number: i64| {
        let attributes = vec![
            text("event.name", "claude_code.user_prompt"),
            text("session.id", session),
            attribute("event.sequence", Any::IntValue(number)),
        ];
        let event = only(mapped_logs(&mapper, "any", vec![log(attributes)]));
        assert_eq!(event.data["origin"]["sequence"], number);
        event.data["origin"].get("missing").and_then(Value::as_u64)
    };
    // Of the first record it is not known what came before.
    assert_eq!(missing("a", 7), None);
    assert_eq!(missing("a", 8), None);
    assert_eq!(missing("b", 3), None);
    assert_eq!(missing("a", 12), Some(3));
    // One that comes late, and one that comes twice.
    assert_eq!(missing("a", 10), None);
    assert_eq!(missing("a", 12), None);
    assert_eq!(missing("a", 13), None);
    // Another process continues the session. The first one may go on, too.
    assert_eq!(missing("a", 0), None);
    assert_eq!(missing("a", 2), Some(1));
    assert_eq!(missing("a", 14), None);
    assert_eq!(missing("a", 3), None);
    assert_eq!(missing("b", i64::MAX), Some(i64::MAX as u64 - 4));
}

#[test]
fn an_evaluation_has_the_ids_of_what_it_judges() {
    let attributes = vec![
        text("gen_ai.evaluation.name", "faithfulness"),
        attribute("gen_ai.evaluation.score.value", Any::DoubleValue(0.8)),
        text("gen_ai.evaluation.score.label", "pass"),
        text("gen_ai.evaluation.explanation", "quotes"),
        text("gen_ai.conversation.id", "c-1"),
    ];
    for captures in [false, true] {
        let record = LogRecord {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            event_name: "gen_ai.evaluation.result".to_owned(),
            ..log(attributes.clone())
        };
        let event = only(mapped_logs(&Mapper::new(captures), "any", vec![record]));
        assert_eq!((&*event.event_type, &*event.action), ("eval.result", "faithfulness"));
        let judged = (u128::from_be_bytes([1; 16]), u64::from_be_bytes([2; 8]));
        assert_eq!((event.trace_id, event.span_id), (Some(judged.0), Some(judged.1)));
        assert_eq!(event.parent_span_id, None);
        let data = &event.data;
        assert_eq!((&data["score"], &data["label"]), (&json!(0.8), &json!("pass")));
        assert_eq!((&data["name"], &data["conversation"]), (&json!("faithfulness"), &json!("c-1")));
        assert_eq!(data.get("explanation").is_some(), captures);
    }
}

#[test]
fn judgements_under_the_names_of_the_log_are_those_of_the_log() {
    let attributes = || {
        vec![
            text("thumb", "down"),
            text("score", "-0.5"),
            text("name", "tone"),
            text("label", "rude"),
            text("comment", "said a secret"),
            text("explanation", "tells a secret"),
        ]
    };
    for (event_name, action) in [("feedback.given", "feedback"), ("eval.result", "tone")] {
        for captures in [false, true] {
            let record = LogRecord {
                span_id: vec![2; 8],
                event_name: event_name.to_owned(),
                body: Some(AnyValue { value: Some(Any::StringValue("a secret".to_owned())) }),
                ..log(attributes())
            };
            let event = only(mapped_logs(&Mapper::new(captures), "any", vec![record]));
            assert_eq!((&*event.event_type, &*event.action), (event_name, action));
            assert_eq!(event.span_id, Some(u64::from_be_bytes([2; 8])));
            let mut expected = json!({"thumb": "down", "score": -0.5, "name": "tone", "label": "rude", "origin": {"scope": "any"}});
            if captures {
                expected["comment"] = "said a secret".into();
                expected["explanation"] = "tells a secret".into();
                expected["body"] = "a secret".into();
            }
            assert_eq!(Value::Object(event.data), expected);
        }
    }
    // Elsewhere these names are the sender's own.
    let record = LogRecord { event_name: "order.placed".to_owned(), ..log(attributes()) };
    let event = only(mapped_logs(&Mapper::new(true), "any", vec![record]));
    assert_eq!(event.data["attributes"].as_object().expect("an object").len(), 6);
}

#[test]
fn a_judgement_among_the_events_of_a_span_is_an_event_of_its_own() {
    let event = |name: &str, attributes| Event {
        time_unix_nano: 3_000_000,
        name: name.to_owned(),
        attributes,
        ..Event::default()
    };
    let evaluation = vec![
        text("gen_ai.evaluation.name", "faithfulness"),
        attribute("gen_ai.evaluation.score.value", Any::DoubleValue(0.8)),
        text("gen_ai.evaluation.explanation", "quotes"),
    ];
    for captures in [false, true] {
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            attributes: vec![
                text("gen_ai.operation.name", "chat"),
                text("gen_ai.request.model", "m"),
            ],
            events: vec![
                event("gen_ai.evaluation.result", evaluation.clone()),
                event("other", vec![]),
                event("feedback.given", vec![text("thumb", "up")]),
            ],
            ..Span::default()
        };
        let events = mapped_spans(&Mapper::new(captures), "any", vec![span]);
        let types: Vec<_> = events.iter().map(|event| &*event.event_type).collect();
        assert_eq!(types, ["llm.invoke", "eval.result", "feedback.given"]);
        let [call, evaluation, feedback] = <[_; 3]>::try_from(events).expect("three events");
        for judgement in [&evaluation, &feedback] {
            let ids = |event: &ReceivedEvent| (event.trace_id, event.span_id);
            assert_eq!((ids(judgement), judgement.parent_span_id), (ids(&call), None));
            assert_eq!(judgement.timestamp, Some(3_000));
        }
        assert_eq!(call.data["events_count"], 1);
        assert_eq!((&*evaluation.action, &evaluation.data["score"]), ("faithfulness", &json!(0.8)));
        assert_eq!(evaluation.data.get("explanation").is_some(), captures);
        assert_eq!(feedback.data["thumb"], "up");
    }
}

#[test]
fn processes_have_numbers_of_their_own() {
    let mapper = Mapper::default();
    let missing = |name: &str, value: &str, number: i64| {
        let attributes =
            vec![text("session.id", "s"), attribute("event.sequence", Any::IntValue(number))];
        let resource = Some(Resource {
            attributes: vec![text(name, &format!("{name} {value}"))],
            ..Default::default()
        });
        let log_records = vec![log(attributes)];
        let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
        let resource_logs = vec![ResourceLogs { resource, scope_logs, ..Default::default() }];
        let mut events = Vec::new();
        mapper.logs(ExportLogsServiceRequest { resource_logs }, &mut |event| events.push(event));
        only(events).data["origin"].get("missing").and_then(Value::as_u64)
    };
    for name in ["service.name", "service.instance.id", "process.pid"] {
        assert_eq!(missing(name, "1", 40), None);
        assert_eq!(missing(name, "2", 7), None);
        assert_eq!(missing(name, "1", 41), None);
        assert_eq!(missing(name, "2", 9), Some(1));
    }
}

#[test]
fn a_function_of_codex_is_not_another_call_of_its_tool() {
    let attributes = vec![text("tool_name", "exec_command"), text("model", "gpt-5-codex")];
    let span = Span { name: "codex.dispatch".to_owned(), attributes, ..Span::default() };
    let event = only(mapped_spans(&Mapper::default(), "any", vec![span]));
    assert_eq!((&*event.event_type, &*event.action), ("span.end", "codex.dispatch"));
    assert_eq!(event.data["tool"], "exec_command");
}

#[test]
fn types_of_the_logs_own_lines_are_skipped() {
    let named = |name: &str| log(vec![text("event.name", name)]);
    let own = |event_type: &str| log(vec![text("llm_audit.event_type", event_type)]);
    for (scope, record) in [
        ("any", named("audit.start")),
        ("any", named("alert.fired")),
        ("llm-audit", own("audit.loss")),
    ] {
        let request = |records| ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                scope_logs: vec![ScopeLogs {
                    scope: Some(InstrumentationScope { name: scope.into(), ..Default::default() }),
                    log_records: records,
                    ..Default::default()
                }],
                ..Default::default()
            }],
        };
        let mut count = 0;
        let records = vec![record.clone(), named("order.placed"), record];
        let skipped = Mapper::default().logs(request(records), &mut |_| count += 1);
        assert_eq!((count, skipped.count), (1, 2), "{scope}");
        assert!(skipped.why.is_some_and(|why| why.contains("belongs to the log's own lines")));
    }
}

#[test]
fn an_operation_decides_the_type() {
    for (operation, event_type) in [("chat", "llm.invoke"), ("Re Rank", "gen_ai.Re Rank")] {
        let attributes = vec![text("gen_ai.operation.name", operation)];
        let span = Span { attributes, ..Span::default() };
        let event = only(mapped_spans(&Mapper::default(), "any", vec![span]));
        assert_eq!(event.event_type, event_type);
    }
}

#[test]
fn ids_and_times_that_say_nothing_are_left_out() {
    let of = |bytes: &[u8], time, observed| LogRecord {
        trace_id: bytes.to_vec(),
        span_id: bytes.to_vec(),
        time_unix_nano: time,
        observed_time_unix_nano: observed,
        ..LogRecord::default()
    };
    let records = vec![
        of(&[1; 16], 5_000, 7_000),
        of(&[1; 8], 0, 7_000),
        of(&[0; 16], 0, 0),
        of(&[0; 8], u64::MAX, 0),
        of(&[9; 17], 999, 0),
    ];
    let events = mapped_logs(&Mapper::default(), "any", records);
    let found = events.iter().map(|of| (of.trace_id, of.parent_span_id, of.timestamp));
    let ones = 0x0101_0101_0101_0101;
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            (Some(u128::from_be_bytes([1; 16])), None, Some(5)),
            (None, Some(ones), Some(7)),
            (None, None, None),
            (None, None, Some((u64::MAX / 1_000) as i64)),
            (None, None, None),
        ]
    );
    let span = |start, end| Span {
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..Span::default()
    };
    let spans = vec![span(2_000_000, 5_500_000), span(9, 3), span(0, 4_000), span(3_000, 0)];
    let events = mapped_spans(&Mapper::default(), "any", spans);
    let found = events.iter().map(|of| (of.timestamp, of.latency_ms));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [(Some(5_500), Some(3.5)), (None, None), (Some(4), None), (Some(3), None)]
    );
}

#[test]
fn values_that_json_has_not_become_texts() {
    let mut deep = Any::BoolValue(true);
    for _ in 0..2_000 {
        deep = Any::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(deep) }] });
    }
    let list = KeyValueList { values: vec![attribute("a", Any::BytesValue(vec![1, 255]))] };
    let attributes = vec![
        attribute("nan", Any::DoubleValue(f64::NAN)),
        attribute("inf", Any::DoubleValue(f64::NEG_INFINITY)),
        attribute("half", Any::DoubleValue(0.5)),
        attribute("list", Any::KvlistValue(list)),
        attribute("text", Any::BytesValue(b"ask ana@example.com".to_vec())),
        attribute("deep", deep),
        attribute("reference", Any::StringValueStrindex(1)),
    ];
    let event = only(mapped_logs(&Mapper::default(), "any", vec![log(attributes)]));
    let found = event.data["attributes"].as_object().expect("an object");
    assert_eq!(found["nan"], "NaN");
    assert_eq!(found["inf"], "-inf");
    assert_eq!(found["half"], 0.5);
    assert_eq!(
        found["list"],
        json!({"a": {"bytes": 2, "sha256": "4b3a43f592f577fcfcb5b0e1f42bec5182c9edc414e1f667528f56e7cf0be11d"}})
    );
    assert_eq!(found["text"], "ask ana@example.com");
    assert!(found["deep"].to_string().contains("[TOO_DEEP]"));
    assert!(!found.contains_key("reference"));
}

#[test]
fn attributes_that_no_table_knows_are_bounded_and_counted() {
    let attributes = (0..500).map(|n| text(&format!("own.{n}"), "x")).collect();
    let event = only(mapped_logs(&Mapper::default(), "any", vec![log(attributes)]));
    assert_eq!(event.data["attributes"].as_object().map(|of| of.len()), Some(128));
    assert_eq!(event.data["attributes_left_out"], 372);
}

#[test]
fn without_capture_no_event_has_content() {
    let contents =
        ["To Oslo?", "Read the notes", "secrets.txt", "text of a file", "Two notes", "3 trains"];
    let mut seen = 0;
    for name in [
        "claude_code_logs",
        "claude_code_spans",
        "codex_logs",
        "gemini_cli_logs",
        "gemini_cli_spans",
        "gen_ai_early_spans",
        "gen_ai_middle_logs",
        "gen_ai_middle_spans",
        "gen_ai_newest_logs",
        "gen_ai_newest_spans",
        "open_inference_spans",
    ] {
        let shown = |captures| format!("{:?}", mapped(&request(name), captures).0);
        let has = |shown: &str| contents.iter().filter(|of| shown.contains(**of)).count();
        assert_eq!(has(&shown(false)), 0, "{name}");
        seen += has(&shown(true));
        for event in mapped(&request(name), false).0 {
            assert!(CONTENT.iter().all(|member| !event.data.contains_key(*member)), "{event:?}");
        }
    }
    assert!(seen >= contents.len());
}

#[test]
fn without_capture_no_name_that_is_not_known_lets_content_in() {
    let content = "To Oslo?";
    let (long, json) = (content.repeat(40), format!("{{\"a\":\"{content}\"}}"));
    let list =
        ArrayValue { values: vec![AnyValue { value: Some(Any::StringValue(json.clone())) }] };
    let mut attributes = vec![
        text("gen_ai.new", &long),
        text("llm.new", &json),
        text("ai.new", &format!(" [\"{content}\"]")),
        text("langfuse.new", &long),
        text("own.long", &long),
        text("own.messages", &format!("[{{\"role\":\"user\",\"content\":\"{content}\"}}]")),
        text("url.query", content),
        attribute("gen_ai.list", Any::ArrayValue(list.clone())),
    ];
    for name in [
        "llm.prompts",
        "llm.prompts.0",
        "gen_ai.prompt.0",
        "gen_ai.completion.1",
        "gen_ai.event.content",
        "llm.function_call",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "ai.response.reasoning",
        "input",
        "output",
        "tool_input",
        "tool_output",
    ] {
        attributes.push(text(name, content));
    }
    for one in attributes {
        for captures in [false, true] {
            let mapper = Mapper::new(captures);
            let event = only(mapped_logs(&mapper, "any", vec![log(vec![one.clone()])]));
            let is_there = captures && one.key != "url.query";
            assert_eq!(format!("{event:?}").contains(content), is_there, "{one:?} {event:?}");
        }
    }
    let others = vec![
        text("gen_ai.new", "short"),
        text("gen_ai.left_out", &long),
        text("own", &json),
        attribute("own.list", Any::ArrayValue(list)),
    ];
    let event = only(mapped_logs(&Mapper::new(false), "any", vec![log(others)]));
    let kept = json!({"gen_ai.new": "short", "own": json, "own.list": [json]});
    assert_eq!((&event.data["attributes"], &event.data["attributes_left_out"]), (&kept, &json!(1)));
}

#[test]
fn a_url_has_no_query_and_a_latency_is_not_negative() {
    let of = |name, value| {
        let attributes = vec![text("event.name", "claude_code.api_error"), text(name, value)];
        only(mapped_logs(&Mapper::default(), "any", vec![log(attributes)]))
    };
    for url in ["https://a.example/b?c#d", "https://a.example/b#d?c", "https://a.example/b"] {
        assert_eq!(of("url.full", url).data["url"], "https://a.example/b");
    }
    assert_eq!(of("http.target", "/b?c").data["url"], "/b");
    for (value, latency) in [("-1", None), ("0", Some(0.0)), ("2.5", Some(2.5))] {
        assert_eq!(of("duration_ms", value).latency_ms, latency);
    }
}

#[test]
fn bodies_of_prompts_are_content() {
    for name in ["gen_ai.client.inference.operation.details", "codex.user_prompt"] {
        for captures in [false, true] {
            let record = LogRecord {
                event_name: name.to_owned(),
                severity_number: 17,
                body: Some(AnyValue { value: Some(Any::StringValue("To Oslo?".to_owned())) }),
                ..LogRecord::default()
            };
            let event = only(mapped_logs(&Mapper::new(captures), "any", vec![record]));
            assert_eq!(format!("{event:?}").contains("To Oslo?"), captures, "{event:?}");
        }
    }
}

#[test]
fn one_call_counts_once_however_many_signals_have_it() {
    for (signals, tokens) in [
        (&["claude_code_logs", "claude_code_spans"][..], (8969, 193)),
        (&["codex_logs"], (1200, 340)),
        (&["gemini_cli_logs", "gemini_cli_spans"], (2100, 195)),
        // One of its log records belongs to no span.
        (&["gen_ai_newest_logs", "gen_ai_newest_spans"], (18_000, 240)),
    ] {
        let events = signals.iter().flat_map(|name| mapped(&request(name), true).0);
        let sum = events.fold((0, 0), |sum, event| {
            let tokens = (event.tokens_input.unwrap_or(0), event.tokens_output.unwrap_or(0));
            assert!(tokens == (0, 0) || event.event_type == "llm.invoke", "{event:?}");
            (sum.0 + tokens.0, sum.1 + tokens.1)
        });
        assert_eq!(sum, tokens, "{signals:?}");
    }
}

#[test]
fn a_span_failed_if_its_status_or_its_error_says_so() {
    let exception = Event {
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", "E"), text("exception.message", "m")],
        ..Event::default()
    };
    let status = |code| Some(TraceStatus { code, ..TraceStatus::default() });
    let error = || vec![text("error.type", "Timeout")];
    for (code, attributes, events, expected) in [
        (2, vec![], vec![], ("error", Some("error"))),
        (2, vec![], vec![exception.clone()], ("error", Some("E"))),
        (0, error(), vec![], ("timeout", Some("Timeout"))),
        (0, error(), vec![exception.clone()], ("timeout", Some("Timeout"))),
        (0, vec![], vec![exception.clone(), exception.clone()], ("ok", None)),
        (1, error(), vec![exception], ("ok", None)),
        (0, vec![], vec![], ("ok", None)),
    ] {
        let span = Span { status: status(code), attributes, events, ..Span::default() };
        let event = only(mapped_spans(&Mapper::default(), "any", vec![span]));
        let error_type = event.error.as_ref().map(|error| error["type"].as_str().expect("a text"));
        assert_eq!((event.status.name(), error_type), expected, "{event:?}");
    }
}

#[test]
fn of_two_nested_calls_the_inner_one_counts() {
    let call = |span: u8, parent: u8| Span {
        trace_id: vec![1; 16],
        span_id: vec![span; 8],
        parent_span_id: vec![parent; 8],
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            attribute("gen_ai.usage.input_tokens", Any::IntValue(20)),
            attribute("gen_ai.usage.output_tokens", Any::IntValue(3)),
        ],
        ..Span::default()
    };
    let mapper = Mapper::default();
    let calls = vec![call(3, 2), call(4, 2)];
    let mut events = mapped_spans(&mapper, "client", calls);
    events.extend(mapped_spans(&mapper, "framework", vec![call(2, 1), call(1, 0)]));
    let found = events.iter().map(|event| (event.tokens_input, event.data.get("total").is_some()));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [(Some(20), false), (Some(20), false), (None, true), (None, true)]
    );
    // Some exporters send the outer one first.
    let events = mapped_spans(&mapper, "sorted", vec![call(7, 6), call(8, 7)]);
    let found = events.iter().map(|event| event.tokens_input);
    assert_eq!(found.collect::<Vec<_>>(), [None, Some(20)]);
}
