//! The writer's door to the file system and the clock: the seam where tests inject faults.

mod clock;
#[cfg(test)]
pub(crate) mod mem;
mod os;
#[cfg(target_os = "linux")]
mod reserve;

use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(test)]
pub(crate) use clock::TestClock;
pub(crate) use clock::{Clock, SystemClock};
pub(crate) use os::OsFs;

/// What the writer asks of a file system; [`OsFs`] is the real one.
pub(crate) trait Fs: Send + Sync {
    /// Makes the folder and those above it, for the owner alone. One that is there stays as it is.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens a log file for reading and appending. A new one gets exactly this mode. `None` where
    /// the name is taken by what is not this process's to append to: a symlink, which is never
    /// followed, a folder or device, a file of somebody else.
    fn open_log(&self, path: &Path, mode: u32) -> io::Result<Option<Arc<dyn FileHandle>>>;

    /// Opens a file that is there, to be read and locked. `None` where there is none, or no file
    /// that this process may read; a symlink is never followed.
    fn open_existing(&self, path: &Path) -> io::Result<Option<Arc<dyn FileHandle>>>;

    /// All names in a folder that are text.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// The names of the files in a folder, with their bytes. Symlinks, folders and devices, and
    /// names that are no text, are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>>;

    /// Gives a file another name in its folder, in place of what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Whether the name is taken.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the names in a folder durable. Where the file system has no such thing, or this user may
    /// not read the folder, they are as durable as a sync of their files makes them.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// What a file is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// In bytes.
    pub(crate) len: u64,
    /// Whether any name leads to it.
    pub(crate) is_linked: bool,
    /// Its permissions.
    pub(crate) mode: u32,
}

/// An open log file. Closing the last handle releases its lock.
pub(crate) trait FileHandle: Send + Sync {
    /// One `write(2)` at the end of the file, which may be short.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// What it is now.
    fn stat(&self) -> io::Result<Stat>;

    /// Cuts the file to `len` bytes. What was reserved past them is given back, also where `len`
    /// is the length it has.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Has the disk set this range aside for the file, whose length stays. `Unsupported` where the
    /// file system has no such thing.
    fn reserve(&self, from: u64, bytes: u64) -> io::Result<()>;

    /// Fills `piece` with what begins at `offset`.
    fn read_at(&self, offset: u64, piece: &mut [u8]) -> io::Result<()>;

    /// Takes the exclusive lock; `false` where another handle has it.
    fn try_lock(&self) -> io::Result<bool>;

    /// Whether `path` still is this file; `true` where that cannot be found out.
    fn is_at(&self, path: &Path) -> bool;

    /// Makes what was appended durable. May take long; any thread may call it.
    fn sync_data(&self) -> io::Result<()>;
}
