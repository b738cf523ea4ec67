//! A log file whose first sync also makes its name durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::writer::fs::{FileHandle, Fs};

/// A log file, and the names that its first sync makes durable.
///
/// Syncs run on the housekeeping thread, so the writer never waits for a folder.
pub(in crate::writer) struct DurableFile {
    handle: Arc<dyn FileHandle>,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Whether the file's name is durable.
    is_named: AtomicBool,
    is_folder_named: Arc<AtomicBool>,
}

impl DurableFile {
    /// Takes a file whose name may not be durable yet. All files of the folder share
    /// `is_folder_named`.
    pub(super) fn new(
        handle: Arc<dyn FileHandle>,
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        is_folder_named: Arc<AtomicBool>,
    ) -> Self {
        Self { handle, fs, dir, is_named: AtomicBool::new(false), is_folder_named }
    }

    /// Returns the file itself.
    pub(super) fn handle(&self) -> &dyn FileHandle {
        &*self.handle
    }

    /// Makes appended bytes durable, and with the first call the name. It may take long, and any
    /// thread may call it.
    pub(in crate::writer) fn sync_data(&self) -> io::Result<()> {
        // Relaxed: if two threads both read `false`, the folder is synced twice.
        if !self.is_named.load(Ordering::Relaxed) {
            self.fs.sync_dir(&self.dir)?;
            // The folder and those above it may be new as well. If this user cannot open one of
            // them, it is skipped.
            if !self.is_folder_named.load(Ordering::Relaxed) {
                for parent in self.dir.ancestors().skip(1) {
                    let is_here = parent.as_os_str().is_empty();
                    let _not_ours = self.fs.sync_dir(if is_here { Path::new(".") } else { parent });
                }
                self.is_folder_named.store(true, Ordering::Relaxed);
            }
            self.is_named.store(true, Ordering::Relaxed);
        }
        self.handle.sync_data()
    }
}
