//! The rendering and the redaction of each kind of value.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::{data, event, record, record_within};
use crate::record::event::{AuditEvent, ErrorDetail, EventType};
use crate::sanitize::Kind;

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(u8);

#[derive(Serialize)]
struct Pair(u8, &'static str);

#[derive(Serialize)]
struct Named {
    count: u8,
    nothing: Option<u8>,
}

#[derive(Serialize)]
enum Variant {
    Plain,
    One(u8),
    Two(u8, u8),
    Fields { a: u8 },
    Password(&'static str),
    Secret(u8, u8),
    Cookie { a: u8 },
}

struct Bytes;

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&[1, 2, 3])
    }
}

/// Serializes through `Display`, as times and addresses do.
struct Shown(String);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[test]
fn each_kind_of_value_has_its_rendering() {
    let cases: &[(&dyn Fn() -> String, &str)] = &[
        (&|| data(&[(); 0]), "[]"),
        (&|| data(&()), "null"),
        (&|| data(&Unit), "null"),
        (&|| data(&None::<u8>), "null"),
        (&|| data(&Some(Some(1))), "1"),
        (&|| data(&Newtype(1)), "1"),
        (&|| data(&Pair(1, "x")), r#"[1,"x"]"#),
        (&|| data(&true), "true"),
        (&|| data(&false), "false"),
        (&|| data(&'é'), r#""é""#),
        (&|| data(&""), r#""""#),
        (
            &|| data(&"\u{0}\u{1f}\"\\\u{7f}\u{2028}\n"),
            "\"\\u0000\\u001f\\\"\\\\\u{7f}\u{2028}\\n\"",
        ),
        (&|| data(&i64::MIN), "-9223372036854775808"),
        (&|| data(&-1_i8), "-1"),
        (&|| data(&u64::MAX), "18446744073709551615"),
        (&|| data(&i128::from(i64::MIN)), "-9223372036854775808"),
        (&|| data(&u128::from(u64::MAX)), "18446744073709551615"),
        (&|| data(&i128::MIN), r#""-170141183460469231731687303715884105728""#),
        (&|| data(&u128::MAX), r#""340282366920938463463374607431768211455""#),
        (&|| data(&0.1_f32), "0.1"),
        (&|| data(&f32::MAX), "3.4028235e38"),
        (&|| data(&0.1_f64), "0.1"),
        (&|| data(&-0.0_f64), "-0.0"),
        (&|| data(&f64::NAN), r#""NaN""#),
        (&|| data(&f32::INFINITY), r#""Infinity""#),
        (&|| data(&f64::NEG_INFINITY), r#""-Infinity""#),
        (&|| data(&Bytes), r#""[BYTES:3]""#),
        (&|| data(&Shown("short".into())), r#""short""#),
        (&|| data(&Variant::Plain), r#""Plain""#),
    ];
    for (index, (rendered, expected)) in cases.iter().enumerate() {
        assert_eq!(rendered(), format!(r#"{{"value":{expected}}}"#), "case {index}");
    }
    let objects: &[(&dyn Fn() -> String, &str)] = &[
        (&|| data(&json!({})), "{}"),
        (&|| data(&Named { count: 1, nothing: None }), r#"{"count":1,"nothing":null}"#),
        (&|| data(&Variant::One(1)), r#"{"One":1}"#),
        (&|| data(&Variant::Two(1, 2)), r#"{"Two":[1,2]}"#),
        (&|| data(&Variant::Fields { a: 1 }), r#"{"Fields":{"a":1}}"#),
    ];
    for (index, (rendered, expected)) in objects.iter().enumerate() {
        assert_eq!(rendered(), *expected, "object {index}");
    }
}

#[test]
fn long_displayed_text_is_whole() {
    let long = "0123456789 ".repeat(30);
    assert_eq!(data(&Shown(long.clone())), json!({ "value": long }).to_string());
}

#[test]
fn every_string_is_redacted() {
    let mail = "ann@example.org";
    assert_eq!(data(&mail), r#"{"value":"[REDACTED_email]"}"#);
    assert_eq!(
        data(&json!({ "a": format!("to {mail}, {mail}!") })),
        r#"{"a":"to [REDACTED_email], [REDACTED_email]!"}"#
    );
    assert_eq!(data(&Shown(mail.into())), r#"{"value":"[REDACTED_email]"}"#);
    assert_eq!(
        data(&json!({ "ann@example.org": 1, "bob@example.org": 2 })),
        r#"{"[REDACTED_email]":1,"[REDACTED_email_2]":2}"#
    );
    let detail = ErrorDetail::new(mail, mail).traceback(mail).environment(&mail);
    let event = AuditEvent::new(EventType::LlmError, mail, mail).error(&detail);
    let recorded = record(&event);
    assert!(!recorded.line.contains('@'), "{}", recorded.line);
    assert_eq!(recorded.counts.get(Kind::Email), 6);
}

#[test]
fn long_keys_keep_their_text() {
    for len in 55..70 {
        let key = "k".repeat(len);
        let mixed = format!("{key} ann@example.org");
        let payload = BTreeMap::from([(key.clone(), 1), (mixed, 2)]);
        assert_eq!(data(&payload), format!(r#"{{"{key}":1,"{key} [REDACTED_email]":2}}"#));
    }
}

/// Counts how many of its parts were read.
struct Watched<'a>(&'a Cell<u32>);

impl Serialize for Watched<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(2))?;
        for _ in 0..2 {
            self.0.set(self.0.get() + 1);
            list.serialize_element("hunter2")?;
        }
        list.end()
    }
}

#[test]
fn the_value_of_a_sensitive_key_is_replaced() {
    let replaced =
        [json!("hunter2"), json!(7), json!(-7), json!(["hunter2"]), json!({ "inner": "hunter2" })];
    for value in replaced {
        let text = data(&json!({ "a": 1, "Password": value, "z": 2 }));
        assert_eq!(text, r#"{"Password":"[REDACTED]","a":1,"z":2}"#, "{value}");
    }
    for value in [json!(null), json!(true), json!(false), json!(1.5), json!([]), json!("")] {
        assert_eq!(data(&json!({ "secret": value })), json!({ "secret": value }).to_string());
    }
    assert_eq!(data(&Variant::Password("hunter2")), r#"{"Password":"[REDACTED]"}"#);
    assert_eq!(data(&Variant::Secret(1, 2)), r#"{"Secret":"[REDACTED]"}"#);
    assert_eq!(data(&Variant::Cookie { a: 1 }), r#"{"Cookie":"[REDACTED]"}"#);

    let looks = Cell::new(0);
    let payload = BTreeMap::from([("token", Some(Watched(&looks)))]);
    let recorded = record(&event().data(&payload));
    assert_eq!(recorded.member("data"), r#"{"token":"[REDACTED]"}"#);
    // One look tells that the list is not empty.
    assert_eq!(looks.get(), 1);
    assert_eq!(recorded.counts.get(Kind::Key), 1);
}

#[test]
fn below_logprobs_a_token_is_a_word() {
    let payload = json!({
        "logprobs": { "content": [{ "token": "Hi", "top_logprobs": [{ "token": "Ho" }] }] },
        "token": "t0k3n",
    });
    let text = data(&payload);
    assert!(text.contains(r#""token":"Hi""#) && text.contains(r#""token":"Ho""#), "{text}");
    assert!(text.contains(r#""token":"[REDACTED]""#) && !text.contains("t0k3n"), "{text}");
    let text = data(&json!({ "logprobs": { "password": "x" } }));
    assert_eq!(text, r#"{"logprobs":{"password":"[REDACTED]"}}"#);
}

/// Keys of every kind, in order.
struct Keys;

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("text", &0)?;
        map.serialize_entry(&'c', &1)?;
        map.serialize_entry(&-5_i64, &2)?;
        map.serialize_entry(&u128::MAX, &3)?;
        map.serialize_entry(&1.0_f64, &4)?;
        map.serialize_entry(&f64::NAN, &5)?;
        map.serialize_entry(&0.1_f32, &6)?;
        map.serialize_entry(&true, &7)?;
        map.serialize_entry(&Variant::Plain, &8)?;
        map.serialize_entry(&Newtype(9), &9)?;
        map.serialize_entry(&Shown("shown".into()), &10)?;
        map.serialize_entry(&(1, 2), &11)?;
        map.serialize_entry(&(), &12)?;
        map.serialize_entry(&None::<u8>, &13)?;
        map.serialize_entry(&Variant::One(1), &14)?;
        map.serialize_entry(&Bytes, &15)?;
        map.serialize_entry(&Variant::Fields { a: 1 }, &16)?;
        map.serialize_entry(&Shown("api_key".into()), &17)?;
        map.end()
    }
}

#[test]
fn every_key_becomes_a_string() {
    let expected = concat!(
        r#"{"text":0,"c":1,"-5":2,"340282366920938463463374607431768211455":3,"1.0":4,"NaN":5,"#,
        r#""0.1":6,"true":7,"Plain":8,"9":9,"shown":10,"[KEY_1]":11,"[KEY_2]":12,"[KEY_3]":13,"#,
        r#""[KEY_4]":14,"[KEY_5]":15,"[KEY_6]":16,"api_key":"[REDACTED]"}"#
    );
    assert_eq!(data(&Keys), expected);
}

/// This many lists inside each other. It panics if it is read one level deeper.
struct Nested(usize);

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 > 0, "read below what was too deep");
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element(&Nested(self.0 - 1))?;
        list.end()
    }
}

#[derive(Serialize)]
enum Chained {
    End,
    Next(Box<Self>),
    Listed(Box<Self>, u8),
    Held { inner: Box<Self> },
}

#[test]
fn what_is_too_deep_is_not_read() {
    let text = data(&Nested(127));
    let expected = format!("{}\"[TOO_DEEP]\"{}", "[".repeat(126), "]".repeat(126));
    assert_eq!(text, format!(r#"{{"value":{expected}}}"#));

    let chain = |levels, next: fn(Box<Chained>) -> Chained| {
        data(&(0..levels).fold(Chained::End, |inner, _| next(Box::new(inner))))
    };
    assert!(chain(126, Chained::Next).contains("End"));
    assert!(chain(127, Chained::Next).contains("[TOO_DEEP]"));
    // Each step is two containers.
    let listed = |inner| Chained::Listed(inner, 0);
    assert!(chain(63, listed).contains("End"));
    assert!(chain(64, listed).contains("[TOO_DEEP]"));
    let held = |inner| Chained::Held { inner };
    assert!(chain(63, held).contains("End"));
    assert!(chain(64, held).contains("[TOO_DEEP]"));
    let odd = data(&[chain_of(64, held)]);
    assert!(odd.contains(r#"{"Held":"[TOO_DEEP]"}"#), "{odd}");

    // Neither a `Some` nor a newtype is a container.
    #[derive(Serialize)]
    struct Link(Option<Box<Self>>);
    let linked = |levels| (0..levels).fold(Link(None), |inner, _| Link(Some(Box::new(inner))));
    assert_eq!(data(&linked(62)), r#"{"value":null}"#);
    assert_eq!(data(&linked(63)), r#"{"value":"[TOO_DEEP]"}"#);
    assert_eq!(data(&BTreeMap::from([("password", linked(62))])), r#"{"password":null}"#);
    assert_eq!(data(&BTreeMap::from([("password", linked(63))])), r#"{"password":"[REDACTED]"}"#);

    // An error's members have their own levels: one object and one placeholder around them.
    let deep = Nested(127);
    let detail = ErrorDetail::new("E", "m").input_snapshot(&deep);
    assert!(record(&event().error(&detail)).line.contains("[TOO_DEEP]"));
}

fn chain_of(levels: usize, next: fn(Box<Chained>) -> Chained) -> Chained {
    (0..levels).fold(Chained::End, |inner, _| next(Box::new(inner)))
}

#[test]
fn an_error_has_its_members_in_order() {
    let (snapshot, environment) = (json!({ "a": 1 }), json!("text"));
    let detail = ErrorDetail::new("Timeout", "took too long")
        .environment(&environment)
        .input_snapshot(&snapshot)
        .recoverable(true)
        .traceback("at x");
    let event = event().error(&detail);
    assert_eq!(
        record(&event).member("error"),
        concat!(
            r#"{"type":"Timeout","message":"took too long","traceback":"at x","recoverable":true,"#,
            r#""input_snapshot":{"a":1},"environment":{"value":"text"}}"#
        )
    );
    let without = record_within(&event, super::LIMIT, false);
    assert!(!without.line.contains("input_snapshot"));
    assert!(without.line.contains(r#""environment":{"value":"text"}"#));
    assert_eq!(
        record(&super::event().error(&ErrorDetail::new("E", "m"))).member("error"),
        r#"{"type":"E","message":"m"}"#
    );
}

#[test]
fn an_error_may_be_given_whole() {
    let given = json!({ "input_snapshot": { "a": 1 }, "own": { "input_snapshot": 2 } });
    let cases = [
        (given.clone(), true, given.to_string()),
        (given, false, r#"{"own":{"input_snapshot":2}}"#.to_owned()),
        (json!("text"), true, r#"{"message":"text"}"#.to_owned()),
        (json!("ann@example.org"), true, r#"{"message":"[REDACTED_email]"}"#.to_owned()),
        (json!([1]), true, r#"{"value":[1]}"#.to_owned()),
        (json!(null), true, r#"{"value":null}"#.to_owned()),
    ];
    for (object, include_snapshots, expected) in cases {
        let detail = ErrorDetail::from_object(&object);
        let event = event().error(&detail).data(&object);
        let recorded = record_within(&event, super::LIMIT, include_snapshots);
        assert_eq!(recorded.member("error"), expected, "{object}");
        // Only the error has a snapshot that can be left out.
        assert_eq!(recorded.json()["data"].get("own"), object.get("own"), "{object}");
        assert_eq!(
            recorded.json()["data"].get("input_snapshot"),
            object.get("input_snapshot"),
            "{object}"
        );
    }
}

#[test]
fn an_impl_is_told_that_people_read_it() {
    struct Asks;
    impl Serialize for Asks {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let answer = serializer.is_human_readable();
            serializer.serialize_bool(answer)
        }
    }
    let payload = BTreeMap::from([("plain", Asks), ("password", Asks)]);
    assert_eq!(data(&payload), r#"{"password":true,"plain":true}"#);
}

#[test]
fn nothing_of_a_displayed_secret_is_formatted() {
    struct Never;
    impl fmt::Display for Never {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted")
        }
    }
    impl Serialize for Never {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }
    assert_eq!(data(&BTreeMap::from([("cookie", Never)])), r#"{"cookie":"[REDACTED]"}"#);
}

#[test]
fn users_with_personal_ids_stay_distinct() {
    let data = |user: &str| {
        let payload = json!({
            "user": user,
            "conversation": user,
            "other": user,
            "inner": { "user": user },
        });
        record(&event().data(&payload)).json()["data"].take()
    };
    let (ann, bob) = (data("ann@example.org"), data("bob@example.org"));
    // The key is that of these tests.
    assert_eq!(ann["user"], "u_b2eadfbaaca8f7b30b765633");
    assert_eq!(ann["conversation"], ann["user"]);
    assert_ne!(ann["user"], bob["user"]);
    for (data, at) in [(&ann, "/other"), (&bob, "/inner/user")] {
        assert_eq!(data.pointer(at).unwrap(), "[REDACTED_email]");
    }
    assert_eq!(data("u-1842")["user"], "u-1842");
}
