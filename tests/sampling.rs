//! Events that are kept, from `emit` to the line, if nobody sets a rate. The log counts the
//! others.
#![cfg(not(loom))]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{DEADLINE, memory};
use llm_audit::reader::{Figures, Folder, Writers};
use llm_audit::{Accounting, AuditEvent, AuditLogger, EventType, SamplingPolicy, Status};
use llm_audit::{Builder, TraceContext};
use serde_json::{Value, json};

/// What a logger kept: the lines of its events, its last line's data, its counts.
struct Kept {
    lines: Vec<Value>,
    start: Value,
    stop: Value,
    accounting: Accounting,
}

/// Runs `emit` with a logger of the defaults and these changes. Nothing is overwritten; whatever
/// is not in the lines is counted as sampled out.
fn kept(change: impl FnOnce(Builder) -> Builder, emit: impl FnOnce(&AuditLogger)) -> Kept {
    let (exporter, seen) = memory();
    let builder = AuditLogger::builder().without_environment().files(false).exporter(exporter);
    let audit = change(builder).build().unwrap();
    emit(&audit);
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    let mut lines = seen.lines();
    let stop = lines.pop().unwrap()["data"].take();
    let start = lines.remove(0)["data"].take();
    // A slow machine may take more than a minute.
    let (totals, events): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line["event_type"] == "audit.totals");
    let rows = totals.iter().flat_map(|line| line["data"]["rows"].as_array().unwrap());
    let counted: u64 = rows.map(|row| row["events"].as_u64().unwrap()).sum();
    let lines = events;
    assert_eq!(counted, accounting.emitted, "totals have all events");
    let events = lines.len() as u64;
    let expected = (events, accounting.emitted - events, 0);
    assert!(accounting.adds_up());
    assert_eq!((accounting.written, accounting.sampled_out, accounting.overwritten), expected);
    for (name, count) in [
        ("emitted", accounting.emitted),
        ("written", accounting.written),
        ("sampled_out", accounting.sampled_out),
        ("overwritten", 0),
        ("queued", 0),
    ] {
        assert_eq!(stop[name], count, "{name}");
    }
    Kept { lines, start, stop, accounting }
}

/// `kept` of `events` is within eight standard deviations of this share, which no run of draws will
/// miss; of a share of 1, all.
fn assert_share(kept: u64, events: u64, share: f64, what: &str) {
    let (events, kept) = (events as f64, kept as f64);
    let deviation = (events * share * (1.0 - share)).sqrt();
    assert!((kept - events * share).abs() <= 8.0 * deviation, "{what}: {kept} of {events}");
}

fn from_caller(flag: &str, trace: u8) -> TraceContext {
    // The random part of these ids is 0: by its id no trace would be kept.
    let header = format!("00-{:032x}-{:016x}-{flag}", u128::from(trace) << 56, 1);
    TraceContext::from_traceparent(&header).unwrap()
}

#[test]
fn the_shares_that_are_kept_by_default() {
    const MANY: u64 = 100_000;
    const FEW: u64 = 5_000;
    let cases = [
        ("ok", "00", Status::Ok, None, MANY, 0.1),
        ("retry", "00", Status::Retry, None, MANY, 0.1),
        ("ok, at the threshold", "00", Status::Ok, Some(1500.0), MANY, 0.1),
        ("ok, slow", "00", Status::Ok, Some(1500.1), FEW, 1.0),
        ("retry, slow", "00", Status::Retry, Some(60_000.0), FEW, 1.0),
        ("error", "00", Status::Error, None, FEW, 1.0),
        ("timeout", "00", Status::Timeout, Some(3.0), FEW, 1.0),
        ("ok, kept trace", "01", Status::Ok, None, FEW, 1.0),
        ("retry, kept trace", "01", Status::Retry, Some(3.0), FEW, 1.0),
    ];
    let kept = kept(
        |builder| builder,
        |audit| {
            for (trace, case) in (1..).zip(cases) {
                let (action, flag, status, latency_ms, events, _) = case;
                let context = from_caller(flag, trace).new_span();
                let event = AuditEvent::new(EventType::LlmInvoke, "a", action)
                    .status(status)
                    .context(&context);
                let event = latency_ms.map_or(event, |latency| event.latency_ms(latency));
                (0..events).for_each(|_| audit.emit_wait(&event));
            }
        },
    );
    let mut by_action = BTreeMap::<&str, u64>::new();
    for line in &kept.lines {
        *by_action.entry(line["action"].as_str().unwrap()).or_default() += 1;
    }
    for (action, _, _, _, events, share) in cases {
        assert_share(by_action[action], events, share, action);
    }
    let emitted: u64 = cases.iter().map(|case| case.4).sum();
    assert_eq!(kept.accounting.emitted, emitted);
    assert_eq!(kept.stop["sampled_out_by"], "TRACE_SAMPLE_RATE=0.2, SUCCESS_SAMPLE_RATE=0.1");
    let sampling = json!({
        "trace_rate": 0.2,
        "success_rate": 0.1,
        "error_rate": 1.0,
        "slow_threshold_ms": 1500.0,
        "debug": false,
        "failed_traces": "whole",
    });
    assert_eq!(kept.start["sampling"], sampling);
}

