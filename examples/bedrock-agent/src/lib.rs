//! An agent of the AWS SDK: a model on Bedrock calls a tool, and streams the answer. The SDK tries again.
//!
//! The lines that end in `// audit` are all that records it.

mod error;
pub mod provider;

use std::collections::HashMap;

use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput, Message, Tool,
    ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock, ToolSpecification,
    ToolUseBlock,
};
use aws_sdk_bedrockruntime::{Client, Config};
use aws_smithy_types::Document;
use aws_types::SdkConfig;
use llm_audit::audit_span; // audit
use llm_audit_aws::AuditInterceptor; // audit

pub use error::AgentError;

const MODEL: &str = "amazon.nova-lite-v1:0";

/// Answers questions about plans.
pub struct Agent {
    bedrock: Client,
}

impl Agent {
    /// Returns an agent whose model is reached with this configuration.
    pub fn new(config: &SdkConfig) -> Self {
        let config = Config::from(config).to_builder();
        let config = config.interceptor(AuditInterceptor::new("benefits")); // audit
        Self { bedrock: Client::from_conf(config.build()) }
    }

    /// Answers a question.
    ///
    /// # Errors
    ///
    /// The model does not answer, or calls a tool that it does not know.
    #[audit_span(agent = "benefits", event = "agent.answer")] // audit
    pub async fn answer(&self, question: &str) -> Result<String, AgentError> {
        let question = ContentBlock::Text(question.to_owned());
        let mut messages = vec![message(ConversationRole::User, vec![question])?];
        let reply = self.ask(&messages).await?;
        let calls: Vec<_> =
            reply.content.iter().filter_map(|part| part.as_tool_use().ok()).collect();
        if calls.is_empty() {
            return Ok(text(&reply));
        }
        let results = calls.into_iter().map(run_tool).collect::<Result<_, _>>()?;
        messages.extend([reply, message(ConversationRole::User, results)?]);
        self.stream(messages).await
    }

    /// Asks the model, which may call tools.
    async fn ask(&self, messages: &[Message]) -> Result<Message, AgentError> {
        let request = self.bedrock.converse().model_id(MODEL).set_messages(Some(messages.to_vec()));
        let answer = request.tool_config(tools()?).send().await?;
        said(answer).ok_or(AgentError::NoMessage)
    }

    /// Streams the model's answer to the results of its tools.
    async fn stream(&self, messages: Vec<Message>) -> Result<String, AgentError> {
        let request = self.bedrock.converse_stream().model_id(MODEL).set_messages(Some(messages));
        let mut events = request.tool_config(tools()?).send().await?.stream;
        let mut text = String::new();
        while let Some(event) = events.recv().await? {
            if let ConverseStreamOutput::ContentBlockDelta(event) = event
                && let Some(ContentBlockDelta::Text(piece)) = event.delta
            {
                text += &piece;
            }
        }
        Ok(text)
    }
}

fn said(answer: ConverseOutput) -> Option<Message> {
    answer.output?.as_message().ok().cloned()
}

fn text(message: &Message) -> String {
    message.content.iter().filter_map(|part| part.as_text().ok()).cloned().collect()
}

fn message(role: ConversationRole, content: Vec<ContentBlock>) -> Result<Message, AgentError> {
    Ok(Message::builder().role(role).set_content(Some(content)).build()?)
}

fn tools() -> Result<ToolConfiguration, AgentError> {
    let schema = HashMap::from([("type".to_owned(), Document::from("object"))]);
    let schema = ToolInputSchema::Json(Document::from(schema));
    let plans = ToolSpecification::builder().name("plan_search").input_schema(schema).build()?;
    Ok(ToolConfiguration::builder().tools(Tool::ToolSpec(plans)).build()?)
}

/// Runs the tool that the model calls.
fn run_tool(call: &ToolUseBlock) -> Result<ContentBlock, AgentError> {
    let plan = call.input.as_object().and_then(|input| input.get("plan")?.as_string());
    let found = match call.name() {
        "plan_search" => plan_search(plan.unwrap_or_default())?,
        other => return Err(AgentError::NoSuchTool(other.to_owned())),
    };
    let result = ToolResultBlock::builder().tool_use_id(call.tool_use_id());
    let result = result.content(ToolResultContentBlock::Text(found)).build()?;
    Ok(ContentBlock::ToolResult(result))
}

#[audit_span(agent = "benefits", action = "plan_search", capture_args(plan))] // audit
fn plan_search(plan: &str) -> Result<String, AgentError> {
    match plan {
        "dental" => Ok("Two check-ups a year.".to_owned()),
        _ => Err(AgentError::NoSuchPlan),
    }
}
