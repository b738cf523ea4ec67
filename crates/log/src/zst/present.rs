//! Zstandard by its own library.

use std::io::{self, Read, Write};

use zstd::stream::{read, write};

/// Whether compressed files can be read and written.
pub const IS_PRESENT: bool = true;
/// The library's own default: the usual trade of time for size.
const LEVEL: i32 = 3;

/// What is in a compressed file.
pub fn reader<I: Read>(input: I) -> io::Result<impl Read + use<I>> {
    read::Decoder::new(input)
}

/// Writes `bytes` bytes of input, which are all it has, with a checksum.
pub fn compress(input: &mut dyn Read, bytes: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut encoder = write::Encoder::new(out, LEVEL)?;
    encoder.set_pledged_src_size(Some(bytes))?;
    encoder.include_checksum(true)?;
    io::copy(input, &mut encoder)?;
    encoder.finish().map(|_| ())
}
