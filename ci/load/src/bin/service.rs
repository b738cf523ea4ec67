//! Measures what an emit costs the caller at a service's rate, and what a logger takes while nothing
//! is emitted.
//!
//! Before each event the caller sleeps or waits until it is due, as a service does between requests.
//! So its caches are as cold as the rest of the machine makes them. Each figure includes two readings
//! of the clock. `service RATE SECONDS` only emits, for a count of system calls.
#![allow(clippy::print_stdout, reason = "its output")]

use std::fs;
use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use llm_audit::{AuditEvent, AuditLogger, EventType};
use serde::Serialize;

/// Events per second, and events of a round.
const RATES: [(u32, u32); 4] = [(50, 250), (100, 1_000), (2_000, 10_000), (20_000, 100_000)];
const ROUNDS: usize = 7;
const TEXT_BYTES: usize = 256;
/// Shorter waits are not slept through, because a sleep lasts longer than asked for.
const SLEEP_MIN: Duration = Duration::from_micros(150);
const IDLE: Duration = Duration::from_secs(20);
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Payload<'t> {
    tool: &'static str,
    text: &'t str,
}

fn clean_text() -> String {
    const SENTENCES: &str = "The plan covers 80 percent of the visit after a deductible of 500 \
        dollars; claim 20391 was paid on 2026-03-14 at 10:42. ";
    SENTENCES.chars().cycle().take(TEXT_BYTES).collect()
}

fn emit(logger: &AuditLogger, text: &str) {
    let data = Payload { tool: "plan.search", text };
    let event = AuditEvent::new(EventType::ToolCall, "benefits", "plan.search");
    logger.emit(&event.latency_ms(12.5).data(&data));
}

fn wait_until(due: Instant) {
    loop {
        match due.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return,
            left if left >= SLEEP_MIN => thread::sleep(left),
            _ => hint::spin_loop(),
        }
    }
}

/// Emits at a rate, and returns the nanoseconds of each emit, the shortest first.
fn paced(logger: &AuditLogger, rate: u32, events: u32) -> Vec<u128> {
    let text = clean_text();
    let begin = Instant::now();
    let one = |n| {
        wait_until(begin + Duration::from_secs(1) * n / rate);
        let begin = Instant::now();
        emit(logger, &text);
        begin.elapsed().as_nanos()
    };
    let mut ns: Vec<_> = (0..events).map(one).collect();
    ns.sort_unstable();
    ns
}

/// Returns the values of these permille of a sorted list.
fn quantiles(sorted: &[u128]) -> [u128; 3] {
    [500, 990, 999].map(|permille| sorted[(sorted.len() - 1) * permille / 1000])
}

/// Prints the medians over the rounds, which take turns.
fn rates(logger: &AuditLogger) {
    let mut figures = RATES.map(|_| [const { Vec::new() }; 3]);
    for _ in 0..ROUNDS {
        for ((rate, events), figures) in RATES.into_iter().zip(&mut figures) {
            let round = quantiles(&paced(logger, rate, events));
            figures.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
        }
    }
    for ((rate, _), mut figures) in RATES.into_iter().zip(figures) {
        figures.iter_mut().for_each(|all| all.sort_unstable());
        let [p50, p99, p999] = figures.map(|all| all[all.len() / 2]);
        println!("{rate:>6} events/s: p50 {p50:>6} p99 {p99:>6} p99.9 {p999:>6} ns");
    }
}

/// Returns a number of a `status` file in `/proc`, without its unit.
fn status(path: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn resident_kib() -> u64 {
    status("/proc/self/status", "VmRSS").unwrap_or(0)
}

/// Counts how often the threads other than the caller's have been switched to.
fn context_switches() -> u64 {
    let own = std::process::id().to_string();
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let others = threads.filter(|thread| thread.file_name() != own.as_str());
    let of = |thread: fs::DirEntry| {
        let path = format!("{}/status", thread.path().display());
        let names = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];
        names.map(|name| status(&path, name).unwrap_or(0)).iter().sum::<u64>()
    };
    others.map(of).sum()
}

/// Prints how often the logger's threads are switched to while nothing is emitted.
fn idle() {
    // The writer naps for a second after an event, and for longer on a machine that is busy.
    thread::sleep(Duration::from_secs(5));
    let before = context_switches();
    thread::sleep(IDLE);
    let switches = (context_switches() - before) as f64;
    println!("idle: {:.1} context switches/s", switches / IDLE.as_secs_f64());
}

fn number(text: &str) -> u32 {
    text.parse().expect("usage: service [RATE SECONDS]")
}

fn main() {
    let dir = std::env::temp_dir().join(format!("llm-audit-service-{}", std::process::id()));
    let bare = resident_kib();
    let args: Vec<_> = std::env::args().skip(1).collect();
    llm_audit::close_on_signals().expect("nobody else handles signals");
    let builder = AuditLogger::builder().without_environment().directory(&dir).debug(true);
    let logger = builder.build().expect("the settings are valid");
    emit(&logger, &clean_text());
    logger.flush(CLOSE_WITHIN).expect("the log is written");
    let after_one = resident_kib() - bare;
    if let [rate, seconds] = &args[..] {
        let rate = number(rate);
        let ns = paced(&logger, rate, rate * number(seconds));
        println!("{rate} events/s: {:?} ns", quantiles(&ns));
    } else {
        idle();
        rates(&logger);
        let now = resident_kib() - bare;
        println!(
            "memory over the {bare} KiB of the bare process: {after_one} KiB after one event, {now} KiB at the end"
        );
    }
    logger.shutdown(CLOSE_WITHIN).expect("the log closes");
    let counts = logger.accounting();
    println!("{} events, {} of them overwritten", counts.emitted, counts.overwritten);
    fs::remove_dir_all(&dir).expect("the folder of the log");
}
