//! One request, from its begin to its one end.

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use super::McpSettings;
use super::answer::{Answer, Failure};
use super::asked::{Asked, Target};
use super::sent::ExpectedId;
use crate::context::{InSpan, TraceContext};
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};

/// A member of an event's data.
pub(super) type Member = (&'static str, Value);

/// A request that has begun.
///
/// It ends once, by [`end`](Self::end) or when it is dropped.
pub(super) struct OpenRequest {
    settings: Arc<McpSettings>,
    pub(super) context: TraceContext,
    started: Instant,
    is_tool: bool,
    action: String,
    /// The prompt, which becomes part of the action once it was answered: any client may ask for any name.
    prompt: Option<String>,
    /// What all events of the request have.
    pub(super) members: Vec<Member>,
    /// The id of a client's request, which is known once it is sent.
    pub(super) id: Option<ExpectedId>,
    /// Reports whether the client of a server has cancelled the request.
    pub(super) is_cancelled: Option<Box<dyn Fn() -> bool + Send + Sync>>,
    has_ended: bool,
}

impl OpenRequest {
    /// Begins a request in this span, and emits the `tool.call` of a tool.
    pub(super) fn begin(
        settings: &Arc<McpSettings>,
        context: TraceContext,
        asked: &Asked<'_>,
        mut members: Vec<Member>,
    ) -> Self {
        members.splice(0..0, asked.members());
        let known = members.len();
        let arguments = asked.arguments.filter(|_| settings.outlet.captures_content());
        members.extend(arguments.map(|given| ("arguments", Value::Object(given.clone()))));
        let mut open = Self {
            settings: settings.clone(),
            context,
            started: Instant::now(),
            is_tool: matches!(asked.target, Target::Tool(_)),
            action: asked.action.to_string(),
            prompt: match asked.target {
                Target::Prompt(name) => Some(name.to_owned()),
                _ => None,
            },
            members,
            id: None,
            is_cancelled: None,
            has_ended: false,
        };
        if open.is_tool {
            open.emit(open.event(EventType::ToolCall));
            open.members.truncate(known);
        }
        open
    }

    pub(super) fn end(&mut self, answer: Answer<'_>) {
        self.has_ended = true;
        let id = self.id.as_ref().and_then(ExpectedId::take);
        self.members.extend(id.map(|id| ("jsonrpc.request.id", id.into())));
        self.members.extend(answer.code.map(|code| ("rpc.response.status_code", code.into())));
        self.members.extend(answer.outcome.map(|outcome| ("outcome", outcome.into())));
        if let (Some(prompt), Status::Ok) = (self.prompt.take(), answer.status) {
            self.action = format!("{} {prompt}", self.action);
        }
        let result = answer.result.filter(|_| self.settings.outlet.captures_content());
        self.members.extend(result.map(|result| ("result", result.to_json())));
        let event_type = match (self.is_tool, answer.status) {
            (false, _) => EventType::Custom("mcp.request"),
            (true, Status::Ok) => EventType::ToolResult,
            (true, _) => EventType::ToolError,
        };
        let event = self.event(event_type).status(answer.status).latency(self.started.elapsed());
        self.emit(AuditEvent { error: answer.error.as_ref(), ..event });
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.as_ref().is_some_and(|is_cancelled| is_cancelled())
    }

    fn event(&self, event_type: EventType<'static>) -> AuditEvent<'_> {
        AuditEvent::new(event_type, &self.settings.agent, &self.action).span(&self.context)
    }

    fn emit(&self, event: AuditEvent<'_>) {
        let data = RequestData(&self.members);
        self.settings.outlet.emit(&event.data(&data).content(&["arguments", "result"]));
    }
}

struct RequestData<'a>(&'a [Member]);

impl Serialize for RequestData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.end(Answer::failed(match thread::panicking() {
            true => ErrorDetail::new("panic", "the handler panicked; the panic hook has the text"),
            false => ErrorDetail::new("cancelled", "the future was dropped before it was done"),
        }));
    }
}

impl Asked<'_> {
    fn members(&self) -> Vec<Member> {
        let target = match self.target {
            Target::Tool(name) => Some(("tool", name.into())),
            Target::Prompt(name) => Some(("gen_ai.prompt.name", name.into())),
            Target::Resource(uri) => Some(("mcp.resource.uri", uri.into())),
            Target::Nothing => None,
        };
        target.into_iter().chain([("mcp.method.name", self.method.into())]).collect()
    }
}

/// Runs a call in the span of its request, and ends the request.
pub(super) async fn record<R, E: Failure>(
    open: Option<OpenRequest>,
    call: impl Future<Output = Result<R, E>>,
    answer: fn(&R) -> Answer<'_>,
) -> Result<R, E> {
    let Some(mut open) = open else { return call.await };
    let result = call.in_span(open.context.clone()).await;
    let is_cancelled = open.is_cancelled();
    open.end(match &result {
        _ if is_cancelled => {
            Answer::failed(ErrorDetail::new("cancelled", "the client cancelled the request"))
        }
        Ok(value) => answer(value),
        Err(error) => error.answer(),
    });
    result
}
