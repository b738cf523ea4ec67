//! gzip by `flate2`, in Rust alone.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// What is in a compressed file. Programs that add to one leave several members.
pub(crate) fn reader<I: Read>(input: I) -> io::Result<impl Read + use<I>> {
    Ok(MultiGzDecoder::new(input))
}
