//! The recorder of the process, and what a thread captures for a test instead.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use llm_audit_process::cell::{Once, PerProcess};
use llm_audit_process::exit;
use llm_audit_process::fork;
use llm_audit_process::lock::Mutex;

use super::{AuditLogger, Outlet};
use crate::config::Builder;
use crate::context;
use crate::error::{Error, Kind};
use crate::metrics::{Flushed, add};
use crate::pricing::{Usage, Usd};
use crate::record::event::AuditEvent;
use crate::sampler::SamplingPolicy;

/// The recorder of the process.
static GLOBAL: Once<AuditLogger> = Once::new();
/// Which way [`emit`] goes: the bits below.
pub(super) static STATE: AtomicU8 = AtomicU8::new(0);
/// [`GLOBAL`] is set.
pub(super) const INITIALIZED: u8 = 1;
/// It records.
const ENABLED: u8 = 2;
/// Some thread captures its events for a test.
const CAPTURING: u8 = 4;

/// Builds the recorder of the process from the environment. Keep the guard to the end of `main`:
/// dropped, it writes what is queued and closes. So does the exit of the process.
///
/// # Errors
///
/// A variable that is not accepted (the error names it, what was given and what is accepted), a
/// folder that cannot be written to, a second `init`.
pub fn init() -> Result<Guard, Error> {
    init_with(AuditLogger::builder())
}

/// As [`init`], from a builder.
///
/// # Errors
///
/// As [`init`].
pub fn init_with(builder: Builder) -> Result<Guard, Error> {
    /// One `init` at a time, so that a second one starts no second logger.
    static INIT: PerProcess<Mutex<()>> = PerProcess::new();
    let _alone = INIT.get_or_make(Mutex::default).0.lock();
    if GLOBAL.get().is_some() {
        return Err(Error::new(Kind::AlreadyInit));
    }
    let logger = builder.build()?;
    context::set_process_trace_rate(match logger.sampling() {
        SamplingPolicy { debug: true, .. } => 1.0,
        policy => policy.trace_rate,
    });
    let enabled = if logger.0.settings().enabled { ENABLED } else { 0 };
    let logger = GLOBAL.set(logger);
    // Release: pairs with the acquire inside `Once::get`; the flag itself only says where to look.
    STATE.fetch_or(INITIALIZED | enabled, Ordering::Release);
    logger.credit_early();
    Ok(Guard { logger: logger.clone() })
}

/// Returns the recorder of the process, if there is one.
pub(super) fn get() -> Option<&'static AuditLogger> {
    GLOBAL.get()
}

/// Closes the recorder of the process when dropped, waiting up to five seconds for the writer. In a
/// forked child it closes the child's own, if it has one.
#[derive(Debug)]
#[must_use = "dropping the guard closes the recorder"]
pub struct Guard {
    logger: AuditLogger,
}

impl Guard {
    /// The recorder of the process.
    pub fn logger(&self) -> &AuditLogger {
        &self.logger
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.logger.0.end();
    }
}

/// Records into the recorder of the process; see [`AuditLogger::emit`]. Before `init` the event is
/// counted as rejected.
#[inline]
pub fn emit(event: &AuditEvent<'_>) {
    with_logger(|logger| logger.emit(event));
}

/// As [`emit`], waiting for room; see [`AuditLogger::emit_wait`].
pub fn emit_wait(event: &AuditEvent<'_>) {
    with_logger(|logger| logger.emit_wait(event));
}

/// Waits for the recorder that [`emit`] records into; see [`AuditLogger::flush`]. Before `init` there
/// is nothing to wait for.
///
/// # Errors
///
/// As [`AuditLogger::flush`].
pub fn flush(deadline: Duration) -> Result<Flushed, Error> {
    peek(|logger| logger.flush(deadline)).unwrap_or(Ok(Flushed::default()))
}

/// As [`flush`], until it is on the disk; see [`AuditLogger::flush_durable`].
///
/// # Errors
///
/// As [`AuditLogger::flush_durable`].
pub fn flush_durable(deadline: Duration) -> Result<Flushed, Error> {
    peek(|logger| logger.flush_durable(deadline)).unwrap_or(Ok(Flushed::default()))
}

