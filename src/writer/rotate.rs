//! Which file the next batch goes to, and how it gets there whole: names, days, sizes, locks.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::fs::{FileHandle, Fs, Stat};
use crate::error::Error;
use llm_audit_log::{FileName, compressed_path, lines_end};

/// Names tried for one file; with more than these of a day taken or full, no file is begun.
const NAMES_TRIED_MAX: u32 = 65_536;
/// How often it is looked whether the path still is the open file.
const LOST_CHECK_MICROS: u64 = 1_000_000;
/// Files left behind that still wait to be synced, wherever they are held. With so many the size
/// limit is put off, so that a disk that hangs does not use up the process's file handles.
const UNSYNCED_MAX: usize = 32;
/// Room kept past a file's end, so that a full disk can still be told of. Events never go into it.
const RESERVE_BYTES: u64 = 64 << 10;
/// Room is set aside in steps: with the bytes of a batch, up to so many past its end.
const RESERVE_STEP_BYTES: u64 = 1 << 20;
/// How often a batch is written once more because of what somebody else adds at the same time.
const GLUED_MAX: u32 = 16;
/// The most bytes of another writer that are looked through for a glued line.
const ADDED_BYTES_MAX: u64 = 65_536;

/// Where the log lies and how its files are made.
pub(crate) struct FileOptions {
    pub(crate) dir: PathBuf,
    /// A batch that would make a file larger goes to the next one. A batch alone may be larger.
    pub(crate) max_file_bytes: u64,
    /// Permissions of new files, exactly.
    pub(crate) file_mode: u32,
}

/// What is appended, by what it leaves of the reserve where the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A batch of events and what goes with it: all.
    Events,
    /// An `audit.loss` line alone: half, for the last lines.
    Loss,
    /// The last lines of the log: nothing.
    Last,
}

impl Urgency {
    fn reserve_left(self) -> u64 {
        match self {
            Self::Events => RESERVE_BYTES,
            Self::Loss => RESERVE_BYTES / 2,
            Self::Last => 0,
        }
    }
}

/// The files of one logger: `audit-YYYY-MM-DD.jsonl`, `.1.jsonl`, `.2.jsonl` …, one open at a
/// time.
///
/// The day is that of the clock at writing, in UTC; the name never goes back, neither to an
/// earlier day nor to a lower number of the same day, except that a file which somebody removed
/// is begun again where no later one of the day is there. A file is written to only while its lock
/// is held, and a torn tail (bytes after the last `\n`) is cut off first. Names that another writer
/// holds, that are full, that are no log files, or whose `.zst` exists are passed over.
///
/// Where the file system can do it, the disk sets at least 64 KiB aside past the end of the file,
/// which shows in no length. On a full disk, events are refused while the `audit.loss` and
/// `audit.stop` lines still find room there. What is left of it is given back with the file.
pub(crate) struct LogFiles {
    fs: Arc<dyn Fs>,
    options: FileOptions,
    date: Date,
    number: u64,
    path: PathBuf,
    /// Whether the folder's own name is durable, and those above it; made anew with the folder.
    is_folder_named: Arc<AtomicBool>,
    current: Option<Current>,
    /// Bytes of torn tails cut off and not yet told to a start line.
    torn_bytes: u64,
    files_begun: u64,
    unsynced: Vec<Arc<dyn FileHandle>>,
    /// Files left behind, here or on their way through the housekeeping thread.
    left: Vec<Weak<dyn FileHandle>>,
}

/// The file that is written to, with its lock.
struct Current {
    file: Arc<dyn FileHandle>,
    /// Bytes of whole lines; the file is never left longer.
    len: u64,
    /// Bytes of the start line in a file that was empty before; up to here it counts as empty.
    empty_len: u64,
    /// Whether the start line is written.
    begun: bool,
    unsynced: bool,
    checked_micros: i64,
    /// Up to here the disk has set room aside.
    reserved_to: u64,
    /// `false` once the file system said that it cannot.
    reserves: bool,
}

