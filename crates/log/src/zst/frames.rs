//! The seek table at the end of a compressed file: the places of its frames.
//!
//! It is a skippable frame as Zstandard's seekable format has it, which every decompressor steps over.

use std::io::{self, Read, Seek, SeekFrom};

/// What a skippable frame of the format begins with.
const SKIPPABLE: [u8; 4] = 0x184D_2A5E_u32.to_le_bytes();
/// What the file ends with.
const END: [u8; 4] = 0x8F92_EAB1_u32.to_le_bytes();
const HEAD_BYTES: usize = 8;
/// The number of frames, a byte of flags, the magic number.
const FOOT_BYTES: usize = 9;
/// The flag of tables that have a checksum for each frame.
const HAS_CHECKSUMS: u8 = 0x80;
/// A larger table is not read.
const FRAMES_MAX: usize = 1 << 20;

/// The frames of a compressed file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// The bytes of each in the file, and of its content.
    sizes: Vec<(u32, u32)>,
}

impl Frames {
    /// Adds a frame. Returns `false` if its sizes do not fit into the table.
    pub fn push(&mut self, stored: usize, content: usize) -> bool {
        match (stored.try_into(), content.try_into()) {
            (Ok(stored), Ok(content)) if self.sizes.len() < FRAMES_MAX => {
                self.sizes.push((stored, content));
                true
            }
            _ => false,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sizes.len()
    }

    /// The bytes of all contents.
    pub fn content_bytes(&self) -> u64 {
        self.sizes.iter().map(|sizes| u64::from(sizes.1)).sum()
    }

    /// Where the frame that has this byte of the content begins: in the file, and in the content. Past the
    /// end it is the last frame.
    pub fn frame_with(&self, offset: u64) -> (u64, u64) {
        let (mut stored, mut content) = (0, 0);
        for (at, sizes) in self.sizes.iter().enumerate() {
            let end = content + u64::from(sizes.1);
            if offset < end || at + 1 == self.sizes.len() {
                break;
            }
            (stored, content) = (stored + u64::from(sizes.0), end);
        }
        (stored, content)
    }

    /// The table as it is at the end of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries = self.sizes.iter().flat_map(|(stored, content)| [*stored, *content]);
        let mut out = SKIPPABLE.to_vec();
        out.extend(((self.sizes.len() * 8 + FOOT_BYTES) as u32).to_le_bytes());
        out.extend(entries.flat_map(u32::to_le_bytes));
        out.extend((self.sizes.len() as u32).to_le_bytes());
        out.push(0);
        out.extend(END);
        out
    }

    /// Reads the table of a file. `None` if it has none that fits.
    ///
    /// # Errors
    ///
    /// What the file reports.
    pub fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut foot = [0; FOOT_BYTES];
        if length < foot.len() as u64 {
            return Ok(None);
        }
        file.seek(SeekFrom::End(-(FOOT_BYTES as i64)))?;
        file.read_exact(&mut foot)?;
        let [a, b, c, d, flags, end @ ..] = foot;
        let count = u32::from_le_bytes([a, b, c, d]) as usize;
        let entry_bytes = if flags & HAS_CHECKSUMS == 0 { 8 } else { 12 };
        let bytes = HEAD_BYTES + count.saturating_mul(entry_bytes) + FOOT_BYTES;
        if end != END || count > FRAMES_MAX || bytes as u64 > length {
            return Ok(None);
        }
        let mut table = vec![0; bytes];
        file.seek(SeekFrom::End(-(bytes as i64)))?;
        file.read_exact(&mut table)?;
        let size = ((bytes - HEAD_BYTES) as u32).to_le_bytes();
        if table[..4] != SKIPPABLE || table[4..HEAD_BYTES] != size {
            return Ok(None);
        }
        let entries = table[HEAD_BYTES..bytes - FOOT_BYTES].chunks_exact(entry_bytes);
        let number = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let sizes: Vec<_> = entries.map(|entry| (number(entry), number(&entry[4..]))).collect();
        let stored: u64 = sizes.iter().map(|sizes| u64::from(sizes.0)).sum();
        Ok((stored + bytes as u64 == length).then_some(Self { sizes }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let mut frames = Frames::default();
        assert!(frames.push(3, 10) && frames.push(4, 20) && frames.push(5, 1));
        assert!(!frames.push(usize::MAX, 1));
        let file = [&[7; 12][..], &frames.to_bytes()].concat();
        assert_eq!(Frames::read(&mut Cursor::new(&file)).unwrap(), Some(frames.clone()));
        assert_eq!(frames.content_bytes(), 31);
        let places =
            [(0, (0, 0)), (9, (0, 0)), (10, (3, 10)), (29, (3, 10)), (30, (7, 30)), (99, (7, 30))];
        for (offset, place) in places {
            assert_eq!(frames.frame_with(offset), place, "{offset}");
        }
        let flags = file.len() - 5;
        for at in (12..file.len()).filter(|at| *at != flags) {
            let mut other = file.clone();
            other[at] ^= 1;
            let found = Frames::read(&mut Cursor::new(&other)).unwrap();
            assert_ne!(found, Some(frames.clone()), "{at}");
        }
        for length in 0..file.len() {
            assert_eq!(Frames::read(&mut Cursor::new(&file[..length])).unwrap(), None, "{length}");
        }
        let longer = [&[7; 13][..], &frames.to_bytes()].concat();
        assert_eq!(Frames::read(&mut Cursor::new(&longer)).unwrap(), None);
    }
}
