//! The span of one call, from its begin to its one end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::replay::{ReplayedCall, replayed_call};
use super::{Argument, FunctionHead, KeptArguments, Value};
use crate::context::TraceContext;
use crate::panics::forget_panic;
use crate::record::Payload;
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::record::members::EncodedMembers;
use crate::recorder::{AuditLogger, Outlet};

/// The members of the data that are content.
const CONTENT: [&str; 2] = ["arguments", "result"];

/// A call that has begun.
///
/// It ends once, by [`done`](Self::done) or [`failed`](Self::failed). If it is dropped before
/// that, it ends as a panic or as a future that was dropped.
#[derive(Debug)]
pub struct Span<'e, K: KeptArguments> {
    pub(super) open: OpenCall<'e>,
    pub(super) kept: K,
}

#[derive(Debug)]
pub(super) struct OpenCall<'e> {
    outlet: Outlet,
    head: FunctionHead<'e>,
    pub(super) context: TraceContext,
    captures_content: bool,
    /// The arguments for the one event at the end.
    arguments: Option<EncodedMembers>,
    /// The part of the snapshot that the body may move or change.
    moved: Option<EncodedMembers>,
    began: Instant,
    /// What a replay of the call's trace knows of it.
    pub(super) replayed: ReplayedCall,
    /// The body runs: a drop at this time comes from a panic.
    pub(super) is_running: bool,
    has_ended: bool,
}

impl<'e> OpenCall<'e> {
    pub(super) fn new(
        outlet: Outlet,
        head: FunctionHead<'e>,
        captured: &[Argument<'_>],
        moved: &[Argument<'_>],
    ) -> Self {
        let context = TraceContext::new_span_below_current();
        let is_late = head.event.is_some();
        let look = |logger: &AuditLogger| {
            let settings = logger.settings();
            let keep = |wanted: bool, arguments: &[Argument<'_>]| {
                if wanted && !arguments.is_empty() {
                    logger.encode_members(arguments)
                } else {
                    None
                }
            };
            let content = logger.captures_content();
            (content, keep(content && is_late, captured), keep(settings.include_snapshots, moved))
        };
        let (captures_content, arguments, moved) = outlet.peek_logger(look).unwrap_or_default();
        if head.event.is_none() {
            emit_tool_call(&outlet, &head, &context, if captures_content { captured } else { &[] });
        }
        let replayed = replayed_call(&outlet, &context, &head, captured);
        Self {
            outlet,
            head,
            context,
            replayed,
            captures_content,
            arguments,
            moved,
            began: Instant::now(),
            is_running: true,
            has_ended: false,
        }
    }

    /// Returns the type of the event at the end.
    fn end_event_type(&self, status: Status) -> EventType<'e> {
        match (self.head.event, status) {
            (None, Status::Ok) => EventType::ToolResult,
            (None, _) => EventType::ToolError,
            (Some(EventType::LlmInvoke), Status::Error) => EventType::LlmError,
            (Some(given), _) => given,
        }
    }

    /// Emits the event at the end.
    fn emit_end(&mut self, result: Option<Value<'_>>, error: Option<&ErrorDetail<'_>>) {
        let latency = self.began.elapsed();
        self.has_ended = true;
        let status = if error.is_some() { Status::Error } else { Status::Ok };
        let event_type = self.end_event_type(status);
        let is_tool = matches!(
            event_type,
            EventType::ToolCall | EventType::ToolResult | EventType::ToolError
        );
        let (mut members, mut count) = ([("", Value::text("")); 3], 0);
        let mut add = |name, value| {
            members[count] = (name, value);
            count += 1;
        };
        if is_tool {
            add("tool", Value::text(&self.head.action));
        }
        if let Some(arguments) = &self.arguments {
            add("arguments", Value::object(&[], Some(arguments)));
        }
        // A replay has to know that there was a result, and that it was none.
        let nothing = Value::payload(&());
        let is_nothing = self.head.is_replayable && error.is_none();
        let result = result.or_else(|| is_nothing.then_some(nothing));
        if let Some(result) = result.filter(|_| self.captures_content) {
            add("result", result);
        }
        let data = Value::object(&members[..count], None);
        let event = AuditEvent::new(event_type, &self.head.agent, &self.head.action)
            .status(status)
            .latency(latency)
            .span(&self.context);
        let data: Option<&dyn Payload> = if count > 0 { Some(&data) } else { None };
        self.outlet.emit(&AuditEvent { data, error, ..event }.content(&CONTENT));
    }

    /// Emits the event at the end of a call that failed, with the snapshot and the environment.
    fn emit_failed_end(&mut self, detail: ErrorDetail<'_>, kept: &[Argument<'_>]) {
        let package = match self.head.package {
            (Some(name), Some(version)) => format!("{name} {version}"),
            (name, _) => name.unwrap_or("unknown").to_owned(),
        };
        let registered = self.outlet.peek_logger(|logger| logger.settings().environment.clone());
        let registered = registered.unwrap_or_default();
        let own = [("crate", package.as_str()), ("rustc", env!("LLM_AUDIT_RUSTC"))];
        let is_free = |(name, _): &(&str, &str)| !registered.iter().any(|(known, _)| known == name);
        let environment: Vec<Argument<'_>> = registered
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(own.into_iter().filter(is_free))
            .map(|(name, value)| (name, Value::text(value)))
            .collect();
        let environment = Value::object(&environment, None);
        let moved = self.moved.take();
        let snapshot = Value::object(kept, moved.as_ref());
        let has_arguments = moved.is_some() || !kept.is_empty();
        let detail = ErrorDetail { environment: Some(&environment), ..detail };
        let detail = match has_arguments {
            true => ErrorDetail { input_snapshot: Some(&snapshot), ..detail },
            false => detail,
        };
        self.emit_end(None, Some(&detail));
    }
}

