//! Compresses closed log files, and removes them when they are too old or too many.
//!
//! A file is touched only if its lock is free, so never while a process writes to it.

mod compress;
mod refused;
mod retire;
mod shipped;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Span;
use jiff::civil::Date;

use super::fs::{FileHandle, Fs};
use compress::UNFINISHED;
use llm_audit_log::schema::notices::Retired;
use llm_audit_log::{FileName, compressed_path, index_path};
use retire::KeptInstances;
use shipped::Destination;

/// After this many bytes it checks whether to continue.
const PIECE_BYTES: usize = 1 << 20;

/// The retention rules of a folder.
pub(super) struct Retention {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    /// If set, files of earlier days are removed.
    pub(super) retention_days: Option<u32>,
    /// If set, the oldest files are removed until all others together have at most this many bytes.
    pub(super) max_total_bytes: Option<u64>,
    /// Whether a file of an earlier day stays until all destinations of shippers have it.
    pub(super) waits: bool,
    pub(super) compress: bool,
    /// Whether it warns of a destination that it waits for.
    pub(super) warns: bool,
}

/// Runs the removal of a file, and reports it. Returns `false` if the file must stay for now.
pub(super) type RetireFile<'a> =
    dyn Fn(&mut dyn FnMut() -> io::Result<Retired>) -> io::Result<bool> + 'a;

/// A file of the log in the folder.
struct ListedFile {
    name: FileName,
    path: PathBuf,
    bytes: u64,
}

impl Retention {
    /// Returns whether any rule is set.
    pub(super) fn is_needed(&self) -> bool {
        self.retention_days.is_some() || self.max_total_bytes.is_some() || self.compress
    }

    /// Applies the rules to the folder once. `retire` removes each file. Returns `false` if
    /// `may_continue` stopped it.
    ///
    /// A file that cannot be read, locked, written or removed now stays for another time.
    pub(super) fn apply_rules(
        &self,
        today: Date,
        may_continue: &dyn Fn() -> bool,
        retire: &RetireFile<'_>,
    ) -> bool {
        let destinations = self.read_destinations();
        let kept = RefCell::default();
        let pass = RetentionPass { rules: self, may_continue, retire, destinations, kept };
        // If the folder cannot be listed, there is nothing to do.
        pass.apply_to_folder(today).unwrap_or(true) && may_continue()
    }

    /// Returns the files of the log, oldest first, and the unfinished copies.
    fn list_log_and_copies(&self) -> io::Result<(Vec<ListedFile>, Vec<PathBuf>)> {
        let (mut files, mut unfinished) = (Vec::new(), Vec::new());
        for (name, bytes) in self.fs.list_files(&self.dir)? {
            let path = self.dir.join(&name);
            if let Some(name) = FileName::parse(&name) {
                files.push(ListedFile { name, path, bytes });
            } else if name.strip_suffix(UNFINISHED).and_then(FileName::parse).is_some() {
                unfinished.push(path);
            }
        }
        files.sort_by_key(|file| file.name);
        Ok((files, unfinished))
    }

    /// Opens and locks a file. Returns `None` if it is gone or someone else has the lock.
    fn open_and_lock(&self, path: &Path) -> io::Result<Option<Arc<dyn FileHandle>>> {
        let Some(file) = self.fs.open_existing(path)? else { return Ok(None) };
        Ok((file.try_lock()? && file.is_still_at(path)).then_some(file))
    }
}

/// One walk through the folder.
struct RetentionPass<'a> {
    rules: &'a Retention,
    may_continue: &'a dyn Fn() -> bool,
    retire: &'a RetireFile<'a>,
    /// Destinations as they were at the beginning.
    destinations: Vec<Destination>,
    kept: RefCell<KeptInstances>,
}

impl RetentionPass<'_> {
    fn apply_to_folder(&self, today: Date) -> io::Result<bool> {
        let (files, unfinished) = self.rules.list_log_and_copies()?;
        for path in unfinished {
            let _kept = self.remove_if_unlocked(&path);
        }
        // A killed process may have left a file and its copy. If both stayed, both would be
        // reported as removed with the same numbers.
        for pair in files.windows(2) {
            let [copy, file] = pair else { continue };
            if copy.path == compressed_path(&file.path) {
                let _kept = self.remove_if_copied(&file.path, &copy.path);
            }
        }
        let oldest = self.rules.retention_days.and_then(|days| oldest_day_kept(today, days));
        let mut waits = false;
        for file in &files {
            if !(self.may_continue)() {
                return Ok(false);
            }
            let is_old = oldest.is_some_and(|oldest| file.name.day < oldest);
            // All later files wait too, so that only the beginning of an instance can be missing.
            waits = waits || is_old && self.waits_for_destination(file);
            // A failure with one file does not affect the others.
            let _kept = match is_old && !waits {
                true => self.retire_file(file, "AUDIT_RETENTION_DAYS").map(drop),
                false => self.compress_file(file),
            };
        }
        if let Some(oldest) = oldest {
            self.retire_old_refused_lines(oldest);
        }
        match self.rules.max_total_bytes {
            Some(bytes) => self.retire_oldest_files(bytes, today),
            None => Ok(true),
        }
    }

    fn remove_if_unlocked(&self, path: &Path) -> io::Result<()> {
        match self.rules.open_and_lock(path)? {
            Some(_held) => self.rules.fs.remove(path),
            None => Ok(()),
        }
    }

    /// Removes what readers keep about a file that is gone. Nothing needs it.
    fn remove_index(&self, path: &Path) {
        let Some(index) = index_path(path) else { return };
        // A link may lead to files of others.
        if index.parent().is_some_and(|folder| self.rules.fs.is_folder(folder)) {
            let _kept = self.rules.fs.remove(&index);
        }
    }

    fn read_in_pieces<'f>(&'f self, file: &'f dyn FileHandle) -> io::Result<PieceReader<'f>> {
        Ok(PieceReader {
            file,
            at: 0,
            len: file.stat()?.len,
            checked_at: 0,
            may_continue: self.may_continue,
        })
    }
}

/// Returns the first day whose files stay.
fn oldest_day_kept(today: Date, days: u32) -> Option<Date> {
    let back = Span::new().try_days(days).ok()?;
    today.checked_sub(back).ok()
}

/// Reads a file up to its present end. Fails once retention is stopped.
struct PieceReader<'f> {
    file: &'f dyn FileHandle,
    at: u64,
    len: u64,
    /// The offset of the last check whether to continue.
    checked_at: u64,
    may_continue: &'f dyn Fn() -> bool,
}

impl Read for PieceReader<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if self.at.abs_diff(self.checked_at) >= PIECE_BYTES as u64 {
            self.checked_at = self.at;
            if !(self.may_continue)() {
                return Err(io::Error::other("retention was stopped"));
            }
        }
        let bytes = (self.len - self.at).min(piece.len() as u64) as usize;
        self.file.read_at(self.at, &mut piece[..bytes])?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for PieceReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(from) => self.len.checked_add_signed(from),
            SeekFrom::Current(from) => self.at.checked_add_signed(from),
        };
        self.at = at.filter(|at| *at <= self.len).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
