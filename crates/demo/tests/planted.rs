//! Personal data of users, tools and providers does not reach the log. The work of the service
//! does: every type, every failure, every span below its parent.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use common::{events, name};
use llm_audit::{Accounting, AuditLogger};
use llm_audit_demo::PLANTED;
use llm_audit_demo::load::{Options, Report};
use serde_json::Value;

const OPTIONS: Options = Options { requests: 200, concurrency: 16, seed: 3 };
const TYPES: [&str; 19] = [
    "request.start",
    "request.end",
    "agent.route",
    "agent.decision",
    "agent.retry",
    "agent.fallback",
    "llm.invoke",
    "llm.error",
    "tool.call",
    "tool.result",
    "tool.error",
    "nlp.extract",
    "cache.hit",
    "cache.miss",
    "api.call",
    "s3.write",
    "push.send",
    "serialize",
    "prompt.efficiency",
];

/// One run under load, with its content captured.
struct Run {
    report: Report,
    log: String,
    events: Vec<Value>,
    counts: Accounting,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = AuditLogger::builder().without_environment().directory(folder.path());
    let builder = builder.debug(true).capture_content(true);
    let guard = llm_audit::init_with(builder).expect("the settings are valid");
    let report = llm_audit_demo::demo(&OPTIONS).expect("loopback can be listened on");
    let logger = guard.logger();
    logger.shutdown(Duration::from_secs(30)).expect("the log closes");
    let log = common::text(folder.path());
    Run { report, events: events(&log), log, counts: logger.accounting() }
});

fn of_type(wanted: &str) -> impl Iterator<Item = &'static Value> {
    RUN.events.iter().filter(move |event| name(event) == wanted)
}

/// As it is inside a JSON string, and with every byte that may be spelled in percent so spelled.
fn forms(text: &str) -> [String; 3] {
    let escaped = Value::from(text).to_string();
    let percent = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    [text.to_owned(), escaped[1..escaped.len() - 1].to_owned(), percent.collect()]
}

#[test]
fn nothing_planted_is_in_the_log() {
    for text in PLANTED {
        for form in forms(text) {
            assert!(!RUN.log.contains(&form), "{form} is in the log");
        }
    }
}

