//! Sends what `llm-audit` has recorded and counted to other systems.
//!
//! - [`shipper`] sends the lines of a log folder, each at least once.
//! - [`mapping`] says what an event is in OpenTelemetry.
//!
//! # Features
//!
//! - `cloudwatch`: [`cloudwatch`], lines in CloudWatch's embedded metric format.
//! - `cloudwatch-logs`: [`cloudwatch_logs`], for CloudWatch Logs. Brings the AWS SDK.
//! - `otlp`: [`otlp`], for OpenTelemetry collectors.
//! - `otlp-grpc`: the same over gRPC. Brings tonic, hyper and tokio.

#[cfg(feature = "cloudwatch")]
pub mod cloudwatch;
#[cfg(feature = "cloudwatch-logs")]
pub mod cloudwatch_logs;
#[cfg(feature = "otlp")]
mod figures;
pub mod mapping;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod shipper;
#[cfg(any(feature = "cloudwatch", feature = "otlp"))]
mod since;
