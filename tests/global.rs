//! The recorder of the process: before, while and after there is one, and the captures that go
//! before it.
#![cfg(not(loom))]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use common::{DEADLINE, data, lines, logger};
use llm_audit::testing::{Capture, capture};
use llm_audit::{AuditEvent, AuditLogger, EventType, Status, TraceContext};
use serde_json::{Value, json};

/// Names the test that is to run in this process, and the folder it has.
const ALONE: &str = "GLOBAL_TEST_ALONE";

/// Runs the test `name` of this file in a process of its own, with these variables, since a process
/// has one recorder. In that process it is `body` with the folder that both see.
fn alone(name: &str, variables: &[(&str, &str)], body: fn(&Path), after: fn(&Path)) {
    if let Some(folder) = std::env::var_os(ALONE) {
        return body(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ALONE, folder.path());
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        if text.starts_with("AUDIT_") || text.ends_with("_SAMPLE_RATE") || text.starts_with("SLOW_")
        {
            command.env_remove(&variable);
        }
    }
    let output = command.envs(variables.iter().copied()).current_dir(&folder).output().unwrap();
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    after(folder.path());
}

fn emit(n: u64) {
    llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
}

fn emit_wait(n: u64) {
    llm_audit::emit_wait(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
}

/// The numbers of the events among these lines.
fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["data"]["n"].as_u64()).collect()
}

fn captured(seen: &Capture) -> Vec<u64> {
    let lines: Vec<Value> =
        seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line.get("seq").is_some()), "without the log's own");
    numbers(&lines)
}

#[test]
fn from_before_init_to_after_its_end() {
    fn process(folder: &Path) {
        // Before: rejected, by whatever thread, and waited for by none.
        emit(1);
        emit_wait(2);
        thread::scope(|scope| {
            scope.spawn(|| emit(3));
        });
        let captured_early = capture();
        emit(4);
        assert_eq!(captured(&captured_early), [4]);
        drop(captured_early);

        // An `init` that is refused does not count.
        let refused = llm_audit::init_with(logger(folder).queue_capacity(0)).unwrap_err();
        assert!(refused.is_config(), "{refused}");
        emit(5);

        let guard = llm_audit::init_with(logger(folder)).unwrap();
        let audit: AuditLogger = guard.logger().clone();
        let accounting = audit.accounting();
        assert_eq!((accounting.emitted, accounting.rejected), (4, 4), "the captured one is not");
        assert!(accounting.adds_up());

        let text = "the recorder of this process is already initialized";
        assert_eq!(llm_audit::init().unwrap_err().to_string(), text);
        assert_eq!(llm_audit::init_with(logger(folder)).unwrap_err().to_string(), text);

        // While: what is not captured goes to it.
        emit(6);
        emit_wait(7);
        let seen = capture();
        emit(8);
        thread::scope(|scope| {
            scope.spawn(|| emit(9));
        });
        assert_eq!(captured(&seen), [8]);
        drop(seen);
        emit(10);
        assert!(TraceContext::new_trace().to_traceparent().ends_with("-03"), "it keeps everything");
        audit.flush(DEADLINE).unwrap();
        assert_eq!(audit.accounting().written, 4);

        // After: rejected again, though a handle is left; a capture still captures.
        drop(guard);
        emit(11);
        emit_wait(12);
        let seen = capture();
        emit(13);
        assert_eq!(captured(&seen), [13]);
        let accounting = audit.accounting();
        assert_eq!((accounting.written, accounting.rejected, accounting.emitted), (4, 6, 10));
        assert!(accounting.adds_up());
        assert_eq!(llm_audit::init_with(logger(folder)).unwrap_err().to_string(), text);
    }
    alone("from_before_init_to_after_its_end", &[], process, |folder| {
        let lines = lines(folder);
        assert_eq!(numbers(&lines), [6, 7, 9, 10]);
        let stop = &lines.last().unwrap()["data"];
        assert_eq!((&stop["emitted"], &stop["rejected"]), (&json!(8), &json!(4)));
    });
}

#[test]
fn init_takes_the_environment() {
    fn process(_folder: &Path) {
        let guard = llm_audit::init().unwrap();
        emit(1);
        assert!(guard.logger().path().unwrap().starts_with("here/logs"));
        assert!(TraceContext::new_trace().to_traceparent().ends_with("-02"));
    }
    let variables = [
        ("AUDIT_LOG_DIR", "here/logs"),
        ("TRACE_SAMPLE_RATE", "0"),
        ("SUCCESS_SAMPLE_RATE", "1"),
        ("OTEL_SERVICE_NAME", "desk"),
    ];
    alone("init_takes_the_environment", &variables, process, |folder| {
        let lines = lines(&folder.join("here/logs"));
        assert_eq!(numbers(&lines), [1]);
        assert_eq!(lines[0]["data"]["service"], "desk");
        assert_eq!(lines.last().unwrap()["event_type"], "audit.stop", "the guard closed it");
    });
}

