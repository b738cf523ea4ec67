//! Chooses the file for each batch by day, size and lock, and begins new files.

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
use open_file::OpenLogFile;
pub(super) use open_file::Urgency;
pub(super) use repair::whole_lines_len_of_file;

/// Names tried for one file. If more of a day are taken or full, no file is begun.
const NAMES_TRIED_MAX: u32 = 65_536;
/// Closed files that may wait for a sync, wherever they are held. With this many the size limit is
/// suspended. Otherwise a disk that hangs would use up the process's file handles.
const UNSYNCED_MAX: usize = 32;

/// The folder of the log, and how its files are made.
pub(crate) struct FileOptions {
    pub(crate) dir: PathBuf,
    /// A batch that would make a file larger goes to the next file. A single batch may be larger.
    pub(crate) max_file_bytes: u64,
    /// The exact permissions of new files.
    pub(crate) file_mode: u32,
}

/// The files of one logger: `audit-YYYY-MM-DD.jsonl`, `.1.jsonl`, `.2.jsonl` and so on. One of them
/// is open at a time.
///
/// The day is the UTC day of the clock at the time of writing. The name never goes back to an
/// earlier day or a lower number. Exception: if someone removed a file and no later one of the day
/// exists, it is begun again.
///
/// A file is written to only while its lock is held. A torn tail, which is what follows the last
/// `\n`, is cut off first. A name is skipped if another writer holds it, if it is full, if it is not
/// a log file, or if its `.zst` exists.
///
/// If the file system can, at least 64 KiB are reserved on the disk past the end of the file. They
/// do not count in its length. If the disk is full, events are refused while `audit.loss` and
/// `audit.stop` lines still fit there. The rest of the reserve is released when the file is closed.
pub(crate) struct LogFiles {
    fs: Arc<dyn Fs>,
    options: FileOptions,
    date: Date,
    number: u64,
    path: PathBuf,
    /// Whether the name of the folder, and of those above it, is durable. It is replaced if the
    /// folder is made again.
    is_folder_named: Arc<AtomicBool>,
    current: Option<OpenLogFile>,
    /// Bytes of torn tails that were cut off, and are not yet in a start line.
    torn_bytes: u64,
    files_begun: u64,
    unsynced: Vec<Arc<DurableFile>>,
    /// Closed files that are not synced yet, here or in the housekeeping thread.
    left: Vec<Weak<DurableFile>>,
}

