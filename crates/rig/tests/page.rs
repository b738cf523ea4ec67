//! The log in docs/rig.md is that of the example. `LLM_AUDIT_BLESS=1` renews it.

#[allow(dead_code, reason = "its `main`")]
#[path = "../examples/hook.rs"]
mod hook;

use llm_audit::testing::capture;
use rig_agent_example::provider;
use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rig.md");
const OPENING: &str = "```json\n";

/// The lines of the example, which ends with the quota.
fn example() -> Vec<String> {
    let seen = capture();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let url = provider::serve(hook::answers()).await.unwrap();
        hook::ask(rig_agent_example::agent(&url, true)).await.unwrap_err()
    });
    assert!(error.to_string().contains("insufficient_quota"), "{error}");
    seen.lines()
}

/// Takes out what differs in each run.
fn without_chance(lines: &[String]) -> Vec<Value> {
    let parse = |line: &String| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let members = line.as_object_mut().unwrap();
        for name in ["instance", "trace_id", "span_id", "parent_span_id", "timestamp", "latency_ms"]
        {
            if let Some(value) = members.get_mut(name) {
                *value = Value::Null;
            }
        }
        line
    };
    lines.iter().map(parse).collect()
}

#[test]
fn the_page_has_the_log_of_the_example() {
    let lines = example();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(OPENING).unwrap();
    let (log, after) = rest.split_once("```").unwrap();
    if std::env::var_os("LLM_AUDIT_BLESS").is_some() {
        let page = format!("{before}{OPENING}{}\n```{after}", lines.join("\n"));
        return std::fs::write(PAGE, page).unwrap();
    }
    let log: Vec<String> = log.lines().map(str::to_owned).collect();
    assert_eq!(without_chance(&log), without_chance(&lines));
}
