//! Records decoded requests, and acknowledges them after their events are written.
//!
//! The thread that decoded a request emits its events, and waits for room. One thread flushes: while a flush runs,
//! further requests are emitted, and the next flush is for all of them.

mod emit;
mod seen;

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use http::StatusCode;
use llm_audit::{Accounting, AuditLogger};
use tokio::sync::oneshot;

use crate::answer::{Accepted, Refusal};
use crate::decode::Decoded;
use crate::mapping::{Mapper, ReceivedEvent};
use crate::settings::FLUSH_WITHIN;
use seen::Seen;
pub(crate) use seen::{BodyHasher, BodyKey};

/// What became of a request.
pub(crate) type Outcome = Result<Accepted, Refusal>;

/// The requests that one flush is for, at most.
const GROUP_MAX: usize = 1_024;

/// A request to record.
pub(crate) struct Job {
    pub(crate) key: BodyKey,
    pub(crate) request: Decoded,
    /// The records that are already left out.
    pub(crate) cut: Accepted,
}

/// A request whose events are emitted and not yet written.
struct Emitted {
    key: BodyKey,
    outcome: Outcome,
    /// The events that were lost before the first one of this request.
    lost_before: u64,
}

/// Emits requests, and has the thread that acknowledges them.
pub(crate) struct Recorder {
    logger: AuditLogger,
    mapper: Mapper,
    seen: Arc<Seen>,
    /// To the thread. `None` after the stop.
    emitted: Mutex<Option<Sender<Emitted>>>,
    /// Disconnected when the thread has ended.
    end: Mutex<Receiver<()>>,
}

impl Recorder {
    pub(crate) fn start(logger: &AuditLogger, durable: bool) -> io::Result<Self> {
        let (emitted, to_commit) = mpsc::channel();
        let (running, end) = mpsc::channel();
        let recorder = Self {
            logger: logger.clone(),
            mapper: Mapper::new(logger.captures_content()),
            seen: Arc::new(Seen::default()),
            emitted: Mutex::new(Some(emitted)),
            end: Mutex::new(end),
        };
        let (logger, seen) = (logger.clone(), Arc::clone(&recorder.seen));
        thread::Builder::new().name("receive-commit".into()).spawn(move || {
            let _running: Sender<()> = running;
            commit_emitted(&to_commit, &logger, &seen, durable);
        })?;
        Ok(recorder)
    }

    /// Emits a request, and waits for room, unless the same one was acknowledged or is being recorded. In both cases
    /// the receiver gets the outcome.
    pub(crate) fn record(&self, job: Job) -> oneshot::Receiver<Outcome> {
        let (outcome, is_new) = self.seen.begin(job.key);
        if is_new {
            self.emit(job);
        }
        outcome
    }

    fn emit(&self, Job { key, request, cut }: Job) {
        let lost_before = lost_events(&self.logger.accounting());
        let emit = || emit_request(&self.mapper, &self.logger, request, cut);
        // A request that the mapping cannot take must get its answer, too.
        let outcome = panic::catch_unwind(AssertUnwindSafe(emit)).map_err(|_| {
            let why = "the request cannot be mapped to events";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why)
        });
        let emitted = self.emitted.lock().unwrap_or_else(PoisonError::into_inner);
        let emitting = Emitted { key, outcome, lost_before };
        if emitted.as_ref().is_none_or(|emitted| emitted.send(emitting).is_err()) {
            self.seen.finish(key, &Err(Refusal::unavailable("the receiver is stopping")));
        }
    }

    /// Waits until everything that is emitted is acknowledged, if the disk allows it in this time.
    pub(crate) fn stop(&self, within: Duration) {
        drop(self.emitted.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Nothing is sent. A thread that panicked has said so.
        let _ = self.end.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(within);
    }

    /// Returns how many requests were acknowledged without being recorded again.
    pub(crate) fn repeated(&self) -> u64 {
        self.seen.repeated()
    }
}

/// Emits the events of a request.
fn emit_request(
    mapper: &Mapper,
    logger: &AuditLogger,
    request: Decoded,
    mut accepted: Accepted,
) -> Accepted {
    let mut each = |event: ReceivedEvent| match event.is_of(logger.instance()) {
        // A shipper of this log's folder sends it here. Each round would record it again.
        true => logger.count_refused("own_event"),
        false => emit::emit_received(logger, &event),
    };
    let skipped = match request {
        Decoded::Logs(request) => mapper.logs(request, &mut each),
        Decoded::Traces(request) => mapper.spans(request, &mut each),
        Decoded::Metrics(points) => {
            accepted.add(points, Some("metrics are not recorded".to_owned()));
            return accepted;
        }
    };
    for _ in 0..accepted.rejected + skipped.count {
        logger.count_refused("no_event");
    }
    accepted.add(skipped.count, skipped.why);
    accepted
}

