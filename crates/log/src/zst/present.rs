//! Zstandard by its own library.

use std::io::{self, ErrorKind, Read, Write};

use zstd::bulk::Compressor;
use zstd::stream::read;
use zstd::zstd_safe::CParameter;

use super::Frames;

/// Whether compressed files can be read and written.
pub const IS_PRESENT: bool = true;
/// The library's own default: the usual trade of time for size.
const LEVEL: i32 = 3;

/// The most bytes of a frame. A line that is longer has several frames.
const FRAME_BYTES: usize = 1 << 20;

/// What is in a compressed file.
pub fn reader<I: Read>(input: I) -> io::Result<impl Read + use<I>> {
    read::Decoder::new(input)
}

/// Writes `bytes` bytes of input, which are all it has, in frames of whole lines, each with its size and a
/// checksum. If there are several, a table of them follows.
///
/// # Errors
///
/// What input and output report, and another number of bytes.
pub fn compress(input: &mut dyn Read, bytes: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    let (mut frames, mut content, mut total) = (Frames::default(), Vec::new(), 0);
    let (mut has_table, mut is_over) = (true, false);
    while !is_over {
        let wanted = (FRAME_BYTES - content.len()) as u64;
        is_over = (&mut *input).take(wanted).read_to_end(&mut content)? as u64 != wanted;
        let newline = memchr::memrchr(b'\n', &content).filter(|_| !is_over);
        let next = content.split_off(newline.map_or(content.len(), |at| at + 1));
        if is_over && content.is_empty() && total > 0 {
            break;
        }
        let frame = compressor.compress(&content)?;
        out.write_all(&frame)?;
        has_table &= frames.push(frame.len(), content.len());
        total += content.len() as u64;
        content = next;
    }
    if total != bytes {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "it has changed while it was compressed",
        ));
    }
    // The header of a single frame says its size.
    if has_table && frames.count() > 1 {
        out.write_all(&frames.to_bytes())?;
    }
    Ok(())
}
