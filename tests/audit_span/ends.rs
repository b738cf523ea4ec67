//! The events of a call: their types, ids and ends.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use llm_audit::testing::{capture, capture_with};
use llm_audit::{AuditEvent, AuditLogger, EventType, TraceContext, audit_span};
use serde_json::json;

use super::{events, ids, only, types};

#[audit_span(agent = "benefits")]
fn search(found: bool) -> Result<u32, Failure> {
    if !found {
        Err(Failure(7))?;
    }
    if found {
        return Ok(1);
    }
    Ok(2)
}

#[derive(Debug)]
struct Failure(u32);

impl Failure {
    fn is_small(&self) -> bool {
        self.0 < 5
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failure {}", self.0)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&fmt::Error)
    }
}

#[test]
fn a_call_and_its_result_share_a_span() {
    let seen = capture();
    assert_eq!(search(true).ok(), Some(1));
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "tool.result"]);
    assert_eq!(ids(&events[0]), ids(&events[1]));
    for event in &events {
        assert_eq!(event["agent"], "benefits");
        assert_eq!(event["action"], "search");
        assert_eq!(event["status"], "ok");
        assert_eq!(event["data"], json!({"tool": "search"}));
        assert!(event.get("parent_span_id").is_none(), "a trace of its own");
    }
    assert!(events[0].get("latency_ms").is_none());
    assert!(events[1]["latency_ms"].as_f64().expect("a latency") >= 0.0);
}

#[test]
fn a_call_is_for_the_user_of_its_request() {
    let seen = capture();
    let request = TraceContext::new_trace().with_user("u-1842").with_tenant("acme");
    {
        let _scope = request.enter();
        search(true).expect("it is found");
    }
    for event in events(&seen) {
        let expected = json!({"tool": "search", "user": "u-1842", "tenant": "acme"});
        assert_eq!(event["data"], expected);
    }
}

#[test]
fn an_error_is_told_with_its_sources_and_environment() {
    let seen = capture_with(|builder| {
        builder.environment("model", "gpt-4o-mini").environment("search_tool", "2.1")
    });
    assert_eq!(search(false).expect_err("not found").0, 7);
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "tool.error"]);
    assert_eq!(ids(&events[0]), ids(&events[1]));
    let failed = only(&events, "tool.error");
    assert_eq!(failed["status"], "error");
    assert_eq!(failed["data"], json!({"tool": "search"}));
    let error = &failed["error"];
    assert_eq!(error["type"], concat!(env!("CARGO_CRATE_NAME"), "::ends::Failure"));
    assert_eq!(error["message"], "failure 7");
    assert!(error["traceback"].as_str().expect("a source").starts_with("caused by: "));
    assert_eq!(error["input_snapshot"], json!({"found": false}));
    assert!(error.get("recoverable").is_none());
    let environment = &error["environment"];
    assert_eq!(environment["model"], "gpt-4o-mini");
    assert_eq!(environment["search_tool"], "2.1");
    assert_eq!(environment["crate"], concat!("llm-audit ", env!("CARGO_PKG_VERSION")));
    let rustc = environment["rustc"].as_str().expect("a compiler");
    assert!(rustc.starts_with("1."), "{rustc}");
}

#[audit_span(agent = "outer", action = "plan")]
fn outer() {
    llm_audit::emit(&AuditEvent::new(EventType::CacheMiss, "outer", "cache.get"));
    inner(1);
    inner(2);
}

#[audit_span(agent = "inner", event = "nlp.extract")]
fn inner(n: u32) {
    let _ = search(n > 0);
}

#[test]
fn nested_calls_are_a_tree() {
    let seen = capture();
    let request = TraceContext::new_trace();
    let scope = request.enter();
    outer();
    assert_eq!(TraceContext::current().as_ref(), Some(&request), "as it was before");
    drop(scope);
    let events = events(&seen);
    assert_eq!(
        types(&events),
        [
            "tool.call",
            "cache.miss",
            "tool.call",
            "tool.result",
            "nlp.extract",
            "tool.call",
            "tool.result",
            "nlp.extract",
            "tool.result"
        ]
    );
    let request_span = format!("{:016x}", request.span_id());
    let (_, plan, parent) = ids(&events[0]);
    assert_eq!(parent, Some(request_span.as_str()));
    assert_eq!(ids(&events[8]), ids(&events[0]));
    assert_eq!(ids(&events[1]).2, Some(plan));
    for (extract, call, result) in [(4, 2, 3), (7, 5, 6)] {
        assert_eq!(ids(&events[extract]).2, Some(plan));
        assert_eq!(ids(&events[call]).2, Some(ids(&events[extract]).1));
        assert_eq!(ids(&events[call]), ids(&events[result]));
    }
    assert_ne!(ids(&events[4]).1, ids(&events[7]).1);
    assert!(events.iter().all(|event| ids(event).0 == ids(&events[0]).0), "one trace");
}

