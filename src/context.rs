//! Trace context: W3C ids, and how they stay with a thread or a task.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Error;

/// Where in which trace the code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    parent_span_id: Option<u64>,
    /// What the caller's `traceparent` flag said; `None` where the trace began here.
    sampled: Option<bool>,
    tracestate: Option<Arc<str>>,
}

impl TraceContext {
    /// A new trace.
    pub fn new_trace() -> Self {
        todo!()
    }
    /// From ids.
    pub fn from_ids(_trace_id: u128, _span_id: u64, _parent_span_id: Option<u64>) -> Option<Self> {
        todo!()
    }
    /// A child span.
    pub fn new_span(&self) -> Self {
        todo!()
    }
    /// The context of this thread or task.
    pub fn current() -> Option<Self> {
        todo!()
    }
    /// Runs `f` with the current context, without cloning it.
    pub(crate) fn with_current<R>(_f: impl FnOnce(Option<&Self>) -> R) -> R {
        todo!()
    }
    /// Makes it current.
    pub fn enter(&self) -> Scope {
        todo!()
    }
    /// W3C.
    pub fn to_traceparent(&self) -> String {
        todo!()
    }
    /// W3C.
    pub fn from_traceparent(_header: &str) -> Result<Self, Error> {
        todo!()
    }
    /// W3C.
    pub fn with_tracestate(self, _header: &str) -> Self {
        todo!()
    }
    /// W3C.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }
    /// Id.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }
    /// Id.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }
    /// Id.
    pub fn parent_span_id(&self) -> Option<u64> {
        self.parent_span_id
    }
    /// Flag.
    pub fn sampled(&self) -> Option<bool> {
        self.sampled
    }
}

/// A random trace id, never zero.
pub(crate) fn random_trace_id() -> u128 {
    todo!()
}

/// A random span id, never zero.
pub(crate) fn random_span_id() -> u64 {
    todo!()
}

/// Guard.
#[derive(Debug)]
pub struct Scope {
    _previous: Option<TraceContext>,
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Extension.
pub trait InSpan: Future + Sized {
    /// In span.
    fn in_span(self, context: TraceContext) -> Spanned<Self> {
        Spanned { future: self, context }
    }
}
impl<F: Future> InSpan for F {}

pin_project_lite::pin_project! {
    /// Future.
    #[derive(Debug)]
    pub struct Spanned<F> {
        #[pin]
        future: F,
        context: TraceContext,
    }
}

impl<F: Future> Future for Spanned<F> {
    type Output = F::Output;
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<F::Output> {
        todo!()
    }
}
