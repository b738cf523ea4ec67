//! Stub.
pub(crate) mod fs;
pub(crate) mod rotate;
