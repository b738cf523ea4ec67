//! A place in a log, to go on from there later.

use std::io::Read;

use serde::{Deserialize, Serialize};

use super::LogFile;
use super::index::checksum;
use super::lines::{Ending, line_bytes_in_file};
use crate::error::Error;
use crate::schema::Prefix;

/// A place after a line of a file that was read, to be kept and gone on from: see
/// [`Follow::positions`](super::Follow::positions).
///
/// A file may be compressed, cut or replaced meanwhile. The position fits as long as the last line is at
/// its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Position {
    /// The file's name within the folder, without `.zst`.
    pub file: String,
    /// The bytes before the next line, as they are without compression.
    pub offset: u64,
    /// The instance that wrote the last line, if it was a logger.
    pub instance: Option<String>,
    /// The number of the event in the last line.
    pub seq: Option<u64>,
    /// The bytes of the last line with its newline; 0 if no line was read.
    pub line_bytes: u64,
    /// A hash of the last line.
    pub line_hash: u64,
    /// Whether the file was cut or replaced, so that lines from its beginning on may come again.
    #[serde(default)]
    pub may_repeat: bool,
}

impl Position {
    /// The place in a file that is `offset` bytes after its beginning.
    pub(super) fn of_file(file: &LogFile, offset: u64) -> Self {
        Self { file: file.plain_name().to_owned(), offset, ..Self::default() }
    }

    /// The beginning of a file that was cut or replaced.
    pub(super) fn again_from_start(file: &LogFile) -> Self {
        Self { may_repeat: true, ..Self::of_file(file, 0) }
    }

    /// Moves to the end of the next line. Returns the line's offset.
    pub(super) fn pass_line(&mut self, line: &[u8], ending: Ending) -> u64 {
        let start = self.offset;
        let prefix = Prefix::of(line);
        self.offset += line_bytes_in_file(ending, line.len());
        self.instance = prefix.map(|prefix| prefix.instance.to_owned());
        self.seq = prefix.and_then(|prefix| prefix.seq);
        // A line that is too long is not held.
        let is_held = ending == Ending::Newline;
        self.line_bytes = if is_held { self.offset - start } else { 0 };
        self.line_hash = if is_held { checksum(line) } else { 0 };
        start
    }

    /// Whether the last line is still at its place in this file.
    ///
    /// # Errors
    ///
    /// The file cannot be read now. It may still be the same.
    pub(super) fn fits(&self, file: &LogFile) -> Result<bool, Error> {
        if self.line_bytes == 0 {
            return Ok(file.bytes() >= self.offset || file.is_compressed());
        }
        let Some(start) = self.offset.checked_sub(self.line_bytes) else { return Ok(false) };
        let line = self.read_last_line(file, start)?;
        Ok(line
            .split_last()
            .is_some_and(|(newline, line)| *newline == b'\n' && checksum(line) == self.line_hash))
    }

    fn read_last_line(&self, file: &LogFile, start: u64) -> Result<Vec<u8>, Error> {
        let mut line = Vec::new();
        // Without trust in the length that was kept.
        let mut input = file.read_from(start)?.take(self.line_bytes);
        input.read_to_end(&mut line).map_err(|source| file.read_error(source))?;
        Ok(line)
    }
}
