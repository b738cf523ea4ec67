//! One file of a log.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::iter;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::input::Input;
use super::tail::lines_end;
use crate::error::Error;
use crate::file_name::{FileName, compressed_path, is_compressed_path, plain_path};
use crate::zst;

/// The bytes of the last part of a file that is read from its end, and the most that a part has.
const PART_BYTES: Range<u64> = 64 << 10..8 << 20;

/// The path that stands for standard input.
const STDIN: &str = "-";

/// A file of the log: `audit-YYYY-MM-DD.jsonl`, or `audit-YYYY-MM-DD.N.jsonl` from 1. Either may be
/// compressed and end in `.zst`, which the feature `zstd` can read. A file that was named by its path
/// may have any name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    path: PathBuf,
    name: String,
    plain_name: String,
    /// Whether it was found in the folder of a log, and not named by its path.
    is_of_folder: bool,
    /// `None` if the name is not one of the log's.
    parts: Option<FileName>,
    bytes: u64,
    /// Its bytes on the disk, which are fewer if it is compressed.
    stored_bytes: u64,
    /// A pipe or a device: it has no length, and is read once.
    is_stream: bool,
}

impl LogFile {
    /// The file of this name in `dir`; `None` if the name is not one of the log's.
    pub(super) fn from_name(dir: &Path, name: &str, stored_bytes: u64) -> Option<Self> {
        let parts = FileName::parse(name)?;
        let path = dir.join(name);
        let bytes = content_bytes(&path, stored_bytes);
        let (name, plain_name) = (name.to_owned(), parts.plain().to_string());
        let parts = Some(parts);
        let (is_of_folder, is_stream) = (true, false);
        Some(Self { path, name, plain_name, is_of_folder, parts, bytes, stored_bytes, is_stream })
    }

    /// The file at this path, whatever its name; `-` is standard input.
    pub(super) fn from_path(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::io("read", path, source);
        let is_stdin = path.as_os_str() == STDIN;
        let length = if is_stdin { None } else { length_if_regular(path).map_err(read)? };
        let stored_bytes = length.unwrap_or(0);
        let file_name = path.file_name().and_then(OsStr::to_str);
        let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
        Ok(Self {
            path: path.to_owned(),
            plain_name: plain_path(&name).to_owned(),
            name,
            is_of_folder: false,
            parts: file_name.and_then(FileName::parse),
            bytes: length.map_or(0, |bytes| content_bytes(path, bytes)),
            stored_bytes,
            is_stream: length.is_none(),
        })
    }

    /// The name within the folder, or the path by which it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that it has, or had, without compression.
    pub(crate) fn plain_name(&self) -> &str {
        &self.plain_name
    }

    pub(crate) fn is_compressed(&self) -> bool {
        !self.is_stream && is_compressed_path(&self.path)
    }

    /// Whether it is a pipe, a device or standard input: it has no length, and is read once.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether it was found in the folder of a log, and not named by its path.
    pub(super) fn is_of_folder(&self) -> bool {
        self.is_of_folder
    }

    /// Whether its name is one of the log's. What else it is may be anything.
    pub(super) fn has_name_of_log(&self) -> bool {
        self.parts.is_some()
    }

    /// By what files of several folders are ordered, if it has a name of the log's.
    pub(super) fn order(&self) -> Option<(Option<&Path>, FileName)> {
        Some((self.path.parent(), self.parts?))
    }

