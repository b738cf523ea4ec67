//! The events of a run, of its model calls and of its tool calls.

use std::time::Duration;

use llm_audit::{
    AuditEvent, AuditLogger, ErrorDetail, EventType, LlmCall, Status, TraceContext, Usage,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The members of the data that are content.
const CONTENT: [&str; 4] = ["prompt", "completion", "arguments", "result"];

/// Who records, and where.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) agent: String,
    /// `None` for the recorder of the process.
    pub(crate) logger: Option<AuditLogger>,
}

/// The model of a call, as far as rig says which it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelName {
    pub(crate) provider: String,
    pub(crate) model: String,
}

/// What a model answered.
#[derive(Default)]
pub(crate) struct Answer {
    /// The model that the provider names.
    pub(crate) model: Option<String>,
    /// rig's usage.
    pub(crate) usage: Value,
    pub(crate) completion: Option<Value>,
}

/// One model call that has ended.
pub(crate) struct EndedCall<'a> {
    pub(crate) context: &'a TraceContext,
    pub(crate) model: &'a ModelName,
    pub(crate) latency: Duration,
    pub(crate) first_token: Option<Duration>,
    pub(crate) prompt: Option<&'a Value>,
}

/// The data of a run, of a choice of a model or of a tool call.
#[derive(Default, Serialize)]
pub(crate) struct EventData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call_id: Option<&'a str>,
    /// How a tool ended that neither succeeded nor failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'a str>,
    /// The sum of the tokens of a run. Its calls are recorded themselves, so no reader adds this up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arguments: Option<&'a Value>,
    /// The arguments again: if the tool fails they are the snapshot of the error, which has its own setting.
    #[serde(skip)]
    pub(crate) input: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completion: Option<&'a Value>,
}

/// The sum of the tokens of a run, from rig's usage.
pub(crate) fn total_of(usage: &impl Serialize) -> Option<Value> {
    let usage = Usage::from_answer(usage)?;
    let (input, output) = (usage.tokens_input(), usage.tokens_output());
    Some(json!({"tokens_input": input, "tokens_output": output, "usage": usage}))
}

impl Recorder {
    /// Returns the value if content is captured.
    pub(crate) fn content(&self, value: impl FnOnce() -> Value) -> Option<Value> {
        let logger = self.logger.as_ref();
        let captures =
            logger.map_or_else(llm_audit::captures_content, AuditLogger::captures_content);
        captures.then(value)
    }

    pub(crate) fn record_answer(&self, call: &EndedCall<'_>, answer: &Answer) {
        let read = json!({"model": answer.model, "usage": answer.usage});
        let mut event = self.model_call(call).answer(&read);
        if let Some(completion) = &answer.completion {
            event = event.completion(completion);
        }
        self.record_call(&event);
    }

    pub(crate) fn record_failed_call(&self, call: &EndedCall<'_>, failure: &Failure) {
        let error = failure.detail();
        self.record_call(&self.model_call(call).error(&error).status(failure.status()));
    }

    fn model_call<'a>(&'a self, call: &EndedCall<'a>) -> LlmCall<'a> {
        let ModelName { provider, model } = call.model;
        let mut event = LlmCall::new(&self.agent, "chat", provider, model)
            .latency_ms(milliseconds(call.latency))
            .span(call.context);
        if let Some(first_token) = call.first_token {
            event = event.first_token_ms(milliseconds(first_token));
        }
        call.prompt.map_or(event, |prompt| event.prompt(prompt))
    }

    fn record_call(&self, call: &LlmCall<'_>) {
        match &self.logger {
            Some(logger) => logger.record_llm_call(call),
            None => llm_audit::record_llm_call(call),
        };
    }

    /// Records a run, a choice of a model, or a tool call.
    pub(crate) fn record(
        &self,
        event_type: EventType<'_>,
        action: &str,
        (context, latency): (&TraceContext, Option<Duration>),
        data: &EventData<'_>,
        failure: Option<&Failure>,
    ) {
        let mut event = AuditEvent::new(event_type, &self.agent, action).span(context);
        event = latency.map_or(event, |latency| event.latency(latency));
        event = event.data(data).content(&CONTENT);
        let Some(failure) = failure else { return self.emit(&event) };
        let mut error = failure.detail();
        if let Some(input) = data.input {
            error = error.input_snapshot(input);
        }
        self.emit(&event.status(failure.status()).error(&error));
    }

    fn emit(&self, event: &AuditEvent<'_>) {
        match &self.logger {
            Some(logger) => logger.emit(event),
            None => llm_audit::emit(event),
        }
    }
}

impl Failure {
    fn detail(&self) -> ErrorDetail<'_> {
        ErrorDetail::new(&*self.error_type, &*self.message)
    }

    fn status(&self) -> Status {
        Status::of_error_type(&self.error_type)
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
