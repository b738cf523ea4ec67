//! Repairs log files that a killed process left with a torn last line.

use std::io;
use std::path::Path;

use super::LogFiles;
use crate::writer::fs::{FileHandle, Stat};
use llm_audit_log::{FileName, compressed_path, lines_end};

impl LogFiles {
    /// Cuts off the torn tails that killed processes left in the folder, as far as possible. Those
    /// files need not be the one that is continued.
    pub(super) fn cut_torn_tails(&mut self) {
        for name in self.fs.list_names(&self.options.dir).unwrap_or_default() {
            let path = self.options.dir.join(&name);
            // A compressed file is complete without its original.
            let is_plain = FileName::parse(&name).is_some_and(|name| !name.is_compressed)
                && !self.fs.exists(&compressed_path(&path)).unwrap_or(true);
            if is_plain {
                // If one stays torn, `verify` reports it.
                let _left = self.cut_torn_tail_at(&path);
            }
        }
    }

    fn cut_torn_tail_at(&mut self, path: &Path) -> io::Result<()> {
        let is_torn = |file: &dyn FileHandle| {
            let Stat { len, .. } = file.stat()?;
            let mut last = [b'\n'];
            if len > 0 {
                file.read_at(len - 1, &mut last)?;
            }
            Ok::<_, io::Error>((last != *b"\n").then_some(len))
        };
        // The file is read first, so that a whole one is not opened for writing.
        let Some(file) = self.fs.open_existing(path)? else { return Ok(()) };
        if is_torn(&*file)?.is_none() {
            return Ok(());
        }
        let Some(file) = self.fs.open_log(path, self.options.file_mode)? else { return Ok(()) };
        if !file.try_lock()? || !file.is_still_at(path) {
            return Ok(());
        }
        match is_torn(&*file)? {
            Some(len) => self.cut_torn_tail(&*file, len).map(drop),
            // It was removed in between, and the opening made it again.
            None if file.stat()?.len == 0 => self.fs.remove(path),
            None => Ok(()),
        }
    }

    /// Cuts off what follows the last whole line, and adds its bytes to the next start line.
    /// Returns the length.
    pub(super) fn cut_torn_tail(
        &mut self,
        file: &dyn FileHandle,
        found_len: u64,
    ) -> io::Result<u64> {
        let len = whole_lines_len_of_file(file, found_len)?;
        if len < found_len {
            file.truncate(len)?;
            self.torn_bytes += found_len - len;
        }
        Ok(len)
    }
}

/// Returns the length of a file up to its last `\n`, included.
pub(in crate::writer) fn whole_lines_len_of_file(
    file: &dyn FileHandle,
    len: u64,
) -> io::Result<u64> {
    lines_end(len, |offset, piece| file.read_at(offset, piece))
}
