//! Tests of records whose content is taken out.

use serde_json::{Value, json};

use super::{HEAD, LIMIT, RING, sanitizer_and_names};
use crate::record::content::without_content;
use crate::record::decode::{decode_head, decode_record};
use crate::record::encode::{EncodeRules, EventHead, encode_event, encode_event_head};
use crate::record::event::{AuditEvent, ErrorDetail, EventType};
use crate::ring::{Chain, OnFull};
use crate::sanitize::Redactions;
use crate::writer::jsonl;

const MARKED: EventHead = EventHead { marks_content: true, ..HEAD };

fn record_of(write: impl FnOnce(&mut Chain<'_>, EncodeRules<'_>, &mut Redactions)) -> Vec<u8> {
    let ring = RING.with(std::sync::Arc::clone);
    let mut chain = ring.begin_chain(LIMIT, OnFull::Evict).expect("a buffer");
    let (sanitizer, user_names) = sanitizer_and_names();
    let rules =
        EncodeRules { sanitizer: &sanitizer, user_names: &user_names, include_snapshots: true };
    write(&mut chain, rules, &mut Redactions::default());
    chain.to_vec()
}

fn encode(event: &AuditEvent<'_>, head: &EventHead) -> Vec<u8> {
    record_of(|chain, rules, counts| {
        let encoded = encode_event(event, head, chain, rules, counts);
        encoded.expect("the queue has enough memory");
    })
}

fn line(record: &[u8]) -> Value {
    let mut line = Vec::new();
    let record = decode_record(record).expect("a record");
    jsonl::write_event_line(&mut line, 1, &record);
    serde_json::from_slice(&line).expect("a line")
}

#[test]
fn a_marked_record_loses_its_content_and_nothing_else() {
    let error = ErrorDetail::new("late", "not yet");
    let long = "a text of several blocks, with ana@example.com in it; ".repeat(100);
    let data = json!({"first": 1, "prompt": [long, {"x": null}], "last": {"prompt": true}});
    let bare = json!({"first": 1, "last": {"prompt": true}});
    for event_type in [EventType::LlmInvoke, EventType::Custom("my.type")] {
        for error in [None, Some(&error)] {
            let plain = AuditEvent::new(event_type, "a", "b").latency_ms(1.5).cost_usd(0.25);
            let plain = error.map_or(plain, |error| plain.error(error));
            let event = plain.data(&data).content(&["prompt", "completion"]);
            let marked = encode(&event, &MARKED);
            assert!(decode_head(&marked).unwrap().has_content);
            assert_eq!(line(&marked), line(&encode(&event, &HEAD)), "the mark is not in the line");
            let stripped = without_content(&marked).unwrap();
            assert_eq!(stripped, encode(&plain.data(&bare), &HEAD));
            assert_eq!(without_content(&stripped).unwrap(), stripped);
        }
    }
}

#[test]
fn what_an_event_is_counted_by_stays_without_its_content() {
    let event = AuditEvent::new(EventType::LlmInvoke, "a", "b").content(&["prompt"]);
    let event = event.model("gpt-4o").user("u-1");
    for (data, bare) in [
        (json!({"prompt": "why"}), json!({"model": "gpt-4o", "user": "u-1"})),
        (
            json!({"prompt": "why", "user": "u-2", "x": [1]}),
            json!({"user": "u-2", "x": [1], "model": "gpt-4o"}),
        ),
    ] {
        let stripped = without_content(&encode(&event.data(&data), &MARKED)).unwrap();
        assert_eq!(line(&stripped)["data"], bare);
        assert!(!String::from_utf8_lossy(&stripped).contains("why"));
    }
    let data = json!({"prompt": "why", "model": "m"});
    let event = AuditEvent::new(EventType::LlmInvoke, "a", "b").content(&["prompt", "model"]);
    let stripped = without_content(&encode(&event.model("gpt-4o").data(&data), &MARKED)).unwrap();
    assert_eq!(line(&stripped)["data"], Value::Null, "nothing is left");
}