#[audit_span(agent = "a", event = "llm.invoke")]
fn invoke(works: bool) -> Result<(), String> {
    works.then_some(()).ok_or_else(|| "no answer for ana@example.com".to_owned())
}

#[audit_span(agent = "a", event = "cart.checkout")]
fn checkout(works: bool) -> Result<(), &'static str> {
    if works { Ok(()) } else { Err("empty") }
}

const STORED: EventType<'static> = EventType::S3Write;

#[audit_span(agent = "a", event = STORED)]
fn store() {}

#[audit_span(agent = "a", event = EventType::Custom(name))]
fn named(name: &str) {}

#[audit_span(agent = "a", event = "tool.result")]
fn tool() {}

#[test]
fn one_event_of_another_type() {
    let seen = capture();
    let _ = (invoke(true), invoke(false), checkout(true), checkout(false));
    store();
    named("my.own");
    tool();
    let events = events(&seen);
    assert_eq!(
        types(&events),
        [
            "llm.invoke",
            "llm.error",
            "cart.checkout",
            "cart.checkout",
            "s3.write",
            "my.own",
            "tool.result"
        ]
    );
    let statuses: Vec<_> = events.iter().map(|event| &event["status"]).collect();
    assert_eq!(statuses, ["ok", "error", "ok", "error", "ok", "ok", "ok"]);
    assert_eq!(events[1]["error"]["message"], "no answer for [REDACTED_email]");
    assert_eq!(events[1]["error"]["type"], "alloc::string::String");
    assert!(events[..6].iter().all(|event| event.get("data").is_none()));
    assert_eq!(events[6]["data"], json!({"tool": "tool"}));
    assert!(events.iter().all(|event| event["latency_ms"].is_number()));
}

struct Agent {
    name: String,
    kind: &'static str,
}

impl Agent {
    #[audit_span(agent = self.name, action = format!("{}.{}", self.kind, step))]
    fn step(&mut self, step: &str) -> &str {
        self.name.push('!');
        &self.name
    }

    #[audit_span(agent = self.kind)]
    fn end(self) -> String {
        self.name
    }
}

#[test]
fn names_are_expressions_too() {
    let seen = capture();
    let mut agent = Agent { name: "ana".to_owned(), kind: "planner" };
    assert_eq!(agent.step("first"), "ana!");
    assert_eq!(agent.end(), "ana!");
    let events = events(&seen);
    assert_eq!(events[0]["agent"], "ana");
    assert_eq!(events[1]["agent"], "ana");
    assert_eq!(events[1]["action"], "planner.first");
    assert_eq!(events[1]["data"]["tool"], "planner.first");
    assert_eq!(events[3]["agent"], "planner");
}

#[test]
fn a_logger_of_its_own() {
    #[audit_span(agent = "a", logger = logger)]
    fn work(logger: &AuditLogger) {
        assert!(TraceContext::current().is_some());
    }
    #[audit_span(agent = "a", logger = *logger.0)]
    fn behind(logger: &(Box<AuditLogger>, u8)) {}

    let (own, process) = (capture(), capture());
    work(own.logger());
    behind(&(Box::new(own.logger().clone()), 0));
    assert_eq!(events(&own).len(), 4);
    assert_eq!(events(&process).len(), 0);
}

#[test]
fn a_panic_is_an_end() {
    #[audit_span(agent = "a")]
    fn breaks(n: u32) -> u32 {
        if n == 3 {
            std::panic::resume_unwind(Box::new("three"));
        }
        n
    }
    #[audit_span(agent = "a", event = "llm.invoke")]
    fn never_ends(text: String) -> ! {
        std::panic::resume_unwind(Box::new(text));
    }
    let seen = capture();
    let panic = catch_unwind(|| breaks(3)).expect_err("it panics");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"three"));
    assert!(TraceContext::current().is_none(), "no context is left behind");
    let panic = catch_unwind(AssertUnwindSafe(|| never_ends("why".to_owned())));
    assert!(panic.is_err());
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "tool.error", "llm.error"]);
    for event in &events[1..] {
        assert_eq!(event["status"], "error");
        assert_eq!(event["error"]["type"], "panic");
        assert!(event["latency_ms"].is_number());
    }
    assert_eq!(events[1]["error"]["input_snapshot"], json!({"n": 3}));
    assert_eq!(events[2]["error"]["input_snapshot"], json!({"text": "why"}));
    assert_eq!(ids(&events[0]), ids(&events[1]));
}

