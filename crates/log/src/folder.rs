//! Which files and lines a log folder holds, in order, now and as they come.

use std::cmp::Ordering;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::slice;

use crate::error::Error;
use crate::file_name::FileName;
use crate::input::Input;
use crate::line::{Line, parse};
use crate::zst;

/// The longest line that is read, in bytes without its newline. A longer one is stepped over
/// without holding it.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// How often a folder is listed in search of two lists that agree.
const LISTS_MAX: u32 = 8;

/// What is read from a file at once.
pub(crate) const BLOCK_BYTES: usize = 128 << 10;

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a newline.
    Newline,
    /// Without one, at the end of the input: torn, or still being written.
    Torn,
    /// Somewhere past [`LINE_BYTES_MAX`]; so many bytes were stepped over.
    TooLong(u64),
}

/// Reads the next line into `line`, without its newline; `None` at the end of the input.
///
/// Holds at most [`LINE_BYTES_MAX`] bytes and the input's own buffer: of a longer line nothing is
/// left in `line`, and the input stands behind its newline.
///
/// # Errors
///
/// What the input reports, interruptions apart.
pub fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<Ending>> {
    line.clear();
    let mut bytes = 0;
    loop {
        let block = match input.fill_buf() {
            Ok(block) => block,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let newline = memchr::memchr(b'\n', block);
        let content = &block[..newline.unwrap_or(block.len())];
        bytes += content.len();
        match bytes <= LINE_BYTES_MAX {
            true => line.extend_from_slice(content),
            false => *line = Vec::new(),
        }
        let (ended, used) = (block.is_empty(), content.len() + usize::from(newline.is_some()));
        input.consume(used);
        if newline.is_none() && !ended {
            continue;
        }
        return Ok(match (bytes > LINE_BYTES_MAX, newline) {
            (true, _) => Some(Ending::TooLong(bytes as u64)),
            (false, Some(_)) => Some(Ending::Newline),
            (false, None) => (bytes > 0).then_some(Ending::Torn),
        });
    }
}

/// A file of the log: `audit-YYYY-MM-DD.jsonl`, or `audit-YYYY-MM-DD.N.jsonl` from 1, and either
/// with `.zst` behind, which the feature `zstd` can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    path: PathBuf,
    name: String,
    parts: FileName,
    bytes: u64,
    /// On the disk, which is less where it is compressed.
    stored_bytes: u64,
}

impl LogFile {
    /// The file of this name in `dir`, where the name is one of the log's.
    fn of(dir: &Path, name: &str, stored_bytes: u64) -> Option<Self> {
        let parts = FileName::parse(name)?;
        let path = dir.join(name);
        let content = parts.is_compressed.then(|| content_bytes(&path)).flatten();
        let bytes = content.unwrap_or(stored_bytes);
        Some(Self { path, name: name.to_owned(), parts, bytes, stored_bytes })
    }

    /// The name within the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name it has, or had, where it is not compressed.
    pub(crate) fn plain_name(&self) -> &str {
        self.name.strip_suffix(".zst").unwrap_or(&self.name)
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
                skip(Input::open(self.path.with_extension("jsonl.zst")).map_err(|_| error), offset)
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
    fn bytes_there(&self) -> u64 {
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
        let mut block = vec![0; BLOCK_BYTES];
        let mut end = self.bytes;
        while end > 0 {
            let start = end.saturating_sub(BLOCK_BYTES as u64);
            let block = &mut block[..(end - start) as usize];
            let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(block));
            read.map_err(|source| self.error(source))?;
            if let Some(newline) = memchr::memrchr(b'\n', block) {
                return Ok(start + newline as u64 + 1);
            }
            end = start;
        }
        Ok(0)
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

/// The log files of a folder as they were at one moment, by day and then by number.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
    files: Vec<LogFile>,
}

impl Folder {
    /// Lists the folder. Files that are not the log's are left alone; what is written later is not
    /// part of it. Of a file and its compressed copy, both there while the writer puts one in the
    /// place of the other, the longer is; the file, where they are of one length.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be listed.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let dir = dir.into();
        let mut files = list(&dir)?;
        // A file that is being compressed may be in a list under both names, or under none where
        // it changes while the folder is read: two lists that agree have it.
        for _ in 0..LISTS_MAX {
            let again = list(&dir)?;
            let names = |files: &[LogFile]| {
                files.iter().map(LogFile::name).eq(again.iter().map(LogFile::name))
            };
            if names(&files) {
                break;
            }
            files = again;
        }
        files.dedup_by(|plain, compressed| {
            let is_copy = compressed.is_compressed() && compressed.plain_name() == plain.name;
            // Of one that a power cut or a torn line made shorter, the other has all lines.
            if is_copy && plain.bytes >= compressed.bytes {
                std::mem::swap(plain, compressed);
            }
            is_copy
        });
        Ok(Self { dir, files })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The same folder as it is now.
    pub(crate) fn again(&self) -> Result<Self, Error> {
        Self::open(&self.dir)
    }

