//! What an event is counted by is in its line, whatever its payload is.

use llm_audit_log::schema::AppendJson;
use serde::Serialize;
use serde_json::{Value, json};

use super::{LIMIT, encode, encode_head, event, line_of, record, record_within};
use crate::record::decode::decode_record;
use crate::record::event::{AuditEvent, ErrorDetail, EventType};
use crate::record::{COUNTED, MAP, PAYLOAD, STR};
use crate::ring::Chain;
use crate::sanitize::{Kind, Redactions};

/// The hash of `ann@example.org` under the key of the tests.
const ANN: &str = "u_b2eadfbaaca8f7b30b765633";

fn counted() -> AuditEvent<'static> {
    event().model("m-1").user("ann@example.org").tenant("acme")
}

fn data_with(payload: &impl Serialize) -> String {
    record(&counted().data(payload)).member("data").to_owned()
}

#[test]
fn members_that_the_payload_lacks_come_after_its_own() {
    let cases = [
        (json!({}), format!(r#"{{"model":"m-1","user":"{ANN}","tenant":"acme"}}"#)),
        (json!({"a": 1}), format!(r#"{{"a":1,"model":"m-1","user":"{ANN}","tenant":"acme"}}"#)),
        (
            json!({"user": "bob", "tenant": null}),
            r#"{"tenant":null,"user":"bob","model":"m-1"}"#.to_owned(),
        ),
        // Only the root's members count.
        (
            json!({"in": {"model": "m-2"}, "model": "m-3"}),
            format!(r#"{{"in":{{"model":"m-2"}},"model":"m-3","user":"{ANN}","tenant":"acme"}}"#),
        ),
        (json!([1]), format!(r#"{{"value":[1],"model":"m-1","user":"{ANN}","tenant":"acme"}}"#)),
        (json!("x"), format!(r#"{{"value":"x","model":"m-1","user":"{ANN}","tenant":"acme"}}"#)),
    ];
    for (payload, expected) in cases {
        assert_eq!(data_with(&payload), expected);
    }
    assert_eq!(record(&event().tenant("acme")).member("data"), r#"{"tenant":"acme"}"#);
    let (conversation, other) =
        (event().conversation("ann@example.org"), json!({"conversation": "c-2"}));
    let expected = format!(r#"{{"conversation":"{ANN}"}}"#);
    assert_eq!(record(&conversation).member("data"), expected);
    assert_eq!(record(&conversation.data(&other)).member("data"), r#"{"conversation":"c-2"}"#);
    assert_eq!(record(&event()).json()["data"], Value::Null);
}

/// The names are in their order, because a map of `serde_json` may be sorted.
#[derive(Serialize)]
struct Fields {
    #[serde(rename = "")]
    empty: u8,
    a_name_of_more_than_thirty_bytes_in_all: u8,
    conversation: &'static str,
    logprob: f64,
    model: &'static str,
    #[serde(rename = "of ann@example.org")]
    of_ann: u8,
    password: &'static str,
    seconds: f64,
    token: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    user: &'static str,
}

#[test]
fn fields_are_written_as_the_members_of_a_map_are_however_often() {
    let fields = |password| Fields {
        empty: 0,
        a_name_of_more_than_thirty_bytes_in_all: 1,
        conversation: "c-1",
        logprob: -0.25,
        model: "m-2",
        of_ann: 2,
        password,
        seconds: 0.5,
        token: " the",
        kind: "text",
        user: "ann@example.org",
    };
    for password in ["hunter2", "", "hunter2"] {
        let fields = fields(password);
        let expected = data_with(&serde_json::to_value(&fields).unwrap());
        assert!(!expected.contains("hunter2") && !expected.contains("@"), "{expected}");
        for _ in 0..3 {
            assert_eq!(data_with(&fields), expected);
        }
    }
}

#[test]
fn they_are_redacted_once() {
    let event = event().tenant("ann@example.org").model("bob@example.org");
    let recorded = record(&event.data(&json!({"tenant": "ann@example.org"})));
    let expected = r#"{"tenant":"[REDACTED_email]","model":"[REDACTED_email]"}"#;
    assert_eq!(recorded.member("data"), expected);
    assert_eq!(recorded.counts.get(Kind::Email), 2);
}

#[test]
fn a_payload_that_is_lost_does_not_take_them_along() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeMap};
            serializer.serialize_map(None)?.serialize_entry("user", "bob")?;
            Err(S::Error::custom("no"))
        }
    }
    let expected =
        format!(r#"{{"value":"[UNSERIALIZABLE]","model":"m-1","user":"{ANN}","tenant":"acme"}}"#);
    assert_eq!(data_with(&Fails), expected);
    let mut chain = Chain::for_tests(1024);
    let payload = json!({"user": "bob"});
    encode_head(&counted().data(&payload), &mut chain, &mut Redactions::default()).expect("room");
    let line: Value = serde_json::from_str(&line_of(&chain.to_vec())).expect("JSON");
    let expected = json!({"value": "[NO_ROOM]", "model": "m-1", "user": ANN, "tenant": "acme"});
    assert_eq!(line["data"], expected);
}

#[test]
fn they_stay_in_an_event_that_is_cut() {
    let long = "@x.org and more ".repeat(1000);
    let many: Vec<_> = (0..100).map(|n| (n.to_string(), &long)).collect();
    let payloads = [json!({ "a": long }), json!([long, long]), json!(many), json!({"user": long})];
    for payload in &payloads {
        let detail = ErrorDetail::new("E", &long).input_snapshot(payload).environment(payload);
        let type_name = "t".repeat(500);
        let event = AuditEvent::new(EventType::Custom(&type_name), &long, &long).data(payload);
        for (event, limit) in [(event, 4096), (event.error(&detail), 4096), (event, LIMIT)] {
            let event = event.model("m-1").user("ann@example.org").tenant(&long);
            let recorded = record_within(&event, limit, true);
            assert!(recorded.bytes <= limit, "{} of {limit}", recorded.bytes);
            let data = &recorded.json()["data"];
            let user = if payload["user"].is_null() { ANN } else { "@x.org" };
            assert!(data["user"].as_str().expect("a user").starts_with(user), "{data}");
            assert_eq!(data["model"], "m-1");
            assert!(data["tenant"].as_str().expect("a tenant").starts_with("@x.org and more"));
        }
    }
}

#[test]
fn a_record_that_nests_them_without_end_is_refused() {
    let mut chain = Chain::for_tests(1024);
    encode(&event().tenant("acme"), &mut chain, true, &mut Redactions::default()).expect("room");
    let record = chain.to_vec();
    let data = record.iter().rposition(|byte| *byte == COUNTED).expect("the tag");
    for nested in [&[COUNTED, STR, 1, b'a'][..], &[COUNTED, PAYLOAD, MAP, STR, 1, b'a']] {
        let malformed = [&record[..data], &nested.repeat(100_000)].concat();
        let data = decode_record(&malformed).expect("a head").data.expect("data");
        assert!(!data.append(&mut Vec::new()));
    }
}
