//! The recorder of the process, and the captures that replace it on a thread in tests.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use llm_audit_process::cell::{OnceCell, PerProcess};
use llm_audit_process::exit;
use llm_audit_process::fork;
use llm_audit_process::lock::Mutex;

use super::{AuditLogger, Outlet};
use crate::config::Builder;
use crate::context;
use crate::error::{Error, ErrorCause};
use crate::metrics::{Flushed, add_to_counter};
use crate::pricing::{Usage, Usd};
use crate::record::event::AuditEvent;

/// The recorder of the process.
static GLOBAL: OnceCell<AuditLogger> = OnceCell::new();
/// Decides where [`emit`] records: the bits below.
pub(super) static STATE: AtomicU8 = AtomicU8::new(0);
/// [`GLOBAL`] is set.
pub(super) const INITIALIZED: u8 = 1;
/// The recorder of the process is enabled.
const ENABLED: u8 = 2;
/// At least one thread captures its events for a test.
const CAPTURING: u8 = 4;
/// The process replays a trace, so that nothing may be skipped.
#[cfg(feature = "replay")]
pub(super) const REPLAYING: u8 = 8;

/// Builds the recorder of the process from the environment.
///
/// Keep the guard until the end of `main`. When it is dropped, the recorder writes what is queued
/// and closes. The exit of the process does the same.
///
/// # Errors
///
/// Returns an error if a variable is not accepted, if the folder cannot be written to, or if `init`
/// was called before. The error for a variable names it, its value and what is accepted.
///
/// # Examples
///
/// ```
/// use llm_audit::{AuditEvent, EventType};
///
/// fn main() -> Result<(), llm_audit::Error> {
///     # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
///     # std::fs::create_dir_all(&folder).unwrap();
///     # std::env::set_current_dir(&folder).unwrap();
///     let _guard = llm_audit::init()?; // not `let _`, which would close the recorder at once
///     llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "benefits", "plan.get"));
///     # assert!(std::path::Path::new("logs").is_dir());
///     # drop(_guard);
///     # std::fs::remove_dir_all(folder).unwrap();
///     Ok(())
/// }
/// ```
pub fn init() -> Result<Guard, Error> {
    init_with(AuditLogger::builder())
}

/// Builds the recorder of the process from a builder; see [`init`].
///
/// # Errors
///
/// Returns the same errors as [`init`].
pub fn init_with(builder: Builder) -> Result<Guard, Error> {
    /// Serializes calls of `init`, so that a second call does not start a second logger.
    static INIT: PerProcess<Mutex<()>> = PerProcess::new();
    let _alone = INIT.get_or_make(Mutex::default).0.lock();
    if GLOBAL.get().is_some() {
        return Err(Error::new(ErrorCause::AlreadyInit));
    }
    let logger = builder.build()?;
    context::set_process_trace_rate(logger.sampling().new_trace_rate());
    let enabled = if logger.0.settings().enabled { ENABLED } else { 0 };
    let logger = GLOBAL.set(logger);
    // Release: pairs with the acquire inside `OnceCell::get`. The flag only says where to look.
    STATE.fetch_or(INITIALIZED | enabled, Ordering::Release);
    logger.count_early_events();
    Ok(Guard { logger: logger.clone() })
}

/// Returns the recorder of the process, if there is one.
pub(super) fn process_logger() -> Option<&'static AuditLogger> {
    GLOBAL.get()
}

/// Closes the recorder of the process when it is dropped.
///
/// The drop waits up to five seconds for the writer. In a forked child it closes the child's own
/// recorder, if there is one.
///
/// # Examples
///
/// ```
/// use llm_audit::{AuditEvent, AuditLogger, EventType};
///
/// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
/// let builder = AuditLogger::builder().directory(&folder).debug(true);
/// let guard = llm_audit::init_with(builder)?;
/// llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "benefits", "plan.get"));
/// let logger = guard.logger().clone();
/// drop(guard); // writes the event, and `audit.stop` after it
/// assert_eq!(logger.accounting().written, 1);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard closes the recorder"]
pub struct Guard {
    logger: AuditLogger,
}