    /// The files, oldest first.
    pub fn files(&self) -> &[LogFile] {
        &self.files
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(LogFile::bytes).sum()
    }

    /// Every line of every file.
    pub fn lines(&self) -> Lines<'_> {
        Lines::of(&self.files)
    }
}

fn list(dir: &Path) -> Result<Vec<LogFile>, Error> {
    let read = |source| Error::io("read", dir, source);
    // All names before the first length: of two files of a writer the earlier one then has all its lines.
    let entries: Vec<_> =
        fs::read_dir(dir).and_then(Iterator::collect::<io::Result<_>>).map_err(read)?;
    let mut files = Vec::new();
    for entry in entries {
        // A file may go away between the listing and the look at it; it is then no part.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if let (true, Some(name)) = (metadata.is_file(), entry.file_name().to_str()) {
            files.extend(LogFile::of(dir, name, metadata.len()));
        }
    }
    files.sort();
    Ok(files)
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

/// One line of a file, good or not.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The file's name within the folder.
    pub file: &'a str,
    /// The line's number in its file, from 1; 0 where it is not known, which is while following.
    pub number: u64,
    /// Where the line begins in its file, in bytes.
    pub offset: u64,
    /// How the line ended.
    pub ending: Ending,
    /// The line without its newline; nothing of one that is too long.
    pub bytes: &'a mut [u8],
}

impl Entry<'_> {
    /// Parses the line, whose bytes are scratch space afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`parse`], and a line that is too long.
    pub fn parse(&mut self) -> Result<Line<'_>, Error> {
        match self.ending {
            Ending::TooLong(bytes) => Err(too_long(bytes)),
            Ending::Newline | Ending::Torn => parse(self.bytes),
        }
    }
}

fn too_long(bytes: u64) -> Error {
    let limit = LINE_BYTES_MAX >> 20;
    Error::parse("log line", format!("{bytes} bytes long; the limit is {limit} MiB"))
}

/// The lines of files in order: [`Folder::lines`].
#[derive(Debug)]
pub struct Lines<'f> {
    files: slice::Iter<'f, LogFile>,
    reading: Option<Reading<'f>>,
    line: Vec<u8>,
    bytes: u64,
}

#[derive(Debug)]
struct Reading<'f> {
    file: &'f LogFile,
    input: BufReader<Take<Input>>,
    number: u64,
    offset: u64,
}

impl<'f> Lines<'f> {
    /// The lines of these files, one after the other.
    pub fn of(files: &'f [LogFile]) -> Self {
        Self { files: files.iter(), reading: None, line: Vec::new(), bytes: 0 }
    }