impl LogFiles {
    /// Makes the folder, and opens, locks and repairs the first file of the day that has room.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made or written to, a file system without locks.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        options: FileOptions,
        now_micros: i64,
    ) -> Result<Self, Error> {
        let mut files = Self::unopened(fs, options, now_micros);
        files.cut_torn_tails();
        match files.begin(1, now_micros) {
            Ok(current) => files.current = Some(current),
            Err(error) => return Err(Error::io("begin the log file", &files.path, error)),
        }
        Ok(files)
    }

    /// As [`open`](Self::open), but the first file is begun with the first batch.
    pub(crate) fn unopened(fs: Arc<dyn Fs>, options: FileOptions, now_micros: i64) -> Self {
        let path = options.dir.clone();
        Self {
            fs,
            options,
            date: utc_date(now_micros),
            number: 0,
            path,
            is_folder_named: Arc::default(),
            current: None,
            torn_bytes: 0,
            files_begun: 0,
            unsynced: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Appends whole lines with one write. Before the first ones of a file, and of a file that
    /// somebody else has cut or added to, comes in the same write what `start_line` adds, given the
    /// bytes of torn tails that were cut off; it is called again where that write failed. An empty
    /// batch writes the start line if there is none yet.
    ///
    /// # Errors
    ///
    /// Nothing of the batch is in the log, and it can be given again: what a failed or short write
    /// left is cut off. Only where the file cannot be cut either does it keep a fragment of the
    /// batch; it is left behind and the next batch begins another file.
    pub(crate) fn append(
        &mut self,
        batch: &[u8],
        what: Urgency,
        now_micros: i64,
        start_line: &mut dyn FnMut(&mut Vec<u8>, u64),
    ) -> io::Result<()> {
        let mut current = self.current_for(batch.len() as u64, now_micros)?;
        let written = match current.begun {
            true => current.write(batch, what),
            false => self.write_first(&mut current, batch, what, start_line),
        };
        if written.is_ok() || current.cut_fragment().is_ok() {
            self.current = Some(current);
        } else {
            self.pass_over();
            self.leave(current);
        }
        written
    }

    /// Writes a start line and the batch.
    fn write_first(
        &mut self,
        current: &mut Current,
        batch: &[u8],
        what: Urgency,
        start_line: &mut dyn FnMut(&mut Vec<u8>, u64),
    ) -> io::Result<()> {
        let mut text = Vec::new();
        start_line(&mut text, self.torn_bytes);
        let start_len = text.len() as u64;
        text.extend_from_slice(batch);
        let was_empty = current.len == 0;
        current.write(&text, what)?;
        current.begun = true;
        current.empty_len = if was_empty { start_len } else { 0 };
        self.torn_bytes = 0;
        Ok(())
    }

    /// Whether room is set aside past the end of the present file.
    pub(crate) fn has_reserve(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.reserved_to > current.len)
    }

    /// The file that was last written to or opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many files were begun or gone on with.
    pub(crate) fn files_begun(&self) -> u64 {
        self.files_begun
    }

    /// A file with bytes written since it was last handed out, for `sync_data` on another thread;
    /// files left behind come first. `None` when there is none left.
    pub(crate) fn take_for_sync(&mut self) -> Option<Arc<dyn FileHandle>> {
        if !self.unsynced.is_empty() {
            return Some(self.unsynced.remove(0));
        }
        let current = self.current.as_mut()?;
        std::mem::take(&mut current.unsynced).then(|| Arc::clone(&current.file))
    }

    /// Says that `sync_data` of a file failed. Whether what it holds is durable can never be known
    /// again, so it is closed if it is still written to, and the next batch begins another.
    pub(crate) fn sync_failed(&mut self, file: &Arc<dyn FileHandle>) {
        if let Some(current) = self.current.take_if(|current| Arc::ptr_eq(&current.file, file)) {
            current.give_back();
            self.pass_over();
        }
    }

    /// Takes the open file if it is the one for this batch, else begins the one that is.
    fn current_for(&mut self, batch_bytes: u64, now_micros: i64) -> io::Result<Current> {
        let date = utc_date(now_micros).max(self.date);
        if let Some(mut current) = self.current.take() {
            let is_lost = match self.look(&mut current, now_micros) {
                Ok(is_lost) => is_lost,
                Err(error) => {
                    self.current = Some(current);
                    return Err(error);
                }
            };
            let fits = self.fits(current.len, current.empty_len, batch_bytes);
            if date == self.date && fits && !is_lost {
                return Ok(current);
            }
            match is_lost {
                // Perhaps with its folder, of which there is then another.
                true => self.is_folder_named = Arc::default(),
                false => self.pass_over(),
            }
            self.leave(current);
        }
        if date > self.date {
            (self.date, self.number) = (date, 0);
        }
        self.begin(batch_bytes, now_micros)
    }

    /// Whether the file is lost: somebody removed or renamed it, or it tells nothing of itself. Where
    /// somebody cut it or added to it, it is gone on with behind its last whole line.
    fn look(&mut self, current: &mut Current, now_micros: i64) -> io::Result<bool> {
        // One whose server or mount is gone may never be looked at again.
        let Ok(stat) = current.file.stat() else { return Ok(true) };
        if !stat.is_linked || current.is_moved(&self.path, now_micros) {
            return Ok(true);
        }
        if stat.len != current.len {
            current.len = self.cut_torn_tail(&*current.file, stat.len)?;
            (current.empty_len, current.reserved_to, current.begun) = (0, 0, false);
        }
        Ok(false)
    }

    /// Goes on to the next name. One whose number is the last there is stays: somebody made it.
    fn pass_over(&mut self) {
        self.number = self.number.saturating_add(1);
    }

    fn fits(&mut self, len: u64, empty_len: u64, batch_bytes: u64) -> bool {
        if len <= empty_len || len.saturating_add(batch_bytes) <= self.options.max_file_bytes {
            return true;
        }
        self.left.retain(|file| file.strong_count() > 0);
        self.left.len() >= UNSYNCED_MAX
    }

    /// Finds, from the present number on, the first name that can be had. The number stays where
    /// it came to, so that no later search begins anew.
    ///
    /// A name that is free because its file was retired is passed over where later ones are there:
    /// the order of names stays that of age.
    fn begin(&mut self, batch_bytes: u64, now_micros: i64) -> io::Result<Current> {
        if !self.fs.exists(&self.options.dir).unwrap_or(false) {
            self.is_folder_named = Arc::default();
        }
        self.fs.create_dir(&self.options.dir)?;
        let there = self.numbers();
        for _ in 0..NAMES_TRIED_MAX {
            self.number = *there.range(self.number..).next().unwrap_or(&self.number);
            self.path = self.options.dir.join(FileName::new(self.date, self.number).to_string());
            if let Some((file, len)) = self.claim(batch_bytes)? {
                self.files_begun += 1;
                return Ok(Current {
                    file,
                    len,
                    empty_len: 0,
                    begun: false,
                    unsynced: false,
                    checked_micros: now_micros,
                    reserved_to: 0,
                    reserves: true,
                });
            }
            match self.number.checked_add(1) {
                Some(next) => self.number = next,
                None => break,
            }
        }
        let why = format!("{NAMES_TRIED_MAX} names tried, all taken or full");
        Err(io::Error::new(ErrorKind::AlreadyExists, why))
    }

    /// The numbers of the day whose names are taken. None where the folder cannot be listed, which
    /// is no reason not to write to it.
    fn numbers(&self) -> BTreeSet<u64> {
        let names = self.fs.names(&self.options.dir).unwrap_or_default();
        let of_day = names.iter().filter_map(|name| FileName::parse(name));
        of_day.filter(|name| name.day == self.date).map(|name| name.number).collect()
    }

    /// The file at the present path, locked and repaired, and its length; `None` if it is not to
    /// be had or has no room.
    fn claim(&mut self, batch_bytes: u64) -> io::Result<Option<(Arc<dyn FileHandle>, u64)>> {
        let compressed = compressed_path(&self.path);
        if self.fs.exists(&compressed)? {
            return Ok(None);
        }
        let Some(file) = self.fs.open_log(&self.path, self.options.file_mode)? else {
            return Ok(None);
        };
        // Between opening and locking, the last holder may have removed it.
        if !file.try_lock()? || !file.is_at(&self.path) {
            return Ok(None);
        }
        let Stat { len: found_len, .. } = file.stat()?;
        // Or compressed it, and what was opened is new and must not stand beside.
        if self.fs.exists(&compressed)? {
            if found_len == 0 {
                self.fs.remove(&self.path)?;
            }
            return Ok(None);
        }
        // Also of a file that is full: nobody else will.
        let len = self.cut_torn_tail(&*file, found_len)?;
        if !self.fits(len, 0, batch_bytes) {
            return Ok(None);
        }
        let (fs, dir) = (self.fs.clone(), self.options.dir.clone());
        let is_folder_named = self.is_folder_named.clone();
        let is_named = AtomicBool::new(false);
        Ok(Some((Arc::new(Claimed { file, fs, dir, is_named, is_folder_named }), len)))
    }

    /// Cuts off the torn tails that killed processes left in the folder, as far as that can be done:
    /// the file that is gone on with need not be theirs.
    fn cut_torn_tails(&mut self) {
        for name in self.fs.names(&self.options.dir).unwrap_or_default() {
            let path = self.options.dir.join(&name);
            // What is compressed is whole there.
            let is_plain = FileName::parse(&name).is_some_and(|name| !name.is_compressed)
                && !self.fs.exists(&compressed_path(&path)).unwrap_or(true);
            if is_plain {
                // What is left torn is named by `verify`.
                let _left = self.cut_torn_tail_at(&path);
            }
        }
    }

    fn cut_torn_tail_at(&mut self, path: &Path) -> io::Result<()> {
        let is_torn = |file: &dyn FileHandle| {
            let Stat { len, .. } = file.stat()?;
            let mut last = [b'\n'];
            if len > 0 {
                file.read_at(len - 1, &mut last)?;
            }
            Ok::<_, io::Error>((last != *b"\n").then_some(len))
        };
        // Read first: a file that is whole is not opened for more.
        let Some(file) = self.fs.open_existing(path)? else { return Ok(()) };
        if is_torn(&*file)?.is_none() {
            return Ok(());
        }
        let Some(file) = self.fs.open_log(path, self.options.file_mode)? else { return Ok(()) };
        if !file.try_lock()? || !file.is_at(path) {
            return Ok(());
        }
        match is_torn(&*file)? {
            Some(len) => self.cut_torn_tail(&*file, len).map(drop),
            // Removed in between, and begun anew by being opened.
            None if file.stat()?.len == 0 => self.fs.remove(path),
            None => Ok(()),
        }
    }

    /// Cuts off what follows the last whole line, and remembers how much that was. Returns the
    /// length.
    fn cut_torn_tail(&mut self, file: &dyn FileHandle, found_len: u64) -> io::Result<u64> {
        let len = whole_lines_len(file, found_len)?;
        if len < found_len {
            file.truncate(len)?;
            self.torn_bytes += found_len - len;
        }
        Ok(len)
    }

    /// Keeps a file that is no longer written to until it is synced.
    fn leave(&mut self, current: Current) {
        current.give_back();
        // Also where it was handed out before: it is held until it is synced.
        self.left.push(Arc::downgrade(&current.file));
        if current.unsynced {
            self.unsynced.push(current.file);
        }
    }
}

