//! Events that are too long: what is cut and where, and that no secret shows at the cut.

use serde_json::{Value, json};

use super::{encode, encode_head, event, line_of, record, record_within};
use crate::record::decode::decode_record;
use crate::record::encode::NoMemory;
use crate::record::event::{AuditEvent, ErrorDetail, EventType};
use crate::ring::{Chain, OnFull, Ring};
use crate::sanitize::{Kind, Redactions};

const SMALL: usize = 4096;

/// Returns what is kept of a cut string, and the number of missing bytes that it reports.
fn cut_of(text: &str) -> Option<(&str, usize)> {
    let (kept, rest) = text.rsplit_once("[TRUNCATED:")?;
    Some((kept, rest.strip_suffix(']')?.parse().ok()?))
}

/// Returns how many elements are kept of a cut list that had `length`.
fn kept_of_list(list: &Value, length: usize) -> Option<usize> {
    let (note, kept) = list.as_array()?.split_last()?;
    let missing = note.as_str()?.strip_prefix("[TRUNCATED:")?.strip_suffix(" members]")?;
    assert_eq!(kept.len() + missing.parse::<usize>().ok()?, length);
    Some(kept.len())
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
    assert_eq!(kept.len(), SMALL / 2);

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
    // The list is the last payload, and keeps what the others leave.
    let kept = kept_of_list(&line["data"]["value"], many.len()).expect("a cut list");
    assert!(kept > 100, "{kept}");
    let error = &line["error"];
    assert!(cut_of(error["input_snapshot"]["value"].as_str().expect("text")).is_some());
    assert_eq!(error["environment"], good);
    let kept = |name: &str| cut_of(error[name].as_str().expect("text")).expect("a cut").0.len();
    assert_eq!((kept("type"), kept("message"), kept("traceback")), (256, 64, 64));

    let given = ErrorDetail::from_object(&many);
    let recorded = record_within(&event().data(&good).error(&given), SMALL, true);
    assert!(kept_of_list(&recorded.json()["error"]["value"], many.len()).is_some());
    assert_eq!(recorded.json()["data"], good);
}

/// A search that failed has its query, though its embedding is too long, and so has a completion
/// with the alternatives of each token.
#[test]
fn a_long_list_is_cut_and_what_is_beside_it_stays() {
    let embedding = vec![0.123_456_789; 100_000];
    let search = json!({"query": "what is my plan", "embedding": embedding, "limit": 3});
    let token = json!({"token": "tok", "logprob": -0.5, "top": vec![json!({"token": "alt"}); 20]});
    let choice =
        json!({"logprobs": {"content": vec![token; 2000]}, "message": {"content": "hello"}});
    let completion = json!({"model": "m", "completion": {"choices": [choice]}, "prompt": "short"});
    let turns: Vec<_> = (0..60_000).map(|n| format!("turn {n}")).collect();
    let talk = json!({"model": "m", "prompt": turns, "temperature": 0.5});
    let keys: serde_json::Map<_, _> = (0..30_000).map(|n| (format!("key {n}"), n.into())).collect();
    let keyed = json!({"arguments": keys, "tool": "t"});

    let data = |payload| record(&event().data(payload)).json()["data"].clone();
    let recorded = data(&search);
    assert_eq!((&recorded["query"], &recorded["limit"]), (&search["query"], &search["limit"]));
    assert!(kept_of_list(&recorded["embedding"], 100_000).is_some_and(|kept| kept > 5_000));
    let recorded = data(&completion);
    assert_eq!((&recorded["model"], &recorded["prompt"]), (&json!("m"), &json!("short")));
    let choice = &recorded["completion"]["choices"][0];
    assert_eq!(choice["message"]["content"], "hello");
    assert!(kept_of_list(&choice["logprobs"]["content"], 2000).is_some_and(|kept| kept > 500));
    let recorded = data(&talk);
    assert_eq!((&recorded["model"], &recorded["temperature"]), (&json!("m"), &json!(0.5)));
    assert!(kept_of_list(&recorded["prompt"], 60_000).is_some_and(|kept| kept > 2_000));
    let recorded = data(&keyed);
    assert_eq!(recorded["tool"], "t");
    let arguments = recorded["arguments"].as_object().expect("an object");
    let missing = arguments["[TRUNCATED]"].as_u64().expect("a number");
    assert_eq!(arguments.len() as u64 - 1 + missing, 30_000);
}

