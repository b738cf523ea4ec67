//! Standard output where no descriptor tells whether it has room: it is waited for.

use std::io::{self, Write};

/// Where the lines go.
#[derive(Debug)]
pub(super) struct Descriptor;

impl Descriptor {
    pub(super) fn stdout() -> Self {
        Self
    }

    /// Has every write wait for the reader, as it does in any case.
    pub(super) fn wait(&mut self) {}
}

impl Write for Descriptor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
