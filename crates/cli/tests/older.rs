//! Files by other writers: short ids, `null` fields, no `seq` and no `instance`.

mod common;

use common::{FILE, folder, run, write};

/// As a few lines of Python write them.
const LOG: &str = r#"{"event_version": "2.0", "trace_id": "a1b2c3d4e5f6", "span_id": "0a1b2c3d", "parent_span_id": null, "timestamp": "2026-01-02T03:04:05.678901+00:00", "event_type": "request.start", "agent": "supervisor", "action": "ask", "status": "ok", "latency_ms": null, "tokens_input": null, "tokens_output": null, "cost_usd": null, "data": {"http.method": "POST"}, "error": null}
{"event_version": "2.0", "trace_id": "a1b2c3d4e5f6", "span_id": "1a1b2c3d", "parent_span_id": "0a1b2c3d", "timestamp": "2026-01-02T03:04:06.000000+00:00", "event_type": "llm.invoke", "agent": "benefits", "action": "chat", "status": "ok", "latency_ms": 321.5, "tokens_input": 1000, "tokens_output": 100, "cost_usd": 0.00021, "data": {"model": "gpt-4o-mini"}, "error": null}
{"event_version": "2.0", "trace_id": "a1b2c3d4e5f6", "span_id": "2a1b2c3d", "parent_span_id": "0a1b2c3d", "timestamp": "2026-01-02T03:04:07.000000+00:00", "event_type": "tool.error", "agent": "benefits", "action": "search", "status": "error", "latency_ms": 42.0, "tokens_input": null, "tokens_output": null, "cost_usd": null, "data": null, "error": {"type": "TimeoutError", "message": "no answer", "traceback": "…", "recoverable": true, "input_snapshot": {"args": {"q": "plan"}}, "environment": null}}
"#;

#[test]
fn every_subcommand_reads_them() {
    let (_keep, dir) = folder();
    write(&dir, FILE, LOG);
    for (args, part) in [
        (&["report"][..], "3 events, 1 failed (33.3 %)"),
        (&["errors"], "no answer"),
        (&["stats", "--by", "action"], "322ms"),
        (&["cost"], "$0.00021"),
        (&["trace", "a1b2"], "3 spans, 3 events, 1 failed, 1000 tokens in, 100 out, $0.00021"),
        (&["trace", "--failed"], "no answer"),
        (&["tail"], "tool.error"),
        (&["export", "csv"], "a1b2c3d4e5f6"),
        (&["export", "otlp-json"], "00000000000000000000a1b2c3d4e5f6"),
    ] {
        let run = run(&[args, &["--dir", &dir]].concat());
        assert_eq!((run.code, &*run.stderr), (0, ""), "{args:?}: {run:?}");
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }
    let verified = run(&["verify", "--dir", &dir]);
    assert!(verified.stdout.contains("3 lines, 3 events"), "{verified:?}");
}
