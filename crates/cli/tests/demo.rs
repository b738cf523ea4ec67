//! `demo`: the bundled service under load, and what is shown of its log.
#![cfg(feature = "demo")]

mod common;

use common::{command, events, folder, run, run_with, text};
use serde_json::Value;

/// Enough that every script is played, and every member asks twice.
const REQUESTS: &str = "120";

/// What users and tools of the demo say, some of it.
const PLANTED: [&str; 4] =
    ["ana.lopez+benefits@mail.example", "4111 1111 1111 1111", "AKIAIOSFODNN7EXAMPLE", "horse"];

#[test]
fn every_type_is_recorded_and_every_call_has_its_price() {
    let (_keep, dir) = folder();
    let run = run(&["demo", "--json", "--requests", REQUESTS, "--seed", "5", "--dir", &dir]);
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    let shown = run.json();
    let types = shown["events"].as_object().expect("events by type");
    assert_eq!(types.len(), 19, "{types:?}");
    let counted: u64 = types.values().filter_map(Value::as_u64).sum();
    assert_eq!(shown["accounting"]["written"], counted);
    assert_eq!(shown["accounting"]["emitted"], counted);
    assert_eq!(events(&dir).len() as u64, counted);
    assert_eq!(shown["captures_content"], true);

    let models = shown["models"].as_object().expect("calls by model");
    assert_eq!(models.len(), 2, "{models:?}");
    for calls in models.values() {
        assert_eq!(calls["unpriced"], 0, "{models:?}");
        let cost = calls["cost_usd"].as_str().expect("exact, so a string");
        assert!(cost.parse::<f64>().is_ok_and(|cost| cost > 0.0), "{cost}");
    }
    for kind in ["email", "card", "jwt", "aws_key"] {
        let count = &shown["redactions"][&*format!("[REDACTED_{kind}]")];
        assert!(count.as_u64() > Some(0), "{kind}: {count}");
    }
    let load = &shown["load"];
    let sum = load["statuses"]["200"].as_u64().zip(load["left_early"].as_u64());
    assert_eq!(
        sum.map(|(answered, left)| (answered + left).to_string()).as_deref(),
        Some(REQUESTS)
    );
}

#[test]
fn what_it_wrote_is_whole_and_its_trace_can_be_shown() {
    let (_keep, dir) = folder();
    let shown = run(&["demo", "--json", "--requests", "4", "--dir", &dir]).json();
    assert_eq!(run(&["verify", "--dir", &dir]).code, 0);
    let trace = shown["trace_id"].as_str().expect("the first request is answered");
    let tree = run(&["trace", trace, "--dir", &dir]);
    assert_eq!(tree.code, 0, "{tree:?}");
    for part in ["agent.retry", "llm.error", "api.call", "claim_status", "request GET /claims"] {
        assert!(tree.stdout.contains(part), "no {part} in {}", tree.stdout);
    }
}

#[test]
fn it_tells_what_it_did() {
    let (_keep, dir) = folder();
    let run = run(&["demo", "--requests", "30", "--concurrency", "4", "--dir", &dir]);
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    let parts = [
        "Recorded in ",
        "With content",
        "Asked",
        "One of its traces",
        "Report of ",
        "Traffic",
        "Slowest",
        "claim_status",
        "caching saved",
        "gpt-4o",
        "Accounting",
        "adds up",
        "Sampling: none",
        "Redacted",
        "[REDACTED_card]",
    ];
    for part in parts {
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }
    for planted in PLANTED {
        assert!(!run.stdout.contains(planted) && !text(&dir).contains(planted), "{planted}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let (_keep, dir) = folder();
    let damaged = format!("{dir}/audit-2026-01-02.jsonl");
    std::fs::create_dir_all(&damaged).unwrap();
    let run = run(&["demo", "--requests", "4", "--dir", &dir]);
    let said =
        format!("llm-audit: cannot read {damaged}: it is a folder; the rest of it is left out");
    assert_eq!((run.code, run.stderr.trim_end()), (0, &*said), "{run:?}");
}

#[test]
fn the_environment_decides_on_content_and_sampling() {
    let (_keep, dir) = folder();
    let mut command = command(&["demo", "--json", "--requests", "20", "--dir", &dir]);
    command.env("AUDIT_CAPTURE_CONTENT", "false").env("SUCCESS_SAMPLE_RATE", "0");
    let run = run_with(command, |_| Ok(()));
    assert_eq!(run.code, 0, "{run:?}");
    let shown = run.json();
    assert_eq!(shown["captures_content"], false);
    assert!(shown["accounting"]["sampled_out"].as_u64() > Some(0), "{shown}");
    assert!(!text(&dir).contains("\"prompt\":"));
}

/// Its failures are made up. An evaluator would keep its state in the folder.
#[test]
fn no_alert_is_told() {
    let (_keep, dir) = folder();
    let mut command = command(&["demo", "--requests", "4", "--dir", &dir]);
    command.env("AUDIT_ALERT_COMMAND", "false");
    let run = run_with(command, |_| Ok(()));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!std::path::Path::new(&dir).join(".slo").exists());
}

#[test]
fn nothing_asked_is_no_data_and_mistakes_are_told() {
    let (_keep, dir) = folder();
    assert_eq!(run(&["demo", "--requests", "0", "--dir", &dir]).code, 3);
    for args in [&["demo", "--concurrency", "0"][..], &["demo", "--seed", "x"]] {
        let run = run(args);
        assert_eq!((run.code, &*run.stdout), (2, ""), "{run:?}");
    }
    let mut command = command(&["demo", "--dir", &dir]);
    command.env("AUDIT_FSYNC", "sometimes");
    let run = run_with(command, |_| Ok(()));
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("AUDIT_FSYNC"), "{run:?}");
}
