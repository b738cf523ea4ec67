//! The ids of spans: parents stay the same, however spans are entered, moved, exited and closed.
#![cfg(all(feature = "tracing", not(loom)))]

mod common;

use std::cell::RefCell;
use std::collections::HashMap;

use llm_audit::layer::tracing::AuditLayer;
use llm_audit::testing::{Capture, capture};
use llm_audit::{AuditEvent, AuditLogger, EventType, InSpan, TraceContext};
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::dispatcher::DefaultGuard;
use tracing::{Dispatch, Instrument, Span, info, info_span};
use tracing_subscriber::prelude::*;

fn subscriber() -> Dispatch {
    Dispatch::new(tracing_subscriber::registry().with(AuditLayer::new("benefits")))
}

fn recorded(work: impl FnOnce()) -> Vec<Value> {
    let seen = capture();
    tracing::dispatcher::with_default(&subscriber(), work);
    lines(&seen)
}

fn lines(seen: &Capture) -> Vec<Value> {
    seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn agent() -> Span {
    info_span!("agent", gen_ai.operation.name = "invoke_agent")
}

/// Makes a model call with this name as its model.
fn chat(model: &str) -> Span {
    info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = model)
}

fn tool(name: &str) -> Span {
    info_span!("tool", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = name)
}

fn emit(action: &str) {
    llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "benefits", action));
}

/// Returns an event's name in these tests: the model, the tool, or the action.
fn name(line: &Value) -> &str {
    let data = &line["data"];
    let named = data["model"].as_str().or(data["tool"].as_str());
    named.unwrap_or_else(|| line["action"].as_str().unwrap())
}

/// Returns the name of each event's parent, by the name of the event.
///
/// It is `-` if the event has no parent, and `?` if none of these events is the parent.
fn parents(lines: &[Value]) -> HashMap<&str, &str> {
    let names: HashMap<_, _> =
        lines.iter().map(|line| (line["span_id"].as_str().unwrap(), name(line))).collect();
    let parent = |line: &Value| match line["parent_span_id"].as_str() {
        Some(id) => names.get(id).copied().unwrap_or("?").to_owned(),
        None => "-".to_owned(),
    };
    let leak = |text: String| -> &'static str { text.leak() };
    lines.iter().map(|line| (name(line), leak(parent(line)))).collect()
}

fn assert_parents(lines: &[Value], expected: &[(&str, &str)]) {
    let expected: HashMap<_, _> = expected.iter().copied().collect();
    assert_eq!(parents(lines), expected, "{lines:#?}");
    assert_eq!(TraceContext::current(), None, "nothing stays current");
}

#[test]
fn a_span_lies_below_the_nearest_operation_and_that_below_what_is_current() {
    let server = TraceContext::new_trace();
    let lines = recorded(|| {
        let _request = server.enter();
        let _agent = agent().entered();
        let _plain = info_span!("plain").entered();
        drop(chat("one"));
        let _tool = tool("search").entered();
        drop(chat("two"));
        emit("cache");
    });
    assert_parents(
        &lines,
        &[
            ("invoke_agent", "?"),
            ("one", "invoke_agent"),
            ("search", "invoke_agent"),
            ("two", "search"),
            ("cache", "search"),
        ],
    );
    let trace_id = format!("{:032x}", server.trace_id());
    assert!(lines.iter().all(|line| line["trace_id"] == trace_id.as_str()));
    let agent = lines.last().unwrap();
    assert_eq!(agent["parent_span_id"], format!("{:016x}", server.span_id()));
}

#[test]
fn a_scope_inside_a_span_lies_between() {
    let mut between = None;
    let lines = recorded(|| {
        let agent = agent();
        let _in = agent.enter();
        let inner = TraceContext::current().unwrap().new_span();
        {
            let _scope = inner.enter();
            drop(chat("below the scope"));
            drop(info_span!(parent: &agent, "c", gen_ai.request.model = "below the agent"));
            info!(gen_ai.operation.name = "chat", gen_ai.request.model = "an event");
        }
        between = Some(format!("{:016x}", inner.span_id()));
    });
    let parent = |of: &str| &lines.iter().find(|line| name(line) == of).unwrap()["parent_span_id"];
    let between = between.unwrap();
    assert_eq!(parent("below the scope"), between.as_str());
    assert_eq!(parent("an event"), between.as_str());
    let agent = lines.last().unwrap();
    assert_eq!(parent("below the agent"), &agent["span_id"]);
}

