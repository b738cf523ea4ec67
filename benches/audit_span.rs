//! Measures what `#[audit_span]` costs besides the events that it emits, and what it costs if
//! nothing is recorded.
//!
//! The function does nothing. The peer emits the same two events, in the same process and flat out.
//! The difference is the cost of the span: its ids, the context, the clock, a guard. With arguments
//! it includes the snapshot that an error would need.
#![allow(missing_docs, clippy::print_stdout)]

mod common;

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use common::{against, clean_text, criterion, ns_per, on_threads, quick, title};
use criterion::Criterion;
use llm_audit::{AuditEvent, AuditLogger, EventType, TraceContext, audit_span};

/// The argument of a process of this program in which nothing is recorded.
const OFF: &str = "--off";
const TEXT_BYTES: usize = 64;

#[audit_span(agent = "benefits", action = "plan.search")]
#[inline(never)]
fn nothing() {}

#[audit_span(agent = "benefits", action = "plan.search")]
#[inline(never)]
fn lent(text: &str, limit: u32) {
    black_box((text, limit));
}

#[audit_span(agent = "benefits", action = "plan.search")]
#[inline(never)]
fn moved(text: String) {
    black_box(text);
}

#[inline(never)]
fn bare_nothing() {}

#[derive(serde::Serialize)]
struct Tool {
    tool: &'static str,
}

/// Emits the events of one call, with ids that already exist.
fn two_emits(context: &TraceContext) {
    let data = Tool { tool: "plan.search" };
    let event = |event_type| AuditEvent::new(event_type, "benefits", "plan.search").data(&data);
    llm_audit::emit(&event(EventType::ToolCall).span(context));
    bare_nothing();
    llm_audit::emit(&event(EventType::ToolResult).latency_ms(0.000_125).span(context));
}

/// Checks the behaviour that is timed below: two events a call, of one span.
fn check() {
    let seen = llm_audit::testing::capture();
    nothing();
    two_emits(&TraceContext::new_trace());
    moved("text".to_owned());
    let lines = seen.lines();
    assert_eq!(lines.len(), 6);
    let rest = |line: &str| line.split("\"event_type\"").nth(1).map(str::to_owned);
    assert_eq!(rest(&lines[0]), rest(&lines[2]), "the same event");
    assert!(lines[1].contains(r#""latency_ms":"#) && lines[1].contains("tool.result"));
}

/// Measures one call while the recorder of the process is switched off, in nanoseconds more than a
/// bare call.
fn off() {
    let builder = AuditLogger::builder().without_environment().enabled(false);
    let _guard = llm_audit::init_with(builder).expect("the settings are valid");
    let calls = if quick() { 100 } else { 50_000_000 };
    let (ours, bare) = against(
        || ns_per(calls, on_threads(1, calls, nothing)),
        || ns_per(calls, on_threads(1, calls, bare_nothing)),
    );
    println!("switched off: {ours:.2} ns per call, {:.2} over a bare one", ours - bare);
}

fn closing_line(name: &str, call: impl Fn() + Sync) {
    let calls = if quick() { 100 } else { 400_000 };
    let context = TraceContext::new_trace();
    let _scope = context.enter();
    let (ours, emits) = against(
        || ns_per(calls, on_threads(1, calls, &call)),
        || ns_per(calls, on_threads(1, calls, || two_emits(&context))),
    );
    println!(
        "{name:<28} {ours:>6.0} ns per call, {:>5.0} over two emits ({emits:.0} ns)",
        ours - emits
    );
}

fn groups(criterion: &mut Criterion) {
    let context = TraceContext::new_trace();
    let mut group = criterion.benchmark_group("audit_span");
    group.bench_function("nothing", |bencher| bencher.iter(nothing));
    group.bench_function("two_emits", |bencher| bencher.iter(|| two_emits(&context)));
}

fn main() {
    if std::env::args().any(|arg| arg == OFF) {
        return off();
    }
    check();
    let folder = tempfile::tempdir().expect("a folder");
    let builder = AuditLogger::builder().without_environment().directory(folder.path()).debug(true);
    let guard = llm_audit::init_with(builder).expect("the settings are valid");
    let mut criterion = criterion();
    groups(&mut criterion);
    criterion.final_summary();
    title("audit_span: one call of a function that does nothing, flat out");
    let text = clean_text(TEXT_BYTES);
    closing_line("no arguments", nothing);
    closing_line("a lent text of 64 B, a u32", || lent(&text, 3));
    closing_line("a moved text of 64 B", || moved(text.clone()));
    guard.logger().shutdown(Duration::from_secs(60)).expect("the log closes");
    let counts = guard.logger().accounting();
    assert_eq!(counts.emitted, counts.written + counts.overwritten, "every event has one end");
    let program = std::env::current_exe().expect("this program");
    let mut other = Command::new(program);
    other.args(std::env::args().skip(1)).arg(OFF);
    assert!(other.status().expect("it starts").success());
}
