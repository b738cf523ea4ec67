//! A run of an agent, from its start to its end, with its open calls.

use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use llm_audit::layer::tracing::Amendment;
use llm_audit::{EventType, TraceContext};
use serde_json::Value;
use tracing::Span;

use crate::events::{Answer, EndedCall, EventData, ModelName, Recorder, milliseconds, total_of};
use crate::failure::Failure;

/// One run. If it is dropped before it ended, it was cancelled.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) recorder: Arc<Recorder>,
    position: Position,
    is_streaming: bool,
    prompt: Option<Value>,
    /// The model of the next call, as far as it is known.
    pub(crate) model: ModelName,
    /// The calls that were sent.
    sent: usize,
    open: Option<ModelCall>,
    /// Calls that were answered; rig tells their usage only when the run ends.
    unmetered: Vec<ModelCall>,
    tools: HashMap<u64, ToolCall>,
    has_ended: bool,
}

/// Where and when an operation began.
#[derive(Debug)]
struct Position {
    /// rig's span, if the layer records the operation.
    span: Option<Span>,
    context: TraceContext,
    began: Instant,
}

/// A model call that was sent.
#[derive(Debug)]
struct ModelCall {
    /// Its number in the run, from 0.
    number: usize,
    position: Position,
    /// Set when the answer came, if that is before the end is known.
    answered_after: Option<Duration>,
    first_token: Option<Duration>,
    chunks: u64,
    prompt: Option<Value>,
}

/// A tool call that runs.
#[derive(Debug)]
struct ToolCall {
    position: Position,
    tool: String,
    call_id: Option<String>,
    arguments: Value,
}

/// How a tool call ended.
pub(crate) struct ToolEnd {
    pub(crate) failure: Option<Failure>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) result: Value,
}

impl Position {
    /// Returns the position of what begins in rig's span of this name.
    fn begin(span: &str, context: impl FnOnce() -> TraceContext) -> Self {
        let is_recorded = Amendment::default().apply_to_span(span);
        let own = TraceContext::current().filter(|_| is_recorded);
        Self {
            span: is_recorded.then(Span::current),
            context: own.unwrap_or_else(context),
            began: Instant::now(),
        }
    }

    /// Returns the context, and the time since it began.
    fn ended(&self) -> (&TraceContext, Option<Duration>) {
        (&self.context, Some(self.began.elapsed()))
    }

    /// Tells the layer what the span lacks. Returns whether the layer records the operation.
    fn amend(&self, name: &str, amendment: &Amendment) -> bool {
        let Some(span) = &self.span else { return false };
        span.in_scope(|| amendment.apply_to_span(name));
        true
    }
}

impl Run {
    pub(crate) fn begin(recorder: &Arc<Recorder>, is_streaming: bool) -> Self {
        let below_current = || {
            let current = TraceContext::current();
            current.map_or_else(TraceContext::new_root, |current| current.new_span())
        };
        Self {
            recorder: Arc::clone(recorder),
            position: Position::begin("invoke_agent", below_current),
            is_streaming,
            prompt: None,
            model: ModelName::default(),
            sent: 0,
            open: None,
            unmetered: Vec::new(),
            tools: HashMap::new(),
            has_ended: false,
        }
    }

    pub(crate) fn set_prompt(&mut self, prompt: impl FnOnce() -> Value) {
        self.prompt = self.recorder.content(prompt);
    }

    /// Notes that a hook chose another model than the default.
    pub(crate) fn select_model(&mut self, label: &str) {
        self.model = ModelName { model: label.to_owned(), ..ModelName::default() };
        let data = EventData { model: Some(label), ..EventData::default() };
        let span = self.position.context.new_span();
        self.recorder.record(EventType::AgentRoute, "select_model", (&span, None), &data, None);
    }

    pub(crate) fn send_call(&mut self, prompt: impl FnOnce() -> Value) {
        self.set_answered();
        self.unmetered.extend(self.open.take());
        self.open = Some(ModelCall {
            number: self.sent,
            position: Position::begin("chat", || self.position.context.new_span()),
            answered_after: None,
            first_token: None,
            chunks: 0,
            prompt: self.recorder.content(prompt),
        });
        self.sent += 1;
    }

    pub(crate) fn note_chunk(&mut self) {
        if let Some(call) = &mut self.open {
            call.first_token.get_or_insert_with(|| call.position.began.elapsed());
            call.chunks += 1;
        }
    }

    /// Notes that the open call has its answer, though rig may never tell what it is.
    fn set_answered(&mut self) {
        if let Some(call) = &mut self.open {
            call.answered_after.get_or_insert_with(|| call.position.began.elapsed());
        }
    }

    pub(crate) fn end_call(&mut self, answered: Result<Answer, Failure>) {
        if let Some(call) = self.open.take() {
            self.record_call(&call, answered.as_ref());
        }
    }

    fn record_call(&self, call: &ModelCall, answered: Result<&Answer, &Failure>) {
        let mut amendment = Amendment::default();
        if let Some(first_token) = call.first_token {
            amendment = amendment.first_token_ms(milliseconds(first_token));
        }
        if let Err(failure) = answered {
            amendment = amendment.failure(&failure.error_type, &failure.message);
        }
        if call.position.amend("chat", &amendment) {
            return;
        }
        let ended = EndedCall {
            context: &call.position.context,
            model: &self.model,
            latency: call.answered_after.unwrap_or_else(|| call.position.began.elapsed()),
            first_token: call.first_token,
            prompt: call.prompt.as_ref(),
        };
        match answered {
            Ok(answer) => self.recorder.record_answer(&ended, answer),
            Err(failure) => self.recorder.record_failed_call(&ended, failure),
        }
    }

