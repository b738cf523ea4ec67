//! `metrics`: the figures of all events, and the pages that show them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::SystemTime;

use llm_audit::metrics::{
    AlertsHealth, CloudWatchLines, FiringRule, Health, HealthStatus, Latencies, Metrics,
    MetricsCollector, MetricsRow, ObjectiveEvents, ShippingHealth, TextFormat, Timings,
    TokenHistogram, TokenKinds, prometheus_text,
};
use llm_audit::{Accounting, AuditEvent, AuditLogger, LlmCall, Sanitizer, Status, Usd};

use crate::{Plain, fields, implement, variants};

fn of_a_logger() {
    let _: fn(&AuditLogger) -> Metrics = AuditLogger::metrics;
    let _: fn(&AuditLogger) -> Health = AuditLogger::health;
    let _: fn() -> axum::Router = llm_audit::layer::metrics_router;
}

fn labels<'a>(event: AuditEvent<'a>, call: LlmCall<'a>, text: &'a str) -> AuditEvent<'a> {
    let _: LlmCall<'a> = call.user(text).tenant(text).conversation(text).first_token_ms(1.0);
    event.model(text).user(text).tenant(text).conversation(text)
}

fn collector() {
    let _: fn(Sanitizer) -> MetricsCollector = MetricsCollector::new;
    let _: fn(&MetricsCollector, &AuditEvent<'_>) = MetricsCollector::observe;
    let _: fn(&MetricsCollector, &str, &str, Status, f64) = MetricsCollector::record_request;
    let _: fn(&MetricsCollector, &str, &str, Status, f64, (u64, u64)) =
        MetricsCollector::record_llm_call;
    let _: fn(&MetricsCollector, &str, &str, Status, f64) = MetricsCollector::record_tool_call;
    let _: fn(&MetricsCollector, &'static str, u64) = MetricsCollector::count;
    let _: fn(&MetricsCollector) -> Metrics = MetricsCollector::metrics;
}

implement! {
    MetricsCollector: Plain, Default;
}

fn lines(service: impl Into<String>) -> CloudWatchLines {
    let _: fn(&mut CloudWatchLines, &[MetricsRow], SystemTime) -> String =
        CloudWatchLines::since_last;
    CloudWatchLines::new(service)
}

implement! {
    CloudWatchLines: Plain, Clone, Debug;
}

fn figures() {
    let _: fn(&Metrics) -> u64 = Metrics::requests_total;
    let _: fn(&Metrics) -> u64 = Metrics::llm_calls_total;
    let _: fn(&Metrics) -> u64 = Metrics::tool_calls_total;
    let _: fn(&Metrics) -> u64 = Metrics::errors_total;
    let _: fn(&Metrics) -> u64 = Metrics::timeouts_total;
    let _: fn(&Metrics) -> u64 = Metrics::retries_total;
    let _: fn(&Metrics) -> u64 = Metrics::active_traces;
    let _: fn(&Metrics) -> Latencies = Metrics::request_latency;
    let _: fn(&Metrics) -> Latencies = Metrics::llm_latency;
    let _: fn(&Metrics) -> Latencies = Metrics::tool_latency;
    let _: fn(&Metrics) -> Usd = Metrics::cost_usd;
    let _: fn(&Latencies) -> u64 = Latencies::count;
    let _: fn(&Latencies, f64) -> u64 = Latencies::count_to_ms;
    let _: fn(&Latencies, f64) -> Option<f64> = Latencies::quantile_ms;
    let _: fn(&mut Latencies, &Latencies) = Latencies::merge;
}

fields!(Metrics {
    rows: Vec<MetricsRow>,
    others: u64,
    counters: BTreeMap<String, u64>,
    bytes_written: u64,
    writes: Timings,
    syncs: Timings,
    objectives: Vec<ObjectiveEvents>,
});
fields!(Timings { latencies: Latencies, ms_sum: f64 });
fields!(ObjectiveEvents { slo: String, good: u64, bad: u64 });
fields!(MetricsRow {
    event_type: String,
    status: Status,
    agent: String,
    action: String,
    model: String,
    tenant: String,
    events: u64,
    tokens_input: u64,
    tokens_output: u64,
    calls_by_input: TokenHistogram,
    calls_by_output: TokenHistogram,
    usage: TokenKinds,
    cost_usd: Usd,
    priced: u64,
    latency_ms_sum: f64,
    latencies: Latencies,
    first_token_ms_sum: f64,
    first_tokens: Latencies,
});
fields!(TokenKinds {
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
    audio_input: u64,
    audio_output: u64,
});

implement! {
    Metrics: Plain, Clone, Debug, Default;
    MetricsRow: Plain, Clone, Debug, Default, PartialEq;
    ObjectiveEvents: Plain, Clone, Debug, PartialEq, Eq;
    Timings: Plain, Clone, Debug, Default, PartialEq;
    TokenHistogram: Plain, Copy, Debug, Default, PartialEq, Eq;
    TokenKinds: Plain, Copy, Debug, Default, PartialEq, Eq;
    Latencies: Plain, Clone, Debug, Default, PartialEq;
}

fn pages() {
    let _: fn(&Metrics, &Accounting, TextFormat) -> String = prometheus_text;
    let _: fn(&str) -> TextFormat = TextFormat::from_accept;
    let _: fn(TextFormat) -> &'static str = TextFormat::content_type;
    let _: fn(&Health) -> u16 = Health::http_status;
    let _: fn(&Health) -> String = Health::to_json;
    let _: fn(HealthStatus) -> &'static str = HealthStatus::name;
}

fields!(Health {
    status: HealthStatus,
    queued: u64,
    overwritten: u64,
    io_lost: u64,
    last_write: Option<i64>,
    alerts: Option<AlertsHealth>,
    shipping: Vec<ShippingHealth>,
});

fields!(ShippingHealth {
    destination: String,
    is_held_here: bool,
    is_held_elsewhere: bool,
    lag_events: Option<u64>,
    lag_bytes: Option<u64>,
    lag_seconds: Option<u64>,
    sent: u64,
    refused: u64,
    lost: u64,
    lost_files: u64,
    error: Option<String>,
});

fields!(AlertsHealth {
    is_held_elsewhere: bool,
    last_evaluation: Option<i64>,
    error: Option<String>,
    firing: Vec<FiringRule>,
});

fields!(FiringRule { rule: String, service: String, severity: &'static str, since: i64 });

variants!(HealthStatus { Ok, Failing, Closed, Disabled });
variants!(TextFormat { Prometheus, OpenMetrics });

implement! {
    AlertsHealth: Plain, Clone, Debug, Default, PartialEq, Eq;
    FiringRule: Plain, Clone, Debug, PartialEq, Eq;
    Health: Plain, Clone, Debug, Default, PartialEq, Eq;
    HealthStatus: Plain, Clone, Copy, Debug, Default, PartialEq, Eq;
    ShippingHealth: Plain, Clone, Debug, Default, PartialEq, Eq;
    TextFormat: Plain, Clone, Copy, Debug, Default, PartialEq, Eq;
}
