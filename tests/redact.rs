//! Redaction of lines: it lets nothing through, leaves the rest alone, and changes nothing the second
//! time.

use std::borrow::Cow;

use llm_audit::Sanitizer;
use llm_audit::sanitize::LineKind::{Json, NotQuiteJson, Text};
use llm_audit::sanitize::{Kind, LineKind, Redactions};

fn redact(line: &str) -> (LineKind, String, Redactions) {
    let (mut out, mut counts) = (String::new(), Redactions::default());
    let kind = Sanitizer::default().redact_line(line, &mut out, &mut counts);
    (kind, out, counts)
}

/// The redacted line, after making sure that redacting it again changes and counts nothing.
fn redact_twice(line: &str) -> (LineKind, String) {
    let (kind, once, _) = redact(line);
    let (_, again, counts) = redact(&once);
    assert_eq!(again, once, "given {line:?}");
    assert_eq!(counts.total(), 0, "given {line:?}, then {once:?}");
    (kind, once)
}

#[test]
fn lines_become_what_they_should() {
    let unchanged = [
        (Text, ""),
        (Text, "  \t"),
        (Text, "no secret: 'password': hide, \"token\": x"),
        (Json, "{}"),
        (Json, " [ 1.50 , -0e+7, 12345678901234567890123 ,true ]\r"),
        (Json, r#"{"a":1,"a":"\u00e9\/","tokens":5,"password":null,"secret":true,"Cookie":false}"#),
        (Json, "\u{FEFF}[\"\u{2028}\"]"),
        (Json, r#"{"token":"[REDACTED]","k":"[REDACTED_email]"}"#),
        (Json, r#"{"logprobs":{"content":[{"token":"a","top_logprobs":[{"Token":"b"}]}]}}"#),
        (Json, r#"["password","hunter2"]"#),
        (NotQuiteJson, "{"),
        (NotQuiteJson, "[REDACTED]"),
        (NotQuiteJson, "[2024-01-01] INFO started"),
        (NotQuiteJson, r#"{"token": null, "secret": true , "cookie":false"#),
        (NotQuiteJson, r#"{"fields": ["name", "password", "token"],}"#),
        (NotQuiteJson, r#"{"password":"#),
        (NotQuiteJson, r#"{"password":"","secret":[],"token":{},"#),
        (NotQuiteJson, r#""a" "b""#),
        (Json, r#"{"SECRET":"","api_key": "" ,"token":[ ],"cookie":{ },"secret":0.25}"#),
        (Json, r#"{"a":"\ud83d","\udC00\ud83d":"\ud83d\n\ud83d\ude42"}"#),
    ];
    for (kind, line) in unchanged {
        assert_eq!(redact_twice(line), (kind, line.to_owned()));
    }
    let changed = [
        (Text, "to k@l.mn, now", "to [REDACTED_email], now"),
        (Text, "k@l.mn \"token\": \"hunter2\"", "[REDACTED_email] \"token\": \"[REDACTED]\""),
        (Json, r#""k@l.mn""#, r#""[REDACTED_email]""#),
        (Json, r#"["\u006b@l.mn\n\u00e9"]"#, r#"["[REDACTED_email]\n\u00e9"]"#),
        (Json, r#"["a\nk@l.mn"]"#, r#"["a\n[REDACTED_email]"]"#),
        (
            Json,
            r#"{"k@l.mn":1, "\u006b@l.mn":2}"#,
            r#"{"[REDACTED_email]":1, "[REDACTED_email_2]":2}"#,
        ),
        (
            Json,
            r#"{"passw\u006frd":{"a":[1,"x"]} ,"b":1}"#,
            r#"{"passw\u006frd":"[REDACTED]" ,"b":1}"#,
        ),
        (
            Json,
            r#"{"SECRET":5,"api_key":[""],"token":{"":{}}}"#,
            r#"{"SECRET":"[REDACTED]","api_key":"[REDACTED]","token":"[REDACTED]"}"#,
        ),
        (
            Json,
            r#"{"logprobs":{"secret":1},"token":1}"#,
            r#"{"logprobs":{"secret":"[REDACTED]"},"token":"[REDACTED]"}"#,
        ),
        (NotQuiteJson, r#"{"password": "hunter2",}"#, r#"{"password": "[REDACTED]",}"#),
        (NotQuiteJson, "{'password': 'hunter2'}", "{'password': '[REDACTED]'}"),
        (NotQuiteJson, "{u'token': u'it', 'a': 'b'}", "{u'token': \"[REDACTED]\""),
        (
            NotQuiteJson,
            r#"{"a": "it's", "token": "x'y",}"#,
            r#"{"a": "it's", "token": "[REDACTED]",}"#,
        ),
        (NotQuiteJson, r#"{"passw\u006frd" : "hunter2",}"#, r#"{"passw\u006frd" : "[REDACTED]",}"#),
        (
            Json,
            r#"{"a":"\ud800 k@l.mn\udc00","token":"x\ud800"}"#,
            r#"{"a":"\ud800 [REDACTED_email]\udc00","token":"[REDACTED]"}"#,
        ),
        (
            NotQuiteJson,
            r#"{"token": {"a": ["x, y}", {}]}, "n": 1"#,
            r#"{"token": "[REDACTED]", "n": 1"#,
        ),
        (NotQuiteJson, r#"{"token": {"a": ["x"}, "n": 1}"#, r#"{"token": "[REDACTED]""#),
        (NotQuiteJson, r#"{"token": hunter2, "n": 1}"#, r#"{"token": "[REDACTED]", "n": 1}"#),
        (NotQuiteJson, r#"{"token": "hunter2"#, r#"{"token": "[REDACTED]""#),
        (NotQuiteJson, r#"{"token": null x}"#, r#"{"token": "[REDACTED]""#),
        (NotQuiteJson, r#"{"token": "hun"ter,2"}"#, r#"{"token": "[REDACTED]""#),
        (NotQuiteJson, r#"{"token": /* a, b */ "hunter2"}"#, r#"{"token": "[REDACTED]""#),
        (NotQuiteJson, r#"{"token": ("a", "hunter2")}"#, r#"{"token": "[REDACTED]""#),
        (NotQuiteJson, r#"{"token"}: "hunter2"}"#, r#"{"token"}: "[REDACTED]"}"#),
        (
            NotQuiteJson,
            r#"{"a": "x"y", "token": "hunter2", "n": 1}"#,
            r#"{"a": "x"y", "token": "[REDACTED]", "n": 1}"#,
        ),
        (
            NotQuiteJson,
            r#"{"a": "{\"token\": \"hunter2\"}",}"#,
            r#"{"a": "{\"token\": "[REDACTED]""#,
        ),
        // Another language's quotes, and quotes that are missing, hide no name beside a value.
        (
            NotQuiteJson,
            r#"{'arguments': '{"name": "api_key", "value": "hunter2"}'}"#,
            r#"{'arguments': '{"name": "api_key", "value": "[REDACTED]"}'}"#,
        ),
        (
            NotQuiteJson,
            r#"{"a":it's,"headers":[["Cookie","hunter2"]],"b":1}"#,
            r#"{"a":it's,"headers":[["Cookie","[REDACTED]"]],"b":1}"#,
        ),
        (NotQuiteJson, r#"[['Cookie","hunter2"]]"#, r#"[['Cookie","[REDACTED]"]]"#),
        (
            Json,
            r#"[{"name":"[\"db\"].password","value":"hunter2"}]"#,
            r#"[{"name":"[\"db\"].password","value":"[REDACTED]"}]"#,
        ),
        // JSON in a text is a name too, if it ends like one.
        (
            NotQuiteJson,
            r#"{"name":"{\"ccNumber\":\"access_tokens\"}","value":["hunter2"],"#,
            r#"{"name":"{\"ccNumber\":\"access_tokens\"}","value":"[REDACTED]","#,
        ),
        // Quotes and brackets in a text move no other text of the list.
        (
            NotQuiteJson,
            r#"{"rawHeaders":["it's","x","Cookie",["hunter2"]],"#,
            r#"{"rawHeaders":["it's","x","Cookie","[REDACTED]"],"#,
        ),
        (
            NotQuiteJson,
            r#"{"rawHeaders":["\"a\"","x","Cookie",["hunter2"]],"#,
            r#"{"rawHeaders":["\"a\"","x","Cookie","[REDACTED]"],"#,
        ),
        (
            NotQuiteJson,
            r#"{"a":"{\"rawHeaders\":[\"[INST] hi\",\"x\",\"Cookie\",[\"hunter2\"]]}","#,
            r#"{"a":"{\"rawHeaders\":[\"[INST] hi\",\"x\",\"Cookie\","[REDACTED]""#,
        ),
        (
            NotQuiteJson,
            r#"{"k@l.mn":1,"o@p.qr":2,"token":x}"#,
            r#"{"[REDACTED_email]":1,"[REDACTED_email_2]":2,"token":"[REDACTED]"}"#,
        ),
        (NotQuiteJson, r#"["\u006b@l.mn", k@l.mn"#, r#"["[REDACTED_email]", [REDACTED_email]"#),
        // Each placeholder makes a boundary for the other reading of the string.
        (
            NotQuiteJson,
            r#"["\u0041KIA0123456789ABCDEF5500000000000004\u00e9""#,
            r#"["[REDACTED_aws_key][REDACTED_card]\u00e9""#,
        ),
        (
            NotQuiteJson,
            r#""\u0041KIA0123456789ABCDEF5500000000000004\u0035500000000000004 "#,
            r#""[REDACTED_aws_key][REDACTED_card][REDACTED_card] "#,
        ),
    ];
    for (kind, line, expected) in changed {
        assert_eq!(redact_twice(line), (kind, expected.to_owned()), "given {line:?}");
    }
}

#[test]
fn counts_are_by_kind() {
    let (_, _, mut counts) = redact(r#"{"k@l.mn":"AKIA0123456789ABCDEF k@l.mn","token":"k@l.mn"}"#);
    assert_eq!(
        [Kind::Email, Kind::AwsKey, Kind::Key, Kind::Card].map(|kind| counts.get(kind)),
        [2, 1, 1, 0]
    );
    counts.merge(&redact(r#"{"token":"x","k":"5500000000000004","s":"#).2);
    let named = counts.iter().map(|(kind, count)| (kind.name(), count));
    let named: Vec<_> = named.take(5).collect();
    assert_eq!(named, [("email", 2), ("card", 1), ("jwt", 0), ("aws_key", 1), ("key", 2)]);
    assert_eq!(counts.total(), 6);
}

#[test]
fn clean_text_is_borrowed_and_the_rules_have_a_hash() {
    let sanitizer = Sanitizer::default();
    assert!(matches!(sanitizer.redact_str("a @ b.cd"), Cow::Borrowed("a @ b.cd")));
    assert_eq!(sanitizer.redact_str("<k@l.mn>"), "<[REDACTED_email]>");
    assert_eq!(sanitizer.rules_hash(), Sanitizer::default().rules_hash());
}

#[test]
fn depth_is_bounded_and_nothing_recurses() {
    let nested = |levels: usize, inner: &str| "[".repeat(levels) + inner + &"]".repeat(levels);
    assert_eq!(redact_twice(&nested(127, "[\"x\"]")), (Json, nested(127, "[\"x\"]")));
    assert_eq!(redact_twice(&nested(128, "[\"x\"]")), (Json, nested(128, "\"[TOO_DEEP]\"")));
    assert_eq!(redact_twice(&nested(1_000_000, "1")), (Json, nested(128, "\"[TOO_DEEP]\"")));
    let secret = r#"{"password":"hunter2"}"#;
    for line in
        [nested(5_000, secret), nested(5_000, secret) + "]", "{\"d\":".repeat(5_000) + secret]
    {
        assert!(!redact_twice(&line).1.contains("hunter2"));
    }
    assert!(!redact_twice(&("[".repeat(1_000_000) + secret)).1.contains("hunter2"));
}

/// What redaction needs to be tried on: names of keys, escapes, near and real matches.
const STRINGS: [&str; 14] = [
    "k@l.mn",
    "plain",
    "\\u006b@l.mn",
    "5500 0000 0000 0004",
    "\\u00e9@x.yz",
    "tab\\tk@l.mn",
    "é \\\" {x}",
    "AKIA0123456789ABCDEF",
    "\\u0041KIA0123456789ABCDEF",
    "5500000000000004\\u00e9",
    "[REDACTED_email]",
    "eyJa.eyJb.c",
    "\\ud83d\\ude42",
    "\\u0031500000000000004",
];
const KEYS: [&str; 8] = [
    "password",
    "API_KEY",
    "c\\u006fokie",
    "to\u{212A}en",
    "secret",
    "Authorization",
    "token",
    "COOKIE",
];

fn pick<'t>(rng: &mut fastrand::Rng, from: &[&'t str]) -> &'t str {
    from[rng.usize(..from.len())]
}

fn random_value(rng: &mut fastrand::Rng, depth: usize) -> String {
    let some = |rng: &mut fastrand::Rng| rng.usize(0..3);
    match rng.usize(..if depth == 0 { 4 } else { 6 }) {
        0 => pick(rng, &["1", "-2.5", "true", "null", "5500000000000004"]).to_owned(),
        1..=3 => format!("\"{}\"", pick(rng, &STRINGS)),
        4 => {
            let items: Vec<_> = (0..some(rng)).map(|_| random_value(rng, depth - 1)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let member = |rng: &mut fastrand::Rng| {
                format!("\"{}\": {}", pick(rng, &STRINGS), random_value(rng, depth - 1))
            };
            let members: Vec<_> = (0..some(rng)).map(|_| member(rng)).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// Deletes, inserts or replaces one character of the text.
fn mutate(rng: &mut fastrand::Rng, text: &mut String) {
    let places: Vec<_> = text.char_indices().map(|(at, c)| at..at + c.len_utf8()).collect();
    let mut place =
        places.get(rng.usize(0..=places.len())).cloned().unwrap_or(text.len()..text.len());
    let bytes: Vec<_> = "\"\"\\\\{}[],:, \t1ax@.-\u{1}é\u{FFFD}".chars().collect();
    let new = bytes[rng.usize(..bytes.len())].to_string();
    match rng.u8(..3) {
        0 => text.replace_range(place, ""),
        1 => {
            place.end = place.start;
            text.replace_range(place, &new);
        }
        _ => text.replace_range(place, &new),
    }
}

#[test]
fn damaged_json_lets_no_secret_through() {
    let mut rng = fastrand::Rng::with_seed(0xDA3A6E);
    let mut kinds = [0; 3];
    for _ in 0..20_000 {
        let mut head = format!("\"h\": {},", random_value(&mut rng, 2));
        let mut between = pick(&mut rng, &[":", ": ", " : "]).to_owned();
        let mut tail = format!(", \"t\": {}}}", random_value(&mut rng, 2));
        for _ in 0..rng.usize(0..3) {
            mutate(&mut rng, &mut head);
        }
        for _ in 0..rng.usize(0..3) {
            mutate(&mut rng, &mut tail);
        }
        if rng.u8(..3) == 0 {
            mutate(&mut rng, &mut between);
        }
        let key = pick(&mut rng, &KEYS);
        let line =
            format!("{{{head}\"{key}\"{between}\"hunter2-{}\"{tail}", pick(&mut rng, &STRINGS));
        let (kind, out) = redact_twice(&line);
        kinds[kind as usize] += 1;
        // A `Value` has no half of a surrogate pair, but JSON has.
        let parses = serde_json::from_str::<serde::de::IgnoredAny>(&line).is_ok();
        assert_eq!(kind == Json, parses, "{line:?}");
        // After a comma or the end of an object it is no longer the key's value.
        if !between.trim_start().starts_with([',', '}', ']']) {
            assert!(!out.contains("hunter2"), "{line:?} became {out:?}");
        }
        if parses {
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(&out).is_ok(), "{out:?}");
        }
    }
    assert!(kinds[Json as usize] > 2_000 && kinds[NotQuiteJson as usize] > 2_000, "{kinds:?}");
}

#[test]
fn any_line_is_redacted_once_and_for_all() {
    let mut rng = fastrand::Rng::with_seed(0x1DE3);
    for _ in 0..20_000 {
        let mut line = match rng.u8(..3) {
            0 => random_value(&mut rng, 3),
            1 => format!(
                "\"{}",
                (0..rng.usize(1..6)).map(|_| pick(&mut rng, &STRINGS)).collect::<String>()
            ),
            _ => (0..rng.usize(1..8))
                .map(|_| match rng.u8(..3) {
                    0 => format!("\"{}\"", pick(&mut rng, &KEYS)),
                    1 => pick(&mut rng, &STRINGS).to_owned(),
                    _ => {
                        pick(&mut rng, &[":", ",", " ", "{", "}", "[", "]", "\"", "\\"]).to_owned()
                    }
                })
                .collect(),
        };
        for _ in 0..rng.usize(0..4) {
            mutate(&mut rng, &mut line);
        }
        let (kind, out) = redact_twice(&line);
        if kind == NotQuiteJson && serde_json::from_str::<serde::de::IgnoredAny>(&out).is_err() {
            assert_eq!(Sanitizer::default().redact_str(&out), out, "given {line:?}");
        }
    }
}
