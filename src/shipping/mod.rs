//! Lines of the log to other systems: a collector of OpenTelemetry, or CloudWatch Logs.
//!
//! The files of the log stay the source of truth. With `AUDIT_EXPORTER=otlp` or `cloudwatch`, a thread for each
//! destination follows the folder and sends what is new, each line at least once. A destination that does not answer
//! costs delay and no events, and `emit` does not know of it. Of several processes that write to a folder, one ships.
//! If it ends, another takes over within seconds.
//!
//! [`LogShipping`] is the same for a process of its own, as `llm-audit ship` is.

#[cfg(not(any(feature = "cloudwatch-logs", feature = "otlp")))]
mod absent;
#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
mod destinations;
#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
mod present;

#[cfg(not(any(feature = "cloudwatch-logs", feature = "otlp")))]
pub(crate) use absent::{ShippingThreads, check_shipping};
#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
pub use destinations::{LogShipping, ShipTo};
#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
pub use llm_audit_ship::shipper::{AnyShipper, Lag, Progress};
#[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
pub(crate) use present::{ShippingThreads, check_shipping};
