//! The agent that `llm-audit demo` runs: it answers questions about benefits, in threads, with a
//! model and tools that it only pretends to have.
//!
//! What it records is what an agent in service records: the personal data its users type, the
//! credentials its tools carry, and the errors that quote both. [`PLANTED`] lists every such text;
//! none of them may reach a log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use llm_audit::{AuditEvent, AuditLogger, ErrorDetail, EventType, Status, TraceContext};
use serde_json::json;

const AGENT: &str = "benefits";
const MODEL: &str = "gpt-4o-mini";
/// Every third request asks what was asked before.
const HIT_EVERY: usize = 3;
/// Every seventh request meets a tool that fails once.
const TOOL_FAILS_EVERY: usize = 7;
/// Every eleventh, from the fifth on, meets a model that has no time.
const MODEL_FAILS_EVERY: usize = 11;
const MODEL_FAILS_AT: usize = 5;
/// US dollars per input and per output token.
const PRICES: (f64, f64) = (0.15e-6, 0.60e-6);

const EMAIL: &str = "ana.lopez+benefits@mail.example";
const CARD: &str = "4111 1111 1111 1111";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl";
const AWS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const PASSWORD: &str = "correct-horse-battery";
const SECRET: &str = "swordfish-of-the-plan";
const TOKEN: &str = "tok-7f3a91c2d5";
const API_KEY: &str = "key-51H8xQ2mZ0";
const AUTHORIZATION: &str = "Basic YW5hOmxvcGV6";
const COOKIE: &str = "session=9f8e7d6c5b4a";

/// Every personal or secret text that the agent puts into its events: one or more of each kind of
/// rule, and a value below each sensitive key.
pub const PLANTED: [&str; 10] =
    [EMAIL, CARD, JWT, AWS_KEY, PASSWORD, SECRET, TOKEN, API_KEY, AUTHORIZATION, COOKIE];

/// How much the agent is asked.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Requests in all.
    pub requests: usize,
    /// Threads that answer them; at least one is started.
    pub threads: usize,
}

impl Default for Options {
    /// 400 requests on 16 threads: about two seconds.
    fn default() -> Self {
        Self { requests: 400, threads: 16 }
    }
}

/// What a run did, as the agent itself saw it.
#[derive(Debug)]
pub struct Report {
    /// A trace with an error, a retry and a cache hit; `None` where nothing was asked.
    pub example_trace: Option<u128>,
    /// How many events were emitted, by type.
    pub events: BTreeMap<&'static str, u64>,
    /// How long each emit took, in nanoseconds, two readings of the clock included.
    pub emit_ns: Histogram<u64>,
}

/// Answers `options.requests` requests and records each step with `logger`.
///
/// # Panics
///
/// Where the operating system starts no thread.
pub fn run(logger: &AuditLogger, options: &Options) -> Report {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut worker = Worker::new(logger);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed); // only the number matters
            if number >= options.requests {
                return worker.report;
            }
            worker.answer(number);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut report = Report::new();
        for thread in threads {
            report.add(thread.join().expect("a worker does not panic"));
        }
        report
    })
}

impl Report {
    fn new() -> Self {
        let emit_ns = Histogram::new(3).expect("three digits are a valid precision");
        Self { example_trace: None, events: BTreeMap::new(), emit_ns }
    }

    fn add(&mut self, other: Self) {
        self.example_trace = self.example_trace.or(other.example_trace);
        for (name, count) in other.events {
            *self.events.entry(name).or_default() += count;
        }
        self.emit_ns.add(other.emit_ns).expect("the histogram grows by itself");
    }
}

/// One thread of the agent.
struct Worker<'l> {
    logger: &'l AuditLogger,
    report: Report,
}

impl<'l> Worker<'l> {
    fn new(logger: &'l AuditLogger) -> Self {
        Self { logger, report: Report::new() }
    }

    /// Emits one event that `fill` completes, counts it and times it.
    fn emit<'a>(
        &mut self,
        event_type: EventType<'static>,
        action: &'a str,
        fill: impl FnOnce(AuditEvent<'a>) -> AuditEvent<'a>,
    ) {
        let event = fill(AuditEvent::new(event_type, AGENT, action));
        let begin = Instant::now();
        self.logger.emit(&event);
        let ns = u64::try_from(begin.elapsed().as_nanos()).expect("below 500 years");
        self.report.emit_ns.record(ns).expect("the histogram grows by itself");
        *self.report.events.entry(event_type.name()).or_default() += 1;
    }

    /// One request, from its first byte to the last: one trace.
    fn answer(&mut self, number: usize) {
        let trace = TraceContext::new_trace();
        let _scope = trace.enter();
        let begin = Instant::now();
        if number == 0 {
            // A tool fails and the cache hits: no other number is sure to be among the requests.
            self.report.example_trace = Some(trace.trace_id());
        }
        let head = json!({
            "http.method": "POST", "http.route": "/benefits/{member}",
            "member": format!("m-{number:05}"), "cookie": COOKIE,
            "headers": {"Authorization": AUTHORIZATION, "accept": "application/json"},
        });
        self.emit(EventType::RequestStart, "POST /benefits", |event| event.data(&head));
        self.route();
        if !self.look_up(number) {
            self.ask_model(number, "plan");
            self.decide();
        }
        self.look_up_plan(number, &trace);
        self.ask_model(number, "answer");
        let tail = json!({"http.status_code": 200, "bytes": 1800 + number % 400});
        let latency_ms = ms(begin);
        self.emit(EventType::RequestEnd, "POST /benefits", |event| {
            event.latency_ms(latency_ms).data(&tail)
        });
    }

