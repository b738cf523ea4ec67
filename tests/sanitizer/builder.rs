use serde_json::{Value, json};

use llm_audit::sanitize::{Kind, Profile, Redactions, Replacement, SanitizerBuilder};
use llm_audit::testing::capture_with;
use llm_audit::{AuditEvent, EventType, LlmCall, Sanitizer};

fn built(build: impl FnOnce(SanitizerBuilder) -> SanitizerBuilder) -> Sanitizer {
    build(Sanitizer::builder()).build().unwrap()
}

fn line(sanitizer: &Sanitizer, line: &str) -> String {
    let mut out = String::new();
    sanitizer.redact_line(line, &mut out, &mut Redactions::default());
    let mut again = String::new();
    sanitizer.redact_line(&out, &mut again, &mut Redactions::default());
    assert_eq!(again, out, "a second time, {line}");
    out
}

/// `data` as it is in a line of the log, and as the filter has it.
fn both(sanitizer: &Sanitizer, data: &Value) -> [Value; 2] {
    let seen = capture_with(|builder| builder.sanitizer(sanitizer.clone()));
    llm_audit::emit(&AuditEvent::new(EventType::ToolCall, "a", "b").data(data));
    let recorded: Value = serde_json::from_str(&seen.lines()[0]).unwrap();
    let filtered = line(sanitizer, &json!({ "data": data }).to_string());
    let filtered: Value = serde_json::from_str(&filtered).unwrap();
    [recorded["data"].clone(), filtered["data"].clone()]
}

fn check(sanitizer: &Sanitizer, data: Value, expected: Value) {
    for found in both(sanitizer, &data) {
        assert_eq!(found, expected, "{data}");
    }
}

#[test]
fn kinds_that_are_asked_for() {
    let cases: &[(Kind, &[&str], &[&str])] = &[
        (
            Kind::Phone,
            &[
                "+44 20 7946 0018",
                "+4420794600018",
                "(212) 555-0143",
                "212-555-0143",
                "212.555.0143",
                "1-212-555-0143",
                "020 7946 0018",
                "030/9018 2034",
            ],
            &["2026-11-25", "1764090000123", "12:30", "1.2.3.4", "0.5", "17 of 20", "100-200-3000"],
        ),
        (
            Kind::IpAddress,
            &["192.0.2.17", "2001:db8::8:800:200c:417a", "::1", "::ffff:192.0.2.1", "fe80::1"],
            &["1.2.3", "300.1.1.1", "std::fmt", "a::b", "12:30:45", "1.2.3.4.5", "::"],
        ),
        (
            Kind::CryptoWallet,
            &[
                "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                "0x52908400098527886E0F7030069857D2E4169EE7",
            ],
            &["0x5290", "bc1", "3fa85f64", "1234567890123456789012345678"],
        ),
        (
            Kind::HighEntropy,
            &["k3Jx9vQ2mZt7Lp0WsYb5RnXh4Ug8", "9f86d081884c7d659a2feaa0c55ad015"],
            &["the-quick-brown-fox-jumps-over", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "short1A"],
        ),
    ];
    for &(kind, found, left) in cases {
        let sanitizer = built(|builder| builder.also(kind));
        let plain = Sanitizer::default();
        for text in found {
            let text = format!("at {text}, then");
            assert_eq!(sanitizer.redact_str(&text), format!("at {}, then", kind.placeholder()));
            assert_eq!(plain.redact_str(&text), text, "nobody asked");
            assert_eq!(sanitizer.report(&text).get(kind), 1);
        }
        for text in left {
            let text = format!("at {text}, then");
            assert_eq!(sanitizer.redact_str(&text), text, "{kind:?}");
        }
    }
}

#[test]
fn what_says_more_gives_its_name() {
    let sanitizer = built(|builder| builder.also(Kind::HighEntropy));
    let token = ["github_pat_", &"a1B2c3D4e5F6g7H8i9J0".repeat(5)[..82]].concat();
    assert_eq!(sanitizer.redact_str(&token), "[REDACTED_github_token]");
}

#[test]
fn numbers_beside_it_hide_no_telephone_number() {
    let sanitizer = built(|builder| builder.also(Kind::Phone));
    for text in ["(+49) 30 12345678", "2024-05-01 +44 20 7946 0018", "1. +44 20 7946 0018"] {
        assert!(sanitizer.redact_str(text).ends_with("[REDACTED_phone]"), "{text}");
    }
}

