//! The file system as the writer sees it. Tests replace it to inject faults.

mod clock;
#[cfg(test)]
pub(crate) mod mem;
mod os;
#[cfg(target_os = "linux")]
mod reserve;

use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(all(test, not(loom)))]
pub(crate) use clock::TestClock;
pub(crate) use clock::{Clock, SystemClock};
pub(crate) use os::OsFs;

/// The calls that the writer makes to a file system. [`OsFs`] is the real one.
pub(crate) trait Fs: Send + Sync {
    /// Makes the folder and those above it, for the owner alone. A folder that exists stays as it
    /// is.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens a log file for reading and appending. A new file gets exactly this mode.
    ///
    /// Returns `None` if this process must not append to the name. That is a symlink, which is
    /// never followed, a folder, a device, or a file of another user.
    fn open_log(&self, path: &Path, mode: u32) -> io::Result<Option<Arc<dyn FileHandle>>>;

    /// Opens an existing file, to read and lock it. Returns `None` if there is none, or if this
    /// process may not read it. A symlink is never followed.
    fn open_existing(&self, path: &Path) -> io::Result<Option<Arc<dyn FileHandle>>>;

    /// Returns all names in a folder that are valid text.
    fn list_names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Returns the names of the files in a folder, with their sizes in bytes. Symlinks, folders,
    /// devices, and names that are not valid text are left out.
    fn list_files(&self, dir: &Path) -> io::Result<Vec<(String, u64)>>;

    /// Renames a file in its folder, and replaces any file with that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns whether the name is taken.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Returns whether the name is a folder, and not a symlink to one.
    fn is_folder(&self, path: &Path) -> bool;

    /// Makes the names in a folder durable. If the file system cannot, or this user may not read
    /// the folder, they are as durable as a sync of their files makes them.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The present state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The length in bytes.
    pub(crate) len: u64,
    /// Whether any name leads to the file.
    pub(crate) is_linked: bool,
    /// The permissions.
    pub(crate) mode: u32,
}

/// An open log file. Closing the last handle releases its lock.
pub(crate) trait FileHandle: Send + Sync {
    /// Appends with one `write(2)`, which may be short.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns the present state.
    fn stat(&self) -> io::Result<Stat>;

    /// Cuts the file to `len` bytes. Room reserved past them is released, even if `len` is the
    /// present length.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Reserves this range on the disk without changing the file's length. Fails with `Unsupported`
    /// if the file system cannot do that.
    fn reserve(&self, from: u64, bytes: u64) -> io::Result<()>;

    /// Fills `piece` with the bytes from `offset` on.
    fn read_at(&self, offset: u64, piece: &mut [u8]) -> io::Result<()>;

    /// Takes the exclusive lock. Returns `false` if another handle has it.
    fn try_lock(&self) -> io::Result<bool>;

    /// Returns whether `path` is still this file. If that cannot be determined, returns `true`.
    fn is_still_at(&self, path: &Path) -> bool;

    /// Makes appended bytes durable. It may take long, and any thread may call it.
    fn sync_data(&self) -> io::Result<()>;
}
