//! Pieces of whole lines, read one after the other and worked on by several threads.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::iter;
use std::ops::Range;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::LogFile;
use super::index::{FileIdentity, Index, IndexQuery, Part};
use super::input::{Input, read_at};
use super::lines::{Ending, Entry, LINE_BYTES_MAX, line_bytes_in_file};
use crate::error::Error;

/// How much is read at once, if lines are shorter. An index has a block for each chunk.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// A chunk with more bytes has a long line. It is worked on alone.
const LARGE_BYTES: usize = 4 * CHUNK_BYTES;

/// The last bytes of a chunk, which nearly always have the end of a line.
const TAIL_BYTES: usize = 4 << 10;

/// The most threads. Each has a chunk and what was found in it.
const THREADS_MAX: usize = 8;

/// A part of a file made of whole lines.
pub(crate) struct Chunk<'f> {
    pub(crate) file: &'f LogFile,
    /// The place of the file among those that are read.
    pub(crate) file_at: usize,
    /// Its offsets in the file.
    pub(crate) range: Range<u64>,
    /// Whether every line was once found whole, with its fields in the order of the schema.
    pub(crate) is_in_order: bool,
    end: ChunkEnd,
    /// Of which file an index is built, if one is.
    pub(crate) identity: Option<FileIdentity>,
    bytes: Vec<u8>,
    /// If the bytes are still to be read.
    unread: Option<Unread>,
    /// The length of its only line, if that is too long to be held.
    too_long: Option<u64>,
}

/// Bytes of a chunk that are still to be read.
struct Unread {
    from: Arc<File>,
    length: usize,
    /// Whether a part of the file could not be read.
    has_failed: Arc<AtomicBool>,
}

/// What follows the lines of a chunk.
pub(crate) enum ChunkEnd {
    /// The next chunk.
    Lines,
    /// The end of the file, in the middle of a line.
    Torn,
    /// Nothing: the chunk is empty, and the file was read to its end.
    File,
    /// Nothing: the chunk is empty, and the rest of the file cannot be read.
    Failure(Error),
}

impl Chunk<'_> {
    /// The lines, numbered from 1 within the chunk.
    pub(crate) fn entries(&mut self) -> impl Iterator<Item = Entry<'_>> {
        let (file, mut offset, mut number) = (self.file.name(), self.range.start, 0);
        let mut too_long = self.too_long.map(Ending::TooLong);
        let mut rest = &mut self.bytes[..];
        iter::from_fn(move || {
            if rest.is_empty() && too_long.is_none() {
                return None;
            }
            let newline = memchr::memchr(b'\n', rest);
            let length = newline.unwrap_or(rest.len());
            let (bytes, after) = std::mem::take(&mut rest).split_at_mut(length);
            rest = if newline.is_some() { &mut after[1..] } else { after };
            let whole = if newline.is_some() { Ending::Newline } else { Ending::Torn };
            let ending = too_long.take().unwrap_or(whole);
            let at = offset;
            offset += line_bytes_in_file(ending, length);
            number += 1;
            Some(Entry { file, number, offset: at, ending, may_repeat: false, bytes })
        })
    }

    /// Reads the bytes if that was left for later.
    fn read_bytes(&mut self) {
        let Some(Unread { from, length, has_failed }) = self.unread.take() else { return };
        // Nearly always there are more bytes of an earlier chunk, and nothing is cleared.
        self.bytes.resize(length, 0);
        match read_at(&from, &mut self.bytes, self.range.start) {
            // It may have been cut since.
            Ok(read) => self.bytes.truncate(read),
            Err(error) => {
                self.bytes.clear();
                // The first one is reported.
                if !has_failed.swap(true, Ordering::Relaxed) {
                    self.end = ChunkEnd::Failure(self.file.read_error(error));
                }
            }
        }
    }

    /// Returns what follows the lines.
    pub(crate) fn take_end(&mut self) -> ChunkEnd {
        std::mem::replace(&mut self.end, ChunkEnd::Lines)
    }

    /// All lines as they are in the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads chunks. Of files with an index only those that may have what is asked for.
struct ChunkReader<'f, 'q> {
    files: iter::Enumerate<slice::Iter<'f, LogFile>>,
    query: Option<&'q IndexQuery>,
    chunk_bytes: usize,
    reading: Option<FileInChunks<'f>>,
    /// How many chunks were read.
    count: u64,
}

