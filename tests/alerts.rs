//! Alerts from inside the service: told, written to the log and shown by its health, by one process of a folder.
#![cfg(all(feature = "alerts", unix, not(loom)))]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::alone::{self, Alone, wait_for};
use common::{DEADLINE, lines, logger, memory};
use llm_audit::alerts::{Alert, Notifier, NotifyError};
use llm_audit::metrics::{AlertsHealth, Health};
use llm_audit::reader::verify;
use llm_audit::{AuditEvent, AuditLogger, Builder, EventType};
use serde_json::{Value, json};

/// A service that has a mail address for a name, which no line may show.
const SERVICE: &str = "ann@example.org";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Requests that failed five minutes ago, as another logger has written them.
fn failed_requests(folder: &Path) {
    let at = |minutes_ago: i64| {
        let now = jiff::Timestamp::now().as_second();
        jiff::Timestamp::from_second(now - now % 60 - minutes_ago * 60).unwrap().to_string()
    };
    let own = |notice: u64, minutes_ago: i64, name: &str, data: Value| {
        json!({
            "event_version": "3.0", "instance": "00000000000000aa", "notice": notice, "timestamp": at(minutes_ago),
            "event_type": format!("audit.{name}"), "agent": "llm-audit", "action": name, "status": "ok", "data": data,
        })
    };
    let row = |status: &str, events: u64| json!({"event_type": "request.end", "status": status, "agent": "benefits", "events": events});
    let rows = [row("error", 20), row("ok", 10)];
    let counts = ["written", "overwritten", "sampled_out", "rejected", "io_lost", "queued"];
    let mut counts: Value = counts.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
    (counts["emitted"], counts["written"]) = (json!(1), json!(1));
    let all = [
        own(1, 6, "start", json!({"service": SERVICE, "first": true, "totals": true})),
        json!({
            "event_version": "3.0", "instance": "00000000000000aa", "seq": 1, "trace_id": TRACE,
            "span_id": "00f067aa0ba902b7", "timestamp": at(5), "event_type": "request.end", "agent": "benefits",
            "action": "answer", "status": "error",
        }),
        own(2, 4, "totals", json!({"from": at(5), "to": at(4), "through_seq": 1, "rows": rows})),
        own(3, 4, "stop", counts),
    ];
    fs::create_dir_all(folder).unwrap();
    let text: String = all.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("audit-2026-01-02.jsonl"), text).unwrap();
}

/// A file of objectives with one rule, which is broken above this share of errors.
fn rule_above(folder: &Path, share: f64) -> PathBuf {
    let file = folder.with_extension(format!("{share}.toml"));
    let text = format!(
        r#"
        [[objective]]
        name = "errors"
        indicator = "ratio"
        of = {{ type = "request.end" }}
        bad = {{ status = "error" }}
        [[rule]]
        name = "errors-high"
        objective = "errors"
        above = {share}
        window = "1h"
        severity = "page""#
    );
    fs::write(&file, text).unwrap();
    file
}

/// A notifier that passes on what it is told.
struct Told(Sender<Alert>);

impl Notifier for Told {
    fn name(&self) -> &str {
        "told"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        self.0.send(alert.clone()).map_err(|error| NotifyError::permanent(error.to_string()))
    }
}

fn told() -> (Told, Receiver<Alert>) {
    let (sender, receiver) = channel();
    (Told(sender), receiver)
}

/// A folder in which requests failed, and a logger of it with this limit for errors.
fn evaluating(folder: &Path, share: f64) -> Builder {
    logger(folder).slo_file(rule_above(folder, share)).notices(false)
}

fn wait_until(audit: &AuditLogger, what: &str, is_so: impl Fn(&Health, &AlertsHealth) -> bool) {
    let until = Instant::now() + DEADLINE;
    loop {
        let health = audit.health();
        if is_so(&health, health.alerts.as_ref().expect("the rules are evaluated")) {
            return;
        }
        assert!(Instant::now() < until, "{what}: {health:?}");
        thread::yield_now();
    }
}

