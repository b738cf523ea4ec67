//! The open log file: appends whole lines, and reserves room on the disk for the last ones.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::DurableFile;
use crate::writer::fs::Stat;

/// How often the writer checks whether the path is still the open file.
const LOST_CHECK_MICROS: u64 = 1_000_000;
/// Room kept past a file's end, so that a full disk can still be reported. Events never use it.
pub(super) const RESERVE_BYTES: u64 = 64 << 10;
/// Room is reserved in steps: the bytes of a batch, and this many past its end.
const RESERVE_STEP_BYTES: u64 = 1 << 20;
/// How often a batch is written again if someone else adds bytes at the same time.
const GLUED_MAX: u32 = 16;
/// The most bytes of another writer that are searched for a glued line.
pub(super) const ADDED_BYTES_MAX: u64 = 65_536;

/// How much of the reserve the lines may use if the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::writer) enum Urgency {
    /// Events, and what goes with them: nothing of the reserve.
    Events,
    /// An `audit.loss` line alone: half of the reserve.
    Loss,
    /// The last lines of the log: all of the reserve.
    Last,
}

impl Urgency {
    fn reserve_left(self) -> u64 {
        match self {
            Self::Events => RESERVE_BYTES,
            Self::Loss => RESERVE_BYTES / 2,
            Self::Last => 0,
        }
    }
}

/// The file that is written to, with its lock.
pub(super) struct OpenLogFile {
    pub(super) file: Arc<DurableFile>,
    /// Bytes of whole lines. After a write the file is never longer.
    pub(super) len: u64,
    /// Bytes of the start line, if the file was empty before. A file of this length counts as
    /// empty.
    pub(super) empty_len: u64,
    /// Whether the start line is written.
    pub(super) begun: bool,
    pub(super) unsynced: bool,
    pub(super) checked_micros: i64,
    /// The end of the reserved room.
    pub(super) reserved_to: u64,
    /// Becomes `false` if the file system cannot reserve room.
    pub(super) reserves: bool,
}

impl OpenLogFile {
    pub(super) fn write_lines(&mut self, bytes: &[u8], urgency: Urgency) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.reserve_room(bytes.len() as u64, urgency)?;
        self.append_whole(bytes)?;
        self.unsynced = true;
        self.repair_glued_write(bytes)
    }

    pub(super) fn append_whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        let taken = loop {
            match self.file.handle().append(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                taken => break taken?,
            }
        };
        if taken < bytes.len() {
            let why = format!("only {taken} of {} bytes were written", bytes.len());
            return Err(io::Error::new(ErrorKind::WriteZero, why));
        }
        self.len += taken as u64;
        Ok(())
    }

    /// Repairs a write that is glued to half a line of someone else.
    ///
    /// Someone else may have added half a line just before the write. What was written then follows
    /// it, and no reader can parse the line. In that case this removes the half line and writes
    /// again. A reader that follows the file sees it shrink for a moment.
    pub(super) fn repair_glued_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for _ in 0..GLUED_MAX {
            let Some((whole_len, behind)) = self.find_glued_write(bytes) else { return Ok(()) };
            if self.file.handle().truncate(whole_len).is_err() {
                return Ok(());
            }
            (self.len, self.reserved_to) = (whole_len, 0);
            self.append_whole(&[bytes, &behind].concat())?;
            // The next check of the file finds what follows, as it finds everything that others
            // add.
            self.len -= behind.len() as u64;
        }
        Ok(())
    }

    /// Returns the length of the whole lines before a glued write, and the bytes after it. Returns
    /// `None` if the write is not glued to half a line.
    fn find_glued_write(&self, bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
        let added = self.file.handle().stat().ok()?.len.checked_sub(self.len)?;
        if added == 0 || added > ADDED_BYTES_MAX {
            return None;
        }
        let from = self.len - bytes.len() as u64;
        let mut there = vec![0; bytes.len() + added as usize];
        self.file.handle().read_at(from, &mut there).ok()?;
        let at = memchr::memmem::find(&there, bytes)?;
        let whole = memchr::memrchr(b'\n', &there[..at]).map_or(0, |end| end + 1);
        (whole < at).then(|| (from + whole as u64, there.split_off(at + bytes.len())))
    }

    /// Reserves room, so that a write of so many bytes leaves what it must of the reserve. Fails if
    /// the disk is too full for that. If the room is unknown, the write itself fails or succeeds.
    fn reserve_room(&mut self, bytes: u64, urgency: Urgency) -> io::Result<()> {
        if !self.reserves || self.len + bytes + urgency.reserve_left() <= self.reserved_to {
            return Ok(());
        }
        for ahead in [RESERVE_STEP_BYTES, RESERVE_BYTES] {
            match self.file.handle().reserve(self.len, bytes + ahead) {
                Ok(()) => {
                    self.reserved_to = self.len + bytes + ahead;
                    return Ok(());
                }
                Err(error) if is_disk_full(&error) && ahead > RESERVE_BYTES => {}
                Err(error) if is_disk_full(&error) && urgency != Urgency::Last => {
                    return Err(error);
                }
                Err(error) => {
                    let never = [ErrorKind::Unsupported, ErrorKind::InvalidInput];
                    self.reserves = !never.contains(&error.kind());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Releases what is left of the reserve. If that fails now, it happens when the file is
    /// compressed or removed.
    pub(super) fn release_reserve(&self) {
        if self.reserved_to > self.len {
            let _kept =
                self.file.handle().stat().and_then(|stat| self.file.handle().truncate(stat.len));
        }
    }

    /// Cuts off what a failed write left.
    pub(super) fn cut_failed_write(&mut self) -> io::Result<()> {
        let Stat { len: found_len, .. } = self.file.handle().stat()?;
        if found_len < self.len {
            // Someone else cut it. Setting its length back would fill it with zeros.
            return Err(io::Error::other("the file is shorter than what was written"));
        }
        if found_len > self.len {
            self.file.handle().truncate(self.len)?;
            self.reserved_to = 0;
        }
        Ok(())
    }

    /// Returns whether the path is no longer this file. It looks at most once a second.
    pub(super) fn is_moved(&mut self, path: &Path, now_micros: i64) -> bool {
        if now_micros.abs_diff(self.checked_micros) < LOST_CHECK_MICROS {
            return false;
        }
        self.checked_micros = now_micros;
        !self.file.handle().is_still_at(path)
    }
}

/// Returns whether the disk or this user's quota is full.
fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
