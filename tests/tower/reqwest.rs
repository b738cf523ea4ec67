//! The same through reqwest: a middleware of reqwest-middleware.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use axum::routing::{any, post};
use http_body_util::Full;
use llm_audit::layer::tower::ClientLayer;
use llm_audit::{AuditLogger, InSpan, TraceContext};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use serde_json::{Value, json};

use crate::model_calls::{serve_streams, streams};
use crate::support::{Served, layer, verdict};

fn client(served: &Served) -> ClientWithMiddleware {
    let layer = ClientLayer::new("planner").logger(served.capture.logger().clone());
    ClientBuilder::new(reqwest::Client::new()).with(layer.model_calls()).build()
}

fn url(served: &Served, path: &str) -> String {
    format!("http://{}{path}", served.address)
}

fn request() -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]})
}

#[test]
fn streams_pass_unchanged_and_are_recorded() {
    let served = serve_streams();
    let client = client(&served);
    for (number, stream) in streams().iter().enumerate() {
        let path = stream.url.splitn(4, '/').nth(3).unwrap();
        let request = client.post(url(&served, &format!("/{path}")));
        let request = request.header("x-stream", number).body(stream.request.clone());
        let (head, body) = served.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let head = (response.url().to_string(), response.content_length());
            (head, response.bytes().await.unwrap())
        });
        assert_eq!(body, stream.body);
        assert_eq!(
            head.0.split('#').next().unwrap(),
            url(&served, &format!("/{path}")).split('#').next().unwrap()
        );
        assert_eq!(head.1, None, "the length of a stream is not known");
    }
    for (line, stream) in served.lines().iter().zip(streams()) {
        let Some(expect) = &stream.expect else { continue };
        assert_eq!((&line["event_type"], verdict(line)), (&json!("llm.invoke"), ("ok", None)));
        assert_eq!(
            (&line["tokens_input"], &line["tokens_output"]),
            (&expect["tokens_input"], &expect["tokens_output"])
        );
        assert!(line["data"]["first_token_ms"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_middleware_that_retries_outside_makes_each_attempt_an_event() {
    let served = Served::new(|_| {
        let mut codes = vec![200, 503, 429];
        let codes = std::sync::Arc::new(std::sync::Mutex::new(std::mem::take(&mut codes)));
        let answer = move || {
            let code = codes.lock().unwrap().pop().unwrap();
            let answer = json!({"model": "gpt-4o-2024-08-06", "usage":
                {"prompt_tokens": 1000, "completion_tokens": 500}});
            let response = Response::builder().status(code);
            std::future::ready(response.body(Body::from(answer.to_string())).unwrap())
        };
        Router::new().route("/v1/chat/completions", post(answer))
    });
    let policy = ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(1), Duration::from_millis(2))
        .build_with_max_retries(3);
    let layer = ClientLayer::new("planner").logger(served.capture.logger().clone());
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(RetryTransientMiddleware::new_with_policy(policy))
        .with(layer.model_calls())
        .build();
    let root = TraceContext::new_trace();
    let asked = async {
        let request = client.post(url(&served, "/v1/chat/completions")).json(&request());
        request.send().await.unwrap().bytes().await.unwrap()
    };
    served.runtime.block_on(asked.in_span(root.clone()));
    let lines = served.lines();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (line["event_type"].as_str().unwrap(), line["data"]["attempt"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("llm.error", 1),
        ("agent.retry", 2),
        ("llm.error", 2),
        ("agent.retry", 3),
        ("llm.invoke", 3),
    ];
    assert_eq!(told, expected);
    assert_eq!(lines[1]["data"]["reason"], "429");
    assert_eq!(lines[4]["cost_usd"], json!(0.0075));
    let parent = json!(format!("{:016x}", root.span_id()));
    assert!(lines.iter().all(|line| line["parent_span_id"] == parent));
}

#[test]
fn the_length_of_a_streamed_request_is_left_out() {
    let served = Served::new(|_| {
        let answer = json!({"usage": {"prompt_tokens": 1000, "completion_tokens": 500}});
        Router::new().route("/v1/chat/completions", post(async move || answer.to_string()))
    });
    let client = client(&served);
    let streamed = reqwest::Body::wrap(Full::<Bytes>::from(request().to_string()));
    for body in [streamed, request().to_string().into()] {
        let request = client.post(url(&served, "/v1/chat/completions")).body(body);
        served.runtime.block_on(async { request.send().await.unwrap().bytes().await.unwrap() });
    }
    let lines = served.lines();
    assert!(lines.iter().all(|line| line["event_type"] == "llm.invoke"), "{lines:#?}");
    assert_eq!(lines[0]["data"].get("bytes_in"), None);
    assert_eq!(lines[1]["data"]["bytes_in"], request().to_string().len());
}

#[test]
fn other_calls_are_recorded_and_continue_the_trace() {
    let served = Served::new(|capture| {
        let echo = async |headers: HeaderMap| headers["traceparent"].to_str().unwrap().to_owned();
        Router::new().route("/plans/7", any(echo)).layer(layer(capture))
    });
    let client = client(&served);
    let (traceparent, length) = served.runtime.block_on(async {
        let response = client.get(url(&served, "/plans/7?q=1")).send().await.unwrap();
        let length = response.content_length();
        (response.text().await.unwrap(), length)
    });
    assert_eq!(length, Some(traceparent.len() as u64));
    served.wait_for("api.call", 1);
    let recorded = served.finish(1);
    let call = recorded.of("api.call")[0];
    assert!(traceparent.contains(call["span_id"].as_str().unwrap()));
    assert_eq!(recorded.pair().start["parent_span_id"], call["span_id"]);
    assert_eq!((&call["action"], verdict(call)), (&json!("GET 127.0.0.1"), ("ok", None)));
    assert_eq!(call["data"]["attempt"], 1);
}

#[test]
fn errors_keep_their_type() {
    let served = serve_streams();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client(&served);
    // This listener accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/v1/chat/completions", silent.local_addr().unwrap());
    let (refused, late, odd) = served.runtime.block_on(async {
        let refused = client.post(format!("http://{nobody}/v1/chat/completions")).json(&request());
        let late = client.post(silent).timeout(Duration::from_millis(1)).json(&request());
        let odd = client.get("data:text/plain,hello");
        (refused.send().await, late.send().await, odd.send().await)
    });
    assert!(refused.unwrap_err().is_connect());
    assert!(late.unwrap_err().is_timeout());
    assert!(odd.is_err());
    let lines = served.lines();
    assert_eq!(
        (&lines[0]["event_type"], lines[0]["status"].as_str()),
        (&json!("llm.error"), Some("error"))
    );
    assert!(lines[0]["error"]["traceback"].as_str().unwrap().contains("refused"), "{}", lines[0]);
    assert_eq!(lines[0]["data"]["model"], "gpt-4o");
    assert_eq!(
        (&lines[1]["event_type"], lines[1]["status"].as_str()),
        (&json!("llm.error"), Some("timeout"))
    );
}

#[test]
fn a_logger_that_is_off_leaves_calls_alone() {
    let served = Served::new(|_| {
        let answer = async |headers: HeaderMap| headers.contains_key("traceparent").to_string();
        Router::new().route("/v1/chat/completions", post(answer))
    });
    let off = AuditLogger::builder().without_environment().enabled(false).build().unwrap();
    let layer = ClientLayer::new("planner").logger(off).model_calls();
    let client = ClientBuilder::new(reqwest::Client::new()).with(layer).build();
    let body = served.runtime.block_on(async {
        let request = client.post(url(&served, "/v1/chat/completions")).json(&request());
        request.send().await.unwrap().text().await.unwrap()
    });
    assert_eq!(body, "false");
    assert!(served.lines().is_empty());
}
