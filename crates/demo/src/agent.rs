//! The benefits agent: asks the model until it has an answer, and runs the tools it calls for.

use std::sync::Arc;
use std::time::Duration;

use llm_audit::{AuditEvent, EventType, InSpan, Status, audit_span};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::cache::Cache;
use crate::message::{ChatMessage, ToolCall};
use crate::model::{ModelClient, ModelError};
use crate::prompt::{compress_tool_result, estimate_prompt_tokens};
use crate::question::{Question, Route};
use crate::step::current_span_or_new;
use crate::tools::{MemberQuery, PlanQuery, ToolError, Tools, summarize_calls};

/// The model may call for tools so often before it has to have an answer.
const ROUNDS_MAX: usize = 4;
/// A model that does not answer is asked again so often.
const RETRIES_MAX: u32 = 2;
/// The pause before the first retry if the provider names none; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);
const INSTRUCTIONS: &str = "You answer questions about benefits, from what the tools find alone.";

/// What answers questions about plans and claims.
pub(crate) struct BenefitsAgent {
    pub(crate) model: ModelClient,
    pub(crate) tools: Arc<Tools>,
    pub(crate) cache: Cache,
    /// Whether the summary of the model's calls skips those that are not JSON.
    pub(crate) skips_malformed: bool,
}

impl BenefitsAgent {
    /// The model's answer; `None` if there is none to be had.
    pub(crate) async fn answer(&self, question: &Question, route: Route) -> Option<String> {
        let plans = self.find_plans(&question.member, &question.contact, route.name());
        let (member, plans) = tokio::join!(self.member_record(question), plans);
        let mut efficiency = PromptEfficiency::default();
        let notes = json!({"member": tool_outcome_for_model(member), "plans": tool_outcome_for_model(plans)});
        // The notes are a message of their own, and so recorded as the JSON they are.
        let mut messages = vec![
            ChatMessage::new("system", INSTRUCTIONS),
            ChatMessage::new("user", format!("Case {}: {}", question.case, question.text)),
            ChatMessage::new("system", efficiency.shorten(&notes)),
        ];
        let mut called = Vec::new();
        for _ in 0..ROUNDS_MAX {
            efficiency.record();
            let reply = self
                .ask_model(&messages)
                .await
                .inspect_err(|error| {
                    let model = &self.model.provider.fallback_model;
                    record_fallback(&error.to_string(), model, "template");
                })
                .ok()?;
            record_decision(&reply);
            if reply.tool_calls.is_empty() {
                if !called.is_empty() {
                    // The member gets the answer also without the summary.
                    let _lost = summarize_calls(&called, self.skips_malformed);
                }
                return reply.content;
            }
            let calls = reply.tool_calls.clone();
            called.extend(calls.iter().cloned());
            messages.push(reply);
            efficiency = PromptEfficiency::default();
            messages.extend(self.run_tools(calls, &mut efficiency).await);
        }
        record_fallback(
            "the model calls for tools without end",
            &self.model.provider.model,
            "template",
        );
        None
    }

    async fn member_record(&self, question: &Question) -> Result<Value, ToolError> {
        let query = MemberQuery {
            case: question.case,
            member: question.contact.clone(),
            authorization: question.authorization.clone(),
            cookie: question.cookie.clone(),
        };
        self.tools.member_record(&query).await
    }

    /// The member's plans, from the cache if it has them. What the cache had cannot be told from a
    /// trace, so that a replay answers for all of it.
    #[audit_span(agent = "benefits", action = "find_plans", replay, skip(member))]
    async fn find_plans(
        &self,
        member: &str,
        contact: &str,
        topic: &str,
    ) -> Result<Value, ToolError> {
        let key = format!("plans:{member}:{contact}:{topic}");
        if let Some(plans) = self.cache.get("benefits", &key) {
            return Ok(plans);
        }
        let (member, topic) = (contact.to_owned(), topic.to_owned());
        let query = PlanQuery { member, topic, rest: Map::new() };
        let plans = self.tools.plan_search(&query, 0).await?;
        self.cache.put(key, plans.clone());
        Ok(plans)
    }

