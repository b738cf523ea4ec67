//! Stand-in.

use super::{Kind, Redactions, Sanitizer};

/// What a key says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyClass {
    Plain,
    Sensitive,
    Logprobs,
}

pub(crate) fn classify(key: &str, below_logprobs: bool) -> KeyClass {
    let lower = key.to_ascii_lowercase();
    match lower.as_str() {
        "logprobs" | "top_logprobs" => KeyClass::Logprobs,
        "token" if below_logprobs => KeyClass::Plain,
        "password" | "secret" | "token" | "api_key" | "authorization" | "cookie" => {
            KeyClass::Sensitive
        }
        _ => KeyClass::Plain,
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyNumbers {
    emails: u32,
}

impl KeyNumbers {
    pub(crate) fn write_key(
        &mut self,
        sanitizer: &Sanitizer,
        key: &str,
        counts: &mut Redactions,
        put: &mut dyn FnMut(&str),
    ) {
        let mut from = 0;
        for found in sanitizer.matches(key) {
            put(&key[from..found.start]);
            counts.add(found.kind);
            self.emails += 1;
            if found.kind == Kind::Email && self.emails > 1 {
                put(&format!("[REDACTED_email_{}]", self.emails));
            } else {
                put(found.kind.placeholder());
            }
            from = found.end;
        }
        put(&key[from..]);
    }
}
