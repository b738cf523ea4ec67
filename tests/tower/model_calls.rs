//! Model calls of any HTTP client: one event each, from the bytes that pass.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use llm_audit::layer::tower::{Attempt, ClientLayer, RequestBody};
use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit::{InSpan, TraceContext, Usage};
use serde_json::{Value, json};
use tower::retry::Policy;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt};

use crate::support::{Served, verdict};

/// A recorded stream: what was asked, and what came.
pub struct Stream {
    pub url: String,
    pub request: String,
    pub content_type: String,
    pub body: Bytes,
    pub provider: String,
    /// What its event says. The recordings of other people have none.
    pub expect: Option<Value>,
}

impl Stream {
    fn read(line: &str) -> Self {
        let mut row: Value = serde_json::from_str(line).unwrap();
        let mut text = |name: &str| row[name].take().as_str().map(str::to_owned);
        let body = match (text("body"), text("body_base64")) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(digits)) => decoded(&digits),
            (None, None) => panic!("{line}"),
        };
        Self {
            url: text("url").unwrap(),
            content_type: text("content_type").unwrap(),
            provider: text("provider").unwrap(),
            request: row["request"].to_string(),
            body: body.into(),
            expect: row.get("expect").cloned(),
        }
    }

    fn is_text(&self) -> bool {
        !self.content_type.contains("amazon")
    }

    pub fn response(&self, body: Body) -> Response<Body> {
        Response::builder().header("content-type", &self.content_type).body(body).unwrap()
    }
}

fn decoded(digits: &str) -> Vec<u8> {
    let mut bits = digits.trim_end_matches('=').bytes().flat_map(|digit| {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let value = DIGITS.iter().position(|known| *known == digit).expect("base64");
        (0..6).rev().map(move |bit| value >> bit & 1)
    });
    let mut byte = || (0..8).try_fold(0, |byte, _| Some(byte << 1 | bits.next()? as u8));
    std::iter::from_fn(&mut byte).collect()
}

/// The streams of the sample, and then those of the recording.
pub fn streams() -> Vec<Stream> {
    let recorded = testdata::recording("model-streams.jsonl.gz").unwrap_or_default();
    let sample = testdata::sample("model-streams.jsonl");
    sample.lines().chain(recorded.lines()).map(Stream::read).collect()
}

/// A body of these frames.
struct Frames(VecDeque<Bytes>);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn client_layer(capture: &Capture) -> ClientLayer {
    ClientLayer::new("planner").logger(capture.logger().clone())
}

fn post(url: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(url).body(Full::new(body.into())).unwrap()
}

