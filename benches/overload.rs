//! Measures an overloaded writer: how much of its rate it keeps, what survives, and what an emit
//! costs in every state of the writer.
//!
//! The sink takes 5 us an event, which is 200,000 a second. The caller is pinned to a core and
//! emits flat out. The peer is `ArrayQueue::force_push` under the same load. It copies 256 bytes
//! into the queue, without encoding or redaction, and its consumer only waits for the same sink.
//!
//! Each state runs in its own process, so that a disk can fail and standard output can block. For
//! these `sh` sets a limit of 0 on the size of files, and standard output is a pipe that nobody
//! reads.
//!
//! With `--minute` the load lasts a minute each, with `--quick` a second.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::env;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{clean_text, median, quick, title_of};
use crossbeam_queue::ArrayQueue;
use hdrhistogram::Histogram;
use llm_audit::export::Exporter;
use llm_audit::{AuditEvent, AuditLogger, Builder, EventType, TraceContext};
use memchr::memmem;
use serde::Serialize;

const CAPACITY: usize = 16_384;
/// The number of events that the writer takes at a time.
const BATCH: usize = 512;
const SINK_EACH: Duration = Duration::from_micros(5);
const SLICE: Duration = Duration::from_millis(250);
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Numbered<'t> {
    n: u64,
    text: &'t str,
}

fn emit(logger: &AuditLogger, n: u64, text: &str) {
    let data = Numbered { n, text };
    let event = AuditEvent::new(EventType::ToolCall, "benefits", "plan.search");
    logger.emit(&event.latency_ms(12.5).data(&data));
}

/// Counters that the sink and the caller share.
struct Tally {
    is_held: AtomicBool,
    /// The number of events emitted so far, stored by the caller.
    emitted: AtomicU64,
    taken: AtomicU64,
    /// The largest distance between an event that the sink took and the newest one.
    behind_max: AtomicU64,
    /// The last event taken, for each remainder of an event's number.
    seen: Vec<AtomicU64>,
}

/// A sink that takes 5 us an event and records its number.
#[derive(Clone)]
struct Sink(Arc<Tally>);

impl Sink {
    fn new() -> Self {
        Self(Arc::new(Tally {
            is_held: AtomicBool::new(false),
            emitted: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            behind_max: AtomicU64::new(0),
            seen: (0..2 * CAPACITY).map(|_| AtomicU64::new(0)).collect(),
        }))
    }

    fn take(&self, numbers: impl Iterator<Item = u64>) {
        let begin = Instant::now();
        let tally = &*self.0;
        let (newest, mut count, mut oldest) = (tally.emitted.load(Ordering::Relaxed), 0, u64::MAX);
        for n in numbers {
            count += 1;
            oldest = oldest.min(n);
            self.seen(n).store(n, Ordering::Relaxed);
        }
        if count == 0 {
            return;
        }
        tally.behind_max.fetch_max(newest.saturating_sub(oldest), Ordering::Relaxed);
        let until = begin + SINK_EACH * count;
        while Instant::now() < until || tally.is_held.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        tally.taken.fetch_add(u64::from(count), Ordering::Relaxed);
    }

    fn seen(&self, n: u64) -> &AtomicU64 {
        &self.0.seen[n as usize % (2 * CAPACITY)]
    }

    /// Returns how many of the newest events it took without a gap, counted back from the last one.
    fn newest_in_a_row(&self) -> u64 {
        let newest = self.0.emitted.load(Ordering::Relaxed);
        let is_missing = |n: &u64| self.seen(*n).load(Ordering::Relaxed) != *n;
        newest - (1..=newest).rev().find(is_missing).unwrap_or(0)
    }

    fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    fn hold(&self, is_held: bool) {
        self.0.is_held.store(is_held, Ordering::Relaxed);
    }
}

impl Exporter for Sink {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        const KEY: &[u8] = br#""data":{"n":"#;
        self.take(memmem::find_iter(lines, KEY).map(|at| {
            let digits = lines[at + KEY.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            digits.fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
        }));
        Ok(())
    }
}

/// A queue that feeds a slow sink.
trait Queue: Sync {
    /// Adds an event, and overwrites the oldest if the queue is full.
    fn push(&self, n: u64);
    /// Waits until the sink has everything.
    fn settle(&self, sink: &Sink);
}

struct Ours {
    logger: AuditLogger,
    text: String,
}

impl Ours {
    fn new(sink: &Sink) -> Self {
        let logger = unbound().files(false).exporter(sink.clone()).build();
        Self { logger: logger.expect("the settings are valid"), text: clean_text(256) }
    }
}

impl Queue for Ours {
    fn push(&self, n: u64) {
        emit(&self.logger, n, &self.text);
    }

    fn settle(&self, _sink: &Sink) {
        self.logger.flush(DEADLINE).expect("the sink takes what is queued");
        assert!(self.logger.accounting().adds_up(), "every event has one end");
    }
}