    /// Asks the model, and if it does not answer the other one.
    async fn ask_model(&self, messages: &[ChatMessage]) -> Result<ChatMessage, ModelError> {
        let provider = &self.model.provider;
        match self.ask_with_retries(&provider.model, messages).await {
            Err(error) => {
                record_fallback(&error.to_string(), &provider.model, &provider.fallback_model);
                self.ask_with_retries(&provider.fallback_model, messages).await
            }
            answered => answered,
        }
    }

    /// Asks one model, again if it may yet answer.
    async fn ask_with_retries(
        &self,
        model: &str,
        messages: &[ChatMessage],
    ) -> Result<ChatMessage, ModelError> {
        let mut retries = 0;
        loop {
            match self.model.chat(model, messages, retries).await {
                Err(error) if error.is_recoverable() && retries < RETRIES_MAX => {
                    let pause = error.pause().unwrap_or(PAUSE * 2_u32.pow(retries));
                    retries += 1;
                    let data = json!({"model": model, "attempt": retries + 1,
                        "reason": error.to_string(), "pause_ms": pause.as_millis() as u64});
                    llm_audit::emit(
                        &AuditEvent::new(EventType::AgentRetry, "benefits", "model.again")
                            .status(Status::Retry)
                            .data(&data),
                    );
                    tokio::time::sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Runs what the model called for, side by side; the messages come in the order of the calls.
    async fn run_tools(
        &self,
        calls: Vec<ToolCall>,
        efficiency: &mut PromptEfficiency,
    ) -> Vec<ChatMessage> {
        let mut tasks = JoinSet::new();
        for (at, call) in calls.into_iter().enumerate() {
            let tools = Arc::clone(&self.tools);
            let task = async move {
                (at, tool_outcome_for_model(tools.run_with_retry(&call.function).await), call.id)
            };
            tasks.spawn(task.in_span(current_span_or_new()));
        }
        let mut answers = tasks.join_all().await;
        answers.sort_by_key(|(at, ..)| *at);
        let message = |(_, found, id)| ChatMessage::tool_result(id, efficiency.shorten(&found));
        answers.into_iter().map(message).collect()
    }
}

/// The outcome of a tool, as the model is told.
fn tool_outcome_for_model(outcome: Result<Value, ToolError>) -> Value {
    outcome.unwrap_or_else(|error| json!({"error": error.to_string()}))
}

/// Tokens of tool results, as found and as they go into the prompt.
#[derive(Default)]
struct PromptEfficiency {
    before: u64,
    after: u64,
}

impl PromptEfficiency {
    /// What a tool found, as text for the model.
    fn shorten(&mut self, found: &Value) -> String {
        let short = compress_tool_result(found).to_string();
        self.before += estimate_prompt_tokens(&found.to_string());
        self.after += estimate_prompt_tokens(&short);
        short
    }

    fn record(&self) {
        let data = json!({"tokens_before": self.before, "tokens_after": self.after,
            "counted": "characters / 4"});
        llm_audit::emit(
            &AuditEvent::new(EventType::PromptEfficiency, "benefits", "prompt.compress")
                .data(&data),
        );
    }
}

/// Records what the model's reply makes the agent do next.
fn record_decision(reply: &ChatMessage) {
    let tools: Vec<_> = reply.tool_calls.iter().map(|call| &call.function.name).collect();
    let data = match tools.as_slice() {
        [] => json!({"decision": "answer", "reason": "the model calls for no tool"}),
        tools => json!({"decision": "run tools", "reason": "the model calls for them",
            "tools": tools}),
    };
    llm_audit::emit(
        &AuditEvent::new(EventType::AgentDecision, "benefits", "next.step").data(&data),
    );
}

/// Records that a step is replaced.
pub(crate) fn record_fallback(reason: &str, from: &str, to: &str) {
    let data = json!({"reason": reason, "from": from, "to": to});
    llm_audit::emit(&AuditEvent::new(EventType::AgentFallback, "benefits", "replace").data(&data));
}
