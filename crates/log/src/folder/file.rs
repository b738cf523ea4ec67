//! One file of a log.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::iter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::input::{Input, Packing};
use super::tail::lines_end;
use crate::error::Error;
use crate::file_name::{FileName, compressed_path};
use crate::zst;

/// The bytes of the last part of a file that is read from its end, and the most that a part has.
const PART_BYTES: Range<u64> = 64 << 10..8 << 20;

/// A file that was changed later than this long ago may still be being copied here.
const SETTLED_AFTER: Duration = Duration::from_secs(60 * 60);

/// The path that stands for standard input.
const STDIN: &str = "-";

/// A file of the log: `audit-YYYY-MM-DD.jsonl`, or `audit-YYYY-MM-DD.N.jsonl` from 1. Either may be
/// compressed and end in `.zst`, which the feature `zstd` can read, or in `.gz`, which the feature `gzip`
/// can read. A file that was named by its path may have any name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    path: PathBuf,
    name: String,
    plain_name: String,
    /// Whether it was found in the folder of a log, and not named by its path.
    is_of_folder: bool,
    /// Without compression. `None` if the name is not one of the log's.
    parts: Option<FileName>,
    packing: Packing,
    /// The bytes of its lines; `None` if it is compressed and does not say how many it holds.
    content_bytes: Option<u64>,
    /// Its bytes on the disk, which are fewer if it is compressed.
    stored_bytes: u64,
    /// A pipe or a device: it has no length, and is read once.
    is_stream: bool,
    /// Why it cannot be read, as far as that was known when the folder was read.
    fault: Option<(io::ErrorKind, String)>,
}

impl LogFile {
    /// Whether a file of this name in a folder is one of the log's.
    pub(super) fn is_log_name(name: &str) -> bool {
        Self::name_parts(name).is_some()
    }

    /// How it is packed, its name without that, and the parts of the name.
    fn name_parts(name: &str) -> Option<(Packing, &str, FileName)> {
        let packing = Packing::of_name(Path::new(name));
        let plain_name = packing.plain_name(name);
        let parts = FileName::parse(plain_name).filter(|parts| !parts.is_compressed)?;
        Some((packing, plain_name, parts))
    }

    /// The file of this name in `dir`; `None` if the name is not one of the log's. What has such a name
    /// and is not a file is listed as one that cannot be read, so that readers report it.
    pub(super) fn from_name(
        dir: &Path,
        name: &str,
        metadata: io::Result<Metadata>,
    ) -> Option<Self> {
        let (packing, plain_name, parts) = Self::name_parts(name)?;
        let path = dir.join(name);
        let fault = match &metadata {
            Err(error) => Some((error.kind(), error.to_string())),
            Ok(metadata) if metadata.is_file() => None,
            Ok(metadata) if metadata.is_dir() => {
                Some((io::ErrorKind::IsADirectory, "it is a folder".to_owned()))
            }
            // To open a pipe would wait for its writer.
            Ok(_) => Some((io::ErrorKind::InvalidInput, "it is not a regular file".to_owned())),
        };
        let stored_bytes = metadata.ok().filter(|_| fault.is_none()).map_or(0, |found| found.len());
        let content_bytes = content_bytes(&path, packing, stored_bytes);
        let (name, plain_name, parts) = (name.to_owned(), plain_name.to_owned(), Some(parts));
        let (is_of_folder, is_stream) = (true, false);
        Some(Self {
            path,
            name,
            plain_name,
            is_of_folder,
            parts,
            packing,
            content_bytes,
            stored_bytes,
            is_stream,
            fault,
        })
    }

    /// The file at this path, whatever its name; `-` is standard input.
    pub(super) fn from_path(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::io("read", path, source);
        let is_stdin = path.as_os_str() == STDIN;
        let length = if is_stdin { None } else { length_if_regular(path).map_err(read)? };
        let stored_bytes = length.unwrap_or(0);
        let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
        let packing = match length {
            Some(_) => Packing::of_file(path),
            None => Packing::Plain,
        };
        let plain_name = packing.plain_name(&name).to_owned();
        let file_name = Path::new(&plain_name).file_name().and_then(OsStr::to_str);
        Ok(Self {
            path: path.to_owned(),
            is_of_folder: false,
            parts: file_name.and_then(FileName::parse).filter(|parts| !parts.is_compressed),
            plain_name,
            name,
            packing,
            content_bytes: content_bytes(path, packing, stored_bytes),
            stored_bytes,
            is_stream: length.is_none(),
            fault: None,
        })
    }

    /// The name within the folder, or the path by which it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that it has, or had, without compression.
    pub fn plain_name(&self) -> &str {
        &self.plain_name
    }

    pub(crate) fn is_compressed(&self) -> bool {
        !self.is_stream && self.packing != Packing::Plain
    }

    /// Whether another program compressed it, which does not say how much it holds.
    pub(super) fn is_gzip(&self) -> bool {
        self.packing == Packing::Gzip
    }

    /// Whether it is a pipe, a device or standard input: it has no length, and is read once.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether it was found in the folder of a log, and not named by its path.
    pub(super) fn is_of_folder(&self) -> bool {
        self.is_of_folder
    }

    /// By what files of several folders are ordered, if it has a name of the log's.
    pub(super) fn order(&self) -> Option<(Option<&Path>, FileName, bool)> {
        // A compressed copy comes before its original.
        Some((self.path.parent(), self.parts?, self.packing == Packing::Plain))
    }

    /// The bytes of its lines when the folder was read. A compressed file that does not say how many
    /// it holds counts with its own bytes; the writer makes no such file.
    pub fn bytes(&self) -> u64 {
        self.content_bytes.unwrap_or(self.stored_bytes)
    }

