//! Counters that show what became of every event, and figures of all events.

mod accounting;
mod collector;
mod health;
mod latency_cells;
mod objectives;
mod otlp;
#[cfg(any(feature = "otlp", feature = "prometheus"))]
mod own;
#[cfg(feature = "prometheus")]
mod prometheus;

pub use accounting::{Accounting, Flushed};
pub(crate) use accounting::{CounterShard, EventCounters, add_to_counter, shard_of_thread};
pub(crate) use collector::TakenMetrics;
pub use collector::{Metrics, MetricsCollector, ObjectiveEvents};
pub use health::{AlertsHealth, FiringRule, Health, HealthStatus, ShippingHealth};
pub(crate) use latency_cells::TimingCells;
pub use latency_cells::Timings;
pub use llm_audit_log::schema::{Latencies, MetricsRow, TokenHistogram, TokenKinds};
#[cfg(feature = "cloudwatch")]
pub use llm_audit_ship::cloudwatch::CloudWatchLines;
pub(crate) use objectives::CountedObjectives;
pub(crate) use otlp::{ExportSource, OtlpExport, check_export};
#[cfg(feature = "prometheus")]
pub use prometheus::{TextFormat, prometheus_text};
