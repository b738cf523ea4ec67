//! Compresses closed log files, so that a power cut at any point leaves one whole copy.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::{ListedFile, PIECE_BYTES, PieceReader, Retention, RetentionPass};
use crate::writer::files::whole_lines_len_of_file;
use crate::writer::fs::FileHandle;
use llm_audit_log::{compressed_path, with_suffix, zst};

/// The suffix of a compressed file that is not finished.
pub(super) const UNFINISHED: &str = ".tmp";

impl RetentionPass<'_> {
    /// Replaces a plain file that no process holds by a compressed one.
    ///
    /// The original is removed last. It is removed only if the compressed file, read back under its
    /// final name, contains all whole lines. A power cut at any point therefore leaves one of them
    /// whole. If both exist, readers take the longer one.
    pub(super) fn compress_file(&self, file: &ListedFile) -> io::Result<()> {
        let Retention { fs, compress, .. } = self.rules;
        if !compress || file.name.is_compressed || file.bytes == 0 {
            return Ok(());
        }
        let target = compressed_path(&file.path);
        if fs.exists(&target)? {
            return Ok(());
        }
        let Some(original) = self.rules.open_and_lock(&file.path)? else { return Ok(()) };
        let unfinished = with_suffix(&target, UNFINISHED);
        let _held = self.write_compressed(&*original, &unfinished).inspect_err(|_| {
            let _kept = self.remove_if_unlocked(&unfinished);
        })?;
        fs.rename(&unfinished, &target)?;
        drop(original);
        self.remove_if_copied(&file.path, &target)
    }

    /// Removes a plain file that no process holds, if its copy has all its whole lines.
    pub(super) fn remove_if_copied(&self, path: &Path, copy: &Path) -> io::Result<()> {
        let Retention { fs, dir, .. } = self.rules;
        let Some(original) = self.rules.open_and_lock(path)? else { return Ok(()) };
        let Some(copy) = fs.open_existing(copy)? else { return Ok(()) };
        if reader_begins_with(
            zst::reader(self.read_in_pieces(&*copy)?)?,
            self.read_whole_lines(&*original)?,
        )? {
            // The copy's name must be durable first, even if a killed process made it.
            fs.sync_dir(dir)?;
            fs.remove(path)?;
            self.remove_index(path);
            fs.sync_dir(dir)?;
        }
        Ok(())
    }

    /// Writes the lines of `original` to another name, compressed and durable. Returns the new file
    /// with its lock, so that no process treats it as a leftover.
    fn write_compressed(
        &self,
        original: &dyn FileHandle,
        to: &Path,
    ) -> io::Result<Arc<dyn FileHandle>> {
        let stat = original.stat()?;
        let copy = self.rules.fs.open_log(to, stat.mode)?.ok_or(ErrorKind::AlreadyExists)?;
        if !copy.try_lock()? || !copy.is_still_at(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        copy.truncate(0)?;
        let mut lines = self.read_whole_lines(original)?;
        let bytes = lines.len;
        zst::compress(&mut lines, bytes, &mut FileAppender(&*copy))?;
        copy.sync_data()?;
        Ok(copy)
    }

    /// Returns a reader of the whole lines. A torn line of a killed process does not count.
    fn read_whole_lines<'f>(&'f self, file: &'f dyn FileHandle) -> io::Result<PieceReader<'f>> {
        let pieces = self.read_in_pieces(file)?;
        Ok(PieceReader { len: whole_lines_len_of_file(file, pieces.len)?, ..pieces })
    }
}

/// Returns whether `whole` begins with all bytes of `start`.
fn reader_begins_with(whole: impl Read, start: impl Read) -> io::Result<bool> {
    let (mut whole, mut start) = (BufReader::with_capacity(PIECE_BYTES, whole), start);
    let (mut there, mut here) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = match start.read(&mut here)? {
            0 => return Ok(true),
            read => read,
        };
        match whole.read_exact(&mut there[..read]) {
            Ok(()) if there[..read] == here[..read] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Writes to the end of a file.
struct FileAppender<'f>(&'f dyn FileHandle);

impl Write for FileAppender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