    fn route(&mut self) {
        let chosen = json!({
            "route": "benefits.lookup", "alternatives": ["claims.status", "human.handoff"],
            "reason": format!("the question names a plan; asked by {EMAIL}"),
        });
        self.emit(EventType::AgentRoute, "route.question", |event| event.data(&chosen));
    }

    fn decide(&mut self) {
        let chosen = json!({
            "decision": "call plan.search", "reason": "the plan is not in the conversation",
            "session": {"token": TOKEN, "expires_in": 900},
        });
        self.emit(EventType::AgentDecision, "choose.tool", |event| event.data(&chosen));
    }

    /// Whether the cache has the agent's plan for this question.
    fn look_up(&mut self, number: usize) -> bool {
        let hit = number.is_multiple_of(HIT_EVERY);
        let event_type = if hit { EventType::CacheHit } else { EventType::CacheMiss };
        let entry = json!({"key": format!("plan:{EMAIL}"), "bytes": if hit { 412 } else { 0 }});
        self.emit(event_type, "cache.get", |event| event.latency_ms(0.2).data(&entry));
        hit
    }

    /// One answer of the model, asked again where it has no time.
    fn ask_model(&mut self, number: usize, purpose: &str) {
        if number % MODEL_FAILS_EVERY == MODEL_FAILS_AT {
            let begin = Instant::now();
            pretend(3, 6);
            let asked = json!({"model": MODEL, "provider": "openai", "purpose": purpose});
            let environment = json!({"model": MODEL, "api_key": API_KEY, "agent": "0.1.0"});
            let why = format!("429 for organization of {EMAIL}, request signed by {AWS_KEY}");
            let error =
                ErrorDetail::new("RateLimited", why).recoverable(true).environment(&environment);
            let latency_ms = ms(begin);
            self.emit(EventType::LlmError, "chat", |event| {
                event.latency_ms(latency_ms).data(&asked).error(&error)
            });
            self.retry("the model had no time");
        }
        let begin = Instant::now();
        pretend(15, 45);
        let (input, output) = (fastrand::u64(600..1800), fastrand::u64(60..400));
        let answered = json!({
            "model": MODEL, "provider": "openai", "purpose": purpose,
            "usage": {"cache_read": input / 4, "reasoning": 0},
            "prompt": format!("My card {CARD} was charged twice, write to {EMAIL}."),
            "completion": format!("I see the two charges on {CARD}; one is refunded."),
        });
        let cost_usd = input as f64 * PRICES.0 + output as f64 * PRICES.1;
        let latency_ms = ms(begin);
        self.emit(EventType::LlmInvoke, "chat", |event| {
            event.latency_ms(latency_ms).tokens(input, output).cost_usd(cost_usd).data(&answered)
        });
    }

    /// The tool runs on a thread of its own; its span goes there with it.
    fn look_up_plan(&mut self, number: usize, request: &TraceContext) {
        let fails = number.is_multiple_of(TOOL_FAILS_EVERY);
        if fails && self.call_tool(request, true).is_err() {
            self.retry("the directory closed the connection");
        }
        // The second call answers: a call fails only where it is told to.
        let _ = self.call_tool(request, false);
    }

    fn call_tool(&mut self, request: &TraceContext, fails: bool) -> Result<(), ToolError> {
        let (logger, span) = (self.logger, request.new_span());
        let tool = move || {
            let _scope = span.enter();
            let mut worker = Worker::new(logger);
            let outcome = worker.plan_search(fails);
            (worker.report, outcome)
        };
        let (report, outcome) =
            thread::scope(|scope| scope.spawn(tool).join().expect("a tool does not panic"));
        self.report.add(report);
        outcome
    }

    fn plan_search(&mut self, fails: bool) -> Result<(), ToolError> {
        let begin = Instant::now();
        let arguments = json!({
            "tool": "plan.search",
            "arguments": {"member": EMAIL, "password": PASSWORD, "bearer": format!("Bearer {JWT}")},
        });
        self.emit(EventType::ToolCall, "plan.search", |event| event.data(&arguments));
        pretend(4, 12);
        let latency_ms = ms(begin);
        if fails {
            let error = ToolError;
            let detail = ErrorDetail::from_error(&error)
                .recoverable(true)
                .input_snapshot(&arguments)
                .traceback(format!("plan.search\n  directory.connect as {EMAIL} with {AWS_KEY}"));
            self.emit(EventType::ToolError, "plan.search", |event| {
                event.latency_ms(latency_ms).error(&detail)
            });
            return Err(error);
        }
        let found = json!({
            "tool": "plan.search",
            "result": {"plan": "gold", "deductible_usd": 500, "by_member": {EMAIL: "covered"}},
            "vault": {"secret": {"of": SECRET}},
        });
        self.emit(EventType::ToolResult, "plan.search", |event| {
            event.latency_ms(latency_ms).data(&found)
        });
        Ok(())
    }

    fn retry(&mut self, reason: &str) {
        let again = json!({"attempt": 2, "reason": reason});
        self.emit(EventType::AgentRetry, "try.again", |event| {
            event.status(Status::Retry).data(&again)
        });
    }
}

/// A tool that lost its connection, and quotes its own credentials when it says so.
#[derive(Debug)]
struct ToolError;

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the directory closed the connection of {EMAIL} (Bearer {JWT})")
    }
}

impl std::error::Error for ToolError {}

/// Takes the time a model or a tool would.
fn pretend(ms_min: u64, ms_max: u64) {
    thread::sleep(Duration::from_millis(fastrand::u64(ms_min..=ms_max)));
}

/// Milliseconds since `begin`.
fn ms(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}
