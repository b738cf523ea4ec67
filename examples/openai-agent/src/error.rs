//! The errors of the agent.

use std::error::Error;
use std::fmt;

use async_openai::error::OpenAIError;

/// Why there is no answer.
#[derive(Debug)]
pub enum AgentError {
    /// The client's error.
    Client(OpenAIError),
    /// The model did not answer in time.
    Late,
    /// The model's arguments, or the messages, are not what they should be.
    Unreadable(serde_json::Error),
    /// There is no such plan.
    NoSuchPlan,
    /// The model called a tool that does not exist.
    NoSuchTool(String),
    /// The model called tools without end.
    TooManyRounds,
}

impl AgentError {
    /// Reports whether another attempt may help.
    pub(crate) fn is_transient(&self) -> bool {
        let Self::Client(OpenAIError::ApiError(refused)) = self else { return false };
        let is_quota = refused.api_error.code.as_deref() == Some("insufficient_quota");
        refused.status_code == 429 && !is_quota || refused.status_code.is_server_error()
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Late => f.write_str("the model timed out"),
            Self::Unreadable(error) => write!(f, "not what it should be: {error}"),
            Self::NoSuchPlan => f.write_str("there is no such plan"),
            Self::NoSuchTool(name) => write!(f, "there is no tool {name}"),
            Self::TooManyRounds => f.write_str("the model called tools without end"),
        }
    }
}

impl Error for AgentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Client(error) => error.source(),
            Self::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OpenAIError> for AgentError {
    fn from(error: OpenAIError) -> Self {
        Self::Client(error)
    }
}

impl From<tokio::time::error::Elapsed> for AgentError {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Late
    }
}

impl From<tokio_stream::Elapsed> for AgentError {
    fn from(_: tokio_stream::Elapsed) -> Self {
        Self::Late
    }
}
