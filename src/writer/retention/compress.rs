//! Compresses closed log files, so that a power cut at any point leaves one whole copy.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Listed, PIECE_BYTES, Pass, Pieces, Retention};
use crate::writer::files::whole_lines_len;
use crate::writer::fs::FileHandle;
use llm_audit_log::{compressed_path, with_suffix, zst};

/// The suffix of a compressed file that is not finished.
pub(super) const UNFINISHED: &str = ".tmp";

impl Pass<'_> {
    /// Replaces a plain file that no process holds by a compressed one.
    ///
    /// The original is removed last. It is removed only if the compressed file, read back under its
    /// final name, contains all whole lines. A power cut at any point therefore leaves one of them
    /// whole. If both exist, readers take the longer one.
    pub(super) fn compress(&self, file: &Listed) -> io::Result<()> {
        let Retention { fs, compress, .. } = self.rules;
        if !compress || file.name.is_compressed || file.bytes == 0 {
            return Ok(());
        }
        let target = compressed_path(&file.path);
        if fs.exists(&target)? {
            return Ok(());
        }
        let Some(original) = self.rules.claim(&file.path)? else { return Ok(()) };
        let unfinished = with_suffix(&target, UNFINISHED);
        let _held = self.write_compressed(&*original, &unfinished).inspect_err(|_| {
            let _kept = self.remove(&unfinished);
        })?;
        fs.rename(&unfinished, &target)?;
        drop(original);
        self.remove_copied(&file.path, &target)
    }

    /// Removes a plain file that no process holds, if its copy has all its whole lines.
    pub(super) fn remove_copied(&self, path: &Path, copy: &Path) -> io::Result<()> {
        let Retention { fs, dir, .. } = self.rules;
        let Some(original) = self.rules.claim(path)? else { return Ok(()) };
        let Some(copy) = fs.open_existing(copy)? else { return Ok(()) };
        if begins_with(zst::reader(self.pieces(&*copy)?)?, self.lines(&*original)?)? {
            // The copy's name must be durable first, even if a killed process made it.
            fs.sync_dir(dir)?;
            fs.remove(path)?;
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
        if !copy.try_lock()? || !copy.is_at(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        copy.truncate(0)?;
        let mut lines = self.lines(original)?;
        let bytes = lines.len;
        zst::compress(&mut lines, bytes, &mut Appended(&*copy))?;
        copy.sync_data()?;
        Ok(copy)
    }

    /// Returns a reader of the whole lines. A torn line of a killed process does not count.
    fn lines<'f>(&'f self, file: &'f dyn FileHandle) -> io::Result<Pieces<'f>> {
        let pieces = self.pieces(file)?;
        Ok(Pieces { len: whole_lines_len(file, pieces.len)?, ..pieces })
    }
}

/// Returns whether `whole` begins with all bytes of `start`.
fn begins_with(whole: impl Read, start: impl Read) -> io::Result<bool> {
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
struct Appended<'f>(&'f dyn FileHandle);

impl Write for Appended<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