/// As OpenTelemetry's consistent probability sampling has it, in whole numbers: the rightmost 56
/// bits are at least four fifths of what they can be.
fn is_kept_whole(trace_id: u128) -> bool {
    const RANDOM: u128 = 1 << 56;
    (trace_id % RANDOM) * 5 >= RANDOM * 4
}

#[test]
fn traces_are_kept_whole_by_their_id_and_alike_by_every_logger() {
    const TRACES: usize = 2_000;
    const EVENTS: u64 = 20;
    let mut rng = fastrand::Rng::with_seed(8);
    let ids: Vec<u128> = (0..TRACES).map(|_| rng.u128(1..)).collect();
    let loggers = [0, 1].map(|first| {
        let kept = kept(
            |builder| builder,
            |audit| {
                // The second logger sees the events of the other direction of the traces first.
                let mut ids = ids.clone();
                ids.rotate_left(first * TRACES / 2);
                for id in ids {
                    let context = TraceContext::from_ids(id, 1, None).unwrap();
                    let _scope = context.enter();
                    for _ in 0..EVENTS {
                        audit.emit_wait(&AuditEvent::new(EventType::CacheHit, "a", "b"));
                    }
                }
            },
        );
        let mut of_trace = BTreeMap::<u128, u64>::new();
        for line in &kept.lines {
            let id = TraceContext::parse_trace_id(line["trace_id"].as_str().unwrap()).unwrap();
            *of_trace.entry(id).or_default() += 1;
        }
        of_trace
    });
    let expected: BTreeSet<u128> = ids.iter().copied().filter(|id| is_kept_whole(*id)).collect();
    assert_share(expected.len() as u64, TRACES as u64, 0.2, "traces");
    for of_trace in &loggers {
        let whole = of_trace.iter().filter(|(_, events)| **events == EVENTS).map(|(id, _)| *id);
        assert_eq!(whole.collect::<BTreeSet<_>>(), expected, "the same traces in both");
        let others = of_trace.iter().filter(|(id, _)| !expected.contains(id));
        let events: u64 = others.map(|(_, events)| events).sum();
        let outside = (TRACES - expected.len()) as u64 * EVENTS;
        assert_share(events, outside, 0.1, "events outside");
    }
    assert_ne!(loggers[0], loggers[1], "outside the traces each draws for itself");
}

#[test]
fn a_lower_rate_of_errors_is_named_as_deciding() {
    const EVENTS: u64 = 10_000;
    let policy = SamplingPolicy {
        trace_rate: 0.0,
        success_rate: 0.0,
        error_rate: 0.25,
        ..SamplingPolicy::default()
    };
    let kept = kept(
        |builder| builder.sampling(policy),
        |audit| {
            for status in [Status::Ok, Status::Error, Status::Timeout] {
                let event = AuditEvent::new(EventType::LlmInvoke, "a", "b").status(status);
                (0..EVENTS).for_each(|_| audit.emit_wait(&event));
            }
        },
    );
    assert_share(kept.lines.len() as u64, 2 * EVENTS, 0.25, "errors and timeouts");
    assert!(kept.lines.iter().all(|line| line["status"] != "ok"));
    let by = "TRACE_SAMPLE_RATE=0, SUCCESS_SAMPLE_RATE=0, ERROR_SAMPLE_RATE=0.25";
    assert_eq!(kept.stop["sampled_out_by"], by);
}

