//! Drives the walk over a text that only looks like structured values.
//!
//! Brackets may be missing or too many. What the walk says then may be wrong, so the drivers redact
//! the value of a sensitive key whatever the walk says.

use super::{Fate, Frame, Slot};
use crate::Sanitizer;

/// Containers that are followed; deeper ones say nothing.
const DEPTH_MAX: usize = 128;

/// The containers around a place in such a text, and what they say about the value that comes.
#[derive(Debug)]
pub(crate) struct LooseWalk<'s> {
    sanitizer: &'s Sanitizer,
    open: Vec<OpenContainer>,
    /// Open containers that are not followed.
    deeper: usize,
    /// Of the value after a key.
    slot: Slot,
}

#[derive(Clone, Copy, Debug)]
enum OpenContainer {
    Object(Frame),
    List(Frame),
    /// The brackets of `Some(…)`: what they hold is in their own slot.
    Wrapper(Slot),
}

impl<'s> LooseWalk<'s> {
    pub(crate) fn new(sanitizer: &'s Sanitizer) -> Self {
        Self { sanitizer, open: Vec::new(), deeper: 0, slot: Slot::default() }
    }

    /// A container begins with this bracket. A round one is a wrapper if a word is before it.
    pub(crate) fn enter(&mut self, bracket: u8, is_after_word: bool) {
        let slot = self.next_slot();
        if self.open.len() == DEPTH_MAX {
            self.deeper += 1;
            return;
        }
        self.open.push(match bracket {
            b'{' => OpenContainer::Object(slot.object()),
            b'(' if is_after_word => OpenContainer::Wrapper(slot),
            _ => OpenContainer::List(slot.list(None)),
        });
    }

    /// A container ends.
    pub(crate) fn leave(&mut self) {
        match self.deeper {
            0 => drop(self.open.pop()),
            _ => self.deeper -= 1,
        }
        self.slot = Slot::default();
    }

    /// A comma: what the last key said is over.
    pub(crate) fn read_comma(&mut self) {
        self.slot = Slot::default();
    }

    /// Reads a key and returns the fate of its value.
    pub(crate) fn read_key(&mut self, key: &str) -> Fate {
        let mut outside = Frame::default();
        let frame = match self.open.last_mut() {
            Some(OpenContainer::Object(frame) | OpenContainer::List(frame)) if self.deeper == 0 => {
                frame
            }
            _ => &mut outside,
        };
        self.slot = frame.member(self.sanitizer, key);
        self.slot.fate()
    }

    /// Reads a text or a number that is a value. Returns the fate of the next value of the list if the
    /// text is its name.
    pub(crate) fn read_value(&mut self, text: &str) -> Option<NextFate> {
        let slot = self.next_slot();
        self.read_in_slot(slot, text)
    }

    /// Enters a text that holds JSON. Returns what [`leave_text`](Self::leave_text) needs.
    pub(crate) fn enter_text(&mut self) -> (Slot, usize) {
        let (slot, depth) = (self.next_slot(), self.open.len());
        if depth < DEPTH_MAX {
            self.open.push(OpenContainer::Wrapper(slot));
        }
        (slot, depth)
    }

    /// Leaves such a text, whatever is still open in it, and reads it as [`read_value`](Self::read_value)
    /// does.
    pub(crate) fn leave_text(&mut self, slot: Slot, depth: usize, text: &str) -> Option<NextFate> {
        self.open.truncate(depth);
        if depth < DEPTH_MAX {
            self.deeper = 0;
        }
        self.slot = Slot::default();
        self.read_in_slot(slot, text)
    }

    fn read_in_slot(&mut self, slot: Slot, text: &str) -> Option<NextFate> {
        if self.deeper > 0 || !slot.is_name() {
            return None;
        }
        let secrecy = self.sanitizer.secrecy(text);
        let depth =
            self.open.iter().rposition(|open| !matches!(open, OpenContainer::Wrapper(_)))?;
        match &mut self.open[depth] {
            OpenContainer::Object(frame) => frame.name(secrecy),
            OpenContainer::List(frame) => {
                frame.name(secrecy);
                let slot = { *frame }.element();
                let (fate, needs_to_be_last) = (slot.fate(), slot.needs_to_be_last());
                return Some(NextFate { fate, needs_to_be_last });
            }
            OpenContainer::Wrapper(_) => {}
        }
        None
    }

    /// Passes the value that comes, which is not read.
    pub(crate) fn skip_value(&mut self) {
        self.next_slot();
    }

    fn next_slot(&mut self) -> Slot {
        let slot = std::mem::take(&mut self.slot);
        if self.deeper > 0 {
            return Slot::default();
        }
        match self.open.last_mut() {
            Some(OpenContainer::List(frame)) => frame.element(),
            Some(OpenContainer::Wrapper(outer)) => std::mem::take(outer),
            _ => slot,
        }
    }
}

/// The fate of a value in a list, by the name before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextFate {
    pub(crate) fate: Fate,
    pub(crate) needs_to_be_last: bool,
}
