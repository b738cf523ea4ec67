//! A redacted line of JSON: it is JSON of the same shape, in its strings too. Redacting it again
//! changes nothing, and what is under a sensitive key is gone.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llm_audit::Sanitizer;
use llm_audit::sanitize::{LineKind, Redactions};
use llm_audit_fuzz::{Json, Text};
use serde_json::{Value, json};

const KEYS: [&str; 6] = ["password", "secret", "token", "api_key", "authorization", "cookie"];
const PLANTED: &str = "zq-planted-qz";

#[derive(Arbitrary, Debug)]
struct Input {
    key: u8,
    /// Which letters of the key are capitals.
    capitals: u16,
    /// How many strings of JSON the value is wrapped in, one inside of the other.
    levels: u8,
    text: Text,
    value: Json,
}

impl Input {
    /// A sensitive key in some mixture of cases.
    fn key(&self) -> String {
        let cased = |(at, c): (usize, char)| {
            if self.capitals >> at & 1 == 1 { c.to_ascii_uppercase() } else { c }
        };
        KEYS[usize::from(self.key) % KEYS.len()].chars().enumerate().map(cased).collect()
    }

    fn line(&self) -> Value {
        let planted = format!("{}{PLANTED}{}", self.text.0, self.text.0);
        let nested = json!({"value": self.value, self.key(): planted, "text": self.text});
        let nested = (0..self.levels()).fold(nested, |value, _| Value::String(value.to_string()));
        json!({"value": self.value, self.key(): {"deep": [planted, PLANTED, 1]}, "text": self.text,
            "nested": nested})
    }

    fn levels(&self) -> u8 {
        1 + self.levels % 3
    }
}

/// Keys may be redacted, strings too, and any value may be gone whole; nothing else may change.
fn same_shape(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (_, Value::String(after)) if after == "[REDACTED]" => {
            !matches!(before, Value::Null | Value::Bool(_))
        }
        (Value::String(_), Value::String(_)) => true,
        // Of a card, or of what is a text further out.
        (Value::Number(_), Value::String(after)) => after.starts_with("[REDACTED_"),
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| same_shape(before, after))
        }
        (Value::Object(before), Value::Object(after)) => {
            before.len() == after.len()
                && before.values().zip(after.values()).all(|(b, a)| same_shape(b, a))
        }
        _ => before == after,
    }
}

fn redact(line: &str) -> String {
    let (mut redacted, mut counts) = (String::new(), Redactions::default());
    let sanitizer = Sanitizer::default();
    let kind = sanitizer.redact_line(line, &mut redacted, &mut counts);
    assert_eq!(kind, LineKind::Json, "{line}");
    let findings = sanitizer.explain_line(line, &redacted);
    assert!(findings.is_sorted_by(|a, b| a.offset < b.offset), "{line}: {findings:?}");
    assert_eq!(findings.is_empty(), counts.total() == 0, "{line} became {redacted}");
    assert!(!format!("{findings:?}").contains(PLANTED), "{findings:?}");
    redacted
}

fuzz_target!(|input: Input| {
    // A key with the planted text hides nothing, and may stay.
    let given = json!([input.value, input.text]).to_string();
    if given.contains(PLANTED) {
        return;
    }
    let line = input.line().to_string();
    // Read back, as the answer is: serde_json's floats need not survive that to the last bit.
    let before: Value = serde_json::from_str(&line).expect("serde_json reads what it wrote");
    let redacted = redact(&line);
    let after: Value = serde_json::from_str(&redacted)
        .unwrap_or_else(|error| panic!("{line} became {redacted}: {error}"));
    assert!(same_shape(&before, &after), "{line} became {redacted}");
    let inside = |line: &Value| {
        (0..input.levels()).fold(line["nested"].clone(), |value, _| {
            let text = value.as_str().unwrap_or_else(|| panic!("{line} became {redacted}"));
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{redacted}: {error}: {text}"))
        })
    };
    assert!(same_shape(&inside(&before), &inside(&after)), "{line} became {redacted}");
    assert!(!redacted.contains(PLANTED), "{line} became {redacted}");
    assert_eq!(redact(&redacted), redacted, "redacted twice, from {line}");
});
