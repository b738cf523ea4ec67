//! Metrics for an OpenTelemetry collector: present or absent.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod present;

use super::{Accounting, Metrics};
#[cfg(not(feature = "otlp"))]
pub(crate) use absent::{OtlpExport, check_export};
#[cfg(feature = "otlp")]
pub(crate) use present::{OtlpExport, check_export};

/// What is exported, and what counts the exports that fail.
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "nothing is exported"))]
pub(crate) trait ExportSource: Send + 'static {
    /// Returns everything that was counted since the start.
    fn figures(&self) -> (Metrics, Accounting);

    /// Counts an export that failed.
    fn count_failure(&self);
}
