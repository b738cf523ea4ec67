//! How a request ended, as its event has it.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, GetPromptResponse, InputRequiredResult, ReadResourceResponse,
};
use rmcp::service::{ClientInitializeError, ServiceError};
use serde::Serialize;
use serde_json::Value;

use crate::record::event::{ErrorDetail, Status};

/// What becomes a value only if content is captured.
pub(super) trait Content {
    fn to_json(&self) -> Value;
}

impl<T: Serialize> Content for T {
    fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|_| "[UNSERIALIZABLE]".into())
    }
}

/// How a request ended.
pub(super) struct Answer<'r> {
    pub(super) status: Status,
    pub(super) error: Option<ErrorDetail<'r>>,
    /// The code of a JSON-RPC error.
    pub(super) code: Option<String>,
    /// Why the answer is not final.
    pub(super) outcome: Option<&'static str>,
    pub(super) result: Option<&'r dyn Content>,
}

impl<'r> Answer<'r> {
    pub(super) fn done() -> Self {
        Self { status: Status::Ok, error: None, code: None, outcome: None, result: None }
    }

    pub(super) fn of_result(result: &'r dyn Content) -> Self {
        Self { result: Some(result), ..Self::done() }
    }

    pub(super) fn of_tool(result: &'r CallToolResult) -> Self {
        if result.is_error != Some(true) {
            return Self::of_result(result);
        }
        let texts: Vec<&str> =
            result.content.iter().filter_map(|part| Some(&*part.as_text()?.text)).collect();
        Self::failed(ErrorDetail::new("tool_error", texts.join("\n")))
    }

    pub(super) fn of_tool_response(response: &'r CallToolResponse) -> Self {
        match response {
            CallToolResponse::Complete(result) => Self::of_tool(result),
            CallToolResponse::InputRequired(result) => Self::of_question(result),
            CallToolResponse::Task(task) => Self { outcome: Some("task"), ..Self::of_result(task) },
            _ => Self::done(),
        }
    }

    pub(super) fn of_prompt_response(response: &'r GetPromptResponse) -> Self {
        match response {
            GetPromptResponse::Complete(result) => Self::of_result(result),
            GetPromptResponse::InputRequired(result) => Self::of_question(result),
            _ => Self::done(),
        }
    }

    pub(super) fn of_resource_response(response: &'r ReadResourceResponse) -> Self {
        match response {
            ReadResourceResponse::Complete(result) => Self::of_result(result),
            ReadResourceResponse::InputRequired(result) => Self::of_question(result),
            _ => Self::done(),
        }
    }

    fn of_question(result: &'r InputRequiredResult) -> Self {
        Self { outcome: Some("input_required"), ..Self::of_result(result) }
    }

    pub(super) fn failed(error: ErrorDetail<'r>) -> Self {
        Self { status: Status::Error, error: Some(error), ..Self::done() }
    }
}

/// An error that a request ends with.
pub(super) trait Failure {
    fn answer(&self) -> Answer<'_>;
}

impl Failure for ErrorData {
    fn answer(&self) -> Answer<'_> {
        let code = self.code.0.to_string();
        let detail = ErrorDetail::new(code.clone(), &*self.message);
        Answer { code: Some(code), ..Answer::failed(detail) }
    }
}

impl Failure for ServiceError {
    fn answer(&self) -> Answer<'_> {
        match self {
            Self::McpError(error) => error.answer(),
            other => Answer::failed(ErrorDetail::from_error(other)),
        }
    }
}

impl Failure for ClientInitializeError {
    fn answer(&self) -> Answer<'_> {
        Answer::failed(ErrorDetail::from_error(self))
    }
}
