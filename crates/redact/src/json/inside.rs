//! Redacts JSON inside a line of text, as after the prefix that a logger or a collector writes.

use super::driver::JsonDriver;
use super::edits::{Edit, apply_edits, shortest_edit_between};
use super::is_blank_before_json;
use super::malformed::{PlaceholderQuotes, redact_malformed_text};
use super::tokens::parse_json_escape;
use crate::{Redactions, Sanitizer};

/// So many beginnings of JSON are tried in a line. Each takes time linear in its length.
const TRIES_MAX: usize = 8;
/// The text rules may complete what then parses as JSON, so both are repeated until nothing changes.
const ROUNDS_MAX: usize = 4;

/// Appends the redacted text. Objects and lists in it are redacted as JSON, and the result as text.
/// So many strings of JSON are around the text.
pub(super) fn redact_text_with_json(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    out: &mut String,
    counts: &mut Redactions,
) {
    if json_begin(text.as_bytes()).is_none() {
        return sanitizer.redact_text(text, out, counts);
    }
    let mut current = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let mut next = String::with_capacity(current.len());
        let edits = edits_inside(sanitizer, &current, depth, counts);
        let mut inside = String::with_capacity(current.len());
        apply_edits(&current, &edits, &mut inside, counts);
        sanitizer.redact_text(&inside, &mut next, counts);
        if next == current {
            break;
        }
        current = next;
    }
    out.push_str(&current);
}

/// Returns whether a text may have JSON in it after something else.
pub(super) fn may_have_json_inside(text: &str) -> bool {
    json_begin(text.as_bytes()).is_some()
}

