//! Tests of held events: which ones are written, and what becomes of the others.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{DEADLINE, NOON, model, wait_until};
use crate::context::TraceContext;
use crate::writer::fs::TestClock;
use crate::writer::fs::mem::MemFs;
use crate::writer::{Platform, Writer, WriterTurn};
use crate::{AuditEvent, AuditLogger, Builder, EventType, SamplingPolicy, Status};

const SECOND: i64 = 1_000_000;
/// Keeps nothing by a draw except errors.
pub(super) const NOTHING: SamplingPolicy = SamplingPolicy {
    trace_rate: 0.0,
    success_rate: 0.0,
    error_rate: 1.0,
    slow_threshold_ms: 1500.0,
    debug: false,
};

/// A logger whose writer is turned by hand, with a clock that is set.
pub(super) struct HeldRig {
    fs: MemFs,
    clock: Arc<TestClock>,
    now: i64,
    pub(super) audit: AuditLogger,
    pub(super) writer: Writer,
}

impl HeldRig {
    pub(super) fn new(with: impl FnOnce(Builder) -> Builder) -> Self {
        let (fs, clock) = (MemFs::default(), Arc::new(TestClock::default()));
        clock.set(NOON);
        let platform = Platform { fs: Arc::new(fs.clone()), clock: clock.clone() };
        let builder = AuditLogger::builder().without_environment().directory("logs");
        let builder = with(builder.sampling(NOTHING));
        let (audit, writer) = model::build_by_hand(|| builder.build_on_platform(platform)).unwrap();
        Self { fs, clock, now: NOON, audit, writer }
    }

    pub(super) fn emit(&self, kind: EventType<'_>, action: &str, context: &TraceContext) {
        self.audit.emit(&AuditEvent::new(kind, "a", action).context(context));
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += seconds * SECOND;
        self.clock.set(self.now);
    }

    pub(super) fn flush(&mut self) {
        while self.audit.flush(Duration::ZERO).is_err() {
            self.writer.run_turn();
        }
        assert!(self.audit.accounting().adds_up());
    }

    /// Closes the log, and returns its events and how many were sampled out.
    pub(super) fn close(&mut self) -> (Vec<Value>, u64) {
        let _late = self.audit.shutdown(Duration::ZERO);
        while !matches!(self.writer.run_turn(), WriterTurn::Last) {}
        self.audit.shutdown(DEADLINE).unwrap();
        let counts = self.audit.accounting();
        assert!(counts.adds_up() && counts.queued == 0 && counts.overwritten == 0, "{counts:?}");
        let lines = self.lines();
        assert_eq!(counts.written, lines.len() as u64);
        (lines, counts.sampled_out)
    }

    pub(super) fn lines(&self) -> Vec<Value> {
        let text: String = self.fs.names().iter().map(|name| self.fs.text(name)).collect();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line.get("seq").is_some()).collect()
    }
}

/// Actions of lines, each with why it was kept.
fn told(lines: &[Value]) -> Vec<(&str, Option<&str>)> {
    lines.iter().map(|line| (line["action"].as_str().unwrap(), line["kept"].as_str())).collect()
}

const FAILED: Option<&str> = Some("failed");