#[test]
fn every_place_has_its_placeholder() {
    let places = [
        ("agent.route", "/data/reason", "[REDACTED_email]"),
        ("llm.invoke", "/data/prompt", "[REDACTED_card]"),
        ("llm.invoke", "/data/prompt", r#""secret":"[REDACTED]""#),
        ("llm.invoke", "/data/completion", "[REDACTED_card]"),
        ("llm.invoke", "/data/completion", r#""password":"[REDACTED]""#),
        ("llm.error", "/error/message", "[REDACTED_aws_key]"),
        ("llm.error", "/error/input_snapshot", "[REDACTED_card]"),
        ("tool.call", "/data/arguments", r#""authorization":"[REDACTED]""#),
        ("tool.call", "/data/arguments", r#""cookie":"[REDACTED]""#),
        ("tool.call", "/data/arguments", r#""api_key":"[REDACTED]""#),
        ("tool.call", "/data/arguments", r#""token":"[REDACTED]""#),
        ("tool.call", "/data/arguments", "[REDACTED_jwt]"),
        ("tool.result", "/data/result", r#""secret":"[REDACTED]""#),
        ("tool.result", "/data/result", r#""[REDACTED_email]":"covered""#),
        ("tool.error", "/error/message", "[REDACTED_jwt]"),
        ("tool.error", "/error/input_snapshot", r#""password":"[REDACTED]""#),
        ("agent.retry", "/data/reason", "[REDACTED_email]"),
        ("cache.miss", "/data/key", "[REDACTED_email]"),
        ("s3.write", "/data/key", "[REDACTED_email]"),
        ("push.send", "/data/body", "[REDACTED_card]"),
        ("push.send", "/data/body", r#""authorization":"[REDACTED]""#),
        ("push.send", "/error/message", "[REDACTED_aws_key]"),
    ];
    for (wanted, place, placeholder) in places {
        let found = of_type(wanted).filter_map(|event| event.pointer(place));
        assert!(
            found.map(Value::to_string).any(|text| text.contains(placeholder)),
            "{wanted} {place} has no {placeholder}"
        );
    }
}

#[test]
fn every_call_is_for_a_user_and_no_mail_address_is_one() {
    assert!(!RUN.log.contains("members.example"));
    let calls = || of_type("llm.invoke").map(|event| &event["data"]);
    let users: BTreeSet<_> = calls().map(|data| data["user"].as_str().expect("a user")).collect();
    let hashed = users.iter().filter(|user| user.starts_with("u_")).count();
    assert!(hashed > 1 && hashed < users.len(), "{users:?}");
    let tenants: BTreeSet<_> = calls().map(|data| data["tenant"].as_str().expect("one")).collect();
    assert_eq!(tenants, ["acme", "globex", "initech"].into());
}

#[test]
fn lines_and_totals_agree_on_users_and_tenants() {
    let mut totals: BTreeMap<_, u64> = BTreeMap::new();
    let lines = RUN.log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    for line in lines.filter(|line| name(line) == "audit.totals") {
        for (rows, member) in [("rows", "tenant"), ("users", "user")] {
            for row in line["data"][rows].as_array().expect("rows") {
                let value = row[member].as_str().unwrap_or("").to_owned();
                *totals.entry((member, value)).or_default() +=
                    row["events"].as_u64().expect("a count");
            }
        }
    }
    totals.retain(|(_, value), _| !value.is_empty());
    let mut of_lines: BTreeMap<_, u64> = BTreeMap::new();
    for (event, member) in RUN.events.iter().flat_map(|event| [(event, "tenant"), (event, "user")])
    {
        if let Some(value) = event["data"][member].as_str() {
            *of_lines.entry((member, value.to_owned())).or_default() += 1;
        }
    }
    assert_eq!(of_lines, totals);
}

#[test]
fn every_type_is_in_the_log() {
    let seen: BTreeSet<_> = RUN.events.iter().map(name).collect();
    assert_eq!(seen, TYPES.into_iter().collect());
}

#[test]
fn every_event_is_in_the_file() {
    let counts = &RUN.counts;
    assert_eq!((counts.emitted, counts.written), (RUN.events.len() as u64, counts.emitted));
    assert_eq!((counts.unserializable, counts.truncated), (0, 0));
}

#[test]
fn every_caller_is_served_or_left() {
    let report = &RUN.report;
    let answered: u64 = report.statuses.values().sum();
    assert_eq!(report.statuses.keys().copied().collect::<Vec<_>>(), [200]);
    assert_eq!((answered + report.left_early, report.failed), (OPTIONS.requests, 0));
    assert!(report.left_early > 0 && report.streamed > 0, "{report:?}");
}

/// The ids of the event's trace and span.
fn span(event: &Value) -> (&str, &str) {
    let id = |name: &str| event[name].as_str().expect("every event has ids");
    (id("trace_id"), id("span_id"))
}

#[test]
fn every_span_lies_below_one_that_is_there() {
    let spans: HashSet<_> = RUN.events.iter().map(span).collect();
    let orphans: Vec<_> = RUN
        .events
        .iter()
        .filter_map(|event| Some((event, (span(event).0, event["parent_span_id"].as_str()?))))
        .filter(|(_, parent)| !spans.contains(parent))
        .map(|(event, _)| event)
        .collect();
    // Only callers with a trace of their own are above what is in the log.
    let of_callers =
        |event: &&&Value| name(event).starts_with("request.") && event["agent"] == "benefits";
    let traced: HashSet<_> = orphans.iter().filter(of_callers).map(|event| span(event)).collect();
    assert!((15..=22).contains(&traced.len()), "{} traced callers", traced.len());
    let lost: Vec<_> = orphans.iter().filter(|event| !of_callers(event)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn every_request_begins_once_and_ends_once() {
    let mut requests: BTreeMap<_, [u32; 2]> = BTreeMap::new();
    for (at, wanted) in ["request.start", "request.end"].into_iter().enumerate() {
        for event in of_type(wanted) {
            requests.entry(span(event)).or_default()[at] += 1;
        }
    }
    assert!(requests.values().all(|counts| *counts == [1, 1]), "{requests:?}");
    let asked = of_type("request.start").filter(|event| event["agent"] == "benefits").count();
    let answered: u64 = RUN.report.statuses.values().sum();
    assert!((answered..=OPTIONS.requests).contains(&(asked as u64)), "{asked} of {answered}");
}

#[test]
fn the_search_service_is_below_the_calls_to_it() {
    let calls: HashSet<_> = of_type("api.call").map(span).collect();
    let mut searches = 0;
    for event in of_type("request.start").filter(|event| event["agent"] == "search") {
        let parent = event["parent_span_id"].as_str().expect("it was called with a traceparent");
        assert!(calls.contains(&(span(event).0, parent)), "{event}");
        searches += 1;
    }
    assert!(searches > 100, "{searches}");
    // None of the addresses in the queries, and no query at all.
    assert!(of_type("api.call").all(|event| !event["data"]["url"].to_string().contains('?')));
}

#[test]
fn every_failure_is_in_the_log() {
    let has = |wanted: &str, place: &str, part: &str| {
        let found = of_type(wanted).filter_map(|event| event.pointer(place));
        let found = found.map(Value::to_string).any(|text| text.contains(part));
        assert!(found, "no {wanted} has {part} in {place}");
    };
    has("llm.error", "/status", "timeout");
    has("llm.error", "/error/message", "too many requests");
    has("llm.error", "/error/message", "500");
    has("llm.error", "/error/message", "no chat completion");
    has("agent.retry", "/data/reason", "no answer within");
    has("agent.retry", "/data/pause_ms", "25");
    has("agent.retry", "/data/tool", "claim_status");
    has("agent.fallback", "/data/to", "gpt-4o-mini");
    has("agent.fallback", "/data/to", "template");
    has("agent.route", "/data/route", "human.handoff");
    has("tool.error", "/error/message", "503");
    has("tool.error", "/error/message", "no such tool");
    has("tool.error", "/error/message", "arguments are not");
    has("push.send", "/error/message", "410");
    has("agent.retry", "/data/reason", "nothing found within");
}

#[test]
fn a_compressed_prompt_is_shorter() {
    let tokens = |name: &str| {
        let counts = of_type("prompt.efficiency").filter_map(|event| event["data"][name].as_u64());
        counts.collect::<Vec<_>>()
    };
    let (before, after) = (tokens("tokens_before"), tokens("tokens_after"));
    assert!(before.iter().zip(&after).all(|(before, after)| after <= before));
    assert!(after.iter().sum::<u64>() < before.iter().sum::<u64>(), "{before:?} {after:?}");
}

#[test]
fn the_example_trace_is_worth_showing() {
    let trace = format!("{:032x}", RUN.report.example_trace.expect("the first was answered"));
    let seen: BTreeSet<_> = RUN
        .events
        .iter()
        .filter(|event| event["trace_id"] == trace.as_str())
        .map(|event| (name(event), event["agent"].as_str().unwrap_or_default()))
        .collect();
    for wanted in [
        ("request.start", "benefits"),
        ("request.start", "search"),
        ("api.call", "benefits"),
        ("llm.error", "benefits"),
        ("agent.retry", "benefits"),
        ("tool.error", "benefits"),
        ("tool.result", "benefits"),
        ("s3.write", "supervisor"),
    ] {
        assert!(seen.contains(&wanted), "no {wanted:?} in {seen:?}");
    }
}