#[test]
fn what_is_no_object_of_content_stays() {
    let event = AuditEvent::new(EventType::LlmInvoke, "a", "b").content(&["prompt"]);
    for (data, bare) in [
        (json!({"prompt": "why"}), Value::Null),
        (json!({}), Value::Null),
        (json!({"prompts": "why"}), json!({"prompts": "why"})),
        (json!("prompt"), json!({"value": "prompt"})),
        (json!(["prompt", 1]), json!({"value": ["prompt", 1]})),
    ] {
        let stripped = without_content(&encode(&event.data(&data), &MARKED)).unwrap();
        assert_eq!(line(&stripped)["data"], bare, "{data}");
    }
    let stripped = without_content(&encode(&event, &MARKED)).unwrap();
    assert_eq!(stripped, encode(&event, &HEAD), "an event without data");
    // Without room there is no content.
    let head = record_of(|chain, rules, counts| {
        let data = json!({"prompt": "why"});
        let event = event.data(&data);
        encode_event_head(&event, &MARKED, chain, rules, counts).expect("the head fits");
    });
    assert!(!decode_head(&head).unwrap().has_content);
    assert_eq!(line(&head)["data"], json!({"value": "[NO_ROOM]"}));
}

#[test]
fn the_snapshot_of_an_error_is_content() {
    let (snapshot, environment) = (json!({"q": "why"}), json!({"model": "m"}));
    let own = ErrorDetail::new("late", "not yet").environment(&environment);
    let object = json!({"type": "late", "input_snapshot": snapshot, "x": {"input_snapshot": 1}});
    let bare_object = json!({"type": "late", "x": {"input_snapshot": 1}});
    let text = json!("late");
    for (error, bare) in [
        (own.clone().input_snapshot(&snapshot), own),
        (ErrorDetail::from_object(&object), ErrorDetail::from_object(&bare_object)),
        (ErrorDetail::from_object(&text), ErrorDetail::from_object(&text)),
    ] {
        let event = AuditEvent::new(EventType::ToolCall, "a", "b").data(&environment);
        let event = event.status(crate::Status::Retry);
        let marked = encode(&event.error(&error), &MARKED);
        assert_eq!(without_content(&marked).unwrap(), encode(&event.error(&bare), &HEAD));
    }
}

#[test]
fn a_name_that_redaction_changes_is_content_too() {
    let names = ["mail of bob@example.com"];
    let event = AuditEvent::new(EventType::LlmInvoke, "a", "b").content(&names);
    let data = json!({
        "mail of ana@example.com": 1, "mail of bob@example.com": "why", "mail": 2, "x": "bob@example.com"
    });
    let marked = encode(&event.data(&data), &MARKED);
    assert!(!String::from_utf8_lossy(&marked).contains("bob@"), "the queue has no such text");
    assert_eq!(line(&marked)["data"]["mail of [REDACTED_email_2]"], "why");
    let stripped = without_content(&marked).unwrap();
    // Which of the two was meant is not known.
    assert_eq!(line(&stripped)["data"], json!({"mail": 2, "x": "[REDACTED_email]"}));
    let count = |head| {
        let mut redactions = Redactions::default();
        record_of(|chain, rules, counts| {
            encode_event(&event.data(&data), head, chain, rules, counts).expect("enough memory");
            redactions = counts.clone();
        });
        redactions.total()
    };
    assert_eq!(count(&MARKED), count(&HEAD));
}

#[test]
fn a_record_that_is_cut_short_keeps_no_content() {
    let data = json!({"prompt": ["why"], "model": "m"});
    let event = AuditEvent::new(EventType::LlmInvoke, "a", "b").data(&data).content(&["prompt"]);
    let record = encode(&event, &MARKED);
    for length in 0..record.len() {
        let stripped = without_content(&record[..length]).unwrap_or_default();
        assert!(!stripped.windows(3).any(|text| text == b"why"), "{length}");
    }
}
