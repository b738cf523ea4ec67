//! Records decoded requests, and acknowledges them after their events are written.
//!
//! One thread emits, because that may wait for room. A second one flushes: while a flush runs, further requests are
//! emitted, and the next flush is for all of them.

mod emit;
mod seen;

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use http::StatusCode;
use llm_audit::{Accounting, AuditLogger};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot;

use crate::answer::{Accepted, Refusal};
use crate::decode::Decoded;
use crate::mapping::Mapper;
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
    /// Makes room for another decoded request.
    pub(crate) turn: OwnedSemaphorePermit,
}

/// A request whose events are emitted and not yet written.
struct Emitted {
    key: BodyKey,
    outcome: Outcome,
    /// The events that were lost before the first one of this request.
    lost_before: u64,
}

/// The threads that record.
pub(crate) struct Recorder {
    jobs: Mutex<Option<Sender<Job>>>,
    seen: Arc<Seen>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Recorder {
    pub(crate) fn start(logger: &AuditLogger, durable: bool) -> io::Result<Self> {
        let (jobs, to_emit) = mpsc::channel();
        let (emitted, to_commit) = mpsc::channel();
        let seen = Arc::new(Seen::default());
        let emitter = thread::Builder::new().name("receive-emit".into()).spawn({
            let logger = logger.clone();
            move || emit_jobs(&to_emit, &emitted, &logger)
        })?;
        let committer = thread::Builder::new().name("receive-commit".into()).spawn({
            let (logger, seen) = (logger.clone(), Arc::clone(&seen));
            move || commit_emitted(&to_commit, &logger, &seen, durable)
        })?;
        let threads = Mutex::new(vec![emitter, committer]);
        Ok(Self { jobs: Mutex::new(Some(jobs)), seen, threads })
    }

    /// Records a request, unless the same one was acknowledged or is being recorded. In both cases the receiver gets
    /// the outcome.
    pub(crate) fn record(&self, job: Job) -> oneshot::Receiver<Outcome> {
        let (outcome, is_new) = self.seen.begin(job.key);
        if is_new {
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let key = job.key;
            if jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
                self.seen.finish(key, &Err(Refusal::unavailable("the receiver is stopping")));
            }
        }
        outcome
    }

    /// Waits until everything that was given is recorded.
    pub(crate) fn stop(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }

    /// Returns how many requests were acknowledged without being recorded again.
    pub(crate) fn repeated(&self) -> u64 {
        self.seen.repeated()
    }
}

fn emit_jobs(jobs: &Receiver<Job>, emitted: &Sender<Emitted>, logger: &AuditLogger) {
    let mut mapper = Mapper::new(logger.captures_content());
    for Job { key, request, cut, turn } in jobs {
        let lost_before = lost_events(&logger.accounting());
        let emit = || emit_request(&mut mapper, logger, request, cut);
        // One request that the mapping cannot take must not end the thread.
        let outcome = panic::catch_unwind(AssertUnwindSafe(emit)).map_err(|_| {
            let why = "the request cannot be mapped to events";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why)
        });
        drop(turn);
        if emitted.send(Emitted { key, outcome, lost_before }).is_err() {
            return;
        }
    }
}

/// Emits the events of a request.
fn emit_request(
    mapper: &mut Mapper,
    logger: &AuditLogger,
    request: Decoded,
    mut accepted: Accepted,
) -> Accepted {
    let mut each = |event| emit::emit_received(logger, &event);
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
