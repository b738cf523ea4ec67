//! Shared parts of the tests: a provider of their own, a client, and the log they read.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod content;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// All lines of a log folder.
pub fn text(folder: &Path) -> String {
    let files = fs::read_dir(folder).expect("the folder exists");
    let files = files.map(|file| file.expect("the folder can be read").path());
    // A folder also has a key, and the state of alerts.
    let logs = files.filter(|file| file.extension().is_some_and(|ending| ending == "jsonl"));
    logs.map(|file| fs::read_to_string(file).expect("the file is text")).collect()
}

/// The events of a log, the log's own lines apart.
pub fn events(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    lines.filter(|event: &Value| !name(event).starts_with("audit.")).collect()
}

pub fn name(event: &Value) -> &str {
    event["event_type"].as_str().expect("every line has a type")
}

/// What a test's provider answers to a request: its head, and its parsed body.
pub type Reply = Arc<dyn Fn(&HeaderMap, Value) -> Response + Send + Sync>;

/// Starts a provider on loopback; its base URL.
pub async fn provider(reply: Reply) -> String {
    let complete = async |State(reply): State<Reply>, headers: HeaderMap, body: Bytes| {
        reply(&headers, serde_json::from_slice(&body).expect("a request is JSON"))
    };
    let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(reply);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}/v1")
}

/// A chat completion with this message.
pub fn completion(message: Value) -> Value {
    json!({
        "id": "1", "object": "chat.completion", "model": "test-model-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 7, "total_tokens": 127},
    })
}

/// Asks the service; the answer's status, head and body.
pub async fn ask(address: SocketAddr, path: &str, body: Value) -> (u16, HeaderMap, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("the request is valid");
    let (head, body) = client.request(request).await.expect("the service answers").into_parts();
    let body = body.collect().await.expect("the whole answer comes").to_bytes();
    (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
}
