//! Writes tags, numbers and strings into a chain, and keeps the reason if it stops.

use super::{PARTS, STR};
use crate::ring::{Chain, ChainFull};

/// The serializer's error. It carries no reason, because an impl of `Serialize` may replace or
/// swallow it. The [`Sink`] keeps the reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodeFailed;

impl std::fmt::Display for EncodeFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value was not recorded")
    }
}

impl std::error::Error for EncodeFailed {}

impl serde::ser::Error for EncodeFailed {
    fn custom<T: std::fmt::Display>(_message: T) -> Self {
        Self
    }
}

/// The reason why a payload is not in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EncodeStop {
    /// The event has reached its size limit.
    Limit,
    /// The queue has no memory left.
    Memory,
    /// Its `Serialize` impl failed, panicked or broke serde's rules.
    Broken,
}

/// A chain that remembers its first failure.
pub(super) struct Sink<'c, 'r> {
    pub(super) chain: &'c mut Chain<'r>,
    pub(super) stop: Option<EncodeStop>,
}

impl Sink<'_, '_> {
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeFailed> {
        match self.chain.put(bytes) {
            Ok(()) => Ok(()),
            Err(full) => Err(self.fail_full(full)),
        }
    }

    /// Works as [`put`](Self::put), for more bytes than a few.
    #[inline]
    pub(super) fn put_array<const N: usize>(
        &mut self,
        bytes: &[u8; N],
    ) -> Result<(), EncodeFailed> {
        self.chain.put_array(bytes).map_err(|full| self.fail_full(full))
    }

    #[cold]
    fn fail_full(&mut self, full: ChainFull) -> EncodeFailed {
        self.fail(match full {
            ChainFull::Limit => EncodeStop::Limit,
            ChainFull::Memory => EncodeStop::Memory,
        })
    }

    #[cold]
    pub(super) fn fail(&mut self, stop: EncodeStop) -> EncodeFailed {
        self.stop.get_or_insert(stop);
        EncodeFailed
    }

    /// Writes a tag and a varint.
    #[inline]
    pub(super) fn put_number(&mut self, tag: u8, number: u64) -> Result<(), EncodeFailed> {
        if number < VARINT_BYTE_END {
            return self.put(&[tag, number as u8]);
        }
        self.put_long_number(tag, number)
    }

    fn put_long_number(&mut self, tag: u8, number: u64) -> Result<(), EncodeFailed> {
        let mut bytes = [tag; 11];
        let end = put_varint_at(&mut bytes, 1, number);
        self.put(&bytes[..end])
    }

    /// Writes a tag and four bytes after it.
    #[inline]
    pub(super) fn put_four(&mut self, tag: u8, [a, b, c, d]: [u8; 4]) -> Result<(), EncodeFailed> {
        self.put(&[tag, a, b, c, d])
    }

    /// Writes a tag and eight bytes after it.
    #[inline]
    pub(super) fn put_eight(&mut self, tag: u8, eight: [u8; 8]) -> Result<(), EncodeFailed> {
        let mut bytes = [tag; 9];
        bytes[1..].copy_from_slice(&eight);
        self.put(&bytes)
    }

    /// Writes a whole string.
    #[inline]
    pub(super) fn put_string(&mut self, text: &str) -> Result<(), EncodeFailed> {
        match self.chain.put_if_short([STR, text.len() as u8], text.as_bytes()) {
            true => Ok(()),
            false => self.put_long_string(text),
        }
    }

    #[inline(never)]
    fn put_long_string(&mut self, text: &str) -> Result<(), EncodeFailed> {
        self.put_number(STR, text.len() as u64)?;
        self.put(text.as_bytes())
    }

    /// Writes a piece of a string that began with [`PARTS`]. An empty piece is left out, because it
    /// would end the string.
    pub(super) fn put_string_part(&mut self, text: &str) -> Result<(), EncodeFailed> {
        if text.is_empty() {
            return Ok(());
        }
        let mut bytes = [0; 10];
        let end = put_varint_at(&mut bytes, 0, text.len() as u64);
        self.put(&bytes[..end])?;
        self.put(text.as_bytes())
    }
}

/// A varint takes one byte if it is below this.
const VARINT_BYTE_END: u64 = 0x80;

/// Writes `number` at index `at`, and returns the index after it.
fn put_varint_at(bytes: &mut [u8], mut at: usize, mut number: u64) -> usize {
    while number >= VARINT_BYTE_END {
        bytes[at] = number as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    bytes[at] = number as u8;
    at + 1
}

/// The size of the buffer for a string that comes in pieces. If the string fits, it is written at
/// once. Most keys fit.
const GATHERED_BYTES: usize = 64;

/// Gathers the pieces of one string.
pub(super) struct StringGatherer<'s, 'c, 'r> {
    sink: &'s mut Sink<'c, 'r>,
    /// [`STR`], the length, then the text so far.
    bytes: [u8; GATHERED_BYTES],
    used: usize,
    spilled: bool,
}

impl<'s, 'c, 'r> StringGatherer<'s, 'c, 'r> {
    const TEXT: usize = 2;

    pub(super) fn new(sink: &'s mut Sink<'c, 'r>) -> Self {
        Self { sink, bytes: [STR; GATHERED_BYTES], used: Self::TEXT, spilled: false }
    }

    pub(super) fn add(&mut self, piece: &str) {
        let end = self.used + piece.len();
        if !self.spilled && end <= GATHERED_BYTES {
            self.bytes[self.used..end].copy_from_slice(piece.as_bytes());
            self.used = end;
        } else {
            // The sink remembers a failure, and `finish` returns it.
            let _ = self.spill().and_then(|()| self.sink.put_string_part(piece));
        }
    }

    fn spill(&mut self) -> Result<(), EncodeFailed> {
        if std::mem::replace(&mut self.spilled, true) {
            return Ok(());
        }
        let gathered = self.used - Self::TEXT;
        self.bytes[0] = PARTS;
        self.bytes[1] = gathered as u8;
        // If nothing is gathered, only the tag is written: a length of 0 would end the string.
        self.sink.put(&self.bytes[..if gathered == 0 { 1 } else { self.used }])
    }

    pub(super) fn finish(mut self) -> Result<(), EncodeFailed> {
        if self.spilled {
            self.sink.put(&[0])?;
        } else {
            self.bytes[1] = (self.used - Self::TEXT) as u8;
            self.sink.put(&self.bytes[..self.used])?;
        }
        if self.sink.stop.is_some() { Err(EncodeFailed) } else { Ok(()) }
    }
}
