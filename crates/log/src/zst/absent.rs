//! A build without Zstandard.

use std::io::{self, ErrorKind, Read, Write};

/// Whether compressed files can be read and written.
pub const IS_PRESENT: bool = false;

fn zstd_absent_error() -> io::Error {
    io::Error::new(
        ErrorKind::Unsupported,
        "it is compressed, and this build lacks the feature zstd",
    )
}

/// Fails.
pub fn reader<I: Read>(_input: I) -> io::Result<impl Read + use<I>> {
    Err::<io::Empty, _>(zstd_absent_error())
}

/// Fails.
pub fn compress(_: &mut dyn Read, _bytes: u64, _: &mut dyn Write) -> io::Result<()> {
    Err(zstd_absent_error())
}
