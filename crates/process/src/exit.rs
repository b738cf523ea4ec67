//! Closes what is registered when the process exits or a signal ends it.
//!
//! When `main` returns or calls `std::process::exit`, the C library runs a handler that closes the
//! recorders. If [`close_on_signals`] was called, a signal only leaves a note and wakes a thread, which
//! closes them. A forked child does not have that thread, so its writer threads look for the note. The
//! last writer ends the process as the signal would have. In both cases the writers have
//! [`CLOSE_DEADLINE`], which the handler enforces.
#![allow(unsafe_code, reason = "atexit, and handlers of signals")]

#[cfg(unix)]
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::cell::PerProcess;
use crate::fork;
use crate::lock::Mutex;

/// How long an exit, the guard of `init` and the last handle of a logger wait for a writer together,
/// from the first request to close.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What is closed when the process exits.
pub trait CloseAtExit: Send + Sync {
    /// Refuses later work and asks the worker to end, without waiting for it.
    fn close(&self);

    /// Closes, and waits for the worker until [`CLOSE_DEADLINE`] after the first request. It uses no
    /// thread-locals.
    fn close_and_wait(&self);
}

/// What this process closes when it exits.
static LOGGERS: PerProcess<Mutex<Vec<Weak<dyn CloseAtExit>>>> = PerProcess::new();

/// Registers a logger to be closed when the process exits.
pub fn close_at_exit(logger: &Arc<impl CloseAtExit + 'static>) {
    platform::register_exit_handler();
    let mut loggers = LOGGERS.get_or_make(Mutex::default).0.lock();
    loggers.retain(|known| known.strong_count() > 0);
    let logger: Weak<dyn CloseAtExit> = Arc::downgrade(logger) as _;
    loggers.push(logger);
}

/// Closes everything that is registered in this process, and waits for it. A writer does not wait for
/// itself. Uses no thread-locals, which may be gone by now.
#[cfg(unix)]
fn close_loggers_at_exit() {
    let loggers = registered_loggers();
    // All are closed first, so that they share the same time.
    loggers.iter().for_each(|logger| logger.close());
    loggers.iter().for_each(|logger| logger.close_and_wait());
}

#[cfg(unix)]
fn registered_loggers() -> Vec<Arc<dyn CloseAtExit>> {
    let Some(loggers) = LOGGERS.get() else { return Vec::new() };
    loggers.lock().iter().filter_map(Weak::upgrade).collect()
}

/// The reason why signals are not handled.
#[derive(Debug)]
#[cfg(unix)]
pub struct SignalError(SignalErrorCause);

#[cfg(unix)]
#[derive(Debug)]
enum SignalErrorCause {
    /// Another handler of the application listens to SIGTERM or SIGINT.
    Taken,
    /// The operating system refused a handler.
    Refused(std::io::Error),
}

#[cfg(unix)]
impl SignalError {
    /// Whether the operating system refused a handler. Otherwise the application has one already.
    pub fn is_io(&self) -> bool {
        matches!(self.0, SignalErrorCause::Refused(_))
    }
}

#[cfg(unix)]
impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SignalErrorCause::Taken => f.write_str("SIGTERM or SIGINT has another handler already"),
            SignalErrorCause::Refused(source) => write!(f, "cannot listen to a signal: {source}"),
        }
    }
}

#[cfg(unix)]
impl std::error::Error for SignalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            SignalErrorCause::Taken => None,
            SignalErrorCause::Refused(source) => Some(source),
        }
    }
}

/// Identifies the calling thread without a thread-local.
#[inline]
pub fn current_thread_id() -> usize {
    platform::current_thread_id()
}

/// A writer thread, counted from before it runs.
pub struct WriterExitGuard(());

