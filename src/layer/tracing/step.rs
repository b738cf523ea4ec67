//! Which audit event a span or an event with GenAI fields becomes.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::fields::{self, Fields};
use crate::context::TraceContext;
use crate::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::pricing::Usage;
use crate::recorder::Outlet;

/// What an operation is, as far as its fields say by now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call of a model.
    Model,
    /// A run of a tool.
    Tool,
    /// Something else; the type of its event.
    Other(Cow<'static, str>),
}

impl Kind {
    /// `None` where nothing says it.
    pub(super) fn of(fields: &Fields) -> Option<Self> {
        let other = |name| Some(Self::Other(Cow::Borrowed(name)));
        let models = [fields::REQUEST_MODEL, fields::RESPONSE_MODEL];
        let has_model = || models.iter().any(|names| fields.text(names).is_some());
        match fields.text(fields::OPERATION) {
            Some("execute_tool") => Some(Self::Tool),
            Some("chat" | "text_completion" | "generate_content" | "embeddings") => {
                Some(Self::Model)
            }
            Some("invoke_agent") => other("agent.invoke"),
            Some("create_agent") => other("agent.create"),
            Some("plan") => other("agent.plan"),
            Some("invoke_workflow") => other("workflow.invoke"),
            // These may name a model, but ask it nothing.
            Some("retrieval") => other("gen_ai.retrieval"),
            Some(memory) if memory.contains("_memory") => {
                Some(Self::Other(format!("gen_ai.{memory}").into()))
            }
            Some(_) if has_model() => Some(Self::Model),
            Some(unknown) => Some(Self::Other(format!("gen_ai.{unknown}").into())),
            None if fields.text(fields::TOOL).is_some() => Some(Self::Tool),
            None if has_model() || fields.usage().is_some() => Some(Self::Model),
            None => None,
        }
    }
}

/// One operation, ready to be recorded.
pub(super) struct Step<'a> {
    pub(super) outlet: &'a Outlet,
    pub(super) fields: &'a Fields,
    pub(super) context: &'a TraceContext,
    pub(super) agent: &'a str,
    pub(super) conversation: Option<&'a str>,
    /// What it is called where its fields do not say what it is.
    pub(super) name: &'a str,
    pub(super) latency: Option<Duration>,
    /// It has fields for an answer, and none has a value.
    pub(super) lacks_answer: bool,
    /// The arguments are in its `tool.call`.
    pub(super) arguments_told: bool,
    /// Its tokens are in another event.
    pub(super) repeats: bool,
}

