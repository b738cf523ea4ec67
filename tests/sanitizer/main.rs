//! Removal of a secret, however it is wrapped, by the filter for lines and by an emit alike.

mod builder;
#[path = "../../crates/redact/src/samples.rs"]
mod samples;

use serde_json::{Value, json};

use llm_audit::sanitize::{Kind, Redactions};
use llm_audit::testing::capture;
use llm_audit::{AuditEvent, EventType, Sanitizer};
use samples::sample_secrets;

fn line(line: &str) -> String {
    let mut out = String::new();
    Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    let mut again = String::new();
    Sanitizer::default().redact_line(&out, &mut again, &mut Redactions::default());
    assert_eq!(again, out, "a second time, {line}");
    out
}

/// `data` as it is in a line of the log, and as the filter has it.
fn both(data: &Value) -> [Value; 2] {
    let seen = capture();
    llm_audit::emit(&AuditEvent::new(EventType::ToolCall, "a", "b").data(data));
    let recorded: Value = serde_json::from_str(&seen.lines()[0]).unwrap();
    let filtered = line(&json!({ "data": data }).to_string());
    let filtered: Value = serde_json::from_str(&filtered).unwrap();
    [recorded["data"].clone(), filtered["data"].clone()]
}

fn check(data: Value, expected: Value) {
    for found in both(&data) {
        assert_eq!(found, expected, "{data}");
    }
}

/// JSON in so many strings of JSON.
fn wrapped(value: &Value, levels: usize) -> Value {
    (0..levels).fold(value.clone(), |value, _| Value::String(value.to_string()))
}

/// Every character as an escape sequence.
fn spelled(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

fn full_width(text: &str) -> String {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(c as u32 - 0x21 + 0xFF01).unwrap(),
        _ => c,
    };
    text.chars().map(wide).collect()
}