impl WriterExitGuard {
    /// Counts a thread that is about to start.
    pub fn begin() -> Self {
        fork::process_state().writers.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for WriterExitGuard {
    /// Ends the process if a signal waits for this writer only.
    fn drop(&mut self) {
        let own = fork::process_state();
        let is_last = own.writers.fetch_sub(1, Ordering::SeqCst) == 1;
        match own.closing.load(Ordering::SeqCst) {
            0 => {}
            signal if is_last => platform::end_process_by_signal(signal),
            _ => {}
        }
    }
}

/// Returns whether a signal asks the writers to close.
#[inline]
pub fn signal_asks_to_close() -> bool {
    // Relaxed: the note carries no other data.
    fork::process_state().closing.load(Ordering::Relaxed) != 0
}

#[cfg(unix)]
pub use platform::close_on_signals;
#[cfg(unix)]
pub use platform::is_signal_ignored;
#[cfg(unix)]
pub use platform::must_look_for_signals;

#[cfg(unix)]
mod platform {
    use std::ffi::c_int;
    use std::io::{self, PipeReader, Read};
    use std::mem::MaybeUninit;
    use std::os::fd::IntoRawFd;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::CLOSE_DEADLINE;
    use super::{SignalError, SignalErrorCause};
    use crate::fork;

    /// Registers the exit handler, once for a process and its children.
    pub(super) fn register_exit_handler() {
        static WATCHED: AtomicBool = AtomicBool::new(false);
        if !WATCHED.swap(true, Ordering::Relaxed) {
            // SAFETY: a function of this type that does not unwind. If there is no memory for it, the
            // call fails, and only the guard closes.
            let _failed = unsafe { libc::atexit(at_exit) };
        }
    }

    extern "C" fn at_exit() {
        super::close_loggers_at_exit();
    }

    pub(super) fn current_thread_id() -> usize {
        // SAFETY: it has no precondition.
        unsafe { libc::pthread_self() as usize }
    }

    const SIGNALS: [c_int; 2] = [libc::SIGTERM, libc::SIGINT];

    /// Whether [`close_on_signals`] was called.
    static LISTENS: AtomicBool = AtomicBool::new(false);

    /// Returns whether a signal may come and no thread waits for it, so that the writers must look for
    /// it often.
    pub fn must_look_for_signals() -> bool {
        // Relaxed: the writers look now and then anyway.
        LISTENS.load(Ordering::Relaxed)
            && fork::process_state().signal_pipe.load(Ordering::Relaxed) == 0
    }

    /// Makes SIGTERM and SIGINT close everything that is registered, and then end the process as they
    /// would have without this call. A second signal ends the process at once.
    ///
    /// A signal that is ignored, as under `nohup`, stays ignored. After a signal SIGALRM is in use. A
    /// forked child listens too.
    ///
    /// # Errors
    ///
    /// Another handler for one of the signals exists. Nothing was changed then. Or the operating system
    /// refused a handler. A handler that it accepted before stays.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// llm_audit_process::exit::close_on_signals()?;
    /// # Ok::<(), llm_audit_process::exit::SignalError>(())
    /// ```
    pub fn close_on_signals() -> Result<(), SignalError> {
        // Made here, because a handler must not make it.
        fork::process_state();
        let free = signals_without_handler()?;
        // Set before the first signal can come, so that a writer looks in time.
        LISTENS.store(true, Ordering::Relaxed);
        for signal in &free {
            if !set_signal_handler(*signal, on_signal as *const () as usize) {
                return Err(SignalError(SignalErrorCause::Refused(io::Error::last_os_error())));
            }
        }
        if !free.is_empty() {
            // Without the thread the writers look for the note.
            let _polls = start_signal_thread();
        }
        Ok(())
    }

    /// Starts the thread that closes what is registered after the first signal.
    fn start_signal_thread() -> io::Result<()> {
        let (woken, pipe) = io::pipe()?;
        let thread = thread::Builder::new().name("llm-audit-signal".to_owned());
        thread.spawn(|| close_after_signal(woken))?;
        // Relaxed: the handler writes to a number. The pipe stays open as long as the process lives.
        fork::process_state().signal_pipe.store(pipe.into_raw_fd(), Ordering::Relaxed);
        Ok(())
    }

    fn close_after_signal(mut woken: PipeReader) {
        if woken.read_exact(&mut [0]).is_ok() {
            super::registered_loggers().iter().for_each(|logger| logger.close());
        }
    }

    /// Returns those of the signals that end the process now.
    fn signals_without_handler() -> Result<Vec<c_int>, SignalError> {
        let mut free = Vec::new();
        for signal in SIGNALS {
            match current_signal_handler(signal)? {
                libc::SIG_DFL => free.push(signal),
                libc::SIG_IGN => {}
                known if known == on_signal as *const () as usize => {}
                _ => return Err(SignalError(SignalErrorCause::Taken)),
            }
        }
        Ok(free)
    }

    /// Returns whether a signal is ignored, as SIGHUP is under `nohup`. A program that is started then ignores it too,
    /// unless this process handles the signal.
    pub fn is_signal_ignored(signal: c_int) -> bool {
        matches!(current_signal_handler(signal), Ok(libc::SIG_IGN))
    }

    fn current_signal_handler(signal: c_int) -> Result<usize, SignalError> {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: no new action is given, and there is room for the current one.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            return Err(SignalError(SignalErrorCause::Refused(io::Error::last_os_error())));
        }
        // SAFETY: the call filled it, and all zeros are valid too.
        Ok(unsafe { action.assume_init() }.sa_sigaction)
    }

    /// Sets the handler of a signal, and returns whether that worked. A signal handler may call it.
    fn set_signal_handler(signal: c_int, handler: usize) -> bool {
        // SAFETY: zeros are a valid action: the default one, no signal blocked, no flag.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = handler;
        // Interrupted system calls of the application are restarted.
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the action is complete, and the handlers do only what a handler may do.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) == 0 }
    }

    /// Handles SIGTERM and SIGINT. It changes atomics, and calls what a handler may call.
    extern "C" fn on_signal(signal: c_int) {
        let (own, order) = (fork::process_state(), Ordering::SeqCst);
        let is_first = own.closing.compare_exchange(0, signal, order, order).is_ok();
        // SeqCst here and in `WriterExitGuard`: either the last writer sees the note, or this handler sees that
        // no writer is left.
        if !is_first || own.writers.load(order) == 0 {
            return end_process_by_signal(signal);
        }
        let _impossible = set_signal_handler(libc::SIGALRM, on_alarm_signal as *const () as usize);
        // SAFETY: it has no precondition.
        unsafe { libc::alarm(CLOSE_DEADLINE.as_secs() as u32) };
        let pipe = own.signal_pipe.load(order);
        if pipe != 0 {
            // SAFETY: the byte may be read. A pipe takes one at once.
            let _impossible = unsafe { libc::write(pipe, [0_u8].as_ptr().cast(), 1) };
        }
    }

    /// Handles the end of the writers' time.
    extern "C" fn on_alarm_signal(_: c_int) {
        end_process_by_signal(fork::process_state().closing.load(Ordering::Relaxed));
    }

    /// Ends the process by the default action of a signal, or with the status that a shell gives for
    /// that signal. A signal handler may call it.
    pub(super) fn end_process_by_signal(signal: c_int) {
        let _impossible = set_signal_handler(signal, libc::SIG_DFL);
        // SAFETY: all zeros are a valid set, and each call gets valid arguments.
        unsafe {
            let mut set: libc::sigset_t = MaybeUninit::zeroed().assume_init();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, signal);
            // The signal is blocked while its handler runs.
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
            libc::kill(libc::getpid(), signal);
            // The default action does not end the first process of a container.
            libc::_exit(128 + signal);
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::hash::{DefaultHasher, Hash, Hasher};

    pub(super) fn register_exit_handler() {}

    pub(super) fn current_thread_id() -> usize {
        let mut hasher = DefaultHasher::new();
        std::thread::current().id().hash(&mut hasher);
        hasher.finish() as usize
    }

    pub(super) fn end_process_by_signal(_signal: i32) {}
}

/// Returns whether a signal may come that the writers must look for. Never, on this platform.
#[cfg(not(unix))]
pub fn must_look_for_signals() -> bool {
    false
}
