//! The file system of the operating system.

use std::fs::{DirEntry, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use llm_audit_process::fork::PrivateFile;

#[cfg(target_os = "linux")]
use super::reserve;
use super::{FileHandle, Fs, Stat};

/// The file system of the operating system.
pub(crate) struct OsFs;

impl Fs for OsFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        platform::log_dir_builder().recursive(true).create(dir).map_err(|error| {
            match error.kind() {
                ErrorKind::AlreadyExists => {
                    io::Error::new(ErrorKind::NotADirectory, "the path exists and is not a folder")
                }
                _ => error,
            }
        })
    }

    fn open_log(&self, path: &Path, mode: u32) -> io::Result<Option<Arc<dyn FileHandle>>> {
        let mut options = platform::log_open_options(mode);
        let file = match options.create_new(true).open(path) {
            Ok(file) => {
                platform::set_file_mode(&file, mode)?;
                file
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // `create`, because the file may have been removed in between.
                match options.create_new(false).create(true).open(path) {
                    Ok(file) => file,
                    Err(error) if is_foreign_file(path, &error) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        Ok(file.metadata()?.is_file().then(|| Arc::new(OsFile::new(file)) as Arc<dyn FileHandle>))
    }

    fn open_existing(&self, path: &Path) -> io::Result<Option<Arc<dyn FileHandle>>> {
        let file = match platform::existing_open_options().open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if is_foreign_file(path, &error) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(file.metadata()?.is_file().then(|| Arc::new(OsFile::new(file)) as Arc<dyn FileHandle>))
    }

    fn list_names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<DirEntry>| {
            entry.map(|entry| entry.file_name().into_string().ok()).transpose()
        };
        dir.read_dir()?.filter_map(name).collect()
    }

    fn list_files(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in dir.read_dir()? {
            let entry = entry?;
            // These are the facts of the entry itself: a symlink is not followed. The entry may be
            // gone by now.
            let Ok(metadata) = entry.metadata() else { continue };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match path.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        platform::fsync_dir(dir)
    }
}

/// Returns whether an existing name could not be opened because it is not a file of ours.
fn is_foreign_file(path: &Path, error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
        || path.symlink_metadata().is_ok_and(|there| !there.is_file())
}

/// A file that forked children close, so that only this process has its lock.
struct OsFile(PrivateFile);

impl OsFile {
    fn new(file: File) -> Self {
        Self(PrivateFile::new(file))
    }
}

impl Drop for OsFile {
    /// Unlocks explicitly, because a process that is just being started may have a copy of the
    /// file.
    fn drop(&mut self) {
        let _closed = self.0.unlock();
    }
}

impl Deref for OsFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl FileHandle for OsFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file: &File = self;
        file.write(bytes)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.metadata().map(|metadata| platform::stat_of_metadata(&metadata))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, from: u64, bytes: u64) -> io::Result<()> {
        reserve::reserve_disk_range(self, from, bytes)
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, _from: u64, _bytes: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn read_at(&self, offset: u64, piece: &mut [u8]) -> io::Result<()> {
        // Moving the position affects nothing else, because appends ignore it.
        let mut file: &File = self;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(piece)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match File::try_lock(self) {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn is_still_at(&self, path: &Path) -> bool {
        match (path.symlink_metadata(), self.metadata()) {
            (Ok(there), Ok(here)) => platform::is_same_file(&there, &here),
            (Err(error), _) => {
                !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
            }
            (_, Err(_)) => true,
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }
}

#[cfg(unix)]
mod platform {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io::{self, ErrorKind};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    use super::Stat;

    pub(super) fn log_dir_builder() -> DirBuilder {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder
    }

    pub(super) fn log_open_options(mode: u32) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).append(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
        options
    }

    /// Returns options that do not block if a FIFO is in the place of the file.
    pub(super) fn existing_open_options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        options
    }

    pub(super) fn stat_of_metadata(metadata: &Metadata) -> Stat {
        Stat {
            len: metadata.len(),
            is_linked: metadata.nlink() > 0,
            mode: metadata.mode() & 0o7777,
        }
    }

    /// Sets the mode that was asked for, whatever the umask removed at creation.
    pub(super) fn set_file_mode(file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode))
    }

    pub(super) fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }

    pub(super) fn fsync_dir(dir: &Path) -> io::Result<()> {
        use ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
        match File::open(dir).and_then(|dir| dir.sync_all()) {
            Err(e) if matches!(e.kind(), InvalidInput | PermissionDenied | Unsupported) => Ok(()),
            synced => synced,
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs::{DirBuilder, File, Metadata, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::Stat;

    pub(super) fn log_dir_builder() -> DirBuilder {
        DirBuilder::new()
    }

    pub(super) fn existing_open_options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true);
        options
    }

    pub(super) fn stat_of_metadata(metadata: &Metadata) -> Stat {
        Stat { len: metadata.len(), is_linked: true, mode: 0o600 }
    }

    pub(super) fn log_open_options(_mode: u32) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        options
    }

    pub(super) fn set_file_mode(_: &File, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    /// Returns whether there is a file at the path. This platform cannot tell if it is the same
    /// one.
    pub(super) fn is_same_file(there: &Metadata, _: &Metadata) -> bool {
        there.is_file()
    }

    pub(super) fn fsync_dir(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn modes_are_those_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        OsFs.create_dir(&dir).unwrap();
        OsFs.create_dir(&dir).unwrap();
        assert_eq!((mode_of(&root.path().join("a")), mode_of(&dir)), (0o700, 0o700));
        for mode in [0o600, 0o640, 0o666] {
            let path = dir.join(format!("{mode:o}"));
            OsFs.open_log(&path, mode).unwrap().unwrap();
            assert_eq!(mode_of(&path), mode);
            OsFs.open_log(&path, 0o644).unwrap().unwrap();
            assert_eq!(mode_of(&path), mode, "an existing file keeps its mode");
        }
        OsFs.sync_dir(&dir).unwrap();
    }

    #[test]
    fn names_that_are_not_log_files_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("target"), "theirs").unwrap();
        symlink(at("target"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["link", "dangling", "folder"] {
            assert!(OsFs.open_log(&at(name), 0o600).unwrap().is_none(), "{name}");
            assert!(OsFs.exists(&at(name)).unwrap(), "{name}");
        }
        assert!(!OsFs.exists(&at("nowhere")).unwrap());
        let missing = OsFs.open_log(&at("missing/log"), 0o600);
        assert_eq!(missing.err().unwrap().kind(), ErrorKind::NotFound);
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "theirs");
    }

    #[test]
    fn a_log_file_is_appended_to_locked_and_known_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("log");
        let first = OsFs.open_log(&path, 0o600).unwrap().unwrap();
        let second = OsFs.open_log(&path, 0o600).unwrap().unwrap();
        assert!(first.try_lock().unwrap());
        assert!(!second.try_lock().unwrap());
        assert_eq!(first.append(b"one\n").unwrap(), 4);
        let mut piece = [0; 2];
        first.read_at(1, &mut piece).unwrap();
        assert_eq!(first.append(b"two").unwrap(), 3);
        assert_eq!((&piece, first.stat().unwrap().len), (b"ne", 7));
        first.truncate(4).unwrap();
        assert_eq!(first.append(b"2\n").unwrap(), 2);
        first.sync_data().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\n2\n");
        drop(first);
        assert!(second.try_lock().unwrap());
        drop(second);

        // A copy in a process that is just being started does not keep the lock.
        let first = OsFile::new(File::options().append(true).open(&path).unwrap());
        let _copy = first.try_clone().unwrap();
        let second = OsFs.open_log(&path, 0o600).unwrap().unwrap();
        assert!(FileHandle::try_lock(&first).unwrap() && !second.try_lock().unwrap());
        drop(first);
        assert!(second.try_lock().unwrap());

        assert!(second.is_still_at(&path));
        fs::rename(&path, root.path().join("moved")).unwrap();
        assert!(!second.is_still_at(&path));
        fs::write(&path, "another").unwrap();
        assert!(!second.is_still_at(&path));
        assert!(!second.is_still_at(&path.join("below a file")));
    }
}