#[test]
fn where_all_is_kept_nothing_is_said_to_decide() {
    let context = from_caller("00", 1);
    let kept = kept(
        |builder| builder.debug(true),
        |audit| {
            let event = AuditEvent::new(EventType::CacheHit, "a", "b").context(&context);
            (0..1000).for_each(|_| audit.emit_wait(&event));
        },
    );
    assert_eq!(kept.lines.len(), 1000);
    assert_eq!(kept.stop.get("sampled_out_by"), None);
}

/// Emits requests of which some fail, are slow, or come with a flag that keeps them, and returns how many
/// events there were and what they cost.
fn emit_requests(audit: &AuditLogger) -> (f64, f64) {
    const REQUESTS: u64 = 6_000;
    let (mut events, mut cost) = (0.0, 0.0);
    let emit = |event: AuditEvent<'_>, span: &TraceContext| {
        audit.emit_wait(&event.span(span));
        1.0
    };
    for n in 0..REQUESTS {
        let flag = if n % 5 == 0 { "01" } else { "00" };
        let (trace, span) = (fastrand::u128(1..) | 0xa << 64, fastrand::u64(1..));
        let header = format!("00-{trace:032x}-{span:016x}-{flag}");
        let request = TraceContext::from_traceparent(&header).unwrap().new_span();
        let (model, tool) = (request.new_span(), request.new_span());
        let took = if n % 3 == 0 { 2_000.0 } else { 200.0 };
        let called = AuditEvent::new(EventType::LlmInvoke, "a", "chat").latency_ms(took);
        events += emit(AuditEvent::new(EventType::RequestStart, "a", "ask"), &request);
        events += emit(called.tokens(10, 1).cost_usd(0.001), &model);
        events += emit(AuditEvent::new(EventType::ToolCall, "a", "find"), &tool);
        let (found, status) = match n % 10 {
            0 => (EventType::ToolError, Status::Error),
            _ => (EventType::ToolResult, Status::Ok),
        };
        events += emit(AuditEvent::new(found, "a", "find").status(status).latency_ms(5.0), &tool);
        let end = AuditEvent::new(EventType::RequestEnd, "a", "ask").latency_ms(took + 300.0);
        events += emit(end, &request);
        cost += 0.001;
    }
    (events, cost)
}

#[test]
fn what_sampling_left_out_can_be_estimated() {
    let folder = tempfile::tempdir().unwrap();
    let policy = SamplingPolicy { success_rate: 0.5, ..SamplingPolicy::default() };
    let builder = AuditLogger::builder().without_environment().directory(folder.path());
    let audit = builder.sampling(policy).build().unwrap();
    let (events, cost) = emit_requests(&audit);
    audit.shutdown(DEADLINE).unwrap();
    assert!(audit.accounting().sampled_out > 0);

    let (mut writers, mut figures) = (Writers::default(), Figures::default());
    let log = Folder::open(folder.path()).unwrap();
    let mut lines = log.lines();
    while let Some(mut entry) = lines.next_line().unwrap() {
        let line = entry.parse().unwrap();
        writers.note(&line);
        if !line.is_own() {
            figures.add(&line, writers.weight_of(&line));
        }
    }
    // More than eight standard deviations. Without weights there are 28 % fewer events, and if lines beyond
    // the draws had the weight 1, 11 % more.
    for (estimate, truth) in [(figures.estimate.events, events), (figures.estimate.cost_usd, cost)]
    {
        assert!((estimate / truth - 1.0).abs() < 0.06, "{estimate} of {truth}");
    }
    assert_eq!(figures.estimate.failed, figures.failed as f64, "failures are all kept");
}
