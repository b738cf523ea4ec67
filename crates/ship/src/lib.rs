//! Sends what `llm-audit` has counted to other systems.
//!
//! # Features
//!
//! - `otlp`: [`otlp`], for OpenTelemetry collectors.

#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "otlp")]
mod since;
