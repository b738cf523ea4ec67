//! Sends an event through encoder, decoder and line, for all tests of the record.

mod content;
mod counted;
mod failures;
mod limits;
mod random;
mod rules;

use std::sync::Arc;

use serde::Serialize;

use super::decode::decode_record;
use super::encode::{
    EncodeOutcome, EncodeRules, EventHead, NoMemory, encode_event, encode_event_head,
};
use crate::record::event::{AuditEvent, EventType, Status};
use crate::ring::{Chain, OnFull, Ring};
use crate::sampler::Kept;
use crate::sanitize::{Redactions, Sanitizer};
use crate::user_names::{UserKey, UserNames};
use crate::writer::jsonl;

/// The default of `AUDIT_MAX_EVENT_BYTES`.
const LIMIT: usize = 262_144;
const HEAD: EventHead = EventHead {
    trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
    span_id: 0x00f0_67aa_0ba9_02b7,
    parent_span_id: Some(1),
    timestamp: 1_700_000_000_123_456,
    kept: Kept::Drawn,
    has_others: true,
    marks_content: false,
};

thread_local! {
    static RING: Arc<Ring> = Ring::new(64, 4 * LIMIT);
}

/// The line of one event, and what the event lost.
struct Recorded {
    line: String,
    outcome: EncodeOutcome,
    counts: Redactions,
    bytes: usize,
}

impl Recorded {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.line).unwrap_or_else(|error| panic!("{error}: {}", self.line))
    }

    /// Returns the text of a member of the line, up to the line's end. `data` and `error` come
    /// last.
    fn member(&self, name: &str) -> &str {
        let (_, value) = self.line.split_once(&format!(",\"{name}\":")).expect("a member");
        value.strip_suffix("}\n").expect("a line")
    }
}

fn encode(
    event: &AuditEvent<'_>,
    chain: &mut Chain<'_>,
    include_snapshots: bool,
    counts: &mut Redactions,
) -> Result<EncodeOutcome, NoMemory> {
    let (sanitizer, user_names) = sanitizer_and_names();
    let rules = EncodeRules { sanitizer: &sanitizer, user_names: &user_names, include_snapshots };
    encode_event(event, &HEAD, chain, rules, counts)
}

fn encode_head(
    event: &AuditEvent<'_>,
    chain: &mut Chain<'_>,
    counts: &mut Redactions,
) -> Result<EncodeOutcome, NoMemory> {
    let (sanitizer, user_names) = sanitizer_and_names();
    let rules =
        EncodeRules { sanitizer: &sanitizer, user_names: &user_names, include_snapshots: true };
    encode_event_head(event, &HEAD, chain, rules, counts)
}

fn sanitizer_and_names() -> (Sanitizer, UserNames) {
    let key = UserKey::new("0123456789abcdef").expect("a long key");
    (Sanitizer::default(), UserNames::new(Sanitizer::default(), &key))
}

fn line_of(record: &[u8]) -> String {
    let mut line = Vec::new();
    let record = decode_record(record).expect("a record");
    jsonl::write_event_line(&mut line, 1, &record);
    String::from_utf8(line).expect("UTF-8")
}

fn record_within(event: &AuditEvent<'_>, limit: usize, include_snapshots: bool) -> Recorded {
    let ring = RING.with(Arc::clone);
    let mut chain = ring.begin_chain(limit, OnFull::Evict).expect("a buffer");
    let mut counts = Redactions::default();
    let outcome = encode(event, &mut chain, include_snapshots, &mut counts)
        .expect("the queue has enough memory");
    let bytes = chain.to_vec();
    Recorded { line: line_of(&bytes), outcome, counts, bytes: bytes.len() }
}

fn record(event: &AuditEvent<'_>) -> Recorded {
    record_within(event, LIMIT, true)
}

fn event() -> AuditEvent<'static> {
    AuditEvent::new(EventType::ToolCall, "benefits", "tool.search")
}

/// Returns the text of `data` for this payload.
fn data<T: Serialize>(payload: &T) -> String {
    record(&event().data(payload)).member("data").to_owned()
}

/// The check is in [`jsonl::write_event_line`], which remembers names in few places.
#[test]
fn names_of_events_are_not_mistaken_for_each_other() {
    let mut rng = fastrand::Rng::with_seed(5);
    let long = "x".repeat(300);
    for _ in 0..5_000 {
        // Names of the same length that differ in the middle alone, or in nothing.
        let mut name = || format!("create_{}{}_appointment", rng.u8(..3), rng.u8(..3));
        let (agent, mut action) = (name(), name());
        if rng.u8(..20) == 0 {
            action += &long[..rng.usize(..long.len())];
        }
        let types = [EventType::ToolCall, EventType::LlmInvoke, EventType::Custom("tool.own")];
        let statuses = [Status::Ok, Status::Error, Status::Timeout];
        let event = AuditEvent::new(types[rng.usize(..3)], &agent, &action);
        let recorded = record(&event.status(statuses[rng.usize(..3)]));
        assert!(recorded.line.contains(&agent), "{}", recorded.line);
    }
    // Some of these share a place with the one before, and differ in their status or type alone.
    for step in 0..100 {
        let action = format!("step_{step}");
        for event_type in [EventType::LlmInvoke, EventType::ToolCall] {
            for status in [Status::Ok, Status::Error, Status::Timeout] {
                record(&AuditEvent::new(event_type, "benefits", &action).status(status));
            }
        }
        for status in [Status::Ok, Status::Error, Status::Timeout] {
            for event_type in [EventType::LlmInvoke, EventType::ToolCall] {
                record(&AuditEvent::new(event_type, "benefits", &action).status(status));
            }
        }
    }
}
