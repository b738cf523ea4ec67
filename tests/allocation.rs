//! Memory of a logger: none of the heap for an emit, and all in all no more than it was given and
//! a constant.
#![cfg(not(loom))]
#![allow(unsafe_code, reason = "a global allocator is unsafe to implement")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, OnceLock};
use std::thread;

use common::{DEADLINE, Panicking, failing, gate, memory};
use llm_audit::sanitize::Kind;
use llm_audit::{
    AuditEvent, AuditLogger, ErrorDetail, EventType, SamplingPolicy, Status, TraceContext,
};
use serde::Serialize;

/// The system's allocator, watched.
struct Counting;

/// Bytes in use, and the most there were.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Blocks this thread has asked for. Neither it nor its place in the thread needs the heap.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn asked_for(bytes: usize) {
    // A thread whose storage is gone is not measured.
    let _gone = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

fn gave_back(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked_for(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Counted whole, touched or not.
        asked_for(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        gave_back(layout.size());
        // SAFETY: the place came from the system's allocator, with this layout.
        unsafe { System.dealloc(place, layout) };
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // As if both were in use at once, which while it copies they are.
        asked_for(bytes);
        gave_back(layout.size());
        // SAFETY: as above, and the new size is the caller's to get right.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test at a time: the bytes are those of the process.
static ALONE: Mutex<()> = Mutex::new(());

fn calls() -> u64 {
    CALLS.get()
}

/// Keeps nothing by a draw except errors.
const NOTHING: SamplingPolicy = SamplingPolicy {
    trace_rate: 0.0,
    success_rate: 0.0,
    error_rate: 1.0,
    slow_threshold_ms: 1500.0,
    debug: false,
};

#[derive(Serialize)]
struct Step<'a> {
    model: &'a str,
    tokens: u64,
    temperature: f32,
    is_streamed: bool,
    password: Option<&'a str>,
    messages: Vec<&'a str>,
    by_name: BTreeMap<String, &'a str>,
}

const WORDS: [&str; 8] = [
    "the applicant asks for housing support ",
    "ana.lopez@example.com ",
    "card 4111 1111 1111 1111, ",
    "AKIAIOSFODNN7EXAMPLE ",
    "ключ и 価格 ",
    "\"quoted\\\" \u{7} ",
    "1234567890 ",
    "a@b 4111-1111 eyJ ",
];

/// A text of `bytes` bytes and at most a word more.
fn text(rng: &mut fastrand::Rng, bytes: usize) -> String {
    // Most texts have nothing personal in them.
    let words = if rng.bool() { &WORDS[..1] } else { &WORDS[..] };
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(words[rng.usize(..words.len())]);
    }
    text
}

fn step<'a>(rng: &mut fastrand::Rng, text: &'a str) -> Step<'a> {
    let personal = [
        "ana.lopez@example.com",
        "bob@example.com",
        "card 4111 1111 1111 1111",
        "API_KEY",
        "nested \"name\"",
    ];
    let keys = if rng.bool() { personal.len() } else { 0 };
    let by_name = personal.iter().take(keys).map(|key| ((*key).to_owned(), "value"));
    let half = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap();
    Step {
        model: "gpt-4o",
        tokens: rng.u64(..),
        temperature: 0.7,
        is_streamed: rng.bool(),
        password: rng.bool().then_some("hunter2"),
        messages: vec![&text[..half], &text[half..]],
        by_name: by_name.collect(),
    }
}

