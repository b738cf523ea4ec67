//! Remembers the names of fields that a thread wrote recently, as they are written.
//!
//! The name of a field is a static text, so its address says where it is in the table. All its bytes are compared, because
//! a library may be unloaded, and another text be there then.

use std::cell::Cell;

use super::counted::SeenMembers;
use super::{Ends, STR};
use crate::ring::{Chain, PADDED_BYTES};
use crate::sanitize::{KeyClass, Sanitizer};

/// The name of a field that is plainly written as it is. Its parts are cells, so that a look copies no others.
struct FieldName {
    /// [`STR`], the length of the name, and the name.
    bytes: Cell<[u8; PADDED_BYTES]>,
    /// How many of these bytes count.
    length: Cell<usize>,
    /// Those of the name.
    ends: Cell<Ends>,
    facts: Cell<NameFacts>,
}

/// What is known of a name.
#[derive(Clone, Copy)]
pub(super) struct NameFacts {
    /// What the name says about the value.
    pub(super) class: KeyClass,
    /// Whether it is one of the members that events have beside their payloads.
    pub(super) may_be_noted: bool,
}

/// The number of names that are remembered. They take 4 KiB of a thread.
const COUNT: usize = 64;
/// The bytes before the name.
const HEAD_BYTES: usize = 2;

thread_local! {
    static NAMES: [FieldName; COUNT] = const { [const { FieldName::empty() }; COUNT] };
}

/// Writes a name as the thread remembers it, and returns what it says. Returns `None` if nothing was written: the name is
/// not remembered, or the block has too little room.
#[inline(always)]
pub(super) fn write_recalled(chain: &mut Chain<'_>, name: &'static str) -> Option<NameFacts> {
    let write = |names: &[FieldName; COUNT]| {
        let field = &names[place(name)];
        let length = field.length.get();
        let is_it = length == HEAD_BYTES + name.len()
            && field.ends.get() == Ends::of(name)
            && (name.len() <= Ends::BYTES || field.has_bytes(name));
        (is_it && chain.put_padded(&field.bytes.get(), length)).then(|| field.facts.get())
    };
    NAMES.try_with(write).ok()?
}

/// Remembers a name if it is short, and no rule changes it. `sanitizer` has no options.
#[cold]
#[inline(never)]
pub(super) fn remember(sanitizer: &Sanitizer, name: &'static str) {
    let mut bytes = [STR; PADDED_BYTES];
    let length = HEAD_BYTES + name.len();
    let Some(written) = bytes.get_mut(HEAD_BYTES..length) else { return };
    written.copy_from_slice(name.as_bytes());
    bytes[1] = name.len() as u8;
    let Some(class) = sanitizer.plain_key_class(name) else { return };
    let may_be_noted = SeenMembers::bit(name) != 0;
    // At the end of a thread nothing is remembered.
    let _ended = NAMES.try_with(|names| {
        let field = &names[place(name)];
        field.bytes.set(bytes);
        field.length.set(length);
        field.ends.set(Ends::of(name));
        field.facts.set(NameFacts { class, may_be_noted });
    });
}

impl FieldName {
    /// The place of no name: none has this length.
    const fn empty() -> Self {
        Self {
            bytes: Cell::new([0; PADDED_BYTES]),
            length: Cell::new(0),
            ends: Cell::new(Ends::EMPTY),
            facts: Cell::new(NameFacts { class: KeyClass::Plain, may_be_noted: false }),
        }
    }

    /// Compares all bytes with those of a name of the same length.
    #[inline(never)]
    fn has_bytes(&self, name: &str) -> bool {
        self.bytes.get().get(HEAD_BYTES..HEAD_BYTES + name.len()) == Some(name.as_bytes())
    }
}

/// Returns the place of a name in the table.
#[inline(always)]
fn place(name: &'static str) -> usize {
    // Fibonacci hashing: the upper bits of a product with 2^64 over the golden ratio.
    let hash = (name.as_ptr().addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> (u64::BITS - COUNT.ilog2())) as usize
}
