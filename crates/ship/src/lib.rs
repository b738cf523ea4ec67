//! Sends what `llm-audit` has counted to other systems.
//!
//! # Features
//!
//! - `cloudwatch`: [`cloudwatch`], lines in CloudWatch's embedded metric format.
//! - `otlp`: [`otlp`], for OpenTelemetry collectors.

#[cfg(feature = "cloudwatch")]
pub mod cloudwatch;
#[cfg(feature = "otlp")]
mod figures;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(any(feature = "cloudwatch", feature = "otlp"))]
mod since;
