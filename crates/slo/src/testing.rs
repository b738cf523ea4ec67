//! Logs for the tests: loggers that write events and totals as the recorder does.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use llm_audit_log::schema::notices::{EventTotals, Notice, NoticeHead, UserRow};
use llm_audit_log::schema::{LineFields, MetricsRow, latency_bucket};
use llm_audit_log::{Status, Usd};
use serde_json::json;

use crate::span::{DAY, MINUTE, floor};

/// The beginning of 2026-01-02.
pub(crate) const START: i64 = 20_455 * DAY;

/// An event of a test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TestEvent {
    pub(crate) time: i64,
    pub(crate) event_type: &'static str,
    pub(crate) status: Status,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) cost: Option<Usd>,
    pub(crate) user: String,
    pub(crate) trace: u128,
}

impl TestEvent {
    pub(crate) fn new(time: i64, event_type: &'static str, status: Status) -> Self {
        let (user, trace) = (String::new(), time as u128 + (0xabc_u128 << 96));
        Self { time, event_type, status, latency_ms: None, cost: None, user, trace }
    }

    pub(crate) fn request(time: i64, status: Status) -> Self {
        Self { latency_ms: Some(100.0), ..Self::new(time, "request.end", status) }
    }

    pub(crate) fn model_call(time: i64) -> Self {
        Self::new(time, "llm.invoke", Status::Ok)
    }

    pub(crate) fn cost(self, dollars: f64) -> Self {
        Self { cost: Usd::try_from(dollars).ok(), ..self }
    }

    pub(crate) fn user(self, user: &str) -> Self {
        Self { user: user.to_owned(), ..self }
    }

    pub(crate) fn slow(self, latency_ms: f64) -> Self {
        Self { latency_ms: Some(latency_ms), ..self }
    }

    /// The event as a line of no instance.
    pub(crate) fn line(&self) -> Vec<u8> {
        self.write(None, None)
    }

    fn write(&self, instance: Option<&str>, seq: Option<u64>) -> Vec<u8> {
        let data = json!({ "user": self.user, "model": "gpt-4o" });
        let mut line = Vec::new();
        LineFields {
            instance,
            seq,
            trace_id: Some(self.trace),
            span_id: Some(0xb7ad),
            timestamp: Some(self.time),
            event_type: Some(self.event_type),
            agent: Some("benefits"),
            action: Some("answer"),
            status: Some(self.status),
            latency_ms: self.latency_ms,
            tokens_input: self.cost.map(|_| 7),
            cost_usd: self.cost,
            data: Some(&data),
            ..LineFields::default()
        }
        .write(&mut line);
        line
    }

    fn add_to(&self, totals: &mut EventTotals) {
        let is_same = |row: &MetricsRow| {
            (&*row.event_type, row.status, row.cost_usd == Usd::ZERO)
                == (self.event_type, self.status, self.cost.is_none())
        };
        let at = totals.rows.iter().position(is_same);
        let row = match at {
            Some(at) => &mut totals.rows[at],
            None => {
                let mut row = MetricsRow::default();
                (row.event_type, row.status) = (self.event_type.to_owned(), self.status);
                totals.rows.push(row);
                totals.rows.last_mut().unwrap()
            }
        };
        row.events += 1;
        if let Some(ms) = self.latency_ms {
            row.latencies.add_to_bucket(latency_bucket((ms * 1_000.0) as u64), 1);
        }
        if let Some(cost) = self.cost {
            row.tokens_input += 7;
            row.priced += 1;
            row.cost_usd += cost;
            add_user(totals, &self.user, cost);
        }
    }
}

fn add_user(totals: &mut EventTotals, user: &str, cost: Usd) {
    if user.is_empty() {
        return;
    }
    let top = &mut totals.users.top;
    match top.iter_mut().find(|row| row.user == user) {
        Some(row) => row.cost_usd += cost,
        None => top.push(UserRow { user: user.to_owned(), cost_usd: cost, ..UserRow::default() }),
    }
}

