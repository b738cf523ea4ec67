//! The requests of `testdata/`, as events.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::*;

fn shown(event: &ReceivedEvent) -> String {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("event_type", event.event_type.as_str().into());
    put("agent", event.agent.as_str().into());
    put("action", event.action.as_str().into());
    put("status", event.status.name().into());
    put("trace_id", event.trace_id.map(|id| format!("{id:032x}")).into());
    put("span_id", event.span_id.map(|id| format!("{id:016x}")).into());
    put("parent_span_id", event.parent_span_id.map(|id| format!("{id:016x}")).into());
    put("timestamp", event.timestamp.into());
    put("latency_ms", event.latency_ms.into());
    put("tokens_input", event.tokens_input.into());
    put("tokens_output", event.tokens_output.into());
    put("cost_usd", event.cost_usd.map(|cost| cost.to_string()).into());
    put("data", Value::Object(event.data.clone()));
    put("error", event.error.clone().map(Value::Object).into());
    shown.retain(|_, value| !value.is_null());
    Value::Object(shown).to_string()
}

#[test]
fn requests_of_each_sender_become_these_events() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"));
    let files = fs::read_dir(&folder).expect("testdata").map(|file| file.expect("a file").path());
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|of| of == "json")).collect();
    assert!(files.len() >= 13, "{files:?}");
    for path in files {
        let request = fs::read_to_string(&path).expect("a request");
        for (captures_content, of) in [(false, "events.jsonl"), (true, "content.jsonl")] {
            let (events, skipped) = mapped(&request, captures_content);
            let mut lines = String::new();
            for event in &events {
                writeln!(lines, "{}", shown(event)).expect("a String accepts every text");
            }
            if let Some(why) = skipped.why {
                writeln!(lines, "{{\"skipped\":{},\"why\":{why:?}}}", skipped.count)
                    .expect("a text");
            }
            assert_file(path.with_extension(of), &lines);
        }
    }
}