struct FileInChunks<'f> {
    file: &'f LogFile,
    file_at: usize,
    /// What is still to be read, the next part last.
    parts: Vec<Part>,
    /// Of the part that is read.
    is_in_order: bool,
    input: Option<Take<Input>>,
    /// Where the input has to go before it is read.
    seek_to: Option<u64>,
    offset: u64,
    /// The beginning of a line whose end is not yet read.
    carried: Vec<u8>,
    /// The length of a line that was just stepped over.
    too_long: Option<u64>,
    /// Whether another thread could not read a part of the file. The rest is then left out.
    has_failed: Arc<AtomicBool>,
    /// Why the rest of the file cannot be read.
    failure: Option<io::Error>,
    /// Of the file, if its index is built.
    identity: Option<FileIdentity>,
}

impl<'f> ChunkReader<'f, '_> {
    fn next_chunk(&mut self, bytes: Vec<u8>) -> Option<Chunk<'f>> {
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => {
                let (file_at, file) = self.files.next()?;
                self.reading.insert(FileInChunks::begin(file, file_at, self.query))
            }
        };
        let chunk = reading.next_chunk(bytes, self.chunk_bytes);
        if matches!(chunk.end, ChunkEnd::File | ChunkEnd::Failure(_)) {
            self.reading = None;
        }
        self.count += 1;
        Some(chunk)
    }
}

impl<'f> FileInChunks<'f> {
    fn begin(file: &'f LogFile, file_at: usize, query: Option<&IndexQuery>) -> Self {
        let index = query.and_then(|_| Index::load(file));
        let mut parts = match (&index, query) {
            (Some(index), Some(query)) => index.parts(query),
            _ => vec![Part::WHOLE],
        };
        if let [last, .., first] = &parts[..]
            && !file.is_seekable()
        {
            let range = first.range.start..last.range.end;
            parts = vec![Part { range, is_in_order: false }];
        }
        let builds = index.is_none() && query.is_some_and(|query| query.builds);
        Self {
            file,
            file_at,
            parts,
            is_in_order: false,
            input: None,
            seek_to: None,
            offset: 0,
            carried: Vec::new(),
            too_long: None,
            has_failed: Arc::default(),
            failure: None,
            identity: if builds { FileIdentity::of_closed(file) } else { None },
        }
    }