fn commit_emitted(emitted: &Receiver<Emitted>, logger: &AuditLogger, seen: &Seen, durable: bool) {
    while let Ok(first) = emitted.recv() {
        let group: Vec<_> =
            std::iter::once(first).chain(emitted.try_iter().take(GROUP_MAX)).collect();
        let flushed = match durable {
            true => logger.flush_durable(FLUSH_WITHIN),
            false => logger.flush(FLUSH_WITHIN),
        };
        let flushed = flushed.map_err(|error| format!("the events are not written: {error}"));
        let lost = lost_events(&logger.accounting());
        for Emitted { key, outcome, lost_before } in group {
            let written = match &flushed {
                Err(why) => Err(Refusal::unavailable(why.clone())),
                // The lost events may be those of another request. That one is then sent again, too.
                Ok(_) if lost != lost_before => Err(Refusal::unavailable("events were lost")),
                Ok(_) => outcome,
            };
            seen.finish(key, &written);
        }
    }
}

/// Returns the events that were emitted and will not be written. No event is sampled out.
fn lost_events(counts: &Accounting) -> u64 {
    counts.overwritten + counts.io_lost + counts.rejected + counts.sampled_out
}

#[cfg(test)]
mod tests {
    use llm_audit::export::Exporter;

    use super::*;
    use crate::answer::{Encoding, Signal};

    /// Hangs until the sender of its channel is dropped.
    struct Hanging(Receiver<()>);

    impl Exporter for Hanging {
        fn export(&mut self, _: &[u8]) -> io::Result<()> {
            let _ = self.0.recv();
            Ok(())
        }
    }

    /// Takes everything.
    struct Discard;

    impl Exporter for Discard {
        fn export(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_of_the_receivers_own_log_is_not_recorded_again() {
        let builder = AuditLogger::builder().files(false).stdout(false).debug(true);
        let logger = builder.exporter(Discard).build().unwrap();
        let emitted_after = |instance: &str, data: &str| {
            let attributes = serde_json::json!([
                {"key": "llm_audit.event_type", "value": {"stringValue": "cache.hit"}},
                {"key": "llm_audit.instance", "value": {"stringValue": instance}},
                {"key": "llm_audit.data", "value": {"stringValue": data}},
            ]);
            let request = serde_json::json!({"resourceLogs": [{"scopeLogs": [
                {"scope": {"name": "llm-audit"}, "logRecords": [{"attributes": attributes}]},
            ]}]});
            let request = Decoded::Logs(serde_json::from_value(request).unwrap());
            emit_request(&Mapper::default(), &logger, request, Accepted::default());
            logger.accounting().emitted
        };
        let (own, other) = (logger.instance().to_owned(), "00000000000000aa");
        assert_eq!(emitted_after(other, "{}"), 1);
        assert_eq!(emitted_after(&own, "{}"), 1);
        // By way of another receiver.
        let through = format!(r#"{{"origin": {{"instance": "{own}"}}}}"#);
        assert_eq!(emitted_after(other, &through), 1);
    }

    #[test]
    fn a_disk_that_hangs_holds_up_no_stop() {
        let (hold, held) = mpsc::channel();
        let builder = AuditLogger::builder().files(false).stdout(false).debug(true);
        let logger = builder.exporter(Hanging(held)).build().unwrap();
        let recorder = Recorder::start(&logger, false).unwrap();
        let job = |body: &[u8]| {
            let key = BodyHasher::default().key_of(Signal::Logs, Encoding::Json, body);
            let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"a.b"}]}]}]}"#;
            let request = Decoded::Logs(serde_json::from_str(json).unwrap());
            Job { key, request, cut: Accepted::default() }
        };
        let mut outcome = recorder.record(job(b"1"));
        recorder.stop(Duration::from_millis(20));
        assert!(outcome.try_recv().is_err(), "it is not written");
        let refused = recorder.record(job(b"2")).blocking_recv().unwrap();
        assert!(refused.is_err(), "it is stopped");
        drop(hold);
        assert!(outcome.blocking_recv().unwrap().is_ok(), "it is written now");
    }
}
