//! Events that are too long: what is cut and where, and that no secret shows at the cut.

use serde_json::json;

use super::{HEAD, event, record_within};
use crate::record::decode::decode_record;
use crate::record::encode::{NoMemory, encode_event, encode_event_head};
use crate::record::event::{AuditEvent, ErrorDetail, EventType};
use crate::ring::{Chain, OnFull, Ring};
use crate::sanitize::{Kind, Redactions, Sanitizer};

const SMALL: usize = 4096;

/// Returns what is kept of a cut string, and the number of missing bytes that it reports.
fn cut_of(text: &str) -> Option<(&str, usize)> {
    let (kept, rest) = text.rsplit_once("[TRUNCATED:")?;
    Some((kept, rest.strip_suffix(']')?.parse().ok()?))
}

#[test]
fn the_longest_strings_are_cut_first() {
    let (long, short) = ("x".repeat(5000), "y".repeat(900));
    let payload = json!({ "long": long, "short": short, "n": 1 });
    let recorded = record_within(&event().data(&payload), SMALL, true);
    let data = &recorded.json()["data"];
    assert!(recorded.outcome.truncated && !recorded.outcome.unserializable);
    assert!(recorded.bytes <= SMALL);
    assert_eq!(data["short"], short);
    assert_eq!(data["n"], 1);
    let (kept, missing) = cut_of(data["long"].as_str().expect("text")).expect("a cut");
    assert_eq!(kept.len() + missing, long.len());
    assert_eq!(kept.len(), SMALL / 4);

    let whole = record_within(&event().data(&payload), 8192, true);
    assert_eq!(whole.json()["data"], payload);
    assert!(!whole.outcome.truncated);
}

#[test]
fn a_cut_shows_no_part_of_a_match_or_a_character() {
    let mail = "ann@example.org";
    // The match, or the character, is at every place around each cap.
    for shift in 1000..1064 {
        let text = format!("{} {mail} é{}", "x".repeat(shift), "é".repeat(5000));
        let recorded = record_within(&event().data(&text), SMALL, true);
        let json = recorded.json();
        let (kept, missing) = cut_of(json["data"]["value"].as_str().expect("text")).expect("a cut");
        assert!(!kept.contains("ann") && !kept.contains('@'), "{shift}: {kept}");
        let shown = kept.replace("[REDACTED_email]", mail);
        assert!(text.starts_with(&shown), "{shift}: {kept}");
        assert_eq!(shown.len() + missing, text.len(), "{shift}");
        assert_eq!(recorded.counts.get(Kind::Email), u64::from(shown.contains('@')), "{shift}");
    }
}

#[test]
fn a_cut_makes_no_match() {
    // Forty digits are not a card number. If a cut leaves sixteen of them, those are.
    let mut cards = 0;
    for shift in 0..200 {
        let text = format!("{} {}{}", "x".repeat(3600 + shift), "4".repeat(40), "é".repeat(2000));
        let recorded = record_within(&event().data(&text), SMALL, true);
        let json = recorded.json();
        let (kept, missing) = cut_of(json["data"]["value"].as_str().expect("text")).expect("a cut");
        let shown = kept.replace("[REDACTED_card]", "4444444444444444");
        assert!(text.starts_with(&shown), "{shift}");
        assert_eq!(shown.len() + missing, text.len(), "{shift}");
        assert!(!kept.ends_with(&format!(" {}", "4".repeat(16))), "{shift}: {kept}");
        cards += recorded.counts.get(Kind::Card);
    }
    assert_eq!(cards, 1);
}

#[test]
fn what_no_cut_makes_fit_gives_way_whole() {
    let many: Vec<u32> = (0..5000).collect();
    let text = "z".repeat(9000);
    let (good, keys) = (json!({ "a": 1 }), json!({ "k".repeat(5000): 1 }));
    let detail = ErrorDetail::new(text.as_str(), text.as_str())
        .traceback(text.as_str())
        .input_snapshot(&keys)
        .environment(&good);
    let recorded = record_within(&event().data(&many).error(&detail), SMALL, true);
    let line = recorded.json();
    assert!(recorded.bytes <= SMALL && recorded.outcome.truncated);
    let (kept, reached) = cut_of(line["data"]["value"].as_str().expect("text")).expect("a cut");
    assert!(kept.is_empty() && reached > 1000, "{reached}");
    let error = &line["error"];
    assert!(cut_of(error["input_snapshot"]["value"].as_str().expect("text")).is_some());
    assert_eq!(error["environment"], good);
    let kept = |name: &str| cut_of(error[name].as_str().expect("text")).expect("a cut").0.len();
    assert_eq!((kept("type"), kept("message"), kept("traceback")), (256, 64, 64));

    let given = ErrorDetail::from_object(&many);
    let recorded = record_within(&event().data(&good).error(&given), SMALL, true);
    assert!(cut_of(recorded.json()["error"]["value"].as_str().expect("text")).is_some());
    assert_eq!(recorded.json()["data"], good);
}

