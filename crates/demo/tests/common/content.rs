//! A run whose questions, completions, arguments and results are told apart by marker texts that no
//! rule of redaction knows.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::response::IntoResponse;
use http::StatusCode;
use llm_audit::Builder;
use llm_audit_demo::{Config, Provider, Service};
use serde_json::{Value, json};

use super::{ask, completion, provider, text};

const QUESTION: &str = "zebra-in-the-question charged";
const COMPLETION: &str = "okapi-in-the-completion";
const ARGUMENT: &str = "tapir-in-an-argument";
const MALFORMED: &str = "gecko-in-a-malformed-argument";
/// What the bundled search service finds.
const RESULT: &str = "dental care, two visits";
pub const MARKERS: [&str; 5] = [QUESTION, COMPLETION, ARGUMENT, MALFORMED, RESULT];

/// Records one question that meets every failure that has content at hand; the log's text.
pub fn record(folder: &Path, change: impl FnOnce(Builder) -> Builder) -> String {
    let builder = llm_audit::AuditLogger::builder().without_environment().directory(folder);
    let guard = llm_audit::init_with(change(builder.debug(true))).expect("valid settings");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let provider = Provider {
            base_url: provider(Arc::new(|_, request| reply(&request))).await,
            api_key: None,
            model: "first".to_owned(),
            fallback_model: "second".to_owned(),
            timeout: std::time::Duration::from_secs(20),
        };
        let config = Config { provider: Some(provider), ..Config::default() };
        let service = Service::start(config).await.expect("a free port");
        // Of case 0, the search service's first answer about the claim is a failure.
        let body = json!({"case": 0, "contact": "m-1", "question": QUESTION});
        let (status, _, answer) = ask(service.address(), "/benefits/m-1", body).await;
        assert_eq!(status, 200);
        assert!(answer.contains(COMPLETION), "{answer}");
        service.shutdown().await;
    });
    drop((runtime, guard));
    text(folder)
}

/// The first model refuses; the second calls for tools, once badly, and then answers.
fn reply(request: &Value) -> axum::response::Response {
    let messages = request["messages"].as_array().expect("messages");
    let round = messages.iter().filter(|message| message["role"] == "assistant").count();
    let call = |name: &str, arguments: String| {
        json!({"id": name, "type": "function",
            "function": {"name": name, "arguments": arguments}})
    };
    if request["model"] == "first" {
        return (StatusCode::BAD_REQUEST, r#"{"error":{"message":"not here"}}"#).into_response();
    }
    let message = match round {
        0 => json!({"role": "assistant", "content": COMPLETION, "tool_calls": [
            call("claim_status", json!({"case": 0, "note": ARGUMENT}).to_string()),
            call("plan_search", json!({"member": ARGUMENT, "topic": ARGUMENT}).to_string()),
            call("plan_search", format!("{{{MALFORMED}")),
            call(MALFORMED_TOOL, json!({"note": ARGUMENT}).to_string()),
        ]}),
        _ => json!({"role": "assistant", "content": COMPLETION}),
    };
    Json(completion(message)).into_response()
}

/// A tool's name is not content.
const MALFORMED_TOOL: &str = "no_such_tool";
