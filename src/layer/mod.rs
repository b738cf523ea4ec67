//! Layers that record without a line of the caller's own: around servers, clients and `tracing`.

#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;
