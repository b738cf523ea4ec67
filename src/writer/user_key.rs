//! The key of the hashes that replace personal ids of users, in the folder of the log.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;

use super::fs::{FileHandle, Fs};
use crate::user_names::{KEY_BYTES_MIN, UserKey};

/// The name of the file.
const FILE: &str = ".key";
/// The digits of a new key, and what is read of one that somebody else has put there.
const DIGITS: usize = 64;
const BYTES_MAX: u64 = 4_096;
/// How often it looks whether another process has written the key that it is about to write.
const LOOKS_MAX: u32 = 1_000;

/// Returns the key of a folder, and makes one if there is none. If that is not possible, or the file belongs to
/// somebody else, the key is one of this process alone.
pub(crate) fn user_key_of_folder(fs: &dyn Fs, dir: &Path) -> UserKey {
    // If the folder cannot be made, that is reported when its first file is opened.
    let _ = fs.create_dir(dir);
    let file = fs.open_log(&dir.join(FILE), 0o600).ok().flatten();
    file.and_then(|file| read_or_write(&*file)).unwrap_or_else(UserKey::random)
}

fn read_or_write(file: &dyn FileHandle) -> Option<UserKey> {
    for _ in 0..LOOKS_MAX {
        let length = file.stat().ok()?.len;
        if length >= KEY_BYTES_MIN as u64 {
            let mut key = vec![0; length.min(BYTES_MAX) as usize];
            file.read_at(0, &mut key).ok()?;
            return UserKey::new(key.trim_ascii_end());
        }
        // Whoever holds the lock writes the key. It may have done so since the look above.
        if file.try_lock().ok()? && file.stat().ok()?.len == length {
            file.truncate(0).ok()?;
            file.append(new_key().as_bytes()).ok().filter(|written| *written == DIGITS)?;
            file.sync_data().ok()?;
        }
        thread::yield_now();
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
