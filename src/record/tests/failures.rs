//! `Serialize` impls that fail, panic or break serde's rules, and bytes that are not records.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{Error, SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

use super::{data, encode, event, record, record_within};
use crate::record::decode::decode_record;
use crate::record::event::{AuditEvent, ErrorDetail};
use crate::record::{HEAD_BYTES, MAP, STR, flag};
use crate::ring::Chain;
use crate::sanitize::{Kind, Redactions};
use crate::writer::jsonl;

#[derive(Clone, Copy, Debug)]
enum Bad {
    Fails,
    Panics,
    FailsLate,
    PanicsLate,
    PanicsWithAPanic,
    DisplayFails,
    ValueWithoutKey,
    KeyWithoutValue,
    TwoKeys,
    KeyThenFailure,
    SwallowsAnError,
    SwallowsAValue,
    PanicsInAKey,
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("and again");
    }
}

/// A key that writes itself and then returns an error.
struct LateKey;

impl Serialize for LateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("late")?;
        Err(S::Error::custom("late"))
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

impl Serialize for Bad {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fill = "ann@example.org ".repeat(1000);
        match self {
            Self::Fails => Err(S::Error::custom("no")),
            Self::Panics => panic!("no"),
            Self::PanicsWithAPanic => std::panic::panic_any(Bomb),
            Self::DisplayFails => serializer.collect_str(self),
            Self::FailsLate | Self::PanicsLate => {
                let mut list = serializer.serialize_seq(None)?;
                for _ in 0..7 {
                    list.serialize_element(&fill)?;
                }
                assert!(!matches!(self, Self::PanicsLate), "late");
                Err(S::Error::custom("late"))
            }
            Self::SwallowsAnError => {
                let mut list = serializer.serialize_seq(None)?;
                let _ = list.serialize_element(&Self::FailsLate);
                list.serialize_element("goes on")?;
                list.end()
            }
            _ => {
                let mut map = serializer.serialize_map(Some(7))?;
                match self {
                    Self::ValueWithoutKey => map.serialize_value(&fill)?,
                    Self::KeyWithoutValue => map.serialize_key("a")?,
                    Self::TwoKeys => {
                        map.serialize_key("a")?;
                        map.serialize_key("b")?;
                        map.serialize_value(&1)?;
                    }
                    Self::SwallowsAValue => {
                        let _ = map.serialize_entry("a", &Self::Fails);
                        map.serialize_entry("b", &1)?;
                    }
                    Self::KeyThenFailure => map.serialize_entry(&LateKey, &1)?,
                    _ => map.serialize_entry(&Self::Panics, &1)?,
                }
                map.end()
            }
        }
    }
}

const ALL: [Bad; 13] = [
    Bad::Fails,
    Bad::Panics,
    Bad::FailsLate,
    Bad::PanicsLate,
    Bad::PanicsWithAPanic,
    Bad::DisplayFails,
    Bad::ValueWithoutKey,
    Bad::KeyWithoutValue,
    Bad::TwoKeys,
    Bad::KeyThenFailure,
    Bad::SwallowsAnError,
    Bad::SwallowsAValue,
    Bad::PanicsInAKey,
];

const UNSERIALIZABLE: &str = r#"{"value":"[UNSERIALIZABLE]"}"#;

#[test]
fn a_bad_impl_costs_its_payload_only() {
    for bad in ALL {
        let nested = BTreeMap::from([("a", vec![bad])]);
        let good = BTreeMap::from([("to", "bob@example.org")]);
        let detail = ErrorDetail::new("E", "m").input_snapshot(&nested).environment(&good);
        let recorded = record(&event().data(&bad).error(&detail));
        let line = recorded.json();
        assert!(recorded.outcome.unserializable, "{bad:?}");
        assert_eq!(line["data"].to_string(), UNSERIALIZABLE, "{bad:?}");
        assert_eq!(line["error"]["input_snapshot"].to_string(), UNSERIALIZABLE, "{bad:?}");
        assert_eq!(line["error"]["environment"]["to"], "[REDACTED_email]", "{bad:?}");
        // What was discarded is not counted.
        assert_eq!(recorded.counts.get(Kind::Email), 1, "{bad:?}");

        let given = ErrorDetail::from_object(&bad);
        assert_eq!(record(&event().error(&given)).member("error"), UNSERIALIZABLE, "{bad:?}");
    }
}

