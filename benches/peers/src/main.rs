//! Measures what one event of 256 B of text costs the caller, in this library and in its peers.
//!
//! Each writes the same fields as JSON to its own file in the temporary folder, from its own
//! thread. Only llm-audit redacts. The callers run flat out, so the queues fill. Then spdlog-rs and
//! slog-async drop the newest event, llm-audit overwrites the oldest, and emit_file empties its
//! whole queue.
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`
#![allow(missing_docs)]

#[path = "../../common/mod.rs"]
mod common;

use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Payload, ROUNDS, clean_text, median, ns_per, on_threads, title};
use hdrhistogram::Histogram;
use llm_audit::{AuditEvent, AuditLogger, EventType};
use slog::Drain;
use spdlog::formatter::JsonFormatter;
use spdlog::sink::{AsyncPoolSink, FileSink, OverflowPolicy};

const BYTES: usize = 256;
const CALLS: u64 = 20_000;
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

fn audit(logger: &AuditLogger, text: &str) {
    let data = Payload { tool: "plan.search", text };
    let event = AuditEvent::new(EventType::ToolCall, "benefits", "plan.search");
    logger.emit(&event.latency_ms(12.5).data(&data));
}

fn spdlog(logger: &spdlog::Logger, text: &str) {
    spdlog::info!(
        logger: logger,
        "tool.call",
        kv: {
            agent = "benefits",
            action = "plan.search",
            status = "ok",
            latency_ms = 12.5,
            tool = "plan.search",
            text,
        }
    );
}

fn slog(logger: &slog::Logger, text: &str) {
    // slog-async sends the text to its thread, so the text must be owned.
    slog::info!(logger, "tool.call"; "agent" => "benefits", "action" => "plan.search",
        "status" => "ok", "latency_ms" => 12.5, "tool" => "plan.search", "text" => text.to_owned());
}

fn emit_event(text: &str) {
    emit::info!(
        "tool.call",
        agent: "benefits",
        action: "plan.search",
        status: "ok",
        latency_ms: 12.5,
        tool: "plan.search",
        text,
    );
}

/// Prints one line: the median of flat-out runs, and the percentiles of single calls.
fn measure(name: &str, threads: usize, call: impl Fn() + Sync) {
    let ns = (0..ROUNDS).map(|_| ns_per(CALLS, on_threads(threads, CALLS, &call))).collect();
    let mut single = Histogram::<u64>::new(3).expect("three digits");
    for _ in 0..CALLS {
        let begin = Instant::now();
        call();
        let took = u64::try_from(begin.elapsed().as_nanos()).expect("below 500 years");
        single.record(took).expect("the histogram grows by itself");
    }
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| single.value_at_quantile(share));
    println!(
        "{name:<10} {threads} threads: {:>7.0} ns per event | p50 {p50} p99 {p99} p99.9 {p999} ns",
        median(ns)
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let text = clean_text(BYTES);
    let ours = AuditLogger::builder()
        .without_environment()
        .directory(folder.path().join("audit"))
        .debug(true)
        .build()?;

    let file = FileSink::builder()
        .path(folder.path().join("spdlog.jsonl"))
        .formatter(JsonFormatter::new())
        .build_arc()?;
    let queue = AsyncPoolSink::builder()
        .sink(file)
        .overflow_policy(OverflowPolicy::DropIncoming)
        .error_handler(|_| {}) // it would print each drop on stderr
        .build()?;
    let spd = spdlog::Logger::builder().sink(Arc::new(queue)).build()?;

    let json = slog_json::Json::default(File::create(folder.path().join("slog.jsonl"))?);
    let queue = slog_async::Async::new(json.fuse())
        .chan_size(10_000)
        .overflow_strategy(slog_async::OverflowStrategy::Drop)
        .build();
    let slg = slog::Logger::root(queue.fuse(), slog::o!());

    let emitter = emit_file::set(folder.path().join("emit.jsonl")).spawn();
    let guard = emit::setup().emit_to(emitter).init();

    title("peers: one event of 256 B of text, flat out");
    for threads in [1, 2] {
        measure("llm-audit", threads, || audit(&ours, &text));
        measure("spdlog-rs", threads, || spdlog(&spd, &text));
        measure("slog-async", threads, || slog(&slg, &text));
        measure("emit_file", threads, || emit_event(&text));
    }
    ours.shutdown(CLOSE_WITHIN)?;
    let counts = ours.accounting();
    println!("llm-audit: written {}, overwritten {}", counts.written, counts.overwritten);
    guard.blocking_flush(CLOSE_WITHIN);
    Ok(())
}