/// Returns a builder with the queue of the bench, whatever the environment contains.
fn unbound() -> Builder {
    AuditLogger::builder().without_environment().notices(false).debug(true).queue_capacity(CAPACITY)
}

struct Peer(ArrayQueue<[u8; 256]>);

impl Peer {
    /// Takes batches until `is_over`.
    fn consume(&self, sink: &Sink, is_over: &AtomicBool) {
        let mut batch = Vec::with_capacity(BATCH);
        while !is_over.load(Ordering::Relaxed) {
            batch.extend(std::iter::from_fn(|| self.0.pop()).take(BATCH));
            sink.take(batch.drain(..).map(|event| {
                u64::from_le_bytes(*event.first_chunk().expect("eight bytes of number"))
            }));
        }
    }
}

impl Queue for Peer {
    fn push(&self, n: u64) {
        let mut event = [7; 256];
        event[..8].copy_from_slice(&n.to_le_bytes());
        self.0.force_push(event);
    }

    fn settle(&self, sink: &Sink) {
        let newest = sink.0.emitted.load(Ordering::Relaxed);
        while sink.seen(newest).load(Ordering::Relaxed) != newest {
            thread::yield_now();
        }
    }
}

/// Rates in events a second: alone, with a caller flat out in the median quarter of a second, and
/// the same over the whole time. If another process uses a core, only the last one shows it.
struct Goodput {
    alone: f64,
    overloaded: f64,
    overall: f64,
    emitted: u64,
}

/// Measures the rate with a full queue and no caller, and then with a caller that pushes all the
/// time.
fn goodput(queue: &impl Queue, sink: &Sink, how_long: Duration) -> Goodput {
    let mut emitted = 0;
    let mut push = |count: usize| {
        for _ in 0..count {
            emitted += 1;
            queue.push(emitted);
            sink.0.emitted.store(emitted, Ordering::Relaxed);
        }
    };
    pin();
    let rounds = if quick() { 1 } else { 9 };
    let alone = (0..rounds).map(|_| {
        sink.hold(true);
        push(2 * CAPACITY);
        let (begin, before) = (Instant::now(), sink.taken());
        sink.hold(false);
        queue.settle(sink);
        (sink.taken() - before) as f64 / begin.elapsed().as_secs_f64()
    });
    let alone = median(alone.collect());

    // Begin with a full queue.
    push(2 * CAPACITY);
    sink.0.behind_max.store(0, Ordering::Relaxed);
    let (begin, before) = (Instant::now(), sink.taken());
    let mut slices = Vec::new();
    while begin.elapsed() < how_long {
        let (begin, before) = (Instant::now(), sink.taken());
        while begin.elapsed() < SLICE {
            push(64);
        }
        slices.push((sink.taken() - before) as f64 / begin.elapsed().as_secs_f64());
    }
    let overall = (sink.taken() - before) as f64 / begin.elapsed().as_secs_f64();
    queue.settle(sink);
    Goodput { alone, overloaded: median(slices), overall, emitted }
}

/// Pins the caller to the first core.
fn pin() {
    if let Some(core) = core_affinity::get_core_ids().unwrap_or_default().first() {
        core_affinity::set_for_current(*core);
    }
}

fn closing_line(name: &str, run: &Goodput, sink: &Sink) {
    println!(
        "{name:>10}: alone {:>6.0} events/s, overloaded {:>6.0}: {:>5.1} % ({:.1} % over the whole \
         time) | {} emitted; what was written was at most {} behind the newest; at the end the \
         newest {} are there",
        run.alone,
        run.overloaded,
        100.0 * run.overloaded / run.alone,
        100.0 * run.overall / run.alone,
        run.emitted,
        sink.0.behind_max.load(Ordering::Relaxed),
        sink.newest_in_a_row(),
    );
}

fn goodputs() {
    let how_long = match (quick(), has("--minute"), has("--quick")) {
        (true, ..) => Duration::from_millis(20),
        (_, true, _) => Duration::from_secs(60),
        (_, _, true) => Duration::from_secs(1),
        _ => Duration::from_secs(12),
    };
    println!(
        "\noverload: queue of {CAPACITY}, sink of 200,000 events/s, one pinned caller flat out for \
         {how_long:?}, 256 B"
    );
    let sink = Sink::new();
    let ours = Ours::new(&sink);
    let run = on_a_thread(|| goodput(&ours, &sink, how_long));
    closing_line("llm-audit", &run, &sink);
    ours.logger.shutdown(DEADLINE).expect("the log closes");

    let sink = Sink::new();
    let (peer, is_over) = (Peer(ArrayQueue::new(CAPACITY)), AtomicBool::new(false));
    let run = thread::scope(|scope| {
        scope.spawn(|| peer.consume(&sink, &is_over));
        let run = on_a_thread(|| goodput(&peer, &sink, how_long));
        is_over.store(true, Ordering::Relaxed);
        run
    });
    closing_line("force_push", &run, &sink);
}

/// Runs `body` on a thread of its own, so that its pinning does not affect what follows.
fn on_a_thread<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(body).join()).expect("a bench does not panic")
}

