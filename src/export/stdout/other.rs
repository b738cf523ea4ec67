//! Standard output on systems that cannot report whether it has room. Every write waits.

use std::io::{self, Write};

/// Writes the lines by `io::stdout`.
#[derive(Debug)]
pub(super) struct Descriptor;

impl Descriptor {
    pub(super) fn stdout() -> Self {
        Self
    }

    /// Does nothing, because every write waits anyway.
    pub(super) fn make_writes_wait(&mut self) {}
}

impl Write for Descriptor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