    fn next_chunk(&mut self, mut bytes: Vec<u8>, chunk_bytes: usize) -> Chunk<'f> {
        let unread = self.leave_unread(chunk_bytes);
        let end = match unread {
            Some(_) => ChunkEnd::Lines,
            None => {
                bytes.clear();
                self.fill(&mut bytes, chunk_bytes).unwrap_or_else(|error| {
                    bytes.clear();
                    ChunkEnd::Failure(error)
                })
            }
        };
        let too_long = self.too_long.take();
        let length = match &unread {
            Some(unread) => unread.length as u64,
            None => too_long.map_or(bytes.len() as u64, |bytes| bytes + 1),
        };
        let start = self.offset;
        self.offset += length;
        let range = start..self.offset;
        let Self { file, file_at, is_in_order, identity, .. } = *self;
        Chunk { file, file_at, range, is_in_order, end, identity, bytes, unread, too_long }
    }

    /// Finds how many bytes of whole lines come next and steps over them, so that another thread can read them
    /// while this one goes on. Returns `None` if that cannot be found fast, or nearly all is read.
    fn leave_unread(&mut self, chunk_bytes: usize) -> Option<Unread> {
        if self.has_failed.load(Ordering::Relaxed) {
            (self.input, self.carried, self.parts) = (None, Vec::new(), Vec::new());
        }
        let carried = self.carried.len();
        let is_between_parts = self.input.is_none() && self.failure.is_none();
        if is_between_parts && carried == 0 && !self.file.is_stream() {
            let part = self.parts.last()?.clone();
            // If it cannot be opened, `fill` says so.
            self.open_part(&part).ok()?;
            self.parts.pop();
        }
        let input = self.input.as_mut()?;
        // What was carried is read again.
        let left = input.limit() + carried as u64;
        let file = input.get_ref().plain_file().filter(|_| left > chunk_bytes as u64)?;
        let file = Arc::clone(file);
        let end = self.offset + chunk_bytes as u64;
        let newline = find_newline_before(&file, end, chunk_bytes.saturating_sub(carried))?;
        let length = (newline + 1).checked_sub(self.offset)?;
        self.seek_to = Some(newline + 1);
        input.set_limit(left - length);
        self.carried.clear();
        let has_failed = Arc::clone(&self.has_failed);
        Some(Unread { from: file, length: length as usize, has_failed })
    }

    /// Fills `bytes` with whole lines, or with the torn one at the end.
    fn fill(&mut self, bytes: &mut Vec<u8>, chunk_bytes: usize) -> Result<ChunkEnd, Error> {
        loop {
            bytes.append(&mut self.carried);
            // After a line that was stepped over, what was carried may have whole lines.
            if self.carry_torn_line(bytes, 0) {
                return Ok(ChunkEnd::Lines);
            }
            if let Some(source) = self.failure.take() {
                return Err(self.file.read_error(source));
            }
            if self.input.is_none() {
                if !bytes.is_empty() {
                    return Ok(ChunkEnd::Torn);
                }
                let Some(part) = self.parts.pop() else { return Ok(ChunkEnd::File) };
                self.open_part(&part)?;
            }
            if self.read_lines(bytes, chunk_bytes)? {
                return Ok(ChunkEnd::Lines);
            }
        }
    }

    /// Takes what is after the last newline out of `bytes`. Returns `false` if there is no newline.
    fn carry_torn_line(&mut self, bytes: &mut Vec<u8>, searched: usize) -> bool {
        let newline = memchr::memrchr(b'\n', &bytes[searched..]);
        if let Some(at) = newline {
            self.carried = bytes.split_off(searched + at + 1);
        }
        newline.is_some()
    }

    /// Reads until there is a whole line. Returns `false` if the part is over before.
    fn read_lines(&mut self, bytes: &mut Vec<u8>, chunk_bytes: usize) -> Result<bool, Error> {
        let (mut searched, mut wanted) = (bytes.len(), chunk_bytes.max(bytes.len() * 2));
        loop {
            let is_over = !self.read_up_to(wanted.min(LINE_BYTES_MAX + 1), bytes);
            let has_lines = self.carry_torn_line(bytes, searched);
            if is_over {
                self.input = None;
                self.check_length(self.offset + (bytes.len() + self.carried.len()) as u64);
            }
            if has_lines || is_over {
                return Ok(has_lines);
            }
            if bytes.len() > LINE_BYTES_MAX {
                self.too_long = Some(self.skip_line(bytes));
                return Ok(true);
            }
            (searched, wanted) = (bytes.len(), wanted * 2);
        }
    }

    fn open_part(&mut self, part: &Part) -> Result<(), Error> {
        let Range { start, end } = part.range;
        let end = end.min(self.file.bytes_when_listed());
        let input = self.file.read_from(start)?;
        (self.input, self.seek_to) = (Some(input.take(end.saturating_sub(start))), None);
        (self.offset, self.is_in_order) = (start, part.is_in_order);
        Ok(())
    }

    /// Reads until there are so many bytes. Returns `false` at the end of the part, or if it fails.
    fn read_up_to(&mut self, wanted: usize, bytes: &mut Vec<u8>) -> bool {
        let Some(input) = &mut self.input else { return false };
        if let (Some(to), Some(file)) = (self.seek_to.take(), input.get_ref().plain_file())
            && let Err(error) = (&**file).seek(SeekFrom::Start(to))
        {
            self.failure = Some(error);
            return false;
        }
        let mut filled = bytes.len();
        bytes.resize(wanted.max(filled), 0);
        while filled < bytes.len() {
            match input.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        let is_filled = filled == bytes.len();
        bytes.truncate(filled);
        is_filled
    }

    /// Steps over the rest of a line of which `bytes` is the beginning. Returns its length.
    fn skip_line(&mut self, bytes: &mut Vec<u8>) -> u64 {
        let mut length = bytes.len() as u64;
        *bytes = Vec::new();
        loop {
            let mut block = Vec::new();
            let is_filled = self.read_up_to(CHUNK_BYTES, &mut block);
            if let Some(newline) = memchr::memchr(b'\n', &block) {
                self.carried = block.split_off(newline + 1);
                return length + newline as u64;
            }
            length += block.len() as u64;
            if !is_filled {
                return length;
            }
        }
    }

    /// Notes if the file has become shorter since it was listed.
    fn check_length(&mut self, end: u64) {
        if self.failure.is_none() && self.parts.is_empty() {
            self.failure = self.file.cut_at(end);
        }
    }
}

/// Finds the last newline in so many bytes before a place.
fn find_newline_before(file: &File, end: u64, bytes: usize) -> Option<u64> {
    let mut piece = Vec::new();
    for length in [TAIL_BYTES, bytes] {
        piece.resize(length.min(bytes), 0);
        let start = end.checked_sub(piece.len() as u64)?;
        if read_at(file, &mut piece, start).ok()? < piece.len() {
            return None;
        }
        if let Some(at) = memchr::memrchr(b'\n', &piece) {
            return Some(start + at as u64);
        }
    }
    None
}

