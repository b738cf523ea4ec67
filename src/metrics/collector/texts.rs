//! Short texts, compared in a few instructions.

use crate::record::Ends;

/// A text that others are compared with.
#[derive(Debug)]
pub(super) struct KnownText {
    pub(super) text: String,
    ends: Ends,
}

impl KnownText {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), ends: Ends::of(text) }
    }

    /// Reports whether this has these ends and this length.
    #[inline(always)]
    pub(super) fn has_ends(&self, length: usize, ends: Ends) -> bool {
        self.ends == ends && self.text.len() == length
    }
}
