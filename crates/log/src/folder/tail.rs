//! The end of the last whole line, searched from the end of a file.

use std::io;

/// How much is read at once.
const PIECE_BYTES: u64 = 64 << 10;

/// Finds where the last whole line of `len` bytes ends; 0 if there is none. `read_at` fills a piece
/// from an offset on.
///
/// # Errors
///
/// What `read_at` reports.
pub fn lines_end(
    len: u64,
    mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut piece = Vec::new();
    let mut end = len;
    while end > 0 {
        // The last byte alone first: nearly always it is the end of a line.
        let start = if end == len { end - 1 } else { end.saturating_sub(PIECE_BYTES) };
        piece.resize((end - start) as usize, 0);
        read_at(start, &mut piece)?;
        if let Some(at) = memchr::memrchr(b'\n', &piece) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_is_found_at_any_distance() {
        let piece = PIECE_BYTES as usize;
        for torn in [0, 1, 2, piece - 1, piece, piece + 1, 3 * piece] {
            for (head, expected) in [("", 0), ("\n", 1), ("a\nb\n", 4)] {
                let bytes = [head.as_bytes(), &vec![b'x'; torn]].concat();
                let read_at = |offset: u64, piece: &mut [u8]| {
                    let offset = offset as usize;
                    piece.copy_from_slice(&bytes[offset..offset + piece.len()]);
                    Ok(())
                };
                let found = lines_end(bytes.len() as u64, read_at).unwrap();
                assert_eq!(found, expected, "{torn} bytes after {head:?}");
            }
        }
    }
}
