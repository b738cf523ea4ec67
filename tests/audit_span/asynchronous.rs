//! Async functions: recorded in the context of their polls, also if they move or are dropped.

use std::error::Error;
use std::future::{pending, ready};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use llm_audit::testing::capture;
use llm_audit::{AuditEvent, AuditLogger, EventType, InSpan, TraceContext, audit_span};
use serde_json::json;
use tokio::sync::oneshot;

use super::{events, ids, only, types};

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[audit_span(agent = "a")]
async fn ask(question: &str, fails: bool) -> Result<String, Box<dyn Error + Send + Sync>> {
    tokio::task::yield_now().await;
    if fails {
        "x".parse::<u8>()?;
    }
    if question.is_empty() {
        return Ok(String::new());
    }
    llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "a", "b"));
    Ok(question.to_uppercase())
}

#[test]
fn a_future_is_recorded_when_it_is_first_polled() {
    let seen = capture();
    let (made_in, polled_in) = (TraceContext::new_trace(), TraceContext::new_trace());
    let scope = made_in.enter();
    let mut future = Box::pin(ask("why", false));
    drop(scope);
    assert_eq!(events(&seen).len(), 0, "nothing ran yet");
    let scope = polled_in.enter();
    assert!(poll_once(future.as_mut()).is_pending());
    assert_eq!(TraceContext::current().as_ref(), Some(&polled_in));
    drop(scope);
    assert!(poll_once(future.as_mut()).is_ready());
    drop(future);
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "cache.hit", "tool.result"]);
    assert_eq!(ids(&events[0]).2, Some(format!("{:016x}", polled_in.span_id()).as_str()));
    assert_eq!(ids(&events[1]).2, Some(ids(&events[0]).1), "current on the second poll, too");
    assert_eq!(ids(&events[2]), ids(&events[0]));
}

#[test]
fn errors_and_early_returns() {
    let seen = capture();
    assert!(block_on(ask("why", true)).is_err());
    assert_eq!(block_on(ask("", false)).expect("an answer"), "");
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "tool.error", "tool.call", "tool.result"]);
    assert_eq!(events[1]["error"]["input_snapshot"], json!({"question": "why", "fails": true}));
}

/// Emits an event when it is dropped.
struct Tells;

impl Drop for Tells {
    fn drop(&mut self) {
        llm_audit::emit(&AuditEvent::new(EventType::CacheMiss, "a", "drop"));
    }
}

#[audit_span(agent = "a", event = "llm.invoke")]
async fn forever(tells: Tells, n: u32) -> u32 {
    pending::<()>().await;
    drop(tells);
    n
}

#[test]
fn a_future_that_is_given_up_is_cancelled() {
    let seen = capture();
    let first = block_on(async {
        tokio::select! {
            biased;
            _ = forever(Tells, 5) => "forever",
            () = tokio::task::yield_now() => "yield",
        }
    });
    assert_eq!(first, "yield");
    let events = events(&seen);
    assert_eq!(types(&events), ["cache.miss", "llm.error"]);
    let error = only(&events, "llm.error");
    assert_eq!(error["status"], "error");
    assert_eq!(error["error"]["type"], "cancelled");
    assert_eq!(error["error"]["input_snapshot"]["n"], 5);
    assert_eq!(ids(&events[0]).2, Some(ids(error).1), "dropped inside its span");
}

#[test]
fn a_future_that_was_never_polled_leaves_no_trace() {
    let seen = capture();
    drop(ask("why", false));
    assert_eq!(events(&seen).len(), 0);
}

#[test]
fn a_future_dropped_by_a_panic_elsewhere_is_cancelled() {
    #[audit_span(agent = "outer", event = "api.call")]
    async fn outer() {
        let mut inner = Box::pin(forever(Tells, 1));
        assert!(poll_once(inner.as_mut()).is_pending());
        resume_unwind(Box::new("outer"));
    }
    let seen = capture();
    let outcome = std::panic::catch_unwind(|| block_on(outer()));
    assert!(outcome.is_err());
    let events = events(&seen);
    assert_eq!(types(&events), ["cache.miss", "llm.error", "api.call"]);
    assert_eq!(events[1]["error"]["type"], "cancelled");
    assert_eq!(events[2]["error"]["type"], "panic");
}

