//! Redacts JSON inside a line of text, as after the prefix that a logger or a collector writes.

use super::driver::JsonDriver;
use super::edits::apply_edits;
use crate::{Redactions, Sanitizer};

/// So many beginnings of JSON are tried in a line. Each takes time linear in its length.
const TRIES_MAX: usize = 8;
/// The text rules may complete what then parses as JSON, so both are repeated until nothing changes.
const ROUNDS_MAX: usize = 4;

/// Appends the redacted text. Objects and lists in it are redacted as JSON, and the result as text.
pub(super) fn redact_text_with_json(
    sanitizer: &Sanitizer,
    text: &str,
    out: &mut String,
    counts: &mut Redactions,
) {
    if json_begin(text.as_bytes()).is_none() {
        return sanitizer.redact_text(text, out, counts);
    }
    let mut current = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let mut next = String::with_capacity(current.len());
        let inside = redact_json_inside(sanitizer, &current, counts);
        sanitizer.redact_text(inside.as_deref().unwrap_or(&current), &mut next, counts);
        if next == current {
            break;
        }
        current = next;
    }
    out.push_str(&current);
}

/// Returns the text with its objects and lists redacted as JSON, or `None` if that changes nothing.
fn redact_json_inside(
    sanitizer: &Sanitizer,
    text: &str,
    counts: &mut Redactions,
) -> Option<String> {
    let (mut out, mut copied, mut from) = (String::new(), 0, 0);
    for _ in 0..TRIES_MAX {
        let Some(ahead) = json_begin(&text.as_bytes()[from..]) else { break };
        let start = from + ahead;
        from = start + 1;
        let Some(length) = json_length(&text.as_bytes()[start..]) else { continue };
        let json = &text[start..start + length];
        let before = counts.clone();
        let Ok(edits) = JsonDriver::new(sanitizer, json, 0, counts).find_edits() else {
            *counts = before;
            continue;
        };
        from = start + length;
        if !edits.is_empty() {
            out.push_str(&text[copied..start]);
            apply_edits(json, &edits, &mut out, counts);
            copied = from;
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

/// Returns the place of the first bracket that may open an object or a list with something in it.
fn json_begin(text: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'{', b'[', text).find(|&at| {
        let behind = text[at + 1..].trim_ascii_start().first();
        matches!((text[at], behind), (b'{', Some(b'"')) | (b'[', Some(b'"' | b'{' | b'[')))
    })
}

/// Returns the length up to the bracket that closes the first one.
fn json_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at),
            b'}' | b']' => depth -= 1,
            b'"' => loop {
                at += memchr::memchr2(b'"', b'\\', text.get(at..)?)? + 1;
                if text[at - 1] == b'"' {
                    break;
                }
                at += 1;
            },
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let mut out = String::new();
        redact_text_with_json(&Sanitizer::default(), text, &mut out, &mut Redactions::default());
        out
    }

    #[test]
    fn json_after_a_prefix_is_redacted_as_json() {
        let cases = [
            (
                r#"INFO env {"name":"LEMON_PASSWORD","value":"otter-S3"}"#,
                r#"INFO env {"name":"LEMON_PASSWORD","value":"[REDACTED]"}"#,
            ),
            (
                r#"agent-1 | {"password":{"hidden":true,"type":"string","value":"otter"}} in 5 ms"#,
                r#"agent-1 | {"password":"[REDACTED]"} in 5 ms"#,
            ),
            (
                r#"data: [{"key":"api_key","value":"otter"}], then {"token":"lemon"}"#,
                r#"data: [{"key":"api_key","value":"[REDACTED]"}], then {"token":"[REDACTED]"}"#,
            ),
            (
                r#"x {"properties":{"password":{"type":"string"}},"mail":"a@otter.test"}"#,
                r#"x {"properties":{"password":{"type":"string"}},"mail":"[REDACTED_email]"}"#,
            ),
            (r#"{x [y] {"open": ["#, r#"{x [y] {"open": ["#),
        ];
        for (given, expected) in cases {
            assert_eq!(redacted(given), expected);
            assert_eq!(redacted(expected), expected);
        }
    }

    #[test]
    fn redacting_twice_changes_nothing() {
        let parts = [
            "{\"",
            "\":",
            "\"",
            "}",
            "[",
            "]",
            "{",
            " ",
            "a",
            "password",
            "value",
            "name",
            ",",
            "\\",
            "4111111111111111",
            "k@otter.test",
            "token=",
            "hunter2x9",
            "\"type\":\"string\"",
            "[REDACTED]",
        ];
        let mut rng = fastrand::Rng::with_seed(33);
        for _ in 0..20_000 {
            let part = |_| parts[rng.usize(..parts.len())];
            let text: String = ["x "].into_iter().chain((0..14).map(part)).collect();
            let once = redacted(&text);
            assert_eq!(redacted(&once), once, "{text}");
        }
    }
}
