//! Tests of `audit.totals`, which have all events before sampling.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{FIRST, NOON, model};
use crate::writer::fs::TestClock;
use crate::writer::fs::mem::MemFs;
use crate::writer::{Platform, Writer, WriterTurn};
use crate::{AuditEvent, AuditLogger, EventType, FailedTraces, SamplingPolicy, Status};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// A logger that samples everything out, whose writer is turned by hand.
struct Minutes {
    fs: MemFs,
    clock: Arc<TestClock>,
    audit: AuditLogger,
    writer: Writer,
}

impl Minutes {
    fn new() -> Self {
        let (fs, clock) = (MemFs::default(), Arc::new(TestClock::default()));
        clock.set(NOON);
        let platform = Platform { fs: Arc::new(fs.clone()), clock: clock.clone() };
        let none = SamplingPolicy { trace_rate: 0.0, success_rate: 0.0, ..Default::default() };
        let builder = AuditLogger::builder().without_environment().directory("logs").sampling(none);
        let builder = builder.failed_traces(FailedTraces::Sampled);
        let (audit, writer) = model::build_by_hand(|| builder.build_on_platform(platform)).unwrap();
        let mut minutes = Self { fs, clock, audit, writer };
        minutes.turn();
        minutes
    }

    /// Lets the writer do all there is to do.
    fn turn(&mut self) {
        while !matches!(self.writer.run_turn(), WriterTurn::Idle { .. }) {}
    }

    /// Sets the clock this long after noon, lets the writer see it, and emits so many events.
    fn emit_at(&mut self, after_noon: i64, events: usize) {
        self.clock.set(NOON + after_noon);
        self.turn();
        for _ in 0..events {
            self.audit.emit(&AuditEvent::new(EventType::ToolResult, "a", "b").latency_ms(7.0));
        }
        self.turn();
    }

    fn close(&mut self) {
        self.audit.shutdown(Duration::ZERO).unwrap_err();
        while !matches!(self.writer.run_turn(), WriterTurn::Last) {}
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.fs.text(format!("logs/{FIRST}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// From when to when, with how many events, through which number.
    fn totals(&self) -> Vec<(String, String, u64, u64)> {
        let mut lines = self.lines();
        lines.retain(|line| line["event_type"] == "audit.totals");
        let of = |line: &Value| {
            let (data, time) = (&line["data"], |name: &str| {
                line["data"][name].as_str().unwrap()[11..19].to_owned()
            });
            let rows = data["rows"].as_array().unwrap();
            let events = rows.iter().map(|row| row["events"].as_u64().unwrap()).sum();
            (time("from"), time("to"), events, data["through_seq"].as_u64().unwrap())
        };
        lines.iter().map(of).collect()
    }
}

fn totals_are(minutes: &Minutes, expected: &[(&str, &str, u64, u64)]) {
    let own = |(from, to, events, seq): &(&str, &str, u64, u64)| {
        (format!("{from}:00"), format!("{to}:00"), *events, *seq)
    };
    assert_eq!(minutes.totals(), expected.iter().map(own).collect::<Vec<_>>());
}

#[test]
fn every_minute_with_events_has_totals() {
    let mut minutes = Minutes::new();
    minutes.emit_at(0, 1);
    minutes.emit_at(59 * SECOND, 2);
    totals_are(&minutes, &[]);
    minutes.emit_at(MINUTE, 3);
    totals_are(&minutes, &[("12:00", "12:01", 3, 0)]);
    for quiet in 2..5 {
        minutes.emit_at(quiet * MINUTE, 0);
    }
    minutes.emit_at(5 * MINUTE, 1);
    minutes.audit.emit(&AuditEvent::new(EventType::ToolError, "a", "b").status(Status::Error));
    minutes.close();
    let expected = [("12:00", "12:01", 3, 0), ("12:01", "12:02", 3, 0), ("12:05", "12:06", 2, 1)];
    totals_are(&minutes, &expected);
    assert_eq!(minutes.audit.accounting().sampled_out, 7);
    let lines = minutes.lines();
    let last = &lines[lines.len() - 2]["data"]["rows"];
    assert_eq!(last[0]["event_type"], "tool.error");
    assert_eq!((&last[1]["latency_ms_sum"], &last[1]["events"]), (&7.0.into(), &1.into()));
    let notices: Vec<_> = lines.iter().filter_map(|line| line["notice"].as_u64()).collect();
    assert_eq!(notices, [1, 2, 3, 4, 5]);
}

#[test]
fn a_log_without_events_has_no_totals() {
    let mut minutes = Minutes::new();
    minutes.emit_at(5 * MINUTE, 0);
    minutes.close();
    totals_are(&minutes, &[]);
}

#[test]
fn a_clock_that_is_set_back_loses_no_event() {
    let mut minutes = Minutes::new();
    minutes.emit_at(10 * MINUTE, 1);
    minutes.emit_at(2 * MINUTE, 2);
    minutes.emit_at(3 * MINUTE, 4);
    minutes.close();
    // The event of the eleventh minute is in the minute to which the clock went.
    totals_are(&minutes, &[("12:02", "12:03", 3, 0), ("12:03", "12:04", 4, 0)]);
}

#[test]
fn totals_that_cannot_be_written_come_with_the_next_ones() {
    let mut minutes = Minutes::new();
    minutes.emit_at(0, 1);
    minutes.fs.state().writes_fail = Some(io::ErrorKind::StorageFull);
    minutes.emit_at(MINUTE, 2);
    minutes.emit_at(2 * MINUTE, 4);
    minutes.emit_at(3 * MINUTE, 8);
    totals_are(&minutes, &[]);
    minutes.fs.state().writes_fail = None;
    minutes.emit_at(4 * MINUTE, 0);
    minutes.close();
    totals_are(&minutes, &[("12:00", "12:01", 1, 0), ("12:01", "12:04", 14, 0)]);
}
