//! The promises of `#[audit_span]`: events for every kind of function, and the function unchanged.
#![cfg(all(feature = "macros", not(loom)))]
#![deny(warnings, clippy::pedantic)]
#![forbid(unsafe_code)]

mod asynchronous;
mod content;
mod ends;
mod size;
mod streams;
mod unchanged;

use llm_audit::testing::Capture;
use serde_json::Value;

/// Returns the events captured so far.
fn events(seen: &Capture) -> Vec<Value> {
    seen.lines().iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Returns the types of events, in their order.
fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_type"].as_str().expect("a type")).collect()
}

/// Returns the event of a type; fails unless there is exactly one.
fn only<'e>(events: &'e [Value], event_type: &str) -> &'e Value {
    let found: Vec<_> = events.iter().filter(|e| e["event_type"] == event_type).collect();
    assert_eq!(found.len(), 1, "one {event_type} in {events:?}");
    found[0]
}

/// Returns trace, span and parent.
fn ids(event: &Value) -> (&str, &str, Option<&str>) {
    let id = |name: &str| event[name].as_str();
    (id("trace_id").expect("a trace"), id("span_id").expect("a span"), id("parent_span_id"))
}
