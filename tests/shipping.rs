//! Lines of the log reach a collector from inside the service, and no collector delays an event or loses one.
#![cfg(all(feature = "otlp", unix, not(loom)))]
#![allow(unsafe_code, reason = "a signal and a fork")]

mod common;

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use common::alone::{self, Alone, Ended};
use common::collector::{self, has};
use common::{DEADLINE, logger};
use llm_audit::metrics::ShippingHealth;
use llm_audit::{AuditEvent, AuditLogger, EventType};

/// Emits events, each with an action of its own.
fn emit(audit: &AuditLogger, actions: std::ops::Range<u32>) {
    for action in actions.map(|n| format!("step.{n}.")) {
        audit.emit(&AuditEvent::new(EventType::ToolResult, "benefits", &action).latency_ms(1.0));
    }
}

/// Which actions the requests contain, each with how often.
fn actions(received: &Receiver<(String, Vec<u8>)>, of: std::ops::Range<u32>) -> Vec<usize> {
    let bodies: Vec<_> = received.try_iter().map(|(_, body)| body).collect();
    of.map(|n| bodies.iter().filter(|body| has(body, &format!("step.{n}."))).count()).collect()
}

/// A test in a process of its own, which ships to a collector.
fn service(name: &str, url: &str, variables: &[(&str, &str)]) -> Alone {
    let mut alone = Alone::new(name);
    alone.command.env("AUDIT_EXPORTER", "otlp").env("AUDIT_DEBUG", "true");
    alone.command.env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", format!("{url}/v1/logs"));
    alone.command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{url}/v1/traces"));
    alone.command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "none");
    alone.command.envs(variables.iter().copied());
    alone
}

/// Runs such a test.
fn run(name: &str, url: &str, variables: &[(&str, &str)]) -> Ended {
    let ended = service(name, url, variables).run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    ended
}

/// Waits until the only destination is so.
fn wait_until(audit: &AuditLogger, is_so: impl Fn(&ShippingHealth) -> bool) -> ShippingHealth {
    let until = Instant::now() + DEADLINE;
    loop {
        let health = audit.health().shipping.remove(0);
        if is_so(&health) {
            return health;
        }
        assert!(Instant::now() < until, "{health:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn shipper(folder: &Path, url: &str) -> AuditLogger {
    let audit = logger(folder).otlp_collector(url).otlp(true).notices(false);
    audit.build().unwrap()
}

#[test]
fn a_close_ships_what_is_in_the_files() {
    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        emit(&audit, 0..3);
        audit.shutdown(DEADLINE).unwrap();
        let health = audit.health().shipping.remove(0);
        assert_eq!((health.sent, health.refused, health.error), (3, 0, None));
        return;
    }
    let (url, received) = collector::start();
    let headers = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=a");
    let ended = run("a_close_ships_what_is_in_the_files", &url, &[headers]);
    assert_eq!(ended.err, "");
    let requests: Vec<_> = received.try_iter().collect();
    for (head, body) in &requests {
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(head.contains("\r\napi-key: a\r\n"), "{head}");
        assert!(has(body, "unknown_service:"), "the service of the audit.start");
    }
    for n in 0..3 {
        let action = format!("step.{n}.");
        assert_eq!(requests.iter().filter(|(_, body)| has(body, &action)).count(), 1, "{action}");
    }
}

#[test]
fn a_log_is_shipped_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _received) = collector::start();
    let audit = shipper(folder.path(), &url);
    for events in [3, 7] {
        emit(&audit, 0..events - audit.accounting().written as u32);
        audit.flush(DEADLINE).unwrap();
        wait_until(&audit, |health| health.sent == u64::from(events));
    }
    let health = audit.health();
    let json: serde_json::Value = serde_json::from_str(&health.to_json()).unwrap();
    assert_eq!(json["shipping"][0]["shipper"], "here");
    #[cfg(feature = "prometheus")]
    {
        use llm_audit::metrics::{TextFormat, prometheus_text};
        let page = prometheus_text(&audit.metrics(), &audit.accounting(), TextFormat::Prometheus);
        let destination = &health.shipping[0].destination;
        for name in ["ship_sent_total", "ship_refused_total", "ship_lag_bytes", "ship_lag_seconds"]
        {
            let series = format!("llm_audit_{name}{{destination=\"{destination}\"}} ");
            assert!(page.contains(&series), "{series}{page}");
        }
        assert!(page.contains("ship_sent_total{") && page.contains("} 7\n"), "{page}");
    }
}

#[test]
fn a_collector_that_never_answers_delays_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let audit = shipper(folder.path(), &format!("http://{}", silent.local_addr().unwrap()));
    emit(&audit, 0..100);
    // It has the first request, and the service goes on.
    let _request = silent.accept().unwrap();
    emit(&audit, 100..200);
    audit.flush(DEADLINE).unwrap();
    assert_eq!(audit.accounting().written, 200);
    audit.shutdown(DEADLINE).unwrap();
    assert_eq!(audit.health().shipping[0].sent, 0);
}