#[test]
fn a_failed_trace_is_written_whole_before_its_error_and_after_it() {
    let mut rig = HeldRig::new(|builder| builder);
    let (trace, other) = (TraceContext::new_trace(), TraceContext::new_trace());
    rig.emit(EventType::RequestStart, "start", &trace);
    rig.emit(EventType::ToolCall, "call", &trace);
    rig.emit(EventType::CacheHit, "other", &other);
    rig.flush();
    assert_eq!((rig.lines().len(), rig.audit.accounting().queued), (0, 3));
    rig.emit(EventType::CacheHit, "hit", &trace);
    rig.emit(EventType::ToolError, "error", &trace);
    rig.emit(EventType::CacheMiss, "miss", &trace);
    rig.flush();
    rig.emit(EventType::RequestEnd, "end", &trace);
    rig.flush();
    let (lines, sampled_out) = rig.close();
    let expected = [
        ("start", FAILED),
        ("call", FAILED),
        ("hit", FAILED),
        ("miss", FAILED),
        ("error", None),
        ("end", FAILED),
    ];
    assert_eq!((told(&lines).as_slice(), sampled_out), (expected.as_slice(), 1));
    let seqs: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_trace_whose_requests_end_well_is_dropped_at_once() {
    let mut rig = HeldRig::new(|builder| builder);
    let outer = TraceContext::new_trace();
    let inner = outer.new_span();
    rig.emit(EventType::RequestStart, "outer", &outer);
    rig.emit(EventType::RequestStart, "inner", &inner);
    rig.emit(EventType::RequestEnd, "inner", &inner);
    rig.flush();
    assert_eq!(rig.audit.accounting().sampled_out, 0, "the outer one goes on");
    // It is kept because it is slow, and comes through another lane.
    let end = AuditEvent::new(EventType::RequestEnd, "a", "outer").latency_ms(2e3);
    rig.audit.emit(&end.context(&outer));
    rig.flush();
    let counts = rig.audit.accounting();
    assert_eq!((counts.sampled_out, counts.queued), (3, 0));
    assert_eq!(told(&rig.close().0), [("outer", Some("slow"))]);
}

#[test]
fn an_error_that_its_trace_s_end_overtakes_still_makes_the_trace_whole() {
    let mut rig = HeldRig::new(|builder| builder);
    // More than a batch takes.
    for _ in 0..600 {
        rig.audit.emit(&AuditEvent::new(EventType::ToolError, "a", "flood"));
    }
    let trace = TraceContext::new_trace();
    rig.emit(EventType::RequestStart, "start", &trace);
    rig.emit(EventType::ToolError, "error", &trace);
    rig.emit(EventType::RequestEnd, "end", &trace);
    let (mut lines, sampled_out) = rig.close();
    lines.retain(|line| line["action"] != "flood");
    let mut told = told(&lines);
    told.sort_unstable();
    assert_eq!(told, [("end", FAILED), ("error", None), ("start", FAILED)]);
    assert_eq!(sampled_out, 0);
}

#[test]
fn a_flush_ends_though_ever_more_traces_fail() {
    let mut rig = HeldRig::new(|builder| builder);
    let fail = |rig: &HeldRig| {
        let trace = TraceContext::new_trace();
        (0..1000).for_each(|_| rig.emit(EventType::CacheHit, "hit", &trace));
        rig.emit(EventType::ToolError, "error", &trace);
    };
    fail(&rig);
    let mut turns = 0;
    let audit = rig.audit.clone();
    std::thread::scope(|scope| {
        let flush = scope.spawn(move || audit.flush(DEADLINE));
        wait_until(|| {
            rig.writer.run_turn();
            turns += 1;
            fail(&rig);
            flush.is_finished()
        });
        flush.join().unwrap().unwrap();
    });
    assert!(rig.lines().len() > 1000);
    rig.flush();
    let (lines, sampled_out) = rig.close();
    assert_eq!(lines.len() as u64 + sampled_out, (turns + 1) * 1001);
}

#[test]
fn an_error_in_the_lane_of_the_others_makes_its_trace_whole() {
    let mut rig = HeldRig::new(Builder::in_one_lane);
    let trace = TraceContext::new_trace();
    rig.emit(EventType::RequestStart, "start", &trace);
    rig.emit(EventType::ToolError, "error", &trace);
    rig.emit(EventType::RequestEnd, "end", &trace);
    rig.flush();
    assert_eq!(rig.lines().len(), 3, "a flush after the error has them all");
    rig.close();
}

#[test]
fn a_trace_of_ten_minutes_is_whole_if_it_never_pauses_for_too_long() {
    let mut rig = HeldRig::new(|builder| builder);
    let (lively, slow) = (TraceContext::new_trace(), TraceContext::new_trace());
    rig.emit(EventType::RequestStart, "start", &lively);
    rig.emit(EventType::RequestStart, "start", &slow);
    for n in 1..=12 {
        rig.pass(50);
        rig.emit(EventType::CacheHit, "lively", &lively);
        if n % 2 == 0 {
            rig.emit(EventType::CacheHit, "slow", &slow);
        }
        rig.flush();
    }
    rig.pass(59);
    rig.emit(EventType::ToolError, "error", &lively);
    rig.emit(EventType::ToolError, "error", &slow);
    rig.flush();
    // A failed trace is known as long.
    rig.pass(59);
    rig.emit(EventType::CacheHit, "after", &lively);
    rig.flush();
    rig.pass(61);
    rig.emit(EventType::CacheHit, "long after", &lively);
    let (lines, sampled_out) = rig.close();
    let of = |trace: &TraceContext| -> usize {
        let id = format!("{:032x}", trace.trace_id());
        lines.iter().filter(|line| line["trace_id"] == *id).count()
    };
    assert_eq!((of(&lively), of(&slow)), (1 + 12 + 1 + 1, 1 + 1), "the rest was too old");
    assert_eq!(sampled_out, (1 + 5) + 1);
}

#[test]
fn a_clock_that_is_set_back_makes_no_trace_old() {
    let mut rig = HeldRig::new(|builder| builder.hold_seconds(10));
    let trace = TraceContext::new_trace();
    for step in [5, -86_400, 5, -3, 4] {
        rig.emit(EventType::CacheHit, "hit", &trace);
        rig.flush();
        rig.pass(step);
    }
    rig.emit(EventType::ToolError, "error", &trace);
    rig.flush();
    assert_eq!(rig.close().0.len(), 6);
}

#[test]
fn at_the_close_a_request_without_an_end_is_written_and_the_rest_is_sampled_out() {
    let mut rig = HeldRig::new(|builder| builder);
    let [open, over, bare] = [(); 3].map(|()| TraceContext::new_trace());
    rig.emit(EventType::RequestStart, "open", &open);
    rig.emit(EventType::CacheHit, "open", &open);
    rig.emit(EventType::CacheHit, "bare", &bare);
    rig.emit(EventType::RequestStart, "over", &over);
    rig.emit(EventType::RequestEnd, "over", &over);
    let (lines, sampled_out) = rig.close();
    assert_eq!(told(&lines), [("open", FAILED), ("open", FAILED)]);
    assert_eq!(sampled_out, 3);
}

#[test]
fn what_the_held_lane_overwrites_is_sampled_out_and_displaces_no_other_event() {
    let mut rig = HeldRig::new(|builder| builder.queue_capacity(64).hold_bytes(64 << 10));
    let kept = TraceContext::new_trace();
    let trace = TraceContext::new_trace();
    for _ in 0..10 {
        rig.audit.emit(
            &AuditEvent::new(EventType::CacheHit, "a", "slow").latency_ms(2e3).context(&kept),
        );
    }
    for n in 0..1000 {
        rig.emit(EventType::CacheHit, "held", &trace);
        if n % 100 == 0 {
            assert!(rig.audit.accounting().adds_up());
        }
    }
    assert!(rig.audit.accounting().sampled_out >= 936);
    rig.emit(EventType::ToolError, "error", &trace);
    rig.flush();
    let (lines, sampled_out) = rig.close();
    let slow = lines.iter().filter(|line| line["action"] == "slow").count();
    assert_eq!((slow, lines.len() as u64 + sampled_out), (10, 10 + 1000 + 1));
    assert!(lines.len() > 11, "the newest of them are there");
}

#[test]
fn an_error_that_its_own_rate_leaves_out_makes_no_trace_whole_and_waits_as_the_others_do() {
    let none = SamplingPolicy { error_rate: 0.0, ..NOTHING };
    let mut rig = HeldRig::new(|builder| builder.sampling(none));
    let trace = TraceContext::new_trace();
    rig.emit(EventType::CacheHit, "hit", &trace);
    rig.emit(EventType::ToolError, "error", &trace);
    rig.flush();
    assert!(rig.lines().is_empty());
    // It is kept because it is slow.
    let slow = AuditEvent::new(EventType::LlmError, "a", "slow").latency_ms(2e3);
    rig.audit.emit(&slow.context(&trace));
    let lines = rig.close().0;
    assert_eq!(told(&lines), [("hit", FAILED), ("error", FAILED), ("slow", Some("slow"))]);
}

#[test]
fn nothing_is_held_without_a_context_nor_if_failed_traces_are_sampled() {
    let mut rig = HeldRig::new(|builder| builder);
    rig.audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "alone"));
    assert_eq!(rig.audit.accounting().sampled_out, 1);
    rig.close();
    let mut rig = HeldRig::new(|builder| builder.failed_traces(crate::FailedTraces::Sampled));
    let trace = TraceContext::new_trace();
    rig.emit(EventType::CacheHit, "hit", &trace);
    assert_eq!(rig.audit.accounting().sampled_out, 1);
    rig.emit(EventType::ToolError, "error", &trace);
    assert_eq!(told(&rig.close().0), [("error", None)]);
}

