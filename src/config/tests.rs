//! Tests of the table, the environment, and the builder over it.

use std::ffi::OsString;
use std::time::Duration;

use llm_audit_log::zst;

use super::alerts::Alerts;
use super::otlp::{Collector, Otlp, Semconv};
use super::settings::Outputs;
use super::*;
use crate::context::TraceContext;
use crate::error::Error;
use crate::sampler::SamplingPolicy;
use crate::sanitize::{Profile, Sanitizer};
use crate::user_names::UserKey;

fn read(vars: &[(&str, &str)]) -> Result<Settings, Error> {
    let lookup = |name: &str| {
        vars.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    };
    Builder::default().settings(&lookup).map(|(settings, _)| settings)
}

#[test]
fn without_variables_the_defaults_hold() {
    assert_eq!(read(&[]).unwrap(), Settings::default());
}

#[test]
fn an_empty_variable_is_not_set() {
    assert_eq!(read(&[("AUDIT_ENABLED", ""), ("AUDIT_LOG_DIR", "")]).unwrap(), Settings::default());
}

#[test]
fn every_variable_arrives() {
    let settings = read(&[
        ("AUDIT_ENABLED", "false"),
        ("AUDIT_EXPORTER", "stdout, jsonfile, stderr"),
        ("AUDIT_NOTICES", "none"),
        ("AUDIT_LOG_DIR", "/var/log/agents"),
        ("AUDIT_DEBUG", "TRUE"),
        ("AUDIT_SLO_FILE", "slo.toml"),
        ("AUDIT_HASH_USERS", "0123456789abcdef"),
        ("AUDIT_INCLUDE_SNAPSHOTS", "0"),
        ("TRACE_SAMPLE_RATE", "0.5"),
        ("SUCCESS_SAMPLE_RATE", "0"),
        ("ERROR_SAMPLE_RATE", "0.25"),
        ("SLOW_REQUEST_THRESHOLD_MS", "10.5"),
        ("AUDIT_FAILED_TRACES", "sampled"),
        ("AUDIT_HOLD_BYTES", "65536"),
        ("AUDIT_HOLD_SECONDS", "600"),
        ("AUDIT_QUEUE_CAPACITY", "64"),
        ("AUDIT_QUEUE_BYTES", "1048576"),
        ("AUDIT_MAX_EVENT_BYTES", "8192"),
        ("AUDIT_MAX_FILE_BYTES", "10000"),
        ("AUDIT_FILE_MODE", "0640"),
        ("AUDIT_FSYNC", "250ms"),
        ("OTEL_SERVICE_NAME", "desk"),
        ("AUDIT_CAPTURE_CONTENT", "true"),
        ("AUDIT_REDACT_PROFILE", "precise"),
        ("AUDIT_REDACT_ENV", "DESK_KEY, DESK_USER"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT"),
        ("AUDIT_PRICING_FILE", "prices.json"),
        ("AUDIT_COMPRESS", "none"),
        ("AUDIT_RETENTION_DAYS", "30"),
        ("AUDIT_MAX_TOTAL_BYTES", "10000"),
        ("AUDIT_RETENTION_WAITS", "false"),
        ("AUDIT_ALERT_WEBHOOK", "https://hooks.example/a"),
        ("AUDIT_ALERTMANAGER_URL", "http://a:9093,http://b:9093"),
        ("AUDIT_SLACK_WEBHOOK", "https://hooks.slack.example/b"),
        ("AUDIT_PAGERDUTY_KEY", "0123456789abcdef0123456789abcdef"),
        ("AUDIT_PAGERDUTY_URL", "https://pagerduty.example"),
        ("AUDIT_ALERT_COMMAND", "page --loud"),
        ("AUDIT_ALERT_HEARTBEAT", "https://alive.example"),
        ("AUDIT_CLOUDWATCH_GROUP", "agents"),
        ("AUDIT_CLOUDWATCH_STREAM", "desk/1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/base"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces/in"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "700"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "api-key=b"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "own.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "all.key"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "own.key"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "region=eu,zone=a%2Cb"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "None"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("AUDIT_SEMCONV", "genai-0.1"),
        ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("TRACESTATE", "vendor=1"),
    ])
    .unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let set = |value: &str| Some(value.to_owned());
    let collector = |path: &str| Collector {
        endpoint: Some(format!("https://collector/base{path}")),
        headers: vec![pair("api-key", "a")],
        timeout_ms: 500,
        gzip: false,
        protocol: "grpc".to_owned(),
        certificate: Some("ca.pem".into()),
        client_certificate: Some("own.pem".into()),
        client_key: Some("all.key".into()),
        is_sent: true,
    };
    let expected = Settings {
        enabled: false,
        outputs: Outputs { files: true, stdout: true, stderr: true, ..Outputs::NONE },
        notices: false,
        totals: true,
        slo_file: Some("slo.toml".into()),
        hash_users: UserKey::new("0123456789abcdef"),
        to_exporters: false,
        directory: "/var/log/agents".into(),
        include_snapshots: false,
        capture_content: CaptureContent::Always,
        sanitizer: Sanitizer::with_profile(Profile::Precise),
        redact_environment: Some(vec!["DESK_KEY".to_owned(), "DESK_USER".to_owned()]),
        environment: Vec::new(),
        pricing_file: Some("prices.json".into()),
        sampling: SamplingPolicy {
            trace_rate: 0.5,
            success_rate: 0.0,
            error_rate: 0.25,
            slow_threshold_ms: 10.5,
            debug: true,
        },
        failed_traces: FailedTraces::Sampled,
        hold_bytes: 64 << 10,
        hold_seconds: 600,
        queue_capacity: 64,
        queue_bytes: 1 << 20,
        errors_apart: true,
        max_event_bytes: 8192,
        max_file_bytes: 10_000,
        file_mode: 0o640,
        fsync: Fsync::Every(Duration::from_millis(250)),
        retention_days: Some(30),
        max_total_bytes: Some(10_000),
        retention_waits: false,
        compress: Compress::None,
        service: "desk".to_owned(),
        cloudwatch_group: "agents".to_owned(),
        cloudwatch_stream: set("desk/1"),
        traceparent: Traceparent::Span(
            TraceContext::from_traceparent(
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )
            .unwrap(),
        ),
        tracestate: set("vendor=1"),
        otlp: Otlp {
            metrics: Collector { headers: vec![pair("api-key", "b")], ..collector("/v1/metrics") },
            // gRPC has no path.
            logs: Collector { timeout_ms: 700, is_sent: false, ..collector("") },
            traces: Collector {
                endpoint: set("http://traces/in"),
                client_key: Some("own.key".into()),
                ..collector("")
            },
            interval_ms: 1_000,
            is_delta: true,
            semconv: Semconv::GenAi01,
            resource: vec![pair("region", "eu"), pair("zone", "a,b")],
            is_disabled: true,
        },
        alerts: Alerts {
            asked: None,
            has_notifier: false,
            webhook: set("https://hooks.example/a"),
            alertmanager: set("http://a:9093,http://b:9093"),
            slack: set("https://hooks.slack.example/b"),
            pagerduty_key: set("0123456789abcdef0123456789abcdef"),
            pagerduty_url: set("https://pagerduty.example"),
            sns_topic: None,
            command: set("page --loud"),
            heartbeat: set("https://alive.example"),
        },
    };
    assert_eq!(settings, expected);
}

#[test]
fn a_refused_variable_is_named_with_what_is_accepted() {
    for (name, given) in [
        ("AUDIT_ENABLED", "yes"),
        ("AUDIT_EXPORTER", "file"),
        ("AUDIT_EXPORTER", "jsonfile,,stdout"),
        ("AUDIT_EXPORTER", "kafka"),
        ("AUDIT_DEBUG", "2"),
        ("AUDIT_INCLUDE_SNAPSHOTS", "no"),
        ("TRACE_SAMPLE_RATE", "1.1"),
        ("SUCCESS_SAMPLE_RATE", "-0.1"),
        ("ERROR_SAMPLE_RATE", "NaN"),
        ("SLOW_REQUEST_THRESHOLD_MS", "-1"),
        ("AUDIT_FAILED_TRACES", "all"),
        ("AUDIT_HOLD_BYTES", "1000"),
        ("AUDIT_HOLD_SECONDS", "0"),
        ("AUDIT_QUEUE_CAPACITY", "0"),
        ("AUDIT_QUEUE_CAPACITY", "5000000"),
        ("AUDIT_QUEUE_BYTES", "1000"),
        ("AUDIT_QUEUE_BYTES", "64MB"),
        ("AUDIT_MAX_EVENT_BYTES", "100"),
        ("AUDIT_MAX_EVENT_BYTES", "60000000"),
        ("AUDIT_MAX_FILE_BYTES", "1"),
        ("AUDIT_FILE_MODE", "0400"),
        ("AUDIT_FILE_MODE", "rw"),
        ("AUDIT_FILE_MODE", "1600"),
        ("AUDIT_FSYNC", "1"),
        ("AUDIT_FSYNC", "0s"),
        ("AUDIT_FSYNC", "sometimes"),
        ("AUDIT_CAPTURE_CONTENT", "some"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "all"),
        ("AUDIT_RETENTION_DAYS", "0"),
        ("AUDIT_RETENTION_DAYS", "40000"),
        ("AUDIT_RETENTION_DAYS", "a week"),
        ("AUDIT_MAX_TOTAL_BYTES", "268435455"),
        ("AUDIT_MAX_TOTAL_BYTES", "1GB"),
        ("AUDIT_COMPRESS", "gzip"),
        ("AUDIT_REDACT_PROFILE", "loose"),
        ("AUDIT_SEMCONV", "latest"),
    ] {
        let error = read(&[(name, given)]).expect_err(name);
        assert!(error.is_config(), "{name}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{name} is ")), "{text}");
        assert!(text.contains("; accepted: "), "{text}");
    }
}