/// Emits the `tool.call`.
fn emit_tool_call(
    outlet: &Outlet,
    head: &FunctionHead<'_>,
    context: &TraceContext,
    arguments: &[Argument<'_>],
) {
    let members =
        [("tool", Value::text(&head.action)), ("arguments", Value::object(arguments, None))];
    let data = Value::object(&members[..1 + usize::from(!arguments.is_empty())], None);
    let event = AuditEvent::new(EventType::ToolCall, &head.agent, &head.action).span(context);
    outlet.emit(&AuditEvent { data: Some(&data), ..event }.content(&CONTENT));
}

impl<K: KeptArguments> Span<'_, K> {
    /// Ends a call that returned a value.
    pub fn done(&mut self, result: Option<Value<'_>>) {
        self.open.emit_end(result, None);
    }

    /// Ends a call that returned an error.
    pub fn failed(
        &mut self,
        detail: impl FnOnce() -> ErrorDetail<'static>,
        recoverable: impl FnOnce() -> Option<bool>,
    ) {
        if let Some(recorded) = self.open.replayed.error() {
            return self.emit_failed_end(recorded);
        }
        let detail = run_caller_code(detail)
            .unwrap_or_else(|| ErrorDetail::new("unknown", "the error panicked when it was read"));
        self.emit_failed_end(ErrorDetail {
            recoverable: run_caller_code(recoverable).flatten(),
            ..detail
        });
    }

    fn emit_failed_end(&mut self, detail: ErrorDetail<'static>) {
        let open = &mut self.open;
        let mut detail = Some(detail);
        (self.kept)(&mut |kept| {
            if let Some(detail) = detail.take() {
                open.emit_failed_end(detail, kept);
            }
        });
    }
}

impl<K: KeptArguments> Drop for Span<'_, K> {
    fn drop(&mut self) {
        if !self.open.has_ended {
            self.emit_failed_end(match self.open.is_running {
                true => ErrorDetail::new("panic", "the call panicked; the panic hook has the text"),
                false => ErrorDetail::new("cancelled", "the future was dropped before it was done"),
            });
        }
    }
}

/// Runs a caller's code; returns `None` if it panics.
fn run_caller_code<R>(code: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(code)).map_err(forget_panic).ok()
}
