//! Whether a recorder writes what it is given.

use jiff::Timestamp;
use serde_json::json;

/// Whether a recorder writes what it is given, for a page that something probes.
///
/// # Examples
///
/// ```
/// use llm_audit::AuditLogger;
///
/// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
/// let logger = AuditLogger::builder().directory(&folder).build()?;
/// let health = logger.health();
/// assert_eq!((health.status.name(), health.http_status()), ("ok", 200));
/// println!("{}", health.to_json());
/// # drop(logger);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// When a write last succeeded, in microseconds since the Unix epoch. `None` if nothing was written yet.
    pub last_write: Option<i64>,
}

/// Whether events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthStatus {
    /// The last write succeeded, or none was needed yet.
    Ok,
    /// The last write of events failed, and they are lost. Later events are tried.
    Failing,
    /// The recorder is closed, or its thread has ended, or it was never started.
    #[default]
    Closed,
    /// Nothing is recorded, as asked (`AUDIT_ENABLED=false`).
    Disabled,
}

impl HealthStatus {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Closed => "closed",
            Self::Disabled => "disabled",
        }
    }
}

impl Health {
    /// Returns 200, or 503 if the recorder cannot write.
    pub fn http_status(&self) -> u16 {
        match self.status {
            HealthStatus::Ok | HealthStatus::Disabled => 200,
            HealthStatus::Failing | HealthStatus::Closed => 503,
        }
    }

    /// Returns the whole as a JSON object. Times are in RFC 3339.
    pub fn to_json(&self) -> String {
        let last_write = self.last_write.and_then(|at| Timestamp::from_microsecond(at).ok());
        json!({
            "status": self.status.name(),
            "queued": self.queued,
            "overwritten": self.overwritten,
            "io_lost": self.io_lost,
            "last_write": last_write.map(|at| at.to_string()),
        })
        .to_string()
    }
}
