//! Model calls that are recorded by their future or their stream: one event each, whatever the end.
#![cfg(all(feature = "macros", not(loom)))]

use std::cell::Cell;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit::{AuditEvent, ErrorDetail, EventType, LlmCall, TraceContext, emit, record_stream};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Yields what it is given. After that it ends, or waits without end.
struct Items<T> {
    items: VecDeque<T>,
    is_endless: bool,
}

impl<T: Unpin> Stream for Items<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.items.pop_front() {
            None if self.is_endless => Poll::Pending,
            item => Poll::Ready(item),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.items.len(), None)
    }
}

fn items<T>(items: impl IntoIterator<Item = T>) -> Items<T> {
    Items { items: items.into_iter().collect(), is_endless: false }
}

fn good(chunks: &[Value]) -> impl Iterator<Item = io::Result<Value>> {
    chunks.iter().cloned().map(Ok)
}

/// Takes all items up to the end, or up to the first one that does not come; drops the stream.
fn take_all<S: Stream>(stream: S) -> Vec<S::Item> {
    let (mut stream, mut cx) = (pin!(stream), Context::from_waker(Waker::noop()));
    let mut next = || match stream.as_mut().poll_next(&mut cx) {
        Poll::Ready(item) => item,
        Poll::Pending => None,
    };
    std::iter::from_fn(&mut next).collect()
}

/// Polls once; drops the future.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn events(seen: &Capture) -> Vec<Value> {
    seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn only(seen: &Capture) -> Value {
    let mut events = events(seen);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn call() -> LlmCall<'static> {
    LlmCall::new("benefits", "chat", "openai", "gpt-4o")
}

fn openai() -> Vec<Value> {
    let chunk = |delta: Value, reason: Value| {
        json!({"object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06", "usage": null,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    };
    vec![
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": "Gold"}), Value::Null),
        chunk(json!({"content": " plan"}), Value::Null),
        chunk(json!({}), json!("stop")),
        json!({"object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06", "choices": [],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}}),
    ]
}

fn anthropic() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"model": "claude-sonnet-4-5-20250929", "content": [],
            "usage": {"input_tokens": 4, "cache_read_input_tokens": 8000, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": "plans", "input": {}}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 100}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn a_good_stream_is_one_call_with_tokens_and_cost() {
    let seen = capture();
    let stream = call().attempt(2).stream(items(good(&openai())));
    assert_eq!(stream.size_hint(), (5, None));
    let passed: Vec<_> = take_all(stream).into_iter().map(Result::unwrap).collect();
    assert_eq!(passed, openai());
    let mut line = only(&seen);
    assert_eq!(line["event_type"], "llm.invoke");
    assert_eq!(line["status"], "ok");
    assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(1000), &json!(500)));
    assert_eq!(line["cost_usd"], json!(0.0075));
    let first = line["data"]["first_token_ms"].take();
    assert!(first.as_f64().unwrap() <= line["latency_ms"].as_f64().unwrap());
    let data = json!({"model": "gpt-4o-2024-08-06", "provider": "openai", "stream": true,
        "first_token_ms": null, "chunks": 5, "finish_reasons": ["stop"], "attempt": 2});
    assert_eq!(line["data"], data);
    assert!(line.get("error").is_none());
}

