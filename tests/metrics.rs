//! Figures of all events, whatever is sampled, and the pages that show them.
#![cfg(not(loom))]

mod common;

use common::DEADLINE;
use common::memory;
use llm_audit::metrics::Metrics;
use llm_audit::{AuditEvent, AuditLogger, EventType, LlmCall, SamplingPolicy, Status};

/// Runs the same events through a logger with this policy, and returns its figures and how many it wrote.
fn figures(policy: SamplingPolicy) -> (Metrics, u64) {
    let (exporter, _seen) = memory();
    let builder = AuditLogger::builder().without_environment().files(false).exporter(exporter);
    let logger = builder.sampling(policy).failed_traces(llm_audit::FailedTraces::Sampled).build();
    let logger = logger.unwrap();
    for number in 0..1_000_u32 {
        let latency = f64::from(number % 97);
        let status = if number % 10 == 0 { Status::Timeout } else { Status::Ok };
        let request = AuditEvent::new(EventType::RequestEnd, "benefits", "answer");
        logger.emit(&request.status(status).latency_ms(latency));
        let call = LlmCall::new("benefits", "chat", "openai", "gpt-4o").usage((1_000, 10));
        logger.record_llm_call(&call.latency_ms(latency * 2.0));
    }
    logger.shutdown(DEADLINE).unwrap();
    (logger.metrics(), logger.accounting().written)
}

#[test]
fn the_figures_are_the_same_whether_all_is_sampled_out_or_nothing() {
    let all = SamplingPolicy { debug: true, ..SamplingPolicy::default() };
    let none = SamplingPolicy {
        trace_rate: 0.0,
        success_rate: 0.0,
        error_rate: 0.0,
        slow_threshold_ms: f64::INFINITY,
        ..SamplingPolicy::default()
    };
    let ((all, written), (none, not_written)) = (figures(all), figures(none));
    assert_eq!((written, not_written), (2_000, 0));
    let of = |metrics: &Metrics| {
        let latency = metrics.request_latency();
        let quantiles = [0.5, 0.95, 0.99].map(|share| latency.quantile_ms(share));
        let counts = [
            metrics.requests_total(),
            metrics.llm_calls_total(),
            metrics.errors_total(),
            metrics.timeouts_total(),
        ];
        (counts, quantiles, metrics.cost_usd(), metrics.rows.len())
    };
    assert_eq!(of(&all), of(&none));
    // 1,000 calls of 1,000 and 10 tokens, at 2.5 and 10 dollars a million.
    let cost = "2.6".parse().unwrap();
    assert_eq!((of(&all).0, all.cost_usd()), ([1_000, 1_000, 0, 100], cost));
    let models: Vec<_> = all.rows.iter().map(|row| row.model.as_str()).collect();
    assert_eq!(models, ["gpt-4o", "", ""]);
}

#[test]
fn what_is_written_and_synced_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let logger = common::logger(folder.path()).build().unwrap();
    for _ in 0..10 {
        logger.emit(&AuditEvent::new(EventType::CacheHit, "benefits", "plan.get"));
    }
    logger.flush_durable(DEADLINE).unwrap();
    let metrics = logger.metrics();
    let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
    let log = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".jsonl"));
    let bytes: u64 = log.map(|entry| entry.metadata().unwrap().len()).sum();
    assert_eq!(metrics.bytes_written, bytes);
    for timings in [metrics.writes, metrics.syncs] {
        assert!(timings.latencies.count() > 0 && timings.ms_sum > 0.0, "{timings:?}");
    }
}

#[test]
fn a_request_is_active_until_its_end() {
    let (exporter, _seen) = memory();
    let builder = AuditLogger::builder().without_environment().files(false).exporter(exporter);
    let logger = builder.build().unwrap();
    for _ in 0..3 {
        logger.emit(&AuditEvent::new(EventType::RequestStart, "benefits", "answer"));
    }
    logger.emit(&AuditEvent::new(EventType::RequestEnd, "benefits", "answer"));
    assert_eq!(logger.metrics().active_traces(), 2);
}

/// Objectives are counted from the first scrape on, so that no increase is missed.
#[cfg(feature = "slo")]
#[test]
fn the_events_of_objectives_are_counted_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slo.toml");
    let objective = "[[objective]]\nname = \"answers\"\nindicator = \"ratio\"\n\
                     of = { type = \"request.end\" }\nbad = { status = \"error\" }\ntarget = 0.9\n";
    std::fs::write(&file, objective).unwrap();
    let audit = common::logger(&folder.path().join("logs")).slo_file(&file).build().unwrap();
    let counted = || {
        let of = &audit.metrics().objectives[0];
        (of.slo.clone(), of.good, of.bad)
    };
    assert_eq!(counted(), ("answers".to_owned(), 0, 0));
    for event_type in [EventType::RequestEnd, EventType::RequestEnd, EventType::ToolError] {
        audit.emit(&AuditEvent::new(event_type, "a", "b"));
    }
    audit.emit(&AuditEvent::new(EventType::RequestEnd, "a", "b").status(Status::Error));
    assert_eq!(counted(), ("answers".to_owned(), 2, 1));
    std::fs::write(&file, objective.replace("ratio", "rato")).unwrap();
    let error = common::logger(folder.path()).slo_file(&file).build().unwrap_err();
    let message = error.to_string();
    assert!(error.is_config() && message.contains("slo.toml:3"), "{message}");
}
