//! Arguments and results: which of them are recorded.

use std::cell::Cell;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Mutex, RwLock};

use llm_audit::testing::{Capture, capture, capture_with};
use llm_audit::{AuditEvent, CaptureContent, EventType, TraceContext, audit_span};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::{events, only};

fn capturing() -> Capture {
    capture_with(|builder| builder.capture_content(true))
}

#[derive(Serialize)]
struct Query {
    text: String,
    limit: u32,
}

#[derive(Debug)]
#[allow(dead_code, reason = "seen by Debug")]
struct Account {
    user: &'static str,
    password: &'static str,
    tokens: Vec<Token>,
}

#[derive(Debug)]
#[allow(dead_code, reason = "seen by Debug")]
struct Token {
    token: Option<&'static str>,
}

struct Opaque;

fn query() -> Query {
    Query { text: "mail ana@example.com".to_owned(), limit: 3 }
}

fn account() -> Account {
    Account { user: "ana", password: "hunter2", tokens: vec![Token { token: Some("hunter3") }] }
}

/// The trace of a request in which this runs.
fn lines_of_request(seen: &Capture, run: impl FnOnce()) -> Vec<serde_json::Value> {
    let request = TraceContext::new_trace();
    let event = |event_type| AuditEvent::new(event_type, "a", "request").span(&request);
    seen.logger().emit(&event(EventType::RequestStart));
    let scope = request.enter();
    run();
    drop(scope);
    seen.logger().emit(&event(EventType::RequestEnd));
    events(seen)
}

#[test]
fn content_of_failed_traces_is_marked_as_such() {
    let capturing = || capture_with(|builder| builder.capture_content(CaptureContent::Failed));
    let call = |plan: &str| drop(all(query(), &account(), Opaque, "key", (1, 2.0), plan));
    let good = lines_of_request(&capturing(), || call("good"));
    let bad = lines_of_request(&capturing(), || {
        call("good");
        call("");
    });
    assert_eq!((good.len(), bad.len()), (4, 6));
    let has = |lines: &[serde_json::Value], name: &str| {
        lines.iter().filter(|line| line["data"].get(name).is_some()).count()
    };
    assert_eq!((has(&good, "arguments"), has(&good, "result"), has(&good, "tool")), (0, 0, 2));
    assert_eq!((has(&bad, "arguments"), has(&bad, "result"), has(&bad, "tool")), (2, 1, 4));
}

#[audit_span(agent = "a", capture_args, capture_result, skip(secret_plan))]
fn all(
    query: Query,
    account: &Account,
    opaque: Opaque,
    api_key: &str,
    (left, right): (u8, f64),
    secret_plan: &str,
) -> Result<Query, String> {
    let _ = (account, opaque, api_key, left, right);
    if secret_plan.is_empty() { Err("no plan".to_owned()) } else { Ok(query) }
}

#[test]
fn arguments_and_results_where_content_is_captured() {
    let seen = capturing();
    assert!(all(query(), &account(), Opaque, "hunter4", (1, 0.5), "hunter5").is_ok());
    let events = events(&seen);
    let call = only(&events, "tool.call");
    let masked =
        r#"Account { user: "ana", password: [REDACTED], tokens: [Token { token: [REDACTED] }] }"#;
    let arguments = json!({
        "query": {"text": "mail [REDACTED_email]", "limit": 3},
        "account": masked,
        "opaque": concat!(env!("CARGO_CRATE_NAME"), "::content::Opaque"),
        "api_key": "[REDACTED]",
        "left": 1,
        "right": 0.5,
    });
    assert_eq!(call["data"], json!({"tool": "all", "arguments": arguments}));
    let result = only(&events, "tool.result");
    assert_eq!(result["data"]["result"], json!({"text": "mail [REDACTED_email]", "limit": 3}));

    assert!(all(query(), &account(), Opaque, "hunter4", (1, 0.5), "").is_err());
    let events = super::events(&seen);
    let failed = only(&events, "tool.error");
    assert_eq!(failed["error"]["input_snapshot"], arguments);
    assert_eq!(failed["data"], json!({"tool": "all"}));
    assert!(!seen.lines().concat().contains("hunter"));
}

#[test]
fn no_content_but_in_the_snapshot_by_default() {
    let seen = capture();
    assert!(all(query(), &account(), Opaque, "k", (1, 0.5), "planted plan").is_ok());
    let lines = seen.lines().concat();
    assert!(
        !lines.contains("limit") && !lines.contains("arguments") && !lines.contains("result\":")
    );
    assert!(all(query(), &account(), Opaque, "k", (1, 0.5), "").is_err());
    let events = events(&seen);
    let snapshot = &only(&events, "tool.error")["error"]["input_snapshot"];
    assert_eq!(snapshot["query"]["limit"], 3);
    let without: Vec<_> = events
        .iter()
        .map(|event| {
            let mut event = event.clone();
            if let Some(error) = event.get_mut("error").and_then(|e| e.as_object_mut()) {
                error.remove("input_snapshot");
            }
            event.to_string()
        })
        .collect();
    assert!(!without.concat().contains("limit") && !without.concat().contains("ana"));
}