#[test]
fn a_failed_trace_is_whole_though_its_id_alone_would_keep_it() {
    let half = SamplingPolicy { trace_rate: 0.5, ..NOTHING };
    let mut rig = HeldRig::new(|builder| builder.sampling(half));
    let trace = TraceContext::from_ids((1 << 56) - 1, 1, None).unwrap();
    rig.emit(EventType::CacheHit, "whole", &trace);
    let split = trace.with_tracestate("ot=rv:00000000000000");
    rig.emit(EventType::CacheHit, "hit", &split);
    rig.emit(EventType::ToolError, "error", &split);
    let (lines, _) = rig.close();
    let mut told = told(&lines);
    told.sort_unstable();
    assert_eq!(told, [("error", None), ("hit", FAILED), ("whole", None)]);
}

/// Everything in a failed trace that is too large for the hold is counted, and all else is written.
#[test]
fn a_trace_that_is_larger_than_the_hold_keeps_its_counts() {
    let mut rig = HeldRig::new(|builder| builder.hold_bytes(64 << 10));
    let trace = TraceContext::new_trace();
    for _ in 0..500 {
        rig.emit(EventType::CacheHit, "hit", &trace);
        rig.flush();
    }
    rig.emit(EventType::ToolError, "error", &trace);
    rig.flush();
    // Nothing is missing in one that is smaller.
    let small = TraceContext::new_trace();
    rig.emit(EventType::CacheHit, "hit", &small);
    rig.emit(EventType::ToolError, "error", &small);
    rig.flush();
    let (lines, sampled_out) = rig.close();
    assert!(lines.len() > 100, "{}", lines.len());
    assert_eq!(lines.len() as u64 + sampled_out, 503);
    assert!(lines.iter().any(|line| line["status"] == Status::Error.name()));
    let counts = rig.audit.accounting();
    assert_eq!((counts.hold_full, counts.torn_traces), (sampled_out, 1));
    let stop = format!(r#""hold_full":{sampled_out},"torn_traces":1,"#);
    assert!(rig.fs.names().iter().any(|name| rig.fs.text(name).contains(&stop)));
}

#[test]
fn a_trace_that_has_to_make_room_for_others_is_counted() {
    let mut rig = HeldRig::new(|builder| builder.hold_bytes(64 << 10));
    for _ in 0..500 {
        rig.emit(EventType::CacheHit, "hit", &TraceContext::new_trace());
        rig.flush();
    }
    let full = rig.audit.accounting();
    assert!(full.hold_full > 100 && full.hold_full == full.sampled_out, "{full:?}");
    // Those that are still held end well or age out, which is not for lack of room.
    let (_, sampled_out) = rig.close();
    let counts = rig.audit.accounting();
    assert_eq!((sampled_out, counts.hold_full, counts.torn_traces), (500, full.hold_full, 0));
}
