//! The one error of the library.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The reason why a recorder could not be built, flushed or closed, or why a text could not be
/// read.
///
/// Emitting never fails. Failures after it are counted in [`Accounting`](crate::Accounting).
///
/// `Debug` prints the same as `Display`, so the message is readable if `main` returns the error.
pub struct Error(Box<ErrorCause>);

pub(crate) enum ErrorCause {
    /// A setting that is not accepted.
    Config { name: String, given: String, accepted: String },
    /// The operating system refused the folder or a file of the log.
    Io { doing: &'static str, path: PathBuf, source: io::Error, hint: &'static str },
    /// The operating system provided no random bytes.
    Random(String),
    /// A thread could not be started.
    Thread(io::Error),
    /// `init` was called before.
    AlreadyInit,
    /// The deadline of a flush or a shutdown passed.
    Deadline { waited: Duration, outstanding: u64 },
    /// The writer's own thread called a function that waits for it.
    WritersThread,
    /// The writer's thread panicked.
    WriterGone,
    /// In a forked child the writer's thread could not be started.
    WriterNotStarted,
    /// Durability was requested from a logger that writes no files.
    NoFiles,
    /// The durability of these events is unknown.
    NotDurable { events: u64 },
    /// A file of objectives that is not accepted.
    #[cfg(feature = "slo")]
    Objectives(llm_audit_slo::Error),
    /// Metrics cannot be sent with these settings.
    #[cfg(feature = "otlp")]
    Otlp(llm_audit_ship::otlp::Error),
    /// A destination cannot be used.
    #[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
    Shipping { to: &'static str, why: String },
    /// The handlers of signals could not be installed.
    #[cfg(unix)]
    Signal(llm_audit_process::exit::SignalError),
    /// A sanitizer or a protected value was not accepted.
    Redact(llm_audit_redact::Error),
    /// A text could not be parsed; `what` is the expected form.
    Parse { what: &'static str, why: String },
    /// A reader of log files refused its input.
    Log(llm_audit_log::Error),
}

impl From<llm_audit_log::Error> for Error {
    fn from(error: llm_audit_log::Error) -> Self {
        Self::new(ErrorCause::Log(error))
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorCause) -> Self {
        Self(Box::new(kind))
    }

    pub(crate) fn config(
        name: impl Into<String>,
        given: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        Self::new(ErrorCause::Config {
            name: name.into(),
            given: given.into(),
            accepted: accepted.into(),
        })
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::new(ErrorCause::Io { doing, path: path.into(), source, hint: "" })
    }

    /// Adds what to do to an error of the operating system.
    pub(crate) fn with_hint(mut self, text: &'static str) -> Self {
        if let ErrorCause::Io { hint, .. } = &mut *self.0 {
            *hint = text;
        }
        self
    }

    pub(crate) fn parse(what: &'static str, why: impl Into<String>) -> Self {
        Self::new(ErrorCause::Parse { what, why: why.into() })
    }

    /// Reports whether a setting was not accepted. The message names it, its value and what is
    /// accepted.
    pub fn is_config(&self) -> bool {
        match &*self.0 {
            ErrorCause::Config { .. } => true,
            ErrorCause::Redact(error) => error.is_variable(),
            #[cfg(feature = "slo")]
            ErrorCause::Objectives(_) => true,
            _ => false,
        }
    }

    /// Reports whether the deadline passed before everything was written.
    pub fn is_deadline(&self) -> bool {
        matches!(*self.0, ErrorCause::Deadline { .. })
    }

    /// Reports whether events were written without a guarantee that they are on the disk.
    ///
    /// This is so if an fsync failed, or if they were never synced. The message contains their
    /// number.
    pub fn is_not_durable(&self) -> bool {
        matches!(*self.0, ErrorCause::NotDurable { .. })
    }

    /// Reports whether the operating system refused the folder, a file, a thread or a signal
    /// handler.
    pub fn is_io(&self) -> bool {
        match &*self.0 {
            ErrorCause::Io { .. } | ErrorCause::Thread(_) => true,
            #[cfg(unix)]
            ErrorCause::Signal(error) => error.is_io(),
            ErrorCause::Log(error) => error.is_io(),
            _ => false,
        }
    }
}

#[cfg(unix)]
impl From<llm_audit_process::exit::SignalError> for Error {
    fn from(error: llm_audit_process::exit::SignalError) -> Self {
        Self::new(ErrorCause::Signal(error))
    }
}

impl From<llm_audit_redact::Error> for Error {
    fn from(error: llm_audit_redact::Error) -> Self {
        Self::new(ErrorCause::Redact(error))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ErrorCause::Config { name, given, accepted } => {
                write!(f, "{name} is {given:?}; accepted: {accepted}")
            }
            ErrorCause::Io { doing, path, source, hint } => {
                write!(f, "cannot {doing} {}: {source}{hint}", path.display())
            }
            ErrorCause::Thread(source) => write!(f, "cannot start the writer's thread: {source}"),
            ErrorCause::Random(why) => write!(f, "cannot get random bytes from the system: {why}"),
            ErrorCause::AlreadyInit => {
                f.write_str("the recorder of this process is already initialized")
            }
            ErrorCause::Deadline { waited, outstanding } => {
                let events = if *outstanding == 1 { "event is" } else { "events are" };
                write!(f, "not done within {waited:?}: {outstanding} {events} outstanding")
            }
            ErrorCause::WritersThread => {
                f.write_str("the writer's own thread cannot wait for itself")
            }
            ErrorCause::WriterGone => {
                f.write_str("the writer's thread panicked, which is a defect")
            }
            ErrorCause::WriterNotStarted => {
                f.write_str("the writer's thread could not be started in this forked process")
            }
            #[cfg(feature = "slo")]
            ErrorCause::Objectives(error) => write!(f, "AUDIT_SLO_FILE is not accepted: {error}"),
            #[cfg(feature = "otlp")]
            ErrorCause::Otlp(error) => write!(f, "cannot send metrics: {error}"),
            #[cfg(any(feature = "cloudwatch-logs", feature = "otlp"))]
            ErrorCause::Shipping { to, why } => write!(f, "cannot ship to {to}: {why}"),
            ErrorCause::NoFiles => f.write_str("no files are written, so nothing is on the disk"),
            ErrorCause::NotDurable { events } => {
                write!(
                    f,
                    "an fsync failed, or the log was closed without one: {events} written events \
                     may not be on the disk"
                )
            }
            #[cfg(unix)]
            ErrorCause::Signal(error) => error.fmt(f),
            ErrorCause::Redact(error) => error.fmt(f),
            ErrorCause::Parse { what, why } => write!(f, "not a valid {what}: {why}"),
            ErrorCause::Log(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            ErrorCause::Io { source, .. } | ErrorCause::Thread(source) => Some(source),
            #[cfg(unix)]
            ErrorCause::Signal(error) => std::error::Error::source(error),
            #[cfg(feature = "otlp")]
            ErrorCause::Otlp(error) => std::error::Error::source(error),
            ErrorCause::Log(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}
