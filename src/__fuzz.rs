//! Encoder and decoder by themselves, for the fuzz targets. Present only under `--cfg fuzzing`, which
//! cargo-fuzz sets.

use serde::Serialize;

use crate::record::decode;
use crate::record::encode::{self, EncodeRules, EventHead};
use crate::record::event::{AuditEvent, EventType};
use crate::ring::{OnFull, Ring};
use crate::sanitize::{Redactions, Sanitizer};
use crate::user_names::{UserKey, UserNames};
use crate::writer::jsonl;

/// The line of an event whose payload is `value`.
pub fn fuzz_record_line(value: &impl Serialize) -> Vec<u8> {
    const LIMIT: usize = 64 << 10;
    let ring = Ring::new(64, 2 * LIMIT);
    let mut chain = ring.begin_chain(LIMIT, OnFull::Evict).expect("a new ring has buffers");
    let event = AuditEvent::new(EventType::Serialize, "fuzz", "record").data(value);
    let head = EventHead {
        trace_id: 1,
        span_id: 2,
        parent_span_id: None,
        timestamp: 3,
        kept: Default::default(),
        has_others: true,
        marks_content: false,
    };
    let (sanitizer, mut counts) = (Sanitizer::default(), Redactions::default());
    let user_names = UserNames::new(sanitizer.clone(), &UserKey::random());
    let rules =
        EncodeRules { sanitizer: &sanitizer, user_names: &user_names, include_snapshots: true };
    encode::encode_event(&event, &head, &mut chain, rules, &mut counts)
        .expect("the memory is twice the limit");
    fuzz_decoded_line(&chain.to_vec())
}

/// Returns where in the text a match may begin, by vectors and byte for byte.
pub fn fuzz_candidates(text: &[u8], edge: usize) -> [Vec<usize>; 2] {
    llm_audit_redact::candidates(text, edge.min(text.len()))
}

/// Decodes any bytes at all, and serializes what they say.
pub fn fuzz_decode_bytes(bytes: &[u8]) {
    if decode::decode_record(bytes).is_ok() {
        fuzz_decoded_line(bytes);
    }
}

fn fuzz_decoded_line(bytes: &[u8]) -> Vec<u8> {
    let record = decode::decode_record(bytes).expect("what was encoded decodes");
    let mut line = Vec::new();
    jsonl::write_event_line(&mut line, 1, &record);
    line
}
