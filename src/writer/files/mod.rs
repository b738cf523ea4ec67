//! Which file the next batch goes to, and how it gets there whole: names, days, sizes, locks.

mod durable;
mod open_file;
mod repair;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::fs::{Fs, Stat};
use crate::error::Error;
pub(super) use durable::DurableFile;
use llm_audit_log::{FileName, compressed_path};
use open_file::OpenFile;
pub(super) use open_file::Urgency;
pub(super) use repair::whole_lines_len;

/// Names tried for one file; with more than these of a day taken or full, no file is begun.
const NAMES_TRIED_MAX: u32 = 65_536;
/// Files left behind that still wait to be synced, wherever they are held. With so many the size
/// limit is put off, so that a disk that hangs does not use up the process's file handles.
const UNSYNCED_MAX: usize = 32;

/// Where the log lies and how its files are made.
pub(crate) struct FileOptions {
    pub(crate) dir: PathBuf,
    /// A batch that would make a file larger goes to the next one. A batch alone may be larger.
    pub(crate) max_file_bytes: u64,
    /// Permissions of new files, exactly.
    pub(crate) file_mode: u32,
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
    current: Option<OpenFile>,
    /// Bytes of torn tails cut off and not yet told to a start line.
    torn_bytes: u64,
    files_begun: u64,
    unsynced: Vec<Arc<DurableFile>>,
    /// Files left behind, here or on their way through the housekeeping thread.
    left: Vec<Weak<DurableFile>>,
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
        urgency: Urgency,
        now_micros: i64,
        start_line: &mut dyn FnMut(&mut Vec<u8>, u64),
    ) -> io::Result<()> {
        let mut current = self.current_for(batch.len() as u64, now_micros)?;
        let written = match current.begun {
            true => current.write(batch, urgency),
            false => self.write_first(&mut current, batch, urgency, start_line),
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
        current: &mut OpenFile,
        batch: &[u8],
        urgency: Urgency,
        start_line: &mut dyn FnMut(&mut Vec<u8>, u64),
    ) -> io::Result<()> {
        let mut text = Vec::new();
        start_line(&mut text, self.torn_bytes);
        let start_len = text.len() as u64;
        text.extend_from_slice(batch);
        let was_empty = current.len == 0;
        current.write(&text, urgency)?;
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
    pub(crate) fn take_for_sync(&mut self) -> Option<Arc<DurableFile>> {
        if !self.unsynced.is_empty() {
            return Some(self.unsynced.remove(0));
        }
        let current = self.current.as_mut()?;
        std::mem::take(&mut current.unsynced).then(|| Arc::clone(&current.file))
    }

    /// Says that `sync_data` of a file failed. Whether what it holds is durable can never be known
    /// again, so it is closed if it is still written to, and the next batch begins another.
    pub(crate) fn sync_failed(&mut self, file: &Arc<DurableFile>) {
        if let Some(current) = self.current.take_if(|current| Arc::ptr_eq(&current.file, file)) {
            current.give_back();
            self.pass_over();
        }
    }

    /// Takes the open file if it is the one for this batch, else begins the one that is.
    fn current_for(&mut self, batch_bytes: u64, now_micros: i64) -> io::Result<OpenFile> {
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
    fn look(&mut self, current: &mut OpenFile, now_micros: i64) -> io::Result<bool> {
        // One whose server or mount is gone may never be looked at again.
        let Ok(stat) = current.file.handle().stat() else { return Ok(true) };
        if !stat.is_linked || current.is_moved(&self.path, now_micros) {
            return Ok(true);
        }
        if stat.len != current.len {
            current.len = self.cut_torn_tail(current.file.handle(), stat.len)?;
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
    fn begin(&mut self, batch_bytes: u64, now_micros: i64) -> io::Result<OpenFile> {
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
                return Ok(OpenFile {
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
    fn claim(&mut self, batch_bytes: u64) -> io::Result<Option<(Arc<DurableFile>, u64)>> {
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
        Ok(Some((Arc::new(DurableFile::new(file, fs, dir, is_folder_named)), len)))
    }

    /// Keeps a file that is no longer written to until it is synced.
    fn leave(&mut self, current: OpenFile) {
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

/// The UTC day; a time that no calendar has counts as the nearest it has.
pub(super) fn utc_date(micros: i64) -> Date {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let time = Timestamp::from_microsecond(micros).unwrap_or(nearest);
    Offset::UTC.to_datetime(time).date()
}
