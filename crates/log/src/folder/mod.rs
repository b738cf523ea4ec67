//! The files of a log folder, in order, and their lines, now and as they come.

mod file;
mod follow;
mod input;
mod lines;
mod tail;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
pub use file::LogFile;
pub use follow::Follow;
pub use input::Input;
pub use lines::{Ending, Entry, LINE_BYTES_MAX, Lines, read_line};
pub use tail::lines_end;

/// How often a folder is listed in search of two lists that agree.
const LISTS_MAX: u32 = 8;

/// The log files of a folder as they were at one moment, by day and then by number.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
    files: Vec<LogFile>,
}

impl Folder {
    /// Lists the folder. Files of others and lines that are written later are not part of it.
    ///
    /// While the writer replaces a file by its compressed copy, both are there. The longer one is part
    /// of the folder, or the file itself if both have the same length.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let dir = dir.into();
        let mut files = list_log_files(&dir)?;
        // A file that is being compressed may be in a list under both names, or under none if it
        // changes while the folder is read. Two lists that agree have it.
        for _ in 0..LISTS_MAX {
            let again = list_log_files(&dir)?;
            let names = |files: &[LogFile]| {
                files.iter().map(LogFile::name).eq(again.iter().map(LogFile::name))
            };
            if names(&files) {
                break;
            }
            files = again;
        }
        files.dedup_by(|plain, compressed| {
            let is_copy = compressed.is_compressed() && compressed.plain_name() == plain.name();
            // If a power cut or a torn line made one shorter, the other has all lines.
            if is_copy && plain.bytes() >= compressed.bytes() {
                std::mem::swap(plain, compressed);
            }
            is_copy
        });
        Ok(Self { dir, files })
    }

    /// Its path.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Lists the same folder again.
    pub(crate) fn reopen(&self) -> Result<Self, Error> {
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

fn list_log_files(dir: &Path) -> Result<Vec<LogFile>, Error> {
    let read = |source| Error::io("read", dir, source);
    // All names before the first length: of two files of a writer the earlier one then has all its lines.
    let entries: Vec<_> =
        fs::read_dir(dir).and_then(Iterator::collect::<io::Result<_>>).map_err(read)?;
    let mut files = Vec::new();
    for entry in entries {
        // A file may be removed between the listing and this call; then it is not part of it.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if let (true, Some(name)) = (metadata.is_file(), entry.file_name().to_str()) {
            files.extend(LogFile::from_name(dir, name, metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}