#[test]
fn a_panic_in_a_poll_is_one_end() {
    #[audit_span(agent = "a")]
    async fn breaks(n: u8) -> Result<u8, String> {
        tokio::task::yield_now().await;
        if n == 1 {
            resume_unwind(Box::new("poll"));
        }
        Ok(n)
    }
    let seen = capture();
    let outcome = block_on(async {
        let local = tokio::task::LocalSet::new();
        local.run_until(async { tokio::task::spawn_local(breaks(1)).await }).await
    });
    assert!(outcome.expect_err("a panic").is_panic());
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "tool.error"]);
    assert_eq!(events[1]["error"]["type"], "panic");
}

#[test]
fn on_many_threads() {
    #[audit_span(agent = "a", action = "leaf", logger = logger)]
    async fn leaf(logger: AuditLogger, n: u32) -> u32 {
        for _ in 0..n % 4 {
            tokio::task::yield_now().await;
        }
        n
    }
    #[audit_span(agent = "a", action = "node", logger = logger)]
    async fn node(logger: &AuditLogger, n: u32) -> u32 {
        let mut tasks = Vec::new();
        for i in 0..4 {
            let here = TraceContext::current().expect("inside the span");
            tasks.push(tokio::spawn(leaf(logger.clone(), n + i).in_span(here)));
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("a leaf");
        }
        sum
    }
    let seen = capture();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    let runtime = runtime.expect("a runtime");
    let logger = seen.logger();
    let nodes: Vec<_> = (0..20)
        .map(|n| {
            let logger = logger.clone();
            runtime.spawn(async move { node(&logger, n).await })
        })
        .collect();
    runtime.block_on(async {
        for one in nodes {
            one.await.expect("a node");
        }
    });
    let events = events(&seen);
    assert_eq!(events.len(), 20 * 2 + 80 * 2);
    let calls = |action: &str| {
        let is = |event: &&serde_json::Value| {
            event["action"] == action && event["event_type"] == "tool.call"
        };
        events.iter().filter(is).map(ids).collect::<Vec<_>>()
    };
    let nodes = calls("node");
    assert_eq!(nodes.len(), 20);
    for (trace, span, parent) in calls("leaf") {
        let above = nodes.iter().find(|node| node.0 == trace).expect("a node of this trace");
        assert_eq!(parent, Some(above.1));
        let ends = events.iter().filter(|e| ids(e).1 == span && e["event_type"] == "tool.result");
        assert_eq!(ends.count(), 1);
    }
}

#[test]
fn attached_threads_are_captured() {
    let seen = capture();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _attached = seen.attach();
            assert!(block_on(ask("x", false)).is_ok());
        });
    });
    assert_eq!(types(&events(&seen)), ["tool.call", "cache.hit", "tool.result"]);
}

#[async_trait::async_trait]
trait Tool: Sync {
    async fn run(&mut self, query: &str, n: String) -> Result<&str, String>;
    async fn unit(&self);
}

struct Echo {
    name: &'static str,
    last: String,
}

#[async_trait::async_trait]
impl Tool for Echo {
    #[audit_span(agent = self.name, capture_args(query))]
    async fn run(&mut self, query: &str, n: String) -> Result<&str, String> {
        tokio::task::yield_now().await;
        if n.is_empty() {
            return Err(n + "no n");
        }
        query.clone_into(&mut self.last);
        Ok(&self.last)
    }

    #[audit_span(agent = "echo")]
    async fn unit(&self) {
        tokio::task::yield_now().await;
    }
}

