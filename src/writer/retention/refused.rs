//! Removes lines that destinations refused, which shippers keep in `.ship/refused/`.

use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::RetentionPass;
use super::retire::file_name_of_path;
use llm_audit_log::schema::notices::Retired;
use llm_audit_log::{REFUSED_FOLDER, SHIP_FOLDER, refused_file_day};

/// A file of refused lines.
struct RefusedFile {
    day: Date,
    path: PathBuf,
    bytes: u64,
}

impl RetentionPass<'_> {
    /// Removes refused lines of days before `oldest`.
    pub(super) fn retire_old_refused_lines(&self, oldest: Date) {
        let files = self.list_refused_files();
        for file in files.iter().filter(|file| file.day < oldest) {
            self.retire_refused_file(file, "AUDIT_RETENTION_DAYS");
        }
    }

    /// Removes the oldest refused lines until the others have at most this many bytes. Returns how many they have.
    ///
    /// Those of today stay, because a shipper may add to them now.
    pub(super) fn retire_refused_lines(&self, bytes: u64, today: Date) -> u64 {
        let files = self.list_refused_files();
        let mut total = files.iter().map(|file| file.bytes).sum();
        for file in files.iter().filter(|file| file.day < today) {
            if total > bytes && self.retire_refused_file(file, "AUDIT_MAX_TOTAL_BYTES") {
                total -= file.bytes;
            }
        }
        total
    }

    /// Returns the files of refused lines, oldest first. There are none if they cannot be listed.
    fn list_refused_files(&self) -> Vec<RefusedFile> {
        let ship = self.rules.dir.join(SHIP_FOLDER);
        let folder = ship.join(REFUSED_FOLDER);
        // A link may lead to files of others.
        if !self.rules.fs.is_folder(&ship) || !self.rules.fs.is_folder(&folder) {
            return Vec::new();
        }
        let listed = self.rules.fs.list_files(&folder).unwrap_or_default();
        let file = |(name, bytes): (String, u64)| {
            Some(RefusedFile { day: refused_file_day(&name)?, path: folder.join(name), bytes })
        };
        let mut files: Vec<_> = listed.into_iter().filter_map(file).collect();
        files.sort_by(|one, other| (one.day, &one.path).cmp(&(other.day, &other.path)));
        files
    }

    /// Removes a file and reports it. Returns `false` if it stays.
    fn retire_refused_file(&self, file: &RefusedFile, why: &'static str) -> bool {
        let name = file_name_of_path(&file.path);
        let retired = Retired {
            file: format!("{SHIP_FOLDER}/{REFUSED_FOLDER}/{name}"),
            bytes: file.bytes,
            why: why.into(),
            // The log has the numbers, or other lines say how they went.
            instances: Some(Vec::new()),
            unshipped: Default::default(),
        };
        let is_removed = (self.retire)(&mut || {
            self.rules.fs.remove(&file.path)?;
            Ok(retired.clone())
        });
        // A failure with one file does not affect the others.
        let is_removed = is_removed.unwrap_or(false);
        if is_removed {
            let _kept = self.rules.fs.sync_dir(file.path.parent().unwrap_or(Path::new("")));
        }
        is_removed
    }
}