/// Reads the files in chunks and calls `work` for each one, on several threads. `work` gets the state in the
/// order of the chunks, by [`Turn::take`].
pub(crate) fn for_each_chunk<'f, S: Send>(
    files: &'f [LogFile],
    query: Option<&IndexQuery>,
    chunk_bytes: usize,
    state: &mut S,
    work: impl Fn(&mut Chunk<'f>, Turn<'_, '_, S>) + Sync,
) {
    let files_with_places = files.iter().enumerate();
    let reader =
        ChunkReader { files: files_with_places, query, chunk_bytes, reading: None, count: 0 };
    let (reader, order) = (
        Mutex::new(reader),
        Order { state: Mutex::new(Ordered::of(state)), changed: Condvar::new() },
    );
    let run = || {
        let mut bytes = Vec::new();
        loop {
            let mut reader = lock(&reader);
            let number = reader.count;
            let Some(mut chunk) = reader.next_chunk(std::mem::take(&mut bytes)) else { return };
            let is_large = chunk.bytes.len() > LARGE_BYTES;
            // Nothing is read beside a large chunk, so that no second one is held.
            let held = is_large.then_some(reader);
            chunk.read_bytes();
            work(&mut chunk, Turn { order: &order, number, is_over: false });
            bytes = if is_large { Vec::new() } else { chunk.bytes };
            drop(held);
        }
    };
    let threads = threads_for(files, chunk_bytes);
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread can be made, this one does the work.
            if thread::Builder::new().spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
}

/// How many threads are worth it.
fn threads_for(files: &[LogFile], chunk_bytes: usize) -> usize {
    let is_stream = files.iter().any(LogFile::is_stream);
    let chunks = files.iter().map(LogFile::bytes).sum::<u64>() / chunk_bytes.max(1) as u64;
    // A thread is worth it if it gets several chunks.
    let useful = if is_stream { THREADS_MAX } else { 1 + chunks as usize / 4 };
    thread::available_parallelism().map_or(1, usize::from).min(useful).min(THREADS_MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state, and whose turn it is.
struct Order<'s, S> {
    state: Mutex<Ordered<'s, S>>,
    changed: Condvar,
}

struct Ordered<'s, S> {
    /// The number of the chunk whose turn it is.
    turn: u64,
    /// The threads that wait for their turn.
    waiting: usize,
    /// Later chunks that need no turn any more.
    passed: BTreeSet<u64>,
    state: &'s mut S,
}

impl<'s, S> Ordered<'s, S> {
    fn of(state: &'s mut S) -> Self {
        Self { turn: 0, waiting: 0, passed: BTreeSet::new(), state }
    }
}

impl<S> Order<'_, S> {
    /// Ends the turn of this chunk, and those of the chunks after it that need none.
    fn end_turn(&self, order: &mut Ordered<'_, S>) {
        order.turn += 1;
        while order.passed.remove(&order.turn) {
            order.turn += 1;
        }
        // To notify is a system call, also if nobody waits.
        if order.waiting > 0 {
            self.changed.notify_all();
        }
    }
}

/// The turn of a chunk. Dropped without use, it passes to the next chunk, too.
pub(crate) struct Turn<'o, 's, S> {
    order: &'o Order<'s, S>,
    number: u64,
    is_over: bool,
}

impl<S> Turn<'_, '_, S> {
    /// Waits for the chunks before, and gives the state to `work`.
    pub(crate) fn take(mut self, work: impl FnOnce(&mut S)) {
        self.is_over = true;
        let mut order = lock(&self.order.state);
        while order.turn < self.number {
            order.waiting += 1;
            order = self.order.changed.wait(order).unwrap_or_else(PoisonError::into_inner);
            order.waiting -= 1;
        }
        // Past its turn only if another thread panicked.
        if order.turn == self.number {
            work(order.state);
            self.order.end_turn(&mut order);
        }
    }

    /// Gives the state to `work` at once, in any order.
    pub(crate) fn pass(mut self, work: impl FnOnce(&mut S)) {
        self.is_over = true;
        let mut order = lock(&self.order.state);
        work(order.state);
        if order.turn < self.number {
            order.passed.insert(self.number);
        } else if order.turn == self.number {
            self.order.end_turn(&mut order);
        }
    }
}