impl Drop for LogFiles {
    fn drop(&mut self) {
        if let Some(current) = &self.current {
            current.give_back();
        }
    }
}

impl Current {
    fn write(&mut self, bytes: &[u8], what: Urgency) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.make_room(bytes.len() as u64, what)?;
        self.append(bytes)?;
        self.unsynced = true;
        self.write_apart(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = loop {
            match self.file.append(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                taken => break taken?,
            }
        };
        if taken < bytes.len() {
            let why = format!("only {taken} of {} bytes were written", bytes.len());
            return Err(io::Error::new(ErrorKind::WriteZero, why));
        }
        self.len += taken as u64;
        Ok(())
    }

    /// Somebody else may have added half a line since the file was looked at, and what was just
    /// written stands behind it, where nobody can read it: then writes it once more, instead of that. Who
    /// follows the file sees it become shorter for a moment.
    fn write_apart(&mut self, bytes: &[u8]) -> io::Result<()> {
        for _ in 0..GLUED_MAX {
            let Some((whole_len, behind)) = self.glued(bytes) else { return Ok(()) };
            if self.file.truncate(whole_len).is_err() {
                return Ok(());
            }
            (self.len, self.reserved_to) = (whole_len, 0);
            self.append(&[bytes, &behind].concat())?;
            // What is behind it is the next look's, as all that others add.
            self.len -= behind.len() as u64;
        }
        Ok(())
    }

