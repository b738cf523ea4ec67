//! Short texts, compared in a few instructions.

/// The first bytes of a text and its last ones. Two texts of up to [`Ends::BYTES`] bytes are the same if their
/// lengths and their ends are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends(u64, u64);

impl Ends {
    /// The bytes that they are at most.
    pub(super) const BYTES: usize = 16;

    #[inline(always)]
    pub(super) fn of(text: &str) -> Self {
        let text = text.as_bytes();
        match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => {
                Self(u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            }
            _ => Self(Self::of_short(text), 0),
        }
    }

    /// Returns all bytes of a text that is shorter than eight.
    #[inline(always)]
    fn of_short(text: &[u8]) -> u64 {
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return u64::from(u32::from_le_bytes(*first)) << 32
                | u64::from(u32::from_le_bytes(*last));
        }
        match text {
            [] => 0,
            [first, .., last] => u64::from(u32::from_le_bytes([*first, text[1], *last, 0])),
            [byte] => u64::from(*byte),
        }
    }

    /// Returns a number that mostly differs between texts.
    #[inline(always)]
    pub(super) fn mix(self) -> u64 {
        self.0 ^ self.1.rotate_left(11)
    }
}

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
