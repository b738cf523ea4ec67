//! A check that a log is complete: its lines by the schema, its numbers by the losses it reports.

mod check;
mod ranges;
mod report;
mod tally;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::Path;

use crate::error::Error;
use crate::folder::{CHUNK_BYTES, ChunkEnd, Ending, Entry, Folder, Lines, LogFile, for_each_chunk};
use check::{LogCheck, ReadEntry};
pub use report::{Finding, Instance, State, Verification};
use tally::InstanceTally;

/// How often a folder is read from which files go away meanwhile.
const TRIES_MAX: u32 = 5;

/// Checks the log files of a folder.
///
/// Memory grows with the number of instances and of gaps in their numbers, not with the lines.
///
/// - The numbers of an instance begin at 1 if its first `audit.start` is there, or if no logger of
///   the folder has retention. Otherwise they begin at the first number that its lines hold or
///   report, since retention may have removed the lines before.
/// - They end at the last number of its `audit.stop`, if there is one.
/// - Numbers that an `audit.retired` line names went with a file that retention removed. They are
///   not a gap.
/// - A damaged file is a finding, and so is one that cannot be read, and a file that retention removed
///   without reading it.
///
/// If a file is removed while the folder is read, the folder is read again.
///
/// # Errors
///
/// The folder cannot be read, or none of its files. A file is compressed by a feature that is not built in.
pub fn verify(dir: impl AsRef<Path>) -> Result<Verification, Error> {
    verify_with(dir, |_, _| {})
}

/// Checks the log files of a folder as [`verify`] does. From time to time `progress` gets the bytes
/// that are read and the bytes of all files.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_with(
    dir: impl AsRef<Path>,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Verification, Error> {
    verify_folder(&Folder::open(dir.as_ref())?, None, progress)
}

/// Checks the files of a folder or a list of files as [`verify_with`] does.
///
/// With a `service` only the instances of that service are checked, and lines that cannot be read. A
/// line whose instance has no `audit.start` before it is not of the service.
///
/// The writer of a log file holds its lock. Nobody holds one of a pipe or of a file that a shell made.
/// There a logger without `audit.stop` counts as killed, unless the file is still growing.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_folder(
    folder: &Folder,
    service: Option<&str>,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Verification, Error> {
    let mut tries_left = TRIES_MAX;
    let mut folder = folder.clone();
    loop {
        tries_left -= 1;
        let walk = check_folder(&folder, service, &mut progress);
        // Retention removed a file meanwhile, and a line at the end reports it.
        if walk.misses_file && tries_left > 0 && folder_lost_a_file(&folder) {
            folder = folder.reopen()?;
            continue;
        }
        let check = walk.check;
        if let Some(error) = walk.error.filter(|error| check.report.lines == 0 || is_feature(error))
        {
            return Err(error);
        }
        let ends =
            check.tallies.iter().map(|tally| instance_state(tally, &check, &folder)).collect();
        return Ok(check.into_report(ends));
    }
}

/// Reads the files of a folder as it was listed.
fn check_folder<'p, P: FnMut(u64, u64) + Send>(
    folder: &Folder,
    service: Option<&str>,
    progress: &'p mut P,
) -> VerifyWalk<&'p mut P> {
    let mut walk = VerifyWalk {
        check: LogCheck::of_service(service),
        number: 0,
        error: None,
        misses_file: false,
        progress,
        bytes: 0,
    };
    walk.check.report.bytes = folder.bytes();
    for_each_chunk(folder.files(), None, CHUNK_BYTES, &mut walk, |chunk, turn| {
        let (file, file_at, bytes) =
            (chunk.file, chunk.file_at, chunk.range.end - chunk.range.start);
        let end = chunk.take_end();
        // A line that a living writer is writing is not torn.
        let is_torn = |entry: &Entry<'_>| entry.ending == Ending::Torn && file.is_in_use();
        let entries = chunk.entries().filter(|entry| !is_torn(entry));
        let read: Vec<_> = entries.map(ReadEntry::of).collect();
        turn.take(|walk| walk.add_chunk(&read, file, file_at, end, bytes));
    });
    walk
}

/// The files of a folder, gone through in their order.
struct VerifyWalk<P> {
    check: LogCheck,
    /// Lines of the current file so far.
    number: u64,
    /// Why a file cannot be opened.
    error: Option<Error>,
    /// A file is not there any more.
    misses_file: bool,
    progress: P,
    bytes: u64,
}

impl<P: FnMut(u64, u64)> VerifyWalk<P> {
    fn add_chunk(
        &mut self,
        read: &[ReadEntry<'_>],
        file: &LogFile,
        file_at: usize,
        end: ChunkEnd,
        bytes: u64,
    ) {
        if self.check.last_writer.len() == file_at {
            self.check.begin_file();
            self.number = 0;
        }
        for entry in read {
            self.number += 1;
            self.check.check_entry(entry, (file.name(), self.number));
        }
        if let ChunkEnd::Failure(error) = end {
            let what = format!("{error}; what follows is not checked");
            let place = (file.name(), self.number + 1);
            self.check.report.add_finding(Some(place), None, what);
            self.misses_file |= error.io_kind() == Some(ErrorKind::NotFound);
            if is_access(&error) && !self.error.as_ref().is_some_and(is_feature) {
                self.error = Some(error);
            }
        }
        self.bytes += bytes;
        (self.progress)(self.bytes, self.check.report.bytes);
    }
}

/// Whether a file cannot even be opened. Its content may be well.
fn is_access(error: &Error) -> bool {
    let kinds = [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::IsADirectory];
    is_feature(error) || error.io_kind().is_some_and(|kind| kinds.contains(&kind))
}

/// Whether this build cannot read a file that may be well.
fn is_feature(error: &Error) -> bool {
    error.io_kind() == Some(ErrorKind::Unsupported)
}

/// Whether a file is gone, under both of its names.
fn folder_lost_a_file(folder: &Folder) -> bool {
    folder.reopen().is_ok_and(|now| {
        let is_there = |name| now.files().iter().any(|file| file.plain_name() == name);
        !folder.files().iter().all(|file| is_there(file.plain_name()))
    })
}

/// How the instance of `tally` ended.
fn instance_state(tally: &InstanceTally, check: &LogCheck, folder: &Folder) -> State {
    if tally.stop.is_some() {
        return State::Closed;
    }
    let last = &folder.files()[tally.last_file];
    let holds = check.last_writer[tally.last_file].as_deref() == Some(&tally.id);
    if (holds && last.is_in_use()) || instance_began_new_file(folder, &tally.id) {
        State::Open
    } else {
        State::Killed
    }
}

/// Whether the instance has begun a new file since the folder was listed.
fn instance_began_new_file(folder: &Folder, id: &str) -> bool {
    let Ok(now) = folder.reopen() else { return false };
    now.files()
        .iter()
        .filter(|file| folder.files().iter().all(|old| old.plain_name() != file.plain_name()))
        .any(|file| {
            let mut lines = Lines::of(std::slice::from_ref(file));
            let first = lines.next_line().ok().flatten();
            first.is_some_and(|mut entry| {
                entry.parse().is_ok_and(|line| line.instance() == Some(id))
            })
        })
}
