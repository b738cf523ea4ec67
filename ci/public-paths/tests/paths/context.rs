//! Trace contexts, and the scopes and futures that carry one.

use std::fmt::Debug;
use std::future::{Future, Ready};
use std::panic::{RefUnwindSafe, UnwindSafe};

use llm_audit::{Error, InSpan, Scope, Spanned, TraceContext};

use crate::{Plain, converted, implement, must_be_used, not_implement};

fn trace_context() {
    let _: fn() -> TraceContext = TraceContext::new_trace;
    let _: fn() -> TraceContext = TraceContext::new_root;
    let _: fn(&TraceContext) -> [(&'static str, String); 2] = TraceContext::to_env;
    let _: fn(u128, u64, Option<u64>) -> Option<TraceContext> = TraceContext::from_ids;
    let _: fn(&TraceContext) -> TraceContext = TraceContext::new_span;
    let _: fn() -> Option<TraceContext> = TraceContext::current;
    let _: fn(&TraceContext) -> Scope = TraceContext::enter;
    let _: fn(&TraceContext) -> String = TraceContext::to_traceparent;
    let _: fn(&TraceContext) -> Option<String> = TraceContext::to_tracestate;
    let _: fn(TraceContext, &'static str) -> TraceContext = TraceContext::with_tracestate;
    let _: fn(&TraceContext) -> Option<&str> = TraceContext::tracestate;
    let _: fn(TraceContext, Box<str>) -> TraceContext = TraceContext::with_user;
    let _: fn(TraceContext, &'static str) -> TraceContext = TraceContext::with_tenant;
    let _: fn(TraceContext, String) -> TraceContext = TraceContext::with_conversation;
    let _: fn(&TraceContext) -> Option<&str> = TraceContext::user;
    let _: fn(&TraceContext) -> Option<&str> = TraceContext::tenant;
    let _: fn(&TraceContext) -> Option<&str> = TraceContext::conversation;
    let _: fn(&TraceContext) -> u128 = TraceContext::trace_id;
    let _: fn(&TraceContext) -> u64 = TraceContext::span_id;
    let _: fn(&TraceContext) -> Option<u64> = TraceContext::parent_span_id;
    let _: fn(&TraceContext) -> Option<bool> = TraceContext::sampled;
}

fn from_traceparent(header: &str) -> Result<TraceContext, Error> {
    converted(TraceContext::from_traceparent(header))
}

fn from_hex(trace_id: &str, span_id: Option<&str>) -> Result<TraceContext, Error> {
    converted(TraceContext::from_hex(trace_id, span_id))
}

fn parse_trace_id(text: &str) -> Result<u128, Error> {
    converted(TraceContext::parse_trace_id(text))
}

fn parse_span_id(text: &str) -> Result<u64, Error> {
    converted(TraceContext::parse_span_id(text))
}

implement! {
    TraceContext: Plain, Clone, Debug, PartialEq, Eq;
}

implement! {
    Scope: Unpin, UnwindSafe, RefUnwindSafe, Debug;
}

// A scope ends on the thread that it began on.
not_implement! {
    Scope: Send;
    Scope: Sync;
}

must_be_used! {
    Scope,
    Spanned<Ready<()>>,
}

const _: () = assert!(std::mem::needs_drop::<Scope>());
const _: () = assert!(std::mem::needs_drop::<Spanned<Ready<()>>>());

fn in_span<F: Future>(future: F, context: TraceContext) -> Spanned<F> {
    future.in_span(context)
}

fn in_span_by_its_trait<F: InSpan>(future: F, context: TraceContext) -> Spanned<F> {
    fn is_a_future<F: Future>(_: &F) {}
    is_a_future(&future);
    InSpan::in_span(future, context)
}

fn spanned<F: Future + Debug>(spanned: Spanned<F>) -> impl Future<Output = F::Output> + Debug {
    spanned
}

implement! {
    Spanned<Ready<()>>: Plain, Debug, Future<Output = ()>;
}

#[test]
fn an_id_that_does_not_parse_is_an_error_of_the_library() {
    assert_eq!(parse_span_id("00f067aa0ba902b7").ok(), Some(0x00f0_67aa_0ba9_02b7));
    assert!(parse_span_id("").is_err());
    assert!(parse_trace_id("").is_err());
    assert!(from_traceparent("").is_err());
    assert!(from_hex("", None).is_err());
}