#[test]
fn explicit_parents_and_roots() {
    let lines = recorded(|| {
        let (one, other) = (tool("one"), tool("other"));
        let _in = one.enter();
        drop(info_span!(parent: &other, "c", gen_ai.request.model = "below other"));
        let plain = info_span!(parent: &other, "plain");
        drop(info_span!(parent: &plain, "c", gen_ai.request.model = "below plain"));
        let follower = chat("follows");
        follower.follows_from(&other);
        info!(parent: &other, gen_ai.operation.name = "chat", gen_ai.request.model = "event");
    });
    assert_parents(
        &lines,
        &[
            ("one", "-"),
            ("other", "-"),
            ("below other", "other"),
            ("below plain", "other"),
            ("follows", "one"),
            ("event", "other"),
        ],
    );
}

#[test]
fn exits_in_any_order_and_spans_entered_again() {
    let lines = recorded(|| {
        let (a, b, c) = (tool("a"), tool("b"), tool("c"));
        let in_a = a.enter();
        let in_b = b.enter();
        let outside = TraceContext::new_trace();
        let scope = outside.enter();
        let in_c = c.enter();
        let again = a.enter();
        emit("in a again");
        drop(again);
        emit("back in c");
        drop(in_a);
        emit("in c");
        drop(scope);
        emit("still in c");
        drop(in_c);
        emit("in b");
        drop(in_b);
        emit("in none");
    });
    assert_parents(
        &lines,
        &[
            ("a", "-"),
            ("b", "-"),
            ("c", "-"),
            ("in a again", "a"),
            ("back in c", "c"),
            ("in c", "c"),
            ("still in c", "c"),
            ("in b", "b"),
            ("in none", "-"),
        ],
    );
}

#[test]
fn an_exit_that_never_comes_ends_with_the_span() {
    let lines = recorded(|| {
        let leaked = tool("leaked");
        std::mem::forget(leaked.enter());
        emit("in it");
        drop(leaked);
        emit("behind it");
    });
    assert_parents(&lines, &[("leaked", "-"), ("in it", "leaked"), ("behind it", "-")]);
}

#[test]
fn a_span_cloned_and_closed_on_another_thread() {
    let seen = capture();
    let dispatch = subscriber();
    tracing::dispatcher::with_default(&dispatch, || {
        let span = tool("search");
        let clone = span.clone();
        let _in = span.enter();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _attached = seen.attach();
                let _subscriber = tracing::dispatcher::set_default(&dispatch);
                let _in = clone.enter();
                emit("elsewhere");
                assert!(TraceContext::current().is_some());
            });
        });
        emit("here");
        let both = (span.clone(), span.clone());
        drop(_in);
        drop((span, clone));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _attached = seen.attach();
                drop(both);
                assert_eq!(TraceContext::current(), None);
            });
        });
    });
    let lines = lines(&seen);
    assert_parents(&lines, &[("search", "-"), ("elsewhere", "search"), ("here", "search")]);
    assert_eq!(lines.last().unwrap()["event_type"], "tool.result");
}

