//! Edits of a text: what is replaced, and by what.

use std::borrow::Cow;
use std::ops::Range;

use super::tokens::parse_json_escape;
use crate::{Kind, Redactions, Sanitizer};

/// A part of a text, and its replacement.
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) with: Cow<'static, str>,
    /// The kind that is counted, if any.
    pub(super) kind: Option<Kind>,
}

impl Edit {
    /// Returns the same edit in a text in which its own begins at `offset`.
    pub(super) fn moved(self, offset: usize) -> Self {
        Self { start: self.start + offset, end: self.end + offset, ..self }
    }

    /// Returns the same edit in a text without the first `bytes`.
    pub(super) fn moved_back(self, bytes: usize) -> Self {
        Self { start: self.start - bytes, end: self.end - bytes, ..self }
    }
}

pub(super) fn apply_edits(text: &str, edits: &[Edit], out: &mut String, counts: &mut Redactions) {
    let mut copied = 0;
    for edit in edits {
        out.push_str(&text[copied..edit.start]);
        out.push_str(&edit.with);
        copied = edit.end;
        edit.kind.into_iter().for_each(|kind| counts.add(kind));
    }
    out.push_str(&text[copied..]);
}

/// Returns the shortest edit that makes one text of another. It is counted already.
pub(super) fn shortest_edit_between(text: &str, other: String) -> Option<Edit> {
    let same = |(a, b): (char, char)| (a == b).then_some(a.len_utf8());
    let start: usize = text.chars().zip(other.chars()).map_while(same).sum();
    let (rest, with) = (&text[start..], &other[start..]);
    let behind: usize = rest.chars().rev().zip(with.chars().rev()).map_while(same).sum();
    let with = with[..with.len() - behind].to_owned();
    let (end, kind) = (text.len() - behind, None);
    (text != other).then(|| Edit { start, end, with: with.into(), kind })
}

/// Adds what the rules find in the inside of a string as it is spelled, outside of the edits in it.
/// If a match contains an escape sequence in part, the whole sequence is replaced, because the
/// rules read it as letters.
pub(super) fn add_raw_edits(
    sanitizer: &Sanitizer,
    text: &str,
    string: Range<usize>,
    edits: &mut Vec<Edit>,
) {
    let mut all = Vec::new();
    for gap in gaps_between_edits(string, edits) {
        let mut from = gap.start;
        for found in sanitizer.matches(&text[gap.clone()]) {
            let (start, end) = (gap.start + found.start, gap.start + found.end);
            let with = sanitizer.placeholder(found.kind, &text[start..end]).0;
            let start =
                escape_around_edit(text, start).map_or(start, |escape| escape.start).max(from);
            let end = escape_around_edit(text, end).map_or(end, |escape| escape.end).min(gap.end);
            all.push(Edit { start, end, with, kind: Some(found.kind) });
            from = end;
        }
    }
    edits.append(&mut all);
    edits.sort_by_key(|edit| edit.start);
}

/// Returns what is between the edits in a part of a text.
pub(super) fn gaps_between_edits(
    part: Range<usize>,
    edits: &[Edit],
) -> impl Iterator<Item = Range<usize>> {
    let starts = [part.start].into_iter().chain(edits.iter().map(|edit| edit.end));
    let ends = edits.iter().map(|edit| edit.start).chain([part.end]);
    starts.zip(ends).map(|(start, end)| start..end)
}

/// Returns the escape sequence around this place, if there is one.
pub(super) fn escape_around_edit(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // `\u` and four digits is the longest.
    let start = (at.saturating_sub(5)..at).rev().find(|&start| bytes[start] == b'\\')?;
    let behind = bytes[..start].iter().rev().take_while(|&&byte| byte == b'\\').count();
    let start = if behind % 2 == 0 { start } else { start - 1 };
    let end = start + parse_json_escape(&bytes[start..])?.length;
    (end > at).then_some(start..end)
}