impl LogFiles {
    /// Makes the folder, and opens, locks and repairs the first file of the day that has room.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be made or written to, or if the file system has no
    /// locks.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        options: FileOptions,
        now_micros: i64,
    ) -> Result<Self, Error> {
        let mut files = Self::unopened(fs, options, now_micros);
        files.cut_torn_tails();
        match files.begin_file(1, now_micros) {
            Ok(current) => files.current = Some(current),
            Err(error) => return Err(Error::io("begin the log file", &files.path, error)),
        }
        Ok(files)
    }

    /// Does the same as [`open`](Self::open), but the first batch begins the first file.
    pub(crate) fn unopened(fs: Arc<dyn Fs>, options: FileOptions, now_micros: i64) -> Self {
        let path = options.dir.clone();
        Self {
            fs,
            options,
            date: utc_date_of_micros(now_micros),
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

    /// Appends whole lines with one write.
    ///
    /// If these are the first lines of a file, `start_line` adds lines before them in the same
    /// write. The same happens if someone else cut the file or added to it. It is given the bytes
    /// of torn tails that were cut off. If that write fails, it is called again for the next one.
    /// An empty batch writes the start line if there is none yet.
    ///
    /// # Errors
    ///
    /// After an error nothing of the batch is in the log, and it can be given again. What a failed
    /// or short write left is cut off. If the file cannot be cut either, it keeps a fragment of the
    /// batch. That file is then closed, and the next batch begins another one.
    pub(crate) fn append(
        &mut self,
        batch: &[u8],
        urgency: Urgency,
        now_micros: i64,
        start_line: &mut dyn FnMut(&mut Vec<u8>, u64),
    ) -> io::Result<()> {
        let mut current = self.open_file_for_batch(batch.len() as u64, now_micros)?;
        let written = match current.begun {
            true => current.write_lines(batch, urgency),
            false => self.write_first_lines(&mut current, batch, urgency, start_line),
        };
        if written.is_ok() || current.cut_failed_write().is_ok() {
            self.current = Some(current);
        } else {
            self.advance_number();
            self.leave_file(current);
        }
        written
    }

    /// Writes a start line and the batch.
    fn write_first_lines(
        &mut self,
        current: &mut OpenLogFile,
        batch: &[u8],
        urgency: Urgency,
        start_line: &mut dyn FnMut(&mut Vec<u8>, u64),
    ) -> io::Result<()> {
        let mut text = Vec::new();
        start_line(&mut text, self.torn_bytes);
        let start_len = text.len() as u64;
        text.extend_from_slice(batch);
        let was_empty = current.len == 0;
        current.write_lines(&text, urgency)?;
        current.begun = true;
        current.empty_len = if was_empty { start_len } else { 0 };
        self.torn_bytes = 0;
        Ok(())
    }

    /// Returns whether room is reserved past the end of the current file.
    pub(crate) fn has_reserve(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.reserved_to > current.len)
    }

    /// Returns the file that was last written to or opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many files were begun or continued.
    pub(crate) fn files_begun(&self) -> u64 {
        self.files_begun
    }

    /// Returns a file with bytes written since it was last returned, for `sync_data` on another
    /// thread. Closed files come first. Returns `None` if there is none left.
    pub(crate) fn take_for_sync(&mut self) -> Option<Arc<DurableFile>> {
        if !self.unsynced.is_empty() {
            return Some(self.unsynced.remove(0));
        }
        let current = self.current.as_mut()?;
        std::mem::take(&mut current.unsynced).then(|| Arc::clone(&current.file))
    }

    /// Records that `sync_data` of a file failed. The durability of its bytes is unknown from then
    /// on. If it is the current file, it is closed, and the next batch begins another one.
    pub(crate) fn sync_failed(&mut self, file: &Arc<DurableFile>) {
        if let Some(current) = self.current.take_if(|current| Arc::ptr_eq(&current.file, file)) {
            current.release_reserve();
            self.advance_number();
        }
    }

    /// Takes the open file if it fits this batch. Otherwise begins the next one.
    fn open_file_for_batch(
        &mut self,
        batch_bytes: u64,
        now_micros: i64,
    ) -> io::Result<OpenLogFile> {
        let date = utc_date_of_micros(now_micros).max(self.date);
        if let Some(mut current) = self.current.take() {
            let is_lost = match self.is_file_lost(&mut current, now_micros) {
                Ok(is_lost) => is_lost,
                Err(error) => {
                    self.current = Some(current);
                    return Err(error);
                }
            };
            let fits = self.fits_batch(current.len, current.empty_len, batch_bytes);
            if date == self.date && fits && !is_lost {
                return Ok(current);
            }
            match is_lost {
                // The folder may be gone as well, and be made again.
                true => self.is_folder_named = Arc::default(),
                false => self.advance_number(),
            }
            self.leave_file(current);
        }
        if date > self.date {
            (self.date, self.number) = (date, 0);
        }
        self.begin_file(batch_bytes, now_micros)
    }

    /// Returns whether the current file is lost: someone removed or renamed it, or its state cannot
    /// be read. If someone cut it or added to it, writing continues after its last whole line.
    fn is_file_lost(&mut self, current: &mut OpenLogFile, now_micros: i64) -> io::Result<bool> {
        // If its server or mount is gone, it may never be readable again.
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

    /// Moves on to the next name. The highest number stays: only someone else can have made that
    /// file.
    fn advance_number(&mut self) {
        self.number = self.number.saturating_add(1);
    }

    fn fits_batch(&mut self, len: u64, empty_len: u64, batch_bytes: u64) -> bool {
        if len <= empty_len || len.saturating_add(batch_bytes) <= self.options.max_file_bytes {
            return true;
        }
        self.left.retain(|file| file.strong_count() > 0);
        self.left.len() >= UNSYNCED_MAX
    }

    /// Finds and opens the first usable name from the current number on. The number stays at that
    /// name, so that no later search begins anew.
    ///
    /// A name may be free because its file was retired. If later names of the day exist, it is
    /// skipped, so that the order of names stays that of age.
    fn begin_file(&mut self, batch_bytes: u64, now_micros: i64) -> io::Result<OpenLogFile> {
        if !self.fs.exists(&self.options.dir).unwrap_or(false) {
            self.is_folder_named = Arc::default();
        }
        self.fs.create_dir(&self.options.dir)?;
        let there = self.taken_numbers();
        for _ in 0..NAMES_TRIED_MAX {
            self.number = *there.range(self.number..).next().unwrap_or(&self.number);
            self.path = self.options.dir.join(FileName::new(self.date, self.number).to_string());
            if let Some((file, len)) = self.claim_file(batch_bytes)? {
                self.files_begun += 1;
                return Ok(OpenLogFile {
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
        let why = format!("{NAMES_TRIED_MAX} names tried, and each is taken or full");
        Err(io::Error::new(ErrorKind::AlreadyExists, why))
    }

    /// Returns the numbers of the day whose names are taken. The set is empty if the folder cannot
    /// be listed, because the folder may still be writable.
    fn taken_numbers(&self) -> BTreeSet<u64> {
        let names = self.fs.list_names(&self.options.dir).unwrap_or_default();
        let of_day = names.iter().filter_map(|name| FileName::parse(name));
        of_day.filter(|name| name.day == self.date).map(|name| name.number).collect()
    }

    /// Opens, locks and repairs the file at the current path. Returns it with its length, or `None`
    /// if it is not available or has no room.
    fn claim_file(&mut self, batch_bytes: u64) -> io::Result<Option<(Arc<DurableFile>, u64)>> {
        let compressed = compressed_path(&self.path);
        if self.fs.exists(&compressed)? {
            return Ok(None);
        }
        let Some(file) = self.fs.open_log(&self.path, self.options.file_mode)? else {
            return Ok(None);
        };
        // The last holder may have removed it between the opening and the lock.
        if !file.try_lock()? || !file.is_still_at(&self.path) {
            return Ok(None);
        }
        let Stat { len: found_len, .. } = file.stat()?;
        // The last holder may have compressed it. Then the file just opened is new, and must not
        // exist beside the compressed one.
        if self.fs.exists(&compressed)? {
            if found_len == 0 {
                self.fs.remove(&self.path)?;
            }
            return Ok(None);
        }
        // This repairs full files too, because no other writer will.
        let len = self.cut_torn_tail(&*file, found_len)?;
        if !self.fits_batch(len, 0, batch_bytes) {
            return Ok(None);
        }
        let (fs, dir) = (self.fs.clone(), self.options.dir.clone());
        let is_folder_named = self.is_folder_named.clone();
        Ok(Some((Arc::new(DurableFile::new(file, fs, dir, is_folder_named)), len)))
    }

    /// Keeps a file that is no longer written to until it is synced.
    fn leave_file(&mut self, current: OpenLogFile) {
        current.release_reserve();
        // It counts even if it was handed out before, because it stays open until its sync.
        self.left.push(Arc::downgrade(&current.file));
        if current.unsynced {
            self.unsynced.push(current.file);
        }
    }
}

impl Drop for LogFiles {
    fn drop(&mut self) {
        if let Some(current) = &self.current {
            current.release_reserve();
        }
    }
}

/// Returns the UTC day. A time outside of the calendar counts as the nearest day in it.
pub(super) fn utc_date_of_micros(micros: i64) -> Date {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let time = Timestamp::from_microsecond(micros).unwrap_or(nearest);
    Offset::UTC.to_datetime(time).date()
}