/// A single value that is too large takes most of the limit, wherever it is.
#[test]
fn of_one_large_member_is_kept_as_much_as_fits() {
    let token = json!({"token": "tok", "logprob": -0.5, "top": vec![json!({"token": "alt"}); 20]});
    let tokens = vec![token; 2000];
    let choices = json!([{"index": 0, "logprobs": {"content": tokens}, "message": "hello"}]);
    let numbers: Vec<u32> = (0..200_000).collect();
    let words: Vec<_> = (0..60_000).map(|n| format!("word {n}")).collect();
    let payloads = [
        json!({"id": "1", "choices": choices, "model": "m", "prompt": "p".repeat(5_000)}),
        json!({"id": "1", "numbers": numbers, "model": "m", "prompt": "p".repeat(5_000)}),
        json!({"id": "1", "words": words, "model": "m", "prompt": "p".repeat(5_000)}),
        json!({"id": "1", "text": "t".repeat(400_000), "model": "m", "prompt": "p".repeat(5_000)}),
        json!({"id": "1", "model": "m", "prompt": "p".repeat(100_000), "text": "t".repeat(400_000)}),
    ];
    for payload in &payloads {
        let recorded = record(&event().data(payload));
        assert!(recorded.outcome.truncated && recorded.bytes <= super::LIMIT);
        let kept = recorded.bytes * 100 / super::LIMIT;
        assert!(kept >= 70, "{kept} %: {}", &recorded.line[..200]);
        let data = &recorded.json()["data"];
        assert_eq!((&data["model"], &data["prompt"]), (&payload["model"], &payload["prompt"]));
    }
}

/// A value of at most this many members or bytes, at random.
fn random_value(rng: &mut fastrand::Rng, size: usize, depth: usize) -> Value {
    let length = 1 << rng.u32(..=size.max(1).ilog2());
    match rng.u8(..if depth == 0 { 3 } else { 6 }) {
        0 => rng.u64(..).into(),
        1 => rng.f64().into(),
        2 => "é x".repeat(length / 3).into(),
        3 => (0..length / 8).map(|_| random_value(rng, 16, depth - 1)).collect(),
        _ => {
            let members = 1 + length / 64;
            let member = |n| (format!("k{n}"), random_value(rng, size / members, depth - 1));
            Value::Object((0..members).map(member).collect())
        }
    }
}

#[test]
fn every_short_member_of_a_large_payload_stays_and_what_is_missing_is_said() {
    const SHORT: usize = 1000;
    let mut rng = fastrand::Rng::with_seed(10);
    let mut cut = 0;
    for _ in 0..24 {
        let member = |n| (format!("m{n}"), random_value(&mut rng, 1 << 17, 3));
        let payload: serde_json::Map<_, _> = (0..40).map(member).collect();
        // As it is read back from a line, floats included.
        let payload: serde_json::Map<_, _> =
            serde_json::from_str(&json!(payload).to_string()).expect("JSON");
        let recorded = record(&event().data(&payload));
        assert!(recorded.bytes <= super::LIMIT);
        let line = recorded.json();
        assert_eq!(recorded.line.contains("[TRUNCATED"), recorded.outcome.truncated);
        cut += usize::from(recorded.outcome.truncated);
        for (name, value) in &payload {
            let kept = &line["data"][name];
            assert!(!kept.is_null(), "{name} is there");
            if value.to_string().len() < SHORT {
                assert_eq!(kept, value, "{name}");
            }
        }
    }
    assert!(cut > 8, "{cut}");
}

#[test]
fn an_event_that_barely_fits_is_never_torn() {
    // At every size the line has the payload, a part of it, or its placeholder.
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
            let is_cut = cut_of(text).is_some() || kept_of_list(&value["value"], count).is_some();
            assert!(*value == whole || is_cut, "{count}: {}", recorded.line);
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
    let counted = full.model(&name).user(&name).tenant(&name).conversation(&name);
    let bare = AuditEvent::new(EventType::ToolCall, "a", "b");
    for (event, payloads) in [(full, 2), (counted, 2), (bare, 0)] {
        let mut chain = Chain::for_tests(1024);
        let mut counts = Redactions::default();
        let outcome = encode_head(&event, &mut chain, &mut counts);
        assert!(outcome.expect("room").truncated);
        let line: Value = serde_json::from_str(&line_of(&chain.to_vec())).expect("JSON");
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
    assert!(encode_head(&event, &mut chain, &mut counts).is_err());
    assert_eq!(chain.to_vec(), b"before");
    assert_eq!(counts.get(Kind::Email), 0);
}

#[test]
fn without_memory_the_head_is_left() {
    let ring = Ring::new(64, 16 * 1024);
    let mut chain = ring.begin_chain(super::LIMIT, OnFull::Evict).expect("a new ring has buffers");
    let mut counts = Redactions::default();
    let payload = "ann@example.org ".repeat(5000);
    let event = event().data(&payload);
    let encoded = encode(&event, &mut chain, true, &mut counts);
    assert_eq!(encoded, Err(NoMemory));
    assert_eq!((chain.len(), counts.get(Kind::Email)), (0, 0));
    encode_head(&event, &mut chain, &mut counts).expect("a block");
    assert!(decode_record(&chain.to_vec()).is_ok());
}
