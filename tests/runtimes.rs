//! Callers of `emit`: threads, tasks and runtimes, and the trace ids that stay with their task on
//! its way through the runtimes.
#![cfg(not(loom))]

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::thread;

use common::{DEADLINE, data, memory};
use llm_audit::{Accounting, AuditEvent, AuditLogger, EventType, InSpan, TraceContext};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

const THREADS: u64 = 8;
const EACH: u64 = 100;

/// Runs `run` with a logger that keeps everything. Every event it emitted has arrived once, none
/// missing between their numbers, and every count says so.
fn recorded(run: impl FnOnce(&AuditLogger)) -> (Vec<Value>, Accounting) {
    let (exporter, seen) = memory();
    let builder = AuditLogger::builder().without_environment().files(false).debug(true);
    let audit = builder.exporter(exporter).build().unwrap();
    run(&audit);
    audit.shutdown(DEADLINE).unwrap();
    let accounting = audit.accounting();
    assert!(accounting.adds_up(), "{accounting:?}");
    assert_eq!(accounting.written, accounting.emitted, "{accounting:?}");
    let mut lines = seen.lines();
    let stop = lines.pop().unwrap();
    assert_eq!(stop["data"]["written"], accounting.written);
    assert_eq!(stop["data"]["in_flight"], 0);
    lines.retain(|line| line.get("seq").is_some());
    let seqs: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=accounting.emitted).collect::<Vec<_>>());
    (lines, accounting)
}

/// As [`recorded`]; the events carry the numbers from 0 to `count`.
fn arrive(count: u64, run: impl FnOnce(&AuditLogger)) -> Accounting {
    let (lines, accounting) = recorded(run);
    let mut numbers: Vec<u64> =
        lines.iter().map(|line| line["data"]["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    accounting
}

fn emit(audit: &AuditLogger, n: u64) {
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
}

/// The events of one of [`THREADS`] threads or tasks.
fn emit_part(audit: &AuditLogger, part: u64) {
    (part * EACH..(part + 1) * EACH).for_each(|n| emit(audit, n));
}

#[test]
fn from_plain_threads() {
    arrive(THREADS * EACH, |audit| {
        let threads: Vec<_> = (0..THREADS)
            .map(|part| {
                let audit = audit.clone();
                thread::spawn(move || emit_part(&audit, part))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn from_scoped_threads() {
    arrive(THREADS * EACH, |audit| {
        thread::scope(|scope| {
            for part in 0..THREADS {
                scope.spawn(move || emit_part(audit, part));
            }
        });
    });
}

/// Emits from as many tasks, each letting the others go on after every event.
async fn on_tokio(audit: AuditLogger) {
    let mut tasks = tokio::task::JoinSet::new();
    for part in 0..THREADS {
        let audit = audit.clone();
        tasks.spawn(async move {
            for n in part * EACH..(part + 1) * EACH {
                emit(&audit, n);
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

fn on_four_workers() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap()
}

#[test]
fn from_a_tokio_runtime_of_many_threads() {
    arrive(THREADS * EACH, |audit| on_four_workers().block_on(on_tokio(audit.clone())));
}

#[test]
fn from_a_tokio_runtime_of_the_current_thread() {
    arrive(THREADS * EACH, |audit| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(on_tokio(audit.clone()));
    });
}

#[test]
fn from_smol() {
    arrive(THREADS * EACH, |audit| {
        let tasks = (0..THREADS).map(|part| {
            let audit = audit.clone();
            smol::spawn(async move {
                for n in part * EACH..(part + 1) * EACH {
                    emit(&audit, n);
                    smol::future::yield_now().await;
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        smol::block_on(async {
            for task in tasks {
                task.await;
            }
        });
    });
}

#[test]
fn from_rayon() {
    arrive(THREADS * EACH, |audit| {
        (0..THREADS * EACH).into_par_iter().for_each(|n| emit(audit, n));
    });
}

/// Emits when dropped.
struct AtDrop<'a, T: Serialize> {
    audit: &'a AuditLogger,
    payload: T,
}

impl<T: Serialize> Drop for AtDrop<'_, T> {
    fn drop(&mut self) {
        assert!(thread::panicking());
        self.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&self.payload));
    }
}

#[test]
fn from_a_drop_while_unwinding() {
    let accounting = arrive(EACH, |audit| {
        for n in 0..EACH {
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let _emits = AtDrop { audit, payload: data(n) };
                resume_unwind(Box::new("the caller's own"));
            }));
            assert!(unwound.is_err());
        }
    });
    assert_eq!(accounting.unserializable, 0);
}

/// Panics when it is serialized.
struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        resume_unwind(Box::new("the payload's own"))
    }
}

#[test]
fn a_payload_that_panics_while_unwinding_costs_itself() {
    let (lines, accounting) = recorded(|audit| {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _emits = AtDrop { audit, payload: Panics };
            resume_unwind(Box::new("the caller's own"));
        }));
        assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"the caller's own"));
        emit(audit, 0);
    });
    assert_eq!(accounting.unserializable, 1);
    assert_eq!(lines[0]["data"], json!({"value": "[UNSERIALIZABLE]"}));
    assert_eq!(lines[1]["data"]["n"], 0);
}

/// Emits the events below its own number while it is serialized, each from inside the next.
struct Nested<'a> {
    audit: &'a AuditLogger,
    n: u64,
    emit: fn(&AuditLogger, &AuditEvent<'_>),
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("before", &"x".repeat(2000))?;
        if let Some(n) = self.n.checked_sub(1) {
            let inner = Nested { n, ..*self };
            (self.emit)(self.audit, &AuditEvent::new(EventType::CacheHit, "a", "b").data(&inner));
        }
        map.serialize_entry("after", &"y".repeat(2000))?;
        map.serialize_entry("n", &self.n)?;
        map.end()
    }
}