impl Guard {
    /// Returns the recorder of the process.
    pub fn logger(&self) -> &AuditLogger {
        &self.logger
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.logger.0.close_and_wait();
    }
}

/// Records an event into the recorder of the process; see [`AuditLogger::emit`].
///
/// Before `init` the event is counted as rejected.
#[inline]
pub fn emit(event: &AuditEvent<'_>) {
    #[cfg(feature = "replay")]
    if super::replayed::emit_replayed(event) {
        return;
    }
    with_current_logger(|logger| logger.emit(event));
}

/// Records an event and waits if the queue is full; see [`AuditLogger::emit_wait`].
///
/// # Examples
///
/// ```
/// use llm_audit::{AuditEvent, EventType};
///
/// # let seen = llm_audit::testing::capture();
/// for _ in 0..1_000 {
///     llm_audit::emit_wait(&AuditEvent::new(EventType::CacheMiss, "import", "row"));
/// }
/// # assert_eq!(seen.lines().len(), 1_000);
/// ```
pub fn emit_wait(event: &AuditEvent<'_>) {
    #[cfg(feature = "replay")]
    if super::replayed::emit_replayed(event) {
        return;
    }
    with_current_logger(|logger| logger.emit_wait(event));
}

/// Adds to a counter of your own in the recorder of the process; see [`AuditLogger::count`].
///
/// The counter is with the others: in [`Metrics::counters`](crate::metrics::Metrics::counters), on the page for
/// Prometheus and in what goes to an OpenTelemetry collector. It is in no line. Before `init` nothing is counted.
///
/// ```
/// llm_audit::count("plans_found", 3);
/// ```
pub fn count(name: &str, count: u64) {
    peek_current_logger(|logger| logger.count(name, count));
}

/// Waits for the recorder that [`emit`] records into; see [`AuditLogger::flush`].
///
/// Before `init` it returns at once.
///
/// # Errors
///
/// Returns the same errors as [`AuditLogger::flush`].
pub fn flush(deadline: Duration) -> Result<Flushed, Error> {
    peek_current_logger(|logger| logger.flush(deadline)).unwrap_or(Ok(Flushed::default()))
}

/// Waits until the events are on the disk; see [`AuditLogger::flush_durable`].
///
/// # Errors
///
/// Returns the same errors as [`AuditLogger::flush_durable`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use llm_audit::{AuditEvent, AuditLogger, EventType};
///
/// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
/// let _guard = llm_audit::init_with(AuditLogger::builder().directory(&folder).debug(true))?;
/// llm_audit::emit(&AuditEvent::new(EventType::AgentDecision, "payments", "approve"));
/// assert_eq!(llm_audit::flush_durable(Duration::from_secs(5))?.written, 1);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), llm_audit::Error>(())
/// ```
pub fn flush_durable(deadline: Duration) -> Result<Flushed, Error> {
    peek_current_logger(|logger| logger.flush_durable(deadline)).unwrap_or(Ok(Flushed::default()))
}

/// Closes all recorders of the process on SIGTERM and SIGINT, including those that are built later.
///
/// The process then ends as it would have without this call, so its parent sees the signal. Signals
/// are not handled unless this function is called.
///
/// Events emitted while the recorders close are counted as rejected. The recorders have five
/// seconds, even if something hangs. A second signal ends the process at once.
///
/// Use this in programs that do not handle these signals themselves. If a service handles them to
/// finish its requests first, it drops its guard or returns from `main` instead. If a signal is
/// ignored, as under `nohup`, it stays ignored. A thread waits for the signals, and after one the
/// library uses SIGALRM. A forked child closes on these signals too.
///
/// # Errors
///
/// Returns an error if another handler for one of the signals exists. Nothing is changed then. Also
/// returns an error if the operating system refuses the handler.
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

