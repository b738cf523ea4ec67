//! Redacts one string while copying it, and cuts it if it is too long.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::PARTS;
use super::serializer::Encoder;
use super::sink::EncodeFailed;
use crate::sanitize::{
    Fate, Match, Matches, Sanitizer, floor_char_boundary, may_begin_json, redact_nested,
};

impl Encoder<'_, '_> {
    /// Writes one string, redacted, of which at most `cap` bytes are kept.
    ///
    /// If it is cut, `[TRUNCATED:n]` follows; n counts the bytes of `text` that are not shown. A
    /// match or a character that does not fit whole is left out whole.
    #[inline]
    pub(super) fn write_text(&mut self, text: &str, cap: usize) -> Result<(), EncodeFailed> {
        self.text_start = self.sink.chain.len();
        let is_left_to_rules =
            !self.is_user && self.slot.fate() == Fate::Read && !self.slot.takes_note(text);
        if is_left_to_rules
            && text.len() <= cap
            && !may_begin_json(text)
            && self.sanitizer.is_plainly_clean(text)
        {
            return self.sink.put_string(text);
        }
        self.write_text_to_read(text, cap)
    }

    /// Writes one string that is not plainly clean.
    #[inline(never)]
    fn write_text_to_read(&mut self, text: &str, cap: usize) -> Result<(), EncodeFailed> {
        if self.is_user && self.write_user_name(text)? {
            return Ok(());
        }
        if (self.slot.fate() != Fate::Read || self.slot.takes_note(text))
            && self.redact_by_slot(text)?
        {
            return Ok(());
        }
        if (self.slot.is_allowed() || self.slot.explains_digits(text))
            && text.len() <= cap
            && self.slot.leaves(self.sanitizer, text)
        {
            return self.sink.put_string(text);
        }
        let may_be_json = may_begin_json(text);
        if may_be_json && let Some(redacted) = redact_nested(self.sanitizer, text, self.counts) {
            return self.write_redacted_json(&redacted, cap);
        }
        let matches = self.sanitizer.find(text);
        // Any other text may have JSON inside, if a rule matches in it.
        if !may_be_json
            && matches.is_some()
            && let Some(redacted) = redact_nested(self.sanitizer, text, self.counts)
        {
            return self.write_redacted_json(&redacted, cap);
        }
        self.write_plain_text(text, cap, matches)
    }

    /// Writes the hash of a personal id. Returns `false` if the id can be shown.
    #[cold]
    fn write_user_name(&mut self, id: &str) -> Result<bool, EncodeFailed> {
        match self.user_names.map(|names| names.name(id)) {
            Some(Cow::Owned(name)) => self.sink.put_string(&name).map(|()| true),
            _ => Ok(false),
        }
    }

    fn write_redacted_json(&mut self, redacted: &str, cap: usize) -> Result<(), EncodeFailed> {
        match redacted.len() <= cap {
            true => self.sink.put_string(redacted),
            false => self.write_plain_text(redacted, cap, self.sanitizer.find(redacted)),
        }
    }

    /// Writes one string, redacted, even if it spells JSON. `matches` are those of the text.
    #[inline]
    fn write_plain_text(
        &mut self,
        text: &str,
        cap: usize,
        matches: Option<Matches<'_>>,
    ) -> Result<(), EncodeFailed> {
        let may_be_whole = text.len() <= cap;
        if may_be_whole && matches.is_none() {
            return self.sink.put_string(text);
        }
        self.write_text_to_check(text, cap, matches)
    }

    /// Writes a string that may contain a match or may be too long.
    fn write_text_to_check(
        &mut self,
        text: &str,
        cap: usize,
        mut matches: Option<Matches<'_>>,
    ) -> Result<(), EncodeFailed> {
        let may_be_whole = text.len() <= cap;
        let first = matches.as_mut().filter(|_| may_be_whole).and_then(Iterator::next);
        if may_be_whole && first.is_none() {
            return self.sink.put_string(text);
        }
        match text_cut_index(self.sanitizer, text, cap) {
            None => self.write_redacted_text(
                text,
                first.into_iter().chain(matches.into_iter().flatten()),
                "",
            ),
            Some(end) => self.write_cut_text(text, end),
        }
    }

    /// Writes `text` with its matches replaced, and `marker` after it.
    fn write_redacted_text(
        &mut self,
        text: &str,
        matches: impl Iterator<Item = Match>,
        marker: &str,
    ) -> Result<(), EncodeFailed> {
        self.sink.put(&[PARTS])?;
        let mut from = 0;
        for found in matches {
            self.counts.add(found.kind);
            self.sink.put_string_part(&text[from..found.start])?;
            self.sink
                .put_string_part(self.sanitizer.placeholder(found.kind, found.of(text)).as_str())?;
            from = found.end;
        }
        self.sink.put_string_part(&text[from..])?;
        self.sink.put_string_part(marker)?;
        self.sink.put(&[0])
    }

    /// Writes `text` up to `end`, which must not be inside a match.
    ///
    /// The kept part is redacted as a text of its own, because the cut is a new word boundary and
    /// may have made a match. Such a match ends at the cut. So it either leaves an earlier match
    /// whole or covers it whole.
    #[cold]
    fn write_cut_text(&mut self, text: &str, end: usize) -> Result<(), EncodeFailed> {
        self.outcome.truncated = true;
        let marker = DisplayText::new(format_args!("[TRUNCATED:{}]", text.len() - end))?;
        let kept = &text[..end];
        self.write_redacted_text(kept, self.sanitizer.matches(kept), marker.as_str())
    }
}

/// Returns the index at which `text` must end so that its redacted form has at most `cap` bytes.
/// Returns `None` if it need not be cut. Nothing after the cut is read.
fn text_cut_index(sanitizer: &Sanitizer, text: &str, cap: usize) -> Option<usize> {
    if cap == usize::MAX {
        return None;
    }
    let (mut room, mut from) = (cap, 0);
    for found in sanitizer.matches(text) {
        if found.start - from > room {
            break;
        }
        let piece =
            found.start - from + sanitizer.placeholder(found.kind, found.of(text)).as_str().len();
        if piece > room {
            return Some(found.start);
        }
        room -= piece;
        from = found.end;
    }
    (text.len() - from > room).then(|| floor_char_boundary(text, from + room))
}

/// The `Display` text of a value. If it is short, it is on the stack.
pub(super) struct DisplayText {
    stack: [u8; Self::STACK_BYTES],
    used: usize,
    /// The whole text if it does not fit on the stack.
    heap: String,
}

impl DisplayText {
    const STACK_BYTES: usize = 128;

    pub(super) fn new(value: impl fmt::Display) -> Result<Self, EncodeFailed> {
        let mut spelled = Self { stack: [0; Self::STACK_BYTES], used: 0, heap: String::new() };
        write!(spelled, "{value}").map_err(|_| EncodeFailed)?;
        Ok(spelled)
    }

    pub(super) fn as_str(&self) -> &str {
        if !self.heap.is_empty() {
            return &self.heap;
        }
        // Only whole strings were copied, so it is always valid.
        std::str::from_utf8(&self.stack[..self.used]).unwrap_or_default()
    }
}

impl Write for DisplayText {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let end = self.used + piece.len();
        if self.heap.is_empty() && end <= Self::STACK_BYTES {
            self.stack[self.used..end].copy_from_slice(piece.as_bytes());
            self.used = end;
        } else {
            if self.heap.is_empty() {
                self.heap = self.as_str().to_owned();
            }
            self.heap.push_str(piece);
        }
        Ok(())
    }
}