#[test]
fn only_a_build_that_sends_metrics_refuses_what_it_cannot_use() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");
    for (name, given) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "a minute"),
        ("OTEL_RESOURCE_ATTRIBUTES", "desk"),
    ] {
        let error = read(&[endpoint, (name, given)]).err().map(|error| error.to_string());
        assert_eq!(error.is_some(), cfg!(feature = "otlp"), "{name}");
        assert!(error.is_none_or(|error| !error.contains("secret")), "{name}");
    }
}

#[test]
fn a_destination_implies_files_and_is_refused_if_it_is_not_built_in() {
    for (given, is_present, feature) in [
        ("otlp", cfg!(feature = "otlp"), "`otlp`"),
        ("stdout,cloudwatch", cfg!(feature = "cloudwatch-logs"), "`cloudwatch-logs`"),
    ] {
        match read(&[("AUDIT_EXPORTER", given)]) {
            Ok(settings) => assert!(is_present && settings.outputs.files, "{given}"),
            Err(error) => assert!(!is_present && error.to_string().contains(feature), "{error}"),
        }
    }
}

#[test]
#[cfg(feature = "otlp")]
fn a_protocol_is_refused_only_if_something_is_sent_by_it() {
    const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    const JSON: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
    const SHIPS: (&str, &str) = ("AUDIT_EXPORTER", "otlp");
    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");
    const NO_METRICS: (&str, &str) = ("OTEL_METRICS_EXPORTER", "none");
    const NO_TRACES: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");
    let without = |is_sent: &'static str| (!cfg!(feature = "otlp-grpc")).then_some(is_sent);
    for (variables, refused) in [
        (&[GRPC, JSON][..], None),
        (
            &[GRPC, SHIPS],
            without(
                "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL is \"grpc\"; accepted: http/protobuf, or grpc with the feature \
                 otlp-grpc",
            ),
        ),
        (&[JSON, SHIPS], Some("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")),
        (&[JSON, SHIPS, NO_TRACES], None),
        (&[GRPC, ENDPOINT], Some("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")),
        (&[GRPC, ENDPOINT, NO_METRICS], None),
    ] {
        let error = read(variables).err();
        let error = error.map(|error| error.to_string());
        let is_right = match refused {
            Some(name) => error.as_ref().is_some_and(|error| error.starts_with(name)),
            None => error.is_none(),
        };
        assert!(is_right, "{variables:?}: {error:?}");
    }
}

