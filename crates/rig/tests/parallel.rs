//! Runs beside each other, on several threads, under a subscriber of the whole process.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::future::join_all;
use llm_audit::layer::tracing::AuditLayer;
use llm_audit::testing::capture;
use llm_audit_rig::AuditHook;
use rig_agent_example::provider::{self, Answer, text, tool_call};
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

const RUNS: usize = 40;

fn answers(number: usize) -> Vec<Answer> {
    let quota = json!({"error": {"message": "pay", "code": "insufficient_quota"}});
    match number % 4 {
        3 => vec![tool_call("dental"), Answer::new(429, quota)],
        _ => vec![tool_call("dental"), text("Two.")],
    }
}

async fn ask(number: usize, hook: AuditHook) {
    let url = provider::serve(answers(number)).await.unwrap();
    let runner = rig_agent_example::agent(&url, true).prompt("What is covered?").add_hook(hook);
    match number % 2 {
        0 => runner.stream().for_each(|_| async {}).await,
        _ => drop(runner.await),
    }
}

#[test]
fn each_operation_is_recorded_once() {
    let seen = capture();
    let layer = AuditLayer::new("benefits").logger(seen.logger().clone());
    tracing_subscriber::registry().with(layer).init();
    let hook = AuditHook::new("benefits").logger(seen.logger().clone());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.unwrap().block_on(async {
        let runs = (0..RUNS).map(|number| tokio::spawn(ask(number, hook.clone())));
        join_all(runs).await.into_iter().for_each(|run| run.unwrap());
    });

    let mut traces = BTreeMap::<String, Vec<String>>::new();
    for line in seen.lines() {
        let line: Value = serde_json::from_str(&line).unwrap();
        let (trace, event_type) = (&line["trace_id"], &line["event_type"]);
        let events = traces.entry(trace.to_string()).or_default();
        events.push(format!(
            "{}:{}",
            event_type.as_str().unwrap(),
            line["status"].as_str().unwrap()
        ));
    }
    let mut counts = BTreeMap::<Vec<String>, usize>::new();
    for events in traces.into_values() {
        *counts.entry(events).or_default() += 1;
    }
    let events = |last: [&str; 2]| {
        let first = ["llm.invoke:ok", "tool.call:ok", "tool.result:ok"];
        first.into_iter().chain(last).map(str::to_owned).collect::<Vec<_>>()
    };
    let good = events(["llm.invoke:ok", "agent.invoke:ok"]);
    let failed = events(["llm.error:error", "agent.invoke:error"]);
    assert_eq!(counts, BTreeMap::from([(good, RUNS * 3 / 4), (failed, RUNS / 4)]));
}
