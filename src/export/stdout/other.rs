//! The streams on systems that cannot report whether they have room. Every write waits.

use std::io::{self, Write};

/// Writes the lines by `io::stdout` or `io::stderr`.
#[derive(Debug)]
pub(super) enum Descriptor {
    Stdout,
    Stderr,
}

impl Descriptor {
    pub(super) fn stdout() -> Self {
        Self::Stdout
    }

    pub(super) fn stderr() -> Self {
        Self::Stderr
    }

    /// Does nothing, because every write waits anyway.
    pub(super) fn make_writes_wait(&mut self) {}
}

impl Write for Descriptor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => io::stdout().write(bytes),
            Self::Stderr => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::Stderr => io::stderr().flush(),
        }
    }
}
