//! Redacts a line that begins like JSON.

mod ahead;
mod driver;
mod edits;
mod explained;
mod inside;
mod malformed;
mod nested;
mod readings;
mod spelling;
mod tokens;

use driver::JsonDriver;
use edits::apply_edits;
pub(crate) use explained::{JsonCause, json_causes, replaced_json_parts};
use malformed::PlaceholderQuotes;
pub use nested::redact_nested;
pub use spelling::mend_lone_surrogates;
use tokens::MalformedJson;

use super::{Redactions, Sanitizer};

/// Containers more than this many levels deep are not written. The outermost is level 1.
pub(super) const DEPTH_MAX: usize = 128;

/// The form that [`Sanitizer::redact_line`] took a line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineKind {
    /// It parsed as JSON.
    Json,
    /// It does not begin like JSON.
    Text,
    /// It begins like JSON, but does not parse. The caller should report it.
    NotQuiteJson,
}

impl Sanitizer {
    /// Appends the redacted line to `out`, adds to `counts` what was redacted, and returns what the
    /// line was taken for. `line` is without its newline.
    ///
    /// A line is JSON if its first character is `{`, `[` or `"`, after white space and a byte order
    /// mark. Its strings and keys are redacted by their decoded text. If keys redact alike, they
    /// are numbered. Numbers keep their spelling. Containers more than 128 levels deep become
    /// `"[TOO_DEEP]"`.
    ///
    /// Members of an object, a value of Python, and several values with words between them are redacted
    /// as JSON too. If a line is none of these, the text rules run over it, as it is spelled and as its
    /// strings read decoded. The value after every quoted sensitive key is redacted too. Any other
    /// line is text. Objects and lists of JSON inside it are redacted as JSON first.
    pub fn redact_line(&self, line: &str, out: &mut String, counts: &mut Redactions) -> LineKind {
        redact_json_or_text_line(self, line, out, counts)
    }
}

fn redact_json_or_text_line(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) -> LineKind {
    if !begins_as_json_line(line) {
        let start = out.len();
        inside::redact_text_with_json(sanitizer, line, 0, out, counts);
        if begins_as_json_line(&out[start..]) {
            // A placeholder is first now. A second redaction would take its bracket for the
            // beginning of JSON, so the line is redacted as JSON at once.
            let text = out.split_off(start);
            redact_malformed_line(sanitizer, &text, out, counts);
        }
        return LineKind::Text;
    }
    if redact_json_line(sanitizer, line, out, counts).is_ok() {
        return LineKind::Json;
    }
    match inside::find_edits_in_parts(sanitizer, line, 0, counts) {
        Some(edits) => apply_edits(line, &edits, out, counts),
        None => redact_malformed_line(sanitizer, line, out, counts),
    }
    LineKind::NotQuiteJson
}

fn begins_as_json_line(line: &str) -> bool {
    line.trim_start_matches(is_blank_before_json).starts_with(['{', '[', '"'])
}

fn is_blank_before_json(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{FEFF}'
}

/// Redacts a line that does not parse. If the line parses after it lost a value, it is redacted as
/// JSON besides, as a second redaction would.
fn redact_malformed_line(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) {
    /// A placeholder may give the text beside it another meaning, for a second redaction too.
    const ROUNDS_MAX: usize = 4;
    let mut mended = line.to_owned();
    for _ in 0..ROUNDS_MAX {
        let mut next = String::with_capacity(mended.len());
        let quotes = PlaceholderQuotes::Put;
        malformed::redact_malformed_text(sanitizer, &mended, quotes, &mut next, counts);
        if next == mended {
            break;
        }
        mended = next;
    }
    if redact_json_line(sanitizer, &mended, out, counts).is_err() {
        out.push_str(&mended);
    }
}

/// Appends the redacted line, or nothing if it turns out not to be JSON.
fn redact_json_line(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) -> Result<(), MalformedJson> {
    let json = line.strip_prefix('\u{FEFF}').unwrap_or(line);
    let before = counts.clone();
    let edits = JsonDriver::new(sanitizer, json, 0, counts)
        .find_edits()
        .inspect_err(|_| *counts = before)?;
    out.push_str(&line[..line.len() - json.len()]);
    apply_edits(json, &edits, out, counts);
    Ok(())
}

#[cfg(test)]
mod tests;