impl Step<'_> {
    /// Records that a tool begins.
    pub(super) fn call(&self, at: SystemTime) {
        let tool = self.fields.text(fields::TOOL).unwrap_or(self.name);
        let mut data = self.tool(tool);
        data.content("arguments", self.fields, fields::ARGUMENTS);
        let event = AuditEvent::new(EventType::ToolCall, self.agent, tool);
        self.outlet.emit(&event.timestamp(at).span(self.context).data(&data));
    }

    /// Records how it ended.
    pub(super) fn end(&self) {
        match Kind::of(self.fields) {
            Some(Kind::Model) => self.model_end(),
            Some(Kind::Tool) => self.tool_end(),
            Some(Kind::Other(name)) => self.other_end(&name),
            None if self.name.starts_with("gen_ai.") => self.other_end(self.name),
            None => self.other_end("gen_ai.step"),
        }
    }

    fn model_end(&self) {
        let asked = self.fields.text(fields::REQUEST_MODEL);
        let answered = self.fields.text(fields::RESPONSE_MODEL);
        let usage = self.fields.usage().filter(|_| !self.repeats);
        let mut data = self.data();
        data.text("model", answered.or(asked));
        data.text("request_model", asked.filter(|_| answered.is_some_and(|a| Some(a) != asked)));
        data.text("provider", self.fields.text(fields::PROVIDER));
        data.text("response_id", self.fields.text(fields::RESPONSE_ID));
        data.text("finish_reasons", self.fields.text(fields::FINISH_REASONS));
        if let Some(usage) = usage.filter(|usage| *usage != Usage::new(usage.input, usage.output)) {
            data.put("usage", Datum::Usage(usage));
        }
        if self.repeats {
            data.total(self.fields);
        }
        data.content("system_instructions", self.fields, fields::INSTRUCTIONS);
        data.content("prompt", self.fields, fields::PROMPT);
        data.content("completion", self.fields, fields::COMPLETION);
        self.record(EventType::LlmInvoke, EventType::LlmError, self.action(), &data, |event| {
            match usage {
                Some(usage) if self.fields.lacks_output() => event.tokens_input(usage.input),
                Some(usage) => self.priced(event, usage).tokens(usage.input, usage.output),
                None => event,
            }
        });
    }

    fn priced<'e>(&self, event: AuditEvent<'e>, usage: Usage) -> AuditEvent<'e> {
        let models = [fields::RESPONSE_MODEL, fields::REQUEST_MODEL];
        let models: Vec<_> = models.iter().filter_map(|names| self.fields.text(names)).collect();
        let provider = self.fields.text(fields::PROVIDER).unwrap_or("");
        match self.outlet.cost_at(provider, &models, usage) {
            Some(cost) => event.cost_usd(cost),
            None => event,
        }
    }

    fn tool_end(&self) {
        let tool = self.fields.text(fields::TOOL).unwrap_or(self.name);
        let mut data = self.tool(tool);
        data.text("outcome", self.fields.text(fields::OUTCOME).filter(|o| *o != "success"));
        if !self.arguments_told {
            data.content("arguments", self.fields, fields::ARGUMENTS);
        }
        data.content("result", self.fields, fields::RESULT);
        self.record(EventType::ToolResult, EventType::ToolError, tool, &data, |e| e);
    }

    /// The tokens of an agent are those of its model calls, which are recorded themselves: here they
    /// stand where nobody adds them up.
    fn other_end(&self, name: &str) {
        let mut data = self.data();
        data.text("model", self.fields.text(fields::REQUEST_MODEL));
        data.text("provider", self.fields.text(fields::PROVIDER));
        data.total(self.fields);
        data.content("system_instructions", self.fields, fields::INSTRUCTIONS);
        data.content("prompt", self.fields, fields::PROMPT);
        data.content("completion", self.fields, fields::COMPLETION);
        let event_type = EventType::Custom(name);
        self.record(event_type, event_type, self.action(), &data, |e| e);
    }

    fn action(&self) -> &str {
        self.fields.text(fields::OPERATION).unwrap_or(self.name)
    }

    fn data(&self) -> Data {
        let mut data = Data::default();
        data.text("conversation", self.conversation);
        data
    }

    fn tool(&self, tool: &str) -> Data {
        let mut data = self.data();
        data.text("tool", Some(tool));
        data.text("tool_type", self.fields.text(fields::TOOL_TYPE));
        data.text("call_id", self.fields.text(fields::CALL_ID));
        data
    }

    fn record<'e>(
        &'e self,
        ended: EventType<'e>,
        failed: EventType<'e>,
        action: &'e str,
        data: &'e Data,
        more: impl FnOnce(AuditEvent<'e>) -> AuditEvent<'e>,
    ) {
        let snapshot = (failed == EventType::ToolError).then(|| self.fields.snapshot()).flatten();
        let failure = self.failure(failed).map(|(status, error)| match &snapshot {
            Some(snapshot) => (status, error.input_snapshot(snapshot)),
            None => (status, error),
        });
        let event_type = if failure.is_some() { failed } else { ended };
        let mut event = more(AuditEvent::new(event_type, self.agent, action));
        event = event.span(self.context).data(data);
        if let Some(latency) = self.latency {
            event = event.latency(latency);
        }
        match &failure {
            Some((status, error)) => self.outlet.emit(&event.status(*status).error(error)),
            None => self.outlet.emit(&event),
        }
    }

    fn failure(&self, failed: EventType<'_>) -> Option<(Status, ErrorDetail<'_>)> {
        let status = self.fields.text(fields::STATUS).unwrap_or("");
        if status.eq_ignore_ascii_case("ok") {
            return None;
        }
        // `error = false` is how some say that there is none.
        let said = |names| self.fields.text(names).filter(|text| *text != "false");
        let (error_type, message) = (said(fields::ERROR_TYPE), said(fields::ERROR_MESSAGE));
        let outcome = self.fields.text(fields::OUTCOME);
        let outcome = outcome.filter(|outcome| matches!(*outcome, "error" | "denied"));
        let is_call = matches!(failed, EventType::LlmError | EventType::ToolError);
        let unanswered = self.lacks_answer && is_call;
        let has_failed = status.eq_ignore_ascii_case("error")
            || error_type.or(message).or(outcome).is_some()
            || unanswered;
        has_failed.then(|| {
            let unanswered = unanswered.then_some("no_response");
            let error_type = error_type.or(outcome).or(unanswered.filter(|_| message.is_none()));
            let status = match error_type.is_some_and(is_timeout) {
                true => Status::Timeout,
                false => Status::Error,
            };
            let message = message.or(unanswered.map(|_| NO_RESPONSE)).unwrap_or("");
            (status, ErrorDetail::new(error_type.unwrap_or("error"), message))
        })
    }
}

const NO_RESPONSE: &str = "the span was closed without an answer";

/// `timeout`, `DeadlineExceeded`, `tokio::time::error::Elapsed`, the status codes 408 and 504.
fn is_timeout(error_type: &str) -> bool {
    let letters: String = error_type.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_lowercase();
    matches!(&*letters, "408" | "504")
        || ["timeout", "timedout", "deadlineexceeded", "elapsed"]
            .iter()
            .any(|name| letters.contains(name))
}

/// The `data` of an event.
#[derive(Default)]
struct Data(Vec<(&'static str, Datum)>);

enum Datum {
    Text(String),
    Content(Value),
    Usage(Usage),
    Total(Usage),
}

impl Data {
    fn put(&mut self, name: &'static str, datum: Datum) {
        self.0.push((name, datum));
    }

    fn text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.put(name, Datum::Text(text.to_owned()));
        }
    }

    fn total(&mut self, fields: &Fields) {
        if let Some(usage) = fields.usage() {
            self.put("total", Datum::Total(usage));
        }
    }

    fn content(&mut self, name: &'static str, fields: &Fields, names: &[&str]) {
        if let Some(content) = fields.content(names) {
            self.put(name, Datum::Content(content));
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, datum) in &self.0 {
            match datum {
                Datum::Text(text) => map.serialize_entry(name, text)?,
                Datum::Content(content) => map.serialize_entry(name, content)?,
                Datum::Usage(usage) => map.serialize_entry(name, usage)?,
                Datum::Total(usage) => map.serialize_entry(name, &Total(*usage))?,
            }
        }
        map.end()
    }
}

/// The tokens of several calls.
struct Total(Usage);

impl Serialize for Total {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("tokens_input", &self.0.input)?;
        map.serialize_entry("tokens_output", &self.0.output)?;
        map.serialize_entry("usage", &self.0)?;
        map.end()
    }
}
