//! What keeps a shipper from its work on the machine itself.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The log cannot be read, or a position or refused lines cannot be kept.
#[derive(Debug)]
pub struct Error(Cause);

#[derive(Debug)]
enum Cause {
    Io(PathBuf, io::Error),
    Log(llm_audit_log::Error),
    State(PathBuf, String),
    Busy(String),
}

impl Error {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self(Cause::Io(path.to_owned(), error))
    }

    /// The file of a position is damaged.
    pub(super) fn state(path: &Path, why: &str) -> Self {
        Self(Cause::State(path.to_owned(), why.to_owned()))
    }

    pub(super) fn busy(destination: &str) -> Self {
        Self(Cause::Busy(destination.to_owned()))
    }
}

impl From<llm_audit_log::Error> for Error {
    fn from(error: llm_audit_log::Error) -> Self {
        Self(Cause::Log(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Cause::Log(error) => error.fmt(f),
            Cause::State(path, why) => write!(
                f,
                "{} is no position: {why}. Remove it, and everything is sent again",
                path.display()
            ),
            Cause::Busy(name) => write!(f, "somebody is sending to {name} now"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::Io(_, error) => Some(error),
            Cause::Log(error) => Some(error),
            Cause::State(..) | Cause::Busy(_) => None,
        }
    }
}
