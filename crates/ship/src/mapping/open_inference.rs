//! Attributes of [OpenInference](https://arize-ai.github.io/openinference/spec/semantic_conventions.html), for what the
//! GenAI conventions have no name for.
//!
//! Phoenix and other viewers read the GenAI names. From these they take the kinds of all spans, and what went in and came
//! out.

use llm_audit_log::Json;
use llm_audit_log::schema::Line;

use super::attributes::{attributes_of, operation_of};
use super::{Attribute, AttributeValue};

/// Returns the attributes of a span, with those of OpenInference.
pub(super) fn span_attributes_of<'l>(line: &'l Line<'_>) -> Vec<Attribute<'l>> {
    let mut attributes = attributes_of(line);
    let mut add = |key: &'static str, value| attributes.push((key.into(), value));
    let kind = kind_of(line);
    add("openinference.span.kind", AttributeValue::Text(kind.into()));
    // Others may repeat what is below them.
    if let Some(cost) = line.cost_usd().filter(|_| matches!(kind, "LLM" | "EMBEDDING")) {
        add("llm.cost.total", AttributeValue::Double(cost.as_f64()));
    }
    let member = |name| line.data()?.get(name);
    for (key, mime_type, content) in [
        ("input.value", "input.mime_type", member("prompt")),
        ("output.value", "output.mime_type", member("completion").or(member("result"))),
    ] {
        let Some(content) = content else { continue };
        let (text, is) = shown(content);
        add(key, text);
        add(mime_type, AttributeValue::Text(is.into()));
    }
    attributes
}

/// A request is what an agent was asked to do.
fn kind_of(line: &Line<'_>) -> &'static str {
    match (operation_of(line), line.event_type()) {
        (Some("chat"), _) => "LLM",
        (Some("embeddings"), _) => "EMBEDDING",
        (Some("execute_tool"), _) => "TOOL",
        (Some("invoke_agent"), _) | (_, Some("request.end")) => "AGENT",
        _ => "CHAIN",
    }
}

/// Returns content as a text, and its type.
fn shown<'l>(content: Json<'l>) -> (AttributeValue<'l>, &'static str) {
    match content.as_str() {
        Some(text) => (AttributeValue::Text(text.into()), "text/plain"),
        None => {
            let json = serde_json::to_string(&content).unwrap_or_default();
            (AttributeValue::Text(json.into()), "application/json")
        }
    }
}
