//! An agent of async-openai behind axum: it streams its model's answers, calls a tool, tries again
//! and gives up after a time.
//!
//! The lines that end in `// audit` are all that records it.

mod error;
pub mod provider;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::middleware::ReqwestService;
use async_openai::types::chat::{CreateChatCompletionRequest, CreateChatCompletionStreamResponse};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use llm_audit::layer::tower::ServerLayer; // audit
use llm_audit::{LlmCall, audit_span}; // audit
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_stream::{Stream, StreamExt};

pub use error::AgentError;

const MODEL: &str = "gpt-4o-mini";
/// The model is asked so often for one question.
const ROUNDS_MAX: usize = 4;
const ATTEMPTS_MAX: u64 = 3;
/// The time before a second attempt. It doubles.
const BACKOFF: Duration = Duration::from_millis(10);

/// Answers questions about plans.
pub struct Agent {
    openai: Client<OpenAIConfig>,
    patience: Duration,
}

/// What the model said in one round.
#[derive(Default)]
struct Reply {
    text: String,
    /// The tool that it calls, and its arguments.
    tool: String,
    arguments: String,
}

impl Agent {
    /// Returns an agent whose model is at this URL. It waits so long for each chunk.
    pub fn new(base_url: &str, patience: Duration) -> Self {
        let config = OpenAIConfig::new().with_api_base(base_url).with_api_key("none");
        // This service does not retry, so that the agent can count its attempts.
        let openai = Client::with_config(config).with_http_service(ReqwestService::default());
        Self { openai, patience }
    }

    /// Answers a question.
    ///
    /// # Errors
    ///
    /// The model does not answer, or does not come to an end.
    #[audit_span(agent = "benefits", event = "agent.answer")] // audit
    pub async fn answer(&self, question: &str) -> Result<String, AgentError> {
        let mut messages = vec![json!({"role": "user", "content": question})];
        for _ in 0..ROUNDS_MAX {
            let reply = self.ask(&messages).await?;
            if reply.tool.is_empty() {
                return Ok(reply.text);
            }
            let found = run_tool(&reply.tool, &reply.arguments)?;
            let function = json!({"name": reply.tool, "arguments": reply.arguments});
            let call = json!({"id": "call_1", "type": "function", "function": function});
            messages.push(json!({"role": "assistant", "tool_calls": [call]}));
            messages.push(json!({"role": "tool", "tool_call_id": "call_1", "content": found}));
        }
        Err(AgentError::TooManyRounds)
    }

    /// Asks the model, again if it is busy.
    async fn ask(&self, messages: &[Value]) -> Result<Reply, AgentError> {
        let mut attempt = 1;
        loop {
            match self.ask_once(messages, attempt).await {
                Err(error) if error.is_transient() && attempt < ATTEMPTS_MAX => {
                    sleep(BACKOFF * 2_u32.pow(attempt as u32 - 1)).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn ask_once(&self, messages: &[Value], attempt: u64) -> Result<Reply, AgentError> {
        let call = LlmCall::new("benefits", "chat", "openai", MODEL).attempt(attempt); // audit
        let chunks = call.call_stream(self.open_stream(messages)).await?; // audit
        let (mut chunks, mut reply) = (pin!(chunks), Reply::default());
        while let Some(chunk) = chunks.next().await {
            reply.add(chunk?);
        }
        Ok(reply)
    }

    /// Sends a request; returns the chunks of its answer, each of them in time.
    async fn open_stream(
        &self,
        messages: &[Value],
    ) -> Result<impl Stream<Item = Chunk>, AgentError> {
        let chat = self.openai.chat();
        let opened = timeout(self.patience, chat.create_stream(request(messages)?)).await??;
        let chunks = opened.timeout(self.patience);
        Ok(chunks.map(|chunk| Ok(chunk??)))
    }
}

type Chunk = Result<CreateChatCompletionStreamResponse, AgentError>;

fn request(messages: &[Value]) -> Result<CreateChatCompletionRequest, AgentError> {
    let parameters = json!({"type": "object", "properties": {"plan": {"type": "string"}}});
    let function = json!({"name": "plan_search", "parameters": parameters});
    let request = json!({
        "model": MODEL,
        "messages": messages,
        "tools": [{"type": "function", "function": function}],
        "stream_options": {"include_usage": true},
    });
    serde_json::from_value(request).map_err(AgentError::Unreadable)
}

#[audit_span(agent = "benefits", action = "plan_search", capture_args(arguments))] // audit
fn run_tool(name: &str, arguments: &str) -> Result<String, AgentError> {
    let arguments: Value = serde_json::from_str(arguments).map_err(AgentError::Unreadable)?;
    match (name, arguments["plan"].as_str()) {
        ("plan_search", Some("dental")) => Ok("Two check-ups a year.".to_owned()),
        ("plan_search", _) => Err(AgentError::NoSuchPlan),
        _ => Err(AgentError::NoSuchTool(name.to_owned())),
    }
}

impl Reply {
    fn add(&mut self, chunk: CreateChatCompletionStreamResponse) {
        let deltas = chunk.choices.into_iter().map(|choice| choice.delta);
        for delta in deltas {
            self.text += &delta.content.unwrap_or_default();
            let calls = delta.tool_calls.unwrap_or_default();
            for function in calls.into_iter().filter_map(|call| call.function) {
                self.tool += &function.name.unwrap_or_default();
                self.arguments += &function.arguments.unwrap_or_default();
            }
        }
    }
}

/// Returns the service: `POST /ask` with a question as its body.
pub fn service(agent: Agent) -> Router {
    let router = Router::new().route("/ask", post(ask)).with_state(Arc::new(agent));
    router.layer(ServerLayer::new("benefits")) // audit
}

async fn ask(State(agent): State<Arc<Agent>>, question: String) -> (StatusCode, String) {
    match agent.answer(&question).await {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
    }
}
