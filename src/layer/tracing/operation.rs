//! The audit events of an operation.

use std::time::{Duration, SystemTime};

use super::amendment::Amendment;
use super::data::{OperationData, OperationDatum};
use super::fields::GenAiFields;
use super::kind::{OperationKind, kind_of_fields};
use super::names;
use super::reason::FailureReason;
use crate::context::TraceContext;
use crate::pricing::Usage;
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::recorder::Outlet;

/// The members of the data that are content.
const CONTENT: [&str; 6] =
    ["system_instructions", "prompt", "completion", "arguments", "result", "explanation"];

/// One operation, ready to be recorded.
pub(super) struct TracedOperation<'a> {
    pub(super) outlet: &'a Outlet,
    pub(super) fields: &'a GenAiFields,
    pub(super) context: &'a TraceContext,
    pub(super) agent: &'a str,
    /// Its name, used if no field names it.
    pub(super) name: &'a str,
    pub(super) latency: Option<Duration>,
    /// It has fields for an answer, and none of them has a value.
    pub(super) lacks_answer: bool,
    /// Its `tool.call` contains the arguments.
    pub(super) has_call_arguments: bool,
    /// Its tokens are already in another event.
    pub(super) repeats_tokens: bool,
    /// It was left by a panic.
    pub(super) has_panicked: bool,
    /// The last problem inside it.
    pub(super) reason: Option<&'a FailureReason>,
    /// That problem is the failure of the operation that ended last directly below it.
    pub(super) has_failed_child: bool,
    pub(super) amendment: &'a Amendment,
}

