//! Zstandard with the feature `zstd`, and the size that a compressed file names, without it.

#[cfg(not(feature = "zstd"))]
mod absent;
mod frames;
#[cfg(feature = "zstd")]
mod present;

#[cfg(not(feature = "zstd"))]
pub use absent::{IS_PRESENT, compress, reader};
#[cfg(feature = "zstd")]
pub use present::{IS_PRESENT, compress, reader};

use std::io::{self, Read, Seek};

pub use frames::Frames;

/// As much of a file as [`content_bytes`] needs.
pub const HEADER_BYTES: usize = 18;

/// Reads how many bytes a compressed file holds from its header (RFC 8878, 3.1.1).
/// Returns `None` if the file does not say, or is not such a file.
pub fn content_bytes(header: &[u8]) -> Option<u64> {
    let (&descriptor, rest) = header.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?.split_first()?;
    let is_single_segment = descriptor >> 5 & 1 == 1;
    let dictionary_id_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let field = rest.get(usize::from(!is_single_segment) + dictionary_id_bytes..)?;
    let (bytes, added) = match descriptor >> 6 {
        0 if is_single_segment => (1, 0),
        0 => return None,
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let mut number = [0; 8];
    number[..bytes].copy_from_slice(field.get(..bytes)?);
    u64::from_le_bytes(number).checked_add(added)
}

/// Reads how many bytes a compressed file holds: from the table at its end, or from its header. Returns `None`
/// if the file does not say, or is not such a file.
///
/// # Errors
///
/// What the file reports.
pub fn content_bytes_of_file(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    if let Some(frames) = Frames::read(file)? {
        return Ok(Some(frames.content_bytes()));
    }
    file.rewind()?;
    let mut header = Vec::new();
    file.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    Ok(content_bytes(&header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_read_from_every_kind_of_header() {
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let cases: [(&[u8], Option<u64>); 9] = [
            (&[0b0010_0000, 7], Some(7)),
            (&[0b0000_0000, 9, 7], None),
            (&[0b0100_0000, 9, 1, 1], Some(257 + 256)),
            (&[0b0110_0001, 5, 1, 0], Some(257)),
            (&[0b1000_0010, 9, 5, 5, 1, 0, 0, 1], Some((1 << 24) + 1)),
            (&[0b1110_0011, 5, 5, 5, 5, 1, 0, 0, 0, 0, 0, 0, 1], Some((1 << 56) + 1)),
            (&[0b1110_0011, 5, 5, 5, 5, 1, 0, 0, 0, 0, 0, 0], None),
            (&[0b0100_0000], None),
            (&[], None),
        ];
        for (rest, expected) in cases {
            assert_eq!(content_bytes(&[&magic, rest].concat()), expected, "{rest:?}");
        }
        assert_eq!(content_bytes(b"{\"event_version\":\"3"), None);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn what_is_compressed_comes_back_and_says_its_size() {
        use std::io::{Cursor, Read};

        for bytes in [0_usize, 1, 255, 256, 70_000, 3_000_000] {
            let text: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
            let mut compressed = Vec::new();
            compress(&mut &text[..], bytes as u64, &mut compressed).unwrap();
            let header = &compressed[..compressed.len().min(HEADER_BYTES)];
            let frames = Frames::read(&mut Cursor::new(&compressed)).unwrap();
            assert_eq!(frames.is_some(), bytes > 1 << 20);
            let said = frames.as_ref().map(Frames::content_bytes).or(content_bytes(header));
            assert_eq!(said, Some(bytes as u64));
            let mut back = Vec::new();
            reader(&compressed[..]).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == text, "{bytes}");
            for offset in [0, bytes / 3, bytes / 2, bytes.saturating_sub(1)] {
                let Some(frames) = &frames else { continue };
                let (stored, content) = frames.frame_with(offset as u64);
                let mut rest = Vec::new();
                reader(&compressed[stored as usize..]).unwrap().read_to_end(&mut rest).unwrap();
                assert!(rest == text[content as usize..], "{bytes} from {offset}");
            }
        }
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn frames_are_of_whole_lines() {
        let lines: Vec<_> = (0..9_000).map(|n| format!("{n} {}\n", "x".repeat(n % 700))).collect();
        let text = lines.concat();
        let mut compressed = Vec::new();
        compress(&mut text.as_bytes(), text.len() as u64, &mut compressed).unwrap();
        let frames = Frames::read(&mut io::Cursor::new(&compressed)).unwrap().unwrap();
        for offset in (0..text.len()).step_by(100_000) {
            let (_, content) = frames.frame_with(offset as u64);
            assert!(content == 0 || text.as_bytes()[content as usize - 1] == b'\n');
            assert!(offset as u64 - content <= 1 << 20);
        }
        let other = compress(&mut text.as_bytes(), text.len() as u64 + 1, &mut Vec::new());
        assert!(other.is_err(), "the size is another one");
    }
}
