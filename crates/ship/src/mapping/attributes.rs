//! The names and attributes of the GenAI conventions.

use std::borrow::Cow;

use llm_audit_log::schema::gen_ai::{EVALUATION, EVALUATION_LABEL, EVALUATION_SCORE, EXPLANATION};
use llm_audit_log::schema::{Judgement, Line, Status};
use llm_audit_log::{Json, Usd};

use super::{Attribute, AttributeValue, SpanKind};

/// Returns the name of a span, as the conventions have it, and its kind.
pub(super) fn name_and_kind<'l>(line: &'l Line<'_>) -> (Cow<'l, str>, SpanKind) {
    let action = line.action().unwrap_or("unknown");
    match line.event_type().unwrap_or_default() {
        "llm.invoke" | "llm.error" => {
            let operation = operation_of(line).unwrap_or("chat");
            let named = line.model().map(|model| format!("{operation} {model}").into());
            (named.unwrap_or(operation.into()), SpanKind::Client)
        }
        "tool.result" | "tool.error" => {
            (format!("execute_tool {}", tool_of(line)).into(), SpanKind::Internal)
        }
        "agent.invoke" => (
            format!("invoke_agent {}", line.agent().unwrap_or_default()).into(),
            SpanKind::Internal,
        ),
        "request.end" => (action.into(), SpanKind::Server),
        "api.call" | "s3.write" | "push.send" => (action.into(), SpanKind::Client),
        _ => (action.into(), SpanKind::Internal),
    }
}

/// Returns `gen_ai.operation.name` of an event.
pub(super) fn operation_of(line: &Line<'_>) -> Option<&'static str> {
    Some(match line.event_type()? {
        "llm.invoke" | "llm.error"
            if line.action().is_some_and(|action| action.contains("embed")) =>
        {
            "embeddings"
        }
        "llm.invoke" | "llm.error" => "chat",
        "tool.call" | "tool.result" | "tool.error" => "execute_tool",
        "agent.invoke" => "invoke_agent",
        _ => return None,
    })
}

fn tool_of<'l>(line: &'l Line<'_>) -> &'l str {
    let tool = line.data().and_then(|data| data.get("tool")?.as_str());
    tool.or(line.action()).unwrap_or_default()
}

/// Members of the data that have the names of the conventions for MCP.
const MCP: [&str; 7] = [
    "gen_ai.prompt.name",
    "jsonrpc.request.id",
    "mcp.method.name",
    "mcp.protocol.version",
    "mcp.resource.uri",
    "mcp.session.id",
    "rpc.response.status_code",
];

pub(super) fn attributes_of<'l>(line: &'l Line<'_>) -> Vec<Attribute<'l>> {
    let mut attributes = Vec::with_capacity(16);
    let mut add_text = |key: &'static str, value: Option<&'l str>| {
        attributes.extend(value.map(|value| (key.into(), AttributeValue::Text(value.into()))));
    };
    let data = line.data();
    let member = |name: &str| data.and_then(|data| data.get(name));
    let text = |name: &str| member(name).and_then(Json::as_str);
    let is_model = matches!(line.event_type(), Some("llm.invoke" | "llm.error"));
    add_text("gen_ai.operation.name", operation_of(line));
    add_text("gen_ai.agent.name", line.agent());
    add_text("gen_ai.provider.name", text("provider"));
    add_text("gen_ai.request.model", line.model().filter(|_| is_model));
    add_text("gen_ai.response.model", text("response_model").filter(|_| is_model));
    add_text("gen_ai.conversation.id", text("conversation"));
    let is_tool = operation_of(line) == Some("execute_tool");
    add_text("gen_ai.tool.name", is_tool.then(|| tool_of(line)));
    add_text("http.request.method", text("http.method"));
    add_text("http.route", text("http.route"));
    for name in MCP {
        add_text(name, text(name));
    }
    add_text("user.id", text("user"));
    add_text("tenant.id", text("tenant"));
    let evaluation = Judgement::of(line).filter(|judgement| !judgement.is_feedback);
    add_text(EVALUATION[0], evaluation.map(|evaluation| evaluation.name));
    add_text(EVALUATION_LABEL[0], evaluation.and_then(|evaluation| evaluation.label));
    add_text(EXPLANATION[0], evaluation.and_then(|evaluation| evaluation.text));
    add_text("error.type", error_type_of(line));
    add_text("llm_audit.event_type", line.event_type());
    add_text("llm_audit.action", line.action());
    add_text("llm_audit.status", line.status().map(Status::name));
    add_text("llm_audit.kept", line.kept());
    add_text("llm_audit.instance", line.instance());
    add_text("llm_audit.parent_span_id", line.parent_span_id());
    for (key, json) in [("llm_audit.data", data), ("llm_audit.error", line.error())] {
        let text = json.and_then(|json| serde_json::to_string(&json).ok());
        attributes.extend(text.map(|text| (key.into(), AttributeValue::Text(text.into()))));
    }
    let usage = |name: &str| member("usage").and_then(|usage| usage.get(name)?.as_u64());
    for (key, value) in [
        ("gen_ai.usage.input_tokens", line.tokens_input()),
        ("gen_ai.usage.output_tokens", line.tokens_output()),
        ("gen_ai.usage.cache_read.input_tokens", usage("cache_read")),
        ("http.response.status_code", member("http.status_code").and_then(Json::as_u64)),
        ("llm_audit.seq", line.seq()),
    ] {
        let value = value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        attributes.extend(value.map(|value| (key.into(), AttributeValue::Int(value))));
    }
    for (key, value) in [
        ("llm_audit.cost.usd", line.cost_usd().map(|cost| cost.as_f64())),
        ("llm_audit.latency_ms", line.latency_ms()),
        (EVALUATION_SCORE[0], evaluation.and_then(|evaluation| evaluation.score)),
    ] {
        attributes.extend(value.map(|value| (key.into(), AttributeValue::Double(value))));
    }
    // A double does not hold every digit of every cost.
    let inexact = line.cost_usd().filter(|cost| Usd::try_from(cost.as_f64()).ok() != Some(*cost));
    let text = inexact.map(|cost| AttributeValue::Text(cost.to_string().into()));
    attributes.extend(text.map(|text| ("llm_audit.cost.exact".into(), text)));
    attributes
}

/// Returns the type of the error of a failure; `_OTHER` if it has none, as the conventions have it.
fn error_type_of<'l>(line: &'l Line<'_>) -> Option<&'l str> {
    let given = line.error().and_then(|error| error.get("type")?.as_str());
    let is_failure = line.status().is_some_and(Status::is_failure);
    given.or(match line.status() {
        Some(Status::Timeout) => Some("timeout"),
        _ => is_failure.then_some("_OTHER"),
    })
}