/// Counts how often it is read.
struct Watched<'w>(&'w Cell<u32>);

impl Serialize for Watched<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.set(self.0.get() + 1);
        serializer.serialize_str("seen")
    }
}

#[audit_span(agent = "a")]
fn moved(watched: Watched<'_>) -> Result<(), u8> {
    Err(u8::try_from(watched.0.get()).expect("a few"))
}

#[audit_span(agent = "a")]
fn lent(watched: &Watched<'_>, fails: bool) -> Result<(), u8> {
    if fails { Err(u8::try_from(watched.0.get()).expect("a few")) } else { Ok(()) }
}

#[test]
fn without_snapshots_nothing_is_built() {
    let looks = Cell::new(0);
    let seen = capture_with(|builder| builder.include_snapshots(false));
    assert_eq!(moved(Watched(&looks)), Err(0));
    assert_eq!(lent(&Watched(&looks), true), Err(0));
    assert_eq!(looks.get(), 0);
    assert!(events(&seen).iter().all(|event| event["error"].get("input_snapshot").is_none()));
}

#[test]
fn what_is_moved_is_taken_before_and_what_is_lent_when_it_is_needed() {
    let looks = Cell::new(0);
    let seen = capture();
    assert_eq!(moved(Watched(&looks)), Err(1));
    assert_eq!(lent(&Watched(&looks), false), Ok(()));
    assert_eq!(looks.get(), 1);
    assert_eq!(lent(&Watched(&looks), true), Err(1));
    assert_eq!(looks.get(), 2);
    let events = events(&seen);
    assert_eq!(events[1]["error"]["input_snapshot"], json!({"watched": "seen"}));
    assert_eq!(events[5]["error"]["input_snapshot"], json!({"watched": "seen", "fails": true}));
}

#[test]
fn the_snapshot_is_of_the_beginning() {
    #[audit_span(agent = "a")]
    fn changes(list: &mut Vec<u8>, mut n: u32) -> Result<(), ()> {
        list.clear();
        n += 1;
        assert_eq!(n, 6);
        Err(())
    }
    let seen = capture();
    assert!(changes(&mut vec![1, 2], 5).is_err());
    let events = events(&seen);
    let snapshot = &only(&events, "tool.error")["error"]["input_snapshot"];
    assert_eq!(*snapshot, json!({"n": 5, "list": [1, 2]}));
}

#[test]
fn one_event_holds_both() {
    #[audit_span(agent = "a", event = "cart.checkout", capture_args(text), capture_result)]
    fn check(text: String, other: u8) -> usize {
        text.len() + usize::from(other)
    }
    let seen = capturing();
    check("four".to_owned(), 1);
    let events = events(&seen);
    let expected = json!({"arguments": {"text": "four"}, "result": 5});
    assert_eq!(only(&events, "cart.checkout")["data"], expected);
}

#[test]
fn a_named_argument_may_be_debug() {
    #[audit_span(agent = "a", capture_args(account, n))]
    fn named<T: fmt::Debug>(account: &Account, n: T, other: Opaque) {
        let _ = (account, n, other);
    }
    let seen = capturing();
    named(&account(), Some(1), Opaque);
    let events = events(&seen);
    let arguments = &only(&events, "tool.call")["data"]["arguments"];
    assert!(arguments["account"].as_str().expect("a text").starts_with("Account { user"));
    assert_eq!(arguments["n"], "Some(1)");
    assert!(arguments.get("other").is_none());
}

#[test]
fn generics_are_seen_by_their_bounds() {
    #[audit_span(agent = "a", capture_args)]
    fn generic<S: Serialize, D: fmt::Debug, N>(s: &S, d: D, n: N, i: impl Serialize) {
        let _ = (s, d, n, i);
    }
    let seen = capturing();
    generic(&query(), Some(1), 2_u8, [3]);
    let events = events(&seen);
    let arguments = &only(&events, "tool.call")["data"]["arguments"];
    assert_eq!(arguments["s"]["limit"], 3);
    assert_eq!(arguments["d"], "Some(1)");
    assert_eq!(arguments["n"], "u8");
    assert_eq!(arguments["i"], json!([3]));
}

/// Fails in `Serialize` and panics in `Debug`.
struct Breaks;

impl Serialize for Breaks {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        resume_unwind(Box::new("Serialize"))
    }
}

struct BreaksToo;

impl fmt::Debug for BreaksToo {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        resume_unwind(Box::new("Debug"))
    }
}

#[derive(Debug)]
struct BrokenError;

impl fmt::Display for BrokenError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        resume_unwind(Box::new("Display"))
    }
}