#[test]
fn no_wrapping_hides_a_secret() {
    let cases = sample_secrets();
    assert!(cases.len() > 50);
    for (kind, secret) in cases {
        let placeholder = kind.placeholder();
        let plain = json!({"note": [secret], "n": 1});
        let expected = json!({"note": [placeholder], "n": 1});
        for levels in 0..=3 {
            // JSON in a string, in a string …
            check(json!({"a": wrapped(&plain, levels)}), json!({"a": wrapped(&expected, levels)}));
            // … escaped to the last character.
            let text = format!(r#"{{"note":["{}"],"n":1}}"#, spelled(&secret));
            let text = (0..levels).fold(text, |text, _| Value::String(text).to_string());
            let redacted = line(&format!(r#"{{"a":{text}}}"#));
            let kept = format!(r#"{{"note":["{placeholder}"],"n":1}}"#);
            let kept = (0..levels).fold(kept, |kept, _| Value::String(kept).to_string());
            assert_eq!(redacted, format!(r#"{{"a":{kept}}}"#), "{levels} {secret}");
        }
        // Four levels deep it is text, in which nothing may hide but by escapes.
        let deep = wrapped(&plain, 4).to_string();
        assert!(!line(&deep).contains(secret.trim()) || secret.contains('\n'), "{secret}");
        // As a key, and after the name of a header.
        check(json!({(&secret): null}), json!({(placeholder): null}));
        for name in ["Authorization", "x-api-key", "Set-Cookie"] {
            check(
                json!({"a": [{"name": name, "value": secret}, {"key": "Host", "value": "h"}]}),
                json!({"a": [{"name": name, "value": "[REDACTED]"}, {"key": "Host", "value": "h"}]}),
            );
        }
        for depth in [10, 126, 127, 128, 129, 50_000] {
            let nested =
                format!("{}[{}]{}", "[".repeat(depth - 1), json!(secret), "]".repeat(depth - 1));
            let expected = match depth {
                ..=128 => json!(placeholder).to_string(),
                _ => "[TOO_DEEP]".to_owned(),
            };
            let found = line(&nested);
            assert!(found.contains(&expected) && !found.contains(&secret), "{depth} {secret}");
        }
        if secret.is_ascii() && !secret.contains(['\n', ' ']) {
            let middle = secret.len() / 2;
            let zero_width = format!("{}\u{200B}{}", &secret[..middle], &secret[middle..]);
            for disguised in [zero_width, full_width(&secret)] {
                let [recorded, _] = both(&json!({"a": disguised}));
                assert_eq!(recorded["a"], placeholder, "{disguised}");
            }
        }
    }
}

#[test]
fn json_in_a_string_stays_json() {
    let inner = |value: Value| json!({"arguments": value.to_string()});
    let cases = [
        (json!({"password": "x", "n": 1}), json!({"password": "[REDACTED]", "n": 1})),
        (json!({"password": {"a": [1]}}), json!({"password": "[REDACTED]"})),
        (json!({"token": 17, "tokens": 17}), json!({"token": "[REDACTED]", "tokens": 17})),
        (json!({"token": null, "secret": true}), json!({"token": null, "secret": true})),
        // As a text these digits are a card; as JSON they have to stay a value.
        (json!({"n": 5500000000000004_u64}), json!({"n": "[REDACTED_card]"})),
        (json!(["x\nana@example.org\t"]), json!(["x\n[REDACTED_email]\t"])),
        (
            json!({"a@b.cd": 1, "c@d.ef": 2}),
            json!({"[REDACTED_email]": 1, "[REDACTED_email_2]": 2}),
        ),
        (
            json!({"a": json!({"password": "x"}).to_string()}),
            json!({"a": json!({"password": "[REDACTED]"}).to_string()}),
        ),
        (json!("ana@example.org"), json!("[REDACTED_email]")),
        (json!({"a": "quiet"}), json!({"a": "quiet"})),
    ];
    for (value, expected) in cases {
        check(inner(value), inner(expected));
    }
    // What stays keeps its bytes.
    let given = r#"{"a":" {\"x\" : \"\\u00e9\\/\", \"password\":\"p\\u0041\"} "}"#;
    assert_eq!(line(given), r#"{"a":" {\"x\" : \"\\u00e9\\/\", \"password\":\"[REDACTED]\"} "}"#);
    // What is not JSON is text.
    for text in ["[INST] hello", "\"quoted\" and more", "{}}", "[1,]"] {
        check(json!({"a": text}), json!({"a": text}));
    }
    // Structure is not a text: nothing is found across it, and a number goes whole or stays.
    for text in [
        r#"{"boarding_pass":123456}"#,
        r#"{"next_token":1234567890e1}"#,
        r#"{"q":"my machine is slow","a":"try login again","b":"reset password now"}"#,
        r#"{"tags":["authorization","digest auth"],"n":12}"#,
        r#"[{"f": [{"label": "Password:"}]}, {"f": 1}]"#,
        r#"{"a":"\u006fk","next_token":"abcDEF123456"}"#,
    ] {
        check(json!({"a": text}), json!({"a": text}));
    }
    // What nearly is JSON is redacted as such a line is.
    let gone = "[REDACTED]";
    for (text, expected) in [
        (r#"{"password": "x""#, format!(r#"{{"password": "{gone}""#)),
        (r#"{"password":"x","n":NaN}"#, format!(r#"{{"password":"{gone}","n":NaN}}"#)),
        (r#"{"password":"x"} and more"#, format!(r#"{{"password":"{gone}""#)),
        ("{'password': 'x', 'n': 1}", format!("{{'password': '{gone}', 'n': 1}}")),
        (r#"{"token":918273645546},"#, format!(r#"{{"token":"{gone}"}},"#)),
        ("```json\n{\"secret\":\"x\"}\n```", format!("```json\n{{\"secret\":\"{gone}\"")),
        ("\u{FEFF}{\"password\":\"x\"}", format!("\u{FEFF}{{\"password\":\"{gone}\"}}")),
        ("\u{A0}{\"password\":\"x\"}", format!("\u{A0}{{\"password\":\"{gone}\"}}")),
    ] {
        for found in both(&json!({"a": text})) {
            let found = found["a"].as_str().unwrap();
            assert!(found.starts_with(expected.as_str()), "{text} became {found}");
        }
    }
    // As a text it matches as it is, the first time too.
    let given = r#"{"a":"{\"x\":\"\\t{k@l.mn\\u0017@host.com\"}"}"#;
    assert_eq!(line(given), r#"{"a":"{\"x\":\"\\t{[REDACTED_email][REDACTED_email]\"}"}"#);
    // An escape sequence goes whole, so that what is left parses.
    let given = json!({"a": r#"{"x":"\u00e9@example.org"}"#});
    check(given, json!({"a": r#"{"x":"[REDACTED_email]"}"#}));
}

/// The redactions in `audit.stop` are counts.
#[test]
fn counts_of_redactions_stay() {
    let own = r#"{"data":{"redactions":{"cookie":3,"private_key":1},"cookie":3}}"#;
    let expected = r#"{"data":{"redactions":{"cookie":3,"private_key":1},"cookie":"[REDACTED]"}}"#;
    assert_eq!(line(own), expected);
    assert_eq!(
        line(r#"{"redactions":{"cookie":"c"}}"#),
        r#"{"redactions":{"cookie":"[REDACTED]"}}"#
    );
}

#[test]
fn values_beside_the_name_of_a_secret() {
    let cases = [
        (
            json!({"name": "X-Api-Key", "value": "k"}),
            json!({"name": "X-Api-Key", "value": "[REDACTED]"}),
        ),
        (
            json!({"key": "password", "value": 17}),
            json!({"key": "password", "value": "[REDACTED]"}),
        ),
        (
            json!({"header": "cookie", "values": ["a", "b"]}),
            json!({"header": "cookie", "values": "[REDACTED]"}),
        ),
        (json!({"name": "token", "value": 17}), json!({"name": "token", "value": 17})),
        (
            json!({"key": "client secret", "value": "x"}),
            json!({"key": "client secret", "value": "[REDACTED]"}),
        ),
        (
            json!({"key": "password hint", "value": "x"}),
            json!({"key": "password hint", "value": "x"}),
        ),
        (json!([["secret", "garden", "tale"]]), json!([["secret", "garden", "tale"]])),
        (json!([["cookie", ["c"]]]), json!([["cookie", "[REDACTED]"]])),
        (json!([["password", 17]]), json!([["password", "[REDACTED]"]])),
        (json!({"headers": ["token", "count"]}), json!({"headers": ["token", "count"]})),
        (json!({"name": "password", "value": null}), json!({"name": "password", "value": null})),
        (json!({"name": "Host", "value": "k"}), json!({"name": "Host", "value": "k"})),
        (json!([["Cookie", "c"], ["Host", "h"]]), json!([["Cookie", "[REDACTED]"], ["Host", "h"]])),
        (json!([["token", 0.5], ["the", -1]]), json!([["token", 0.5], ["the", -1]])),
        (json!({"required": ["password", "mail"]}), json!({"required": ["password", "mail"]})),
        (
            json!({"rawHeaders": ["Host", "h", "Cookie", "c", "Accept", "a"]}),
            json!({"rawHeaders": ["Host", "h", "Cookie", "[REDACTED]", "Accept", "a"]}),
        ),
        (json!({"headers": {"Cookie": "c"}}), json!({"headers": {"Cookie": "[REDACTED]"}})),
        (json!([["a", ["password"]], "b"]), json!([["a", ["password"]], "b"])),
        (json!([[["password"], "b"]]), json!([[["password"], "b"]])),
    ];
    for (value, expected) in cases {
        check(json!({"a": value}), json!({"a": expected}));
        check(json!({"a": value.to_string()}), json!({"a": expected.to_string()}));
    }
    // The value first: a filter that has the whole line sees it.
    let reversed =
        r#"[{"value":{"v":"a@b.cd"},"n":"c@d.ef","name":"Cookie"},{"value":1,"name":"x"}]"#;
    let expected =
        r#"[{"value":"[REDACTED]","n":"[REDACTED_email]","name":"Cookie"},{"value":1,"name":"x"}]"#;
    assert_eq!(line(reversed), expected);
    let twice = r#"{"value":"a","values":["b"],"value":3,"name":"secret"}"#;
    let expected = r#"{"value":"[REDACTED]","values":"[REDACTED]","value":3,"name":"secret"}"#;
    assert_eq!(line(twice), expected);
    // A number in a string of JSON would be a text the second time.
    let number = json!({"a": json!([["secret", 5500000000000004_u64]]).to_string()});
    assert_eq!(line(&number.to_string()), r#"{"a":"[[\"secret\",\"[REDACTED]\"]]"}"#);
}

#[test]
fn numbers_under_the_keys_of_cards() {
    for key in ["card_number", "cardNumber", "pan", "ccNumber", "credit_card", "Card-No"] {
        check(json!({key: 5500000000000004_u64}), json!({key: "[REDACTED_card]"}));
        check(json!({key: 378282246310005_u64}), json!({key: "[REDACTED_card]"}));
        check(json!({key: 17}), json!({key: 17}));
        check(json!({key: "5500 0000 0000 0004"}), json!({key: "[REDACTED_card]"}));
    }
    let card = |number: Value| json!({"card": {"number": number}, "pan": [number], "cc": number});
    check(card(json!(5500000000000004_u64)), card(json!("[REDACTED_card]")));
    for key in ["id", "card_count", "cardinal", "time"] {
        check(json!({key: 5500000000000004_u64}), json!({key: 5500000000000004_u64}));
    }
}