    /// How many bytes were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The next line; `None` behind the last one. What is wrong with a line is for
    /// [`Entry::parse`] to say.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read. The call after that goes on with the next file.
    pub fn next_line(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let ending = loop {
            let Some(reading) = &mut self.reading else {
                let Some(file) = self.files.next() else { return Ok(None) };
                let input = file.read_from(0)?.take(file.bytes_there());
                let input = BufReader::with_capacity(BLOCK_BYTES, input);
                self.reading = Some(Reading { file, input, number: 0, offset: 0 });
                continue;
            };
            match read_line(&mut reading.input, &mut self.line) {
                Ok(Some(ending)) => break ending,
                Ok(None) => self.reading = None,
                Err(source) => {
                    let error = reading.file.error(source);
                    self.reading = None;
                    return Err(error);
                }
            }
        };
        let Some(reading) = &mut self.reading else { return Ok(None) };
        let offset = reading.offset;
        reading.offset += consumed(ending, self.line.len());
        reading.number += 1;
        self.bytes += reading.offset - offset;
        Ok(Some(Entry {
            file: reading.file.name(),
            number: reading.number,
            offset,
            ending,
            bytes: &mut self.line,
        }))
    }
}

/// The bytes a line takes in its file. The newline of a line that is too long is counted even
/// where it is missing at the end of the file, behind which nothing follows.
pub(crate) fn consumed(ending: Ending, bytes: usize) -> u64 {
    match ending {
        Ending::Newline => bytes as u64 + 1,
        Ending::Torn => bytes as u64,
        Ending::TooLong(bytes) => bytes + 1,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn append(dir: &Path, name: &str, text: &str) {
        let mut file = File::options().create(true).append(true).open(dir.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn all(dir: &Path) -> Vec<(String, u64, u64, Ending, String)> {
        let folder = Folder::open(dir).unwrap();
        let mut lines = folder.lines();
        let mut found = Vec::new();
        while let Some(entry) = lines.next_line().unwrap() {
            let text = String::from_utf8_lossy(entry.bytes).into_owned();
            found.push((entry.file.to_owned(), entry.number, entry.offset, entry.ending, text));
        }
        assert_eq!(lines.bytes_read(), folder.bytes());
        found
    }

    #[test]
    fn files_by_day_then_number_and_lines_with_their_places() {
        let dir = tempfile::tempdir().unwrap();
        append(dir.path(), "audit-2026-01-02.10.jsonl", "j\n");
        append(dir.path(), "audit-2026-01-02.9.jsonl", "i\n\nk");
        append(dir.path(), "audit-2026-01-02.jsonl", "a\nbb\n");
        append(dir.path(), "audit-2025-12-31.3.jsonl", "");
        append(dir.path(), "notes.txt", "no\n");
        fs::create_dir(dir.path().join("audit-2026-01-03.jsonl")).unwrap();
        let day = |suffix: &str| format!("audit-2026-01-02{suffix}.jsonl");
        let expected = [
            (day(""), 1, 0, Ending::Newline, "a"),
            (day(""), 2, 2, Ending::Newline, "bb"),
            (day(".9"), 1, 0, Ending::Newline, "i"),
            (day(".9"), 2, 2, Ending::Newline, ""),
            (day(".9"), 3, 3, Ending::Torn, "k"),
            (day(".10"), 1, 0, Ending::Newline, "j"),
        ];
        assert_eq!(all(dir.path()), expected.map(|(f, n, o, e, t)| (f, n, o, e, t.to_owned())));
        assert!(Folder::open(dir.path().join("missing")).unwrap_err().is_io());
    }

    #[test]
    fn a_line_past_the_limit_is_stepped_over() {
        let limit = LINE_BYTES_MAX as u64;
        for (extra, ending) in [(0, Ending::Newline), (1, Ending::TooLong(limit + 1))] {
            let long = io::repeat(b'x').take(limit + extra);
            let mut input =
                BufReader::new((&b"first\n"[..]).chain(long).chain(&b"\nlast\nend"[..]));
            let mut line = Vec::new();
            let mut next = || read_line(&mut input, &mut line).unwrap().map(|e| (e, line.len()));
            assert_eq!(next(), Some((Ending::Newline, 5)));
            let held = if extra == 0 { LINE_BYTES_MAX } else { 0 };
            assert_eq!(next(), Some((ending, held)));
            assert_eq!(next(), Some((Ending::Newline, 4)));
            assert_eq!(next(), Some((Ending::Torn, 3)));
            assert_eq!(next(), None);
        }
    }

    #[test]
    fn the_last_whole_line_is_found_across_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let name = "audit-2026-01-02.jsonl";
        for torn in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES] {
            fs::write(dir.path().join(name), format!("ab\n{}", "x".repeat(torn))).unwrap();
            assert_eq!(
                Folder::open(dir.path()).unwrap().files[0].lines_end().unwrap(),
                3,
                "{torn}"
            );
        }
        fs::write(dir.path().join(name), "x".repeat(BLOCK_BYTES + 7)).unwrap();
        assert_eq!(Folder::open(dir.path()).unwrap().files[0].lines_end().unwrap(), 0);
    }

    #[cfg(feature = "zstd")]
    fn compressed(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        zst::compress(&mut text.as_bytes(), text.len() as u64, &mut out).unwrap();
        out
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn compressed_files_are_read_and_a_copy_is_not_read_twice() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let texts = || -> Vec<String> { all(dir.path()).into_iter().map(|line| line.4).collect() };
        append(dir.path(), "audit-2026-01-02.1.jsonl", "c\n");
        fs::write(at("audit-2026-01-02.jsonl.zst"), compressed("a\nb\n")).unwrap();
        assert_eq!(texts(), ["a", "b", "c"]);
        // Both are there until the original is removed.
        append(dir.path(), "audit-2026-01-02.jsonl", "a\nb\n");
        assert_eq!(texts(), ["a", "b", "c"]);
        assert_eq!(Folder::open(dir.path()).unwrap().files()[0].name(), "audit-2026-01-02.jsonl");
        // Of two that differ the longer is read: a power cut may have made the original shorter.
        fs::write(at("audit-2026-01-02.jsonl"), "a\n").unwrap();
        assert_eq!(texts(), ["a", "b", "c"]);
        fs::write(at("audit-2026-01-02.jsonl"), "a\nb\nx\n").unwrap();
        assert_eq!(texts(), ["a", "b", "x", "c"]);
        // Compressed between the listing and the reading.
        let folder = Folder::open(dir.path()).unwrap();
        fs::write(at("audit-2026-01-02.1.jsonl.zst"), compressed("c\n")).unwrap();
        fs::remove_file(at("audit-2026-01-02.1.jsonl")).unwrap();
        let (mut lines, mut found) = (folder.lines(), Vec::new());
        while let Some(entry) = lines.next_line().unwrap() {
            found.push(String::from_utf8(entry.bytes.to_vec()).unwrap());
        }
        assert_eq!(found, ["a", "b", "x", "c"]);
        // Damaged.
        let mut bytes = compressed(&"long ".repeat(100));
        bytes.pop();
        fs::write(at("audit-2026-01-01.jsonl.zst"), bytes).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let error = folder.lines().next_line().unwrap_err().to_string();
        assert!(error.contains("audit-2026-01-01.jsonl.zst"), "{error}");
    }

    #[cfg(not(feature = "zstd"))]
    #[test]
    fn without_the_feature_a_compressed_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        append(dir.path(), "audit-2026-01-02.jsonl.zst", "whatever");
        let folder = Folder::open(dir.path()).unwrap();
        let error = folder.lines().next_line().unwrap_err().to_string();
        assert!(error.contains("audit-2026-01-02.jsonl.zst"), "{error}");
        assert!(error.contains("lacks the feature zstd"), "{error}");
    }

    #[test]
    fn a_held_file_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        append(dir.path(), "audit-2026-01-02.jsonl", "a\n");
        let folder = Folder::open(dir.path()).unwrap();
        assert!(!folder.files[0].is_locked());
        let holder = File::open(dir.path().join("audit-2026-01-02.jsonl")).unwrap();
        holder.lock().unwrap();
        assert!(folder.files[0].is_locked());
        drop(holder);
        assert!(!folder.files[0].is_locked());
    }
}
