//! The flat record: an event's bytes in the ring, between the caller and the writer.
//!
//! A record begins with a head of [`HEAD_BYTES`] bytes. After it come, in this order: the cost in
//! 16 bytes; the event type; the agent; the action; the names of content; the error; the data. The
//! event type is a string, and is only there if the type is the caller's own. Agent and action are
//! strings. The names are a list of strings: those members of the data, and the snapshot of the error, are
//! kept only if the trace fails. Flags in the head say whether cost, names, error and data are there. Numbers of the head
//! and the cost are little-endian.
//!
//! ```text
//! value   = NULL | FALSE | TRUE
//!         | UINT varint                 an integer from 0
//!         | NEGATIVE varint             an integer below 0; the varint is its complement
//!         | F64 8 bytes | F32 4 bytes   little-endian, finite
//!         | string
//!         | SEQ value* END
//!         | MAP (string value)* END
//!         | PAYLOAD value               an object stays one, another value becomes {"value": …}
//!         | ERROR value                 the same, but a string becomes {"message": …}
//!         | COUNTED payload? member* END
//!                                       the payload, with further members of its object
//! payload = PAYLOAD value
//! member  = string value
//! string  = STR varint bytes            UTF-8
//!         | PARTS (varint bytes)* 0     pieces of one string, none empty
//! varint  = 7 bits a byte, the lowest first, the top bit set on all but the last
//! ```
//!
//! If a length is known only at the end of a value, it is not written before the value. So no byte
//! is changed after it was written.

mod compound;
pub(crate) mod content;
mod counted;
pub(crate) mod decode;
pub(crate) mod encode;
mod ends;
pub(crate) mod event;
mod field_names;
mod json;
mod keyed;
#[cfg(feature = "macros")]
pub(crate) mod members;
mod private_forms;
mod probe;
mod probe_texts;
mod serializer;
mod sink;
#[cfg(test)]
mod tests;
mod text;
mod type_name;

pub(crate) use compound::OptionalFields;
pub(crate) use ends::Ends;
pub(crate) use serializer::Payload;
pub(crate) use type_name::with_event_type_name;

const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const UINT: u8 = 4;
const NEGATIVE: u8 = 5;
const F64: u8 = 6;
const F32: u8 = 7;
const STR: u8 = 8;
const PARTS: u8 = 9;
const SEQ: u8 = 10;
const MAP: u8 = 11;
const END: u8 = 12;
const PAYLOAD: u8 = 13;
const ERROR: u8 = 14;
const COUNTED: u8 = 15;

/// The largest number of containers inside each other in a payload, including its root.
///
/// The limit is 128 with two more: the line's object, and the object around an error or around a
/// value that is not an object. So a line is never deeper than redaction allows.
const DEPTH_MAX: usize = 126;

/// The bits of the status' byte below those that say why the event is kept.
const KEPT_SHIFT: u32 = 4;
/// The bit of that byte for an event that is not the only one of its trace.
const HAS_OTHERS: u8 = 1 << 7;

/// The size of the head. Type, status and flags take a byte each, the trace id 16. Then span,
/// parent, timestamp, latency, tokens in and tokens out take eight bytes each.
const HEAD_BYTES: usize = 3 + 16 + 6 * 8;

/// Bits for the optional fields that an event has.
mod flag {
    pub(super) const PARENT: u8 = 1;
    pub(super) const LATENCY: u8 = 1 << 1;
    pub(super) const TOKENS_INPUT: u8 = 1 << 2;
    pub(super) const TOKENS_OUTPUT: u8 = 1 << 3;
    pub(super) const COST: u8 = 1 << 4;
    pub(super) const DATA: u8 = 1 << 5;
    pub(super) const ERROR: u8 = 1 << 6;
    pub(super) const CONTENT: u8 = 1 << 7;
}
