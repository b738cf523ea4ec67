//! The kind of an operation, read from its fields.

use std::borrow::Cow;

use super::fields::GenAiFields;
use super::names;

/// The kind of an operation, as far as its fields are known by now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OperationKind {
    /// A call of a model.
    Model,
    /// A run of a tool.
    Tool,
    /// Another operation, with the type of its event.
    Other(Cow<'static, str>),
}

impl OperationKind {
    /// Returns `None` if no field decides it.
    pub(super) fn from_fields(fields: &GenAiFields) -> Option<Self> {
        let other = |name| Some(Self::Other(Cow::Borrowed(name)));
        let models = [names::REQUEST_MODEL, names::RESPONSE_MODEL];
        let has_model = || models.iter().any(|names| fields.text(names).is_some());
        match fields.text(names::OPERATION) {
            Some("execute_tool") => Some(Self::Tool),
            Some("chat" | "text_completion" | "generate_content" | "embeddings") => {
                Some(Self::Model)
            }
            Some("invoke_agent") => other("agent.invoke"),
            Some("create_agent") => other("agent.create"),
            Some("plan") => other("agent.plan"),
            Some("invoke_workflow") => other("workflow.invoke"),
            // These may name a model, but do not call it.
            Some("retrieval") => other("gen_ai.retrieval"),
            Some(memory) if memory.contains("_memory") => {
                Some(Self::Other(format!("gen_ai.{memory}").into()))
            }
            Some(_) if has_model() => Some(Self::Model),
            Some(unknown) => Some(Self::Other(format!("gen_ai.{unknown}").into())),
            None if fields.text(names::TOOL).is_some() => Some(Self::Tool),
            None if has_model() || fields.usage().is_some() => Some(Self::Model),
            None => None,
        }
    }
}
