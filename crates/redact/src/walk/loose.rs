//! Drives the walk over a text that only looks like structured values.
//!
//! Brackets may be missing or too many. What the walk says then may be wrong, so the drivers redact
//! the value of a sensitive key whatever the walk says.

use std::collections::VecDeque;

use super::{Fate, Frame, Slot};
use crate::Sanitizer;

/// Containers that are followed. If there are more, the outermost ones are forgotten. They would say
/// that something stays, never that it goes.
const DEPTH_MAX: usize = 128;

/// The containers around a place in such a text, and what they say about the value that comes.
#[derive(Debug)]
pub(crate) struct LooseWalk<'s> {
    sanitizer: &'s Sanitizer,
    open: VecDeque<OpenContainer>,
    /// The number of containers around them.
    forgotten: usize,
    /// Of the value after a key.
    slot: Option<Slot>,
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
        Self { sanitizer, open: VecDeque::new(), forgotten: 0, slot: None }
    }

    /// A container begins with this bracket. A round one is a wrapper if a word is before it.
    pub(crate) fn enter(&mut self, bracket: u8, is_after_word: bool) {
        let slot = self.next_slot();
        self.push(match bracket {
            b'{' => OpenContainer::Object(slot.object()),
            b'(' if is_after_word => OpenContainer::Wrapper(slot),
            _ => OpenContainer::List(slot.list(None)),
        });
    }

    fn push(&mut self, container: OpenContainer) {
        if self.open.len() == DEPTH_MAX {
            self.open.pop_front();
            self.forgotten += 1;
        }
        self.open.push_back(container);
    }

    /// A container ends.
    pub(crate) fn leave(&mut self) {
        if self.open.pop_back().is_none() {
            self.forgotten = self.forgotten.saturating_sub(1);
        }
        self.slot = None;
    }

    /// A comma: what the last key said is over.
    pub(crate) fn read_comma(&mut self) {
        self.slot = None;
    }

    /// Reads a key and returns the fate of its value.
    pub(crate) fn read_key(&mut self, key: &str) -> Fate {
        let mut outside = Frame::default();
        let frame = match self.open.back_mut() {
            Some(OpenContainer::Object(frame) | OpenContainer::List(frame)) => frame,
            _ => &mut outside,
        };
        self.slot.insert(frame.member(self.sanitizer, key)).fate()
    }

    /// Reads a text or a number that is a value. Returns the fate of the next value of the list if the
    /// text is its name.
    pub(crate) fn read_value(&mut self, text: &str) -> Option<NextFate> {
        let slot = self.next_slot();
        self.read_in_slot(slot, text)
    }

    /// Enters a text that holds JSON. Returns what [`leave_text`](Self::leave_text) needs.
    pub(crate) fn enter_text(&mut self) -> (Slot, usize) {
        let (slot, depth) = (self.next_slot(), self.forgotten + self.open.len());
        self.push(OpenContainer::Wrapper(slot));
        (slot, depth)
    }

    /// Leaves such a text, whatever is still open in it, and reads it as [`read_value`](Self::read_value)
    /// does.
    pub(crate) fn leave_text(&mut self, slot: Slot, depth: usize, text: &str) -> Option<NextFate> {
        self.forgotten = self.forgotten.min(depth);
        self.open.truncate(depth - self.forgotten);
        self.slot = None;
        self.read_in_slot(slot, text)
    }

    fn read_in_slot(&mut self, slot: Slot, text: &str) -> Option<NextFate> {
        if !slot.takes_note(text) {
            return None;
        }
        let note = slot.note_of(self.sanitizer, text);
        let depth =
            self.open.iter().rposition(|open| !matches!(open, OpenContainer::Wrapper(_)))?;
        match &mut self.open[depth] {
            OpenContainer::Object(frame) => frame.note(note),
            OpenContainer::List(frame) => {
                frame.note(note);
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
        // If a list has a key, a bracket is missing.
        if let Some(slot) = self.slot.take() {
            return slot;
        }
        match self.open.back_mut() {
            Some(OpenContainer::List(frame)) => frame.element(),
            Some(OpenContainer::Wrapper(outer)) => std::mem::take(outer),
            _ => Slot::default(),
        }
    }
}

/// The fate of a value in a list, by the name before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextFate {
    pub(crate) fate: Fate,
    pub(crate) needs_to_be_last: bool,
}
