//! A process that is started with `TRACEPARENT` continues that trace, and hands it on to its own children.
#![cfg(not(loom))]

mod common;

use std::process::Command;

use common::alone::{self, Alone};
use common::{DEADLINE, lines};
use llm_audit::{AuditEvent, AuditLogger, EventType, SamplingPolicy, TraceContext};
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn event(action: &str) -> AuditEvent<'_> {
    AuditEvent::new(EventType::CacheHit, "child", action)
}

/// The events of a folder, without the log's own lines.
fn events(folder: &std::path::Path) -> Vec<Value> {
    let is_event = |line: &Value| line["event_type"] == "cache.hit";
    lines(&folder.join("logs")).into_iter().filter(is_event).collect()
}

/// Runs the test of this name in a process with these variables. Returns its events and what it said on stderr.
fn run(name: &str, variables: &[(&str, &str)]) -> (Vec<Value>, String) {
    let mut test = Alone::new(name);
    test.command.envs(variables.iter().copied());
    let ended = test.run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    (events(test.path()), ended.err)
}

#[test]
fn what_happens_outside_of_a_context_is_below_the_span_that_started_the_process() {
    let name = "what_happens_outside_of_a_context_is_below_the_span_that_started_the_process";
    if alone::folder().is_some() {
        let _guard = llm_audit::init_with(AuditLogger::builder().debug(true)).unwrap();
        llm_audit::emit(&event("first"));
        llm_audit::emit(&event("second"));
        let root = TraceContext::new_root();
        let _scope = root.enter();
        llm_audit::emit(&event("inside").span(&root));
        llm_audit::emit(&event("trace").span(&TraceContext::new_trace()));
        return;
    }
    let (events, stderr) = run(name, &[("TRACEPARENT", KEPT), ("TRACESTATE", "vendor=1")]);
    assert_eq!(stderr, "");
    for event in &events[..3] {
        assert_eq!((&event["trace_id"], &event["parent_span_id"]), (&TRACE.into(), &PARENT.into()));
    }
    assert_ne!(events[0]["span_id"], events[1]["span_id"], "each is a span of its own");
    assert_ne!(events[3]["trace_id"], TRACE, "a new trace is a new one");
}

#[test]
fn a_value_that_is_not_valid_is_ignored_with_one_warning() {
    let name = "a_value_that_is_not_valid_is_ignored_with_one_warning";
    if let Some(folder) = alone::folder() {
        for part in ["logs", "other"] {
            let logger = AuditLogger::builder().directory(folder.join(part)).debug(true);
            let logger = logger.build().unwrap();
            logger.emit(&event("first"));
            logger.shutdown(DEADLINE).unwrap();
        }
        return;
    }
    let invalid = KEPT.to_uppercase();
    for (given, warnings) in [("", 0), ("00-0af7", 1), (&invalid, 1)] {
        let (events, stderr) = run(name, &[("TRACEPARENT", given), ("TRACESTATE", "vendor=1")]);
        let warned = stderr.lines().filter(|line| line.contains("TRACEPARENT is ignored: "));
        assert_eq!(warned.count(), warnings, "{given}: {stderr}");
        assert!(given.is_empty() || !stderr.contains(given), "{stderr}");
        assert_ne!(events[0]["trace_id"], TRACE);
        assert_eq!(events[0].get("parent_span_id"), None);
    }
    let (_, stderr) = run(name, &[("TRACEPARENT", "00-0af7"), ("AUDIT_NOTICES", "none")]);
    assert_eq!(stderr, "");
}

#[test]
fn the_flag_may_raise_the_sampling_decision_and_never_lower_it() {
    let name = "the_flag_may_raise_the_sampling_decision_and_never_lower_it";
    if let Some(folder) = alone::folder() {
        let rate = std::env::var("TRACE_SAMPLE_RATE").unwrap().parse().unwrap();
        let policy = SamplingPolicy { trace_rate: rate, success_rate: 0.0, ..Default::default() };
        let logger = AuditLogger::builder().directory(folder.join("logs")).sampling(policy);
        let logger = logger.build().unwrap();
        logger.emit(&event("first"));
        logger.shutdown(DEADLINE).unwrap();
        return;
    }
    for (traceparent, state, rate, kept) in [
        (KEPT, "", "0", Some("parent")),
        (NOT_KEPT, "", "0", None),
        (NOT_KEPT, "", "1", Some("")),
        (NOT_KEPT, "ot=rv:ffffffffffffff", "0.01", Some("")),
        (NOT_KEPT, "ot=rv:00000000000000", "0.99", None),
    ] {
        let variables =
            [("TRACEPARENT", traceparent), ("TRACESTATE", state), ("TRACE_SAMPLE_RATE", rate)];
        let (events, _) = run(name, &variables);
        let found = events.first().map(|event| event["kept"].as_str().unwrap_or_default());
        assert_eq!(found, kept, "{variables:?}");
    }
}

#[test]
fn a_logger_without_the_environment_begins_a_new_trace() {
    let name = "a_logger_without_the_environment_begins_a_new_trace";
    if let Some(folder) = alone::folder() {
        let logger = common::logger(&folder.join("logs")).build().unwrap();
        logger.emit(&event("first"));
        logger.shutdown(DEADLINE).unwrap();
        return;
    }
    let (events, _) = run(name, &[("TRACEPARENT", KEPT)]);
    assert_ne!(events[0]["trace_id"], TRACE);
}

#[test]
fn a_child_gets_the_trace_and_no_state_of_another() {
    let seen_by_child = |context: &TraceContext| {
        let mut command = Command::new("sh");
        command.args(["-c", "printf '%s|%s' \"$TRACEPARENT\" \"$TRACESTATE\""]);
        command.env("TRACESTATE", "other=1").envs(context.to_env());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let caller = TraceContext::from_traceparent(NOT_KEPT).unwrap();
    assert_eq!(seen_by_child(&caller), format!("{NOT_KEPT}|"));
    let with_state = caller.with_tracestate("vendor=1").new_span();
    let span = with_state.to_traceparent();
    assert_eq!(seen_by_child(&with_state), format!("{span}|vendor=1"));
}

#[cfg(feature = "macros")]
#[test]
fn a_function_with_the_attribute_is_below_the_span_that_started_the_process() {
    #[llm_audit::audit_span(event = "cache.hit", agent = "child", action = "audited")]
    fn audited() {}

    let name = "a_function_with_the_attribute_is_below_the_span_that_started_the_process";
    if alone::folder().is_some() {
        let _guard = llm_audit::init_with(AuditLogger::builder().debug(true)).unwrap();
        return audited();
    }
    let (events, _) = run(name, &[("TRACEPARENT", KEPT)]);
    assert_eq!(
        (&events[0]["trace_id"], &events[0]["parent_span_id"]),
        (&TRACE.into(), &PARENT.into())
    );
}
