//! Concurrent requests, each with tasks of its own: every trace is one whole tree.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::Request;
use axum::routing::get;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use llm_audit::layer::tower::ClientLayer;
use llm_audit::reader::{Folder, Found, Trace};
use llm_audit::testing::capture_with;
use llm_audit::{AuditEvent, AuditLogger, EventType, InSpan, TraceContext};
use tokio::sync::Barrier;
use tower::{Layer, ServiceExt};

use crate::support::{AtDrop, Served, layer};

const REQUESTS: usize = 64;

fn emit(logger: &AuditLogger, event_type: EventType<'_>, action: &str) {
    logger.emit(&AuditEvent::new(event_type, "tasks", action));
}

/// Runs a tool that lets other tasks continue between its events.
async fn tool(logger: AuditLogger, name: &'static str) {
    emit(&logger, EventType::ToolCall, name);
    tokio::task::yield_now().await;
    emit(&logger, EventType::CacheHit, "cache");
    tokio::task::yield_now().await;
    emit(&logger, EventType::ToolResult, name);
}

fn below() -> TraceContext {
    TraceContext::current().expect("a context").new_span()
}

async fn handler(logger: AuditLogger, all: Arc<Barrier>) {
    all.wait().await;
    emit(&logger, EventType::AgentRoute, "route");
    let spawned = tokio::spawn(tool(logger.clone(), "spawned").in_span(below()));
    let (span, other) = (below(), logger.clone());
    let blocking = tokio::task::spawn_blocking(move || {
        let _scope = span.enter();
        emit(&other, EventType::ToolCall, "blocking");
        emit(&other, EventType::CacheHit, "cache");
    });
    tokio::join!(
        tool(logger.clone(), "left").in_span(below()),
        tool(logger.clone(), "right").in_span(below()),
    );
    let held = logger.clone();
    let loser = async move {
        emit(&held, EventType::ToolCall, "loser");
        let _at_drop = AtDrop(held);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = loser.in_span(below()) => {}
        () = tool(logger.clone(), "winner").in_span(below()) => {}
    }
    spawned.await.unwrap();
    blocking.await.unwrap();
    emit(&logger, EventType::AgentDecision, "decide");
}

/// Describes a span and all spans below it, in the order of their names.
fn shape(trace: &Trace, at: usize) -> String {
    let span = &trace.spans[at];
    assert!(!span.is_orphan && !span.is_circular);
    let mut below: Vec<_> = span.children.iter().map(|&child| shape(trace, child)).collect();
    below.sort();
    let action = &span.events[0].action;
    if below.is_empty() { action.clone() } else { format!("{action}({})", below.join(" ")) }
}

#[test]
fn requests_side_by_side_are_each_one_tree() {
    let folder = tempfile::tempdir().unwrap();
    let capture = capture_with(|builder| builder.files(true).directory(folder.path()));
    let served = Served::with(capture, |capture| {
        let (logger, all) = (capture.logger().clone(), Arc::new(Barrier::new(REQUESTS)));
        let work = move || handler(logger.clone(), all.clone());
        Router::new().route("/work", get(work)).layer(layer(capture))
    });
    let client = Client::builder(TokioExecutor::new()).build_http();
    let client = ClientLayer::new("caller").logger(served.capture.logger().clone()).layer(client);
    let calls: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let request = Request::get(format!("http://{}/work", served.address))
                .body(Full::<Bytes>::default())
                .unwrap();
            let call = client.clone().oneshot(request);
            let trace = TraceContext::new_trace();
            let id = trace.trace_id();
            let call = async { call.await.unwrap().into_body().collect().await.map(drop).unwrap() };
            (id, served.runtime.spawn(call.in_span(trace)))
        })
        .collect();
    let ids: Vec<u128> = calls
        .into_iter()
        .map(|(id, call)| {
            served.runtime.block_on(call).unwrap();
            id
        })
        .collect();
    let recorded = served.finish(REQUESTS);
    let tree = "GET 127.0.0.1(GET /work(blocking(cache) decide left(cache) loser(dropped) \
                right(cache) route spawned(cache) winner(cache)))";
    let events_each = 1 + 2 + 2 + 2 + 4 * 3 + 2;
    assert_eq!(recorded.lines.len(), REQUESTS * events_each);
    let folder = Folder::open(folder.path()).unwrap();
    for id in ids {
        let found = Trace::find(&folder, &format!("{id:032x}"), |_| {}).unwrap();
        let Found::One(trace) = found else { panic!("{found:?}") };
        assert_eq!(trace.events().count(), events_each);
        // The call was made in a span without an event of its own.
        let [root] = trace.roots[..] else { panic!("{:?}", trace.roots) };
        assert!(trace.spans[root].is_orphan && trace.spans[root].parent.is_some());
        let mut trace = trace;
        trace.spans[root].is_orphan = false;
        assert_eq!(shape(&trace, root), tree);
    }
}