#[test]
fn a_stream_of_events_is_read_like_one_of_values() {
    let text =
        |chunk: &Value| format!("event: {}\ndata: {chunk}\n\n", chunk["type"].as_str().unwrap());
    let texts: Vec<String> = anthropic().iter().map(text).collect();
    let data: Vec<String> = anthropic().iter().map(Value::to_string).collect();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let runs: [&dyn Fn(LlmCall<'_>); 4] = [
        &|call| drop(take_all(call.stream(items(anthropic())))),
        &|call| drop(take_all(call.stream(items(texts.clone())))),
        &|call| drop(take_all(call.stream(items(borrowed.clone())))),
        &|call| drop(take_all(call.stream(items(data.clone().into_iter().map(io::Result::Ok))))),
    ];
    for run in runs {
        let seen = capture();
        run(LlmCall::new("benefits", "chat", "anthropic", "claude-sonnet-4-5"));
        let line = only(&seen);
        assert_eq!((&line["event_type"], &line["status"]), (&json!("llm.invoke"), &json!("ok")));
        assert_eq!((&line["tokens_input"], &line["tokens_output"]), (&json!(8004), &json!(100)));
        assert_eq!(line["cost_usd"], json!(0.003912));
        assert_eq!(line["data"]["usage"], json!({"cache_read": 8000}));
        assert_eq!(line["data"]["finish_reasons"], json!(["tool_use"]));
        assert!(line["data"]["first_token_ms"].is_number());
    }
}

#[test]
fn of_a_thousand_good_streams_none_fails_and_of_a_thousand_cut_ones_all_do() {
    let seen = capture();
    let takes = [openai(), anthropic()];
    for at in 0..1000 {
        let chunks = &takes[at % 2];
        // Half of the callers drop the stream at the end marker, which is the last chunk but the usage.
        let is_dropped = at % 4 < 2;
        let whole = if is_dropped { &chunks[..chunks.len() - (1 - at % 2)] } else { &chunks[..] };
        take_all(call().stream(Items { items: good(whole).collect(), is_endless: is_dropped }));
    }
    let lines = events(&seen);
    assert_eq!(lines.iter().filter(|line| line["status"] == "ok").count(), 1000);

    let seen = capture();
    let reset = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
    for at in 0..1000 {
        let chunks = &takes[at % 2];
        let before_end = chunks.len() - 1 - (1 - at % 2);
        let cut = good(&chunks[..at % (before_end + 1)]);
        match at % 3 {
            0 => drop(take_all(call().stream(Items { items: cut.collect(), is_endless: true }))),
            1 => drop(take_all(call().stream(items(cut)))),
            _ => drop(take_all(call().stream(items(cut.chain([reset()]))))),
        }
    }
    let lines = events(&seen);
    assert_eq!(lines.len(), 1000);
    for (at, line) in lines.iter().enumerate() {
        let expected = ["cancelled", "incomplete", "std::io::error::Error"][at % 3];
        assert_eq!(line["event_type"], "llm.error", "{line}");
        assert_eq!((&line["status"], &line["error"]["type"]), (&json!("error"), &json!(expected)));
        assert_eq!(line["data"]["chunks"], at % if at % 2 == 0 { 4 } else { 5 }, "{line}");
    }
    assert_eq!(seen.logger().accounting().unmetered, 0, "a failed call is not unmetered");
}

#[test]
fn a_cut_stream_says_how_far_it_got() {
    let cases = [
        (openai(), 1, "the stream was dropped after 1 chunk", false, None),
        (openai(), 3, "the stream was dropped after 3 chunks", true, None),
        (anthropic(), 2, "the stream was dropped after 2 chunks", true, Some(8004)),
    ];
    for (chunks, count, message, has_first_token, tokens) in cases {
        let seen = capture();
        let cut = Items { items: good(&chunks[..count]).collect(), is_endless: true };
        take_all(call().stream(cut));
        let line = only(&seen);
        assert_eq!(line["error"]["message"], message);
        assert_eq!(line["data"]["chunks"], count);
        assert_eq!(line["data"]["first_token_ms"].is_number(), has_first_token, "{line}");
        assert_eq!(line["tokens_input"].as_u64(), tokens);
    }
}

#[test]
fn a_chunk_that_is_an_error_fails_the_call() {
    let seen = capture();
    let mut chunks = openai();
    chunks[2] =
        json!({"error": {"type": "server_error", "message": "overloaded, ana@example.org"}});
    take_all(call().stream(items(good(&chunks))));
    let line = only(&seen);
    assert_eq!(line["event_type"], "llm.error");
    assert_eq!(line["error"]["type"], "server_error");
    assert_eq!(line["error"]["message"], "overloaded, [REDACTED_email]");
}

#[test]
fn the_error_of_the_provider_goes_before_that_of_the_end() {
    let mut chunks = anthropic();
    chunks.truncate(2);
    chunks.push(
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    );
    let of_client = good(&chunks).chain([Err(io::Error::other("the server sent an error"))]);
    let runs: [Items<io::Result<Value>>; 3] = [
        items(good(&chunks)),
        Items { items: good(&chunks).collect(), is_endless: true },
        items(of_client),
    ];
    for run in runs {
        let seen = capture();
        take_all(LlmCall::new("a", "chat", "anthropic", "claude-sonnet-4-5").stream(run));
        let line = only(&seen);
        assert_eq!((&line["event_type"], &line["status"]), (&json!("llm.error"), &json!("error")));
        let error = json!({"type": "overloaded_error", "message": "Overloaded"});
        assert_eq!(line["error"], error, "{line}");
    }
}

#[test]
fn a_stream_without_usage_is_counted_and_has_no_tokens() {
    let seen = capture();
    take_all(call().stream(items(good(&openai()[..4]))));
    take_all(call().stream(items(["plain", " text"])));
    for line in events(&seen) {
        assert_eq!(line["event_type"], "llm.invoke");
        assert!(line.get("tokens_input").is_none() && line.get("cost_usd").is_none(), "{line}");
    }
    assert_eq!(seen.logger().accounting().unmetered, 2);
    let seen = capture();
    take_all(call().usage((1000, 500)).stream(items(["plain", " text"])));
    assert_eq!(only(&seen)["cost_usd"], json!(0.0075), "the caller knows it");
    assert_eq!(seen.logger().accounting().unmetered, 0);
}

/// An error of a client, whose cause is another error.
#[derive(Debug)]
struct Refused(io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error sending request")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn refused(cause: &'static str) -> Refused {
    Refused(io::Error::other(cause))
}

#[test]
fn an_error_has_its_causes_and_a_timeout_its_status() {
    type Opened = Result<Items<io::Result<Value>>, Refused>;
    let open = |cause| async move { Opened::Err(refused(cause)) };
    let ask = |cause| async move { Result::<Value, _>::Err(refused(cause)) };
    let boxed = || async {
        let error: Box<dyn Error + Send + Sync> = refused("connection refused").into();
        Result::<Value, _>::Err(error)
    };
    let cases: [(&dyn Fn(), &str, &str); 5] = [
        (
            &|| drop(poll_once(call().call_stream(open("connection refused")))),
            "error",
            "caused by: connection refused",
        ),
        (
            &|| drop(poll_once(call().call_stream(open("operation timed out")))),
            "timeout",
            "caused by: operation timed out",
        ),
        (
            &|| drop(poll_once(call().call(ask("connection refused")))),
            "error",
            "caused by: connection refused",
        ),
        (&|| drop(poll_once(call().call(boxed()))), "error", "caused by: connection refused"),
        (
            &|| {
                drop(take_all(
                    call().stream(items([Result::<Value, _>::Err(refused("timeout expired"))])),
                ))
            },
            "timeout",
            "caused by: timeout expired",
        ),
    ];
    for (run, status, cause) in cases {
        let seen = capture();
        run();
        let line = only(&seen);
        assert_eq!((&line["event_type"], &line["status"]), (&json!("llm.error"), &json!(status)));
        assert_eq!(line["error"]["message"], "error sending request", "{line}");
        assert_eq!(line["error"]["traceback"], cause);
    }
}

#[test]
fn urls_in_errors_end_with_their_host() {
    let cause = "no answer from https://ana:pw@h.example/patients/ana-lopez?q=positive timed out";
    let open = async { Result::<Items<Value>, _>::Err(refused(cause)) };
    let boxed = async {
        let error: Box<dyn Error + Send + Sync> = refused(cause).into();
        Result::<Value, _>::Err(error)
    };
    let chunk = Result::<Value, _>::Err(refused(cause));
    let seen = capture();
    drop(poll_once(call().call_stream(open)));
    drop(poll_once(call().call(boxed)));
    take_all(call().stream(items([chunk])));
    let lines = events(&seen);
    assert_eq!(lines.len(), 3);
    for line in lines {
        let expected = "caused by: no answer from https://h.example timed out";
        assert_eq!(
            (&line["error"]["traceback"], &line["status"]),
            (&json!(expected), &json!("timeout"))
        );
    }
}

/// A list without a near end. Each number of it that is asked for is counted.
struct Long(Cell<u64>);

impl Serialize for Long {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..u64::from(u32::MAX)).inspect(|_| self.0.set(self.0.get() + 1)))
    }
}

