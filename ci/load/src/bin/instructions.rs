//! One work of the hot path, done a fixed number of times, for `ci/instructions.sh` to count.
//!
//! Without an argument the program lists the works. `instructions WORK` does a work and prints how
//! many times. `instructions vectors` names the vector instructions that the redactor may take.
//!
//! callgrind counts what happens between [`counting_begins`] and [`counting_ends`]. One thread works
//! then, and nothing depends on the time or on chance: the others wait.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use llm_audit::export::Exporter;
use llm_audit::metrics::MetricsCollector;
use llm_audit::{
    AuditEvent, AuditLogger, Builder, EventType, FailedTraces, Fsync, SamplingPolicy, Sanitizer,
    TraceContext, Usage,
};
use serde::Serialize;

/// How often a work is done before it is counted, and while it is.
const WARM_UP: u64 = 200;
const TIMES: u64 = 1000;
/// The events that the writer writes while it is counted: several full batches.
const WRITTEN: u64 = 4000;
/// The text by which the last event is known.
const LAST: &str = "the last";
const MODEL: &str = "gpt-4o-mini";
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

/// A name, as in the stored figures, and a function that returns how often it did the work.
type Work = (&'static str, fn() -> u64);

const WORKS: [Work; 22] = [
    ("emit, no text", || emits(debug(), 0, "written")),
    ("emit, 16 B of text", || emits(debug(), 16, "written")),
    ("emit, 256 B of text", || emits(debug(), 256, "written")),
    ("emit, 4 KB of text", || emits(debug(), 4096, "written")),
    ("emit, 256 B, into a full queue", || emits(debug().queue_capacity(64), 256, "overwritten")),
    ("emit, 256 B, kept by a draw", || emits(builder().sampling(SPANS), 256, "written")),
    ("emit, 256 B, held", || emits(builder().sampling(NOTHING), 256, "sampled_out")),
    ("emit, 256 B, sampled out", || emits(sampled(), 256, "sampled_out")),
    ("emit, 256 B, disabled", || disabled(emit)),
    ("emit, 256 B, disabled, asked first", || disabled(emit_if_enabled)),
    ("emit, a model call", emits_calls),
    ("count an event", || counts(&tool_call())),
    ("count a model call", || counts(&model_call(&usage()))),
    ("redact_str, 24 B", || redacts(&clean_text(24))),
    ("redact_str, 256 B", || redacts(&clean_text(256))),
    ("redact_str, 4 KB", || redacts(&clean_text(4096))),
    ("redact_str, 256 B, an address in it", || redacts(&address_text(256))),
    ("redact_str, 4 KB, an address in it", || redacts(&address_text(4096))),
    ("writer, an event with 16 B of text", || writes(16)),
    ("writer, an event with 256 B of text", || writes(256)),
    ("writer, an event with 4 KB of text", || writes(4096)),
    ("writer, a model call", writes_calls),
];

/// Samples out every event that is neither slow nor an error.
const NOTHING: SamplingPolicy = SamplingPolicy {
    trace_rate: 0.0,
    success_rate: 0.0,
    error_rate: 1.0,
    slow_threshold_ms: 1500.0,
    debug: false,
};

/// Draws as [`NOTHING`] does, and keeps every span.
const SPANS: SamplingPolicy = SamplingPolicy { success_rate: 1.0, ..NOTHING };

/// The payload of every event.
#[derive(Serialize)]
struct Payload<'t> {
    tool: &'static str,
    results: u64,
    score: f64,
    text: &'t str,
}

/// The data of a model call.
#[derive(Serialize)]
struct CallData {
    model: &'static str,
    provider: &'static str,
}

/// Marks the begin: callgrind sets its counts to zero when this is called.
#[inline(never)]
fn counting_begins() {
    black_box("begins");
}

/// Marks the end: callgrind writes its counts when this is called.
#[inline(never)]
fn counting_ends() {
    black_box("ends");
}