impl TracedOperation<'_> {
    /// Records the start of a tool.
    pub(super) fn record_tool_start(&self, at: SystemTime) {
        let tool = self.fields.text(names::TOOL).unwrap_or(self.name);
        let mut data = self.new_tool_data(tool);
        data.put_content("arguments", self.fields, names::ARGUMENTS);
        let event = AuditEvent::new(EventType::ToolCall, self.agent, tool);
        self.outlet.emit(&event.timestamp(at).span(self.context).data(&data).content(&CONTENT));
    }

    /// Records the end; returns why it failed, if it did.
    pub(super) fn record_end(&self) -> Option<FailureReason> {
        match kind_of_fields(self.fields) {
            Some(OperationKind::Model) => self.record_model_end(),
            Some(OperationKind::Tool) => self.record_tool_end(),
            Some(OperationKind::Other(name)) => self.record_other_end(&name),
            None if self.name.starts_with("gen_ai.") => self.record_other_end(self.name),
            None => self.record_other_end("gen_ai.step"),
        }
    }

    fn record_model_end(&self) -> Option<FailureReason> {
        let asked = self.fields.text(names::REQUEST_MODEL);
        let answered = self.fields.text(names::RESPONSE_MODEL);
        let usage = self.fields.usage().filter(|_| !self.repeats_tokens);
        let mut data = OperationData::default();
        data.put_text("model", answered.or(asked));
        data.put_text(
            "request_model",
            asked.filter(|_| answered.is_some_and(|a| Some(a) != asked)),
        );
        data.put_text("provider", self.fields.text(names::PROVIDER));
        data.put_text("response_id", self.fields.text(names::RESPONSE_ID));
        data.put_text("finish_reasons", self.fields.text(names::FINISH_REASONS));
        if let Some(usage) = usage.filter(Usage::has_parts) {
            data.put("usage", OperationDatum::Usage(usage));
        }
        if let Some(ms) = self.amendment.first_token_ms {
            data.put("first_token_ms", OperationDatum::Milliseconds(ms));
        }
        if self.repeats_tokens {
            data.put_total(self.fields);
        }
        data.put_content("system_instructions", self.fields, names::INSTRUCTIONS);
        data.put_content("prompt", self.fields, names::PROMPT);
        data.put_content("completion", self.fields, names::COMPLETION);
        self.record_end_event(
            EventType::LlmInvoke,
            EventType::LlmError,
            self.action(),
            &data,
            |event| {
                let event = event.model(answered.or(asked).unwrap_or(""));
                let first_token_ms = self.amendment.first_token_ms;
                let event = first_token_ms.map_or(event, |ms| event.first_token_ms(ms));
                match &usage {
                    Some(usage) => self.with_cost(event, *usage).usage(usage),
                    None => event,
                }
            },
        )
    }

    fn with_cost<'e>(&self, event: AuditEvent<'e>, usage: Usage) -> AuditEvent<'e> {
        let models = [names::RESPONSE_MODEL, names::REQUEST_MODEL];
        let models: Vec<_> = models.iter().filter_map(|names| self.fields.text(names)).collect();
        let provider = self.fields.text(names::PROVIDER).unwrap_or("");
        if usage.is_partial() {
            self.outlet.count_unmetered(models.first().copied().unwrap_or(""));
            return event;
        }
        match self.outlet.cost_with_provider(provider, &models, usage) {
            Some(cost) => event.cost_usd(cost),
            None => event,
        }
    }

    fn record_tool_end(&self) -> Option<FailureReason> {
        let tool = self.fields.text(names::TOOL).unwrap_or(self.name);
        let mut data = self.new_tool_data(tool);
        data.put_text("outcome", self.fields.text(names::OUTCOME).filter(|o| *o != "success"));
        if !self.has_call_arguments {
            data.put_content("arguments", self.fields, names::ARGUMENTS);
        }
        data.put_content("result", self.fields, names::RESULT);
        self.record_end_event(EventType::ToolResult, EventType::ToolError, tool, &data, |e| e)
    }

    /// Records the end of an agent or of another operation.
    ///
    /// An agent's tokens are the sum over its model calls, which are recorded themselves. So they
    /// are put into `data.total`, which no reader adds up.
    fn record_other_end(&self, name: &str) -> Option<FailureReason> {
        let mut data = OperationData::default();
        let model = self.fields.text(names::REQUEST_MODEL);
        data.put_text("model", model);
        data.put_text("provider", self.fields.text(names::PROVIDER));
        data.put_total(self.fields);
        data.put_content("system_instructions", self.fields, names::INSTRUCTIONS);
        data.put_content("prompt", self.fields, names::PROMPT);
        data.put_content("completion", self.fields, names::COMPLETION);
        let event_type = EventType::Custom(name);
        self.record_end_event(event_type, event_type, self.action(), &data, |event| {
            event.model(model.unwrap_or(""))
        })
    }

    /// Records an evaluation of the operation whose ids this one has.
    pub(super) fn record_evaluation(&self) {
        let name = self.fields.text(names::EVALUATION).unwrap_or(self.name);
        let mut data = OperationData::default();
        data.put_text("name", Some(name));
        data.put_number("score", self.fields.text(names::EVALUATION_SCORE));
        data.put_text("label", self.fields.text(names::EVALUATION_LABEL));
        data.put_text("response_id", self.fields.text(names::RESPONSE_ID));
        data.put_content("explanation", self.fields, names::EXPLANATION);
        self.record_end_event(EventType::EvalResult, EventType::EvalResult, name, &data, |e| e);
    }

    fn action(&self) -> &str {
        self.fields.text(names::OPERATION).unwrap_or(self.name)
    }

    fn new_tool_data(&self, tool: &str) -> OperationData {
        let mut data = OperationData::default();
        data.put_text("tool", Some(tool));
        data.put_text("tool_type", self.fields.text(names::TOOL_TYPE));
        data.put_text("call_id", self.fields.text(names::CALL_ID));
        data
    }

    fn record_end_event<'e>(
        &'e self,
        ended: EventType<'e>,
        failed: EventType<'e>,
        action: &'e str,
        data: &'e OperationData,
        more: impl FnOnce(AuditEvent<'e>) -> AuditEvent<'e>,
    ) -> Option<FailureReason> {
        let failure = self.failure(failed);
        let event_type = if failure.is_some() { failed } else { ended };
        let mut event = more(AuditEvent::new(event_type, self.agent, action));
        event = event.span(self.context).data(data).content(&CONTENT);
        if let Some(latency) = self.latency {
            event = event.latency(latency);
        }
        let Some(reason) = &failure else {
            self.outlet.emit(&event);
            return None;
        };
        let error_type = reason.error_type.as_deref();
        let status = error_type.map_or(Status::Error, Status::of_error_type);
        let snapshot =
            (failed == EventType::ToolError).then(|| self.fields.arguments_snapshot()).flatten();
        let mut error = ErrorDetail::new(error_type.unwrap_or("error"), &reason.message);
        if let Some(snapshot) = &snapshot {
            error = error.input_snapshot(snapshot);
        }
        self.outlet.emit(&event.status(status).error(&error));
        failure
    }

    /// Returns why it failed, if it did.
    fn failure(&self, failed: EventType<'_>) -> Option<FailureReason> {
        if let failure @ Some(_) = &self.amendment.failure {
            return failure.clone();
        }
        let status = self.fields.text(names::STATUS).unwrap_or("");
        if status.eq_ignore_ascii_case("ok") {
            return None;
        }
        if self.has_panicked {
            let message = "a panic left the span".to_owned();
            return Some(FailureReason { error_type: Some("panic".to_owned()), message });
        }
        // A library logged an error, tried again and got the answer.
        let is_recovered = self.fields.is_error_logged && self.fields.is_answered;
        // Some instrumentations write `error = false` if there is no error.
        let value =
            |names| self.fields.text(names).filter(|text| *text != "false" && !is_recovered);
        let (error_type, message) = (value(names::ERROR_TYPE), value(names::ERROR_MESSAGE));
        let outcome = self.fields.text(names::OUTCOME);
        let outcome = outcome.filter(|outcome| matches!(*outcome, "error" | "denied"));
        let is_call = matches!(failed, EventType::LlmError | EventType::ToolError);
        let unanswered = self.lacks_answer && is_call;
        let child = self.reason.filter(|_| self.has_failed_child && !self.fields.is_answered);
        let has_failed = status.eq_ignore_ascii_case("error")
            || error_type.or(message).or(outcome).is_some()
            || unanswered
            || child.is_some();
        let inner_type = || self.reason?.error_type.as_deref();
        let no_response = || Some("no_response").filter(|_| unanswered && message.is_none());
        let error_type =
            error_type.or(outcome).or_else(|| inner_type().filter(|_| message.is_none()));
        // What a failed tool answers to the model says why it failed.
        let answer = || self.fields.text(names::RESULT).filter(|_| outcome.is_some());
        let message = message.or_else(answer).or(child.map(|child| child.message.as_str()));
        has_failed.then(|| FailureReason {
            error_type: error_type.or_else(no_response).map(str::to_owned),
            message: message.map_or_else(|| self.message_from_inside(unanswered), str::to_owned),
        })
    }

    /// Returns the message of an operation whose own fields have none.
    fn message_from_inside(&self, unanswered: bool) -> String {
        let own = match unanswered {
            true => "the span was closed without an answer",
            false => "no message was recorded",
        };
        match self.reason.filter(|reason| !reason.message.is_empty()) {
            Some(reason) => format!("{own}; the last problem in it: {}", reason.message),
            None => own.to_owned(),
        }
    }
}
