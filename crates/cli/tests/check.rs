//! `check`: the effective configuration, wrong values and unknown variables.

mod common;

use common::{Run, command, folder, run_with};
use llm_audit::environment::VARIABLES;
use serde_json::{Value, json};

fn check(args: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = command(&[&["check"], args].concat());
    command.envs(variables.iter().copied());
    run_with(command, |_| Ok(()))
}

fn setting<'j>(object: &'j Value, name: &str) -> &'j Value {
    let settings = object["settings"].as_array().unwrap();
    settings.iter().find(|setting| setting["name"] == name).unwrap()
}

/// Finds the line of a variable in the table, with single spaces.
fn line(run: &Run, name: &str) -> String {
    let line = run.stdout.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("{name} {run:?}"))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn without_variables_everything_is_a_default() {
    let run = check(&[], &[]);
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    for variable in VARIABLES {
        assert!(line(&run, variable.name()).ends_with(" default"), "{run:?}");
    }
    assert!(run.stdout.ends_with("the configuration is fine\n"), "{run:?}");
    let object = check(&["--json"], &[]).json();
    assert_eq!(object["fine"], true);
    assert_eq!(object["settings"].as_array().unwrap().len(), VARIABLES.len());
    assert_eq!(
        *setting(&object, "AUDIT_FSYNC"),
        json!({"name": "AUDIT_FSYNC", "value": "1s", "source": "default", "set_by": null,
            "default": "1s", "accepted": "never, batch, or an interval from 1ms to 24h, such as 500ms, 1s, 2m"})
    );
}