fn has(wanted: &str) -> bool {
    env::args().any(|arg| arg == wanted)
}

/// The number of callers that are faster than a writer without a slow sink.
const CALLERS: usize = 2;
/// The states of a writer.
const STATES: [&str; 5] =
    ["saturated", "the sink hangs", "the disk fails", "an exporter panics", "stdout is blocked"];
const STATE: &str = "OVERLOAD_STATE";

/// An exporter that never returns.
struct Hanging;

impl Exporter for Hanging {
    fn export(&mut self, _lines: &[u8]) -> io::Result<()> {
        loop {
            thread::park();
        }
    }
}

struct Panicking;

impl Exporter for Panicking {
    fn export(&mut self, _lines: &[u8]) -> io::Result<()> {
        std::panic::resume_unwind(Box::new("an exporter's own"))
    }
}

/// Prints the median of one emit in `state`, in nanoseconds, to standard error.
fn in_state(state: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = unbound().directory(folder.path());
    let builder = match state {
        "the sink hangs" => builder.files(false).exporter(Hanging),
        "an exporter panics" => builder.exporter(Panicking),
        "stdout is blocked" => builder.stdout(true),
        _ => builder,
    };
    let logger = builder.build().expect("the settings are valid");
    let ns = Mutex::new(Histogram::<u64>::new(3).expect("three digits"));
    thread::scope(|scope| {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        for core in cores.into_iter().cycle().take(CALLERS) {
            let (logger, ns) = (&logger, &ns);
            scope.spawn(move || {
                core_affinity::set_for_current(core);
                let of_one = emits(logger);
                ns.lock().expect("no caller panics").add(of_one).expect("the same digits");
            });
        }
    });
    let ns = ns.into_inner().expect("no caller panics");
    let counts = logger.accounting();
    let [overwritten, io_lost] = [counts.overwritten, counts.io_lost];
    eprintln!("{} {overwritten} {io_lost} {}", ns.value_at_quantile(0.5), counts.written);
    folder.close().expect("the folder goes");
}

/// Measures how long each emit of a caller takes, in nanoseconds, after the queue is full.
fn emits(logger: &AuditLogger) -> Histogram<u64> {
    let warm_up = 4 * CAPACITY as u64;
    let (calls, text) = (if quick() { 100 } else { 100_000 }, clean_text(256));
    let context = TraceContext::new_trace();
    let _scope = context.enter();
    let mut ns = Histogram::<u64>::new(3).expect("three digits");
    for n in 0..warm_up + calls {
        let begin = Instant::now();
        emit(logger, n, &text);
        let took = u64::try_from(begin.elapsed().as_nanos()).expect("below 500 years");
        if n >= warm_up {
            ns.record(took).expect("the histogram grows by itself");
        }
    }
    ns
}

/// Runs `state` in its own process. Returns the median, and how many events were overwritten, lost
/// by the disk and written.
fn tried(state: &str) -> (f64, [u64; 3]) {
    let this = env::current_exe().expect("this program has a path");
    // The limit applies to writes to files. If its signal is ignored, the write returns an error.
    let limit = if state == "the disk fails" { "trap '' XFSZ; ulimit -f 0; " } else { "" };
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}exec \"$0\" \"$@\"")]).arg(this).args(env::args().skip(1));
    command.env(STATE, state).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("sh starts");
    let mut told = String::new();
    let stderr = child.stderr.take().expect("it is piped");
    BufReader::new(stderr).read_line(&mut told).expect("the figure is a text");
    // The child may still be waiting for its sink.
    child.kill().expect("it is a child of this one");
    child.wait().expect("it ends");
    let mut figures = told.split_whitespace().map(|figure| figure.parse::<u64>());
    let mut next = || figures.next().and_then(Result::ok).unwrap_or_else(|| panic!("{told}"));
    (next() as f64, [next(), next(), next()])
}

fn states() {
    title_of(
        "median of the medians",
        "emit: 256 B, two pinned callers flat out, two readings of the clock included",
    );
    let rounds = if quick() { 1 } else { common::ROUNDS };
    let mut medians = STATES.map(|_| Vec::new());
    let mut counts = STATES.map(|_| [0; 3]);
    for _ in 0..rounds {
        for ((state, medians), counts) in STATES.iter().zip(&mut medians).zip(&mut counts) {
            let (median, of_one) = tried(state);
            medians.push(median);
            *counts = of_one;
        }
    }
    let saturated = median(medians[0].clone());
    for ((state, medians), [overwritten, io_lost, written]) in
        STATES.iter().zip(medians).zip(counts)
    {
        let ns = median(medians);
        println!(
            "{state:>18}: {ns:>5.0} ns, {:.2}x the saturated | {overwritten} overwritten, {io_lost} \
             lost by the disk, {written} written",
            ns / saturated,
        );
    }
}

fn main() {
    match env::var(STATE) {
        Ok(state) => in_state(&state),
        Err(_) => {
            goodputs();
            states();
        }
    }
}