/// Does the work, counts it, and returns how often it was done.
fn count(work: impl Fn()) -> u64 {
    (0..WARM_UP).for_each(|_| work());
    counting_begins();
    (0..TIMES).for_each(|_| work());
    counting_ends();
    TIMES
}

/// Holds the writer's thread at the first lines it gets, until `opened` is sent to.
struct Gate {
    reached: Sender<()>,
    opened: Receiver<()>,
    is_open: bool,
}

impl Gate {
    /// Returns a gate, a receiver that hears when the writer is there, and a sender that opens it.
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let (reached, is_reached) = channel();
        let (open, opened) = channel();
        (Self { reached, opened, is_open: false }, is_reached, open)
    }
}

impl Exporter for Gate {
    fn export(&mut self, lines: &[u8]) -> std::io::Result<()> {
        if !self.is_open {
            self.is_open = true;
            self.reached.send(()).expect("the caller waits for it");
            // The caller may be gone: then nobody counts, and the log is to close.
            let _gone = self.opened.recv();
            counting_begins();
        }
        // The text of `LAST`, the payload's last field.
        if lines.ends_with(b"\"the last\"}}\n") {
            counting_ends();
            // Nobody listens when the caller's own work is counted.
            let _unheard = self.reached.send(());
        }
        Ok(())
    }
}

fn builder() -> Builder {
    AuditLogger::builder().without_environment()
}

/// Settings that keep every event.
fn debug() -> Builder {
    builder().debug(true)
}

/// Settings that drop every event at once.
fn sampled() -> Builder {
    builder().sampling(NOTHING).failed_traces(FailedTraces::Sampled)
}

fn emit(logger: &AuditLogger, text: &str) {
    let data = Payload { tool: "plan.search", results: 12, score: 0.875, text };
    logger.emit(black_box(&tool_call().data(&data)));
}

fn emit_call(logger: &AuditLogger, usage: &Usage) {
    let data = CallData { model: MODEL, provider: "openai" };
    logger.emit(black_box(&model_call(usage).data(&data)));
}

fn tool_call() -> AuditEvent<'static> {
    AuditEvent::new(EventType::ToolCall, "benefits", "plan.search").latency_ms(12.5)
}

fn model_call(usage: &Usage) -> AuditEvent<'_> {
    let event = AuditEvent::new(EventType::LlmInvoke, "benefits", "chat").model(MODEL);
    event.usage(usage).latency_ms(840.0).cost_usd(0.000_123)
}

fn usage() -> Usage {
    let mut usage = Usage::new(1200, 80);
    usage.cache_read = 1024;
    usage
}

/// The span that every event belongs to.
fn span() -> TraceContext {
    TraceContext::from_ids(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331, None)
        .expect("no id is zero")
}

/// Counts the caller's side of `emit`, with the writer held at a gate. The events come to `end`, a
/// name of [`llm_audit::Accounting::ends`].
fn emits(builder: Builder, bytes: usize, end: &str) -> u64 {
    let text = clean_text(bytes);
    emits_with(builder, end, |logger| emit(logger, &text))
}

/// Counts the caller's side of the `emit` of a model call, as [`llm_audit::record_llm_call`] builds it.
fn emits_calls() -> u64 {
    let usage = usage();
    emits_with(debug(), "written", |logger| emit_call(logger, &usage))
}

fn emits_with(builder: Builder, end: &str, emit: impl Fn(&AuditLogger)) -> u64 {
    let (gate, is_reached, open) = Gate::new();
    let logger = builder.files(false).exporter(gate).build().expect("the settings are valid");
    let _scope = span().enter();
    // Kept by every policy, so that the writer comes to its gate.
    logger.emit(&AuditEvent::new(EventType::ToolCall, "benefits", "begin").latency_ms(1e6));
    is_reached.recv().expect("the writer reaches the gate");
    let times = count(|| emit(&logger));
    drop(open);
    logger.shutdown(CLOSE_WITHIN).expect("the log closes");
    let counts = logger.accounting();
    let ended = counts.ends().into_iter().find(|(name, _)| *name == end).map(|(_, count)| count);
    assert!(ended >= Some(times), "the events are not {end}: {counts:?}");
    times
}

