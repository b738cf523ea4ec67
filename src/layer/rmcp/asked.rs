//! What a request asks for: its method, its target and its arguments.

use std::borrow::Cow;

use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CustomRequest, GetPromptRequestParams, JsonObject,
    ReadResourceRequestParams,
};
use serde_json::Value;

use crate::layer::mcp_methods::known_method;

/// The action of what the server does not know. Any client may send any name, and each action is a label.
const UNKNOWN: &str = "unknown";
const TOOLS_CALL: &str = "tools/call";

/// What a request asks for.
pub(super) struct Asked<'r> {
    pub(super) method: &'r str,
    pub(super) action: Cow<'r, str>,
    pub(super) target: Target<'r>,
    pub(super) arguments: Option<&'r JsonObject>,
}

/// What the method of a request is applied to.
#[derive(Clone, Copy)]
pub(super) enum Target<'r> {
    Tool(&'r str),
    Prompt(&'r str),
    Resource(&'r str),
    Nothing,
}

impl<'r> Asked<'r> {
    pub(super) fn of_method(method: &'r str) -> Self {
        Self { method, action: method.into(), target: Target::Nothing, arguments: None }
    }

    pub(super) fn of_tool(params: &'r CallToolRequestParams) -> Self {
        Self::of_tool_name(&params.name, params.arguments.as_ref())
    }

    fn of_tool_name(name: &'r str, arguments: Option<&'r JsonObject>) -> Self {
        Self { method: TOOLS_CALL, action: name.into(), target: Target::Tool(name), arguments }
    }

    pub(super) fn of_prompt(params: &'r GetPromptRequestParams) -> Self {
        let (target, arguments) = (Target::Prompt(&params.name), params.arguments.as_ref());
        Self { target, arguments, ..Self::of_method("prompts/get") }
    }

    pub(super) fn of_resource(params: &'r ReadResourceRequestParams) -> Self {
        Self::of_uri("resources/read", &params.uri)
    }

    pub(super) fn of_uri(method: &'r str, uri: &'r str) -> Self {
        Self { target: Target::Resource(uri), ..Self::of_method(method) }
    }

    /// Reads a request whose method rmcp does not know, or whose parameters are not those of the method.
    pub(super) fn of_custom(request: &'r CustomRequest) -> Self {
        if request.method != TOOLS_CALL {
            let action = known_method(&request.method).unwrap_or(UNKNOWN).into();
            return Self { action, ..Self::of_method(&request.method) };
        }
        let params = request.params.as_ref();
        let name = params.and_then(|params| params.get("name")?.as_str());
        Self::of_tool_name(name.unwrap_or(UNKNOWN), params.and_then(Value::as_object))
    }

    /// Leaves a tool that this server does not have out of the action.
    pub(super) fn of_tools_of(mut self, server: &impl ServerHandler) -> Self {
        if let Target::Tool(name) = self.target
            && server.get_tool(name).is_none()
        {
            self.action = UNKNOWN.into();
        }
        self
    }
}
