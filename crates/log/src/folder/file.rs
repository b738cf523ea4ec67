//! One file of a log.

use std::cmp::Ordering;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::input::Input;
use super::tail::lines_end;
use crate::error::Error;
use crate::file_name::{FileName, compressed_path};
use crate::zst;

/// A file of the log: `audit-YYYY-MM-DD.jsonl`, or `audit-YYYY-MM-DD.N.jsonl` from 1, and either
/// with `.zst` behind, which the feature `zstd` can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    path: PathBuf,
    name: String,
    plain_name: String,
    parts: FileName,
    bytes: u64,
    /// On the disk, which is less where it is compressed.
    stored_bytes: u64,
}

impl LogFile {
    /// The file of this name in `dir`, where the name is one of the log's.
    pub(super) fn of(dir: &Path, name: &str, stored_bytes: u64) -> Option<Self> {
        let parts = FileName::parse(name)?;
        let path = dir.join(name);
        let content = parts.is_compressed.then(|| content_bytes(&path)).flatten();
        let bytes = content.unwrap_or(stored_bytes);
        let plain_name = parts.plain().to_string();
        Some(Self { path, name: name.to_owned(), plain_name, parts, bytes, stored_bytes })
    }

    /// The name within the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name it has, or had, where it is not compressed.
    pub(crate) fn plain_name(&self) -> &str {
        &self.plain_name
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.parts.is_compressed
    }

    /// How many bytes its lines had when the folder was read. (Of a compressed file that does not
    /// say how many it holds, which is none of the writer's, its own bytes.)
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a living writer holds it. Where the lock cannot be asked for, nobody does.
    pub fn is_locked(&self) -> bool {
        // Shared, and let go at once: a reader may be asking at the same moment.
        File::open(&self.path)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Whether a writer holds it, or has written to it since the folder was read.
    pub(crate) fn is_in_use(&self) -> bool {
        self.is_locked() || fs::metadata(&self.path).is_ok_and(|now| now.len() != self.stored_bytes)
    }

    /// What it holds from `offset` on. A file that was compressed since the folder was read is
    /// found by its new name.
    pub(crate) fn read_from(&self, offset: u64) -> Result<Input, Error> {
        let plain = (!self.is_compressed()).then(|| File::open(&self.path));
        let input = match plain {
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                skip(Input::open(compressed_path(&self.path)).map_err(|_| error), offset)
            }
            Some(file) => file.and_then(|mut file| {
                file.seek(SeekFrom::Start(offset))?;
                Input::of(file, false)
            }),
            None => skip(Input::open(&self.path), offset),
        };
        input.map_err(|source| self.error(source))
    }

    /// How much of what [`read_from`](Self::read_from) reads was there when the folder was read.
    pub(super) fn bytes_there(&self) -> u64 {
        if self.is_compressed() { u64::MAX } else { self.bytes }
    }

    pub(crate) fn error(&self, source: io::Error) -> Error {
        Error::io("read", &self.path, source)
    }

    /// Where the last whole line ends.
    pub(crate) fn lines_end(&self) -> Result<u64, Error> {
        if self.is_compressed() {
            // It will not grow.
            return Ok(self.bytes);
        }
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            // Compressed or removed since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.bytes),
            Err(error) => return Err(self.error(error)),
        };
        let read_at = |offset, piece: &mut [u8]| {
            file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(piece))
        };
        lines_end(self.bytes, read_at).map_err(|source| self.error(source))
    }
}

impl Ord for LogFile {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

impl PartialOrd for LogFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How much a compressed file says that it holds.
fn content_bytes(path: &Path) -> Option<u64> {
    let mut header = Vec::new();
    File::open(path).ok()?.take(zst::HEADER_BYTES as u64).read_to_end(&mut header).ok()?;
    zst::content_bytes(&header)
}

/// An input without its first bytes.
fn skip(input: io::Result<Input>, bytes: u64) -> io::Result<Input> {
    let mut input = input?;
    io::copy(&mut (&mut input).take(bytes), &mut io::sink())?;
    Ok(input)
}