/// Counts what it takes to count an event before it is sampled. Its labels are known after the first time.
fn counts(event: &AuditEvent<'_>) -> u64 {
    let collector = MetricsCollector::default();
    count(|| collector.observe(black_box(event)))
}

/// Emits as a caller does who asks before making an event.
fn emit_if_enabled(logger: &AuditLogger, text: &str) {
    // The answer is not kept from call to call.
    if black_box(logger).is_enabled() {
        emit(logger, text);
    }
}

fn disabled(emit: impl Fn(&AuditLogger, &str)) -> u64 {
    let logger = builder().enabled(false).build().expect("the settings are valid");
    let text = clean_text(256);
    let _scope = span().enter();
    count(|| emit(&logger, &text))
}

/// Counts the writer's thread, as [`writes_with`] does, with texts of so many bytes.
fn writes(bytes: usize) -> u64 {
    let text = clean_text(bytes);
    writes_with(|logger| emit(logger, &text))
}

fn writes_calls() -> u64 {
    let usage = usage();
    writes_with(|logger| emit_call(logger, &usage))
}

/// Counts the writer's thread, which finds all events in its queue and writes them to a file.
fn writes_with(emit_one: impl Fn(&AuditLogger)) -> u64 {
    let (gate, is_reached, open) = Gate::new();
    // No thread syncs the file while the writer is counted.
    let builder = debug().directory("log").fsync(Fsync::Never).exporter(gate);
    let logger = builder.build().expect("the settings are valid");
    let _scope = span().enter();
    emit_one(&logger);
    is_reached.recv().expect("the writer reaches the gate");
    (1..WRITTEN).for_each(|_| emit_one(&logger));
    emit(&logger, LAST);
    open.send(()).expect("the writer waits for it");
    is_reached.recv().expect("the writer reaches the last event");
    logger.shutdown(CLOSE_WITHIN).expect("the log closes");
    let counts = logger.accounting();
    assert_eq!(counts.written, WRITTEN + 1, "every event is written");
    WRITTEN
}

/// Counts `redact_str` of a text.
fn redacts(text: &str) -> u64 {
    let sanitizer = Sanitizer::default();
    count(|| {
        black_box(sanitizer.redact_str(black_box(text)));
    })
}

/// English of so many bytes, with numbers in it and nothing to redact.
fn clean_text(bytes: usize) -> String {
    const SENTENCES: &str = "The plan covers 80 percent of the visit after a deductible of 500 \
        dollars; claim 20391 was paid on 2026-03-14 at 10:42. Dental care, glasses and physical \
        therapy (up to 12 visits) need a referral. ";
    SENTENCES.chars().cycle().take(bytes).collect()
}

/// The same with an e-mail address in its middle.
fn address_text(bytes: usize) -> String {
    const ADDRESS: &str = " ana.lopez@mail.example ";
    let mut text = clean_text(bytes - ADDRESS.len());
    text.insert_str(text.len() / 2, ADDRESS);
    text
}

/// The instructions that the redactor takes on this machine; under valgrind, on valgrind's.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let has_avx2 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("popcnt");
        return match has_avx2 {
            true if has!("avx512f") && has!("avx512bw") && has!("avx512vbmi") => "avx512",
            true => "avx2",
            false => "none",
        };
    }
    #[allow(unreachable_code)]
    "none"
}

#[allow(clippy::print_stderr, clippy::print_stdout, reason = "its output")]
fn main() -> ExitCode {
    let asked = std::env::args().nth(1);
    match asked.as_deref() {
        None => WORKS.iter().for_each(|(name, _)| println!("{name}")),
        Some("vectors") => println!("{}", vectors()),
        Some(asked) => {
            let Some((_, work)) = WORKS.iter().find(|(name, _)| *name == asked) else {
                eprintln!("{asked} is not a work; without an argument the works are listed");
                return ExitCode::from(2);
            };
            println!("{}", work());
        }
    }
    ExitCode::SUCCESS
}