#[test]
fn the_configuration_is_tried() {
    let (_keep, dir) = folder();
    let run = check(&[], &[("AUDIT_DEBUG", "true"), ("AUDIT_LOG_DIR", &dir)]);
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    for part in ["✓ redaction and lines: ", "✓ emit: 1000 events", "! sampling: AUDIT_DEBUG=true"]
    {
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }
    assert!(!std::path::Path::new(&dir).exists(), "check makes no log");
    let run = check(&[], &[("AUDIT_INCLUDE_SNAPSHOTS", "false")]);
    assert!(
        run.stdout.contains("! redaction and lines: failures have no input_snapshot"),
        "{run:?}"
    );
    std::fs::write(&dir, "a file").unwrap();
    let run = check(&["--json"], &[("AUDIT_LOG_DIR", &dir), ("AUDIT_ENABLED", "false")]);
    assert_eq!(run.code, 1, "{run:?}");
    let object = run.json();
    let outcome = |name: &str| {
        let checks = object["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!((&object["fine"], outcome("folder")), (&false.into(), "failed".into()));
    assert_eq!((outcome("recording"), outcome("clock")), ("warning".into(), "fine".into()));
}

#[test]
fn the_page_fits_80_columns() {
    let page = check(&[], &[("COLUMNS", "80")]).stdout;
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE  cumulative";
    assert!(page.contains(name) && page.contains("AUDIT_ENABLED  "), "{page}");
}

#[test]
fn a_value_has_the_source_that_decided_it() {
    let content = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    let variables = [
        ("AUDIT_QUEUE_BYTES", "65536"),
        (content, "SPAN_ONLY"),
        ("TRACE_SAMPLE_RATE", "0.5"),
        ("DESK_API_KEY", "never-to-be-shown"),
    ];
    let run = check(&[], &variables);
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    for (name, expected) in [
        ("AUDIT_QUEUE_BYTES", "AUDIT_QUEUE_BYTES 65536 environment"),
        ("AUDIT_MAX_EVENT_BYTES", "AUDIT_MAX_EVENT_BYTES 32768 other settings"),
        ("AUDIT_CAPTURE_CONTENT", &format!("AUDIT_CAPTURE_CONTENT true {content}")),
        ("TRACE_SAMPLE_RATE", "TRACE_SAMPLE_RATE 0.5 environment"),
        ("AUDIT_REDACT_ENV", "AUDIT_REDACT_ENV DESK_API_KEY default"),
    ] {
        assert_eq!(line(&run, name), expected);
    }
    assert!(!run.stdout.contains("never-to-be-shown"), "{run:?}");
    let object = check(&["--json"], &variables).json();
    assert_eq!(setting(&object, "AUDIT_CAPTURE_CONTENT")["set_by"], content);
    assert_eq!(setting(&object, "AUDIT_REDACT_ENV")["value"], "DESK_API_KEY");
}

#[test]
fn all_wrong_values_are_named_at_once_with_what_is_accepted() {
    let variables = [
        ("AUDIT_FSYNC", "sometimes"),
        ("AUDIT_QUEUE_BYTES", "12"),
        ("AUDIT_PRICING_FILE", "/nonexistent/prices.json"),
        ("AUDIT_REDACT_ENV", "NOT_SET"),
    ];
    let secret = check(&[], &[("AUDIT_REDACT_ENV", "hunter2-brass")]);
    assert!(secret.stderr.contains("AUDIT_REDACT_ENV entry 1 is no name"), "{secret:?}");
    assert!(!(secret.stdout.clone() + &secret.stderr).contains("hunter2"), "{secret:?}");
    for args in [&[][..], &["--json"]] {
        let run = check(args, &variables);
        assert_eq!((run.code, run.stderr.lines().count()), (2, 4), "{run:?}");
        for (line, accepted) in run.stderr.lines().zip(["never, batch", "from 65536 to", "", ""]) {
            assert!(line.starts_with("llm-audit: ") && line.contains(accepted), "{run:?}");
        }
        for (name, _) in variables {
            assert!(run.stderr.contains(name), "{run:?}");
        }
    }
    let run = check(&[], &variables);
    assert_eq!(line(&run, "AUDIT_FSYNC"), "AUDIT_FSYNC - not accepted");
    assert!(run.stdout.ends_with("4 findings\n"), "{run:?}");
    let object = check(&["--json"], &variables).json();
    assert_eq!(object["refused"].as_array().unwrap().len(), 4);
    assert_eq!(setting(&object, "AUDIT_FSYNC")["value"], Value::Null);
}

#[test]
fn an_unknown_variable_is_a_finding_with_the_closest_name() {
    let variables = [("AUDIT_FSYCN", "2s"), ("LLM_AUDIT_FSYCN", "2s")];
    let run = check(&[], &variables);
    assert_eq!((run.code, &*run.stderr), (1, ""), "{run:?}");
    let expected = "✗ AUDIT_FSYCN is not a known variable; the closest is AUDIT_FSYNC\n";
    assert!(run.stdout.contains(expected) && run.stdout.ends_with("\n1 finding\n"), "{run:?}");
    let object = check(&["--json"], &variables).json();
    assert_eq!(object["unknown"], json!([{"name": "AUDIT_FSYCN", "closest": "AUDIT_FSYNC"}]));
    assert_eq!(object["fine"], false);
}

#[test]
#[cfg(feature = "alerts")]
fn places_for_alerts_are_shown_without_credentials_or_refused() {
    let key = "0123456789abcdef0123456789abcdef";
    let places = [
        ("AUDIT_ALERT_WEBHOOK", "https://hooks.example/walrus-7"),
        ("AUDIT_ALERTMANAGER_URL", "http://ann:walrus-7@am:9093"),
        ("AUDIT_PAGERDUTY_KEY", key),
    ];
    let run = check(&[], &places);
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    assert_eq!(
        line(&run, "AUDIT_ALERT_WEBHOOK"),
        "AUDIT_ALERT_WEBHOOK https://hooks.example/… environment"
    );
    assert!(line(&run, "AUDIT_ALERTMANAGER_URL").contains("[set]"), "{run:?}");
    assert!(!run.stdout.contains("walrus-7") && !run.stdout.contains(key), "{run:?}");

    let run = check(&[], &[("AUDIT_PAGERDUTY_KEY", "walrus-7")]);
    assert_eq!(run.code, 2, "{run:?}");
    let said = "AUDIT_PAGERDUTY_KEY is \"[set]\"; accepted: an integration key";
    assert!(run.stderr.contains(said) && !run.stderr.contains("walrus-7"), "{run:?}");
}

#[test]
fn a_recorder_warns_of_an_unknown_variable_once() {
    let (_keep, dir) = folder();
    let mut command = command(&["record", "--dir", &dir]);
    command.env("AUDIT_FSYCN", "2s").env("AUDIT_ENABLED", "true");
    let event = br#"{"event_type":"cache.hit","agent":"a","action":"get","status":"ok"}"#;
    let run = run_with(command, |to| to.write_all(event));
    let expected = "llm-audit: AUDIT_FSYCN is not a known variable; the closest is AUDIT_FSYNC\n";
    assert_eq!((run.code, &*run.stderr), (0, expected), "{run:?}");
}

#[test]
fn the_help_lists_every_variable_that_has_a_use() {
    for (subcommand, unused_group) in [("check", ""), ("record", "Alerts"), ("demo", "")] {
        if subcommand == "demo" && !cfg!(feature = "demo") {
            continue;
        }
        let run = common::run(&[subcommand, "--help"]);
        assert_eq!(run.code, 0, "{run:?}");
        for variable in VARIABLES {
            let listed = format!("{} [default: {}]", variable.name(), variable.default_value());
            let has_use = variable.group() != unused_group;
            assert_eq!(run.stdout.contains(&listed), has_use, "{listed} {run:?}");
        }
    }
}
