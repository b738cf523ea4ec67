//! The files of a log folder, in order, and their lines, now and as they come.

mod acknowledged;
mod chunks;
mod file;
mod follow;
mod index;
mod input;
mod lines;
mod position;
mod private;
mod tail;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
pub use acknowledged::{
    Acknowledged, REFUSED_FOLDER, SHIP_FOLDER, destination_of_file, refused_file_day,
};
pub(crate) use chunks::{CHUNK_BYTES, Chunk, ChunkEnd, Turn, for_each_chunk};
pub use file::LogFile;
pub use follow::Follow;
pub(crate) use index::{BlockSummary, Index, IndexBuilder, IndexQuery};
pub use index::{index_blocks, index_path};
pub use input::Input;
pub use lines::{Ending, Entry, LINE_BYTES_MAX, Lines, line_bytes_in_file, read_line};
pub use position::Position;
pub use private::PrivateFolder;
pub use tail::lines_end;

/// How often a folder is listed in search of two lists that agree.
const LISTS_MAX: u32 = 8;

/// The log files of a folder as they were at one moment, by day and then by number.
#[derive(Clone, Debug)]
pub struct Folder {
    source: FileSource,
    files: Vec<LogFile>,
}

/// Where the files are.
#[derive(Clone, Debug)]
enum FileSource {
    /// In a folder, by their names.
    Folder(PathBuf),
    /// At these paths.
    Paths(Vec<PathBuf>),
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
        Self::list(FileSource::Folder(dir.into()))
    }

    /// Lists files by their paths, whatever their names, such as what a program wrote to standard
    /// output. `-` is standard input. Pipes and standard input can be read once.
    ///
    /// If all have names of the log, they are ordered by folder, day and number. Otherwise they
    /// keep the order of `paths`.
    ///
    /// # Errors
    ///
    /// A file is not there, or is a folder.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use llm_audit_log::Folder;
    ///
    /// // The lines of `AUDIT_EXPORTER=stdout my-agent > out.jsonl`.
    /// let files = Folder::of_files(["out.jsonl"])?;
    /// let mut lines = files.lines();
    /// while let Some(mut entry) = lines.next_line()? {
    ///     println!("{:?}", entry.parse().map(|line| line.seq()));
    /// }
    /// # Ok::<(), llm_audit_log::Error>(())
    /// ```
    pub fn of_files(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Result<Self, Error> {
        Self::list(FileSource::Paths(paths.into_iter().map(Into::into).collect()))
    }

    fn list(source: FileSource) -> Result<Self, Error> {
        let mut files = source.list()?;
        // A file that is being compressed may be in a list under both names, or under none if it
        // changes while the folder is read. Two lists that agree have it.
        for _ in 0..LISTS_MAX {
            if source.has_names_of(&files)? {
                break;
            }
            files = source.list()?;
        }
        files.dedup_by(|plain, compressed| {
            let is_copy =
                compressed.is_compressed() && compressed.plain_name() == plain.plain_name();
            // If a power cut or a torn line made one shorter, the other has all lines. The copy of another
            // program does not say how long it is.
            if is_copy && (plain.bytes() >= compressed.bytes() || compressed.is_gzip()) {
                std::mem::swap(plain, compressed);
            }
            is_copy
        });
        Ok(Self { source, files })
    }

    /// Lists the same folder or the same paths again.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) or of [`of_files`](Self::of_files).
    pub fn reopen(&self) -> Result<Self, Error> {
        Self::list(self.source.clone())
    }

    /// Removes what was kept about files that are no longer in the folder.
    pub(crate) fn remove_old_indexes(&self) {
        if let FileSource::Folder(dir) = &self.source {
            index::remove_orphans(dir);
        }
    }

    /// Lists those that are there, while others may come or go.
    fn reopen_existing(source: &FileSource) -> Result<Self, Error> {
        match source {
            FileSource::Folder(dir) if !dir.exists() => {
                Ok(Self { source: source.clone(), files: Vec::new() })
            }
            FileSource::Folder(_) => Self::list(source.clone()),
            FileSource::Paths(paths) => Self::of_files(paths.iter().filter(|path| path.exists())),
        }
    }

    /// The files, oldest first, or in the order in which they were named.
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

impl FileSource {
    fn list(&self) -> Result<Vec<LogFile>, Error> {
        let paths = match self {
            Self::Folder(dir) => return list_log_files(dir),
            Self::Paths(paths) => paths,
        };
        let mut files: Vec<_> =
            paths.iter().map(|path| LogFile::from_path(path)).collect::<Result<_, _>>()?;
        if files.iter().all(|file| file.order().is_some()) {
            files.sort_by(|a, b| a.order().cmp(&b.order()));
        }
        Ok(files)
    }

    /// Whether these files are still all that there are. Files of a list are.
    fn has_names_of(&self, files: &[LogFile]) -> Result<bool, Error> {
        let Self::Folder(dir) = self else { return Ok(true) };
        let mut names = list_log_names(dir)?;
        let mut known: Vec<_> = files.iter().map(LogFile::name).collect();
        names.sort_unstable();
        known.sort_unstable();
        Ok(names == known)
    }
}

fn list_log_files(dir: &Path) -> Result<Vec<LogFile>, Error> {
    // All names before the first length: of two files of a writer the earlier one then has all its lines.
    let names = list_log_names(dir)?;
    let mut files = Vec::new();
    for name in names {
        let path = dir.join(&name);
        let metadata = fs::metadata(&path);
        // A file may be removed between the listing and this call; then it is not part of it. A link that
        // leads nowhere is.
        if metadata.is_err() && fs::symlink_metadata(&path).is_err() {
            continue;
        }
        files.extend(LogFile::from_name(dir, &name, metadata));
    }
    files.sort();
    Ok(files)
}

/// The names of the log's files in a folder, in no order.
fn list_log_names(dir: &Path) -> Result<Vec<String>, Error> {
    let read = |source| Error::io("read", dir, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let name = entry.map_err(read)?.file_name().into_string();
        names.extend(name.ok().filter(|name| LogFile::is_log_name(name)));
    }
    Ok(names)
}