/// Closes all recorders of the process on SIGTERM and SIGINT, also those that are built later. The
/// process then ends as it would have without this call, so its parent sees the signal. Off unless
/// it is called.
///
/// Events emitted while the recorders close are counted as rejected. The recorders have five seconds,
/// even if something hangs. A second signal ends the process at once.
///
/// This is for programs that do not handle these signals themselves. A service that handles them, to
/// end its requests first, drops its guard or returns from `main`. A signal that is ignored, as under
/// `nohup`, stays ignored. After a signal SIGALRM is in use. A forked child listens too.
///
/// # Errors
///
/// Another handler for one of the signals exists, and nothing was changed; or the operating system
/// refused the handler.
///
/// # Examples
///
/// ```no_run
/// let _guard = llm_audit::init()?;
/// llm_audit::close_on_signals()?;
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[cfg(unix)]
pub fn close_on_signals() -> Result<(), Error> {
    Ok(exit::close_on_signals()?)
}

/// What a call of `model` with this usage costs; `None`, and never nothing, where no price is
/// known.
///
/// The prices are those of the recorder that [`emit`](crate::emit) records into, and before
/// [`init`](crate::init) the built-in ones; see
/// [`AuditLogger::calculate_cost`](crate::AuditLogger::calculate_cost). `usage` is a [`Usage`], or
/// the pair of input and output tokens where nothing was cached.
///
/// # Examples
///
/// ```
/// use llm_audit::{Usage, calculate_cost};
///
/// assert_eq!(calculate_cost("gpt-4o-2024-08-06", (1_000, 500)), "0.0075".parse().ok());
/// let mut usage = Usage::new(1_000, 500);
/// usage.cache_read = 1_000;
/// assert_eq!(calculate_cost("openai/gpt-4o", usage), "0.00625".parse().ok());
/// assert_eq!(calculate_cost("a-model-of-our-own", (1_000, 500)), None);
/// ```
pub fn calculate_cost(model: &str, usage: impl Into<Usage>) -> Option<Usd> {
    Outlet::default().cost_at("", &[model], usage.into())
}

/// Whether what [`emit`] records may hold prompts, completions, arguments and results; see
/// [`Builder::capture_content`]. `false` before `init`.
pub fn captures_content() -> bool {
    peek(AuditLogger::captures_content).unwrap_or(false)
}

/// What `look` finds in the logger that [`emit`] records into at this moment.
pub(crate) fn peek<R>(look: impl FnOnce(&AuditLogger) -> R) -> Option<R> {
    // Relaxed: `Once` orders the rest.
    if STATE.load(Ordering::Relaxed) & CAPTURING != 0 && is_capturing() {
        let mut found = None;
        with_captured(|logger| found = Some(look(logger)));
        return found;
    }
    GLOBAL.get().map(look)
}

thread_local! {
    /// The captures of the thread, the innermost last.
    static CAPTURES: RefCell<Vec<AuditLogger>> = const { RefCell::new(Vec::new()) };
}

/// Has [`emit`] record into `logger` on this thread, until [`stop_capture`].
pub(crate) fn start_capture(logger: &AuditLogger) {
    STATE.fetch_or(CAPTURING, Ordering::Relaxed);
    CAPTURES.with_borrow_mut(|captures| captures.push(logger.clone()));
}

/// Ends the thread's last capture into the logger of this instance.
pub(crate) fn stop_capture(instance: &str) {
    // Taken out first, dropped after: closing a logger runs code of its own.
    let _ended = CAPTURES.try_with(|captures| {
        let mut captures = captures.borrow_mut();
        let last = captures.iter().rposition(|logger| logger.instance() == instance);
        last.map(|at| captures.remove(at))
    });
}

/// Returns whether the thread's events go to a capture.
fn is_capturing() -> bool {
    CAPTURES.try_with(|captures| !captures.borrow().is_empty()).unwrap_or(false)
}

/// Hands the thread's innermost capture to `record`.
fn with_captured(record: impl FnOnce(&AuditLogger)) {
    // A clone, because a `Serialize` impl may emit or capture in turn.
    let innermost = CAPTURES.try_with(|captures| captures.borrow().last().cloned());
    if let Ok(Some(logger)) = innermost {
        record(&logger);
    }
}

#[inline]
fn with_logger(record: impl FnOnce(&AuditLogger)) {
    // Relaxed: `Once` orders the rest.
    let state = STATE.load(Ordering::Relaxed);
    if state == INITIALIZED {
        return;
    }
    if state & CAPTURING != 0 && is_capturing() {
        return with_captured(record);
    }
    match GLOBAL.get() {
        Some(logger) => record(logger),
        None => {
            add(&fork::own().early, 1);
            if let Some(logger) = GLOBAL.get() {
                logger.credit_early();
            }
        }
    }
}
