use std::sync::atomic::{AtomicBool, Ordering};

use llm_audit_process::lock::InheritedLock as RwLock;

use super::forms::base64_whole_form;
use super::index::*;
use super::*;
use crate::{Redactions, Sanitizer};

// The values of these tests are their own, because a value is protected in the whole process.

fn redacted(text: &str) -> String {
    Sanitizer::default().redact_str(text).into_owned()
}

fn is_protected(text: &str) -> bool {
    redacted(text).contains("[REDACTED_known]")
}

#[test]
fn a_value_goes_as_long_as_it_is_protected() {
    let name = "Ottilie Vandermark";
    assert_eq!(redacted(name), name);
    let one = protect_value(name).unwrap();
    let other = protect_value(name).unwrap();
    assert_eq!(redacted("for Ottilie Vandermark."), "for [REDACTED_known].");
    assert_eq!(redacted("for ottilie Vandermark."), "for ottilie Vandermark.");
    drop(one);
    assert!(is_protected(name), "somebody else protects it still");
    drop(other);
    assert_eq!(redacted(name), name);
    protect_value("Ottilie Vandermark II").unwrap().keep();
    assert!(is_protected("Ottilie Vandermark II"));
}

#[test]
fn what_python_and_browsers_write_is_found() {
    // By json.dumps, urllib.parse.quote, quote_plus, encodeURIComponent, encodeURI and base64.
    let _protected = protect_value("Zoë \"Z\" O'Hara/9").unwrap();
    let cases = [
        r#"Zo\u00eb \"Z\" O'Hara/9"#,
        r#"Zo\u00EB \"Z\" O'Hara/9"#,
        r#"Zoë \"Z\" O'Hara\/9"#,
        r#"Zoë \\\"Z\\\" O'Hara/9"#,
        r#"Zo\\u00eb \\\"Z\\\" O'Hara/9"#,
        r#"Zoë \\\\\\\"Z\\\\\\\" O'Hara/9"#,
        "Zo%C3%AB%20%22Z%22%20O%27Hara%2F9",
        "Zo%c3%ab%20%22Z%22%20O%27Hara%2f9",
        "Zo%C3%AB%20%22Z%22%20O%27Hara/9",
        "Zo%C3%AB+%22Z%22+O%27Hara%2F9",
        "Zo%C3%AB%20%22Z%22%20O'Hara%2F9",
        "Zo%C3%AB%20%22Z%22%20O'Hara/9",
        r#"Zo\u00eb \"Z\" O'Hara\/9"#,
        "Zo%C3%AB+%22Z%22+O%27Hara%2F9",
        "Wm/DqyAiWiIgTydIYXJhLzk=",
        "Wm_DqyAiWiIgTydIYXJhLzk",
    ];
    for case in cases {
        assert_eq!(redacted(&format!("<{case}>")), "<[REDACTED_known]>", "{case}");
    }
    assert_eq!(redacted("Z\u{200B}oë \"Z\" O'Ｈara/9!"), "[REDACTED_known]!");
    let line = r#"{"who":"Zo\u00eb \"Z\" O'Hara\/9","Zoë \"Z\" O'Hara/9":1}"#;
    let mut out = String::new();
    Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    assert_eq!(out, r#"{"who":"[REDACTED_known]","[REDACTED_known]":1}"#);
}

/// Whatever text is before it and after it.
#[test]
fn base64_is_found_inside_of_base64() {
    let value = "quill:Brass-4";
    let _protected = protect_value(value).unwrap();
    for before in ["", "a", "ab", "abc", "abcd"] {
        for behind in ["", "x", "xy", "xyz"] {
            let text = [before, value, behind].concat();
            for last in [b"+/", b"-_"] {
                let encoded = base64_whole_form(text.as_bytes(), last);
                let redacted = redacted(&encoded);
                let left = redacted.replace("[REDACTED_known]", "");
                assert_ne!(redacted, left, "{text}: {encoded}");
                let others = (before.len() + behind.len()).div_ceil(3) * 4 + 4;
                assert!(left.len() <= others, "{text}: {redacted}");
            }
        }
    }
    assert!(!is_protected(&base64_whole_form(b"quill:Brass", b"+/")));
}

#[test]
fn short_and_long_forms_at_every_place() {
    for length in [4, 5, 10, 11, 12, 40] {
        let value: String = "Qx7u-vK2".chars().cycle().skip(length).take(length).collect();
        let _protected = protect_value(&value).unwrap();
        for before in 0..20 {
            let (head, tail) = (" ".repeat(before), " ".repeat(before % 3));
            let text = format!("{head}{value}{tail}");
            assert_eq!(redacted(&text), format!("{head}[REDACTED_known]{tail}"), "{length}");
            let cut = &text[..text.trim_end().len() - 1];
            assert!(length > 8 || !is_protected(cut), "{cut}");
        }
    }
}

#[test]
fn what_overlaps_goes_as_one() {
    let _name = protect_value("quillon").unwrap();
    let _both = protect_value("card 5500 0000").unwrap();
    let _letters = protect_value("AB12").unwrap();
    let cases = [
        // A rule finds more than the value, or less.
        ("to zoe.quillon@example.org!", "to [REDACTED_email]!"),
        ("quillon@example.org", "[REDACTED_email]"),
        ("my card 5500 0000 0000 0004!", "my [REDACTED_known]!"),
        // What a value cuts off is a text of its own.
        ("5500000000000004quillon", "[REDACTED_card][REDACTED_known]"),
        ("quillon5500000000000004", "[REDACTED_known][REDACTED_card]"),
        ("AB12AB12 AB1", "[REDACTED_known][REDACTED_known] AB1"),
        ("quillonquillon", "[REDACTED_known][REDACTED_known]"),
    ];
    for (text, expected) in cases {
        let once = redacted(text);
        assert_eq!(once, expected);
        assert_eq!(redacted(&once), once);
    }
}

#[test]
fn refused_are_values_that_cannot_be_told_apart() {
    for value in ["", "abc", "REDACTED", "email", "[REDACTED_card]", "TOO_DEEP", "wallet"] {
        let error = protect_value(value).unwrap_err().to_string();
        assert!(error.starts_with("not a valid value to protect: it "), "{error}");
    }
    let error = protect_environment(["NO_SUCH_VARIABLE_HERE"]).unwrap_err().to_string();
    assert!(error.contains("NO_SUCH_VARIABLE_HERE"), "{error}");
    for secret in
        ["hunter2-brass", "brassGateFour", "9BRASS", "brass gate", "QX7Q2M4XPLN5RT3WZB", "ä_GATE"]
    {
        let error = protect_environment(["PATH", secret]).unwrap_err().to_string();
        assert!(error.starts_with("AUDIT_REDACT_ENV entry 2 is no "), "{error}");
        assert!(!error.contains(secret), "{error}");
    }
    assert!(protect_environment(["none", " none "]).unwrap().is_empty());
    // `PATH` is set wherever tests run, and its name is not that of a secret.
    assert_eq!(protect_environment([" PATH "]).unwrap().len(), 1);
    assert!(!sensitive_variable_names().iter().any(|name| name == "PATH" || name == "PWD"));
}

#[test]
fn nothing_is_left_when_all_are_gone() {
    let held = |length: usize| {
        let shards = LONG_FORMS.shards.iter();
        let of = |shard: &RwLock<Vec<GramEntry>>| -> isize {
            shard
                .read()
                .iter()
                .filter(|entry| entry.length == length)
                .map(|entry| entry.count)
                .sum()
        };
        shards.map(of).sum::<isize>()
    };
    // No other test's value has this length.
    let value = "Brunhilde-of-the-north-gate".repeat(40);
    let protected = [protect_value(&value).unwrap(), protect_value(&value).unwrap()];
    assert_eq!(held(value.len()), STRIDE as isize);
    let [one, other] = protected;
    drop(one);
    assert_eq!(held(value.len()), STRIDE as isize);
    drop(other);
    assert_eq!(held(value.len()), 0);
    assert!(!form_shard(&value).read().contains_key(value.as_str()));
    for index in [&SHORT_FORMS, &LONG_FORMS] {
        for (bits, shard) in index.bits.iter().zip(&index.shards) {
            let shard = shard.read();
            let mut expected = 0;
            shard.iter().for_each(|entry| expected |= 1 << (entry.slot & 63));
            assert_eq!(bits.load(Ordering::Relaxed), expected);
            assert!(shard.iter().all(|entry| entry.count > 0));
        }
    }
}

/// If values begin alike, or one has many guards, they cost no more than others.
#[test]
fn many_values_that_are_alike() {
    let named = |n: usize| format!("Zephyrine-{n:06}");
    let guards: Vec<_> = (0..2_000).map(|n| protect_value(named(n)).unwrap()).collect();
    let again: Vec<_> = (0..500).map(|_| protect_value(named(7)).unwrap()).collect();
    assert_eq!(redacted("Zephyrine-000007,Zephyrine-002000"), "[REDACTED_known],Zephyrine-002000");
    let slot = gram_slot(b"Zeph", 0);
    let entries = SHORT_FORMS.shards[usize::from(slot >> 6)].read().len()
        + LONG_FORMS.shards[usize::from(slot >> 6)].read().len();
    assert!(entries < 100, "{entries}");
    let mut found = Vec::new();
    LONG_FORMS.scan(&named(7).repeat(100), &mut found);
    assert!(found.len() <= 200, "{}", found.len());
    drop((guards, again));
    assert!(!is_protected("Zephyrine-000007"));
}

/// One thread's values are added and removed while another's are searched.
#[test]
fn values_come_and_go_while_others_are_found() {
    let is_over = AtomicBool::new(false);
    let _own = protect_value("Perpetua Stonecrop").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..3_000 {
                let _other = protect_value(format!("Perpetua Stone{round}")).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut looks = 0;
        while looks < 10 || !is_over.load(Ordering::Relaxed) {
            assert_eq!(redacted("hello Perpetua Stonecrop"), "hello [REDACTED_known]");
            looks += 1;
        }
    });
}
