//! Remembers the names of fields that a thread wrote recently, as they are written.
//!
//! The name of a field is a static text, so its address says where it is in the table. All its bytes are compared, because
//! a library may be unloaded, and another text be there then.

use std::cell::Cell;

use super::counted::SeenMembers;
use super::{Ends, STR};
use crate::ring::PADDED_BYTES;
use crate::sanitize::{KeyClass, Sanitizer};

/// The name of a field that is plainly written as it is.
#[derive(Clone, Copy)]
pub(super) struct FieldName {
    /// [`STR`], the length of the name, and the name.
    pub(super) bytes: [u8; PADDED_BYTES],
    /// How many of these bytes count.
    pub(super) length: usize,
    /// Those of the name.
    ends: Ends,
    /// What the name says about the value.
    pub(super) class: KeyClass,
    /// Whether it is one of the members that events have beside their payloads.
    pub(super) may_be_noted: bool,
}

/// The number of names that are remembered. They take 4 KiB of a thread.
const COUNT: usize = 64;
/// The bytes before the name.
const HEAD_BYTES: usize = 2;

type FieldNames = [Cell<FieldName>; COUNT];

thread_local! {
    static NAMES: FieldNames = const { [const { Cell::new(FieldName::EMPTY) }; COUNT] };
}

impl FieldName {
    /// The empty name, which says nothing.
    const EMPTY: Self = {
        let mut bytes = [0; PADDED_BYTES];
        bytes[0] = STR;
        Self {
            bytes,
            length: HEAD_BYTES,
            ends: Ends::EMPTY,
            class: KeyClass::Plain,
            may_be_noted: false,
        }
    };

    /// Returns what the thread remembers of a name.
    #[inline(always)]
    pub(super) fn recall(name: &'static str) -> Option<Self> {
        let recall = |names: &FieldNames| {
            let there = &names[place(name)];
            let field = there.get();
            let is_it = field.length == HEAD_BYTES + name.len()
                && field.ends == Ends::of(name)
                && (name.len() <= Ends::BYTES || has_bytes(there, name));
            is_it.then_some(field)
        };
        NAMES.try_with(recall).ok()?
    }

    /// Remembers a name if it is short, and no rule changes it. `sanitizer` has no options.
    #[cold]
    #[inline(never)]
    pub(super) fn remember(sanitizer: &Sanitizer, name: &'static str) {
        let length = HEAD_BYTES + name.len();
        if length > PADDED_BYTES {
            return;
        }
        let Some(class) = sanitizer.plain_key_class(name) else { return };
        let may_be_noted = SeenMembers::bit(name) != 0;
        let mut field = Self { length, ends: Ends::of(name), class, may_be_noted, ..Self::EMPTY };
        let Some(written) = field.bytes.get_mut(HEAD_BYTES..length) else { return };
        written.copy_from_slice(name.as_bytes());
        field.bytes[1] = name.len() as u8;
        // At the end of a thread nothing is remembered.
        let _ended = NAMES.try_with(|names| names[place(name)].set(field));
    }
}

/// Compares all bytes of a name with those of a field of the same length. A function of its own, because the field is
/// copied to the stack for it.
#[inline(never)]
fn has_bytes(field: &Cell<FieldName>, name: &str) -> bool {
    field.get().bytes.get(HEAD_BYTES..HEAD_BYTES + name.len()) == Some(name.as_bytes())
}

/// Returns the place of a name in the table.
#[inline(always)]
fn place(name: &'static str) -> usize {
    // Fibonacci hashing: the upper bits of a product with 2^64 over the golden ratio.
    let hash = (name.as_ptr().addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> (u64::BITS - COUNT.ilog2())) as usize
}
