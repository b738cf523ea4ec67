//! The errors of the agent.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_bedrockruntime::Error;
use aws_sdk_bedrockruntime::error::DisplayErrorContext;

/// Why there is no answer.
#[derive(Debug)]
pub enum AgentError {
    /// The SDK's error.
    Bedrock(Box<Error>),
    /// The model answered without a message.
    NoMessage,
    /// There is no such plan.
    NoSuchPlan,
    /// The model called a tool that does not exist.
    NoSuchTool(String),
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bedrock(error) => DisplayErrorContext(&**error).fmt(f),
            Self::NoMessage => f.write_str("the model answered without a message"),
            Self::NoSuchPlan => f.write_str("there is no such plan"),
            Self::NoSuchTool(name) => write!(f, "there is no tool {name}"),
        }
    }
}

impl StdError for AgentError {}

/// The errors of all operations, and of their streams.
impl<E> From<E> for AgentError
where
    Error: From<E>,
{
    fn from(error: E) -> Self {
        Self::Bedrock(Box::new(error.into()))
    }
}
