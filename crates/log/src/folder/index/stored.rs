//! The file of an index: whose it is, and of which log file.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::bytes::{BYTES_MAX, IDENTITY_BYTES};
use super::{FOLDER, index_path};
use crate::file_name::{FileName, with_suffix};
use crate::folder::LogFile;

/// How long writing an index may take.
const UNFINISHED_MAX: Duration = Duration::from_secs(60);

/// Which file an index is of, and its content as far as the file system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// The last change of anything, which nobody can set.
    changed: (i64, i64),
}

impl FileIdentity {
    /// The identity of a file that has a name of the log's and that nobody writes to.
    pub(crate) fn of_closed(file: &LogFile) -> Option<Self> {
        if !file.is_of_folder() || file.is_in_use() {
            return None;
        }
        let metadata = fs::symlink_metadata(file.path()).ok().filter(Metadata::is_file)?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    pub(super) fn to_bytes(self) -> [u8; IDENTITY_BYTES] {
        let (modified, changed) = (self.modified, self.changed);
        let times = [modified.0, modified.1, changed.0, changed.1].map(i64::cast_unsigned);
        let numbers = [self.device, self.inode, self.bytes].into_iter().chain(times);
        let mut bytes = [0; IDENTITY_BYTES];
        for (to, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *to = number.to_le_bytes();
        }
        bytes
    }

    pub(super) fn read_index(self, file: &LogFile) -> Option<Vec<u8>> {
        let path = index_path(file.path())?;
        let owner = owner_of_folders(file.path(), &path).ok()??;
        // A link may lead anywhere, and a pipe would block.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let index = OpenOptions::new().read(true).custom_flags(flags).open(&path).ok()?;
        let opened = index.metadata().ok()?;
        if !opened.is_file() || opened.uid() != owner || opened.len() > BYTES_MAX {
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

/// Removes the indexes in the folder of the log whose files are gone, as far as it is this user's.
pub(crate) fn remove_orphans(log: &Path) {
    let folder = log.join(FOLDER);
    if !owner_of_folders(&folder, &folder.join(FOLDER)).is_ok_and(|owner| owner.is_some()) {
        return;
    }
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let index = name.strip_suffix(".tmp").unwrap_or(name);
        let Some(file) = index.strip_suffix(".idx") else { continue };
        let is_gone = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        if FileName::parse(file).is_some() && log.join(file).symlink_metadata().is_err_and(is_gone)
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a process that was killed left this file.
fn is_abandoned(unfinished: &Path) -> bool {
    let age = fs::symlink_metadata(unfinished).and_then(|metadata| metadata.modified());
    age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNFINISHED_MAX))
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
    if is_abandoned(&unfinished) {
        // A link is removed, and not followed.
        let _ = fs::remove_file(&unfinished);
    }
    // If another reader is writing it, that one is as good.
    let mut index =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let is_of_owner = index.metadata()?.uid() == owner;
    let written = index.write_all(bytes);
    match written {
        Ok(()) if is_of_owner => fs::rename(&unfinished, path),
        _ => fs::remove_file(&unfinished),
    }
}
