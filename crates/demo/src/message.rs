//! The messages of a conversation with a model, as the protocol has them and as they are recorded.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

/// One message of a conversation, as the protocol has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ChatMessage {
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) content: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<ToolCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tool_call_id: Option<String>,
}

impl ChatMessage {
    pub(crate) fn new(role: &str, content: impl Into<String>) -> Self {
        Self { role: role.to_owned(), content: Some(content.into()), ..Self::default() }
    }

    /// Makes the message that gives the model what a tool found.
    pub(crate) fn tool_result(id: String, content: String) -> Self {
        Self { tool_call_id: Some(id), ..Self::new("tool", content) }
    }
}

/// A tool that the model wants to run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    #[serde(rename = "type", default = "function_type")]
    pub(crate) kind: String,
    pub(crate) function: CalledFunction,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CalledFunction {
    pub(crate) name: String,
    /// JSON, or what the model takes for it.
    pub(crate) arguments: String,
}

fn function_type() -> String {
    "function".to_owned()
}

/// Messages as they are recorded. Arguments and tool results are JSON inside strings, in which no rule
/// finds a sensitive key, so they are recorded as values.
pub(crate) struct RecordedMessages<'a>(pub(crate) &'a [ChatMessage]);

impl Serialize for RecordedMessages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut messages = serializer.serialize_seq(Some(self.0.len()))?;
        for message in self.0 {
            messages.serialize_element(&recorded_message(message))?;
        }
        messages.end()
    }
}

fn recorded_message(message: &ChatMessage) -> Value {
    let mut object = json!({"role": message.role});
    if let Some(content) = &message.content {
        object["content"] = json_or_text(content);
    }
    let call = |call: &ToolCall| json!({"tool": call.function.name, "arguments": json_or_text(&call.function.arguments)});
    if !message.tool_calls.is_empty() {
        object["tool_calls"] = message.tool_calls.iter().map(call).collect();
    }
    object
}

/// Returns the object or list that `text` contains; `text` itself if it contains neither.
pub(crate) fn json_or_text(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_inside_strings_are_recorded_as_values() {
        let function = CalledFunction { name: "t".into(), arguments: r#"{"password":"p"}"#.into() };
        let call = ToolCall { id: "1".into(), kind: function_type(), function };
        let message =
            ChatMessage { tool_calls: vec![call], ..ChatMessage::new("assistant", "[no") };
        let seen = serde_json::to_value(RecordedMessages(&[message])).unwrap();
        let calls = json!([{"tool": "t", "arguments": {"password": "p"}}]);
        assert_eq!(seen, json!([{"role": "assistant", "content": "[no", "tool_calls": calls}]));
    }
}
