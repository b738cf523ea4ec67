//! A stand-in for Bedrock on loopback. The words of a question say how it answers:
//!
//! | word | the provider |
//! |---|---|
//! | `tool` | calls the tool, and streams the answer to its result |
//! | `busy` | refuses the first attempt of each operation |
//! | `broken`, `invalid`, `late` | refuses every attempt, by a status of 500, 400 or 408 |
//! | `hang` | does not answer |
//! | `cut N`, `end N`, `stall N` | streams N events, and then resets the connection, ends the body, or sends nothing more |
//! | `spoilt` | streams an exception in place of the fourth event |

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider,
};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use aws_types::SdkConfig;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio_stream::{Stream, StreamExt};

/// The operations and questions that were refused once.
type Refused = Arc<Mutex<HashSet<String>>>;

/// How a body goes on after its events.
enum Rest {
    Ends,
    IsReset,
    Stalls,
}

/// Serves the stand-in. Returns the configuration for the SDK; the service ends with the runtime.
///
/// # Errors
///
/// There is no free port on loopback.
pub async fn serve() -> io::Result<SdkConfig> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/model/{model}/{operation}", post(answer));
    let router = router.with_state(Refused::default());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(sdk_config(url))
}

fn sdk_config(url: String) -> SdkConfig {
    let credentials = Credentials::new("none", "none", None, None, "example");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(10)))
        .build()
}

async fn answer(
    State(refused): State<Refused>,
    Path((_, operation)): Path<(String, String)>,
    Json(request): Json<Value>,
) -> Response {
    let question = request["messages"][0]["content"][0]["text"].as_str().unwrap_or_default();
    let has = |word: &str| question.split(' ').any(|asked| asked == word);
    if has("hang") {
        pending::<Infallible>().await;
    }
    let is_new = || {
        let asked = format!("{operation} {question}");
        refused.lock().unwrap_or_else(PoisonError::into_inner).insert(asked)
    };
    if has("busy") && is_new() {
        return refusal(429, "ThrottlingException", "too many requests of ana@example.com");
    }
    match operation.as_str() {
        "converse" => refused_as(&has).unwrap_or_else(|| Json(whole(has("tool"))).into_response()),
        _ => stream(question, has("spoilt")),
    }
}

fn refused_as(has: &impl Fn(&str) -> bool) -> Option<Response> {
    let refusals = [
        ("broken", 500, "InternalServerException", "overloaded"),
        ("invalid", 400, "ValidationException", "no such model"),
        ("late", 408, "ModelTimeoutException", "the model took too long"),
    ];
    let (_, status, name, message) = refusals.into_iter().find(|(word, ..)| has(word))?;
    Some(refusal(status, name, message))
}

fn refusal(status: u16, name: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let name = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
    (status, [("x-amzn-errortype", name)], Json(json!({ "message": message }))).into_response()
}

/// The answer of `Converse`: a call of the tool, or a text.
fn whole(calls_tool: bool) -> Value {
    let (content, reason) = match calls_tool {
        true => {
            let input = json!({"plan": "dental"});
            let call = json!({"toolUseId": "call_1", "name": "plan_search", "input": input});
            (json!({ "toolUse": call }), "tool_use")
        }
        false => (json!({"text": "Ask about a plan."}), "end_turn"),
    };
    json!({
        "output": {"message": {"role": "assistant", "content": [content]}},
        "stopReason": reason,
        "usage": usage(24, 96, 18),
        "metrics": {"latencyMs": 7},
    })
}

/// As the API has it: cached tokens are not among the input tokens.
fn usage(input: u64, cache_read: u64, output: u64) -> Value {
    json!({
        "inputTokens": input,
        "outputTokens": output,
        "totalTokens": input + cache_read + output,
        "cacheReadInputTokens": cache_read,
        "cacheWriteInputTokens": 0,
    })
}

fn stream(question: &str, is_spoilt: bool) -> Response {
    let mut events = events();
    if is_spoilt {
        events[3] = message("exception", "throttlingException", &json!({"message": "slow down"}));
    }
    let rest = [("cut", Rest::IsReset), ("end", Rest::Ends), ("stall", Rest::Stalls)];
    let rest = rest.into_iter().find_map(|(word, rest)| Some((count_after(question, word)?, rest)));
    let (count, rest) = rest.unwrap_or((events.len(), Rest::Ends));
    events.truncate(count);
    let headers = [(header::CONTENT_TYPE, "application/vnd.amazon.eventstream")];
    (headers, Body::from_stream(body(events, rest))).into_response()
}

/// Returns the number after this word.
fn count_after(question: &str, word: &str) -> Option<usize> {
    question.split_once(word)?.1.split_whitespace().next()?.parse().ok()
}

fn body(events: Vec<Vec<u8>>, rest: Rest) -> impl Stream<Item = io::Result<Vec<u8>>> {
    let rest = tokio_stream::once(rest).then(async |rest| match rest {
        Rest::Ends => None,
        Rest::Stalls => pending().await,
        Rest::IsReset => {
            // What was sent before goes out first.
            yield_now().await;
            Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)))
        }
    });
    tokio_stream::iter(events.into_iter().map(Ok)).chain(rest.filter_map(|rest| rest))
}

fn events() -> Vec<Vec<u8>> {
    let said = |text: &str| json!({"contentBlockIndex": 0, "delta": {"text": text}});
    let usage = json!({"usage": usage(32, 128, 12), "metrics": {"latencyMs": 9}});
    let events = [
        ("messageStart", json!({"role": "assistant"})),
        ("contentBlockDelta", said("Two check-ups")),
        ("contentBlockDelta", said(" a year.")),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("messageStop", json!({"stopReason": "end_turn"})),
        ("metadata", usage),
    ];
    events.iter().map(|(name, payload)| message("event", name, payload)).collect()
}

/// Returns a message in the framing of AWS.
fn message(kind: &str, name: &str, payload: &Value) -> Vec<u8> {
    let text = |text: &str| HeaderValue::String(text.to_owned().into());
    let message = Message::new(payload.to_string())
        .add_header(Header::new(":message-type", text(kind)))
        .add_header(Header::new(format!(":{kind}-type"), text(name)))
        .add_header(Header::new(":content-type", text("application/json")));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("a short message");
    bytes
}
