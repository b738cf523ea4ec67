//! The file of an index: whose it is, and of which log file.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::bytes::{BYTES_MAX, IDENTITY_BYTES};
use super::index_path;
use crate::file_name::with_suffix;
use crate::folder::LogFile;

/// Which file an index is of, and its content as far as the file system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl FileIdentity {
    /// The identity of a file that has a name of the log's and that nobody writes to.
    pub(crate) fn of_closed(file: &LogFile) -> Option<Self> {
        if !file.has_name_of_log() || file.is_stream() || file.is_in_use() {
            return None;
        }
        let metadata = fs::symlink_metadata(file.path()).ok().filter(Metadata::is_file)?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }

    pub(super) fn to_bytes(self) -> [u8; IDENTITY_BYTES] {
        let modified = [self.modified.0, self.modified.1].map(i64::cast_unsigned);
        let numbers = [self.device, self.inode, self.bytes, modified[0], modified[1]];
        let mut bytes = [0; IDENTITY_BYTES];
        for (to, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *to = number.to_le_bytes();
        }
        bytes
    }

    pub(super) fn read_index(self, file: &LogFile) -> Option<Vec<u8>> {
        let path = index_path(file.path())?;
        let owner = owner_of_folders(file.path(), &path).ok()??;
        // A pipe would block, and a link may lead anywhere.
        let named = fs::symlink_metadata(&path).ok().filter(Metadata::is_file)?;
        let index = File::open(&path).ok()?;
        let opened = index.metadata().ok()?;
        let is_same = (opened.dev(), opened.ino()) == (named.dev(), named.ino());
        if !is_same || opened.uid() != owner || opened.len() > BYTES_MAX {
            return None;
        }
        let mut bytes = Vec::new();
        index.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(super) fn write_index(self, file: &LogFile, bytes: &[u8]) {
        if bytes.len() as u64 <= BYTES_MAX
            && let Some(path) = index_path(file.path())
        {
            // Nothing needs the index.
            let _ = write_index_file(file.path(), &path, bytes);
        }
    }
}

/// The owner of the folder of the log, if the folder of the indexes is there and has the same one.
fn owner_of_folders(file: &Path, index: &Path) -> io::Result<Option<u32>> {
    let (Some(log), Some(folder)) = (file.parent(), index.parent()) else { return Ok(None) };
    let log = if log.as_os_str().is_empty() { Path::new(".") } else { log };
    let (log, folder) = (fs::metadata(log)?, fs::symlink_metadata(folder)?);
    Ok((folder.is_dir() && folder.uid() == log.uid()).then_some(log.uid()))
}

fn write_index_file(file: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let is_made = DirBuilder::new().mode(0o700).create(folder).is_ok();
    let Some(owner) = owner_of_folders(file, path)? else {
        // The log is somebody else's.
        return if is_made { fs::remove_dir(folder) } else { Ok(()) };
    };
    let unfinished = with_suffix(path, ".tmp");
    // What a killed process left. A link is removed, and not followed.
    let _ = fs::remove_file(&unfinished);
    let mut index =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let is_of_owner = index.metadata()?.uid() == owner;
    let written = index.write_all(bytes);
    match written {
        Ok(()) if is_of_owner => fs::rename(&unfinished, path),
        _ => fs::remove_file(&unfinished),
    }
}