#[test]
fn only_a_build_that_tells_alerts_refuses_a_place_for_them() {
    for (name, given) in [
        ("AUDIT_ALERT_WEBHOOK", "ftp://hooks.example/secret"),
        ("AUDIT_ALERTMANAGER_URL", "http://am:9093,secret"),
        ("AUDIT_SLACK_WEBHOOK", "secret"),
        ("AUDIT_PAGERDUTY_KEY", "secret"),
        ("AUDIT_PAGERDUTY_URL", "secret"),
        ("AUDIT_ALERT_SNS_TOPIC", "topic"),
        ("AUDIT_ALERT_COMMAND", "page 'secret"),
        ("AUDIT_ALERT_HEARTBEAT", "secret"),
    ] {
        let error = read(&[(name, given)]).err().map(|error| error.to_string());
        assert_eq!(error.is_some(), cfg!(feature = "alerts"), "{name}");
        assert!(
            error.is_none_or(|error| error.contains(name) && !error.contains("secret")),
            "{name}"
        );
    }
}

#[test]
fn a_place_for_alerts_is_refused_only_if_the_rules_may_be_evaluated() {
    let lookup = |name: &str| (name == "AUDIT_ALERT_WEBHOOK").then(|| OsString::from("secret"));
    let is_refused = |builder: Builder| builder.settings(&lookup).is_err();
    assert!(!is_refused(Builder::default().alerts(false)));
    for builder in [Builder::default(), Builder::default().alerts(true)] {
        assert_eq!(is_refused(builder), cfg!(feature = "alerts"));
    }
}

