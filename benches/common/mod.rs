//! Shared parts of the benches: texts, threads that start together, medians and closing lines.
#![allow(dead_code)] // no bench uses all of it

use std::hint::black_box;
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use criterion::Criterion;
use serde::Serialize;

/// The number of runs whose median a closing line prints.
pub const ROUNDS: usize = 7;

/// The payload of every bench that emits: a name and a text.
#[derive(Serialize)]
pub struct Payload<'t> {
    pub tool: &'static str,
    pub text: &'t str,
}

/// Returns English text of this many bytes, with numbers in it and nothing to redact.
pub fn clean_text(bytes: usize) -> String {
    const SENTENCES: &str = "The plan covers 80 percent of the visit after a deductible of 500 \
        dollars; claim 20391 was paid on 2026-03-14 at 10:42. Dental care, glasses and physical \
        therapy (up to 12 visits) need a referral. ";
    SENTENCES.chars().cycle().take(bytes).collect()
}

/// Returns text of about this many bytes. Every second sentence has something to redact.
pub fn dense_text(bytes: usize) -> String {
    const SENTENCES: &str = "Write to ana.lopez@mail.example about the visit. The card was \
        4111 1111 1111 1111 and was charged twice. The header said \
        eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl and then AKIAIOSFODNN7EXAMPLE \
        wrote the object. Nothing else happened that day. ";
    SENTENCES.repeat(bytes.div_ceil(SENTENCES.len()))
}

/// Reports whether the bench is only tried, as under `cargo bench -- --test` and `cargo test`.
pub fn quick() -> bool {
    let has = |wanted: &str| std::env::args().any(|arg| arg == wanted);
    // The peers are programs, so cargo passes them no `--bench`.
    let is_bench = has("--bench") || env!("CARGO_PKG_NAME") == "llm-audit-peers";
    has("--test") || !is_bench
}

/// Returns Criterion with short measurements: a bench ends in about a minute.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
        .sample_size(20)
        .without_plots()
        .configure_from_args()
}

/// Pins this thread, and so those that it starts, to one of the cores. Does nothing if there are fewer.
pub fn pin(core: usize) {
    // A pinned thread is told of its own core alone, so they are asked for once, before.
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    if let Some(core) = cores.get(core) {
        core_affinity::set_for_current(*core);
    }
}

/// Calls `step` this many times on each thread, and returns how long a thread took on average.
///
/// The threads start together. If there are enough cores, each is pinned to one.
pub fn on_threads<R>(threads: usize, steps: u64, step: impl Fn() -> R + Sync) -> Duration {
    let barrier = Barrier::new(threads);
    let work = |number: usize| {
        pin(number);
        barrier.wait();
        let begin = Instant::now();
        for _ in 0..steps {
            black_box(step());
        }
        begin.elapsed()
    };
    let total: Duration = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..threads).map(|i| scope.spawn(move || work(i))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a step does not panic")).sum()
    });
    total / u32::try_from(threads).expect("a few threads")
}

/// Returns the nanoseconds that one step took.
pub fn ns_per(steps: u64, took: Duration) -> f64 {
    took.as_nanos() as f64 / steps as f64
}

/// Returns the median.
pub fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

/// Alternates `ours` and `peer`, each of which returns nanoseconds, and returns the median of each.
pub fn against(mut ours: impl FnMut() -> f64, mut peer: impl FnMut() -> f64) -> (f64, f64) {
    let rounds = if quick() { 1 } else { ROUNDS };
    let (ours, peer) = (0..rounds).map(|_| (ours(), peer())).unzip();
    (median(ours), median(peer))
}

/// Prints what a reader must know about every figure below.
pub fn title(what: &str) {
    title_of("median", what);
}

/// Prints a title for figures that are not the median of the runs.
pub fn title_of(figure: &str, what: &str) {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let how = if quick() {
        "tried once, figures mean nothing".to_owned()
    } else {
        format!("{figure} of {ROUNDS} runs")
    };
    println!("\n{what}: {how}, {cores} cores, {}", std::env::consts::ARCH);
}
