//! What the agent knows about its users does not reach the log, and what it did does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use benefits_agent::{Options, PLANTED, run};
use llm_audit::AuditLogger;

/// Every line of every file in `directory`.
fn log(directory: &Path) -> String {
    let files = fs::read_dir(directory).expect("the folder exists");
    let read = |file: std::io::Result<fs::DirEntry>| fs::read_to_string(file?.path());
    files.map(read).collect::<Result<String, _>>().expect("the files are text")
}

#[test]
fn nothing_planted_reaches_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let logger = AuditLogger::builder()
        .without_environment()
        .directory(folder.path())
        .debug(true)
        .build()
        .expect("the settings are valid");
    let report = run(&logger, &Options { requests: 24, threads: 4 });
    logger.shutdown(Duration::from_secs(30)).expect("the log closes");

    let (log, counts) = (log(folder.path()), logger.accounting());
    assert_eq!(counts.written, report.events.values().sum::<u64>());
    assert_eq!(counts.emitted, counts.written);
    for text in PLANTED {
        assert!(!log.contains(text), "{text} is in the log");
    }
    let found: Vec<_> = counts.redactions.iter().filter(|(_, count)| *count > 0).collect();
    assert!(found.len() >= 5, "email, card, jwt, aws_key and key, but {found:?}");
}

#[test]
fn the_example_trace_has_an_error_a_retry_and_a_hit() {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = AuditLogger::builder().without_environment().directory(folder.path()).debug(true);
    let logger = builder.build().expect("the settings are valid");
    let report = run(&logger, &Options { requests: 2, threads: 2 });
    logger.shutdown(Duration::from_secs(30)).expect("the log closes");

    let trace = format!("{:032x}", report.example_trace.expect("something was asked"));
    let log = log(folder.path());
    let of_trace: Vec<&str> = log.lines().filter(|line| line.contains(&trace)).collect();
    for wanted in ["request.start", "tool.error", "agent.retry", "cache.hit", "request.end"] {
        let wanted = format!("\"event_type\":\"{wanted}\"");
        assert!(of_trace.iter().any(|line| line.contains(&wanted)), "no {wanted} in {of_trace:#?}");
    }
}
