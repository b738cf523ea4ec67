//! The crate's one error.

use std::fmt;

/// Why objectives or a log cannot be used.
#[derive(Debug)]
pub struct Error(ErrorKind);

#[derive(Debug)]
enum ErrorKind {
    /// A file of objectives that says something that is not accepted.
    Objectives(String),
    /// A file or folder that cannot be read or written.
    Io(String),
    Log(llm_audit_log::Error),
}

impl Error {
    pub(crate) fn objectives(what: String) -> Self {
        Self(ErrorKind::Objectives(what))
    }

    pub(crate) fn io(what: &str, path: &std::path::Path, source: impl fmt::Display) -> Self {
        Self(ErrorKind::Io(format!("cannot {what} {}: {source}", path.display())))
    }

    /// Whether a file of objectives is wrong. The message names the file, the line and the column.
    pub fn is_objectives(&self) -> bool {
        matches!(self.0, ErrorKind::Objectives(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ErrorKind::Objectives(what) | ErrorKind::Io(what) => f.write_str(what),
            ErrorKind::Log(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<llm_audit_log::Error> for Error {
    fn from(error: llm_audit_log::Error) -> Self {
        Self(ErrorKind::Log(error))
    }
}