/// Returns the cost of a call of `model` with this usage, or `None` if no price is known. An
/// unknown price is never reported as zero.
///
/// The prices are those of the recorder that [`emit`](crate::emit) records into. Before
/// [`init`](crate::init) they are the built-in prices. See
/// [`AuditLogger::calculate_cost`](crate::AuditLogger::calculate_cost). `usage` is a [`Usage`], or
/// the pair of input and output tokens if nothing was cached.
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
    Outlet::default().cost_with_provider("", &[model], usage.into())
}

/// Reports whether the recorder that [`emit`] uses records events.
///
/// Before `init` it returns `false`. See [`AuditLogger::is_enabled`].
pub fn is_enabled() -> bool {
    peek_current_logger(AuditLogger::is_enabled).unwrap_or(false)
}

/// Reports whether events of the recorder that [`emit`] uses may contain prompts, completions,
/// arguments and results.
///
/// Before `init` it returns `false`. See [`Builder::capture_content`].
pub fn captures_content() -> bool {
    peek_current_logger(AuditLogger::captures_content).unwrap_or(false)
}

/// Calls `look` with the logger that [`emit`] currently records into.
pub(crate) fn peek_current_logger<R>(look: impl FnOnce(&AuditLogger) -> R) -> Option<R> {
    #[cfg(feature = "replay")]
    if let Some(logger) = super::replayed::replay_logger_here() {
        return Some(look(&logger));
    }
    // Relaxed: `Once` orders the rest.
    if STATE.load(Ordering::Relaxed) & CAPTURING != 0 && is_thread_capturing() {
        let mut found = None;
        with_thread_capture(|logger| found = Some(look(logger)));
        return found;
    }
    GLOBAL.get().map(look)
}

thread_local! {
    /// The captures of the thread; the innermost is the last.
    static CAPTURES: RefCell<Vec<AuditLogger>> = const { RefCell::new(Vec::new()) };
}

/// Makes [`emit`] record into `logger` on this thread until [`stop_thread_capture`].
pub(crate) fn start_thread_capture(logger: &AuditLogger) {
    STATE.fetch_or(CAPTURING, Ordering::Relaxed);
    CAPTURES.with_borrow_mut(|captures| captures.push(logger.clone()));
}

/// Ends the thread's last capture into the logger with this instance.
pub(crate) fn stop_thread_capture(instance: &str) {
    // Remove the logger first and drop it afterwards, because closing a logger runs its own code.
    let _ended = CAPTURES.try_with(|captures| {
        let mut captures = captures.borrow_mut();
        let last = captures.iter().rposition(|logger| logger.instance() == instance);
        last.map(|at| captures.remove(at))
    });
}

/// Reports whether the thread's events go to a capture.
fn is_thread_capturing() -> bool {
    CAPTURES.try_with(|captures| !captures.borrow().is_empty()).unwrap_or(false)
}

/// Calls `record` with the thread's innermost capture.
fn with_thread_capture(record: impl FnOnce(&AuditLogger)) {
    // Clone it, because a `Serialize` impl may itself emit or capture.
    let innermost = CAPTURES.try_with(|captures| captures.borrow().last().cloned());
    if let Ok(Some(logger)) = innermost {
        record(&logger);
    }
}

#[inline]
fn with_current_logger(record: impl FnOnce(&AuditLogger)) {
    // Relaxed: `Once` orders the rest.
    let state = STATE.load(Ordering::Relaxed);
    if state == INITIALIZED {
        return;
    }
    if state & CAPTURING != 0 && is_thread_capturing() {
        return with_thread_capture(record);
    }
    match GLOBAL.get() {
        Some(logger) => record(logger),
        None => {
            add_to_counter(&fork::process_state().early, 1);
            if let Some(logger) = GLOBAL.get() {
                logger.count_early_events();
            }
        }
    }
}