#[test]
fn what_is_encoded_is_looked_into() {
    let sanitizer = built(SanitizerBuilder::also_encoded);
    let cases = [
        // kim@post.example and some words around it.
        ("body bWFpbCBraW1AcG9zdC5leGFtcGxlIG5vdw==.", "body [REDACTED_email]."),
        ("?q=1&to=kim%40post.example&x", "?q=1&to=[REDACTED_email]&x"),
        ("bm90aGluZyBpbiBoZXJlIGF0IGFsbA==", "bm90aGluZyBpbiBoZXJlIGF0IGFsbA=="),
        ("50%25 of all, 100%", "50%25 of all, 100%"),
        ("payload=a2ltQHBvc3QuZXhhbXBsZQ==", "payload=[REDACTED_email]"),
        ("https://h.example/v1/a2ltQHBvc3QuZXhhbXBsZQ", "https://h.example/v1/[REDACTED_email]"),
    ];
    for (text, expected) in cases {
        assert_eq!(sanitizer.redact_str(text), expected);
    }
}

#[test]
fn keys_of_the_caller_s_own() {
    let sanitizer = built(|builder| builder.sensitive_key("member_id").sensitive_key("IBAN"));
    for key in [
        "member_id",
        "memberId",
        "MEMBER-ID",
        "x-member-id",
        "customerMemberId",
        "HTTPMemberId",
        "user1MemberId",
        "iban",
    ] {
        check(&sanitizer, json!({key: {"a": 1}}), json!({key: "[REDACTED]"}));
        check(&sanitizer, json!({"a": {key: 1}}), json!({"a": {key: "[REDACTED]"}}));
        let pair = json!([{"name": key, "value": "M-17"}]);
        check(&sanitizer, json!({"a": pair}), json!({"a": [{"name": key, "value": "[REDACTED]"}]}));
    }
    for key in ["member", "id", "remember_id", "member_id_count", "member_identity"] {
        check(&sanitizer, json!({key: 1}), json!({key: 1}));
    }
    assert_eq!(
        line(&sanitizer, r#"{"member_id": "M-17", oops"#),
        r#"{"member_id": "[REDACTED]", oops"#
    );
}

#[test]
fn paths_that_are_allowed() {
    let sanitizer = built(|builder| builder.allow_path("data.desk.mail").allow_path("data.*.open"));
    let mail = "kim@post.example";
    let gone = "[REDACTED_email]";
    check(
        &sanitizer,
        json!({"desk": {"mail": [mail, {"password": mail}], "other": mail}, "mail": mail}),
        json!({"desk": {"mail": [mail, {"password": mail}], "other": gone}, "mail": gone}),
    );
    check(
        &sanitizer,
        json!({"a": {"open": {"token": 1, mail: 2}}, "open": mail, "list": [{"open": mail}]}),
        json!({"a": {"open": {"token": 1, mail: 2}}, "open": gone, "list": [{"open": mail}]}),
    );
    let card =
        json!({"desk": {"mail": {"card_number": 5500000000000004_u64, "a": [["token", "x"]]}}});
    check(&sanitizer, card.clone(), card);
    let seen = capture_with(|builder| builder.sanitizer(sanitizer.clone()).capture_content(true));
    let prompt = json!({"mail": mail});
    let _ = llm_audit::record_llm_call(&LlmCall::new("a", "chat", "", "m").prompt(&prompt));
    let recorded = &seen.lines()[0];
    assert!(recorded.contains(gone) && !recorded.contains(mail), "another path: {recorded}");
    let value = "Willibald of the open path";
    let _protected = llm_audit::protect_value(value).unwrap();
    check(
        &sanitizer,
        json!({"desk": {"mail": value}}),
        json!({"desk": {"mail": "[REDACTED_known]"}}),
    );
}

#[test]
fn what_stands_in_the_place_of_a_match() {
    let key = Replacement::Hash([7; 16]);
    let sanitizer = built(|builder| {
        builder.replace(Kind::Email, key).replace(Kind::Card, Replacement::LastFour)
    });
    let one = sanitizer.redact_str("kim@post.example").into_owned();
    assert!(one.starts_with("[REDACTED_email:") && one.len() == "[REDACTED_email:01234567]".len());
    assert_eq!(sanitizer.redact_str("kim@post.example!"), format!("{one}!"));
    assert_ne!(sanitizer.redact_str("kit@post.example"), one);
    let other = built(|builder| builder.replace(Kind::Email, Replacement::Hash([8; 16])));
    assert_ne!(other.redact_str("kim@post.example"), one);
    assert_eq!(sanitizer.redact_str("5500 0000 0000 0004"), "[REDACTED_card:0004]");
    check(
        &sanitizer,
        json!({"a": "kim@post.example", "card_number": 5500000000000004_u64}),
        json!({"a": one, "card_number": "[REDACTED_card:0004]"}),
    );
    assert_eq!(format!("{key:?}"), "Hash", "the key is a secret");
}

/// A placeholder is not a match, even if something follows its kind.
#[test]
fn no_rule_finds_what_was_put_there() {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Key) {
        for with in [Replacement::Hash([1; 16]), Replacement::LastFour] {
            let also = Kind::OPT_IN.into_iter().fold(Sanitizer::builder(), SanitizerBuilder::also);
            let sanitizer = also.also_encoded().replace(kind, with).build().unwrap();
            for text in ["9f86d081884c7d65", "aaaaaaaaaaaa1234", "-----------9-x."] {
                let shown = sanitizer.placeholder(kind, text);
                for text in [shown.as_str().to_owned(), format!("key: {}", shown.as_str())] {
                    assert_eq!(sanitizer.redact_str(&text), text);
                    let quoted = json!({"a": text}).to_string();
                    assert_eq!(line(&sanitizer, &quoted), quoted);
                }
            }
        }
    }
}

