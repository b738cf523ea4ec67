//! The layer in the subscriber of the process: it ignores events that are logged while it works.
//!
//! There, `tracing` does not guard against being entered again.
#![cfg(all(feature = "tracing", not(loom)))]

use std::fmt;

use llm_audit::layer::tracing::AuditLayer;
use llm_audit::testing::capture;
use llm_audit::{AuditEvent, EventType};
use serde::Serialize;
use serde_json::Value;
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

/// Logs, opens a span and records while it is read.
struct Chatty;

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span =
            info_span!("inner", gen_ai.operation.name = "chat", gen_ai.request.model = ?Chatty2);
        let _in = span.enter();
        span.record("gen_ai.request.model", tracing::field::debug(Chatty2));
        error!(error = ?Chatty2, gen_ai.usage.input_tokens = 5);
        f.write_str("gpt-4o")
    }
}

struct Chatty2;

impl fmt::Debug for Chatty2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(gen_ai.operation.name = "chat", gen_ai.request.model = "inner");
        f.write_str("inner")
    }
}

/// Logs a model's call while it is encoded.
struct Payload;

impl Serialize for Payload {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        info!(gen_ai.operation.name = "chat", gen_ai.request.model = ?Chatty);
        serializer.serialize_str("payload")
    }
}

#[test]
fn values_that_log_while_they_are_looked_at() {
    // This is the only test of its process: a scoped subscriber on any thread would be such a guard.
    tracing_subscriber::registry().with(AuditLayer::new("benefits")).init();
    let recorded = |work: &dyn Fn()| -> Vec<Value> {
        let seen = capture();
        work();
        seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };

    let lines = recorded(&|| {
        let span =
            info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = ?Chatty);
        span.record("gen_ai.request.model", tracing::field::debug(Chatty));
        let _in = span.enter();
        info!(gen_ai.provider.name = ?Chatty);
    });
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(
        (&lines[0]["event_type"], &lines[0]["status"]),
        (&"llm.invoke".into(), &"ok".into())
    );
    assert_eq!(
        (&lines[0]["data"]["model"], &lines[0]["data"]["provider"]),
        (&"gpt-4o".into(), &"gpt-4o".into())
    );
    assert_eq!(lines[0].get("tokens_input"), None);

    // If a payload logs while it is encoded, the caller wanted that, and it is recorded once.
    let lines = recorded(&|| {
        llm_audit::emit(&AuditEvent::new(EventType::Serialize, "benefits", "p").data(&Payload));
    });
    let types: Vec<_> = lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["llm.invoke", "serialize"]);
}