#[test]
fn a_chunk_of_more_than_a_mebibyte_passes_unread() {
    let mut chunks = anthropic();
    chunks.insert(2, json!({"pad": "x".repeat(1 << 20)}));
    for (count, reads) in [(6, 5), (4, 3), (3, 2)] {
        let seen = capture();
        assert_eq!(take_all(call().stream(items(good(&chunks[..count])))).len(), count);
        let line = only(&seen);
        assert_eq!(line["event_type"], "llm.invoke", "the end may be in what is not read: {line}");
        assert_eq!(
            (&line["data"]["chunks"], &line["data"]["chunks_skipped"]),
            (&json!(reads), &json!(1))
        );
        assert_eq!(line["tokens_input"], 8004);
    }
    let seen = capture();
    let passed = take_all(call().stream(items([io::Result::Ok(Long(Cell::new(0)))])));
    assert!(passed[0].as_ref().unwrap().0.get() < 1 << 20, "it stops at the limit");
    assert_eq!(only(&seen)["data"]["chunks_skipped"], 1);
}

#[test]
fn what_is_judged_an_error_is_one() {
    let seen = capture();
    let stream = call().stream(items(good(&openai())));
    take_all(stream.error_of(|_| Some(ErrorDetail::new("refused", "not that").recoverable(true))));
    let line = only(&seen);
    let error = json!({"type": "refused", "message": "not that", "recoverable": true});
    assert_eq!((&line["event_type"], &line["error"]), (&json!("llm.error"), &error));
}

