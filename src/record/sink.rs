//! How tags, numbers and strings are put into a chain, and why it stopped.

use super::{PARTS, STR};
use crate::ring::{Chain, Full};

/// The serializer's error. It says nothing: an impl of `Serialize` may replace or swallow it, so
/// the reason stays with the [`Sink`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value was not recorded")
    }
}

impl std::error::Error for Failed {}

impl serde::ser::Error for Failed {
    fn custom<T: std::fmt::Display>(_message: T) -> Self {
        Self
    }
}

/// Why a payload is not in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The event has reached its size limit.
    Limit,
    /// The queue has no memory left.
    Memory,
    /// Its `Serialize` impl failed, panicked or broke serde's rules.
    Broken,
}

/// A chain that remembers the first thing that went wrong.
pub(super) struct Sink<'c, 'r> {
    pub(super) chain: &'c mut Chain<'r>,
    pub(super) stop: Option<Stop>,
}

impl Sink<'_, '_> {
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.chain.put(bytes).map_err(|full| {
            self.fail(match full {
                Full::Limit => Stop::Limit,
                Full::Memory => Stop::Memory,
            })
        })
    }

    #[cold]
    pub(super) fn fail(&mut self, stop: Stop) -> Failed {
        self.stop.get_or_insert(stop);
        Failed
    }

    /// A tag and a varint.
    pub(super) fn number(&mut self, tag: u8, number: u64) -> Result<(), Failed> {
        let mut bytes = [tag; 11];
        let end = varint(&mut bytes, 1, number);
        self.put(&bytes[..end])
    }

    /// A tag and the fixed bytes behind it.
    pub(super) fn fixed(&mut self, tag: u8, fixed: &[u8]) -> Result<(), Failed> {
        let mut bytes = [tag; 9];
        bytes[1..=fixed.len()].copy_from_slice(fixed);
        self.put(&bytes[..=fixed.len()])
    }

    /// A whole string.
    pub(super) fn string(&mut self, text: &str) -> Result<(), Failed> {
        self.number(STR, text.len() as u64)?;
        self.put(text.as_bytes())
    }

    /// A piece of a string that began with [`PARTS`]; an empty one would end it and is left out.
    pub(super) fn part(&mut self, text: &str) -> Result<(), Failed> {
        if text.is_empty() {
            return Ok(());
        }
        let mut bytes = [0; 10];
        let end = varint(&mut bytes, 0, text.len() as u64);
        self.put(&bytes[..end])?;
        self.put(text.as_bytes())
    }
}

/// Writes `number` from `at` on and returns the index behind it.
fn varint(bytes: &mut [u8], mut at: usize, mut number: u64) -> usize {
    while number >= 0x80 {
        bytes[at] = number as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    bytes[at] = number as u8;
    at + 1
}

/// Bytes of a string that comes in pieces and is put in one go when it is short; most keys are.
const GATHERED_BYTES: usize = 64;

/// Gathers the pieces of one string.
pub(super) struct Gather<'s, 'c, 'r> {
    sink: &'s mut Sink<'c, 'r>,
    /// [`STR`], the length, then the text so far.
    bytes: [u8; GATHERED_BYTES],
    used: usize,
    spilled: bool,
}

impl<'s, 'c, 'r> Gather<'s, 'c, 'r> {
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
            // A failure is the sink's to remember; `end` asks it.
            let _ = self.spill().and_then(|()| self.sink.part(piece));
        }
    }

    fn spill(&mut self) -> Result<(), Failed> {
        if std::mem::replace(&mut self.spilled, true) {
            return Ok(());
        }
        let gathered = self.used - Self::TEXT;
        self.bytes[0] = PARTS;
        self.bytes[1] = gathered as u8;
        // The tag alone when nothing is gathered: a length of 0 would be the end.
        self.sink.put(&self.bytes[..if gathered == 0 { 1 } else { self.used }])
    }

    pub(super) fn end(mut self) -> Result<(), Failed> {
        if self.spilled {
            self.sink.put(&[0])?;
        } else {
            self.bytes[1] = (self.used - Self::TEXT) as u8;
            self.sink.put(&self.bytes[..self.used])?;
        }
        if self.sink.stop.is_some() { Err(Failed) } else { Ok(()) }
    }
}
