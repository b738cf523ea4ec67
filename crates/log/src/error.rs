//! The error of the readers.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a log, a line or a value of it cannot be read.
///
/// `Debug` prints the same text as `Display`, so that `main` can return it.
pub struct Error(Box<LogErrorKind>);

enum LogErrorKind {
    /// A folder or a file of the log.
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// A text that is not what it should be.
    Parse { what: &'static str, why: String },
    /// A line of a file that is not what it should be.
    Line { file: String, offset: u64, source: Error },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self(Box::new(LogErrorKind::Io { doing, path: path.into(), source }))
    }

    pub(crate) fn parse(what: &'static str, why: impl Into<String>) -> Self {
        Self(Box::new(LogErrorKind::Parse { what, why: why.into() }))
    }

    /// The same of a line, which is at this offset of a file.
    pub(crate) fn of_line(self, file: &str, offset: u64) -> Self {
        Self(Box::new(LogErrorKind::Line { file: file.to_owned(), offset, source: self }))
    }

    /// What was wrong with a file or folder.
    pub(crate) fn io_kind(&self) -> Option<io::ErrorKind> {
        match &*self.0 {
            LogErrorKind::Io { source, .. } => Some(source.kind()),
            LogErrorKind::Parse { .. } | LogErrorKind::Line { .. } => None,
        }
    }

    /// Whether a file was read and its content is damaged. Reading it again would not help.
    pub(crate) fn is_damage(&self) -> bool {
        let is_damage = |source: &io::Error| {
            source.raw_os_error().is_none() && source.kind() != io::ErrorKind::Unsupported
        };
        matches!(&*self.0, LogErrorKind::Io { source, .. } if is_damage(source))
    }

    /// Whether the operating system refused a folder or a file.
    pub fn is_io(&self) -> bool {
        matches!(*self.0, LogErrorKind::Io { .. })
    }

    /// Whether a text is not a valid line, field or value.
    pub fn is_parse(&self) -> bool {
        matches!(*self.0, LogErrorKind::Parse { .. } | LogErrorKind::Line { .. })
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
            LogErrorKind::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            LogErrorKind::Parse { what, why } => write!(f, "not a valid {what}: {why}"),
            LogErrorKind::Line { file, offset, source } => {
                write!(f, "{file} at byte {offset}: {source}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            LogErrorKind::Io { source, .. } => Some(source),
            LogErrorKind::Parse { .. } => None,
            LogErrorKind::Line { source, .. } => Some(source),
        }
    }
}
