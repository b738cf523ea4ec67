//! Redacts a line that begins as JSON does.

mod driver;
mod edits;
mod malformed;
mod nested;
mod spelling;
mod tokens;

use driver::JsonDriver;
use edits::apply;
use malformed::Quotes;
pub use nested::redact_nested;
use tokens::Malformed;

use super::{Redactions, Sanitizer};

/// Containers more than this many levels deep are not written; the outermost is level 1.
pub(super) const DEPTH_MAX: usize = 128;

/// What [`Sanitizer::redact_line`] took a line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineKind {
    /// It parsed as JSON.
    Json,
    /// It does not begin as JSON does.
    Text,
    /// It begins as JSON does, but does not parse: to be reported.
    NotQuiteJson,
}

impl Sanitizer {
    /// Appends the redacted line to `out`, adds to `counts` what was redacted, and says what the
    /// line was taken for. `line` is without its newline.
    ///
    /// A line whose first character, white space and a byte order mark aside, is `{`, `[` or `"` is
    /// JSON. Its strings and keys are redacted as they read decoded; keys that redact alike are
    /// numbered; numbers keep their spelling; containers more than 128 levels deep become
    /// `"[TOO_DEEP]"`. Where it does not parse, the text rules run over it, as it stands and as its
    /// strings read decoded, and the value behind every quoted sensitive key goes. Any other line is
    /// text.
    pub fn redact_line(&self, line: &str, out: &mut String, counts: &mut Redactions) -> LineKind {
        redact_line(self, line, out, counts)
    }
}

fn redact_line(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) -> LineKind {
    if !begins_as_json(line) {
        let start = out.len();
        sanitizer.redact_text(line, out, counts);
        if begins_as_json(&out[start..]) {
            // A placeholder stands first now, and its bracket would have a second redaction take
            // the line for JSON: it is redacted as that at once.
            let text = out.split_off(start);
            redact_malformed(sanitizer, &text, out, counts);
        }
        return LineKind::Text;
    }
    if redact_json(sanitizer, line, out, counts).is_ok() {
        return LineKind::Json;
    }
    redact_malformed(sanitizer, line, out, counts);
    LineKind::NotQuiteJson
}

fn begins_as_json(line: &str) -> bool {
    line.trim_start_matches(is_blank).starts_with(['{', '[', '"'])
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{FEFF}'
}

/// Redacts a line that does not parse. Losing a value may be what makes it parse: then it is
/// redacted as JSON besides, as a second redaction would.
fn redact_malformed(sanitizer: &Sanitizer, line: &str, out: &mut String, counts: &mut Redactions) {
    let mut mended = String::with_capacity(line.len());
    malformed::redact(sanitizer, line, Quotes::Put, &mut mended, counts);
    if redact_json(sanitizer, &mended, out, counts).is_err() {
        out.push_str(&mended);
    }
}

/// Appends the redacted line; nothing when it turns out not to be JSON.
fn redact_json(
    sanitizer: &Sanitizer,
    line: &str,
    out: &mut String,
    counts: &mut Redactions,
) -> Result<(), Malformed> {
    let json = line.strip_prefix('\u{FEFF}').unwrap_or(line);
    let before = counts.clone();
    let edits =
        JsonDriver::new(sanitizer, json, 0, counts).edits().inspect_err(|_| *counts = before)?;
    out.push_str(&line[..line.len() - json.len()]);
    apply(json, &edits, out, counts);
    Ok(())
}