#[test]
fn a_topic_is_refused_if_it_is_not_built_in() {
    let topic = ("AUDIT_ALERT_SNS_TOPIC", "arn:aws:sns:eu-west-1:123456789012:alerts");
    let error = read(&[topic]).err().map(|error| error.to_string());
    assert_eq!(error.is_some(), cfg!(all(feature = "alerts", not(feature = "sns"))));
    assert!(
        error.is_none_or(|error| error.contains("nothing, because this program was built without"))
    );
}

#[test]
fn compression_is_refused_if_it_is_not_built_in() {
    let set = read(&[("AUDIT_COMPRESS", "zstd")]).map(|settings| settings.compress);
    let built = Builder::default().without_environment().compress(Compress::Zstd);
    let built = built.settings(&|_| None).map(|(settings, _)| settings.compress);
    for compress in [set, built] {
        match zst::IS_PRESENT {
            true => assert_eq!(compress.unwrap(), Compress::Zstd),
            false => {
                let error = compress.unwrap_err().to_string();
                assert!(error.contains("AUDIT_COMPRESS") && error.contains("feature zstd"));
            }
        }
    }
}

#[test]
fn fsync_is_shown_as_it_is_set() {
    for given in ["never", "batch", "1s", "90s", "250ms", "1500ms"] {
        assert_eq!(read(&[("AUDIT_FSYNC", given)]).unwrap().fsync.to_string(), given);
    }
}

#[test]
fn the_variable_of_opentelemetry_decides_if_ours_is_not_set() {
    let name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    for (given, captures) in
        [("true", true), ("SPAN_AND_EVENT", true), ("false", false), ("no_content", false)]
    {
        assert_eq!(read(&[(name, given)]).unwrap().capture_content, captures.into(), "{given}");
    }
}

#[test]
fn the_builder_overrides_the_environment() {
    let lookup = |name: &str| (name == "AUDIT_DEBUG").then(|| OsString::from("true"));
    let debug = |builder: Builder| builder.settings(&lookup).unwrap().0.sampling.debug;
    assert!(debug(Builder::default()));
    assert!(!debug(Builder::default().debug(false)));
    assert!(!debug(Builder::default().without_environment()));
}

#[test]
fn a_small_queue_makes_the_default_event_small() {
    let settings = read(&[("AUDIT_QUEUE_BYTES", "65536")]).unwrap();
    assert_eq!(settings.max_event_bytes, 32 << 10);
    let settings = Builder::default().without_environment().queue_bytes(65_536);
    assert_eq!(settings.settings(&|_| None).unwrap().0.max_event_bytes, 32 << 10);
}

#[test]
fn an_output_is_needed() {
    let none = Builder::default().without_environment().files(false);
    assert!(none.settings(&|_| None).err().unwrap().to_string().contains("AUDIT_EXPORTER"));
}

#[test]
fn an_error_is_that_of_the_variable_that_was_given() {
    let other = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    let both = read(&[(other, "span_only"), ("AUDIT_CAPTURE_CONTENT", "false")]).unwrap();
    assert_eq!(both.capture_content, CaptureContent::Never);
    let error = read(&[(other, "all"), ("AUDIT_CAPTURE_CONTENT", "false")]).unwrap_err();
    assert!(error.to_string().starts_with(other), "{error}");
}

#[test]
fn what_a_variable_shows_it_reads() {
    let defaults = Settings::default();
    for variable in VARIABLES {
        let shown = variable.show(&defaults);
        let mut settings = Settings { enabled: true, ..Settings::default() };
        let lookup = |name: &str| (name == variable.name()).then(|| OsString::from(&shown));
        match shown.as_str() {
            "none" if variable.name() != "AUDIT_COMPRESS" => continue,
            "variables with a sensitive name" => continue,
            _ => {}
        }
        assert_eq!(variable.read(&mut settings, &lookup).unwrap(), Some(variable.name()));
        assert_eq!(settings, defaults, "{}", variable.name());
    }
}

#[test]
fn every_variable_is_documented_and_named_once() {
    let mut names: Vec<_> = VARIABLES.iter().map(Variable::name).collect();
    // The settings of several collectors share them.
    let mut shared: Vec<_> = VARIABLES.iter().filter_map(Variable::fallback).collect();
    shared.sort_unstable();
    shared.dedup();
    names.extend(shared);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for variable in VARIABLES {
        let documentation = variable.documentation();
        assert!(documentation.ends_with('.'), "{documentation}");
        for forbidden in ["](", "|", "\n", "  "] {
            assert!(!documentation.contains(forbidden), "{documentation}");
        }
        assert!(!variable.accepted().is_empty() && !variable.default_value().is_empty());
    }
}
