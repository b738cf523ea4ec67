//! Metrics reach a collector, and no collector delays anything.
#![cfg(all(feature = "otlp", unix, not(loom)))]

mod common;

use std::net::TcpListener;
use std::thread;

use common::alone::{self, Alone};
use common::collector::{self, has};
use common::{DEADLINE, lines, logger};
use llm_audit::{AuditEvent, AuditLogger, EventType};

fn emit(audit: &AuditLogger) {
    audit.emit(&AuditEvent::new(EventType::ToolResult, "benefits", "tool.search").latency_ms(1.0));
}

/// Runs a test in a process of its own, with these variables.
fn run(name: &str, variables: &[(&str, &str)]) {
    let mut alone = Alone::new(name);
    alone.command.envs(variables.iter().copied());
    let ended = alone.run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
}

#[test]
fn the_variables_of_opentelemetry_decide() {
    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        emit(&audit);
        audit.shutdown(DEADLINE).unwrap();
        return;
    }
    let (url, received) = collector::start();
    run(
        "the_variables_of_opentelemetry_decide",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{url}/base/")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_SERVICE_NAME", "desk"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,region=eu%2Cwest"),
            ("AUDIT_SEMCONV", "genai-0.1"),
        ],
    );
    let (head, body) = received.recv().unwrap();
    assert!(head.starts_with("post /base/v1/metrics "), "{head}");
    assert!(head.contains("\r\napi-key: a b\r\n"), "{head}");
    for text in ["gen_ai.execute_tool.duration", "tool.search", "desk", "region", "eu,west"] {
        assert!(has(&body, text), "{text}");
    }
    assert!(!has(&body, "other"), "the service has a name of its own");
}

#[test]
fn metrics_go_out_at_every_interval() {
    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        emit(&audit);
        // The collector is in the parent, which ends this process once it has seen enough.
        loop {
            thread::park();
        }
    }
    let (url, received) = collector::start();
    let mut alone = Alone::new("metrics_go_out_at_every_interval");
    alone.command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    alone.command.env("OTEL_METRIC_EXPORT_INTERVAL", "1");
    let mut running = alone.spawn();
    let seen = (0..3).map(|_| received.recv_timeout(DEADLINE)).collect::<Result<Vec<_>, _>>();
    running.child.kill().unwrap();
    running.end();
    assert!(seen.unwrap().iter().all(|(head, _)| head.contains("content-encoding: gzip")));
}

#[test]
fn a_collector_that_never_answers_delays_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/metrics", silent.local_addr().unwrap());
    let audit = logger(folder.path()).otlp_endpoint(url).notices(false).build().unwrap();
    emit(&audit);
    audit.flush(DEADLINE).unwrap();
    assert_eq!(audit.shutdown(DEADLINE).unwrap().written, 0);
    assert_eq!(audit.accounting().written, 1);
    assert_eq!(lines(folder.path()).last().unwrap()["event_type"], "audit.stop");
}

#[test]
fn an_export_that_fails_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}/v1/metrics");
    let audit = logger(folder.path()).otlp_endpoint(url).notices(false).build().unwrap();
    emit(&audit);
    audit.shutdown(DEADLINE).unwrap();
    assert_eq!(audit.accounting().export_errors, 1);
}

#[test]
fn nothing_is_sent_if_the_sdk_is_disabled() {
    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        emit(&audit);
        audit.shutdown(DEADLINE).unwrap();
        assert_eq!(audit.accounting().export_errors, 0);
        return;
    }
    let (url, received) = collector::start();
    run(
        "nothing_is_sent_if_the_sdk_is_disabled",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_SDK_DISABLED", "TRUE"),
        ],
    );
    assert_eq!(received.try_iter().count(), 0);
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    if let Some(folder) = alone::folder() {
        let error = AuditLogger::builder().build().unwrap_err().to_string();
        std::fs::write(folder.join("error"), error).unwrap();
        return;
    }
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4318");
    for ((name, value), expected) in [
        (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), "is \"grpc\"; accepted: http/protobuf"),
        (("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "user:pw@host"), "is \"[set]\"; accepted: a URL"),
        (("OTEL_EXPORTER_OTLP_HEADERS", "secret"), "is \"[set]\"; accepted: headers as"),
        (("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent"), "certificates for the collector: "),
    ] {
        let mut alone = Alone::new("settings_that_cannot_be_used_are_refused");
        alone.command.envs([endpoint, (name, value)]);
        let ended = alone.run();
        assert!(ended.status.success(), "{}{}", ended.out, ended.err);
        let error = std::fs::read_to_string(alone.path().join("error")).unwrap();
        assert!(error.contains(expected), "{name}: {error}");
    }
}