#[test]
fn an_event_that_barely_fits_is_never_torn() {
    // Numbers cannot be cut. So at every size the line has the payload or its placeholder.
    for count in (500..1400).chain(1900..2000) {
        let payload = vec![true; count];
        let detail = ErrorDetail::new("E", "m").input_snapshot(&payload).environment(&payload);
        let recorded = record_within(&event().data(&payload).error(&detail), SMALL, true);
        let line = recorded.json();
        let whole = json!({ "value": payload });
        let places =
            [&line["data"], &line["error"]["input_snapshot"], &line["error"]["environment"]];
        for value in places {
            let text = value["value"].as_str().unwrap_or_default();
            assert!(*value == whole || cut_of(text).is_some(), "{count}: {}", recorded.line);
        }
        assert!(recorded.bytes <= SMALL);
    }
}

#[test]
fn names_have_a_limit_of_their_own() {
    let long = format!("{} ann@example.org", "n".repeat(300));
    let event = AuditEvent::new(EventType::ToolCall, &long, &long[200..]);
    let recorded = record_within(&event, super::LIMIT, true);
    let line = recorded.json();
    assert_eq!(cut_of(line["agent"].as_str().expect("text")), Some((&long[..256], 60)));
    assert_eq!(line["action"], format!("{} [REDACTED_email]", "n".repeat(100)));
    assert!(recorded.outcome.truncated);
}

#[test]
fn a_head_alone_fits_in_a_block() {
    let (name, payload) = ("@x.org ".repeat(100), json!({ "a": 1 }));
    let type_name = "t".repeat(500);
    let detail = ErrorDetail::new("E", "m");
    let full =
        AuditEvent::new(EventType::Custom(&type_name), &name, &name).data(&payload).error(&detail);
    let bare = AuditEvent::new(EventType::ToolCall, "a", "b");
    for (event, payloads) in [(full, 2), (bare, 0)] {
        let mut chain = Chain::for_tests(1024);
        let mut counts = Redactions::default();
        let sanitizer = Sanitizer::default();
        let outcome = encode_event_head(&event, HEAD, &mut chain, &sanitizer, &mut counts);
        assert!(outcome.expect("room").truncated);
        let bytes = chain.to_vec();
        let record = decode_record(&bytes).expect("a record");
        let mut line = Vec::new();
        crate::writer::jsonl::write_event_line(&mut line, "0123456789abcdef", 1, &record);
        let line: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        let places = [&line["data"], &line["error"]];
        let held = places.into_iter().filter(|value| value["value"] == "[NO_ROOM]").count();
        assert_eq!(held, payloads);
    }
}

#[test]
fn a_chain_without_room_is_left_as_it_was() {
    let mut chain = Chain::for_tests(100);
    chain.put(b"before").expect("room");
    let mut counts = Redactions::default();
    let event = AuditEvent::new(EventType::ToolCall, "ann@example.org", "bob@example.org");
    let sanitizer = Sanitizer::default();
    assert!(encode_event_head(&event, HEAD, &mut chain, &sanitizer, &mut counts).is_err());
    assert_eq!(chain.to_vec(), b"before");
    assert_eq!(counts.get(Kind::Email), 0);
}

#[test]
fn without_memory_the_head_is_left() {
    let ring = Ring::new(64, 16 * 1024);
    let mut chain = ring.begin_chain(super::LIMIT, OnFull::Evict).expect("a new ring has buffers");
    let (mut counts, sanitizer) = (Redactions::default(), Sanitizer::default());
    let payload = "ann@example.org ".repeat(5000);
    let event = event().data(&payload);
    let encoded = encode_event(&event, HEAD, &mut chain, &sanitizer, true, &mut counts);
    assert_eq!(encoded, Err(NoMemory));
    assert_eq!((chain.len(), counts.get(Kind::Email)), (0, 0));
    encode_event_head(&event, HEAD, &mut chain, &sanitizer, &mut counts).expect("a block");
    assert!(decode_record(&chain.to_vec()).is_ok());
}