#[test]
fn a_panic_while_looking_costs_one_argument() {
    #[audit_span(agent = "a", capture_args, capture_result)]
    fn work(n: u8, one: Breaks, two: &BreaksToo) -> Result<Breaks, BrokenError> {
        let _ = two;
        if n == 1 { Ok(one) } else { Err(BrokenError) }
    }
    let seen = capturing();
    assert!(work(1, Breaks, &BreaksToo).is_ok());
    assert!(work(2, Breaks, &BreaksToo).is_err());
    let events = events(&seen);
    let broken = "[UNSERIALIZABLE]";
    let arguments = json!({"n": 1, "one": broken, "two": broken});
    assert_eq!(events[0]["data"]["arguments"], arguments);
    assert_eq!(events[1]["data"], json!({"tool": "work", "result": broken}));
    assert_eq!(events[3]["error"]["message"], broken);
    assert!(events[3]["error"]["type"].as_str().is_some_and(|name| name.ends_with("BrokenError")));
    let snapshot = json!({"n": 2, "one": broken, "two": broken});
    assert_eq!(events[3]["error"]["input_snapshot"], snapshot);
}

#[test]
fn large_arguments_are_cut() {
    #[audit_span(agent = "a")]
    fn work(
        small: String,
        text: String,
        list: Vec<u64>,
        lent: &str,
        count: Option<u8>,
    ) -> Result<(), ()> {
        let _ = (small, text, list, lent, count);
        Err(())
    }
    let seen = capture_with(|builder| builder.max_event_bytes(8 << 10));
    let (text, list) = ("x".repeat(100_000), (0..100_000).collect());
    assert!(work("all of it".to_owned(), text.clone(), list, &text, Some(4)).is_err());
    let lines = seen.lines();
    assert!(lines[1].len() < 10_000);
    let events = events(&seen);
    let snapshot = &only(&events, "tool.error")["error"]["input_snapshot"];
    assert_eq!(snapshot["small"], "all of it");
    assert_eq!(snapshot["count"], 4);
    for name in ["text", "list", "lent"] {
        assert!(snapshot[name].to_string().contains("[TRUNCATED:"), "{snapshot}");
    }
}

#[test]
fn deep_arguments_do_not_overflow_the_stack() {
    #[derive(Serialize)]
    struct List {
        next: Option<Box<Self>>,
    }
    impl Drop for List {
        fn drop(&mut self) {
            let mut next = self.next.take();
            while let Some(mut list) = next {
                next = list.next.take();
            }
        }
    }
    #[audit_span(agent = "a")]
    fn work(list: List) -> Result<(), ()> {
        drop(list);
        Err(())
    }
    let mut list = List { next: None };
    for _ in 0..1_000_000 {
        list = List { next: Some(Box::new(list)) };
    }
    let seen = capture();
    assert!(work(list).is_err());
    assert!(seen.lines()[1].len() < 100_000);
}

#[audit_span(agent = "a", capture_args)]
fn set_header(name: &str, value: &str) -> usize {
    name.len() + value.len()
}

#[test]
fn an_argument_that_names_a_secret_hides_the_one_after_it() {
    let seen = capturing();
    set_header("X-Api-Key", "hunter2");
    set_header("Accept", "text/plain");
    let arguments = |event: &serde_json::Value| event["data"]["arguments"].clone();
    let found: Vec<_> = events(&seen)
        .iter()
        .filter(|event| event["event_type"] == "tool.call")
        .map(arguments)
        .collect();
    assert_eq!(
        found,
        [
            json!({"name": "X-Api-Key", "value": "[REDACTED]"}),
            json!({"name": "Accept", "value": "text/plain"}),
        ]
    );
}

#[audit_span(agent = "a", capture_args, capture_result)]
fn peek(session: &Mutex<Query>, plans: &RwLock<Vec<u8>>) -> Result<Option<u32>, &'static str> {
    let _ = plans;
    session.try_lock().map(|held| Some(held.limit)).map_err(|_| "busy")
}

/// A lock that this thread holds: whoever waits for it waits for ever.
#[test]
fn a_lock_is_never_taken() {
    let seen = capturing();
    let (session, plans) = (Mutex::new(query()), RwLock::new(vec![1]));
    let held = (session.lock(), plans.write());
    assert_eq!(peek(&session, &plans), Err("busy"));
    drop(held);
    assert_eq!(peek(&session, &plans), Ok(Some(3)));
    let events = events(&seen);
    for read in [&events[0]["data"]["arguments"], &events[1]["error"]["input_snapshot"]] {
        let session = read["session"].as_str().expect("a type's name");
        assert!(session.contains("Mutex<") && session.contains("Query"), "{session}");
        assert!(read["plans"].as_str().is_some_and(|plans| plans.contains("RwLock<")), "{read}");
    }
    assert_eq!(events[3]["data"]["result"], 3);
}