    /// The bytes of its lines when the folder was read. A compressed file that does not say how many
    /// it holds counts with its own bytes; the writer makes no such file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a living writer holds it; `false` if the lock cannot be asked for.
    pub fn is_locked(&self) -> bool {
        // Shared, and released at once: another reader may be asking at the same moment.
        !self.is_stream
            && File::open(&self.path)
                .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Whether a writer holds it, or has written to it since the folder was read.
    pub(crate) fn is_in_use(&self) -> bool {
        let has_grown = || fs::metadata(&self.path).is_ok_and(|now| now.len() != self.stored_bytes);
        !self.is_stream && (self.is_locked() || has_grown())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be read from any place without reading what is before.
    pub(super) fn is_seekable(&self) -> bool {
        let frames = || zst::Frames::read(&mut File::open(&self.path).ok()?).ok()?;
        !self.is_stream && (!self.is_compressed() || frames().is_some())
    }

    /// Whether it is shorter than when the folder was read.
    pub(super) fn has_shrunk(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|now| now.len() < self.stored_bytes)
    }

    /// Opens its content from `offset` on. If the file was compressed since the folder was read, it is
    /// found under its new name.
    pub(crate) fn read_from(&self, offset: u64) -> Result<Input, Error> {
        if self.path.as_os_str() == STDIN {
            return Ok(Input::stdin());
        }
        let mut offset = offset;
        let plain = (!self.is_compressed()).then(|| File::open(&self.path));
        let input = match plain {
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => skip_input_bytes(
                open_compressed(&compressed_path(&self.path), &mut offset).map_err(|_| error),
                offset,
            ),
            Some(file) => file.and_then(|file| input_from_offset(file, offset)),
            None => skip_input_bytes(open_compressed(&self.path, &mut offset), offset),
        };
        input.map_err(|source| self.read_error(source))
    }

    /// How much of what [`read_from`](Self::read_from) reads was there when the folder was read.
    pub(super) fn bytes_when_listed(&self) -> u64 {
        if self.is_stream || self.is_compressed() { u64::MAX } else { self.bytes }
    }

    pub(crate) fn read_error(&self, source: io::Error) -> Error {
        Error::io("read", &self.path, source)
    }

    /// Finds the end of the last whole line.
    pub(crate) fn lines_end(&self) -> Result<u64, Error> {
        if self.is_compressed() {
            // It will not grow.
            return Ok(self.bytes);
        }
        Ok(self.lines_end_before(self.bytes)?.unwrap_or(self.bytes))
    }

    /// Finds the end of the last whole line before a place. `None` if the file was compressed or
    /// removed since.
    fn lines_end_before(&self, place: u64) -> Result<Option<u64>, Error> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.read_error(error)),
        };
        let read_at = |offset, piece: &mut [u8]| {
            file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(piece))
        };
        lines_end(place, read_at).map(Some).map_err(|source| self.read_error(source))
    }

    /// The parts of the file for [`Lines::of_part`](super::Lines::of_part), the last one first, so that
    /// the newest lines are found without reading the others. Each begins where a line begins. What
    /// can only be read from its beginning is one part.
    pub fn parts_from_end(&self) -> impl Iterator<Item = Result<Range<u64>, Error>> {
        let is_one = self.is_stream || self.is_compressed();
        let (mut end, mut bytes) = (self.bytes_when_listed(), PART_BYTES.start);
        iter::from_fn(move || {
            let before = (end > 0).then(|| end.saturating_sub(bytes))?;
            let start = if is_one { Ok(None) } else { self.lines_end_before(before) };
            let part = start.map(|start| start.unwrap_or(0)..end);
            end = part.as_ref().map_or(0, |part| part.start);
            bytes = (bytes * 2).min(PART_BYTES.end);
            Some(part)
        })
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

/// How much a file holds: a compressed one what it says, if it does.
fn content_bytes(path: &Path, stored_bytes: u64) -> u64 {
    let content = is_compressed_path(path).then(|| compressed_content_bytes(path)).flatten();
    content.unwrap_or(stored_bytes)
}

/// How much a compressed file says that it holds.
fn compressed_content_bytes(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    if let Some(frames) = zst::Frames::read(&mut file).ok()? {
        return Some(frames.content_bytes());
    }
    file.rewind().ok()?;
    let mut header = Vec::new();
    file.take(zst::HEADER_BYTES as u64).read_to_end(&mut header).ok()?;
    zst::content_bytes(&header)
}

/// The length of a file, and `None` for a pipe and the like. A folder is an error.
fn length_if_regular(path: &Path) -> io::Result<Option<u64>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(metadata.is_file().then_some(metadata.len()))
}

fn input_from_offset(mut file: File, offset: u64) -> io::Result<Input> {
    // A pipe cannot seek.
    if offset > 0 {
        file.seek(SeekFrom::Start(offset))?;
    }
    Input::from_file(file, false)
}

/// Opens a compressed file at the frame that has this byte of its content. What is left of `offset` is
/// counted from there.
fn open_compressed(path: &Path, offset: &mut u64) -> io::Result<Input> {
    let mut file = File::open(path)?;
    if *offset > 0
        && let Some(frames) = zst::Frames::read(&mut file)?
    {
        let (stored, content) = frames.frame_with(*offset);
        *offset -= content;
        file.seek(SeekFrom::Start(stored))?;
    } else {
        file.rewind()?;
    }
    Input::from_file(file, true)
}

/// An input without its first bytes.
fn skip_input_bytes(input: io::Result<Input>, bytes: u64) -> io::Result<Input> {
    let mut input = input?;
    io::copy(&mut (&mut input).take(bytes), &mut io::sink())?;
    Ok(input)
}
