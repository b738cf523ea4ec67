//! Finds the parts of a text that placeholders replaced, from the text and its redacted form.

use super::ExplainedPart;
use crate::Kind;
use crate::placeholders::parse_placeholder;

/// A placeholder in a redacted text.
struct PlaceholderText {
    rule: &'static str,
    kind: Option<Kind>,
    bytes: usize,
}

/// Adds the parts of `given` that are placeholders in `redacted`. `given` begins at `offset` of its
/// line. Outside of placeholders both texts are equal, and a placeholder replaced one character or
/// more.
pub(super) fn add_aligned_parts(
    given: &str,
    redacted: &str,
    offset: usize,
    parts: &mut Vec<ExplainedPart>,
) {
    let mut rest = redacted;
    let mut at = 0;
    while let Some((start, placeholder)) = next_placeholder(rest) {
        // Quotes that were put around a number are not in the text.
        if given[at..].starts_with(&rest[..start]) {
            at += start;
        }
        let (text, behind) = rest[start..].split_at(placeholder.bytes);
        let next = next_placeholder(behind).map_or(behind.len(), |(start, _)| start);
        let between = &behind[..next];
        rest = behind;
        let replaced = &given[at..];
        if replaced.is_empty() {
            return;
        }
        // It was there before.
        if replaced.strip_prefix(text).is_some_and(|replaced| replaced.starts_with(between)) {
            at += text.len();
            continue;
        }
        let end = at + replaced_length(replaced, between, next == behind.len());
        parts.push(ExplainedPart {
            place: offset + at..offset + end,
            rule: placeholder.rule,
            kind: placeholder.kind,
        });
        at = end;
    }
}

/// Returns the length of the part at the beginning of `given`, before the text `between`. At least
/// one character is in it.
fn replaced_length(given: &str, between: &str, is_last: bool) -> usize {
    let first = given.chars().next().map_or(0, char::len_utf8);
    match is_last {
        true => given.strip_suffix(between).unwrap_or(given).len().max(first),
        false => given[first..].find(between).map_or(given.len(), |at| first + at),
    }
}

/// Returns the first placeholder of a text, and its beginning. The quotes around a whole value
/// belong to it, because they may not be those of the value.
fn next_placeholder(text: &str) -> Option<(usize, PlaceholderText)> {
    let mut from = 0;
    while let Some(start) = memchr::memchr(b'[', &text.as_bytes()[from..]).map(|at| from + at) {
        if let Some(mut placeholder) = placeholder_at(&text[start..]) {
            let (before, behind) = (&text[..start], &text[start + placeholder.bytes..]);
            let is_whole = matches!(placeholder.kind, Some(Kind::Key) | None)
                || before.len() + behind.len() == 2;
            let quote = quote_around(before, behind).filter(|_| is_whole).map_or(0, str::len);
            placeholder.bytes += 2 * quote;
            return Some((start - quote, placeholder));
        }
        from = start + 1;
    }
    None
}

/// Returns the quote at the end of one text if the other begins with the same, escapes included.
fn quote_around<'t>(before: &'t str, behind: &str) -> Option<&'t str> {
    let start = before.strip_suffix('"')?.trim_end_matches('\\').len();
    Some(&before[start..]).filter(|quote| behind.starts_with(quote))
}

/// Returns whether a text is a placeholder.
pub(super) fn is_placeholder(text: &str) -> bool {
    placeholder_at(text).is_some_and(|placeholder| placeholder.bytes == text.len())
}

/// Returns the placeholder at the beginning of a text.
fn placeholder_at(text: &str) -> Option<PlaceholderText> {
    const TOO_DEEP: &str = "[TOO_DEEP]";
    if text.starts_with(TOO_DEEP) {
        return Some(PlaceholderText { rule: "too_deep", kind: None, bytes: TOO_DEEP.len() });
    }
    let of_kind =
        |kind: Kind, bytes| PlaceholderText { rule: kind.name(), kind: Some(kind), bytes };
    if let Some((kind, _, bytes)) = parse_placeholder(text) {
        return Some(of_kind(kind, bytes));
    }
    // With a hash or the last four characters.
    Kind::ALL.into_iter().find_map(|kind| {
        let open = kind.placeholder().strip_suffix(']')?;
        let shown = text.strip_prefix(open)?.strip_prefix(':')?;
        let (shown, _) = shown.split_once(']')?;
        matches!(shown.len(), 4 | 8).then(|| of_kind(kind, open.len() + 1 + shown.len() + 1))
    })
}