    /// Where what was just written is glued to somebody's half line: up to where the lines before it
    /// are whole, and what follows it.
    fn glued(&self, bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
        let added = self.file.stat().ok()?.len.checked_sub(self.len)?;
        if added == 0 || added > ADDED_BYTES_MAX {
            return None;
        }
        let from = self.len - bytes.len() as u64;
        let mut there = vec![0; bytes.len() + added as usize];
        self.file.read_at(from, &mut there).ok()?;
        let at = memchr::memmem::find(&there, bytes)?;
        let whole = memchr::memrchr(b'\n', &there[..at]).map_or(0, |end| end + 1);
        (whole < at).then(|| (from + whole as u64, there.split_off(at + bytes.len())))
    }

    /// Sees to it that a write of so many bytes leaves what it must of the reserve. Fails where
    /// the disk is too full for that; where it cannot be told, the write will.
    fn make_room(&mut self, bytes: u64, what: Urgency) -> io::Result<()> {
        if !self.reserves || self.len + bytes + what.reserve_left() <= self.reserved_to {
            return Ok(());
        }
        for ahead in [RESERVE_STEP_BYTES, RESERVE_BYTES] {
            match self.file.reserve(self.len, bytes + ahead) {
                Ok(()) => {
                    self.reserved_to = self.len + bytes + ahead;
                    return Ok(());
                }
                Err(error) if is_full(&error) && ahead > RESERVE_BYTES => {}
                Err(error) if is_full(&error) && what != Urgency::Last => return Err(error),
                Err(error) => {
                    let never = [ErrorKind::Unsupported, ErrorKind::InvalidInput];
                    self.reserves = !never.contains(&error.kind());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Gives back what is left of the reserve. What cannot be given back now is when the file is
    /// compressed or removed.
    fn give_back(&self) {
        if self.reserved_to > self.len {
            let _kept = self.file.stat().and_then(|stat| self.file.truncate(stat.len));
        }
    }

    /// Cuts off what a failed write left.
    fn cut_fragment(&mut self) -> io::Result<()> {
        let Stat { len: found_len, .. } = self.file.stat()?;
        if found_len < self.len {
            // Somebody else cut it: cutting "back" would fill it with zeros.
            return Err(io::Error::other("the file is shorter than what was written"));
        }
        if found_len > self.len {
            self.file.truncate(self.len)?;
            self.reserved_to = 0;
        }
        Ok(())
    }

    /// Whether the path no longer is this file; looked up once in a while.
    fn is_moved(&mut self, path: &Path, now_micros: i64) -> bool {
        if now_micros.abs_diff(self.checked_micros) < LOST_CHECK_MICROS {
            return false;
        }
        self.checked_micros = now_micros;
        !self.file.is_at(path)
    }
}

/// A file whose name may not be durable yet: its first sync makes it so, on whatever thread that
/// is, and never the writer.
struct Claimed {
    file: Arc<dyn FileHandle>,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Whether the name is durable.
    is_named: AtomicBool,
    is_folder_named: Arc<AtomicBool>,
}

impl FileHandle for Claimed {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.file.append(bytes)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn reserve(&self, from: u64, bytes: u64) -> io::Result<()> {
        self.file.reserve(from, bytes)
    }

    fn read_at(&self, offset: u64, piece: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, piece)
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn is_at(&self, path: &Path) -> bool {
        self.file.is_at(path)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Relaxed: two threads that both find it `false` sync the folder twice.
        if !self.is_named.load(Ordering::Relaxed) {
            self.fs.sync_dir(&self.dir)?;
            // The folder may be new as well, and those above it, which may be nobody's to open.
            if !self.is_folder_named.load(Ordering::Relaxed) {
                for parent in self.dir.ancestors().skip(1) {
                    let is_here = parent.as_os_str().is_empty();
                    let _not_ours = self.fs.sync_dir(if is_here { Path::new(".") } else { parent });
                }
                self.is_folder_named.store(true, Ordering::Relaxed);
            }
            self.is_named.store(true, Ordering::Relaxed);
        }
        self.file.sync_data()
    }
}

/// Whether the disk, or what this user may have of it, is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// The length of a file up to and with its last `\n`.
pub(super) fn whole_lines_len(file: &dyn FileHandle, len: u64) -> io::Result<u64> {
    lines_end(len, |offset, piece| file.read_at(offset, piece))
}

/// The UTC day; a time that no calendar has counts as the nearest it has.
pub(super) fn utc_date(micros: i64) -> Date {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let time = Timestamp::from_microsecond(micros).unwrap_or(nearest);
    Offset::UTC.to_datetime(time).date()
}

#[cfg(test)]
mod tests;
