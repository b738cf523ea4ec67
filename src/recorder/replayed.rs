//! The logger of a replay, which gets the events of the replayed trace from every thread.

use std::sync::atomic::Ordering;

use llm_audit_process::lock::Mutex;

use super::AuditLogger;
use super::global::{REPLAYING, STATE};
use crate::context::{self, TraceContext};
use crate::record::event::{AuditEvent, IdSource};

/// The logger, and the time that its clock always shows.
static LOGGER: Mutex<Option<(AuditLogger, i64)>> = Mutex::new(None);

/// Makes the events of the replayed trace go to `logger`, all at this time.
pub(crate) fn start_replay_logger(logger: &AuditLogger, unix_micros: i64) {
    *LOGGER.lock() = Some((logger.clone(), unix_micros));
    STATE.fetch_or(REPLAYING, Ordering::Relaxed);
}

pub(crate) fn stop_replay_logger() {
    STATE.fetch_and(!REPLAYING, Ordering::Relaxed);
    // Dropped after the lock: closing a logger runs its own code.
    let _stopped = LOGGER.lock().take();
}

/// Emits an event of the replayed trace. Returns `false` for all others.
///
/// Durations are 0, because no time passes.
pub(super) fn emit_replayed(event: &AuditEvent<'_>) -> bool {
    if !context::is_replaying() {
        return false;
    }
    let is_replayed = match event.ids {
        IdSource::Exactly(context) | IdSource::Within(context) => context.is_replayed(),
        IdSource::Current => {
            TraceContext::with_current(|current| current.is_some_and(TraceContext::is_replayed))
        }
    };
    let logger = LOGGER.lock().as_ref().filter(|_| is_replayed).cloned();
    let Some((logger, now)) = logger else { return false };
    let latency_ms = event.latency_ms.map(|_| 0.0);
    // The lines are the same in each replay only if none is lost.
    logger.emit_wait(&AuditEvent { timestamp: Some(now), latency_ms, ..*event });
    true
}

/// Returns the logger of a replay if this thread is in its trace. All others keep their own, with its rules
/// about content.
pub(super) fn replay_logger_here() -> Option<AuditLogger> {
    if !context::is_replaying() {
        return None;
    }
    let is_here =
        TraceContext::with_current(|current| current.is_some_and(TraceContext::is_replayed));
    if is_here { replay_logger() } else { None }
}

/// Returns the logger of the replay that is under way.
pub(crate) fn replay_logger() -> Option<AuditLogger> {
    LOGGER.lock().as_ref().map(|(logger, _)| logger.clone())
}
