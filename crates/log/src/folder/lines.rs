//! Lines read from files, each with its place.

use std::io::{self, BufRead, BufReader, Read, Take};
use std::ops::Range;
use std::slice;

use super::LogFile;
use super::input::Input;
use crate::error::Error;
use crate::schema::{Line, parse, parse_in_order};

/// The longest line that is read, in bytes without its newline. A longer one is skipped without
/// holding it.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// How much of the buffer of a line stays for the next one after a long one.
const LINE_BYTES_KEPT: usize = 8 << 20;

/// What is read from a file at once.
pub(super) const BLOCK_BYTES: usize = 128 << 10;

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// With a newline.
    Newline,
    /// Without one, at the end of the input: torn, or still being written.
    Torn,
    /// Past [`LINE_BYTES_MAX`]; this many bytes were skipped.
    TooLong(u64),
}

/// Reads the next line into `line`, without its newline; `None` at the end of the input.
///
/// Holds at most [`LINE_BYTES_MAX`] bytes and the input's own buffer. After a longer line `line` is
/// empty, and the input continues after its newline.
///
/// # Errors
///
/// What the input reports, except interruptions.
pub fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<Ending>> {
    line.clear();
    line.shrink_to(LINE_BYTES_KEPT);
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

/// One line of a file, good or not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// The file's name within the folder.
    pub file: &'a str,
    /// The line's number in its file, from 1, or in the part of the file that is read; 0 while
    /// following, when it is not known.
    pub number: u64,
    /// The offset of the line in its file, in bytes.
    pub offset: u64,
    /// How the line ended.
    pub ending: Ending,
    /// While following: whether the file was cut or replaced, so that the line may have come before.
    pub may_repeat: bool,
    /// The line without its newline; empty if the line is too long.
    pub bytes: &'a mut [u8],
}

impl Entry<'_> {
    /// Parses the line, whose bytes are scratch space afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`parse`], a line that is too long, and an object of another program: it has neither an
    /// `event_type` nor a `timestamp`.
    pub fn parse(&mut self) -> Result<Line<'_>, Error> {
        parse_entry(self.ending, self.bytes)
    }
}

impl<'a> Entry<'a> {
    /// Parses the line as [`parse`](Self::parse) does. The line may outlive the entry. `is_in_order` says that
    /// it was once found whole, with its fields in the order of the schema.
    pub(crate) fn into_line(self, is_in_order: bool) -> Result<Line<'a>, Error> {
        match self.ending {
            Ending::Newline if is_in_order => parse_in_order(self.bytes),
            ending => parse_entry(ending, self.bytes),
        }
    }

    /// How many NUL bytes there are at its beginning, or anywhere if it is torn. A disk or a power cut leaves
    /// them in place of what was written.
    fn nul_bytes(ending: Ending, bytes: &[u8]) -> usize {
        let nuls = bytes.iter().filter(|byte| **byte == 0);
        if bytes.first() == Some(&0) || ending == Ending::Torn { nuls.count() } else { 0 }
    }
}

fn parse_entry(ending: Ending, bytes: &mut [u8]) -> Result<Line<'_>, Error> {
    if let Ending::TooLong(bytes) = ending {
        let limit = LINE_BYTES_MAX >> 20;
        let why = format!("{bytes} bytes long; the limit is {limit} MiB");
        return Err(Error::parse("log line", why));
    }
    let nuls = Entry::nul_bytes(ending, bytes);
    if nuls > 0 {
        return Err(Error::parse("log line", format!("it has {nuls} NUL bytes")));
    }
    let line = parse(bytes)?;
    if line.event_type().is_none() && line.timestamp().is_none() {
        let why = "it has neither an event_type nor a timestamp";
        return Err(Error::parse("event", why));
    }
    Ok(line)
}

/// The lines of files in order: [`Folder::lines`](super::Folder::lines).
#[derive(Debug)]
pub struct Lines<'f> {
    files: slice::Iter<'f, LogFile>,
    /// The part of each file that is read.
    part: Range<u64>,
    reading: Option<FileBeingRead<'f>>,
    line: Vec<u8>,
    bytes: u64,
}

#[derive(Debug)]
struct FileBeingRead<'f> {
    file: &'f LogFile,
    input: BufReader<Take<Input>>,
    number: u64,
    offset: u64,
}

impl<'f> Lines<'f> {
    /// The lines of these files, one after the other.
    pub fn of(files: &'f [LogFile]) -> Self {
        Self::of_parts(files, 0..u64::MAX)
    }

    /// The lines in a part of a file, which begins where a line begins. See
    /// [`LogFile::parts_from_end`].
    pub fn of_part(file: &'f LogFile, part: Range<u64>) -> Self {
        Self::of_parts(slice::from_ref(file), part)
    }

    fn of_parts(files: &'f [LogFile], part: Range<u64>) -> Self {
        Self { files: files.iter(), part, reading: None, line: Vec::new(), bytes: 0 }
    }

    /// How many bytes were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// Returns the next line; `None` after the last one. [`Entry::parse`] reports what is wrong with
    /// a line.
    ///
    /// # Errors
    ///
    /// A file cannot be read. The next call continues with the next file.
    pub fn next_line(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let ending = loop {
            let Some(reading) = &mut self.reading else {
                let Some(file) = self.files.next() else { return Ok(None) };
                let (start, end) = (self.part.start, self.part.end.min(file.bytes_when_listed()));
                let input = file.read_from(start)?.take(end.saturating_sub(start));
                let input = BufReader::with_capacity(BLOCK_BYTES, input);
                self.reading = Some(FileBeingRead { file, input, number: 0, offset: start });
                continue;
            };
            match read_line(&mut reading.input, &mut self.line) {
                Ok(Some(ending)) => break ending,
                Ok(None) => {
                    let is_whole = self.part.end >= reading.file.bytes();
                    let cut = reading.file.cut_at(reading.offset).filter(|_| is_whole);
                    let error = cut.map(|source| reading.file.read_error(source));
                    self.reading = None;
                    if let Some(error) = error {
                        return Err(error);
                    }
                }
                Err(source) => {
                    let error = reading.file.read_error(source);
                    self.reading = None;
                    return Err(error);
                }
            }
        };
        let Some(reading) = &mut self.reading else { return Ok(None) };
        let offset = reading.offset;
        reading.offset += line_bytes_in_file(ending, self.line.len());
        reading.number += 1;
        self.bytes += reading.offset - offset;
        Ok(Some(Entry {
            file: reading.file.name(),
            number: reading.number,
            offset,
            ending,
            may_repeat: false,
            bytes: &mut self.line,
        }))
    }
}

/// The bytes a line takes in its file. The newline of a line that is too long is counted even if it
/// is missing at the end of the file.
pub fn line_bytes_in_file(ending: Ending, bytes: usize) -> u64 {
    match ending {
        Ending::Newline => bytes as u64 + 1,
        Ending::Torn => bytes as u64,
        Ending::TooLong(bytes) => bytes + 1,
    }
}
