//! A folder beside the files of a log that is for its owner alone: positions, states, locks.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder for its owner alone, with small files that are replaced as a whole.
#[derive(Clone, Debug)]
pub struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Creates the folder unless it is there, but not the folders above it.
    ///
    /// # Errors
    ///
    /// The folder cannot be created, or is something else, such as a link.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => path.parent().map_or(Ok(()), sync_names)?,
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) if fs::symlink_metadata(&path)?.is_dir() => {}
            Err(_) => {
                return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"));
            }
        }
        Ok(Self(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes a lock. It is held as long as the file is open. Returns `None` if somebody else holds it.
    ///
    /// # Errors
    ///
    /// The file of the lock cannot be opened, or the file system has no locks.
    pub fn lock(&self, name: &str) -> io::Result<Option<File>> {
        let file = open_to_write(&self.0.join(name), OpenOptions::new().write(true))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns whether a lock still is the one that others would take. It is not if its file was removed.
    pub fn is_held(&self, name: &str, lock: &File) -> bool {
        match (fs::symlink_metadata(self.0.join(name)), lock.metadata()) {
            (Ok(there), Ok(held)) => is_same_file(&there, &held),
            (Err(error), _) => error.kind() != io::ErrorKind::NotFound,
            (_, Err(_)) => true,
        }
    }

    /// Replaces a file as a whole. It is then on the disk. A power cut before leaves the old one or the new one.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        let mut file = open_to_write(&new, OpenOptions::new().write(true).truncate(true))?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&new, self.0.join(name))?;
        sync_names(&self.0)
    }

    /// Adds to the end of a file, and syncs it and its name. What cannot be added as a whole is taken back.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = open_to_write(&self.0.join(name), OpenOptions::new().append(true))?;
        let before = file.metadata()?.len();
        let sync_name = || if before == 0 { sync_names(&self.0) } else { Ok(()) };
        let added =
            file.write_all(bytes).and_then(|()| file.sync_data()).and_then(|()| sync_name());
        added.inspect_err(|_| {
            // A part would be in the way of what is added later. If that fails too, it stays.
            let _ = file.set_len(before);
        })
    }
}

/// Makes the names in a folder durable, if the file system can.
#[cfg(unix)]
fn sync_names(folder: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    // The folder of a relative path of one name.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(e) if matches!(e.kind(), InvalidInput | PermissionDenied | Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens a file for its owner alone. A link is refused.
fn open_to_write(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// This platform cannot tell them apart.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_and_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::create(dir.path().join(".ship")).unwrap();
        folder.replace("state", b"longer").unwrap();
        folder.replace("state", b"new").unwrap();
        folder.append("refused", b"one\n").unwrap();
        folder.append("refused", b"two\n").unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((read("state"), read("refused")), ("new".to_owned(), "one\ntwo\n".to_owned()));
    }

    #[test]
    fn one_at_a_time_holds_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::create(dir.path().join(".ship")).unwrap();
        let held = folder.lock("lock").unwrap();
        assert!(held.is_some() && folder.lock("lock").unwrap().is_none());
        drop(held);
        assert!(folder.lock("lock").unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_is_lost_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::create(dir.path().join(".ship")).unwrap();
        let held = folder.lock("lock").unwrap().unwrap();
        assert!(folder.is_held("lock", &held));
        fs::remove_file(folder.path().join("lock")).unwrap();
        assert!(!folder.is_held("lock", &held));
        let other = folder.lock("lock").unwrap().unwrap();
        assert!(!folder.is_held("lock", &held) && folder.is_held("lock", &other));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it_and_links_are_refused() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = PrivateFolder::create(dir.path().join(".ship")).unwrap();
        folder.replace("state", b"x").unwrap();
        assert_eq!((mode(folder.path()), mode(&folder.path().join("state"))), (0o700, 0o600));
        symlink(dir.path().join("other"), folder.path().join("refused")).unwrap();
        assert!(folder.append("refused", b"x").is_err() && !dir.path().join("other").exists());
        symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(PrivateFolder::create(dir.path().join("link")).is_err());
    }
}
