//! What the expansion of `#[audit_span]` calls. No part of the public interface: it changes with
//! the attribute.

mod classify;

use std::borrow::Cow;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

pub use classify::{
    AnyError, AnyValue, DebugError, DebugValue, DisplayError, InnerError, NoError, Pick, Plain,
    Recordable, SerializeValue, Split, StandardError,
};

use crate::context::TraceContext;
use crate::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::panics::forget_panic;
pub use crate::record::members::Value;
use crate::record::members::{Member, Members};
use crate::recorder::{self, AuditLogger};

/// A name and how its value is recorded.
pub type Argument<'a> = Member<'a>;

/// Gives the arguments that a function still has at its end to whoever wants to look at them.
pub trait Kept: Fn(&mut dyn FnMut(&[Argument<'_>])) {}
impl<K: Fn(&mut dyn FnMut(&[Argument<'_>]))> Kept for K {}

/// Where a span's events go.
#[derive(Clone, Copy, Debug)]
pub struct Outlet<'l>(Option<&'l AuditLogger>);

/// Where [`emit`](crate::emit) goes.
#[inline]
pub fn process() -> Outlet<'static> {
    Outlet(None)
}

/// To this logger.
#[inline]
pub fn to(logger: &AuditLogger) -> Outlet<'_> {
    Outlet(Some(logger))
}

/// An agent or an action that is not known when the program is compiled. It is copied, because the
/// body may move or change what it came from.
pub fn name<T: Display + ?Sized>(text: &T) -> Cow<'static, str> {
    Cow::Owned(text.to_string())
}

/// A value of the type that a function returns, for a branch that is never taken: it tells the
/// compiler what a block is to end with.
pub fn never<R>() -> R {
    unreachable!("no expansion calls this")
}

/// What a `recoverable = path` says of an error.
pub fn decide<E>(error: &E, recoverable: impl FnOnce(&E) -> bool) -> bool {
    recoverable(error)
}

/// What the attribute says of a function.
#[derive(Debug)]
pub struct Head<'e> {
    pub agent: Cow<'static, str>,
    pub action: Cow<'static, str>,
    /// The one event at the end; `None` for those of a tool.
    pub event: Option<EventType<'e>>,
    /// Name and version of the package that the function is in.
    pub package: (Option<&'static str>, Option<&'static str>),
}

impl Outlet<'_> {
    /// Whether nothing is recorded, so that nothing need be looked at.
    #[inline]
    pub fn is_off(&self) -> bool {
        match self.0 {
            Some(logger) => !logger.settings().enabled,
            None => recorder::Outlet(None).is_off(),
        }
    }

    /// Begins the span of a call: `captured` are the arguments that `capture_args` is for, `moved`
    /// those of the snapshot that the body may move or change, `kept` gives the rest of it.
    pub fn begin<'e, K: Kept>(
        self,
        head: Head<'e>,
        captured: &[Argument<'_>],
        moved: &[Argument<'_>],
        kept: K,
    ) -> Span<'e, K> {
        let outlet = recorder::Outlet(self.0.cloned());
        Span { open: Open::new(outlet, head, captured, moved), kept }
    }
}

/// A call that has begun. It has one end: [`done`](Self::done), [`failed`](Self::failed), or, where
/// it is dropped before, that of a panic or of a future that was given up.
#[derive(Debug)]
pub struct Span<'e, K: Kept> {
    open: Open<'e>,
    kept: K,
}

#[derive(Debug)]
struct Open<'e> {
    outlet: recorder::Outlet,
    head: Head<'e>,
    context: TraceContext,
    captures_content: bool,
    /// Arguments for the one event at the end.
    arguments: Option<Members>,
    /// The part of the snapshot that the body may move or change.
    moved: Option<Members>,
    began: Instant,
    /// The body runs: what is dropped now was left by a panic.
    is_running: bool,
    has_ended: bool,
}

