//! Layers that record without changes to the code they wrap: servers, clients, users of `tracing`.

mod timeout;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;