/// Runs a runtime whose threads all record into one logger, and returns the events.
fn on_threads<F: Future<Output = ()> + Send + 'static>(
    work: impl FnOnce(AuditLogger) -> F,
) -> Vec<Value> {
    let (audit, seen) = common::memory_logger();
    let layer = AuditLayer::new("benefits").logger(audit.clone());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    // Set on every thread, like the subscriber of a process. The registry closes a span's parent
    // through the subscriber of the thread that closes the span.
    thread_local! {
        static SUBSCRIBER: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .on_thread_start(move || {
            SUBSCRIBER.set(Some(tracing::dispatcher::set_default(&dispatch)));
        })
        .on_thread_stop(|| drop(SUBSCRIBER.take()))
        .build()
        .unwrap();
    let work = work(audit.clone());
    runtime.block_on(async { runtime.spawn(work).await.unwrap() });
    drop(runtime);
    audit.shutdown(common::DEADLINE).unwrap();
    assert_eq!(audit.accounting().overwritten, 0);
    seen.lines().into_iter().filter(|line| line.get("seq").is_some()).collect()
}

/// Lets the runtime continue with other tasks, perhaps on other threads.
async fn elsewhere() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

fn note(audit: &AuditLogger, action: &str) {
    audit.emit(&AuditEvent::new(EventType::CacheHit, "benefits", action));
}

#[test]
fn the_trees_of_many_tasks_are_whole() {
    const TASKS: usize = 64;
    const TURNS: usize = 5;
    async fn turn(audit: AuditLogger, task: usize, turn: usize) {
        let of = |what: &str| format!("{task}/{turn}/{what}");
        async {
            elsewhere().await;
            note(&audit, &of("in chat"));
        }
        .instrument(chat(&of("chat")))
        .await;
        let run = |what: &'static str| {
            let audit = audit.clone();
            async move {
                elsewhere().await;
                async { elsewhere().await }
                    .instrument(chat(&format!("{task}/{turn}/{what}/chat")))
                    .await;
                note(&audit, &format!("{task}/{turn}/{what}/note"));
            }
            .instrument(tool(&of(what)))
        };
        let spawned = tokio::spawn(run("spawned"));
        let ((), (), spawned) = tokio::join!(run("one"), run("two"), spawned);
        spawned.unwrap();
    }
    let lines = on_threads(|audit| async move {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let audit = audit.clone();
                let work = async move {
                    for number in 0..TURNS {
                        turn(audit.clone(), task, number).await;
                    }
                };
                let span = info_span!(
                    "agent",
                    gen_ai.operation.name = "invoke_agent",
                    gen_ai.request.model = format!("{task}"),
                );
                tokio::spawn(work.instrument(span))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    // One chat with its note. Three tools, each with two events, a chat and a note.
    assert_eq!(lines.len(), TASKS * (1 + TURNS * (2 + 3 * 4)));
    let parents = parents(&lines);
    assert_eq!(parents.len(), TASKS * (1 + TURNS * (2 + 3 * 3)));
    for (name, parent) in parents {
        let expected = match name.rsplit_once('/') {
            None => "-".to_owned(),
            Some((above, "in chat")) => format!("{above}/chat"),
            // An agent's turn, or else a tool.
            Some((above, _)) if above.matches('/').count() == 1 => {
                above.split_once('/').unwrap().0.to_owned()
            }
            Some((above, _)) => above.to_owned(),
        };
        assert_eq!(parent, expected, "the parent of {name}");
    }
    let traces: std::collections::HashSet<_> =
        lines.iter().map(|line| line["trace_id"].as_str().unwrap()).collect();
    assert_eq!(traces.len(), TASKS);
}

#[test]
fn a_future_that_is_cancelled() {
    let lines = on_threads(|audit| async move {
        let (started, has_started) = oneshot::channel();
        let work = async move {
            let _on_drop = OnDrop(audit.clone());
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        let call = async { work.instrument(tool("search")).await }.instrument(agent());
        let task = tokio::spawn(call);
        has_started.await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
    let mut types: Vec<_> = lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect();
    assert_eq!(types.remove(0), "tool.call");
    types.sort_unstable();
    assert_eq!(types, ["agent.invoke", "cache.hit", "tool.result"]);
    assert_parents(
        &lines,
        &[("search", "invoke_agent"), ("invoke_agent", "-"), ("dropped", "search")],
    );
}

struct OnDrop(AuditLogger);

impl Drop for OnDrop {
    fn drop(&mut self) {
        note(&self.0, "dropped");
    }
}

#[test]
fn futures_that_carry_a_context_and_a_span() {
    let server = TraceContext::new_trace();
    let within = server.clone();
    let lines = on_threads(|audit| async move {
        let inner = async {
            elsewhere().await;
            note(&audit, "inside");
        };
        let call = async { inner.instrument(chat("chat")).await };
        let below = async { call.in_span(TraceContext::current().unwrap().new_span()).await };
        async { below.instrument(agent()).await }.in_span(within).await;
    });
    let parents = parents(&lines);
    assert_eq!((parents["inside"], parents["chat"]), ("chat", "?"));
    let agent = lines.last().unwrap();
    assert_eq!(agent["parent_span_id"], format!("{:016x}", server.span_id()));
    let chat = lines.iter().find(|line| name(line) == "chat").unwrap();
    assert_ne!(chat["parent_span_id"], agent["span_id"], "the context between is its parent");
}