impl<'e> Open<'e> {
    fn new(
        outlet: recorder::Outlet,
        head: Head<'e>,
        captured: &[Argument<'_>],
        moved: &[Argument<'_>],
    ) -> Self {
        let context = TraceContext::below_current();
        let is_late = head.event.is_some();
        let look = |logger: &AuditLogger| {
            let settings = logger.settings();
            let keep = |wanted: bool, arguments: &[Argument<'_>]| {
                if wanted && !arguments.is_empty() { logger.keep(arguments) } else { None }
            };
            let content = settings.capture_content;
            (content, keep(content && is_late, captured), keep(settings.include_snapshots, moved))
        };
        let (captures_content, arguments, moved) = outlet.peek(look).unwrap_or_default();
        if head.event.is_none() {
            emit_call(&outlet, &head, &context, if captures_content { captured } else { &[] });
        }
        Self {
            outlet,
            head,
            context,
            captures_content,
            arguments,
            moved,
            began: Instant::now(),
            is_running: true,
            has_ended: false,
        }
    }

    /// The type of the event at the end.
    fn end_type(&self, status: Status) -> EventType<'e> {
        match (self.head.event, status) {
            (None, Status::Ok) => EventType::ToolResult,
            (None, _) => EventType::ToolError,
            (Some(EventType::LlmInvoke), Status::Error) => EventType::LlmError,
            (Some(given), _) => given,
        }
    }

    /// The event at the end.
    fn end(&mut self, result: Option<Value<'_>>, error: Option<&ErrorDetail<'_>>) {
        let latency = self.began.elapsed();
        self.has_ended = true;
        let status = if error.is_some() { Status::Error } else { Status::Ok };
        let event_type = self.end_type(status);
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
        if let Some(result) = result.filter(|_| self.captures_content) {
            add("result", result);
        }
        let data = Value::object(&members[..count], None);
        let event = AuditEvent::new(event_type, &self.head.agent, &self.head.action)
            .status(status)
            .latency(latency)
            .span(&self.context);
        let data: Option<&dyn crate::record::Payload> = if count > 0 { Some(&data) } else { None };
        self.outlet.emit(&AuditEvent { data, error, ..event });
    }

    /// The event at the end of what failed, with the snapshot and the environment.
    fn fail(&mut self, detail: ErrorDetail<'_>, kept: &[Argument<'_>]) {
        let package = match self.head.package {
            (Some(name), Some(version)) => format!("{name} {version}"),
            (name, _) => name.unwrap_or("unknown").to_owned(),
        };
        let registered = self.outlet.peek(|logger| logger.settings().environment.clone());
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
        self.end(None, Some(&detail));
    }
}

/// `tool.call`.
fn emit_call(
    outlet: &recorder::Outlet,
    head: &Head<'_>,
    context: &TraceContext,
    arguments: &[Argument<'_>],
) {
    let members =
        [("tool", Value::text(&head.action)), ("arguments", Value::object(arguments, None))];
    let data = Value::object(&members[..1 + usize::from(!arguments.is_empty())], None);
    let event = AuditEvent::new(EventType::ToolCall, &head.agent, &head.action).span(context);
    outlet.emit(&AuditEvent { data: Some(&data), ..event });
}

impl<K: Kept> Span<'_, K> {
    /// It returned.
    pub fn done(&mut self, result: Option<Value<'_>>) {
        self.open.end(result, None);
    }

    /// It returned an error.
    pub fn failed(
        &mut self,
        detail: impl FnOnce() -> ErrorDetail<'static>,
        recoverable: impl FnOnce() -> Option<bool>,
    ) {
        let detail = quietly(detail)
            .unwrap_or_else(|| ErrorDetail::new("unknown", "the error panicked when it was read"));
        self.fail(ErrorDetail { recoverable: quietly(recoverable).flatten(), ..detail });
    }

    fn fail(&mut self, detail: ErrorDetail<'static>) {
        let open = &mut self.open;
        let mut detail = Some(detail);
        (self.kept)(&mut |kept| {
            if let Some(detail) = detail.take() {
                open.fail(detail, kept);
            }
        });
    }
}

impl<K: Kept> Drop for Span<'_, K> {
    fn drop(&mut self) {
        if !self.open.has_ended {
            self.fail(match self.open.is_running {
                true => ErrorDetail::new("panic", "the call panicked; the panic hook has the text"),
                false => ErrorDetail::new("cancelled", "the future was dropped before it was done"),
            });
        }
    }
}

/// What a caller's code says, unless it panics.
fn quietly<R>(code: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(code)).map_err(forget_panic).ok()
}

/// Runs the body of a function inside its span.
#[inline]
pub fn call<K: Kept, R>(span: &Option<Span<'_, K>>, body: impl FnOnce() -> R) -> R {
    let _scope = span.as_ref().map(|span| span.open.context.enter());
    body()
}

/// Runs the body of an async function inside its span.
pub fn run<'s, K: Kept, F: Future>(span: &'s mut Option<Span<'_, K>>, body: F) -> Run<'s, F> {
    let watch = |span: &'s mut Span<'_, K>| Watch {
        context: &span.open.context,
        is_running: &mut span.open.is_running,
    };
    Run { body: Some(body), watch: span.as_mut().map(watch) }
}

#[derive(Debug)]
struct Watch<'s> {
    context: &'s TraceContext,
    is_running: &'s mut bool,
}

pin_project_lite::pin_project! {
    /// A body that is polled and dropped inside its span; made by [`run`].
    #[derive(Debug)]
    pub struct Run<'s, F> {
        // `None` only while being dropped.
        #[pin]
        body: Option<F>,
        watch: Option<Watch<'s>>,
    }

    impl<F> PinnedDrop for Run<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _scope = this.watch.as_ref().map(|watch| watch.context.enter());
            this.body.set(None);
        }
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let body = this.body.as_pin_mut().expect("a future is not polled after its drop");
        let Some(watch) = this.watch else { return body.poll(cx) };
        let _scope = watch.context.enter();
        *watch.is_running = true;
        let polled = body.poll(cx);
        *watch.is_running = polled.is_ready();
        polled
    }
}