/// Whatever the writer's state and whichever the lane, once it is warm.
#[test]
fn an_emit_takes_nothing_of_the_heap() {
    const EMITS: usize = 2_500;
    const PAYLOADS: usize = 64;
    const BYTES: (f64, f64) = (64.0, 200.0 * 1024.0);
    let _alone = ALONE.lock().unwrap();
    let mut rng = fastrand::Rng::with_seed(9);
    // Of every size in between, most of them small.
    let texts: Vec<String> = (0..PAYLOADS)
        .map(|n| {
            let share = (n as f64 / (PAYLOADS - 1) as f64).powi(4);
            let bytes = (BYTES.0 * (BYTES.1 / BYTES.0).powf(share)) as usize;
            text(&mut rng, bytes)
        })
        .collect();
    let steps: Vec<Step<'_>> = texts.iter().map(|text| step(&mut rng, text)).collect();
    let mut emit = |audit: &AuditLogger, count: usize| {
        for n in 0..count {
            emit_step(audit, n, &steps[rng.usize(..PAYLOADS)]);
        }
    };
    let builder = || {
        let builder = AuditLogger::builder().without_environment().files(false).debug(true);
        // A minute may end meanwhile. After its totals a user needs a new place.
        builder.totals(false).queue_capacity(64).queue_bytes(4 << 20)
    };

    // The writer takes the events as they come; the sink takes none; the sink panics. Last it hangs,
    // and the lanes are full, first of events and then of their bytes.
    let (hanging, held) = gate();
    let running = builder().exporter(memory().0).build().unwrap();
    let failing = builder().exporter(failing(u32::MAX).0).build().unwrap();
    let panicking = builder().exporter(Panicking).build().unwrap();
    let stuck = builder().exporter(hanging).build().unwrap();
    let holding = builder().debug(false).sampling(NOTHING).exporter(memory().0).build().unwrap();
    emit(&stuck, 1);
    held.wait_until_held();
    // Without a context no event is held.
    let nobody = TraceContext::new_trace();
    let somebody = TraceContext::new_trace().with_user("u-1842").with_tenant("acme");
    for (audit, context) in [
        (&running, &nobody),
        (&failing, &somebody),
        (&panicking, &nobody),
        (&stuck, &somebody),
        (&holding, &somebody),
    ] {
        let _scope = context.enter();
        emit(audit, PAYLOADS);
        let before = calls();
        emit(audit, EMITS);
        assert_eq!(calls() - before, 0);
    }
    // 64 in each lane, and one in the writer's hand.
    assert!(stuck.accounting().overwritten >= (EMITS + PAYLOADS - 2 * 64) as u64);
    held.release();

    let audits = [(running, 0), (failing, 0), (panicking, 0), (stuck, 1), (holding, 0)];
    for (audit, first) in audits {
        audit.shutdown(DEADLINE).unwrap();
        let accounting = audit.accounting();
        assert_eq!(accounting.emitted, (first + PAYLOADS + EMITS) as u64);
        assert!(accounting.adds_up());
        assert_eq!(accounting.unserializable, 0);
        for kind in [Kind::Email, Kind::Card, Kind::AwsKey, Kind::Key] {
            assert!(accounting.redactions.get(kind) > 0, "{kind:?}");
        }
    }
}

/// Events of several shapes, in turn.
fn emit_step(audit: &AuditLogger, n: usize, step: &Step<'_>) {
    let detail = ErrorDetail::new("tool::Refused", step.messages[0])
        .traceback("caused by: mail from ana.lopez@example.com\ncaused by: time")
        .recoverable(true)
        .input_snapshot(&step.by_name);
    let event = AuditEvent::new(EventType::LlmInvoke, "benefits", "llm.invoke")
        .latency_ms(12.5)
        .tokens(step.tokens, 4)
        .data(step);
    match n % 4 {
        0 => audit.emit(&AuditEvent::new(EventType::Custom("Cart.Checkout"), "a", "b")),
        // Half of the text is in it twice, and has to fit.
        1 if step.messages[0].len() < 64 << 10 => audit.emit(&event.error(&detail)),
        2 => audit.emit(&event.status(Status::Timeout)),
        _ => audit.emit(&event),
    }
}

const QUEUE_BYTES: usize = 16 << 20;
const SLOTS: usize = 1024;
const EVENT_BYTES: usize = 256 << 10;
const THREADS: usize = 1000;

/// What a logger may take of the heap beside the bytes of its queue while its writer is held. Per
///
/// - slot, a quarter more than the capacity says for the errors and 64 for a held lane that is not used:
///   8 bytes for itself. Its buffer takes a cache line of 64 and a link of 4;
/// - buffer beyond the slots, in each lane 4096 of them and one that is unused: the same 68 bytes;
/// - block of 1088 bytes: a link of 4; and in each lane one block and link that are unused;
/// - thread that emits: its list of spares, 4 places of 24 bytes. The standard library's list of what
///   it has to tear down takes 8 places of 16 and the 4 it grew from. A thread's stack is mapped, not
///   taken of the heap, and the rest of a thread is there before the logger.
/// - writer: 768 KiB for the lines of a batch, which are enough if lines are no longer than their
///   events. To put an event of several blocks together it takes at most twice its limit;
/// - logger: 64 KiB for everything small, as counters (2 KiB), settings, the writer's handle, the
///   start line, what the test itself does while it waits.
///
/// If an event over its limit is cut, its caller takes up to a quarter of the limit besides; no
/// event is cut here.
///
/// Here: 100 KiB, 817 KiB, 64 KiB, 281 KiB, 1280 KiB and 64 KiB, which is less than 2.75 MiB.
const BEYOND_QUEUE_BYTES: usize = {
    let slots = (SLOTS + SLOTS / 4 + 64) * (8 + 64 + 4);
    let buffers = 3 * (4096 + 1) * (64 + 4);
    let blocks = QUEUE_BYTES / 1088 * 4 + 3 * (1088 + 4);
    let threads = THREADS * (4 * 24 + (8 + 4) * 16);
    let writer = (768 << 10) + 2 * EVENT_BYTES;
    slots + buffers + blocks + threads + writer + (64 << 10)
};
const _: () = assert!(BEYOND_QUEUE_BYTES < 11 << 18);

