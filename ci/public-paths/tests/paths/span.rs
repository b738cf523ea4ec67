//! `#[audit_span]` with each of its arguments.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use llm_audit as renamed;
use llm_audit::testing::{Capture, capture_with};
use llm_audit::{
    AuditLogger, CallError, CallItem, ErrorDetail, EventType, LlmCall, RecordedStream, audit_span,
    record_stream,
};

type Answer = Result<u32, io::Error>;

#[audit_span(agent = "benefits")]
fn plain(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = format!("benefits-{input}"), action = "plan.search")]
fn named(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits", event = "llm.invoke")]
fn one_event(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits", event = "cart.checkout")]
fn one_custom_event(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits", event = EventType::CacheHit)]
fn one_event_of_an_expression(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits", logger = logger, skip(logger))]
fn into_a_logger(input: u32, logger: &AuditLogger) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits", capture_args, capture_result)]
fn captured(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits", capture_args(input), skip(secret))]
fn captured_by_name(input: u32, secret: u32) -> Answer {
    Ok(input + secret)
}

#[audit_span(agent = "benefits", recoverable)]
fn recoverable(input: u32) -> Answer {
    Err(io::Error::other(input.to_string()))
}

#[audit_span(agent = "benefits", recoverable = false)]
fn not_recoverable(input: u32) -> Answer {
    Err(io::Error::other(input.to_string()))
}

#[audit_span(agent = "benefits", recoverable = |error: &io::Error| error.kind() == io::ErrorKind::Other)]
fn recoverable_if_asked(input: u32) -> Answer {
    Err(io::Error::other(input.to_string()))
}

#[audit_span(agent = "benefits", crate = renamed)]
fn by_another_path(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits", crate = "renamed")]
fn by_another_path_as_text(input: u32) -> Answer {
    Ok(input)
}

#[renamed::audit_span(agent = "benefits")]
async fn asynchronous(input: u32) -> Answer {
    Ok(input)
}

#[audit_span(agent = "benefits")]
fn generic<T: std::fmt::Debug + Copy>(input: T) -> Option<T> {
    Some(input)
}

struct Desk {
    agent: String,
}

impl Desk {
    #[audit_span(agent = self.agent)]
    fn method(&self, input: u32) -> Answer {
        Ok(input)
    }
}

/// How many events `call` recorded, and how many of its lines contain `text`.
fn recorded<T>(text: &str, call: impl FnOnce(&Capture) -> T) -> (usize, usize) {
    let seen = capture_with(|builder| builder.capture_content(true));
    call(&seen);
    let lines = seen.lines();
    (lines.len(), lines.iter().filter(|line| line.contains(text)).count())
}

#[test]
fn each_argument_of_the_attribute_has_its_effect() {
    let desk = Desk { agent: "desk".to_owned() };
    assert_eq!(recorded(r#""action":"plain""#, |_| plain(7)), (2, 2));
    assert_eq!(recorded(r#""agent":"benefits-7","action":"plan.search""#, |_| named(7)), (2, 2));
    assert_eq!(recorded(r#""llm.invoke""#, |_| one_event(7)), (1, 1));
    assert_eq!(recorded(r#""cart.checkout""#, |_| one_custom_event(7)), (1, 1));
    assert_eq!(recorded(r#""cache.hit""#, |_| one_event_of_an_expression(7)), (1, 1));
    assert_eq!(recorded("", |seen| into_a_logger(7, seen.logger())), (2, 2));
    assert_eq!(recorded(r#""arguments":{"input":7}"#, |_| captured(7)), (2, 1));
    assert_eq!(recorded(r#""result":7"#, |_| captured(7)), (2, 1));
    assert_eq!(recorded(r#""arguments":{"input":7}"#, |_| captured_by_name(7, 8)), (2, 1));
    assert_eq!(recorded(r#""recoverable":true"#, |_| recoverable(7)), (2, 1));
    assert_eq!(recorded(r#""recoverable":false"#, |_| not_recoverable(7)), (2, 1));
    assert_eq!(recorded(r#""recoverable":true"#, |_| recoverable_if_asked(7)), (2, 1));
    assert_eq!(recorded(r#""tool.result""#, |_| by_another_path(7)), (2, 1));
    assert_eq!(recorded(r#""tool.result""#, |_| by_another_path_as_text(7)), (2, 1));
    assert_eq!(recorded(r#""tool.result""#, |_| generic(7)), (2, 1));
    assert_eq!(recorded(r#""agent":"desk""#, |_| desk.method(7)), (2, 2));
}

#[test]
fn the_attribute_takes_an_async_function() {
    let poll = |_: &Capture| {
        let mut cx = Context::from_waker(Waker::noop());
        let polled = pin!(asynchronous(7)).poll(&mut cx);
        assert!(matches!(polled, Poll::Ready(Ok(7))));
    };
    assert_eq!(recorded(r#""action":"asynchronous""#, poll), (2, 2));
}

fn recorded_stream<S: Stream>(
    stream: S,
    logger: AuditLogger,
    error_of: fn(&S::Item) -> Option<ErrorDetail<'static>>,
) -> impl Stream<Item = S::Item> {
    let recorded: RecordedStream<S> = record_stream("benefits", "answer", stream);
    recorded.logger(logger).error_of(error_of)
}

fn calls_of_a_client<F, S, E, K, C>(
    call: LlmCall<'_>,
    future: F,
) -> impl Future<Output = Result<RecordedStream<S>, E>>
where
    F: Future<Output = Result<S, E>>,
    S: Stream<Item: CallItem<C>>,
    E: CallError<K>,
{
    call.call_stream::<F, S, E, K, C>(future)
}

fn call_of_a_client<F: Future<Output: CallItem<K>>, K>(
    call: LlmCall<'_>,
    future: F,
) -> impl Future<Output = F::Output> {
    call.call::<F, K>(future)
}

fn stream_of_a_client<S: Stream<Item: CallItem<K>>, K>(
    call: LlmCall<'_>,
    stream: S,
) -> RecordedStream<S> {
    call.stream::<S, K>(stream)
}

fn items_and_errors<T: CallItem<K>, E: CallError<L>, K, L>(item: &T, error: &E) {
    let _: Option<ErrorDetail<'static>> = item.error();
    fn serializes(_: impl serde::Serialize) {}
    let _: Option<()> = item.answer().map(serializes);
    let _: ErrorDetail<'static> = error.detail();
}
