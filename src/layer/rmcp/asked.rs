//! What a request asks for: its method, its target and its arguments.

use rmcp::model::{
    CallToolRequestParams, CustomRequest, GetPromptRequestParams, JsonObject,
    ReadResourceRequestParams,
};
use serde_json::Value;

const TOOLS_CALL: &str = "tools/call";

/// What a request asks for.
pub(super) struct Asked<'r> {
    pub(super) method: &'r str,
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
        Self { method, target: Target::Nothing, arguments: None }
    }

    pub(super) fn of_tool(params: &'r CallToolRequestParams) -> Self {
        let arguments = params.arguments.as_ref();
        Self { method: TOOLS_CALL, target: Target::Tool(&params.name), arguments }
    }

    pub(super) fn of_prompt(params: &'r GetPromptRequestParams) -> Self {
        let arguments = params.arguments.as_ref();
        Self { method: "prompts/get", target: Target::Prompt(&params.name), arguments }
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
            return Self::of_method(&request.method);
        }
        let params = request.params.as_ref();
        let name = params.and_then(|params| params.get("name")?.as_str());
        let target = Target::Tool(name.unwrap_or("unknown"));
        Self { method: TOOLS_CALL, target, arguments: params.and_then(Value::as_object) }
    }
}