/// Sends a request to a client that reads it and answers so, and returns the bytes of the answer.
///
/// A caller that reads frames drops the body after that number of them.
fn ask(
    capture: &Capture,
    request: Request<Full<Bytes>>,
    answer: Response<Body>,
    frames: Option<usize>,
) -> Vec<u8> {
    let answer = Mutex::new(Some(answer));
    let client = tower::service_fn(|request: Request<RequestBody<Full<Bytes>>>| {
        let answer = answer.lock().unwrap().take().expect("one request");
        async move {
            request.into_body().collect().await.unwrap();
            Ok::<_, Infallible>(answer)
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let client = client_layer(capture).model_calls().layer(client);
        let mut body = client.oneshot(request).await.unwrap().into_body();
        let mut read = Vec::new();
        for _ in 0..frames.unwrap_or(usize::MAX) {
            let Some(frame) = body.frame().await else { break };
            read.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        read
    })
}

fn lines(capture: &Capture) -> Vec<Value> {
    capture.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks once, and returns the only event.
fn event(request: Request<Full<Bytes>>, answer: Response<Body>, frames: Option<usize>) -> Value {
    let capture = capture();
    ask(&capture, request, answer, frames);
    let mut lines = lines(&capture);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

/// Cuts bytes at random places.
fn cut(mut bytes: Bytes, random: &mut fastrand::Rng) -> VecDeque<Bytes> {
    let longest = 1 << random.u32(5..14);
    let mut pieces = VecDeque::new();
    while !bytes.is_empty() {
        pieces.push_back(bytes.split_to(random.usize(1..=longest).min(bytes.len())));
    }
    pieces
}

/// The members of an event that the way in which it was cut does not change.
fn said(event: &Value) -> Value {
    let of_data = [
        "model",
        "request_model",
        "provider",
        "usage",
        "finish_reasons",
        "chunks",
        "stream",
        "bytes",
    ];
    let mut said = json!({});
    for name in
        ["event_type", "action", "status", "error", "tokens_input", "tokens_output", "cost_usd"]
    {
        said[name] = event[name].clone();
    }
    for name in of_data {
        said[name] = event["data"][name].clone();
    }
    said
}

#[test]
fn every_chunking_of_a_stream_passes_unchanged_and_says_the_same() {
    const CHUNKINGS: usize = 10_000;
    let (streams, mut random) = (streams(), fastrand::Rng::with_seed(22));
    let mut providers = std::collections::BTreeSet::new();
    for stream in &streams {
        let request = || post(&stream.url, stream.request.clone());
        let whole = event(request(), stream.response(Body::from(stream.body.clone())), None);
        let capture = capture();
        for _ in 0..CHUNKINGS.div_ceil(streams.len()) {
            let frames = Frames(cut(stream.body.clone(), &mut random));
            let passed = ask(&capture, request(), stream.response(Body::new(frames)), None);
            assert_eq!(passed, stream.body, "{}", stream.url);
        }
        let bytes = stream.body.chunks(1).map(Bytes::copy_from_slice).collect();
        let passed = ask(&capture, request(), stream.response(Body::new(Frames(bytes))), None);
        assert_eq!(passed, stream.body, "{}", stream.url);
        for cut in lines(&capture) {
            assert_eq!(said(&cut), said(&whole), "{}", stream.url);
            let first = cut["data"]["first_token_ms"].as_f64();
            assert!(first.is_some() || stream.expect.is_none(), "a token came: {cut}");
            assert!(first.is_none_or(|first| first <= cut["latency_ms"].as_f64().unwrap()));
        }
        assert_eq!(whole["data"]["provider"], *stream.provider);
        assert_eq!(whole["data"]["stream"], true);
        if stream.is_text() {
            let answer = String::from_utf8(stream.body.to_vec()).unwrap();
            let usage = Usage::from_answer(&answer);
            let tokens = usage.map(|usage| (usage.tokens_input(), usage.tokens_output()));
            let recorded = (whole["tokens_input"].as_u64(), whole["tokens_output"].as_u64());
            assert_eq!(recorded, tokens.unwrap_or_default(), "{}", stream.url);
        }
        if let Some(expect) = &stream.expect {
            assert_eq!(
                (&whole["event_type"], verdict(&whole)),
                (&json!("llm.invoke"), ("ok", None))
            );
            assert_eq!(whole["action"], expect["operation"]);
            for name in ["tokens_input", "tokens_output", "cost_usd"] {
                assert_eq!(whole[name], expect[name], "{name}: {whole}");
            }
            for name in ["model", "request_model", "usage", "finish_reasons"] {
                assert_eq!(whole["data"][name], expect[name], "{name}: {whole}");
            }
        }
        providers.insert(stream.provider.clone());
    }
    assert!(providers.len() >= 6, "{providers:?}");
}

#[test]
fn a_stream_is_an_error_until_the_provider_has_ended_it() {
    for stream in streams().into_iter().filter(|stream| stream.expect.is_some()) {
        let pieces: VecDeque<Bytes> = stream.body.chunks(97).map(Bytes::copy_from_slice).collect();
        let capture = capture();
        for frames in 1..=pieces.len() {
            let ask = |frames, pieces: VecDeque<Bytes>| {
                let answer = stream.response(Body::new(Frames(pieces)));
                ask(&capture, post(&stream.url, stream.request.clone()), answer, frames)
            };
            ask(Some(frames), pieces.clone());
            ask(None, pieces.iter().take(frames).cloned().collect());
        }
        let mut ended = None;
        for (at, lines) in lines(&capture).chunks(2).enumerate() {
            let verdicts = (verdict(&lines[0]), verdict(&lines[1]));
            if verdicts == (("ok", None), ("ok", None)) {
                ended.get_or_insert(at);
                continue;
            }
            assert_eq!(ended, None, "it ends once: {lines:#?}");
            assert_eq!(verdicts.0, ("error", Some("cancelled")), "{lines:#?}");
            assert_eq!(verdicts.1, ("error", Some("incomplete")), "{lines:#?}");
            assert_eq!(lines[0]["event_type"], "llm.error");
        }
        assert!(ended.is_some_and(|ended| ended > pieces.len() / 2), "{}", stream.url);
    }
}

fn json_answer(status: u16, body: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}

const CHAT: &str = "https://api.openai.com/v1/chat/completions";

fn chat_request() -> String {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi ana@example.org"}]})
        .to_string()
}

fn chat_answer() -> Value {
    json!({"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500}})
}

#[test]
fn a_whole_answer_is_one_event_with_its_tokens_and_cost() {
    let request = post("https://api.openai.com/v1/chat/completions?key=7", chat_request());
    let event = event(request, json_answer(200, &chat_answer()), None);
    assert_eq!((&event["event_type"], &event["action"]), (&json!("llm.invoke"), &json!("chat")));
    assert_eq!((&event["tokens_input"], &event["tokens_output"]), (&json!(1000), &json!(500)));
    assert_eq!((&event["cost_usd"], verdict(&event)), (&json!(0.0075), ("ok", None)));
    let data = json!({
        "model": "gpt-4o-2024-08-06", "request_model": "gpt-4o", "provider": "openai",
        "finish_reasons": ["stop"], "http.method": "POST", "url": CHAT,
        "http.status_code": 200, "bytes": chat_answer().to_string().len(),
        "bytes_in": chat_request().len(),
    });
    assert_eq!(event["data"], data);
}

#[test]
fn the_kind_of_a_call_is_that_of_its_path() {
    let embeddings = json!({"model": "text-embedding-3-small", "usage":
        {"prompt_tokens": 8, "total_tokens": 8}, "data": [{"embedding": [0.1]}]});
    let titan = json!({"embedding": [0.1], "inputTextTokenCount": 7});
    let bedrock = "https://bedrock-runtime.eu-central-1.amazonaws.com/model";
    let cases = [
        (
            "http://127.0.0.1:8000/v1/embeddings",
            json!({"input": "a"}),
            &embeddings,
            "embeddings",
            "openai",
        ),
        (
            "https://api.groq.com/openai/v1/chat/completions",
            json!({"messages": []}),
            &chat_answer(),
            "chat",
            "groq",
        ),
        (
            "https://own.openai.azure.com/openai/deployments/own/completions?api-version=1",
            json!({"prompt": "a"}),
            &chat_answer(),
            "text_completion",
            "azure.ai.openai",
        ),
        (
            &format!("{bedrock}/amazon.titan-embed-text-v2%3A0/invoke"),
            json!({"inputText": "a"}),
            &titan,
            "chat",
            "aws.bedrock",
        ),
    ];
    for (url, request, answer, operation, provider) in cases {
        let event = event(post(url, request.to_string()), json_answer(200, answer), None);
        assert_eq!(event["event_type"], "llm.invoke", "{event}");
        assert_eq!(
            (&event["action"], &event["data"]["provider"]),
            (&json!(operation), &json!(provider))
        );
        assert!(event["tokens_input"].is_u64(), "{event}");
    }
}

#[test]
fn an_error_is_the_provider_s_own() {
    let anthropic = "https://api.anthropic.com/v1/messages";
    let gemini =
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent";
    let cohere = "https://api.cohere.com/v2/chat";
    let cases = [
        (
            CHAT,
            429,
            json!({"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}),
            ("error", "requests", "slow down"),
        ),
        (
            anthropic,
            529,
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            ("error", "overloaded_error", "busy"),
        ),
        (
            gemini,
            400,
            json!({"error": {"code": 400, "message": "no such field", "status": "INVALID_ARGUMENT"}}),
            ("error", "400", "no such field"),
        ),
        (
            cohere,
            401,
            json!({"id": "1", "message": "no valid token"}),
            ("error", "401", "no valid token"),
        ),
        (
            CHAT,
            504,
            json!({"detail": "the model took too long"}),
            ("timeout", "504", "the model took too long"),
        ),
        (CHAT, 500, json!("oops"), ("error", "500", "Internal Server Error")),
        // Some gateways answer so with the code 200.
        (
            CHAT,
            200,
            json!({"error": {"code": 402, "message": "no credit"}}),
            ("error", "402", "no credit"),
        ),
    ];
    for (url, status, answer, (verdict, error_type, message)) in cases {
        let request = json!({"model": "m", "messages": [], "contents": []});
        let event = event(post(url, request.to_string()), json_answer(status, &answer), None);
        assert_eq!(
            (&event["event_type"], &event["status"]),
            (&json!("llm.error"), &json!(verdict))
        );
        assert_eq!(event["error"], json!({"type": error_type, "message": message}), "{answer}");
        assert_eq!(event["data"]["http.status_code"], status);
    }
}

#[test]
fn bedrock_says_in_headers_what_its_bodies_leave_out() {
    let url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/mistral.mistral-7b-instruct-v0%3A2/invoke";
    let mut answer = json_answer(200, &json!({"outputs": [{"text": "a", "stop_reason": "stop"}]}));
    for (name, tokens) in [("input", "12"), ("output", "3")] {
        let name =
            http::HeaderName::try_from(format!("x-amzn-bedrock-{name}-token-count")).unwrap();
        answer.headers_mut().insert(name, tokens.parse().unwrap());
    }
    let event_of = |answer| event(post(url, json!({"prompt": "a"}).to_string()), answer, None);
    let good = event_of(answer);
    assert_eq!((&good["tokens_input"], &good["tokens_output"]), (&json!(12), &json!(3)));
    assert_eq!(good["data"]["model"], "mistral.mistral-7b-instruct-v0:2");
    let mut answer = json_answer(429, &json!({"message": "Too many requests"}));
    let name = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/";
    answer.headers_mut().insert("x-amzn-errortype", name.parse().unwrap());
    let error = json!({"type": "ThrottlingException", "message": "Too many requests"});
    assert_eq!(event_of(answer)["error"], error);
}

#[test]
fn other_requests_remain_calls_of_an_api() {
    let cases = [
        ("POST", "https://api.openai.com/v1/files", chat_request()),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens", chat_request()),
        ("GET", CHAT, String::new()),
        ("POST", "https://courses.example/7/completions", json!({"student": 7}).to_string()),
        ("POST", "https://courses.example/chat/completions", "messages=1".to_owned()),
        ("POST", "https://hooks.example/invoke", json!({"messages": []}).to_string()),
    ];
    for (method, url, body) in cases {
        let mut request = post(url, body);
        *request.method_mut() = method.parse().unwrap();
        let event = event(request, json_answer(200, &chat_answer()), None);
        assert_eq!(event["event_type"], "api.call", "{url}");
        assert_eq!(event["action"], format!("{method} {}", url.split('/').nth(2).unwrap()));
        assert!(event.get("tokens_input").is_none() && event["data"].get("model").is_none());
    }
}

#[test]
fn what_cannot_be_read_is_passed_on_and_unmetered() {
    let long = format!("data: {{\"pad\":\"{}\"}}\n\n", "x".repeat(1 << 20));
    let good = &streams()[0];
    let stream = |body: String| good.response(Body::from(body));
    let mut packed = json_answer(200, &chat_answer());
    packed.headers_mut().insert("content-encoding", "br".parse().unwrap());
    let huge = json!({"model": "m", "messages": ["x".repeat(1 << 20)]}).to_string();
    let text = String::from_utf8(good.body.to_vec()).unwrap();
    let cases = [
        (chat_request(), packed, ("note", json!("compressed, so not read")), 1),
        (chat_request(), stream(long.clone() + &text), ("chunks_skipped", json!(1)), 0),
        (chat_request(), json_answer(200, &json!({"pad": long})), ("chunks_skipped", json!(1)), 1),
        (huge, json_answer(200, &chat_answer()), ("request_model", Value::Null), 0),
        (chat_request(), json_answer(200, &json!({"choices": []})), ("usage", Value::Null), 1),
    ];
    for (request, answer, (name, said), unmetered) in cases {
        let capture = capture();
        let (head, body) = answer.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(body.collect()).unwrap().to_bytes();
        let answer = Response::from_parts(head, Body::from(body.clone()));
        assert_eq!(ask(&capture, post(CHAT, request), answer, None), body);
        let event = &lines(&capture)[0];
        assert_eq!((&event["event_type"], verdict(event)), (&json!("llm.invoke"), ("ok", None)));
        assert_eq!(event["data"][name], said, "{}", event["data"]);
        assert_eq!(capture.logger().accounting().unmetered, unmetered, "{name}");
    }
}

#[test]
fn a_body_that_is_held_unread_ends_with_its_head() {
    let capture = capture();
    let busy = tower::service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        std::future::ready(Ok::<_, Infallible>(json_answer(503, &json!("busy"))))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let client = client_layer(&capture).model_calls().layer(busy);
    let began = Instant::now();
    let held = runtime.block_on(client.oneshot(post(CHAT, chat_request()))).unwrap();
    let head = began.elapsed();
    while began.elapsed() < 3 * head {
        std::hint::spin_loop();
    }
    drop(held);
    let event = &lines(&capture)[0];
    assert_eq!(verdict(event), ("error", Some("503")));
    let latency = event["latency_ms"].as_f64().unwrap();
    assert!(latency <= head.as_nanos() as f64 / 1e6, "{latency} of {head:?}");
}

#[test]
fn a_refused_stream_that_is_not_read_says_its_code() {
    let gemini = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent";
    let cases = [
        (CHAT, 429, ("error", Some("429"))),
        (gemini, 504, ("timeout", Some("504"))),
        (CHAT, 200, ("error", Some("cancelled"))),
    ];
    for (url, status, expected) in cases {
        let request = json!({"model": "m", "messages": [], "contents": []}).to_string();
        let answer = Response::builder().status(status).header("content-type", "text/event-stream");
        let frames = Frames([Bytes::from_static(b"data: {}\n\n")].into());
        let answer = answer.body(Body::new(frames)).unwrap();
        let event = event(post(url, request), answer, Some(0));
        assert_eq!((&event["event_type"], verdict(&event)), (&json!("llm.error"), expected));
    }
}

#[test]
fn a_request_that_is_not_read_is_known_by_its_host_or_its_answer() {
    let own = "http://localhost:8000/v1/chat/completions";
    let survey = "https://survey.example/responses";
    let huge = json!({"messages": ["x".repeat(1 << 20)]}).to_string();
    let good = chat_answer();
    let other = json!({"stored": true});
    let cases = [
        (CHAT, Some("gzip"), "packed", &good, "llm.invoke", 0),
        (CHAT, Some("gzip"), "packed", &other, "llm.invoke", 1),
        (CHAT, None, "packed", &good, "llm.invoke", 0),
        (own, Some("gzip"), "packed", &good, "llm.invoke", 0),
        (own, None, &huge, &good, "llm.invoke", 0),
        (survey, Some("gzip"), "packed", &other, "api.call", 0),
        (survey, None, &huge, &other, "api.call", 0),
    ];
    for (url, encoding, body, answer, event_type, unmetered) in cases {
        let capture = capture();
        let mut request = post(url, body.to_owned());
        if let Some(encoding) = encoding {
            request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        }
        ask(&capture, request, json_answer(200, answer), None);
        let event = &lines(&capture)[0];
        assert_eq!(event["event_type"], event_type, "{url}");
        let has_tokens = event_type == "llm.invoke" && unmetered == 0;
        assert_eq!(event["tokens_input"] == 1000, has_tokens, "{event}");
        assert_eq!(capture.logger().accounting().unmetered, unmetered, "{url}");
    }
}

/// A body of these events, each in a frame of its own.
fn events_of(chunks: &[Value]) -> Response<Body> {
    let frames = chunks.iter().map(|chunk| Bytes::from(format!("data: {chunk}\n\n"))).collect();
    let answer = Response::builder().header("content-type", "text/event-stream");
    answer.body(Body::new(Frames(frames))).unwrap()
}

#[test]
fn an_event_that_is_not_read_hides_the_end_only_if_it_is_the_last() {
    let url = "https://api.anthropic.com/v1/messages";
    let delta = |text: String| json!({"type": "content_block_delta", "delta": {"text": text}});
    let start = json!({"type": "message_start", "message": {"model": "m"}});
    let (long, short) = (delta("x".repeat(1 << 20)), delta("a".to_owned()));
    let cases = [
        (vec![&start, &long, &short], None, ("error", Some("incomplete"))),
        (vec![&start, &long, &short, &short], Some(3), ("error", Some("cancelled"))),
        (vec![&start, &short, &long], None, ("ok", None)),
    ];
    for (chunks, frames, expected) in cases {
        let chunks: Vec<Value> = chunks.into_iter().cloned().collect();
        let event = event(post(url, chat_request()), events_of(&chunks), frames);
        assert_eq!((verdict(&event), &event["data"]["chunks_skipped"]), (expected, &json!(1)));
    }
}

#[test]
fn the_arguments_of_a_tool_do_not_hide_the_end_of_a_stream() {
    let url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent";
    for args in [json!({"type": "content-delta"}), json!({"finish_reason": null, "index": 0})] {
        let call = json!({"functionCall": {"name": "f", "args": args}});
        let chunks = [
            json!({"candidates": [{"content": {"parts": [{"text": "hi"}]}, "index": 0}]}),
            json!({"candidates": [{"content": {"parts": [call]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5}}),
        ];
        let request = post(url, json!({"contents": []}).to_string());
        let event = event(request, events_of(&chunks), None);
        assert_eq!((verdict(&event), &event["tokens_input"]), (("ok", None), &json!(10)));
    }
}

#[test]
fn content_is_recorded_only_if_both_ask_for_it() {
    for (captures, bodies) in [(false, false), (false, true), (true, false), (true, true)] {
        let capture = capture_with(|builder| builder.capture_content(captures));
        let layer = client_layer(&capture).model_calls();
        let layer = if bodies { layer.capture_bodies(4096) } else { layer };
        let client =
            layer.layer(tower::service_fn(async |request: Request<RequestBody<Full<Bytes>>>| {
                request.into_body().collect().await.unwrap();
                Ok::<_, Infallible>(json_answer(200, &chat_answer()))
            }));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let answer = client.oneshot(post(CHAT, chat_request())).await.unwrap();
            answer.into_body().collect().await.unwrap();
        });
        let event = &lines(&capture)[0];
        let recorded = captures && bodies;
        let content = &event["data"]["request_body"]["messages"][0]["content"];
        let expected = if recorded { json!("hi [REDACTED_email]") } else { Value::Null };
        assert_eq!(*content, expected);
        let answered = &event["data"]["response_body"]["choices"][0]["message"]["content"];
        assert_eq!(answered.is_string(), recorded);
        assert_eq!(event.to_string().contains("hello"), recorded);
    }
}

/// Retries what failed.
#[derive(Clone)]
struct Again;

impl<R> Policy<Request<Full<Bytes>>, Response<R>, BoxError> for Again {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _request: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<R>, BoxError>,
    ) -> Option<Self::Future> {
        let is_good = result.as_ref().is_ok_and(|answer| answer.status().is_success());
        (!is_good).then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

#[test]
fn attempts_are_events_that_their_retries_link() {
    let capture = capture();
    let codes = Arc::new(Mutex::new(vec![200, 503, 429]));
    let answers = tower::service_fn(move |_: Request<RequestBody<Full<Bytes>>>| {
        let code = codes.lock().unwrap().pop().unwrap();
        std::future::ready(Ok::<_, Infallible>(json_answer(code, &chat_answer())))
    });
    let client = ServiceBuilder::new()
        .map_request(Attempt::count)
        .retry(Again)
        .layer(client_layer(&capture).model_calls())
        .service(answers);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let root = TraceContext::new_trace();
    let asked = async {
        let answer = client.oneshot(post(CHAT, chat_request())).await.unwrap();
        answer.into_body().collect().await.unwrap();
    };
    runtime.block_on(asked.in_span(root.clone()));
    let lines = lines(&capture);
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let data = &line["data"];
            (&line["event_type"], &line["status"], &data["attempt"], &data["reason"])
        })
        .collect();
    let expected = [
        (json!("llm.error"), json!("error"), json!(1), Value::Null),
        (json!("agent.retry"), json!("retry"), json!(2), json!("429")),
        (json!("llm.error"), json!("error"), json!(2), Value::Null),
        (json!("agent.retry"), json!("retry"), json!(3), json!("503")),
        (json!("llm.invoke"), json!("ok"), json!(3), Value::Null),
    ];
    let expected: Vec<_> = expected.iter().map(|(a, b, c, d)| (a, b, c, d)).collect();
    assert_eq!(told, expected);
    let parent = json!(format!("{:016x}", root.span_id()));
    assert!(lines.iter().all(|line| line["parent_span_id"] == parent), "they are siblings");
}

/// The types of the events of these answers, with the number of the attempt.
fn attempts_of<S>(capture: &Capture, client: S, request: Request<Full<Bytes>>) -> Vec<(String, u64)>
where
    S: Service<Request<Full<Bytes>>, Error: std::fmt::Debug>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    drop(runtime.block_on(client.oneshot(request)).unwrap());
    let told = |line: &Value| {
        let attempt = line["data"]["attempt"].as_u64().unwrap();
        (line["event_type"].as_str().unwrap().to_owned(), attempt)
    };
    lines(capture).iter().map(told).collect()
}

#[test]
fn only_a_failed_call_of_a_model_is_told_as_tried_again() {
    let capture = capture();
    let codes = Arc::new(Mutex::new(vec![200, 503]));
    let answers = tower::service_fn(move |_: Request<RequestBody<Full<Bytes>>>| {
        let code = codes.lock().unwrap().pop().unwrap();
        std::future::ready(Ok::<_, Infallible>(json_answer(code, &json!({}))))
    });
    let client = ServiceBuilder::new()
        .map_request(Attempt::count)
        .retry(Again)
        .layer(client_layer(&capture).model_calls())
        .service(answers);
    let request = post("https://survey.example/responses", json!({"answers": [1]}).to_string());
    let told = attempts_of(&capture, client, request);
    assert_eq!(told, [("api.call".to_owned(), 1), ("api.call".to_owned(), 2)]);
}

#[test]
fn each_of_two_layers_counts_for_itself() {
    let capture = capture();
    let answer = tower::service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        std::future::ready(Ok::<_, Infallible>(json_answer(200, &chat_answer())))
    });
    let client = ServiceBuilder::new()
        .map_request(Attempt::count)
        .layer(client_layer(&capture))
        .layer(client_layer(&capture).model_calls())
        .service(answer);
    let told = attempts_of(&capture, client, post(CHAT, chat_request()));
    assert_eq!(told, [("llm.invoke".to_owned(), 1), ("api.call".to_owned(), 1)]);
}

/// Starts a server that answers each path of a stream with it, a few bytes at a time.
pub fn serve_streams() -> Served {
    let streams: Arc<Vec<Stream>> = Arc::new(streams());
    Served::new(|_| {
        Router::new().fallback(move |headers: HeaderMap, _: Bytes| {
            let number: usize = headers["x-stream"].to_str().unwrap().parse().unwrap();
            let pieces = streams[number].body.chunks(61).map(Bytes::copy_from_slice).collect();
            let response = streams[number].response(Body::new(Frames(pieces)));
            std::future::ready(response)
        })
    })
}

#[test]
fn streams_over_real_sockets_are_recorded_as_they_pass() {
    let served = serve_streams();
    let client: Client<_, RequestBody<Full<Bytes>>> =
        Client::builder(TokioExecutor::new()).build_http();
    let streams = streams();
    let client = client_layer(&served.capture).model_calls().layer(client);
    for (number, stream) in streams.iter().enumerate() {
        let path = stream.url.splitn(4, '/').nth(3).unwrap();
        let mut request =
            post(&format!("http://{}/{path}", served.address), stream.request.clone());
        request.headers_mut().insert("x-stream", number.to_string().parse().unwrap());
        let body = served.runtime.block_on(async {
            let answer = client.clone().oneshot(request).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        });
        assert_eq!(body, stream.body);
    }
    let lines = served.lines();
    assert_eq!(lines.len(), streams.len());
    for (line, stream) in lines.iter().zip(&streams) {
        let Some(expect) = &stream.expect else { continue };
        assert_eq!((&line["event_type"], verdict(line)), (&json!("llm.invoke"), ("ok", None)));
        assert_eq!(line["tokens_input"], expect["tokens_input"]);
        assert_eq!(line["data"]["bytes"], stream.body.len());
    }
}