#[test]
fn a_bad_impl_that_is_also_too_long_ends_too() {
    for bad in ALL {
        let recorded = record_within(&event().data(&bad), 4096, true);
        let value = recorded.json()["data"]["value"].as_str().map(str::to_owned);
        assert!(value.is_some_and(|value| value.starts_with('[')), "{}", recorded.line);
    }
}

#[test]
fn below_a_sensitive_key_nothing_can_fail() {
    for bad in [Bad::Fails, Bad::FailsLate, Bad::DisplayFails, Bad::TwoKeys] {
        let text = data(&BTreeMap::from([("password", bad)]));
        assert_eq!(text, r#"{"password":"[REDACTED]"}"#, "{bad:?}");
    }
}

#[test]
fn a_wrong_length_does_no_harm() {
    struct Lies;
    impl Serialize for Lies {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_struct("Lies", usize::MAX)?;
            map.serialize_field("a", &[1])?;
            map.end()
        }
    }
    assert_eq!(data(&Lies), r#"{"a":[1]}"#);
}

#[test]
fn an_impl_may_record_an_event_itself() {
    struct Emits(Cell<usize>);
    impl Serialize for Emits {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = record(&event().data(&"ann@example.org"));
            self.0.set(inner.line.len());
            serializer.collect_str(inner.member("data"))
        }
    }
    let payload = Emits(Cell::new(0));
    let recorded = record(&event().data(&payload));
    let inner = r#"{"value":"[REDACTED_email]"}"#;
    assert_eq!(recorded.json()["data"]["value"], inner);
    assert!(payload.0.get() > 0);
    assert_eq!(recorded.counts.get(Kind::Email), 0);
}

/// Returns the bytes of a record that has every field.
fn sample() -> Vec<u8> {
    let payload = serde_json::json!({ "a": [1, -1, 1.5, null, true, "x", "ann@example.org"] });
    let detail = ErrorDetail::new("E", "m").input_snapshot(&payload);
    let event = AuditEvent::new(crate::EventType::Custom("a.b"), "agent", "bob@example.org")
        .data(&payload)
        .error(&detail)
        .latency_ms(1.0);
    let mut chain = Chain::for_tests(super::LIMIT);
    let mut counts = Redactions::default();
    encode(&event, &mut chain, true, &mut counts).expect("memory");
    chain.to_vec()
}

/// Checks that the line is whole whatever the bytes are.
fn check_any_bytes(bytes: &[u8]) {
    if let Ok(record) = decode_record(bytes) {
        let mut line = Vec::new();
        jsonl::write_event_line(&mut line, 1, &record);
        assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok(), "{bytes:?}");
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}

#[test]
fn any_bytes_are_a_line_or_no_record() {
    let sample = sample();
    for end in 0..sample.len() {
        check_any_bytes(&sample[..end]);
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let mut bytes = sample.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            // The decoder acts on tags, so half of the changes are tags.
            bytes[at] = if random.bool() { random.u8(..16) } else { random.u8(..) };
        }
        check_any_bytes(&bytes);
    }
}

#[test]
fn depth_is_bounded_whatever_the_bytes() {
    let mut start = vec![0; HEAD_BYTES];
    // An empty agent and action.
    start.extend([STR, 0, STR, 0]);
    for flags in [flag::DATA, flag::ERROR, flag::DATA | flag::ERROR] {
        start[2] = flags;
        for tag in 0..16 {
            let mut bytes = start.clone();
            bytes.resize(bytes.len() + 100_000, tag);
            check_any_bytes(&bytes);
        }
        // Nested objects need keys.
        check_any_bytes(&[start.clone(), [MAP, STR, 0].repeat(50_000)].concat());
    }
}
