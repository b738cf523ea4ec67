//! Whether a recorder writes what it is given.

use jiff::Timestamp;
use serde_json::{Value, json};

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
    /// The alerts of the log's folder. `None` if this recorder does not evaluate their rules.
    pub alerts: Option<AlertsHealth>,
    /// The destinations that the log is shipped to (`AUDIT_EXPORTER`).
    pub shipping: Vec<ShippingHealth>,
}

/// How far a destination is behind the log, as the thread that ships to it sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShippingHealth {
    /// The name of the destination. Its position is in `.ship` under this name.
    pub destination: String,
    /// Whether this process ships the log.
    pub is_held_here: bool,
    /// Whether another process ships it. This one then knows nothing else, and takes over if that one ends.
    pub is_held_elsewhere: bool,
    /// About how many events the destination has not got. `None` before the first one is sent.
    pub lag_events: Option<u64>,
    /// Bytes of the files that the destination has not got.
    pub lag_bytes: Option<u64>,
    /// The age of the oldest event that waits, in whole seconds.
    pub lag_seconds: Option<u64>,
    /// Events that were sent since the position was begun, with those that were refused.
    pub sent: u64,
    /// Events that the destination refused for good. They are in `.ship/refused`.
    pub refused: u64,
    /// Events that retention removed before they were sent.
    pub lost: u64,
    /// Files that retention removed before they were sent, and whose events it could not count.
    pub lost_files: u64,
    /// What keeps the shipper from its work now.
    pub error: Option<String>,
}

/// The alerts of a log's folder, as the evaluator of this process sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertsHealth {
    /// Whether this evaluator had the folder in the last evaluation. It has not before the first one, and if the
    /// folder cannot be taken.
    pub is_held_here: bool,
    /// Whether another evaluator has the folder. This one then knows no alert, and takes over if that one ends.
    pub is_held_elsewhere: bool,
    /// When the rules were last evaluated here, in microseconds since the Unix epoch.
    pub last_evaluation: Option<i64>,
    /// What went wrong in the last evaluation.
    pub error: Option<String>,
    /// What fires. A rule that watches each user is here once for each service.
    pub firing: Vec<FiringRule>,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FiringRule {
    /// The name of the rule.
    pub rule: String,
    /// The service whose log it judges.
    pub service: String,
    /// `page` or `ticket`.
    pub severity: &'static str,
    /// Since when, in microseconds since the Unix epoch.
    pub since: i64,
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
    /// Returns 200, or 503 if the recorder cannot write. An alert that fires does not change it, since a new process
    /// would not end the alert.
    pub fn http_status(&self) -> u16 {
        match self.status {
            HealthStatus::Ok | HealthStatus::Disabled => 200,
            HealthStatus::Failing | HealthStatus::Closed => 503,
        }
    }

    /// Returns the whole as a JSON object. Times are in RFC 3339.
    pub fn to_json(&self) -> String {
        json!({
            "status": self.status.name(),
            "queued": self.queued,
            "overwritten": self.overwritten,
            "io_lost": self.io_lost,
            "last_write": self.last_write.and_then(spelled_time),
            "alerts": self.alerts.as_ref().map(AlertsHealth::to_value),
            "shipping": self.shipping.iter().map(ShippingHealth::to_value).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

impl ShippingHealth {
    fn to_value(&self) -> Value {
        json!({
            "destination": self.destination,
            "shipper": holder_name(self.is_held_here, self.is_held_elsewhere),
            "lag": {"events": self.lag_events, "bytes": self.lag_bytes, "seconds": self.lag_seconds},
            "sent": self.sent,
            "refused": self.refused,
            "lost": self.lost,
            "lost_files": self.lost_files,
            "error": self.error,
        })
    }
}

/// Returns who works on the folder.
fn holder_name(is_held_here: bool, is_held_elsewhere: bool) -> &'static str {
    match is_held_elsewhere {
        true => "elsewhere",
        false if is_held_here => "here",
        false => "none",
    }
}

impl AlertsHealth {
    fn to_value(&self) -> Value {
        let firing = self.firing.iter().map(|firing| {
            json!({
                "rule": firing.rule,
                "service": firing.service,
                "severity": firing.severity,
                "since": spelled_time(firing.since),
            })
        });
        json!({
            "evaluator": holder_name(self.is_held_here, self.is_held_elsewhere),
            "last_evaluation": self.last_evaluation.and_then(spelled_time),
            "error": self.error,
            "firing": firing.collect::<Vec<_>>(),
        })
    }
}

fn spelled_time(micros: i64) -> Option<String> {
    Timestamp::from_microsecond(micros).ok().map(|at| at.to_string())
}