impl<S> Drop for Turn<'_, '_, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Nobody waits for this turn any more; the scope passes the panic on.
            lock(&self.order.state).turn = u64::MAX;
            self.order.changed.notify_all();
        } else if !self.is_over {
            Turn { ..*self }.pass(|_| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Folder;

    fn folder_with(text: &str) -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("audit-2026-01-02.jsonl"), text).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn chunks_that_pass_hold_up_no_turn() {
        let (_keep, folder) = folder_with(&"abcdef\n".repeat(1_000));
        let mut state = (Vec::new(), 0);
        for_each_chunk(folder.files(), None, 70, &mut state, |chunk, turn| {
            match chunk.range.start % 3 {
                0 => turn.take(|(taken, _)| taken.push(chunk.range.start)),
                1 => turn.pass(|(_, passed)| *passed += 1),
                _ => {}
            }
        });
        let (taken, passed) = state;
        assert!(taken.is_sorted(), "{taken:?}");
        let starts = (0..=7_000_u64).step_by(70);
        assert_eq!(taken, starts.clone().filter(|start| start % 3 == 0).collect::<Vec<_>>());
        assert_eq!(passed, starts.filter(|start| start % 3 == 1).count());
    }

    #[test]
    fn parts_that_are_past_the_end_take_no_stack() {
        let (_keep, folder) = folder_with("a\n");
        let mut reading = FileInChunks::begin(&folder.files()[0], 0, None);
        reading.parts = vec![Part { range: 1_000..2_000, is_in_order: false }; 50_000];
        let chunk = reading.next_chunk(Vec::new(), 1);
        assert!(matches!(chunk.end, ChunkEnd::File) && chunk.bytes.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn after_a_long_line_other_threads_read_again() {
        for long in [300, 301, 350, 1_000] {
            let text = "x".repeat(long) + "\n" + &"abcdef\n".repeat(200);
            let (_keep, folder) = folder_with(&text);
            let mut reading = FileInChunks::begin(&folder.files()[0], 0, None);
            let (mut read, mut kinds) = (Vec::new(), Vec::new());
            loop {
                let mut chunk = reading.next_chunk(Vec::new(), 100);
                kinds.push(chunk.unread.is_some());
                chunk.read_bytes();
                assert_eq!(chunk.range.start, read.len() as u64);
                read.extend_from_slice(&chunk.bytes);
                assert_eq!(chunk.range.end, read.len() as u64);
                if matches!(chunk.end, ChunkEnd::File) {
                    break;
                }
            }
            assert_eq!(String::from_utf8(read).unwrap(), text);
            // The long line, the last lines and the end are read at once.
            let (first, rest) = kinds.split_first().unwrap();
            assert!(!first && rest.len() > 5, "{long} {kinds:?}");
            assert!(rest[..rest.len() - 2].iter().all(|is_unread| *is_unread), "{long} {kinds:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_were_cut_off_before_they_were_read_are_left_out() {
        let (keep, folder) = folder_with(&"abcdef\n".repeat(200));
        let mut reading = FileInChunks::begin(&folder.files()[0], 0, None);
        let [mut first, mut second] = [0, 1].map(|_| reading.next_chunk(Vec::new(), 100));
        assert!(first.unread.is_some() && second.unread.is_some());
        let file = File::options().write(true).open(keep.path().join("audit-2026-01-02.jsonl"));
        file.unwrap().set_len(17).unwrap();
        first.read_bytes();
        second.read_bytes();
        assert_eq!((first.bytes(), second.bytes()), (&b"abcdef\nabcdef\nabc"[..], &b""[..]));
        let endings: Vec<_> = first.entries().map(|entry| entry.ending).collect();
        assert_eq!(endings, [Ending::Newline, Ending::Newline, Ending::Torn]);
        let ChunkEnd::Failure(error) = reading.next_chunk(Vec::new(), 100).end else { panic!() };
        assert!(error.to_string().contains("it was cut to 17 bytes"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn an_error_of_several_threads_is_reported_once_and_ends_the_file() {
        let (keep, folder) = folder_with(&"abcdef\n".repeat(200));
        let mut reading = FileInChunks::begin(&folder.files()[0], 0, None);
        let mut chunks = [0, 1].map(|_| reading.next_chunk(Vec::new(), 100));
        for chunk in &mut chunks {
            // What is open only for writing cannot be read.
            let file = File::options().write(true).open(keep.path().join("audit-2026-01-02.jsonl"));
            chunk.unread.as_mut().unwrap().from = Arc::new(file.unwrap());
            chunk.read_bytes();
            assert!(chunk.bytes.is_empty());
        }
        let [first, second] = chunks.map(|chunk| chunk.end);
        let ChunkEnd::Failure(error) = first else { panic!() };
        assert!(error.to_string().contains("audit-2026-01-02.jsonl"), "{error}");
        assert!(matches!(second, ChunkEnd::Lines));
        let rest = reading.next_chunk(Vec::new(), 100);
        assert!(matches!(rest.end, ChunkEnd::File) && rest.bytes.is_empty());
    }
}