#[cfg(feature = "regex")]
#[test]
fn patterns_of_the_caller_s_own() {
    let sanitizer = built(|builder| {
        builder.pattern(r"\bM-\d+\b").pattern("[A-Z]{4}").pattern(r"caf\w+").pattern(r"\b\d{6}\b")
    });
    let cases = [
        ("member M-17 of ABCD", "member [REDACTED_custom] of [REDACTED_custom]"),
        ("kim@post.example M-17", "[REDACTED_email] [REDACTED_custom]"),
        ("café x", "[REDACTED_custom] x"),
        ("kim@post.example123456", "[REDACTED_email][REDACTED_custom]"),
        // A placeholder is not a text, but what only looks like one is.
        ("[REDACTED_ABCD]", "[[REDACTED_custom][REDACTED_custom]_[REDACTED_custom]]"),
        ("[REDACTED_custom] and ABCD", "[REDACTED_custom] and [REDACTED_custom]"),
    ];
    for (text, expected) in cases {
        assert_eq!(sanitizer.redact_str(text), expected);
    }
    for pattern in ["(", "a*", "", "a|", r"\b", "(?i)x?"] {
        let error = Sanitizer::builder().pattern(pattern).build().unwrap_err().to_string();
        assert!(error.contains(&format!("{pattern:?}")), "{error}");
    }
}

#[test]
fn what_is_not_accepted() {
    let builds = [
        Sanitizer::builder().also(Kind::Email),
        Sanitizer::builder().sensitive_key("--"),
        Sanitizer::builder().allow_path("a..b"),
        Sanitizer::builder().replace(Kind::Key, Replacement::LastFour),
        (0..65).fold(Sanitizer::builder(), |builder, _| builder.allow_path("a")),
    ];
    for build in builds {
        let error = build.build().unwrap_err().to_string();
        assert!(error.starts_with("not a valid sanitizer: "), "{error}");
    }
}

#[test]
fn options_make_other_rules() {
    let plain = Sanitizer::default();
    let mut hashes = vec![plain.rules_hash()];
    let builders = [
        Sanitizer::builder().also(Kind::Phone),
        Sanitizer::builder().also_encoded(),
        Sanitizer::builder().sensitive_key("a"),
        Sanitizer::builder().allow_path("a"),
        Sanitizer::builder().replace(Kind::Email, Replacement::LastFour),
        Sanitizer::builder().replace(Kind::Email, Replacement::Hash([1; 16])),
        Sanitizer::builder().replace(Kind::Email, Replacement::Hash([2; 16])),
        Sanitizer::builder().profile(Profile::Precise),
    ];
    hashes.extend(builders.map(|builder| builder.build().unwrap().rules_hash()));
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 9);
    assert_eq!(Sanitizer::builder().build().unwrap(), plain);
}