#[test]
fn every_kind_of_error() {
    struct Nothing;
    #[derive(Debug)]
    struct OnlyDebug {
        #[allow(dead_code, reason = "seen by Debug")]
        password: &'static str,
        #[allow(dead_code, reason = "seen by Debug")]
        code: u32,
    }
    #[audit_span(agent = "a")]
    fn nothing() -> Result<(), Nothing> {
        Err(Nothing)
    }
    #[audit_span(agent = "a")]
    fn only_debug() -> Result<(), OnlyDebug> {
        Err(OnlyDebug { password: "hunter2", code: 5 })
    }
    #[audit_span(agent = "a")]
    fn boxed() -> Result<(), Box<dyn Error>> {
        Err(Failure(1))?
    }
    #[audit_span(agent = "a")]
    fn boxed_send<'e>() -> Result<(), Box<dyn Error + Send + Sync + 'e>> {
        Err(Box::new(Failure(2)))
    }
    #[audit_span(agent = "a")]
    fn with_anyhow() -> anyhow::Result<()> {
        use anyhow::Context;
        Err(Failure(3)).context("while searching")
    }
    #[audit_span(agent = "a")]
    fn generic<E: fmt::Debug>(error: E) -> Result<(), E> {
        Err(error)
    }
    #[audit_span(agent = "a")]
    fn unbounded<E>(error: E) -> Result<(), E> {
        Err(error)
    }
    #[audit_span(agent = "a")]
    fn borrowed<'e>(error: &'e Failure) -> Result<(), &'e Failure> {
        Err(error)
    }
    let seen = capture();
    let _ = (nothing().is_err(), only_debug().is_err(), boxed().is_err(), boxed_send().is_err());
    let _ = (with_anyhow().is_err(), generic("g").is_err(), unbounded(5_u8).is_err());
    let _ = borrowed(&Failure(9)).is_err();
    let events = events(&seen);
    let errors: Vec<_> =
        events.iter().filter(|e| e["event_type"] == "tool.error").map(|e| &e["error"]).collect();
    let messages: Vec<_> = errors.iter().map(|e| e["message"].as_str().expect("one")).collect();
    assert_eq!(
        messages,
        [
            "",
            "OnlyDebug { password: [REDACTED], code: 5 }",
            "failure 1",
            "failure 2",
            "while searching",
            "\"g\"",
            "",
            "failure 9"
        ]
    );
    assert!(errors[0]["type"].as_str().expect("a type").ends_with("Nothing"));
    assert!(errors[2]["type"].as_str().expect("a type").contains("dyn core::error::Error"));
    assert_eq!(errors[4]["type"], "anyhow::Error");
    assert_eq!(errors[6]["type"], "u8");
    let chain = errors[4]["traceback"].as_str().expect("a chain");
    assert!(chain.starts_with("caused by: failure 3\ncaused by: "), "{chain}");
}

#[test]
fn what_is_recoverable() {
    #[audit_span(agent = "a", recoverable = Failure::is_small)]
    fn asked(n: u32) -> Result<(), Failure> {
        Err(Failure(n))
    }
    #[audit_span(agent = "a", recoverable = |error| error.to_string().ends_with('7'))]
    fn closure(n: u32) -> Result<(), Failure> {
        Err(Failure(n))
    }
    #[audit_span(agent = "a", recoverable)]
    fn always() -> Result<(), Failure> {
        Err(Failure(0))
    }
    #[audit_span(agent = "a", recoverable = false)]
    fn not_ever() -> Result<(), Failure> {
        Err(Failure(0))
    }
    #[audit_span(agent = "a", recoverable = |_| std::panic::resume_unwind(Box::new(1)))]
    fn unknown() -> Result<(), Failure> {
        Err(Failure(0))
    }
    let seen = capture();
    let _ = (asked(4), asked(5), closure(7), always(), not_ever(), unknown());
    let events = events(&seen);
    let said: Vec<_> = events
        .iter()
        .filter(|event| event["event_type"] == "tool.error")
        .map(|event| event["error"].get("recoverable").and_then(serde_json::Value::as_bool))
        .collect();
    assert_eq!(said, [Some(true), Some(false), Some(true), Some(true), Some(false), None]);
}

#[test]
fn none_is_no_error() {
    #[audit_span(agent = "a", capture_result)]
    fn find(n: u32) -> Option<u32> {
        (n > 1).then_some(n)
    }
    let seen = capture_with(|builder| builder.capture_content(true));
    let _ = (find(1), find(2));
    let events = events(&seen);
    assert_eq!(types(&events), ["tool.call", "tool.result", "tool.call", "tool.result"]);
    assert_eq!(events[1]["status"], "ok");
    assert_eq!(events[1]["data"], json!({"tool": "find"}));
    assert_eq!(events[3]["data"], json!({"tool": "find", "result": 2}));
}

#[test]
fn nothing_is_looked_at_where_nothing_is_recorded() {
    struct Loud;
    impl fmt::Debug for Loud {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("looked at")
        }
    }
    fn agent() -> String {
        panic!("asked")
    }
    #[audit_span(agent = agent(), logger = logger, capture_args, capture_result)]
    fn work(logger: &AuditLogger, loud: Loud) -> Result<Loud, Loud> {
        assert!(TraceContext::current().is_none(), "no span");
        Err(loud)
    }
    let logger = AuditLogger::builder().without_environment().enabled(false);
    assert!(work(&logger.build().expect("it is off"), Loud).is_err());
}
