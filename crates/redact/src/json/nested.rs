//! Redacts JSON in a string, and what is nearly JSON.

use std::borrow::Cow;

use super::driver::JsonDriver;
use super::edits::{Edit, apply_edits, shortest_edit_between};
use super::inside::{find_edits_in_parts, find_edits_with_json, may_have_json_inside};
use super::is_blank_before_json;
use super::malformed::{self, PlaceholderQuotes};
use crate::keys::{KeyClass, MANIFEST_KIND};
use crate::looks::is_secret_type;
use crate::walk::Secrecy;
use crate::{Redactions, Sanitizer};

/// The depth to which JSON in a string of JSON is redacted as JSON. Below it is redacted as text.
pub(super) const NESTED_MAX: usize = 3;
/// The depth to which JSON beside other text is redacted as JSON. It is read several times, and so is
/// all that is nested in it.
const INSIDE_MAX: usize = 1;

/// Redacts a string that is itself JSON, so that it stays JSON. A string that begins like JSON but
/// does not parse is redacted as such a line is. JSON after a prefix is redacted as JSON. Returns
/// `None` if the string is neither, or if the text rules find as much.
pub fn redact_nested<'t>(
    sanitizer: &Sanitizer,
    text: &'t str,
    counts: &mut Redactions,
) -> Option<Cow<'t, str>> {
    let edits = find_nested_edits(sanitizer, text, 1, counts)?.edits;
    if edits.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    apply_edits(text, &edits, &mut out, counts);
    Some(out.into())
}

/// What has to be redacted in a string that begins like JSON.
pub(super) struct NestedEdits {
    pub(super) edits: Vec<Edit>,
    pub(super) is_json: bool,
}

/// Returns what [`redact_nested`] replaces, `depth` strings deep.
pub(super) fn find_nested_edits(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Option<NestedEdits> {
    if depth > NESTED_MAX {
        return None;
    }
    let json = text.trim_start_matches(is_blank_before_json);
    let begins = json.starts_with(['{', '[', '"', '`']);
    if !begins {
        return json_after_prefix(sanitizer, text, depth, counts);
    }
    if !must_read_nested_json(sanitizer, json) {
        return None;
    }
    let before = counts.clone();
    if let Ok(edits) = JsonDriver::new(sanitizer, json, depth, counts).find_edits() {
        let offset = text.len() - json.len();
        let edits = edits.into_iter().map(|edit| edit.moved(offset)).collect();
        return Some(NestedEdits { edits, is_json: true });
    }
    counts.clone_from(&before);
    if depth <= INSIDE_MAX
        && let Some(edits) = find_edits_in_parts(sanitizer, text, depth, counts)
    {
        return Some(NestedEdits { edits, is_json: false });
    }
    counts.clone_from(&before);
    // Prose is quoted and bracketed too: `[INST]`, `"Hello," she said`.
    let opens = |c: char| c.is_whitespace() || matches!(c, '[' | '{' | '`' | '"');
    // A placeholder says nothing: before it was put there, another text followed the bracket.
    let is_list = json
        .strip_prefix('[')
        .is_some_and(|rest| rest.starts_with(opens) && !rest.starts_with("[REDACTED"));
    if !is_list && !json.starts_with(['{', '`']) {
        return json_after_prefix(sanitizer, text, depth, counts);
    }
    let mut redacted = String::with_capacity(text.len());
    malformed::redact_malformed_text(
        sanitizer,
        text,
        PlaceholderQuotes::Kept,
        &mut redacted,
        counts,
    );
    Some(NestedEdits {
        edits: shortest_edit_between(text, redacted).into_iter().collect(),
        is_json: false,
    })
}

/// Returns what has to be redacted in a string that has JSON after a prefix.
fn json_after_prefix(
    sanitizer: &Sanitizer,
    text: &str,
    depth: usize,
    counts: &mut Redactions,
) -> Option<NestedEdits> {
    // A name alone makes nothing of what is beside other text a secret: a rule has to match, too.
    if depth > INSIDE_MAX || !may_have_json_inside(text) || sanitizer.find(text).is_none() {
        return None;
    }
    let edits = find_edits_with_json(sanitizer, text, depth, counts);
    Some(NestedEdits { edits, is_json: false })
}

/// Returns whether a text that may be JSON has to be examined as JSON. That is so if a key in it
/// decides on a value, if it has an escape sequence, or if a rule matches. The match may be a
/// number.
fn must_read_nested_json(sanitizer: &Sanitizer, text: &str) -> bool {
    let bytes = text.as_bytes();
    if memchr::memchr(b'\\', bytes).is_some() {
        return true;
    }
    // Any two quotes may enclose something, because what is nearly JSON has other quotes too.
    let (mut begin, mut names) = (0, false);
    let decides = memchr::memchr2_iter(b'"', b'\'', bytes).any(|at| {
        let start = std::mem::replace(&mut begin, at + 1);
        let string = &text[start..at];
        if bytes[at + 1..].trim_ascii_start().first() == Some(&b':') {
            let class = sanitizer.classify(string);
            names = class == KeyClass::Name || matches!(string, "type" | "Type");
            return class.is_secret()
                || matches!(class, KeyClass::Flag | KeyClass::VariableFlag | KeyClass::Field)
                || matches!(class, KeyClass::Card | KeyClass::Headers | KeyClass::Formed(_));
        }
        if string == MANIFEST_KIND {
            return true;
        }
        if string.trim_ascii() == ":" {
            return false;
        }
        // Of a member, or of a pair in a list.
        let is_first = || bytes[..start.saturating_sub(1)].trim_ascii_end().last() == Some(&b'[');
        if string.starts_with("-p") || string.len() == 2 && string.starts_with('-') {
            return true;
        }
        let may_be_name = std::mem::take(&mut names) || string.starts_with('-') || is_first();
        may_be_name && (sanitizer.secrecy(string) != Secrecy::None || is_secret_type(string))
    });
    decides || sanitizer.may_match(text)
}
