//! The ends of a text, by which short texts are compared in a few instructions.

/// The first bytes of a text and its last ones. Two texts of up to [`Ends::BYTES`] bytes are the same if their
/// lengths and their ends are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends(u64, u64);

impl Ends {
    /// The bytes that they are at most.
    pub(crate) const BYTES: usize = 16;
    /// Those of the empty text.
    pub(crate) const EMPTY: Self = Self(0, 0);

    #[inline(always)]
    pub(crate) fn of(text: &str) -> Self {
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
    pub(crate) fn mix(self) -> u64 {
        self.0 ^ self.1.rotate_left(11)
    }
}