#[test]
fn async_trait_methods() {
    let seen = llm_audit::testing::capture_with(|builder| builder.capture_content(true));
    let mut echo = Echo { name: "echo", last: String::new() };
    let context = TraceContext::new_trace();
    let call = echo.run("q", "n".to_owned());
    assert_eq!(block_on(call.in_span(context.clone())), Ok("q"));
    assert_eq!(block_on(echo.run("q", String::new())), Err("no n".to_owned()));
    block_on(echo.unit());
    let events = events(&seen);
    assert_eq!(
        types(&events),
        ["tool.call", "tool.result", "tool.call", "tool.error", "tool.call", "tool.result"]
    );
    assert_eq!(events[0]["agent"], "echo");
    assert_eq!(events[0]["action"], "run");
    assert_eq!(events[0]["data"], json!({"tool": "run", "arguments": {"query": "q"}}));
    assert_eq!(ids(&events[0]).2, Some(format!("{:016x}", context.span_id()).as_str()));
    assert_eq!(events[3]["error"]["input_snapshot"], json!({"query": "q", "n": ""}));
    assert_eq!(events[3]["error"]["type"], "alloc::string::String");
}

#[test]
fn functions_that_return_a_future() {
    #[audit_span(agent = "a")]
    #[allow(clippy::manual_async_fn, reason = "it is about this form")]
    fn opaque(n: u8) -> impl Future<Output = Result<u8, String>> + Send {
        async move {
            ready(()).await;
            Err(format!("{n}"))
        }
    }
    #[audit_span(agent = "a")]
    fn boxed<'q>(query: &'q str) -> Pin<Box<dyn Future<Output = &'q str> + Send + 'q>> {
        let half = query.len() / 2;
        Box::pin(async move {
            ready(()).await;
            &query[..half]
        })
    }
    /// Another function makes the future, so the call that makes it is recorded.
    #[audit_span(agent = "a")]
    fn made(n: u8) -> impl Future<Output = Result<u8, String>> {
        opaque(n)
    }
    let seen = capture();
    let (one, two) = (opaque(1), boxed("four"));
    assert_eq!(events(&seen).len(), 0);
    assert_eq!(block_on(one), Err("1".to_owned()));
    assert_eq!(block_on(two), "fo");
    drop(made(1));
    let events = events(&seen);
    assert_eq!(
        types(&events),
        ["tool.call", "tool.error", "tool.call", "tool.result", "tool.call", "tool.result"]
    );
    assert_eq!(events[1]["error"]["input_snapshot"], json!({"n": 1}));
}

#[test]
fn futures_are_send_where_they_were_and_need_not_be() {
    const fn is_send<T: Send>(_: &T) {}
    #[audit_span(agent = "a", capture_args, capture_result)]
    async fn sent(text: String, lent: &str, list: Vec<u8>) -> Result<String, anyhow::Error> {
        ready(()).await;
        Ok(text + lent + &list.len().to_string())
    }
    #[audit_span(agent = "a")]
    async fn stays(count: Rc<u8>, lent: &Rc<u8>) -> Rc<u8> {
        tokio::task::yield_now().await;
        assert_eq!(&count, lent);
        count
    }
    #[audit_span(agent = "a")]
    async fn generic<T: Clone + Send + Sync>(value: &T) -> Option<T> {
        ready(()).await;
        Some(value.clone())
    }
    #[audit_span(agent = "a")]
    async fn endless(mut turns: oneshot::Receiver<()>) -> ! {
        loop {
            tokio::task::yield_now().await;
            let _ = turns.try_recv();
        }
    }
    let seen = capture();
    let future = sent("a".to_owned(), "b", vec![1]);
    is_send(&future);
    assert_eq!(block_on(future).expect("a text"), "ab1");
    let one = Rc::new(1);
    assert_eq!(*block_on(stays(Rc::clone(&one), &one)), 1);
    let future = generic(&5);
    is_send(&future);
    assert_eq!(block_on(future), Some(5));
    let (_turn, turns) = oneshot::channel();
    let mut future = Box::pin(endless(turns));
    is_send(&future);
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    let events = events(&seen);
    assert_eq!(types(&events).iter().filter(|name| **name == "tool.result").count(), 3);
    assert_eq!(only(&events, "tool.error")["error"]["type"], "cancelled");
}