/// Closes a logger whose evaluator does not end. The limit is two seconds, and a busy machine may take longer.
fn close_in_time(audit: &AuditLogger) {
    let since = Instant::now();
    audit.shutdown(DEADLINE).unwrap();
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

fn alert_lines(folder: &Path) -> Vec<Value> {
    let is_alert = |line: &Value| line["event_type"].as_str().unwrap().starts_with("alert.");
    lines(folder).into_iter().filter(is_alert).collect()
}

/// Waits until the log has as many lines of alerts.
fn wait_for_lines(folder: &Path, count: usize) -> Vec<Value> {
    let until = Instant::now() + DEADLINE;
    loop {
        let found = alert_lines(folder);
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < until, "{found:?}");
        thread::yield_now();
    }
}

#[test]
fn an_alert_fires_stays_over_a_restart_and_is_resolved() {
    let keep = tempfile::tempdir().unwrap();
    let folder = &keep.path().join("logs");
    failed_requests(folder);

    let (notifier, heard) = told();
    let first = evaluating(folder, 0.5).notifier(notifier).build().unwrap();
    let fired = heard.recv_timeout(DEADLINE).unwrap();
    assert_eq!((&*fired.rule, &*fired.service, fired.is_firing()), ("errors-high", SERVICE, true));
    assert_eq!(fired.traces, [TRACE]);
    wait_for_lines(folder, 1);
    wait_until(&first, "it fires", |_, alerts| !alerts.firing.is_empty());
    let health = first.health();
    assert_eq!(health.http_status(), 200, "an alert is no reason to stop the process");
    let page: Value = serde_json::from_str(&health.to_json()).unwrap();
    assert_eq!(page["alerts"]["evaluator"], "here");
    assert_eq!(page["alerts"]["firing"][0]["rule"], "errors-high");
    assert!(page["alerts"]["last_evaluation"].is_string() && page["alerts"]["error"].is_null());
    first.shutdown(DEADLINE).unwrap();

    let (notifier, heard) = told();
    let second = evaluating(folder, 0.5).notifier(notifier).build().unwrap();
    wait_until(&second, "it still fires", |_, alerts| {
        alerts.firing.iter().any(|rule| rule.since == fired.starts_at)
    });
    second.shutdown(DEADLINE).unwrap();
    assert_eq!(heard.try_iter().count(), 0, "a restart tells nothing again");

    // By other rules the same requests are fine.
    let (notifier, heard) = told();
    let third = evaluating(folder, 0.9).notifier(notifier).build().unwrap();
    let resolved = heard.recv_timeout(DEADLINE).unwrap();
    assert_eq!((resolved.starts_at, resolved.is_firing()), (fired.starts_at, false));
    let said = wait_for_lines(folder, 2);
    third.shutdown(DEADLINE).unwrap();
    assert_eq!(third.accounting().emitted, 0, "lines of alerts are no events");
    assert_eq!(third.metrics().rows, []);

    let [fired_line, resolved_line] = &said[..] else { panic!("{said:?}") };
    assert_eq!(fired_line["event_type"], "alert.fired");
    assert_eq!(resolved_line["event_type"], "alert.resolved");
    let data = &fired_line["data"];
    assert_eq!((&data["rule"], &data["value"]), (&json!("errors-high"), &json!("66.7 %")));
    assert_eq!((&data["window"], &data["traces"]), (&json!("1h"), &json!([TRACE])));
    assert_eq!(data["service"], "[REDACTED_email]");
    assert!(data["target"].is_string() && fired_line["seq"].is_null());
    let report = verify(folder).unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn a_line_that_comes_after_the_close_is_written_by_the_next_logger() {
    let keep = tempfile::tempdir().unwrap();
    let folder = &keep.path().join("logs");
    failed_requests(folder);
    // The evaluator reads its state up to the end, so this test decides how long an evaluation takes.
    let state = folder.join(".slo/state");
    fs::create_dir(folder.join(".slo")).unwrap();
    assert!(Command::new("mkfifo").arg(&state).status().unwrap().success());
    let (notifier, heard) = told();
    let first = evaluating(folder, 0.5).notifier(notifier).build().unwrap();
    let held = fs::File::options().write(true).open(&state).unwrap();
    close_in_time(&first);
    drop(held);
    assert!(heard.recv_timeout(DEADLINE).unwrap().is_firing());
    assert_eq!(alert_lines(folder), Vec::<Value>::new());

    let second = evaluating(folder, 0.5).build().unwrap();
    wait_for_lines(folder, 1);
    second.shutdown(DEADLINE).unwrap();
    assert_eq!(alert_lines(folder).len(), 1);
}

#[test]
fn another_process_waits_and_goes_on_if_the_first_ends() {
    const NAME: &str = "another_process_waits_and_goes_on_if_the_first_ends";
    if let Some(folder) = alone::folder() {
        let second = evaluating(&folder.join("logs"), 0.5).build().unwrap();
        wait_until(&second, "the first has the folder", |_, alerts| alerts.is_held_elsewhere);
        fs::write(folder.join("waits"), "").unwrap();
        wait_until(&second, "it takes over", |_, alerts| !alerts.firing.is_empty());
        second.shutdown(DEADLINE).unwrap();
        return;
    }
    let mut other = Alone::new(NAME);
    let folder = &other.path().join("logs");
    failed_requests(folder);
    let first = evaluating(folder, 0.5).build().unwrap();
    wait_until(&first, "it fires", |_, alerts| !alerts.firing.is_empty());
    wait_for_lines(folder, 1);
    let waits = other.path().join("waits");
    let running = other.spawn();
    wait_for(&waits);
    first.shutdown(DEADLINE).unwrap();
    let ended = running.end();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    assert_eq!(alert_lines(folder).len(), 1, "the second process tells nothing again");
}

/// Hangs until its sender is dropped.
struct Hangs(Sender<()>, Receiver<()>);

impl Notifier for Hangs {
    fn name(&self) -> &str {
        "hangs"
    }

    fn notify(&mut self, _: &Alert) -> Result<(), NotifyError> {
        self.0.send(()).unwrap();
        let _ = self.1.recv();
        Ok(())
    }
}

#[test]
fn a_notifier_that_hangs_delays_a_close_by_two_seconds_at_most() {
    let keep = tempfile::tempdir().unwrap();
    let folder = &keep.path().join("logs");
    failed_requests(folder);
    let ((began, begins), (release, released)) = (channel(), channel());
    let audit = evaluating(folder, 0.5).notifier(Hangs(began, released)).build().unwrap();
    begins.recv_timeout(DEADLINE).unwrap();
    close_in_time(&audit);
    drop(release);
}

#[test]
fn nobody_evaluates_if_the_folder_cannot_be_taken() {
    let keep = tempfile::tempdir().unwrap();
    let folder = &keep.path().join("logs");
    failed_requests(folder);
    fs::write(folder.join(".slo"), "").unwrap();
    let audit = evaluating(folder, 0.5).build().unwrap();
    wait_until(&audit, "it cannot be taken", |_, alerts| alerts.error.is_some());
    let page: Value = serde_json::from_str(&audit.health().to_json()).unwrap();
    assert_eq!(
        (&page["alerts"]["evaluator"], page["status"].as_str()),
        (&json!("none"), Some("ok"))
    );
    audit.shutdown(DEADLINE).unwrap();
}

#[test]
fn nothing_is_evaluated_unless_it_is_asked_for() {
    let keep = tempfile::tempdir().unwrap();
    let of = |builder: Builder| {
        let audit = builder.build().unwrap();
        let alerts = audit.health().alerts;
        audit.shutdown(DEADLINE).unwrap();
        alerts.is_some()
    };
    let folder = |name: &str| keep.path().join(name);
    assert!(!of(logger(&folder("plain"))));
    assert!(of(logger(&folder("asked")).alerts(true)));
    assert!(!of(evaluating(&folder("refused"), 0.5).alerts(false)));
    assert!(
        !of(logger(&folder("files")).files(false).exporter(memory().0).alerts(true)),
        "no files"
    );
}

#[test]
fn a_variable_of_a_place_is_enough() {
    if let Some(folder) = alone::folder() {
        let audit = AuditLogger::builder().directory(folder.join("logs")).build().unwrap();
        wait_until(&audit, "it is evaluated", |_, alerts| alerts.last_evaluation.is_some());
        audit.shutdown(DEADLINE).unwrap();
        return;
    }
    let mut alone = Alone::new("a_variable_of_a_place_is_enough");
    failed_requests(&alone.path().join("logs"));
    let (said, rules) = (alone.path().join("said"), rule_above(alone.path(), 0.5));
    let command = format!("sh -c 'cat > {}'", said.display());
    alone.command.env("AUDIT_ALERT_COMMAND", command).env("AUDIT_SLO_FILE", rules);
    let ended = alone.run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    let said: Value = serde_json::from_slice(&fs::read(said).unwrap()).unwrap();
    assert_eq!(said["alerts"][0]["labels"]["alertname"], "errors-high");
}

#[test]
fn a_child_that_was_forked_does_not_keep_the_folder() {
    const NAME: &str = "a_child_that_was_forked_does_not_keep_the_folder";
    if alone::folder().is_none() {
        let ended = Alone::new(NAME).run();
        assert!(ended.status.success(), "{}{}", ended.out, ended.err);
        return;
    }
    let folder = &alone::folder().unwrap().join("logs");
    failed_requests(folder);
    let first = evaluating(folder, 0.5).build().unwrap();
    wait_until(&first, "it fires", |_, alerts| !alerts.firing.is_empty());
    let child = sleeping_child();
    first.shutdown(DEADLINE).unwrap();
    let second = evaluating(folder, 0.5).build().unwrap();
    wait_until(&second, "it takes over", |_, alerts| !alerts.firing.is_empty());
    second.shutdown(DEADLINE).unwrap();
    end(child);
}

#[test]
fn a_child_that_was_forked_evaluates_unless_it_lacks_a_notifier() {
    const NAME: &str = "a_child_that_was_forked_evaluates_unless_it_lacks_a_notifier";
    if alone::folder().is_none() {
        let ended = Alone::new(NAME).run();
        assert!(ended.status.success(), "{}{}", ended.out, ended.err);
        return;
    }
    let folder = &alone::folder().unwrap().join("logs");
    for (builder, evaluates) in [
        (evaluating(folder, 0.5), true),
        (evaluating(folder, 0.5).notifier(told().0), false),
        (logger(folder).alerts(true).notifier(told().0), false),
    ] {
        let audit = builder.build().unwrap();
        let child = child_that(|| {
            audit.emit(&AuditEvent::new(EventType::ToolCall, "benefits", "search"));
            i32::from(audit.health().alerts.is_some())
        });
        assert_eq!(exit_code(child), i32::from(evaluates));
        assert!(audit.health().alerts.is_some(), "the parent evaluates in any case");
        audit.shutdown(DEADLINE).unwrap();
    }
}

/// Forks a child that does nothing until it is killed.
#[allow(unsafe_code, reason = "pause")]
fn sleeping_child() -> i32 {
    child_that(|| {
        loop {
            // SAFETY: it has no precondition.
            unsafe { libc::pause() };
        }
    })
}

/// Forks a child that ends with the code that `code` returns.
#[allow(unsafe_code, reason = "fork")]
fn child_that(code: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child uses the recorder alone, which may be used after a fork.
    match unsafe { libc::fork() } {
        // SAFETY: it has no precondition.
        0 => unsafe { libc::_exit(code()) },
        child => child,
    }
}

/// Waits for the end of a child.
#[allow(unsafe_code, reason = "waitpid")]
fn exit_code(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status));
    libc::WEXITSTATUS(status)
}

#[allow(unsafe_code, reason = "kill")]
fn end(child: i32) {
    // SAFETY: a signal to a child that was not waited for, and a place of none.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
}
