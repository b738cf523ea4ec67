//! Model calls over plain reqwest, recorded by `ClientLayer` as a middleware. The provider is a stand-in on
//! loopback: it refuses the first call, streams an answer, and cuts the last one off.
//!
//! `AUDIT_EXPORTER=stdout cargo run --example http_clients --features axum,reqwest`

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::Full;
use llm_audit::layer::tower::ClientLayer;
use llm_audit::{InSpan, TraceContext};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _guard = llm_audit::init()?;
    let provider = serve_standin().await?;
    let pause = Duration::from_millis(1);
    let retries =
        ExponentialBackoff::builder().retry_bounds(pause, pause).build_with_max_retries(2);
    // Put the recorder inside of what retries: then each attempt is an event.
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(RetryTransientMiddleware::new_with_policy(retries))
        .with(ClientLayer::new("benefits").model_calls())
        .build();
    for question in ["Which plan covers glasses?", "And which one covers a cut?"] {
        ask(&client, &provider, question).in_span(TraceContext::new_trace()).await?;
    }
    Ok(())
}

async fn ask(
    client: &ClientWithMiddleware,
    provider: &str,
    question: &str,
) -> Result<usize, Box<dyn Error>> {
    let body = json!({
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": question}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let answer = client.post(format!("{provider}/v1/chat/completions")).json(&body).send().await?;
    Ok(answer.bytes().await?.len())
}

/// Starts the stand-in and returns its URL.
async fn serve_standin() -> Result<String, Box<dyn Error>> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let chat = async |question: Bytes| -> Response {
        if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
            let error = json!({"error": {"message": "slow down", "type": "requests"}});
            return (StatusCode::TOO_MANY_REQUESTS, error.to_string()).into_response();
        }
        let mut chunks = answer_chunks();
        if question.windows(3).any(|word| word == b"cut") {
            chunks.truncate(2);
        }
        let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let body = Body::new(Full::<Bytes>::from(events));
        ([("content-type", "text/event-stream")], body).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/v1/chat/completions", post(chat));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

fn answer_chunks() -> Vec<Value> {
    let chunk = |choices: Value, usage: Value| {
        json!({"object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06",
            "choices": choices, "usage": usage})
    };
    let delta =
        |text: &str| json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]);
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500});
    vec![
        chunk(delta("The Silver "), Value::Null),
        chunk(delta("plan."), Value::Null),
        chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null),
        chunk(json!([]), usage),
    ]
}
