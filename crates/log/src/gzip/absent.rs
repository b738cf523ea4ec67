//! A build without gzip.

use std::io::{self, ErrorKind, Read};

/// Fails.
pub(crate) fn reader<I: Read>(_input: I) -> io::Result<impl Read + use<I>> {
    let why = "it is compressed, and this build lacks the feature gzip";
    Err::<io::Empty, _>(io::Error::new(ErrorKind::Unsupported, why))
}