#[test]
fn a_variable_that_is_not_accepted_refuses_init() {
    fn process(_folder: &Path) {
        let error = llm_audit::init().unwrap_err();
        assert!(error.is_config());
        assert!(error.to_string().starts_with("TRACE_SAMPLE_RATE is \"half\""), "{error}");
    }
    let variables = [("TRACE_SAMPLE_RATE", "half")];
    alone("a_variable_that_is_not_accepted_refuses_init", &variables, process, |folder| {
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "nothing was begun");
    });
}

#[test]
fn a_recorder_that_is_switched_off_records_nothing() {
    fn process(_folder: &Path) {
        let guard = llm_audit::init().unwrap();
        emit(1);
        emit_wait(2);
        assert_eq!(guard.logger().accounting(), llm_audit::Accounting::default());
        let seen = capture();
        emit(3);
        assert_eq!(captured(&seen), [3]);
    }
    let variables = [("AUDIT_ENABLED", "false")];
    alone("a_recorder_that_is_switched_off_records_nothing", &variables, process, |folder| {
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    });
}

// The captures below leave nothing to the process's recorder, so their order does not matter.

#[test]
fn captures_side_by_side_see_their_own() {
    const THREADS: usize = 4;
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let barrier = &barrier;
            scope.spawn(move || {
                let seen = capture();
                barrier.wait();
                let own: Vec<u64> = (thread * 100..thread * 100 + 50).collect();
                own.iter().for_each(|n| emit(*n));
                barrier.wait();
                assert_eq!(captured(&seen), own);
            });
        }
    });
}

/// Also if errors, which other loggers have a lane for, are among them.
#[test]
fn a_capture_keeps_the_order_of_a_thread() {
    let seen = capture();
    for n in 0..2_000 {
        let status = if n % 3 == 0 { Status::Error } else { Status::Ok };
        let data = data(n);
        let event = AuditEvent::new(EventType::CacheHit, "a", "b").status(status);
        llm_audit::emit(&event.data(&data));
    }
    assert!(captured(&seen).into_iter().eq(0..2_000));
}

#[test]
fn captures_nest() {
    let outer = capture();
    emit(1);
    let inner = capture();
    emit(2);
    {
        let innermost = capture();
        emit(3);
        assert_eq!(captured(&innermost), [3]);
    }
    emit(4);
    assert_eq!(captured(&inner), [2, 4]);
    // One that ends out of turn takes nothing of the others.
    drop(outer);
    emit(5);
    assert_eq!(captured(&inner), [2, 4, 5]);
    let outer = capture();
    emit(6);
    drop(inner);
    emit(7);
    assert_eq!(captured(&outer), [6, 7]);
}

/// Nothing is sampled out, everything is redacted.
#[test]
fn a_capture_keeps_and_redacts() {
    let seen = capture();
    let dropped = format!("00-{:032x}-{:016x}-00", 1, 1);
    let context = TraceContext::from_traceparent(&dropped).unwrap();
    let payload = json!({"to": "ana@example.com", "token": "t-1"});
    for _ in 0..200 {
        let event = AuditEvent::new(EventType::ToolCall, "a", "b").context(&context);
        llm_audit::emit(&event.data(&payload));
    }
    let lines = seen.lines();
    assert_eq!(lines.len(), 200);
    let expected = r#""data":{"to":"[REDACTED_email]","token":"[REDACTED]"}"#;
    assert!(lines.iter().all(|line| line.contains(expected)), "{}", lines[0]);
    assert!(seen.logger().accounting().adds_up());
}

#[test]
fn a_thread_takes_part_in_another_s_capture_while_it_is_attached() {
    let seen = capture();
    emit(1);
    thread::scope(|scope| {
        let seen = &seen;
        scope.spawn(move || {
            let own = capture();
            {
                let _attached = seen.attach();
                emit(2);
                // A capture of the thread's own goes before.
                let inner = capture();
                emit(3);
                assert_eq!(captured(&inner), [3]);
            }
            emit(4);
            assert_eq!(captured(&own), [4], "what came before the guard goes on after it");
        });
    });
    emit(5);
    assert_eq!(captured(&seen), [1, 2, 5]);
}

#[test]
fn events_go_to_the_handle_of_a_capture_from_anywhere() {
    let seen = capture();
    let audit = seen.logger().clone();
    thread::spawn(move || {
        audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(1)));
    })
    .join()
    .unwrap();
    emit(2);
    assert_eq!(captured(&seen), [1, 2]);
}
