//! A stand-in for a provider of models: chat completions with tools, seeded, and not always there.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CaseScript, hang_without_answer, retries_from_headers, simulate_work};
use crate::config::FALLBACK_MODEL;
use crate::message::ChatMessage;
use crate::planted::{API_KEY, AWS_KEY, CARD, EMAIL, JWT, PASSWORD, TOKEN};
use crate::prompt::estimate_prompt_tokens;

pub(crate) fn model_standin_router(seed: u64) -> Router {
    Router::new().route("/v1/chat/completions", post(answer_chat_request)).with_state(seed)
}

#[derive(Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<ChatMessage>,
}

/// What is done about one request.
enum StandinTurn {
    Answer,
    Call(Vec<Value>),
    RateLimit,
    Hang,
    Fail,
    Babble,
}

async fn answer_chat_request(
    State(seed): State<u64>,
    headers: HeaderMap,
    Json(request): Json<ChatRequest>,
) -> Response {
    let case = case_from_messages(&request.messages);
    simulate_work(seed, case, 8, 30).await;
    match choose_standin_turn(
        CaseScript::for_case(seed, case),
        case,
        &request,
        retries_from_headers(&headers),
    ) {
        StandinTurn::Answer => completion_response(
            &request,
            json!({"role": "assistant", "content": standin_answer_text(case)}),
        ),
        StandinTurn::Call(calls) => completion_response(
            &request,
            json!({"role": "assistant", "content": null, "tool_calls": calls}),
        ),
        StandinTurn::RateLimit => {
            let head = [("retry-after", "1"), ("retry-after-ms", "25")];
            (StatusCode::TOO_MANY_REQUESTS, head, standin_refusal()).into_response()
        }
        StandinTurn::Hang => {
            hang_without_answer().await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        StandinTurn::Fail => (StatusCode::INTERNAL_SERVER_ERROR, standin_refusal()).into_response(),
        StandinTurn::Babble => format!("Dear {EMAIL}, I would rather").into_response(),
    }
}

/// The number after `Case ` in the first question; 15, a case of any seed's, if there is none.
fn case_from_messages(messages: &[ChatMessage]) -> u64 {
    let asked = messages.iter().find(|message| message.role == "user");
    let text = asked.and_then(|message| message.content.as_deref()).unwrap_or_default();
    let number = text.strip_prefix("Case ").and_then(|rest| rest.split(':').next()?.parse().ok());
    number.unwrap_or(15)
}

fn choose_standin_turn(
    script: CaseScript,
    case: u64,
    request: &ChatRequest,
    retries: u32,
) -> StandinTurn {
    let round = request.messages.iter().filter(|message| message.role == "assistant").count();
    let tools = || StandinTurn::Call(vec![plan_search_call(), claim_status_call(case)]);
    match (script, round, retries) {
        (CaseScript::Down, ..) => StandinTurn::Fail,
        (CaseScript::Overloaded, ..) if request.model != FALLBACK_MODEL => StandinTurn::RateLimit,
        (CaseScript::RateLimited | CaseScript::Storm, 0, 0) => StandinTurn::RateLimit,
        (CaseScript::Slow, 0, 0) => StandinTurn::Hang,
        (CaseScript::NoJson, 0, 0) => StandinTurn::Babble,
        (CaseScript::BadArguments | CaseScript::Storm, 0, _) => {
            let arguments = format!("{{member: {EMAIL}, bearer {JWT}");
            StandinTurn::Call(vec![tool_call_json("plan_search", arguments)])
        }
        (CaseScript::UnknownTool, 0, _) => {
            let arguments = json!({"account": CARD, "password": PASSWORD}).to_string();
            StandinTurn::Call(vec![tool_call_json("wire_transfer", arguments), plan_search_call()])
        }
        (CaseScript::Plain, ..) => StandinTurn::Answer,
        (CaseScript::BadArguments | CaseScript::Storm, 1, _) | (_, 0, _) => tools(),
        _ => StandinTurn::Answer,
    }
}

fn plan_search_call() -> Value {
    let arguments = json!({"member": EMAIL, "topic": "dental care", "api_key": API_KEY,
        "password": PASSWORD});
    tool_call_json("plan_search", arguments.to_string())
}

fn claim_status_call(case: u64) -> Value {
    let arguments = json!({"case": case, "bearer": format!("Bearer {JWT}"), "token": TOKEN});
    tool_call_json("claim_status", arguments.to_string())
}

fn tool_call_json(name: &str, arguments: String) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"id": format!("call_{name}"), "type": "function", "function": function})
}

fn standin_answer_text(case: u64) -> String {
    format!("I see the two charges on {CARD}; one is refunded. Case {case} is closed, {EMAIL}.")
}

/// An error as providers word it, quoting who asked.
fn standin_refusal() -> String {
    let message = format!("No capacity for the organization of {EMAIL}, signed by {AWS_KEY}");
    json!({"error": {"message": message, "type": "capacity", "code": null}}).to_string()
}

fn completion_response(request: &ChatRequest, message: Value) -> Response {
    let read: u64 = request.messages.iter().map(message_tokens).sum();
    let wrote = estimate_prompt_tokens(&message.to_string());
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

fn message_tokens(message: &ChatMessage) -> u64 {
    let calls = message.tool_calls.iter().map(|call| &*call.function.arguments);
    calls.chain(message.content.as_deref()).map(estimate_prompt_tokens).sum()
}
