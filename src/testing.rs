//! A sink for users' own tests: the lines that a piece of code recorded.

use std::marker::PhantomData;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use llm_audit_log::schema::Prefix;
use parking_lot::Mutex;

use crate::config::Builder;
use crate::export::Exporter;
use crate::recorder::{AuditLogger, start_thread_capture, stop_thread_capture};

/// The time that a test waits for the writer before it fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// Captures the events that this thread emits through [`llm_audit::emit`](crate::emit), until the
/// capture is dropped.
///
/// Nothing is sampled out, no file is written, and no environment is read. Redaction is the same as
/// always. Captures nest. If tests run at the same time, they do not see each other's events.
///
/// Other threads join by [`Capture::attach`], or emit into [`Capture::logger`].
///
/// # Panics
///
/// Panics if the writer's thread cannot be started.
///
/// # Examples
///
/// ```
/// use llm_audit::{AuditEvent, EventType};
///
/// let seen = llm_audit::testing::capture();
/// llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "benefits", "cache.get"));
/// assert!(seen.lines()[0].contains(r#""event_type":"cache.hit""#));
/// ```
pub fn capture() -> Capture {
    capture_with(|builder| builder)
}

/// Captures into a logger with other settings, for example one that captures content; see
/// [`capture`].
///
/// # Panics
///
/// Panics if the logger cannot be built.
///
/// # Examples
///
/// ```
/// let seen = llm_audit::testing::capture_with(|builder| builder.capture_content(true));
/// assert!(seen.logger().captures_content());
/// ```
pub fn capture_with(change: impl FnOnce(Builder) -> Builder) -> Capture {
    let mut capture = detached_capture(change);
    capture._attached = Some(attach_to_capture(&capture.logger));
    capture
}

/// Returns a capture that no thread is attached to.
pub(crate) fn detached_capture(change: impl FnOnce(Builder) -> Builder) -> Capture {
    let lines = CapturedLines::default();
    let builder = AuditLogger::builder().without_environment().files(false).debug(true);
    let builder = builder.in_one_lane().exporter(lines.clone());
    let logger = change(builder).build().expect("a logger without files starts");
    Capture { _attached: None, logger, lines }
}

/// The captured lines and their logger; see [`capture`].
#[derive(Debug)]
pub struct Capture {
    _attached: Option<Attached>,
    logger: AuditLogger,
    lines: CapturedLines,
}

impl Capture {
    /// Returns the lines of all events captured so far, without the log's own lines.
    ///
    /// The lines of one thread are in the order in which it emitted them.
    ///
    /// # Panics
    ///
    /// Panics if the writer does not finish within 30 seconds.
    pub fn lines(&self) -> Vec<String> {
        self.logger.flush(DEADLINE).expect("the writer keeps up with a test");
        let text = self.lines.0.lock();
        let instance = self.logger.instance();
        let is_event = |line: &&str| {
            // The log's own lines have no sequence number.
            Prefix::of(line.as_bytes())
                .is_some_and(|line| line.instance == instance && line.seq.is_some())
        };
        String::from_utf8_lossy(&text).lines().filter(is_event).map(str::to_owned).collect()
    }

    /// Returns the logger that the capture records into.
    pub fn logger(&self) -> &AuditLogger {
        &self.logger
    }

    /// Captures the events of the calling thread, too, until the guard is dropped.
    pub fn attach(&self) -> Attached {
        attach_to_capture(&self.logger)
    }
}

fn attach_to_capture(logger: &AuditLogger) -> Attached {
    start_thread_capture(logger);
    Attached { instance: logger.instance().to_owned(), _not_send: PhantomData }
}

/// Keeps a thread attached to a [`Capture`].
#[derive(Debug)]
#[must_use = "dropping the guard ends the capture of this thread"]
pub struct Attached {
    instance: String,
    /// Not `Send`: like a lock's guard, it belongs to its thread.
    _not_send: PhantomData<MutexGuard<'static, ()>>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        stop_thread_capture(&self.instance);
    }
}

#[derive(Clone, Debug, Default)]
struct CapturedLines(Arc<Mutex<Vec<u8>>>);

impl Exporter for CapturedLines {
    fn export(&mut self, lines: &[u8]) -> std::io::Result<()> {
        self.0.lock().extend_from_slice(lines);
        Ok(())
    }
}
