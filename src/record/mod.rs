//! The flat record: how an event lies in the ring.

pub(crate) mod decode;
pub(crate) mod encode;

pub(crate) use encode::{Encoder, Payload};