/// Returns what [`redact_text_with_json`] replaces in a string, `depth` strings deep.
pub(super) fn find_edits_with_json(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Vec<Edit> {
    let mut keys = Redactions::default();
    let inside = edits_inside(sanitizer, text, depth, &mut keys);
    // Most texts.
    if inside.is_empty() && sanitizer.matches(text).next().is_none() {
        counts.merge(&keys);
        return inside;
    }
    let (mut whole, mut redacted) = (Redactions::default(), String::with_capacity(text.len()));
    redact_text_with_json(sanitizer, text, depth, &mut redacted, &mut whole);
    let edits = with_matches_between(sanitizer, text, inside);
    let mut again = String::with_capacity(text.len());
    apply_edits(text, &edits, &mut again, &mut Redactions::default());
    if again == redacted {
        counts.merge(&keys);
        return edits;
    }
    counts.merge(&whole);
    shortest_edit_between(text, redacted).into_iter().collect()
}

/// Returns what has to be redacted in a text that begins like JSON and is not, if every part of it is
/// JSON even so: a member of an object, a value of Python, or several values with only words between
/// them. What is left is damaged.
///
/// If a second redaction would not read it so, nothing is returned.
pub(super) fn find_edits_in_parts(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Option<Vec<Edit>> {
    let before = counts.clone();
    let edits = edits_in_parts(sanitizer, text, depth, counts)?;
    if edits.is_empty() {
        return Some(edits);
    }
    let (mut made, unused) = (String::with_capacity(text.len()), &mut Redactions::default());
    apply_edits(text, &edits, &mut made, unused);
    let again = edits_in_parts(sanitizer, &made, depth, unused);
    if again.is_some_and(|again| again.is_empty()) {
        return Some(edits);
    }
    counts.clone_from(&before);
    None
}

fn edits_in_parts(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Option<Vec<Edit>> {
    let start = text.len() - text.trim_start_matches(is_blank_before_json).len();
    let json = text[start..].trim_end().trim_end_matches(',');
    if json.starts_with('"') {
        let behind = &json[string_length(json.as_bytes())?..];
        if !behind.trim_start().starts_with(':') {
            return None;
        }
        let object = format!("{{{json}}}");
        let edits = edits_of_json(sanitizer, &object, depth, counts)?;
        // Source code has members too: `"apiKey": 26,`.
        let mut damaged = String::with_capacity(text.len());
        let quotes = PlaceholderQuotes::Kept;
        let unused = &mut Redactions::default();
        redact_malformed_text(sanitizer, text, quotes, &mut damaged, unused);
        if damaged == text {
            return Some(Vec::new());
        }
        return Some(edits.into_iter().map(|edit| edit.moved(start).moved_back(1)).collect());
    }
    if json.contains('\'') && !json.contains('"') {
        let double = with_double_quotes(json);
        let edits = edits_of_json(sanitizer, &double, depth, counts)?;
        let single = |edit: Edit| Edit { with: edit.with.replace('"', "'").into(), ..edit };
        return Some(edits.into_iter().map(|edit| single(edit).moved(start)).collect());
    }
    let (mut from, mut is_found) = (0, false);
    for _ in 0..TRIES_MAX {
        let ahead = json_begin(&text.as_bytes()[from..]);
        let gap = &text[from..ahead.map_or(text.len(), |ahead| from + ahead)];
        if gap.contains(['"', '\'']) {
            return None;
        }
        let Some(ahead) = ahead else {
            return is_found.then(|| find_edits_with_json(sanitizer, text, depth, counts));
        };
        from += ahead;
        let length = json_length(&text.as_bytes()[from..])?;
        edits_of_json(sanitizer, &text[from..from + length], depth, &mut Redactions::default())?;
        (from, is_found) = (from + length, true);
    }
    None
}

/// Returns a value of Python as JSON of the same length.
fn with_double_quotes(text: &str) -> String {
    let constants = [("True", "true"), ("False", "false"), ("None", "null")];
    let (mut double, mut rest, mut is_string) = (String::with_capacity(text.len()), text, false);
    while let Some(c) = rest.chars().next() {
        let constant = constants.iter().find(|(python, _)| !is_string && rest.starts_with(python));
        let length = match (c, constant) {
            (_, Some((python, json))) => {
                double.push_str(json);
                python.len()
            }
            ('\'', None) => {
                double.push('"');
                is_string = !is_string;
                1
            }
            ('\\', None) if rest[1..].starts_with('\'') => {
                double.push_str("\\\"");
                2
            }
            _ => {
                double.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    double
}

/// Returns these edits, and those of the rules in the text that they make.
fn with_matches_between(sanitizer: &Sanitizer, text: &str, edits: Vec<Edit>) -> Vec<Edit> {
    let mut made = String::with_capacity(text.len());
    apply_edits(text, &edits, &mut made, &mut Redactions::default());
    let (mut all, mut edits) = (Vec::new(), edits.into_iter().peekable());
    // How far a place of the new text is from that of the given one.
    let (mut grown, mut shrunk) = (0, 0);
    for found in sanitizer.matches(&made) {
        while let Some(edit) = edits.next_if(|edit| edit.start + grown < found.start + shrunk) {
            (grown, shrunk) = (grown + edit.with.len(), shrunk + edit.end - edit.start);
            push_apart(&mut all, edit);
        }
        let (Some(start), Some(end)) =
            ((found.start + shrunk).checked_sub(grown), (found.end + shrunk).checked_sub(grown))
        else {
            continue;
        };
        let with = sanitizer.placeholder(found.kind, found.of(&made)).0;
        if start <= end && text.is_char_boundary(start) && text.is_char_boundary(end) {
            push_apart(&mut all, Edit { start, end, with, kind: Some(found.kind) });
        }
    }
    edits.for_each(|edit| push_apart(&mut all, edit));
    all
}

/// Adds an edit, unless it begins in the one before it.
fn push_apart(edits: &mut Vec<Edit>, edit: Edit) {
    if edits.last().is_none_or(|last| last.end <= edit.start) {
        edits.push(edit);
    }
}

/// Returns what has to be redacted in the objects and lists in a text.
fn edits_inside(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Vec<Edit> {
    let (mut all, mut from) = (Vec::new(), 0);
    for _ in 0..TRIES_MAX {
        let Some(ahead) = json_begin(&text.as_bytes()[from..]) else { break };
        let start = from + ahead;
        from = start + 1;
        let Some(length) = json_length(&text.as_bytes()[start..]) else { continue };
        let json = &text[start..start + length];
        let Some(edits) = edits_of_json(sanitizer, json, depth, counts) else { continue };
        from = start + length;
        all.extend(edits.into_iter().map(|edit| edit.moved(start)));
    }
    all
}

/// Returns what has to be redacted in an object or a list, if it is one. A raw line end in a string
/// of it counts as a blank, as does the backslash of an unknown escape.
fn edits_of_json(
    sanitizer: &Sanitizer,
    json: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Option<Vec<Edit>> {
    /// A longer edit has text of its own, in which the line ends would be missing.
    const EDIT_BYTES_MAX: usize = 64;
    let before = counts.clone();
    if let Ok(edits) = JsonDriver::new(sanitizer, json, depth, counts).find_edits() {
        return Some(edits);
    }
    counts.clone_from(&before);
    let blank = with_blanks_for_errors(json);
    if blank == json {
        return None;
    }
    let edits = JsonDriver::new(sanitizer, &blank, depth, counts).find_edits();
    let edits = edits.ok().filter(|all| all.iter().all(|edit| edit.with.len() <= EDIT_BYTES_MAX));
    if edits.is_none() {
        counts.clone_from(&before);
    }
    edits
}

/// Returns the text with blanks in the place of what no string of JSON may have.
fn with_blanks_for_errors(json: &str) -> String {
    let (mut blank, mut at) = (String::with_capacity(json.len()), 0);
    while at < json.len() {
        let length = match json.as_bytes()[at] {
            b'\\' => parse_json_escape(&json.as_bytes()[at..]).map(|escape| escape.length),
            byte if byte.is_ascii_control() => None,
            _ => json[at..].chars().next().map(char::len_utf8),
        };
        blank.push_str(length.map_or(" ", |length| &json[at..at + length]));
        at += length.unwrap_or(1);
    }
    blank
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
            b'"' => at += string_length(&text[at - 1..])? - 1,
            _ => {}
        }
    }
    None
}

/// Returns the length of the string that begins with this quote.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)? + 1;
        if text[at - 1] == b'"' {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::STEPS;

    fn redacted(text: &str) -> String {
        let mut out = String::new();
        redact_text_with_json(&Sanitizer::default(), text, 0, &mut out, &mut Redactions::default());
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

    fn redacted_line(line: &str) -> String {
        let mut out = String::new();
        Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
        out
    }

    #[test]
    fn json_after_a_prefix_in_a_string_is_redacted_as_json() {
        let cases = [
            (r#"Result: {"password":"otter"}"#, r#"Result: {"password":"[REDACTED]"}"#),
            (
                r#"[INFO] got {"name":"LEMON_PASSWORD","value":"otter"} of a@otter.test \/"#,
                r#"[INFO] got {"name":"LEMON_PASSWORD","value":"[REDACTED]"} of [REDACTED_email] \/"#,
            ),
            (
                r#"tool {"properties":{"password":{"type":"string"}},"secret":"otter"} é"#,
                r#"tool {"properties":{"password":{"type":"string"}},"secret":"[REDACTED]"} é"#,
            ),
            ("a {\"password\":\"two\nlines\"} b", "a {\"password\":\"[REDACTED]\"} b"),
            (
                r#"x {"args":"{\"token\":\"otter\"}"} z"#,
                r#"x {"args":"{\"token\":\"[REDACTED]\"}"} z"#,
            ),
        ];
        for (given, expected) in cases {
            let line = |text: &str| serde_json::json!({ "m": text }).to_string();
            assert_eq!(redacted_line(&line(given)), line(expected));
            assert_eq!(redacted_line(&line(expected)), line(expected));
            let value = Sanitizer::default()
                .sanitize(&serde_json::json!([given]), &mut Redactions::default());
            assert_eq!(value, serde_json::json!([expected]));
        }
    }

    #[test]
    fn what_is_json_in_parts_keeps_its_schemas() {
        for stays in [
            r#"{"properties": {"password": {"type": "string"}}},"#,
            r#"  "password": {"type": "string"},"#,
            r#"{"token":" and","logprob":-0.5}{"token":" or","logprob":-0.5}"#,
            r#"  "logprobs": {"content": [{"token": " and", "logprob": -0.01}]},"#,
            "{'token': ' and', 'logprob': -0.01, 'x': None}",
            r#"  "tough-cookie": "^5.0.0","#,
            r#"{"m":"```json\n{\"properties\": {\"password\": {\"type\": \"string\"}}}\n```"}"#,
            r#""access_token".to_owned() => Kind::Access,"#,
            r#""""Is called for every "token" request.""""#,
            r#""id";"password";"email""#,
        ] {
            assert_eq!(redacted_line(stays), stays);
        }
        let cases = [
            (
                r#"{"token":" and","logprob":-0.5} {"token":"otter"}"#,
                r#"{"token":" and","logprob":-0.5} {"token":"[REDACTED]"}"#,
            ),
            (
                r#"  "password": {"type": "string", "value": "otter"},"#,
                r#"  "password": "[REDACTED]","#,
            ),
            ("{'password': 'otter', 'x': [True]}", "{'password': '[REDACTED]', 'x': [True]}"),
            (r#"{"password": {"type": "string"}, "x"#, r#"{"password": "[REDACTED]", "x"#),
        ];
        for (given, expected) in cases {
            assert_eq!(redacted_line(given), expected);
            assert_eq!(redacted_line(expected), expected);
        }
    }

    #[test]
    fn what_overlaps_is_redacted_once() {
        let line = r#"{"":"{secret:\"\hOtter\\\"\\ord\"}"}"#;
        let once = redacted_line(line);
        assert!(!once.contains("Otter"), "{once}");
        assert_eq!(redacted_line(&once), once);
    }

    #[test]
    fn json_beside_text_is_not_read_again_in_each_string_around_it() {
        let mut text = r#"x {"password":"otter"} "#.repeat(40);
        for _ in 0..6 {
            text = format!("{{\"a\":{}}} x {{\"b\":\"c\"}}", serde_json::json!(text));
        }
        let before = STEPS.get();
        redacted_line(&text);
        let steps = STEPS.get() - before;
        assert!(steps < 100 * text.len(), "{steps} steps for {} bytes", text.len());
    }

    #[test]
    fn what_is_outside_of_placeholders_keeps_its_spelling() {
        let line = r#"{"m":"a\/b \u00e9 {\"password\":\"otter\",\"x\":\"\u00e9\/\"}"}"#;
        let expected = line.replace("otter", "[REDACTED]");
        assert_eq!(redacted_line(line), expected);
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
            let once = redacted_line(&serde_json::json!({ "m": text }).to_string());
            assert_eq!(redacted_line(&once), once, "{text}");
        }
    }
}
