//! Layers that record by themselves: for servers, for clients, and for programs that use `tracing`.

mod timeout;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;
