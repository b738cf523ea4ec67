//! The built program: it finds its provider in the environment, prints nothing, and ends when told to.
#![cfg(unix)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::response::IntoResponse;
use common::{completion, events, name};
use serde_json::{Value, json};

/// How long the program may take for anything.
const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn a_provider_is_named_by_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let base_url = runtime.block_on(common::provider(Arc::new(move |headers, body| {
        let key = headers["authorization"].to_str().expect("a key").to_owned();
        notes.lock().expect("no panic").push((key, body["model"].clone()));
        let message = json!({"role": "assistant", "content": "A provider of the test's."});
        Json(completion(message)).into_response()
    })));

    let mut program = Command::new(env!("CARGO_BIN_EXE_benefits-agent"));
    program.env_clear().env("BENEFITS_ADDRESS", "127.0.0.1:0").env("OPENAI_BASE_URL", &base_url);
    program.env("OPENAI_API_KEY", "key-of-the-test").env("OPENAI_MODEL", "model-of-the-test");
    program.env("BENEFITS_STORE", folder.path().join("store"));
    program.env("AUDIT_LOG_DIR", &logs).env("AUDIT_DEBUG", "true");
    let mut program = Running(Some(
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"),
    ));
    let address = address(&logs);
    let body = json!({"case": 15, "contact": "m-1", "question": "What does my plan cover?"});
    let stream = common::ask(address, "/benefits/m-1/stream", body.clone());
    let (status, _, streamed) = runtime.block_on(stream);
    assert_eq!(status, 200);
    let expected = "event: route\ndata: \"benefits.plans\"\n\n\
                    event: answer\ndata: \"A provider of the test's.\"\n\n";
    assert_eq!(streamed, expected);
    let (status, head, answer) = runtime.block_on(common::ask(address, "/benefits/m-1", body));
    let expected =
        json!({"case": 15, "route": "benefits.plans", "text": "A provider of the test's."});
    assert_eq!((status, serde_json::from_str(&answer).ok()), (200, Some(expected)));

    let output = program.end();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    let asked = asked.lock().expect("no panic");
    let expected = ("Bearer key-of-the-test".to_owned(), Value::from("model-of-the-test"));
    assert_eq!(*asked, vec![expected; 2]);
    let log = common::text(&logs);
    assert!(log.lines().last().is_some_and(|line| line.contains("audit.stop")), "{log}");
    let trace = head["x-trace-id"].to_str().expect("an id");
    let of_trace = |event: &&Value| event["trace_id"] == trace && name(event) == "llm.invoke";
    let events = events(&log);
    let call = events.iter().find(of_trace).expect("the answer's trace has its call");
    assert_eq!(call["data"]["model"], "test-model-1");
    assert_eq!((&call["tokens_input"], &call["tokens_output"]), (&json!(120), &json!(7)));
    let stored = std::fs::read_dir(folder.path().join("store")).expect("the store").count();
    assert_eq!(stored, 1, "two answers to one case under one key");
}

/// Returns the address of the program, once its log names it.
fn address(logs: &Path) -> SocketAddr {
    let begin = Instant::now();
    loop {
        if logs.exists() {
            let log = common::text(logs);
            // The last line may be half written.
            let whole = log.rfind('\n').map_or("", |end| &log[..=end]);
            let events = events(whole);
            if let Some(started) = events.iter().find(|event| name(event) == "service.start") {
                let address = started["data"]["address"].as_str().expect("an address");
                return address.parse().expect("IP and port");
            }
        }
        assert!(begin.elapsed() < DEADLINE, "the program does not say where it listens");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program; ended with the test, however that ends.
struct Running(Option<Child>);

impl Running {
    fn end(&mut self) -> Output {
        let child = self.0.take().expect("it is ended once");
        let told = Command::new("kill").arg(child.id().to_string()).status();
        assert!(told.is_ok_and(|status| status.success()), "SIGTERM cannot be sent");
        child.wait_with_output().expect("it was started")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
        }
    }
}
