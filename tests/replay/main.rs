//! Replays: functions and HTTP calls get what was recorded, and nothing else.
#![cfg(all(feature = "replay", feature = "macros", not(loom)))]

mod functions;
#[cfg(feature = "tower")]
mod http;

use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use llm_audit::AuditLogger;
use llm_audit::reader::{Folder, Found, Trace};
use llm_audit::replay::{ReplayFixture, full_trace};
use llm_audit::testing::Capture;

/// The fixture of the one trace that a capture has, read again from its JSON.
fn fixture(seen: &Capture) -> ReplayFixture {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.jsonl");
    std::fs::write(&path, seen.lines().join("\n") + "\n").expect("a file");
    let id = trace_id(&path);
    let folder = Folder::of_files([&path]).expect("a file");
    let Found::One(trace) = Trace::find(&folder, &id, |_| {}).expect("a log") else {
        panic!("one trace has the id {id}")
    };
    let fixture = ReplayFixture::from_trace(&trace).expect("a trace");
    ReplayFixture::from_json(&fixture.to_json()).expect("a fixture")
}

fn trace_id(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a file");
    let first: serde_json::Value =
        serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let id = first["trace_id"].as_str().expect("an id").to_owned();
    assert_eq!(full_trace(path, &id).expect("a trace").len(), text.lines().count(), "one trace");
    id
}

/// Makes the tests wait for each other: while a replay runs, the calls of others are refused.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A logger that records nothing.
fn disabled() -> &'static AuditLogger {
    static DISABLED: LazyLock<AuditLogger> = LazyLock::new(|| {
        let builder = AuditLogger::builder().without_environment().files(false).enabled(false);
        builder.build().expect("a logger without files starts")
    });
    &DISABLED
}

/// Captures what production would record.
fn recorded() -> Capture {
    llm_audit::testing::capture_with(|builder| builder.capture_content(true))
}

/// No logger of the process is needed.
#[test]
fn there_is_no_logger_of_the_process() {
    assert!(AuditLogger::get().is_none());
}