    /// The bytes of its lines, if it says how many it holds.
    pub(super) fn content_bytes(&self) -> Option<u64> {
        self.content_bytes
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Whether a living writer holds it; `false` if the lock cannot be asked for.
    pub fn is_locked(&self) -> bool {
        // Shared, and released at once: another reader may be asking at the same moment.
        !self.is_stream
            && self.fault.is_none()
            && File::open(&self.path)
                .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Whether a writer holds it, or has written to it since the folder was read.
    pub(crate) fn is_in_use(&self) -> bool {
        let has_grown = || fs::metadata(&self.path).is_ok_and(|now| now.len() != self.stored_bytes);
        !self.is_stream && self.fault.is_none() && (self.is_locked() || has_grown())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be read from any place without reading what is before.
    pub(super) fn is_seekable(&self) -> bool {
        let frames = || zst::Frames::read(&mut File::open(&self.path).ok()?).ok()?;
        match self.packing {
            Packing::Plain => !self.is_stream,
            Packing::Zstd => frames().is_some(),
            Packing::Gzip => false,
        }
    }

    /// Why its content ends here, if it has become shorter since the folder was read.
    pub(super) fn cut_at(&self, end: u64) -> Option<io::Error> {
        let listed = self.bytes_when_listed();
        if listed == u64::MAX || end >= listed {
            return None;
        }
        let now = fs::metadata(&self.path).ok()?.len();
        if now >= listed {
            return None;
        }
        let why = format!("it was cut to {now} bytes while it was read; it had {listed}");
        Some(io::Error::new(io::ErrorKind::UnexpectedEof, why))
    }

    /// Opens its content from `offset` on. If the file was compressed since the folder was read, it is
    /// found under its new name.
    pub(crate) fn read_from(&self, offset: u64) -> Result<Input, Error> {
        if self.path.as_os_str() == STDIN {
            return Input::stdin().map_err(|source| self.read_error(source));
        }
        if let Some((kind, why)) = &self.fault {
            return Err(self.read_error(io::Error::new(*kind, why.as_str())));
        }
        let mut offset = offset;
        let plain = (!self.is_compressed()).then(|| File::open(&self.path));
        let input = match plain {
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => skip_input_bytes(
                open_zstd(&compressed_path(&self.path), &mut offset).map_err(|_| error),
                offset,
            ),
            Some(file) if self.is_stream => file.and_then(Input::detect),
            Some(file) => file.and_then(|file| input_from_offset(file, offset)),
            None if self.is_gzip() => skip_input_bytes(Input::open(&self.path), offset),
            None => skip_input_bytes(open_zstd(&self.path, &mut offset), offset),
        };
        input.map_err(|source| self.read_error(source))
    }

    /// How much of what [`read_from`](Self::read_from) reads was there when the folder was read.
    pub(super) fn bytes_when_listed(&self) -> u64 {
        if self.is_stream || self.is_compressed() { u64::MAX } else { self.bytes() }
    }

    pub(crate) fn read_error(&self, source: io::Error) -> Error {
        Error::io("read", &self.path, source)
    }

    /// Whether an error of reading it lasts: it is compressed and damaged, and no longer being copied here.
    pub(super) fn is_damaged_for_good(&self, error: &Error) -> bool {
        let is_settled = || {
            let changed = fs::metadata(&self.path).and_then(|now| now.modified()).ok();
            changed.and_then(|at| at.elapsed().ok()).is_some_and(|age| age >= SETTLED_AFTER)
        };
        self.is_compressed() && self.fault.is_none() && error.is_damage() && is_settled()
    }

    /// Finds the end of the last whole line.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn lines_end(&self) -> Result<u64, Error> {
        if self.is_compressed() {
            // It will not grow.
            return Ok(self.bytes());
        }
        Ok(self.lines_end_before(self.bytes())?.unwrap_or(self.bytes()))
    }

    /// Finds the end of the last whole line before a place. `None` if the file was compressed or
    /// removed since.
    fn lines_end_before(&self, place: u64) -> Result<Option<u64>, Error> {
        if place == 0 {
            return Ok(Some(0));
        }
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
        let is_one = self.is_stream || self.is_compressed() || self.fault.is_some();
        // What cannot be read has a part, whose reading says so.
        let end = if self.fault.is_some() { u64::MAX } else { self.bytes_when_listed() };
        let (mut end, mut bytes) = (end, PART_BYTES.start);
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
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for LogFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How much a file holds. A compressed one may not say so.
fn content_bytes(path: &Path, packing: Packing, stored_bytes: u64) -> Option<u64> {
    match packing {
        Packing::Plain => Some(stored_bytes),
        Packing::Zstd => compressed_content_bytes(path),
        Packing::Gzip => None,
    }
}

/// How much a compressed file says that it holds.
fn compressed_content_bytes(path: &Path) -> Option<u64> {
    zst::content_bytes_of_file(&mut File::open(path).ok()?).ok()?
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
    if offset > 0 {
        file.seek(SeekFrom::Start(offset))?;
    }
    Ok(Input::plain(file))
}

/// Opens a compressed file at the frame that has this byte of its content. What is left of `offset` is
/// counted from there.
fn open_zstd(path: &Path, offset: &mut u64) -> io::Result<Input> {
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
    Input::unpack(file, Packing::Zstd)
}

/// An input without its first bytes.
fn skip_input_bytes(input: io::Result<Input>, bytes: u64) -> io::Result<Input> {
    let mut input = input?;
    io::copy(&mut (&mut input).take(bytes), &mut io::sink())?;
    Ok(input)
}
