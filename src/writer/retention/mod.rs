//! What becomes of files that are no longer written to: compressed, and in the end removed. Only
//! those whose lock can be had, so never one that any process writes to.

mod compress;
mod retire;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Span;
use jiff::civil::Date;

use super::fs::{FileHandle, Fs};
use compress::UNFINISHED;
use llm_audit_log::schema::notices::Retired;
use llm_audit_log::{FileName, compressed_path};
use retire::KeptInstances;

/// Between two pieces of so many bytes it is asked whether to go on.
const PIECE_BYTES: usize = 1 << 20;

/// The rules by which a folder is tidied.
pub(super) struct Retention {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    /// Files of days further back are removed.
    pub(super) retention_days: Option<u32>,
    /// The oldest files are removed until all together have no more bytes.
    pub(super) max_total_bytes: Option<u64>,
    pub(super) compress: bool,
}

/// Runs what removes a file, and tells of it; `false` where it is not to be removed now.
pub(super) type Retire<'a> =
    dyn Fn(&mut dyn FnMut() -> io::Result<Retired>) -> io::Result<bool> + 'a;

/// A file of the log in the folder.
struct Listed {
    name: FileName,
    path: PathBuf,
    bytes: u64,
}

impl Retention {
    /// Whether there is anything to do by these rules.
    pub(super) fn is_needed(&self) -> bool {
        self.retention_days.is_some() || self.max_total_bytes.is_some() || self.compress
    }

    /// Goes through the folder once, on this day. Each file is removed by `retire`. `false`: broken
    /// off, because `goes_on` said so.
    ///
    /// What cannot be read, locked, written or removed now stays as it is for another time.
    pub(super) fn run(&self, today: Date, goes_on: &dyn Fn() -> bool, retire: &Retire<'_>) -> bool {
        let job = Pass { rules: self, goes_on, retire, kept: RefCell::default() };
        // A folder that cannot be listed has nothing to tidy.
        job.run(today).unwrap_or(true) && goes_on()
    }

    /// The files of the log, oldest first, and what compressing left unfinished.
    fn list(&self) -> io::Result<(Vec<Listed>, Vec<PathBuf>)> {
        let (mut files, mut unfinished) = (Vec::new(), Vec::new());
        for (name, bytes) in self.fs.list(&self.dir)? {
            let path = self.dir.join(&name);
            if let Some(name) = FileName::parse(&name) {
                files.push(Listed { name, path, bytes });
            } else if name.strip_suffix(UNFINISHED).and_then(FileName::parse).is_some() {
                unfinished.push(path);
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((files, unfinished))
    }

    /// A file with its lock; `None` where somebody else has it, or it has gone.
    fn claim(&self, path: &Path) -> io::Result<Option<Arc<dyn FileHandle>>> {
        let Some(file) = self.fs.open_existing(path)? else { return Ok(None) };
        Ok((file.try_lock()? && file.is_at(path)).then_some(file))
    }
}

/// One walk through the folder.
struct Pass<'a> {
    rules: &'a Retention,
    goes_on: &'a dyn Fn() -> bool,
    retire: &'a Retire<'a>,
    kept: RefCell<KeptInstances>,
}

impl Pass<'_> {
    fn run(&self, today: Date) -> io::Result<bool> {
        let (files, unfinished) = self.rules.list()?;
        for path in unfinished {
            let _kept = self.remove(&path);
        }
        // A file and its copy, where the process was killed before the file could go: else both would be
        // told of as removed, with the same numbers.
        for pair in files.windows(2) {
            let [copy, file] = pair else { continue };
            if copy.path == compressed_path(&file.path) {
                let _kept = self.remove_copied(&file.path, &copy.path);
            }
        }
        let oldest = self.rules.retention_days.and_then(|days| oldest_day(today, days));
        for file in &files {
            if !(self.goes_on)() {
                return Ok(false);
            }
            let is_old = oldest.is_some_and(|oldest| file.name.day < oldest);
            // What fails with one file says nothing of the others.
            let _kept = match is_old {
                true => self.retire(file, "AUDIT_RETENTION_DAYS").map(drop),
                false => self.compress(file),
            };
        }
        match self.rules.max_total_bytes {
            Some(bytes) => self.retire_past(bytes),
            None => Ok(true),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.rules.claim(path)? {
            Some(_held) => self.rules.fs.remove(path),
            None => Ok(()),
        }
    }

    fn pieces<'f>(&'f self, file: &'f dyn FileHandle) -> io::Result<Pieces<'f>> {
        Ok(Pieces { file, at: 0, len: file.stat()?.len, asked_at: 0, goes_on: self.goes_on })
    }
}

/// The first day whose files stay.
fn oldest_day(today: Date, days: u32) -> Option<Date> {
    let back = Span::new().try_days(days).ok()?;
    today.checked_sub(back).ok()
}

/// A file from its beginning to the end that it has now. Fails once it is not to go on.
struct Pieces<'f> {
    file: &'f dyn FileHandle,
    at: u64,
    len: u64,
    /// Where it was last asked whether to go on.
    asked_at: u64,
    goes_on: &'f dyn Fn() -> bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if self.at - self.asked_at >= PIECE_BYTES as u64 {
            self.asked_at = self.at;
            if !(self.goes_on)() {
                return Err(io::Error::other("broken off"));
            }
        }
        let bytes = (self.len - self.at).min(piece.len() as u64) as usize;
        self.file.read_at(self.at, &mut piece[..bytes])?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}
