//! A stand-in for OpenAI's chat API on loopback, which streams. The words of a question say how it
//! fails:
//!
//! | word | the provider |
//! |---|---|
//! | `tool` | calls the tool first |
//! | `busy` | refuses the first attempt |
//! | `quota`, `broken` | refuses every attempt, by a spent quota or an error of its own |
//! | `hang` | does not answer |
//! | `cut N`, `end N`, `stall N` | sends N chunks, and then resets the connection, ends the body, or sends nothing more |
//! | `spoilt` | sends an error in place of the third chunk |
//! | `unmetered` | streams no usage |

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio_stream::{Stream, StreamExt};

/// The questions that were refused once.
type Refused = Arc<Mutex<HashSet<String>>>;

/// How a body goes on after its chunks.
enum Rest {
    Ends,
    IsReset,
    Stalls,
}

/// Serves the stand-in. Returns the base URL for a client; the service ends with the runtime.
///
/// # Errors
///
/// There is no free port on loopback.
pub async fn serve() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let router = Router::new().route("/v1/chat/completions", post(complete));
    let router = router.with_state(Refused::default());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn complete(State(refused): State<Refused>, Json(request): Json<Value>) -> Response {
    let question = request["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
    let has = |word: &str| question.split(' ').any(|asked| asked == word);
    if has("hang") {
        pending::<Infallible>().await;
    }
    if let Some(refusal) = refusal(&has) {
        return refusal;
    }
    let is_new = || refused.lock().unwrap_or_else(PoisonError::into_inner).insert(question.clone());
    if has("busy") && is_new() {
        return error(429, "rate_limit_exceeded", "too many requests of ana@example.com");
    }
    let calls_tool = has("tool") && request["messages"][1].is_null();
    let mut events = if calls_tool { tool_call() } else { text() };
    if has("spoilt") {
        events[2] = json!({"error": {"type": "server_error", "message": "overloaded"}});
    }
    if has("unmetered") {
        events.pop();
    }
    let mut events: Vec<String> = events.iter().map(Value::to_string).collect();
    events.push("[DONE]".to_owned());
    let rest = [("cut", Rest::IsReset), ("end", Rest::Ends), ("stall", Rest::Stalls)];
    let rest =
        rest.into_iter().find_map(|(word, rest)| Some((count_after(&question, word)?, rest)));
    let (count, rest) = rest.unwrap_or((events.len(), Rest::Ends));
    events.truncate(count);
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::from_stream(body(events, rest))).into_response()
}

/// Returns the number after this word.
fn count_after(question: &str, word: &str) -> Option<usize> {
    question.split_once(word)?.1.split_whitespace().next()?.parse().ok()
}

fn refusal(has: &impl Fn(&str) -> bool) -> Option<Response> {
    if has("quota") {
        return Some(error(429, "insufficient_quota", "you have spent it all"));
    }
    has("broken").then(|| error(500, "server_error", "overloaded"))
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let error =
        json!({"error": {"message": message, "type": "requests", "param": null, "code": code}});
    (StatusCode::from_u16(status).expect("a status"), Json(error)).into_response()
}

fn body(events: Vec<String>, rest: Rest) -> impl Stream<Item = io::Result<String>> {
    let events = events.into_iter().map(|event| Ok(format!("data: {event}\n\n")));
    let rest = tokio_stream::once(rest).then(async |rest| match rest {
        Rest::Ends => None,
        Rest::Stalls => pending().await,
        Rest::IsReset => {
            // What was sent before goes out first.
            yield_now().await;
            Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)))
        }
    });
    tokio_stream::iter(events).chain(rest.filter_map(|rest| rest))
}

fn text() -> Vec<Value> {
    let said = |text: &str| chunk(&json!({"content": text}), None);
    let begin = chunk(&json!({"role": "assistant", "content": ""}), None);
    let end = chunk(&json!({}), Some("stop"));
    vec![begin, said("Two check-ups"), said(" a year."), end, usage(160, 128, 12)]
}

fn tool_call() -> Vec<Value> {
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "function": function}]});
    let begin = json!({"role": "assistant", "content": null, "tool_calls": [
        {"index": 0, "id": "call_1", "type": "function",
         "function": {"name": "plan_search", "arguments": ""}}]});
    let arguments = |text: &str| chunk(&call(json!({"arguments": text})), None);
    let end = chunk(&json!({}), Some("tool_calls"));
    let begin = chunk(&begin, None);
    vec![begin, arguments("{\"plan\":"), arguments("\"dental\"}"), end, usage(120, 96, 18)]
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    completion(&json!([choice]), &Value::Null)
}

/// As the API has it: the tokens are those of the prompt, the cached ones among them, and those of
/// the completion.
fn usage(prompt: u64, cached: u64, completion_tokens: u64) -> Value {
    let usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached},
    });
    completion(&json!([]), &usage)
}

fn completion(choices: &Value, usage: &Value) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_763_900_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": choices,
        "usage": usage,
    })
}
