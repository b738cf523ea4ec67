//! Both programs, over stdio and over streamable HTTP: every request once on each side, in one trace.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const SERVER: &str = env!("CARGO_BIN_EXE_mcp-plans");

/// A program that records all of its events in this folder.
fn program(path: &str, log: &Path) -> Command {
    let mut command = Command::new(path);
    command.env("AUDIT_LOG_DIR", log).env("AUDIT_DEBUG", "true").env("NO_PROXY", "127.0.0.1");
    command.env_remove("AUDIT_CAPTURE_CONTENT");
    command
}

fn ask(url: Option<&str>, log: &Path) {
    let asked = program(env!("CARGO_BIN_EXE_mcp-trips"), log).args(url).output().unwrap();
    let stderr = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{stderr}");
    assert!(asked.stdout.is_empty());
}

/// Returns the events of this agent, in the order of their numbers.
fn events(log: &Path, agent: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for file in std::fs::read_dir(log).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = std::fs::read_to_string(path).unwrap();
            events.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    events.retain(|event| event["agent"] == agent);
    events.sort_by_key(|event| event["seq"].as_u64());
    events
}

/// Checks that the server recorded what the client did, each request once, below the client's span.
fn assert_joined(client: &[Value], server: &[Value], handshake: &str) {
    let ends = |events: &[Value]| -> Vec<Value> {
        let is_end = |event: &&Value| {
            matches!(
                event["event_type"].as_str(),
                Some("mcp.request" | "tool.result" | "tool.error")
            )
        };
        events.iter().filter(is_end).cloned().collect()
    };
    let (client, server) = (ends(client), ends(server));
    let summary = |events: &[Value]| -> Vec<Value> {
        let of = |event: &Value| json!([event["action"], event["error"]["type"]]);
        events.iter().map(of).collect()
    };
    let expected = json!([
        [handshake, null],
        ["tools/list", null],
        ["resources/read", null],
        ["prompts/get explain", null],
        ["find_plan", null],
        ["find_plan", "tool_error"],
        ["find_plan", "tool_error"],
        ["find_plans", "-32602"],
    ]);
    assert_eq!(json!(summary(&client)), expected);
    // The server has no such tool.
    let mut of_server = expected;
    of_server[7][0] = json!("unknown");
    assert_eq!(json!(summary(&server)), of_server);
    for (client, server) in client.iter().zip(&server) {
        assert_eq!(server["trace_id"], client["trace_id"], "{server:#}");
        assert_eq!(server["parent_span_id"], client["span_id"], "{server:#}");
        assert_eq!(server["data"]["jsonrpc.request.id"], client["data"]["jsonrpc.request.id"]);
        assert_eq!(server["data"]["mcp.client.name"], "trips");
    }
    let reasons: Vec<&str> =
        server.iter().filter_map(|event| event["error"]["message"].as_str()).collect();
    assert_eq!(reasons[0], "[REDACTED_email] is not a member");
    assert!(reasons[1].contains("missing field `member`"), "{reasons:?}");
    assert!(reasons[2].contains("not found"), "{reasons:?}");
}

#[test]
fn over_stdio_every_request_is_recorded_once_on_each_side() {
    let log = tempfile::tempdir().unwrap();
    ask(None, log.path());
    let (client, server) = (events(log.path(), "trips"), events(log.path(), "plans"));
    assert_joined(&client, &server, "initialize");
    assert!(server.iter().all(|event| event["data"]["mcp.session.id"].is_null()));
    let inside = server.iter().filter(|event| event["event_type"] == "cache.miss");
    let parents: Vec<&Value> = inside.map(|event| &event["parent_span_id"]).collect();
    let calls: Vec<&Value> =
        server.iter().filter(|event| event["event_type"] == "tool.call").collect();
    assert_eq!(parents, [&calls[0]["span_id"], &calls[1]["span_id"]]);
}

#[test]
fn over_http_the_request_below_is_named_by_its_headers() {
    let log = tempfile::tempdir().unwrap();
    let mut server = program(SERVER, log.path());
    server.args(["--http", "127.0.0.1:0"]).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut server = server.spawn().unwrap();
    let mut stderr = BufReader::new(server.stderr.take().unwrap()).lines();
    let url = loop {
        let line = stderr.next().expect("the server names its address").unwrap();
        if let Some(url) = line.strip_prefix("listening on ") {
            break url.to_owned();
        }
    };
    ask(Some(&url), log.path());
    let stopped = Command::new("kill").arg(server.id().to_string()).status().unwrap();
    assert!(stopped.success());
    server.wait().unwrap();

    let events_of_server = events(log.path(), "plans");
    assert_joined(&events(log.path(), "trips"), &events_of_server, "server/discover");
    let starts: Vec<Value> = events_of_server
        .iter()
        .filter(|event| event["event_type"] == "request.start")
        .map(|event| json!([event["action"], event["data"]["tool"]]))
        .collect();
    let call = |tool: &str| json!(["POST /mcp tools/call", tool]);
    for expected in
        [json!(["POST /mcp server/discover", null]), call("find_plan"), call("find_plans")]
    {
        assert!(starts.contains(&expected), "{starts:#?}");
    }
}

#[test]
fn nothing_but_the_protocol_is_on_stdout() {
    let log = tempfile::tempdir().unwrap();
    let mut server = program(SERVER, log.path());
    // A variable that is not known makes a warning.
    server.env("AUDIT_LOG_DIRS", "logs").stdin(Stdio::piped());
    let mut server = server.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = server.stdin.take().unwrap();
    let client = json!({"name": "raw", "version": "1"});
    let initialize =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "none"}}),
    ] {
        writeln!(stdin, "{message}").unwrap();
    }
    let mut replies = BufReader::new(server.stdout.take().unwrap()).lines();
    for id in [1, 2] {
        let reply: Value = serde_json::from_str(&replies.next().unwrap().unwrap()).unwrap();
        assert_eq!((&reply["jsonrpc"], &reply["id"]), (&json!("2.0"), &json!(id)));
    }
    drop(stdin);
    assert!(replies.next().is_none(), "a third line");
    let ended = server.wait_with_output().unwrap();
    assert!(ended.status.success());
    let warnings = String::from_utf8(ended.stderr).unwrap();
    assert!(warnings.contains("AUDIT_LOG_DIRS"), "{warnings}");
}

#[test]
fn without_a_recorder_the_calls_are_made_all_the_same() {
    let log = tempfile::tempdir().unwrap();
    let mut trips = program(env!("CARGO_BIN_EXE_mcp-trips"), log.path());
    assert!(trips.env("AUDIT_ENABLED", "false").status().unwrap().success());
    assert_eq!(events(log.path(), "trips").len() + events(log.path(), "plans").len(), 0);
}