    pub(crate) fn begin_tool(
        &mut self,
        id: u64,
        tool: &str,
        call_id: Option<String>,
        arguments: &str,
    ) {
        let position = Position::begin("execute_tool", || self.position.context.new_span());
        let arguments = parse_or_text(arguments);
        let call = ToolCall { position, tool: tool.to_owned(), call_id, arguments };
        if call.position.span.is_none() {
            let content = self.recorder.content(|| call.arguments.clone());
            let data = EventData { arguments: content.as_ref(), ..call.data() };
            let span = (&call.position.context, None);
            self.recorder.record(EventType::ToolCall, tool, span, &data, None);
        }
        self.tools.insert(id, call);
    }

    pub(crate) fn has_begun_tool(&self, id: u64) -> bool {
        self.tools.contains_key(&id)
    }

    pub(crate) fn end_tool(&mut self, id: u64, end: ToolEnd) {
        if let Some(call) = self.tools.remove(&id) {
            self.record_tool_end(&call, end);
        }
    }

    fn record_tool_end(&self, call: &ToolCall, end: ToolEnd) {
        let ToolEnd { failure, outcome, result } = end;
        let mut amendment = Amendment::default();
        if let Some(failure) = &failure {
            amendment = amendment.failure(&failure.error_type, &failure.message);
        }
        if call.position.amend("execute_tool", &amendment) {
            return;
        }
        let result = self.recorder.content(|| result);
        let data = EventData { outcome, result: result.as_ref(), ..call.data() };
        let event_type = match failure {
            Some(_) => EventType::ToolError,
            None => EventType::ToolResult,
        };
        let span = call.position.ended();
        self.recorder.record(event_type, &call.tool, span, &data, failure.as_ref());
    }

    /// Records a call that never reached its tool.
    pub(crate) fn refuse_tool(
        &mut self,
        tool: &str,
        call_id: Option<&str>,
        arguments: Option<&str>,
        failure: &Failure,
    ) {
        // A stream goes on, or is left before its end.
        if !self.is_streaming {
            self.set_answered();
        }
        let arguments = arguments.map(parse_or_text);
        let content = arguments.clone().and_then(|arguments| self.recorder.content(|| arguments));
        let data = EventData {
            tool: Some(tool),
            call_id,
            arguments: content.as_ref(),
            input: arguments.as_ref(),
            ..EventData::default()
        };
        let span = self.position.context.new_span();
        self.recorder.record(EventType::ToolError, tool, (&span, None), &data, Some(failure));
    }

    /// Ends a run that has its answer. `usages` are rig's, one for each call, and of calls of an earlier run
    /// that this one resumed.
    pub(crate) fn end_well(&mut self, usages: &[Value], usage: &Value, completion: String) {
        self.set_answered();
        self.unmetered.extend(self.open.take());
        let earlier = usages.len().saturating_sub(self.sent);
        for call in take(&mut self.unmetered) {
            let usage = usages.get(earlier + call.number).cloned().unwrap_or_default();
            self.record_call(&call, Ok(&Answer { usage, ..Answer::default() }));
        }
        self.has_ended = true;
        if self.position.span.take().is_some() {
            return;
        }
        let completion = self.recorder.content(|| completion.into());
        let data = EventData {
            total: total_of(usage),
            prompt: self.prompt.as_ref(),
            completion: completion.as_ref(),
            ..EventData::default()
        };
        self.record_run(&data, None);
    }

    /// Ends a run that failed, and with it what is open.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        for call in take(&mut self.unmetered) {
            self.record_call(&call, Ok(&Answer::default()));
        }
        if let Some(call) = self.open.take() {
            let answer = Answer::default();
            let answered = call.answered_after.map(|_| &answer);
            self.record_call(&call, answered.ok_or(failure));
        }
        for call in take(&mut self.tools).into_values() {
            let failure = Some(Failure::new("cancelled", "the run ended before the tool"));
            self.record_tool_end(&call, ToolEnd { failure, outcome: None, result: Value::Null });
        }
        self.has_ended = true;
        let amendment = Amendment::default().failure(&failure.error_type, &failure.message);
        if self.position.amend("invoke_agent", &amendment) {
            self.position.span = None;
            return;
        }
        let data = EventData { prompt: self.prompt.as_ref(), ..EventData::default() };
        self.record_run(&data, Some(failure));
    }

    fn record_run(&self, data: &EventData<'_>, failure: Option<&Failure>) {
        let (event_type, span) = (EventType::Custom("agent.invoke"), self.position.ended());
        self.recorder.record(event_type, "invoke_agent", span, data, failure);
    }

    fn cancelled(&self) -> Failure {
        if std::thread::panicking() {
            return Failure::new("panic", "the run panicked; the panic hook has the text");
        }
        let chunks = self.open.as_ref().map_or(0, |call| call.chunks);
        let what = if self.is_streaming { "stream" } else { "future" };
        let after = match chunks {
            0 => String::new(),
            1 => ", after one chunk".to_owned(),
            _ => format!(", after {chunks} chunks"),
        };
        Failure::new("cancelled", format!("the {what} was dropped before its end{after}"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.has_ended {
            let failure = self.cancelled();
            self.fail(&failure);
        }
    }
}

impl ToolCall {
    fn data(&self) -> EventData<'_> {
        EventData {
            tool: Some(&self.tool),
            call_id: self.call_id.as_deref(),
            input: Some(&self.arguments),
            ..EventData::default()
        }
    }
}

/// Returns the value of a JSON text, or else the text.
pub(crate) fn parse_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
