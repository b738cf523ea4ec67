//! The floor rules, run one after the other by `regex`: a redactor as a short script has it.
//!
//! This file is separate from the rest of `common`, because only some benches need `regex`.

use std::borrow::Cow;

use regex::Regex;

/// The floor rules and the placeholders for their matches, in the order in which they run.
pub struct Sequential([(Regex, &'static str); 4]);

impl Sequential {
    pub fn new() -> Self {
        let rule = |rule: &str| Regex::new(rule).expect("a valid rule");
        Self([
            (rule(r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"), "[REDACTED_email]"),
            (rule(r"\b\d{4}[\s-]?\d{4}[\s-]?\d{4}[\s-]?\d{4}\b"), "[REDACTED_card]"),
            (rule(r"eyJ[a-zA-Z0-9_-]+\.eyJ[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+"), "[REDACTED_jwt]"),
            (rule(r"AKIA[0-9A-Z]{16}"), "[REDACTED_aws_key]"),
        ])
    }

    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for (rule, placeholder) in &self.0 {
            if let Cow::Owned(redacted) = rule.replace_all(&text, *placeholder) {
                text = Cow::Owned(redacted);
            }
        }
        text
    }
}