#[test]
fn from_inside_the_payload_of_another_event() {
    for emit in [AuditLogger::emit, AuditLogger::emit_wait] {
        const DEPTH: u64 = 20;
        let (lines, _) = recorded(|audit| {
            let outer = Nested { audit, n: DEPTH - 1, emit };
            emit(audit, &AuditEvent::new(EventType::CacheHit, "a", "b").data(&outer));
        });
        // The innermost is whole first.
        for (n, line) in lines.iter().enumerate() {
            let expected = json!({"before": "x".repeat(2000), "after": "y".repeat(2000), "n": n});
            assert_eq!(line["data"], expected);
        }
        assert_eq!(lines.len() as u64, DEPTH);
    }
}

/// Emits when its thread's storage is torn down.
struct AtExit(AuditLogger, u64);

impl Drop for AtExit {
    fn drop(&mut self) {
        emit(&self.0, self.1);
    }
}

thread_local! {
    static EARLIER: RefCell<Option<AtExit>> = const { RefCell::new(None) };
    static LATER: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

/// Storage is torn down in one order or the other. If one of the two destructors finds what the
/// library keeps for the thread still there, the other finds it gone.
#[test]
fn from_destructors_of_a_thread_s_storage() {
    arrive(THREADS * 3, |audit| {
        for part in 0..THREADS {
            let audit = audit.clone();
            // A scope would not wait for the destructors; a join does.
            let thread = thread::spawn(move || {
                EARLIER.set(Some(AtExit(audit.clone(), part * 3)));
                emit(&audit, part * 3 + 1);
                LATER.set(Some(AtExit(audit.clone(), part * 3 + 2)));
            });
            thread.join().unwrap();
        }
    });
}

/// Emits an event of the span's own and one below it, which say what they believe to be in.
fn emit_in(audit: &AuditLogger, at: &TraceContext) {
    assert_eq!(TraceContext::current().as_ref(), Some(at));
    let payload =
        json!({"trace": at.trace_id() as u64, "span": at.span_id(), "parent": at.parent_span_id()});
    for event_type in [EventType::ToolCall, EventType::CacheHit] {
        audit.emit(&AuditEvent::new(event_type, "a", "b").data(&payload));
    }
}

fn span(line: &Value, field: &str) -> Option<u64> {
    line.get(field).map(|id| u64::from_str_radix(id.as_str().unwrap(), 16).unwrap())
}

/// Every line has the ids of the context it says; how many lines each trace has.
fn traces(lines: &[Value]) -> BTreeMap<u64, u64> {
    let mut traces = BTreeMap::new();
    let mut children = BTreeSet::new();
    for line in lines {
        let (data, trace) = (&line["data"], line["data"]["trace"].as_u64().unwrap());
        assert_eq!(line["trace_id"], format!("{trace:032x}"), "{line}");
        let (own, above) = (span(line, "span_id"), span(line, "parent_span_id"));
        if line["event_type"] == "tool.call" {
            assert_eq!((own, above), (data["span"].as_u64(), data["parent"].as_u64()), "{line}");
        } else {
            assert_eq!(above, data["span"].as_u64(), "{line}");
            assert_ne!(own, above);
            assert!(children.insert(own), "a span of its own: {line}");
        }
        *traces.entry(trace).or_default() += 1;
    }
    traces
}

const TASKS: u64 = 64;
const YIELDS: u64 = 8;

fn root(task: u64) -> TraceContext {
    TraceContext::from_ids(u128::from(task) + 1, task + 1000, Some(task + 2000)).unwrap()
}

fn of_each_task(count: u64) -> BTreeMap<u64, u64> {
    (1..=TASKS).map(|trace| (trace, count)).collect()
}

/// A task that lets others go on between its events, inside a span of a span too.
async fn traced<F: Future>(audit: &AuditLogger, at: &TraceContext, pause: impl Fn() -> F) {
    for _ in 0..YIELDS {
        emit_in(audit, at);
        pause().await;
        let below = at.new_span();
        let step = async {
            emit_in(audit, &below);
            pause().await;
            emit_in(audit, &below);
        };
        step.in_span(below.clone()).await;
    }
}

#[test]
fn traces_stay_with_tasks_on_tokio() {
    let (lines, _) = recorded(|audit| {
        let runtime = on_four_workers();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (audit, at) = (audit.clone(), root(task));
                let within = at.clone();
                let work = async move {
                    traced(&audit, &at, tokio::task::yield_now).await;
                    // Another task, and a thread that runs no tasks, of the same trace.
                    let (below, other) = (at.new_span(), audit.clone());
                    let child = below.clone();
                    let child = async move {
                        tokio::task::yield_now().await;
                        emit_in(&other, &child);
                    };
                    tokio::spawn(child.in_span(below)).await.unwrap();
                    let (blocking, other) = (at.clone(), audit.clone());
                    let blocking = move || {
                        assert_eq!(TraceContext::current(), None);
                        let _scope = blocking.enter();
                        emit_in(&other, &blocking);
                    };
                    tokio::task::spawn_blocking(blocking).await.unwrap();
                    emit_in(&audit, &at);
                };
                runtime.spawn(work.in_span(within))
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    assert_eq!(traces(&lines), of_each_task(2 * (3 * YIELDS + 3)));
}

/// Each round of the tasks runs on a thread of its own, so that every `.await` is a hop.
#[test]
fn traces_stay_with_tasks_on_smol_from_thread_to_thread() {
    const ROUNDS: u64 = 2 * YIELDS + 1;
    let hops = Mutex::new(BTreeMap::<u64, Vec<thread::ThreadId>>::new());
    let (lines, _) = recorded(|audit| {
        let executor = smol::Executor::new();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (at, hops) = (root(task), &hops);
                let work = async move {
                    let at = root(task);
                    let hop = || {
                        let mut hops = hops.lock().unwrap();
                        hops.entry(task).or_default().push(thread::current().id());
                        smol::future::yield_now()
                    };
                    traced(audit, &at, hop).await;
                };
                executor.spawn(work.in_span(at))
            })
            .collect();
        for _ in 0..ROUNDS {
            thread::scope(|scope| {
                scope.spawn(|| {
                    assert!((0..TASKS).all(|_| executor.try_tick()));
                    assert_eq!(TraceContext::current(), None, "nothing stays on the thread");
                });
            });
        }
        assert!(tasks.iter().all(smol::Task::is_finished));
    });
    assert_eq!(traces(&lines), of_each_task(2 * 3 * YIELDS));
    for threads in hops.into_inner().unwrap().values() {
        assert_eq!(threads.len() as u64, ROUNDS - 1);
        assert!(threads.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

/// What of a trace an event is, by its type.
#[test]
fn an_operation_shares_its_span_and_all_else_is_below() {
    let shared = [
        EventType::RequestStart,
        EventType::RequestEnd,
        EventType::ToolCall,
        EventType::ToolResult,
        EventType::ToolError,
        EventType::EvalResult,
        EventType::FeedbackGiven,
    ];
    let own = [
        EventType::AgentRoute,
        EventType::AgentDecision,
        EventType::AgentRetry,
        EventType::AgentFallback,
        EventType::LlmInvoke,
        EventType::LlmError,
        EventType::NlpExtract,
        EventType::CacheHit,
        EventType::CacheMiss,
        EventType::ApiCall,
        EventType::S3Write,
        EventType::PushSend,
        EventType::Serialize,
        EventType::PromptEfficiency,
        EventType::Custom("cart.checkout"),
    ];
    let (current, given) = (root(0), root(1));
    let (lines, _) = recorded(|audit| {
        let _scope = current.enter();
        for event_type in shared.into_iter().chain(own) {
            let event = AuditEvent::new(event_type, "a", "b");
            audit.emit(&event);
            audit.emit(&event.context(&given));
            audit.emit(&event.span(&given));
        }
    });
    let ids = |line: &Value| {
        let trace = TraceContext::parse_trace_id(line["trace_id"].as_str().unwrap()).unwrap();
        (trace, span(line, "span_id"), span(line, "parent_span_id"))
    };
    let exactly = |context: &TraceContext| {
        (context.trace_id(), Some(context.span_id()), context.parent_span_id())
    };
    let mut children = BTreeSet::new();
    for event_type in shared.into_iter().chain(own) {
        // By type: errors have a lane of their own, and may be written before what came earlier.
        let of_type = |line: &&Value| line["event_type"] == event_type.name();
        let lines: Vec<&Value> = lines.iter().filter(of_type).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(ids(lines[2]), exactly(&given), "{}", lines[2]);
        for (line, context) in lines.into_iter().zip([&current, &given]) {
            if shared.contains(&event_type) {
                assert_eq!(ids(line), exactly(context), "{line}");
            } else {
                let (trace, own, above) = ids(line);
                assert_eq!((trace, above), (context.trace_id(), Some(context.span_id())));
                assert!(![current.span_id(), given.span_id()].contains(&own.unwrap()));
                assert!(children.insert(own), "{line}");
            }
        }
    }
    assert_eq!(children.len(), 2 * own.len());
}

#[test]
fn without_a_context_each_event_is_its_own_trace() {
    let (lines, _) = recorded(|audit| {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for event_type in [EventType::ToolCall, EventType::CacheHit] {
                        audit.emit(&AuditEvent::new(event_type, "a", "b"));
                    }
                });
            }
        });
    });
    let all = |field: &str| lines.iter().map(|line| line[field].to_string()).collect();
    let (traces, spans): (BTreeSet<String>, BTreeSet<String>) = (all("trace_id"), all("span_id"));
    assert_eq!((traces.len() as u64, spans.len() as u64), (2 * THREADS, 2 * THREADS));
    assert!(lines.iter().all(|line| line.get("parent_span_id").is_none()));
}