#[test]
fn a_dead_collector_costs_delay_and_no_event() {
    let name = "a_dead_collector_costs_delay_and_no_event";
    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        let done: u32 = std::env::var("STEPS_DONE").unwrap().parse().unwrap();
        emit(&audit, done..done + 50);
        if done == 0 {
            let failing = |health: &ShippingHealth| {
                let is_answered = health.error.as_ref().is_some_and(|error| error.contains("503"));
                is_answered && health.lag_bytes > Some(0)
            };
            assert_eq!(wait_until(&audit, failing).sent, 0);
        }
        audit.shutdown(DEADLINE).unwrap();
        return;
    }
    let is_back = Arc::new(AtomicBool::new(false));
    let back = is_back.clone();
    let answer = move || match back.load(Ordering::Relaxed) {
        true => "200 OK",
        false => "503 Service Unavailable",
    };
    let (url, received) = collector::start_with(answer);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let steps = |done| run(name, &url, &[("AUDIT_LOG_DIR", folder), ("STEPS_DONE", done)]).err;
    let said = steps("0");
    assert!(said.contains("llm-audit: shipping to otlp"), "{said}");
    assert_eq!(said.matches("503").count(), 1, "once: {said}");
    assert!(actions(&received, 0..50).iter().all(|times| *times > 0), "it was asked");
    is_back.store(true, Ordering::Relaxed);
    assert_eq!(steps("50"), "");
    assert_eq!(actions(&received, 0..100), [1; 100]);
}

#[test]
fn a_signal_waits_for_what_is_in_the_files() {
    let name = "a_signal_waits_for_what_is_in_the_files";
    if alone::folder().is_some() {
        llm_audit::close_on_signals().unwrap();
        let audit = AuditLogger::builder().build().unwrap();
        wait_until(&audit, |health| health.is_held_here);
        emit(&audit, 0..3);
        // SAFETY: the handlers that it runs are those of the recorder.
        unsafe { libc::raise(libc::SIGTERM) };
        loop {
            thread::park();
        }
    }
    let (url, received) = collector::start();
    let ended = service(name, &url, &[]).run();
    assert_eq!(ended.status.signal(), Some(libc::SIGTERM), "{}{}", ended.out, ended.err);
    assert_eq!(actions(&received, 0..3), [1; 3]);
}

#[test]
fn the_lines_of_a_forked_child_are_shipped_by_its_parent() {
    let name = "the_lines_of_a_forked_child_are_shipped_by_its_parent";
    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        wait_until(&audit, |health| health.is_held_here);
        // SAFETY: the recorder supports forks, and the child ends by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            emit(&audit, 0..3);
            wait_until(&audit, |health| health.is_held_elsewhere);
            let is_written = audit.shutdown(DEADLINE).is_ok();
            // SAFETY: it ends the process.
            unsafe { libc::_exit(i32::from(!is_written)) };
        }
        let mut status = 0;
        // SAFETY: the child is one of this process, and there is room for its status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        audit.shutdown(DEADLINE).unwrap();
        assert_eq!(audit.health().shipping[0].sent, 3);
        return;
    }
    let (url, received) = collector::start();
    run(name, &url, &[]);
    assert_eq!(actions(&received, 0..3), [1; 3]);
}

#[test]
fn another_logger_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _received) = collector::start();
    let first = shipper(folder.path(), &url);
    wait_until(&first, |health| health.is_held_here);
    let second = shipper(folder.path(), &url);
    wait_until(&second, |health| health.is_held_elsewhere);
    emit(&second, 0..3);
    second.flush(DEADLINE).unwrap();
    wait_until(&first, |health| health.sent == 3);
    first.shutdown(DEADLINE).unwrap();
    let health = wait_until(&second, |health| health.is_held_here);
    assert_eq!((health.is_held_elsewhere, health.sent), (false, 3));
}

#[test]
fn settings_that_no_collector_could_use_are_refused_at_the_start() {
    if alone::folder().is_some() {
        let error = AuditLogger::builder().build().unwrap_err().to_string();
        assert!(
            error.starts_with("cannot ship to otlp: certificates for the collector: "),
            "{error}"
        );
        return;
    }
    let name = "settings_that_no_collector_could_use_are_refused_at_the_start";
    let certificate = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent.pem");
    run(name, "https://localhost", &[certificate]);
}

#[test]
fn nothing_is_shipped_if_that_is_switched_off() {
    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        emit(&audit, 0..3);
        audit.shutdown(DEADLINE).unwrap();
        assert!(audit.health().shipping.is_empty());
        return;
    }
    let (url, received) = collector::start();
    for variables in [
        &[("OTEL_SDK_DISABLED", "true")][..],
        &[("OTEL_LOGS_EXPORTER", "none"), ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        run("nothing_is_shipped_if_that_is_switched_off", &url, variables);
    }
    assert_eq!(received.try_iter().count(), 0);
}
