//! Many traces at the default rates: no call is written without its result, and every failed trace is whole.
#![cfg(not(loom))]

mod common;

use std::collections::BTreeMap;
use std::thread;

use common::DEADLINE;
use llm_audit::{AuditEvent, AuditLogger, EventType, Status, TraceContext};
use serde_json::Value;

const THREADS: u64 = 4;
const TRACES_OF_EACH: usize = 5_000;
/// Traces of a thread that are open at once.
const OPEN: usize = 32;

/// A request with its steps, of which one may fail.
struct Request {
    context: TraceContext,
    /// What is still to be emitted, the last first.
    steps: Vec<(EventType<'static>, Status, f64, TraceContext)>,
    emitted: u64,
    has_failed: bool,
}

impl Request {
    fn new(rng: &mut fastrand::Rng) -> Self {
        // Half of them come from a caller whose flag must not thin them out.
        let context = match rng.bool() {
            true => TraceContext::new_trace(),
            false => {
                let header = format!("00-{:032x}-{:016x}-00", rng.u128(1..), rng.u64(1..));
                TraceContext::from_traceparent(&header).unwrap().new_span()
            }
        };
        let mut steps = vec![(EventType::RequestStart, Status::Ok, 0.0, context.clone())];
        for _ in 0..rng.u32(1..4) {
            let tool = context.new_span();
            steps.push((EventType::ToolCall, Status::Ok, 0.0, tool.clone()));
            steps.push((EventType::CacheHit, Status::Ok, 1.0, tool.clone()));
            steps.push((EventType::ToolResult, Status::Ok, 20.0, tool));
            // Most calls of models are slow.
            let latency = if rng.u32(..4) > 0 { 2_000.0 } else { 500.0 };
            steps.push((EventType::LlmInvoke, Status::Ok, latency, context.clone()));
        }
        steps.push((EventType::RequestEnd, Status::Ok, 900.0, context.clone()));
        let has_failed = rng.u32(..20) == 0;
        if has_failed {
            // Any step but the first, and in half of them the request recovers.
            let at = rng.usize(1..steps.len());
            let (kind, status, ..) = &mut steps[at];
            match *kind {
                EventType::ToolResult => (*kind, *status) = (EventType::ToolError, Status::Error),
                EventType::LlmInvoke => (*kind, *status) = (EventType::LlmError, Status::Timeout),
                _ => *status = Status::Error,
            }
            if rng.bool() {
                steps.last_mut().unwrap().1 = Status::Error;
            }
        }
        steps.reverse();
        Self { context, steps, emitted: 0, has_failed }
    }

    /// Emits the next step. Returns `false` after the last one.
    fn step(&mut self, audit: &AuditLogger) -> bool {
        let Some((kind, status, latency, context)) = self.steps.pop() else { return false };
        let event = AuditEvent::new(kind, "a", "b").status(status).latency_ms(latency);
        audit.emit_wait(&event.context(&context));
        self.emitted += 1;
        true
    }
}

/// Runs requests, many at the same time, and returns of each trace how many events it has and whether
/// it failed.
fn run(audit: &AuditLogger, seed: u64) -> Vec<(u128, u64, bool)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut open, mut done) = (Vec::new(), Vec::new());
    while done.len() < TRACES_OF_EACH {
        if open.len() < OPEN && open.len() + done.len() < TRACES_OF_EACH {
            open.push(Request::new(&mut rng));
            continue;
        }
        let at = rng.usize(..open.len());
        if !open[at].step(audit) {
            let request = open.swap_remove(at);
            done.push((request.context.trace_id(), request.emitted, request.has_failed));
        }
    }
    done
}

#[test]
fn no_call_lacks_its_result_and_no_failed_trace_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let audit = AuditLogger::builder().without_environment().directory(folder.path());
    let audit = audit.build().unwrap();
    let done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                scope.spawn({
                    let audit = &audit;
                    move || run(audit, seed)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    audit.shutdown(DEADLINE).unwrap();
    let counts = audit.accounting();
    assert!(counts.adds_up() && counts.queued == 0 && counts.overwritten == 0, "{counts:?}");
    assert!(llm_audit::reader::verify(folder.path()).unwrap().is_clean());

    let mut of_trace = BTreeMap::<u128, Vec<Value>>::new();
    for line in common::lines(folder.path()) {
        if let Some(id) = line["trace_id"].as_str() {
            of_trace.entry(TraceContext::parse_trace_id(id).unwrap()).or_default().push(line);
        }
    }
    let (mut failed, mut well, mut well_kept) = (0, 0, 0);
    for (trace_id, emitted, has_failed) in done {
        let lines = of_trace.remove(&trace_id).unwrap_or_default();
        for line in &lines {
            let results = match line["event_type"].as_str().unwrap() {
                "tool.call" => ["tool.result", "tool.error"],
                "request.start" => ["request.end", "request.end"],
                _ => continue,
            };
            let is_result = |other: &&Value| {
                other["span_id"] == line["span_id"]
                    && results.contains(&other["event_type"].as_str().unwrap())
            };
            assert_eq!(lines.iter().filter(is_result).count(), 1, "{line}");
        }
        if has_failed {
            assert_eq!(lines.len() as u64, emitted, "{trace_id:032x} {lines:?}");
            failed += 1;
        } else {
            assert!(lines.iter().all(|line| line["kept"] != "failed"), "{lines:?}");
            let is_drawn = |line: &&Value| line.get("kept").is_none();
            well += emitted;
            well_kept += lines.iter().filter(is_drawn).count() as u64;
        }
    }
    assert!(of_trace.is_empty() && failed > 800, "{failed}");
    let share = well_kept as f64 / well as f64;
    assert!((0.26..0.30).contains(&share), "{share}");
}
