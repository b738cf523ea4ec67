//! Events, their types and errors, and calls of models.

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use llm_audit::{
    AuditEvent, ErrorDetail, Evaluation, EventType, Feedback, LlmCall, Status, TraceContext, Usage,
    Usd, is_event_type_name,
};
use serde::Serialize;

use crate::{Plain, implement, variants};

fn audit_event<'a>() {
    let _: fn(EventType<'a>, &'a str, &'a str) -> AuditEvent<'a> = AuditEvent::new;
    let _: fn(AuditEvent<'a>, Status) -> AuditEvent<'a> = AuditEvent::status;
    let _: fn(AuditEvent<'a>, f64) -> AuditEvent<'a> = AuditEvent::latency_ms;
    let _: fn(AuditEvent<'a>, Duration) -> AuditEvent<'a> = AuditEvent::latency;
    let _: fn(AuditEvent<'a>, u64, u64) -> AuditEvent<'a> = AuditEvent::tokens;
    let _: fn(AuditEvent<'a>, u64) -> AuditEvent<'a> = AuditEvent::tokens_input;
    let _: fn(AuditEvent<'a>, u64) -> AuditEvent<'a> = AuditEvent::tokens_output;
    let _: fn(AuditEvent<'a>, &'a Usage) -> AuditEvent<'a> = AuditEvent::usage;
    let _: fn(AuditEvent<'a>, f64) -> AuditEvent<'a> = AuditEvent::first_token_ms;
    let _: fn(AuditEvent<'a>, &'a str) -> AuditEvent<'a> = AuditEvent::user;
    let _: fn(AuditEvent<'a>, SystemTime) -> AuditEvent<'a> = AuditEvent::timestamp;
    let _: fn(AuditEvent<'a>, &'a TraceContext) -> AuditEvent<'a> = AuditEvent::context;
    let _: fn(AuditEvent<'a>, &'a TraceContext) -> AuditEvent<'a> = AuditEvent::span;
    let _: fn(AuditEvent<'a>, &'a ErrorDetail<'a>) -> AuditEvent<'a> = AuditEvent::error;
    let _: fn(AuditEvent<'a>, &'a [&'a str]) -> AuditEvent<'a> = AuditEvent::content;
}

fn cost_of_an_event<'a>(event: AuditEvent<'a>, cost: impl TryInto<Usd>) -> AuditEvent<'a> {
    event.cost_usd(cost)
}

fn data_of_an_event<'a, T: Serialize>(event: AuditEvent<'a>, data: &'a T) -> AuditEvent<'a> {
    event.data::<T>(data)
}

/// Shortening the lifetime of an event is what passing it around needs.
fn shorter<'s>(event: AuditEvent<'static>, error: ErrorDetail<'static>) -> AuditEvent<'s> {
    let _: ErrorDetail<'s> = error;
    event
}

implement! {
    AuditEvent<'_>: Unpin, Clone, Copy;
}

fn error_detail<'a>(
    error_type: impl Into<Cow<'a, str>>,
    message: impl Into<Cow<'a, str>>,
    traceback: impl Into<Cow<'a, str>>,
) -> ErrorDetail<'a> {
    let _: fn(ErrorDetail<'a>, &Backtrace) -> ErrorDetail<'a> = ErrorDetail::backtrace;
    let _: fn(ErrorDetail<'a>, bool) -> ErrorDetail<'a> = ErrorDetail::recoverable;
    ErrorDetail::new(error_type, message).traceback(traceback)
}

fn detail_of_an_error<'a, E: Error>(error: &E) -> ErrorDetail<'a> {
    ErrorDetail::from_error::<E>(error)
}

fn detail_of_an_object<'a, T: Serialize>(object: &'a T) -> ErrorDetail<'a> {
    ErrorDetail::from_object::<T>(object)
}

fn input_snapshot<'a, T: Serialize>(detail: ErrorDetail<'a>, input: &'a T) -> ErrorDetail<'a> {
    detail.input_snapshot::<T>(input)
}

fn environment<'a, T: Serialize>(detail: ErrorDetail<'a>, all: &'a T) -> ErrorDetail<'a> {
    detail.environment::<T>(all)
}

implement! {
    ErrorDetail<'_>: Unpin, Clone, Default;
}

variants!(EventType {
    RequestStart,
    RequestEnd,
    AgentRoute,
    AgentDecision,
    AgentRetry,
    AgentFallback,
    LlmInvoke,
    LlmError,
    ToolCall,
    ToolResult,
    ToolError,
    NlpExtract,
    CacheHit,
    CacheMiss,
    ApiCall,
    S3Write,
    PushSend,
    Serialize,
    PromptEfficiency,
    EvalResult,
    FeedbackGiven,
});

fn event_type<'a>(event_type: EventType<'a>) {
    let _: fn(&'a str) -> EventType<'a> = EventType::Custom;
    if let EventType::Custom(name, ..) = event_type {
        let _: &'a str = name;
    }
    let _: fn(EventType<'a>) -> &'a str = EventType::name;
    let _: fn(&'a str) -> EventType<'a> = EventType::from_name;
    let _: fn(&str) -> bool = is_event_type_name;
}

implement! {
    EventType<'_>: Plain, Clone, Copy, Debug, PartialEq, Eq, Hash;
}

variants!(Status { Ok, Error, Timeout, Retry });

fn status() {
    let _: [Status; 4] = Status::ALL;
    let _: fn(Status) -> &'static str = Status::name;
    let _: fn(Status) -> bool = Status::is_failure;
    let _: fn(&str) -> Option<Status> = Status::from_name;
}

implement! {
    Status: Plain, Clone, Copy, Debug, PartialEq, Eq, Hash;
}

fn llm_call<'a>() {
    let _: fn(&'a str, &'a str, &'a str, &'a str) -> LlmCall<'a> = LlmCall::new;
    let _: fn(LlmCall<'a>, f64) -> LlmCall<'a> = LlmCall::latency_ms;
    let _: fn(LlmCall<'a>, u64) -> LlmCall<'a> = LlmCall::attempt;
    let _: fn(LlmCall<'a>, &'a ErrorDetail<'a>) -> LlmCall<'a> = LlmCall::error;
    let _: fn(LlmCall<'a>, Status) -> LlmCall<'a> = LlmCall::status;
    let _: fn(LlmCall<'a>, &'a TraceContext) -> LlmCall<'a> = LlmCall::span;
}

fn judgements<'a>(text: &'a str, span: &'a TraceContext) -> (Evaluation<'a>, Feedback<'a>) {
    let evaluation = Evaluation::new(text, text).score(0.5).label(text).explanation(text);
    let feedback = Feedback::new(text).thumb(true).score(4.0).comment(text).user(text);
    (evaluation.span(span), feedback.span(span))
}

fn usage_of_a_call<'a>(call: LlmCall<'a>, usage: impl Into<Usage>) -> LlmCall<'a> {
    call.usage(usage)
}

fn cost_of_a_call<'a>(call: LlmCall<'a>, cost: impl TryInto<Usd>) -> LlmCall<'a> {
    call.cost(cost)
}

fn texts_of_a_call<'a, A, P, C>(
    call: LlmCall<'a>,
    answer: &'a A,
    prompt: &'a P,
    completion: &'a C,
) -> LlmCall<'a>
where
    A: Serialize,
    P: Serialize,
    C: Serialize,
{
    call.answer::<A>(answer).prompt::<P>(prompt).completion::<C>(completion)
}

implement! {
    LlmCall<'_>: Unpin, Clone, Copy, Debug;
    Evaluation<'_>: Plain, Clone, Copy, Debug;
    Feedback<'_>: Plain, Clone, Copy, Debug;
}

#[test]
fn a_name_of_an_event_type_is_its_own() {
    assert_eq!(EventType::from_name("tool.call"), EventType::ToolCall);
    assert_eq!(EventType::from_name("cart.checkout").name(), "cart.checkout");
    assert_eq!(Status::ALL.map(Status::name), ["ok", "error", "timeout", "retry"]);
}
