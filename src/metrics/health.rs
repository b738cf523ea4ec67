//! Whether a recorder writes what it is given.

use jiff::Timestamp;
use serde::Serialize;

/// Whether a recorder writes what it is given, for a page that something probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether events are written.
    pub status: HealthStatus,
    /// Events that wait for the writer, or are held until it is known whether their trace fails.
    pub queued: u64,
    /// Events that newer ones overwrote in the queue.
    pub overwritten: u64,
    /// Events lost because writing failed.
    pub io_lost: u64,
    /// When a write last succeeded; `None` if none did yet.
    #[serde(serialize_with = "as_text")]
    pub last_write: Option<Timestamp>,
}

/// Whether events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HealthStatus {
    /// The last write succeeded, or none was needed yet.
    #[default]
    Ok,
    /// The last write failed. It is tried again.
    Failing,
    /// The recorder was closed, or has not been started.
    Closed,
    /// Nothing is recorded (`AUDIT_ENABLED=false`).
    Disabled,
}
