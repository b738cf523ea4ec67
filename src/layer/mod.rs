//! Layers that record without changes to the code they wrap: servers, clients, users of `tracing`. And pages
//! that show what was recorded.

#[cfg(all(feature = "axum", feature = "prometheus"))]
mod endpoints;
#[cfg(any(feature = "rmcp", feature = "tower"))]
mod mcp_methods;
#[cfg(feature = "rmcp")]
pub mod rmcp;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;

#[cfg(all(feature = "axum", feature = "prometheus"))]
pub use endpoints::metrics_router;
