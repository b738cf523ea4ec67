//! Load: many questions at once over real sockets, some from callers who trace, stream, or leave.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http_body_util::{BodyExt, Full};
use llm_audit::TraceContext;
use serde_json::json;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::http_client::{HttpClient, HttpRequest};
use crate::planted::{AUTHORIZATION, CARD, COOKIE, EMAIL, JWT};
use crate::service::Service;

/// Members who ask; whoever asks again is found in the cache.
const MEMBERS: u64 = 40;
/// One case of so many is from a caller with a trace of its own, streams, or leaves early. Case 0 is
/// none of these.
const TRACED_EVERY: u64 = 9;
const STREAMED_EVERY: u64 = 7;
const LEAVES_EVERY: u64 = 17;

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Requests in all.
    pub requests: u64,
    /// How many are under way at once; at least one.
    pub concurrency: usize,
    /// Decides who asks what, and what the stand-ins do.
    pub seed: u64,
}

impl Default for Options {
    /// 400 requests, 24 at once.
    fn default() -> Self {
        Self { requests: 400, concurrency: 24, seed: 1 }
    }
}

/// What the callers saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Of the answers: read from an event stream to its end.
    pub streamed: u64,
    /// Callers who hung up before their answer came.
    pub left_early: u64,
    /// Requests that came to no whole answer.
    pub failed: u64,
    /// The trace of the first request, in which the model refuses, a tool fails, and both are
    /// retried; `None` if nothing was answered.
    pub example_trace: Option<u128>,
}

/// Starts the service with its stand-ins in a runtime of its own, asks it `options.requests`
/// questions, and stops it. All is recorded, into the recorder of the process, when this returns.
///
/// # Errors
///
/// Loopback cannot be listened on, or a thread or the temporary folder cannot be had.
pub fn demo(options: &Options) -> io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = Service::start(Config { seed: options.seed, ..Config::default() }).await?;
        let report = run(service.address(), options).await;
        service.shutdown().await;
        Ok(report)
    })
}

/// Asks the service at `address`.
pub async fn run(address: SocketAddr, options: &Options) -> Report {
    let (http, next) = (HttpClient::plain(), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..options.concurrency.max(1) {
        callers.spawn(run_caller(http.clone(), address, *options, Arc::clone(&next)));
    }
    callers.join_all().await.into_iter().fold(Report::default(), Report::merge)
}

/// One caller: asks until all is asked.
async fn run_caller(
    http: HttpClient,
    address: SocketAddr,
    options: Options,
    next: Arc<AtomicU64>,
) -> Report {
    let mut report = Report::default();
    loop {
        let case = next.fetch_add(1, Ordering::Relaxed); // only the number matters
        if case >= options.requests {
            return report;
        }
        report.count_outcome(case, ask_service(&http, address, options.seed, case).await);
    }
}

/// How one request ended.
enum CallerOutcome {
    Answered { status: u16, streamed: bool, trace: Option<u128> },
    Left,
    Failed,
}

async fn ask_service(
    http: &HttpClient,
    address: SocketAddr,
    seed: u64,
    case: u64,
) -> CallerOutcome {
    let streamed = case % STREAMED_EVERY == 3;
    let asked =
        read_service_answer(http, question_request(address, seed, case, streamed), streamed);
    if case % LEAVES_EVERY != 5 {
        return asked.await;
    }
    // Before the model can have answered.
    let patience = Duration::from_millis(Rng::with_seed(seed ^ case).u64(3..15));
    tokio::time::timeout(patience, asked).await.unwrap_or(CallerOutcome::Left)
}

async fn read_service_answer(
    http: &HttpClient,
    request: HttpRequest,
    streamed: bool,
) -> CallerOutcome {
    let Ok(response) = http.send(request).await else { return CallerOutcome::Failed };
    let (head, body) = response.into_parts();
    let trace = head.headers.get("x-trace-id").and_then(|id| id.to_str().ok());
    let trace = trace.and_then(|id| TraceContext::parse_trace_id(id).ok());
    match body.collect().await {
        Ok(_) => CallerOutcome::Answered { status: head.status.as_u16(), streamed, trace },
        Err(_) => CallerOutcome::Failed,
    }
}

fn question_request(address: SocketAddr, seed: u64, case: u64, streamed: bool) -> HttpRequest {
    let member = (case ^ seed) % MEMBERS;
    let stream = if streamed { "/stream" } else { "" };
    let mut request = http::Request::post(format!("http://{address}/benefits/m-{member}{stream}"))
        .header("content-type", "application/json")
        .header("authorization", AUTHORIZATION)
        .header("cookie", COOKIE);
    if case % TRACED_EVERY == 4 {
        request = request.header("traceparent", TraceContext::new_trace().to_traceparent());
    }
    let body = json!({"case": case, "contact": EMAIL, "question": question_text(case)}).to_string();
    request.body(Full::new(Bytes::from(body))).expect("the parts of the request are valid")
}

fn question_text(case: u64) -> String {
    match case % 13 {
        6 => format!("I want to talk to a person; my session is {JWT}."),
        11 => format!("What is the deductible of my plan, and is dental covered? {EMAIL}"),
        _ => format!("My card {CARD} was charged $12.50 twice on 2026-01-31, see my claim {case}."),
    }
}

impl Report {
    fn count_outcome(&mut self, case: u64, outcome: CallerOutcome) {
        match outcome {
            CallerOutcome::Answered { status, streamed, trace } => {
                *self.statuses.entry(status).or_default() += 1;
                self.streamed += u64::from(streamed);
                if case == 0 {
                    self.example_trace = trace;
                }
            }
            CallerOutcome::Left => self.left_early += 1,
            CallerOutcome::Failed => self.failed += 1,
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.streamed += other.streamed;
        self.left_early += other.left_early;
        self.failed += other.failed;
        self.example_trace = self.example_trace.or(other.example_trace);
        self
    }
}
