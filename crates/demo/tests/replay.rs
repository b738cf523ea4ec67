//! The failed traces of a run under load, replayed: the same error at the same step, without network.

mod common;

use std::collections::BTreeMap;

use llm_audit::AuditLogger;
use llm_audit::reader::Trace;
use llm_audit::replay::{ReplayFixture, Replayer};
use llm_audit_demo::load::Options;
use llm_audit_demo::{Config, replay_root, replay_root_with};
use serde_json::Value;

/// How many requests are recorded, unless `LLM_AUDIT_RUNS` says more.
const REQUESTS: u64 = 60;

/// The fixtures of all traces that failed.
fn fixtures() -> Vec<ReplayFixture> {
    let requests = std::env::var("LLM_AUDIT_RUNS").ok().and_then(|runs| runs.parse().ok());
    let folder = tempfile::tempdir().expect("a folder");
    let builder = AuditLogger::builder().without_environment().directory(folder.path());
    let builder = builder.debug(true).capture_content(true);
    let guard = llm_audit::init_with(builder).expect("the settings are valid");
    let options = Options { requests: requests.unwrap_or(REQUESTS), concurrency: 8, seed: 3 };
    llm_audit_demo::demo(&options).expect("loopback can be listened on");
    drop(guard);
    let log = common::text(folder.path());
    let mut traces = BTreeMap::<String, (bool, Vec<&str>)>::new();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).expect("a line is JSON");
        let Some(id) = event["trace_id"].as_str() else { continue };
        let trace = traces.entry(id.to_owned()).or_default();
        trace.0 |= matches!(event["status"].as_str(), Some("error" | "timeout"));
        trace.1.push(line);
    }
    let failed = traces.into_iter().filter(|(_, (has_failed, _))| *has_failed);
    let fixture = |(id, (_, lines)): (String, (bool, Vec<&str>))| {
        ReplayFixture::from_trace(&Trace::from_lines(&id, lines)).expect("it has events")
    };
    failed.map(fixture).collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "the share is what the test is about")]
fn failed_traces_fail_again_at_the_same_step() {
    let fixtures = fixtures();
    let mut others = BTreeMap::<String, u64>::new();
    let (mut reproduced, mut is_summary_seen) = (0, false);
    for fixture in &fixtures {
        if let Some(gap) = fixture.not_captured.iter().find(|gap| gap.blocks) {
            *others.entry(gap.what.clone()).or_default() += 1;
            continue;
        }
        let replayer = Replayer::new(fixture.clone());
        let replay = replayer.run(replay_root);
        let again = replayer.run(replay_root);
        let pairs = replay.lines().iter().zip(again.lines());
        let differing: Vec<_> = pairs.filter(|(one, other)| one != other).collect();
        let is_same = differing.is_empty() && again.lines().len() == replay.lines().len();
        assert!(is_same, "trace {} differs: {differing:#?}", fixture.trace_id);
        match replay.reproduces() && replay.mismatches().is_empty() {
            true => reproduced += 1,
            false => *others.entry(format!("{:?}", replay.check())).or_default() += 1,
        }
        // The bug of the example, and the same code without it.
        let error = fixture.error.as_ref().expect("it failed");
        if error.action == "calls.summary" {
            is_summary_seen = true;
            let fixed = Config { skips_malformed_calls: true, ..Config::default() };
            replayer.run(|input| replay_root_with(fixed, input)).assert_fixed();
        }
    }
    let all = fixtures.len() as u64;
    eprintln!("{reproduced} of {all} failed traces reproduce their error; others: {others:#?}");
    assert!(is_summary_seen, "a script of the stand-in makes it fail");
    assert!(reproduced * 100 >= all * 95, "{reproduced} of {all}: {others:#?}");
}
