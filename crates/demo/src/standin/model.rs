//! A stand-in for a provider of models: chat completions with tools, seeded, and not always there.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Script, hang, retries, work};
use crate::config::FALLBACK_MODEL;
use crate::message::Message;
use crate::planted::{API_KEY, AWS_KEY, CARD, EMAIL, JWT, PASSWORD, TOKEN};
use crate::prompt::estimated_tokens;

pub(crate) fn router(seed: u64) -> Router {
    Router::new().route("/v1/chat/completions", post(complete)).with_state(seed)
}

#[derive(Deserialize)]
struct Request {
    model: String,
    messages: Vec<Message>,
}

/// What is done about one request.
enum Turn {
    Answer,
    Call(Vec<Value>),
    RateLimit,
    Hang,
    Fail,
    Babble,
}

async fn complete(
    State(seed): State<u64>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Response {
    let case = case_of(&request.messages);
    work(seed, case, 8, 30).await;
    match turn(Script::of(seed, case), case, &request, retries(&headers)) {
        Turn::Answer => answer(&request, json!({"role": "assistant", "content": text(case)})),
        Turn::Call(calls) => {
            answer(&request, json!({"role": "assistant", "content": null, "tool_calls": calls}))
        }
        Turn::RateLimit => {
            let head = [("retry-after", "1"), ("retry-after-ms", "25")];
            (StatusCode::TOO_MANY_REQUESTS, head, refusal()).into_response()
        }
        Turn::Hang => {
            hang().await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Turn::Fail => (StatusCode::INTERNAL_SERVER_ERROR, refusal()).into_response(),
        Turn::Babble => format!("Dear {EMAIL}, I would rather").into_response(),
    }
}

/// The number after `Case ` in the first question; 15, a case of any seed's, if there is none.
fn case_of(messages: &[Message]) -> u64 {
    let asked = messages.iter().find(|message| message.role == "user");
    let text = asked.and_then(|message| message.content.as_deref()).unwrap_or_default();
    let number = text.strip_prefix("Case ").and_then(|rest| rest.split(':').next()?.parse().ok());
    number.unwrap_or(15)
}

fn turn(script: Script, case: u64, request: &Request, retries: u32) -> Turn {
    let round = request.messages.iter().filter(|message| message.role == "assistant").count();
    let tools = || Turn::Call(vec![plan_search(), claim_status(case)]);
    match (script, round, retries) {
        (Script::Down, ..) => Turn::Fail,
        (Script::Overloaded, ..) if request.model != FALLBACK_MODEL => Turn::RateLimit,
        (Script::RateLimited | Script::Storm, 0, 0) => Turn::RateLimit,
        (Script::Slow, 0, 0) => Turn::Hang,
        (Script::NoJson, 0, 0) => Turn::Babble,
        (Script::BadArguments | Script::Storm, 0, _) => {
            let arguments = format!("{{member: {EMAIL}, bearer {JWT}");
            Turn::Call(vec![call("plan_search", arguments)])
        }
        (Script::UnknownTool, 0, _) => {
            let arguments = json!({"account": CARD, "password": PASSWORD}).to_string();
            Turn::Call(vec![call("wire_transfer", arguments), plan_search()])
        }
        (Script::Plain, ..) => Turn::Answer,
        (Script::BadArguments | Script::Storm, 1, _) | (_, 0, _) => tools(),
        _ => Turn::Answer,
    }
}

fn plan_search() -> Value {
    let arguments = json!({"member": EMAIL, "topic": "dental care", "api_key": API_KEY,
        "password": PASSWORD});
    call("plan_search", arguments.to_string())
}

fn claim_status(case: u64) -> Value {
    let arguments = json!({"case": case, "bearer": format!("Bearer {JWT}"), "token": TOKEN});
    call("claim_status", arguments.to_string())
}

fn call(name: &str, arguments: String) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"id": format!("call_{name}"), "type": "function", "function": function})
}

fn text(case: u64) -> String {
    format!("I see the two charges on {CARD}; one is refunded. Case {case} is closed, {EMAIL}.")
}

/// An error as providers word it, quoting who asked.
fn refusal() -> String {
    let message = format!("No capacity for the organization of {EMAIL}, signed by {AWS_KEY}");
    json!({"error": {"message": message, "type": "capacity", "code": null}}).to_string()
}

fn answer(request: &Request, message: Value) -> Response {
    let read: u64 = request.messages.iter().map(tokens).sum();
    let wrote = estimated_tokens(&message.to_string());
    let finish = if message["tool_calls"].is_array() { "tool_calls" } else { "stop" };
    let model = match request.model.as_str() {
        "gpt-4o" => "gpt-4o-2024-08-06",
        FALLBACK_MODEL => "gpt-4o-mini-2024-07-18",
        other => other,
    };
    Json(json!({
        "id": "chatcmpl-standin", "object": "chat.completion", "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote,
            "prompt_tokens_details": {"cached_tokens": read / 4},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }))
    .into_response()
}

fn tokens(message: &Message) -> u64 {
    let calls = message.tool_calls.iter().map(|call| &*call.function.arguments);
    calls.chain(message.content.as_deref()).map(estimated_tokens).sum()
}