/// What the tables of redaction and prices take of the heap, once in a process.
const TABLES_BYTES: usize = 3 << 19;

/// Has the tables made by a logger, and returns their bytes. They are 0 if there was a logger before;
/// threads of the test before may free something meanwhile, so that less is taken than was.
fn tables_of_the_process() -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    let (exporter, _held) = gate();
    let logger = AuditLogger::builder().without_environment().files(false).exporter(exporter);
    logger.build().unwrap().shutdown(DEADLINE).unwrap();
    let taken = || LIVE.load(Ordering::Relaxed).saturating_sub(before);
    // The writer's thread may still be about to free the queue.
    while taken() > QUEUE_BYTES {
        thread::yield_now();
    }
    taken()
}

/// Many threads with large events in both lanes, all at once, and a writer that takes none: memory
/// stays within what was configured.
#[test]
fn a_thousand_threads_stay_within_the_queue_s_memory() {
    let _alone = ALONE.lock().unwrap();
    let tables = tables_of_the_process();
    assert!(tables < TABLES_BYTES, "{tables} bytes of tables");
    // With its head the event is as large as it may be.
    let text = "x".repeat(EVENT_BYTES - 256);
    let audit = OnceLock::<AuditLogger>::new();
    let (exporter, held) = gate();
    // The threads are there before the logger and after the measurement.
    let (start, end) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let beyond = thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for status in [Status::Ok, Status::Error] {
                    emit_text(audit.wait(), status, &text);
                }
                end.wait();
            });
        }
        let before = LIVE.load(Ordering::Relaxed);
        audit
            .set(
                AuditLogger::builder()
                    .without_environment()
                    .files(false)
                    .debug(true)
                    .exporter(exporter)
                    .queue_capacity(SLOTS)
                    .queue_bytes(QUEUE_BYTES)
                    .max_event_bytes(EVENT_BYTES)
                    .build()
                    .unwrap(),
            )
            .unwrap();
        // The writer has one of these in its hand, with all that takes.
        emit_text(audit.wait(), Status::Ok, &text);
        held.wait_until_held();
        // What the exporter took to look at its lines is the test's own, and over.
        PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
        start.wait();
        end.wait();
        PEAK.load(Ordering::Relaxed) - before
    });
    let audit = audit.wait();
    let accounting = audit.accounting();
    assert_eq!(accounting.emitted, (THREADS * 2 + 1) as u64);
    assert!(accounting.adds_up());
    assert!(accounting.overwritten > 0, "the queue was full");
    assert!(beyond > QUEUE_BYTES, "{beyond} bytes: the queue is of the heap");
    let most = QUEUE_BYTES + BEYOND_QUEUE_BYTES;
    assert!(beyond <= most, "{beyond} bytes, at most {most}");
    held.release();
    audit.shutdown(DEADLINE).unwrap();
}

fn emit_text(audit: &AuditLogger, status: Status, text: &str) {
    let data = BTreeMap::from([("t", text)]);
    audit.emit(&AuditEvent::new(EventType::LlmInvoke, "a", "b").status(status).data(&data));
}

/// Many more open traces than there is memory for.
#[test]
fn held_events_stay_within_their_memory() {
    const TRACES: u64 = 100_000;
    const HOLD_BYTES: usize = 4 << 20;
    let _alone = ALONE.lock().unwrap();
    tables_of_the_process();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let builder = AuditLogger::builder().without_environment().files(false).sampling(NOTHING);
    let builder = builder.exporter(memory().0).hold_bytes(HOLD_BYTES);
    let audit = builder.queue_capacity(SLOTS).queue_bytes(QUEUE_BYTES).build().unwrap();
    let data = BTreeMap::from([("t", "a text of some length, as events have it")]);
    for _ in 0..TRACES {
        let context = TraceContext::new_trace();
        for kind in [EventType::RequestStart, EventType::CacheHit] {
            audit.emit_wait(&AuditEvent::new(kind, "a", "b").context(&context).data(&data));
        }
    }
    audit.flush(DEADLINE).unwrap();
    let held = audit.accounting().queued;
    let beyond = PEAK.load(Ordering::Relaxed) - before;
    // Each map grows by a copy of twice its size.
    let most = QUEUE_BYTES + HOLD_BYTES + BEYOND_QUEUE_BYTES + HOLD_BYTES / 2;
    assert!(beyond <= most, "{beyond} bytes, at most {most}");
    assert!((2_000..40_000).contains(&held), "{held} events are held");
    audit.shutdown(DEADLINE).unwrap();
    assert!(audit.accounting().adds_up());
}
