//! The functions and types that the expansion of `#[audit_span]` uses.
//!
//! They are not part of the public interface: they change with the attribute.

mod autoref;
mod call;
mod llm;
mod polled;
mod recording;
#[doc(hidden)]
pub mod replay;
mod stream;

use std::borrow::Cow;
use std::fmt::Display;

pub use autoref::{
    AnyError, AnyValue, DebugError, DebugValue, DisplayError, InnerError, NoError, Pick, Plain,
    Recordable, SerializeValue, Split, StandardError,
};
pub use call::Span;
pub use llm::{CallError, CallItem};
pub use polled::{Run, run};
pub use stream::{RecordedStream, record_stream};

use crate::record::event::EventType;
use crate::record::members::Member;
pub use crate::record::members::Value;
use crate::recorder::{self, AuditLogger, Outlet};
use call::OpenCall;

/// A name and how its value is recorded.
pub type Argument<'a> = Member<'a>;

/// Shows the arguments that a function still has at its end.
pub trait KeptArguments: Fn(&mut dyn FnMut(&[Argument<'_>])) {}
impl<K: Fn(&mut dyn FnMut(&[Argument<'_>]))> KeptArguments for K {}

/// The description of a function in its attribute.
#[derive(Debug)]
pub struct FunctionHead<'e> {
    pub agent: Cow<'static, str>,
    pub action: Cow<'static, str>,
    /// The type of the one event at the end; `None` for the events of a tool.
    pub event: Option<EventType<'e>>,
    /// Whether a replay may answer in place of the function.
    pub is_replayable: bool,
    /// Name and version of the package that the function is in.
    pub package: (Option<&'static str>, Option<&'static str>),
}

/// Chooses the recorder of the process, which [`emit`](crate::emit) records into.
#[inline]
pub fn process() -> Option<&'static AuditLogger> {
    None
}

/// Chooses this logger.
#[inline]
pub fn to(logger: &AuditLogger) -> Option<&AuditLogger> {
    Some(logger)
}

/// Reports whether nothing is recorded, so that the attribute evaluates nothing.
#[inline]
pub fn is_off(logger: Option<&AuditLogger>) -> bool {
    recorder::is_logger_off(logger)
}

/// Begins the span of a call.
///
/// `captured` are the arguments that `capture_args` selects. `moved` are the arguments of the
/// snapshot that the body may move or change. `kept` shows the rest of the snapshot.
pub fn begin<'e, K: KeptArguments>(
    logger: Option<&AuditLogger>,
    head: FunctionHead<'e>,
    captured: &[Argument<'_>],
    moved: &[Argument<'_>],
    kept: K,
) -> Span<'e, K> {
    let outlet = Outlet(logger.cloned());
    Span { open: OpenCall::new(outlet, head, captured, moved), kept }
}

/// Copies an agent or an action that is not known when the program is compiled.
///
/// A borrow would not do, because the body may move or change its source.
pub fn name<T: Display + ?Sized>(text: &T) -> Cow<'static, str> {
    Cow::Owned(text.to_string())
}

/// Returns a value of a function's return type, in a branch that is never taken.
///
/// The branch makes the type of an async block known to the compiler.
pub fn never<R>() -> R {
    unreachable!("no expansion calls this")
}

/// Asks the function of `recoverable = path` about an error.
pub fn decide<E>(error: &E, recoverable: impl FnOnce(&E) -> bool) -> bool {
    recoverable(error)
}

/// Runs the body of a function inside its span.
#[inline]
pub fn call<K: KeptArguments, R>(span: &Option<Span<'_, K>>, body: impl FnOnce() -> R) -> R {
    let _scope = span.as_ref().map(|span| span.open.context.enter());
    body()
}
