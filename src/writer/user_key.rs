//! The key of the hashes that replace personal ids of users, in the folder of the log.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::fs::{FileHandle, Fs};
use crate::user_names::{KEY_BYTES_MIN, UserKey};

/// The name of the file.
const FILE: &str = ".key";
/// The digits of a new key, and what is read of one that somebody else has put there.
const DIGITS: usize = 64;
const BYTES_MAX: u64 = 4_096;
/// How often it looks whether another process has written the key that it is about to write: for ten seconds.
const LOOKS_MAX: u32 = 2_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Returns the key of a folder, and makes one if there is none. If that is not possible, or the file belongs to
/// somebody else, the key is one of this process alone.
pub(crate) fn user_key_of_folder(fs: &dyn Fs, dir: &Path) -> UserKey {
    // If the folder cannot be made, that is reported when its first file is opened.
    let _ = fs.create_dir(dir);
    let file = fs.open_log(&dir.join(FILE), 0o600).ok().flatten();
    let pause = || thread::sleep(LOOK_EVERY);
    file.and_then(|file| read_or_write(&*file, pause)).unwrap_or_else(UserKey::random)
}

/// Reads the key. If there is none, the one who gets the lock writes it, and the others wait for it.
fn read_or_write(file: &dyn FileHandle, mut pause: impl FnMut()) -> Option<UserKey> {
    for _ in 0..LOOKS_MAX {
        let length = file.stat().ok()?.len;
        if length >= KEY_BYTES_MIN as u64 {
            let mut key = vec![0; length.min(BYTES_MAX) as usize];
            file.read_at(0, &mut key).ok()?;
            return UserKey::new(key.trim_ascii_end());
        }
        // Whoever holds the lock writes the key. It may have done so since the look above.
        if file.try_lock().ok()? {
            if file.stat().ok()?.len == length {
                file.truncate(0).ok()?;
                file.append(new_key().as_bytes()).ok().filter(|written| *written == DIGITS)?;
                // Others may use it already. If it is lost after a crash, the next process makes another one.
                let _ = file.sync_data();
            }
            continue;
        }
        pause();
    }
    None
}

fn new_key() -> String {
    let mut key = String::with_capacity(DIGITS);
    for byte in UserKey::random().as_bytes() {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::fs::OsFs;
    use super::*;

    #[test]
    fn a_process_that_comes_second_waits_for_the_key_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let open = || OsFs.open_log(&path, 0o600).unwrap().unwrap();
        let (first, second) = (open(), open());
        assert!(first.try_lock().unwrap());
        let (mut looks, written) = (0, new_key());
        let key = read_or_write(&*second, || {
            looks += 1;
            if looks == LOOKS_MAX - 1 {
                first.append(written.as_bytes()).unwrap();
            }
        });
        assert_eq!(key.unwrap().as_bytes(), written.as_bytes());
        assert_eq!(user_key_of_folder(&OsFs, dir.path()).as_bytes(), written.as_bytes());
    }

    #[test]
    fn the_first_process_uses_the_key_that_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let key = user_key_of_folder(&OsFs, dir.path());
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), key.as_bytes());
    }
}
