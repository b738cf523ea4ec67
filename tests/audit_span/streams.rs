//! The end of a stream that an attributed function returns.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use llm_audit::testing::capture;
use llm_audit::{AuditEvent, ErrorDetail, EventType, audit_span, emit, record_stream};
use serde_json::json;

use super::{events, ids, only, types};

/// Yields numbers below `end`, emits an event with each, and panics once at `panics_at`.
struct Count {
    next: u64,
    end: u64,
    panics_at: Option<u64>,
}

impl Stream for Count {
    type Item = Result<u64, fmt::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.next;
        assert!(self.panics_at.take_if(|at| *at == next).is_none(), "asked for");
        if self.next == self.end {
            return Poll::Ready(None);
        }
        emit(&AuditEvent::new(EventType::CacheHit, "stream", "next"));
        self.next += 1;
        Poll::Ready(Some(if self.next == 2 { Err(fmt::Error) } else { Ok(self.next) }))
    }
}

#[audit_span(agent = "a", action = "numbers")]
fn numbers(end: u64, panics_at: Option<u64>) -> impl Stream<Item = Result<u64, fmt::Error>> {
    record_stream("a", "numbers.stream", Count { next: 0, end, panics_at })
        .error_of(|item| item.as_ref().err().map(ErrorDetail::from_error))
}

/// Takes up to `most` items.
fn take(stream: impl Stream, most: usize) {
    let (mut stream, mut cx) = (pin!(stream), Context::from_waker(Waker::noop()));
    for _ in 0..most {
        if let Poll::Ready(None) = stream.as_mut().poll_next(&mut cx) {
            break;
        }
    }
}

#[test]
fn the_end_of_a_stream_is_an_event_below_its_function() {
    let seen = capture();
    take(numbers(1, None), 9);
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "tool.result", "cache.hit", "stream.end"]);
    let (call, end) = (ids(only(&events, "tool.call")), only(&events, "stream.end"));
    assert_eq!((ids(end).0, ids(end).2), (call.0, Some(call.1)));
    assert_eq!((&end["status"], &end["data"]), (&json!("ok"), &json!({"items": 1})));
    assert!(end["latency_ms"].is_number());
    assert_eq!(ids(only(&events, "cache.hit")).2, Some(ids(end).1), "inside the stream's span");
}

#[test]
fn every_other_end_of_a_stream_is_an_error() {
    let panicking = || {
        let caught = catch_unwind(AssertUnwindSafe(|| take(numbers(5, Some(1)), 9)));
        assert!(caught.is_err());
    };
    // Whoever judges the items is a part of the stream.
    let judged = || {
        let stream = record_stream("a", "b", Count { next: 0, end: 5, panics_at: None });
        let stream = stream.error_of(|_| panic!("asked for"));
        assert!(catch_unwind(AssertUnwindSafe(|| take(stream, 9))).is_err());
    };
    // A consumer may catch the panic and go on.
    let caught = || {
        let mut cx = Context::from_waker(Waker::noop());
        let mut stream =
            pin!(record_stream("a", "b", Count { next: 0, end: 1, panics_at: Some(1) }));
        let mut poll = || stream.as_mut().poll_next(&mut cx);
        assert!(poll().is_ready());
        assert!(catch_unwind(AssertUnwindSafe(&mut poll)).is_err());
        assert!(matches!(poll(), Poll::Ready(None)));
    };
    let cases: [(&dyn Fn(), &str, u64); 6] = [
        (&judged, "panic", 1),
        (&caught, "panic", 1),
        (&|| take(numbers(5, None), 1), "cancelled", 1),
        (&|| drop(numbers(5, None)), "cancelled", 0),
        (&panicking, "panic", 1),
        (&|| take(numbers(3, None), 9), "core::fmt::Error", 3),
    ];
    for (run, error_type, items) in cases {
        let seen = capture();
        run();
        let events = events(&seen);
        let end = only(&events, "stream.end");
        assert_eq!(end["status"], "error", "{end}");
        assert_eq!(
            (&end["error"]["type"], &end["data"]["items"]),
            (&json!(error_type), &json!(items))
        );
    }
}
