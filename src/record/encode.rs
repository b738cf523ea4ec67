//! Stub.
use serde::Serialize;

/// An object-safe `Serialize`.
pub(crate) trait Payload {}
impl<T: Serialize> Payload for T {}
/// Stub.
pub(crate) struct Encoder;