/// A logger of a test. Dropping it is like killing it: its file is unlocked, without `audit.stop`.
pub(crate) struct TestLogger {
    file: File,
    pub(crate) instance: String,
    pub(crate) has_totals: bool,
    seq: u64,
    notice: u64,
    /// Events that no totals have counted, whether they were written or not.
    pub(crate) uncounted: Vec<TestEvent>,
    /// How long after the end of a minute its totals are written.
    pub(crate) totals_delay: i64,
    /// Which of these were written, if the test notes it.
    pub(crate) kept: Vec<bool>,
}

impl TestLogger {
    /// Starts a logger with a file of its own. The share of the good events that it keeps is a half.
    pub(crate) fn start(
        dir: &Path,
        number: u64,
        service: &str,
        has_totals: bool,
        time: i64,
    ) -> Self {
        fs::create_dir_all(dir).unwrap();
        let file = File::create(dir.join(format!("audit-2026-01-02.{number}.jsonl"))).unwrap();
        file.lock().unwrap();
        let instance = format!("{number:016x}");
        let mut logger = Self {
            file,
            instance,
            has_totals,
            seq: 0,
            notice: 0,
            uncounted: Vec::new(),
            totals_delay: 0,
            kept: Vec::new(),
        };
        let sampling = json!({
            "trace_rate": 0.0, "success_rate": if has_totals { 0.5 } else { 1.0 }, "error_rate": 1.0
        });
        let data = json!({
            "service": service, "first": true, "sampling": sampling, "totals": has_totals
        });
        logger.own_line("audit.start", time, &data);
        logger
    }

    pub(crate) fn own_line(&mut self, event_type: &str, time: i64, data: &serde_json::Value) {
        self.notice += 1;
        let mut line = Vec::new();
        LineFields {
            instance: Some(&self.instance),
            notice: Some(self.notice),
            timestamp: Some(time),
            event_type: Some(event_type),
            agent: Some("llm-audit"),
            action: Some("own"),
            status: Some(Status::Ok),
            data: Some(data),
            ..LineFields::default()
        }
        .write(&mut line);
        self.file.write_all(&line).unwrap();
    }

    /// Emits an event. Sampling may leave its line out.
    pub(crate) fn emit(&mut self, event: &TestEvent, is_kept: bool) {
        if is_kept {
            self.seq += 1;
            self.file.write_all(&event.write(Some(&self.instance), Some(self.seq))).unwrap();
        }
        if self.has_totals {
            self.uncounted.push(event.clone());
        }
    }

    pub(crate) fn lose(&mut self, time: i64, count: u64) {
        let (first, last) = (self.seq + 1, self.seq + count);
        self.seq = last;
        let data =
            json!({ "overwritten": count, "io_lost": 0, "first_seq": first, "last_seq": last });
        self.own_line("audit.loss", time, &data);
    }

    /// Writes the totals of each minute that has events.
    pub(crate) fn write_totals(&mut self) {
        self.write_totals_or_lose(true);
    }

    /// Writes the totals, or loses the lines.
    pub(crate) fn write_totals_or_lose(&mut self, are_written: bool) {
        let mut events = std::mem::take(&mut self.uncounted);
        events.sort_by_key(|event| floor(event.time, MINUTE));
        for minute in events.chunk_by(|a, b| floor(a.time, MINUTE) == floor(b.time, MINUTE)) {
            let mut totals = EventTotals::default();
            minute.iter().for_each(|event| event.add_to(&mut totals));
            self.write_totals_of(floor(minute[0].time, MINUTE), totals, are_written);
        }
    }

    /// Writes the totals of the minute that begins at this time.
    pub(crate) fn write_totals_of(
        &mut self,
        from: i64,
        mut totals: EventTotals,
        are_written: bool,
    ) {
        (totals.from, totals.to, totals.through_seq) = (from, from + MINUTE, self.seq);
        self.notice += 1;
        let (instance, notice) = (&*self.instance, self.notice);
        let timestamp = totals.to + self.totals_delay;
        let mut line = Vec::new();
        totals.write(&mut line, NoticeHead { instance, notice, timestamp });
        if are_written {
            self.file.write_all(&line).unwrap();
        }
    }

    /// Closes the logger.
    pub(crate) fn stop(mut self, time: i64) {
        self.write_totals();
        let data = json!({
            "emitted": self.seq, "written": self.seq, "overwritten": 0, "sampled_out": 0,
            "rejected": 0, "io_lost": 0, "queued": 0
        });
        self.own_line("audit.stop", time, &data);
    }
}
