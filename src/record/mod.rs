//! The flat record: how an event lies in the ring, between the caller and the writer.
//!
//! A record is a head of [`HEAD_BYTES`] bytes, then the cost in 16 bytes, a string each for the
//! event type (only for a type of the caller's own), the agent and the action, then the error and
//! the data; cost, error and data where the head says that there are such. Numbers of the head and
//! the cost are little-endian.
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
//! string  = STR varint bytes            UTF-8
//!         | PARTS (varint bytes)* 0     pieces of one string, none empty
//! varint  = 7 bits a byte, the lowest first, the top bit set on all but the last
//! ```
//!
//! Nothing has a length in front that is known only at its end, so nothing is written twice, and a
//! record is good from its first byte on.

mod compound;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod event;
mod keyed;
#[cfg(feature = "macros")]
pub(crate) mod members;
mod serializer;
mod sink;
#[cfg(test)]
mod tests;
mod text;
mod type_name;

pub(crate) use compound::Fields;
pub(crate) use serializer::Payload;

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

/// Containers inside each other that a payload may have, its own root included: 128 with the line's
/// object and the one that an error, or a value that is no object, stands in. So a line is never
/// deeper than what redaction lets pass.
const DEPTH_MAX: usize = 126;

/// Type, status and flags, a byte each; the trace id; then, eight bytes each, span, parent,
/// timestamp, latency, tokens in and tokens out.
const HEAD_BYTES: usize = 3 + 16 + 6 * 8;

/// Which of the optional fields a head has.
mod flag {
    pub(super) const PARENT: u8 = 1;
    pub(super) const LATENCY: u8 = 1 << 1;
    pub(super) const TOKENS_INPUT: u8 = 1 << 2;
    pub(super) const TOKENS_OUTPUT: u8 = 1 << 3;
    pub(super) const COST: u8 = 1 << 4;
    pub(super) const DATA: u8 = 1 << 5;
    pub(super) const ERROR: u8 = 1 << 6;
}