#[test]
fn a_call_is_recorded_with_its_answer() {
    let seen = capture();
    let answer = json!({"model": "gpt-4o-2024-08-06", "choices": [{"finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500}});
    let asked = call().attempt(1).call(async { io::Result::Ok(answer.clone()) });
    assert_eq!(poll_once(asked).unwrap().unwrap(), answer);
    let line = only(&seen);
    assert_eq!((&line["event_type"], &line["cost_usd"]), (&json!("llm.invoke"), &json!(0.0075)));
    let data = json!({"model": "gpt-4o-2024-08-06", "provider": "openai", "attempt": 1});
    assert_eq!(line["data"], data);
    assert!(line["latency_ms"].is_number());
}

#[test]
fn every_other_end_of_a_call_is_an_error() {
    type Opened = Result<Items<io::Result<Value>>, io::Error>;
    let caught = |run: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    let cases: [(&dyn Fn(), &str); 6] = [
        (&|| drop(poll_once(call().call(pending::<io::Result<Value>>()))), "cancelled"),
        (&|| drop(call().call(pending::<io::Result<Value>>())), "cancelled"),
        (&|| drop(poll_once(call().call_stream(pending::<Opened>()))), "cancelled"),
        (&|| drop(call().stream(items(good(&openai())))), "cancelled"),
        (
            &|| {
                caught(&|| {
                    drop(poll_once(call().call(async {
                        if true { panic!("asked for") } else { io::Result::Ok(json!(1)) }
                    })))
                })
            },
            "panic",
        ),
        (
            &|| {
                caught(&|| {
                    drop(take_all(
                        call().stream(items(good(&openai()))).error_of(|_| panic!("asked for")),
                    ))
                })
            },
            "panic",
        ),
    ];
    for (run, error_type) in cases {
        let seen = capture();
        run();
        let line = only(&seen);
        assert_eq!(line["event_type"], "llm.error");
        assert_eq!(line["error"]["type"], error_type, "{line}");
    }
}

#[test]
fn what_happens_inside_of_a_call_is_below_it() {
    let seen = capture();
    let root = TraceContext::new_trace().with_user("ann").with_tenant("acme");
    let open = async {
        emit(&AuditEvent::new(EventType::ApiCall, "http", "post"));
        io::Result::Ok(items(good(&openai())))
    };
    let opening = {
        let _scope = root.enter();
        call().call_stream(open)
    };
    take_all(poll_once(opening).unwrap().unwrap());
    let lines = events(&seen);
    assert_eq!(lines[0]["parent_span_id"], lines[1]["span_id"]);
    assert_eq!(lines[1]["parent_span_id"], format!("{:016x}", root.span_id()));
    assert_eq!(lines[1]["data"]["chunks"], 5);
    assert_eq!(
        (&lines[1]["data"]["user"], &lines[1]["data"]["tenant"]),
        (&json!("ann"), &json!("acme"))
    );

    let seen = capture();
    take_all(call().span(&root).stream(items(good(&openai()))));
    assert_eq!(only(&seen)["span_id"], format!("{:016x}", root.span_id()));
}

#[test]
fn a_prompt_is_recorded_if_content_is_captured() {
    let prompt = json!([{"role": "user", "content": "mail ana@example.org", "password": "x"}]);
    let redacted =
        json!([{"role": "user", "content": "mail [REDACTED_email]", "password": "[REDACTED]"}]);
    for (captures, expected) in [(true, Some(&redacted)), (false, None)] {
        let seen = capture_with(|builder| builder.capture_content(captures));
        take_all(call().prompt(&prompt).stream(items(good(&openai()))));
        let line = only(&seen);
        assert_eq!(line["data"].get("prompt"), expected, "{line}");
        assert!(!line.to_string().contains("Gold"), "{line}");
    }
}

#[test]
fn a_stream_goes_to_the_logger_that_it_is_given() {
    let (seen, other) = (capture(), capture());
    take_all(call().stream(items(good(&openai()))).logger(seen.logger().clone()));
    assert_eq!(events(&seen).len(), 1);
    assert_eq!(events(&other).len(), 0);
}

#[test]
fn recorded_streams_and_calls_go_to_other_threads() {
    fn go<T: Send>(_: T) {}
    let _seen = capture();
    go(call().stream(items(good(&openai()))));
    go(call().call(async { io::Result::Ok(json!({})) }));
    go(call().call_stream(async { io::Result::Ok(items(good(&openai()))) }));
    go(record_stream("a", "b", items(good(&openai()))));
}
