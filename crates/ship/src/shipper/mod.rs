//! Sends the lines of a log folder to a destination, each at least once.

mod backoff;
mod batch;
mod destination;
mod error;
mod lag;
mod name;
mod origins;
mod refused;
mod run;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use llm_audit_log::{Ending, Entry, Folder, Follow, Lines, PrivateFolder, SHIP_FOLDER, parse};

use backoff::Backoff;
use batch::{BUFFER_BYTES_KEPT, Batch, Shipment};
pub use destination::{BatchLimits, Destination, LineSource, Rejected, SendError, Shipped};
pub use error::Error;
pub use lag::Lag;
pub use name::destination_name;
#[cfg(feature = "otlp")]
pub(crate) use name::name_hash;
pub use origins::Origin;
use refused::Refused;
pub use run::{AnyShipper, Driver, Waiting, run};
use state::{ShipState, StateFile};
pub use status::{DestinationStatus, destinations};
pub use trouble::Trouble;

/// How many files that cannot be read end the reading of a batch.
const FILE_ERRORS_MAX: usize = 16;
/// How much of the log before its position a destination is shown at the start.
const RECALLED_BYTES_MAX: u64 = 4 << 20;

/// Sends the lines of a log folder to a destination, each at least once.
///
/// The position is in the folder `.ship` of the log. It moves only when the destination has acknowledged a batch, so a
/// destination that is down costs delay and no events. A batch can arrive twice if its acknowledgement is lost, or if
/// the process ends before it has kept the position. Both copies have the same `instance` and `seq`, or `notice`.
///
/// A file that was cut or replaced is read again. Lines whose number is not above that of the last line of their logger
/// that was sent are skipped. Others are sent again: those without a number, and those of a logger that is not among
/// the last 256. So are all lines of a file that was away when the folder was read, and came back.
///
/// A line is refused for good only if the destination accepts others after it first did not take it. A destination that
/// refuses everything, or fails with everything, is waited for. The last line of a quiet log so waits for the next one.
///
/// Its memory is that of one batch, whose size the destination limits: with OTLP some 20 MB. While everything is
/// refused it is that of two. A line of up to 64 MiB is sent too, and takes up to six times its length.
///
/// It has no thread: somebody calls [`ship`](Self::ship) again and again.
#[derive(Debug)]
pub struct Shipper<D: Destination> {
    dir: PathBuf,
    file: StateFile,
    state: ShipState,
    refused: Refused,
    follow: Follow,
    destination: D,
    /// What was read and not acknowledged.
    batch: Batch<D::Item>,
    last_refusal: Option<String>,
    /// How long to wait. It begins anew when the destination accepts something.
    backoff: Backoff,
    /// Whether the position is on the disk.
    is_saved: bool,
    /// A line as it is parsed.
    parsed: Vec<u8>,
}

/// What [`Shipper::ship`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// So many lines were acknowledged or refused.
    Sent(usize),
    /// Nothing is new.
    UpToDate,
    /// `wait` returned `false` while the destination could not take a batch. The next call tries again.
    Interrupted,
}

impl<D: Destination> Shipper<D> {
    /// Opens the position of a destination, or begins with the first line of the log. Returns `None` if somebody else
    /// ships this log to the destination.
    ///
    /// # Errors
    ///
    /// The position cannot be read or locked.
    pub fn open(dir: impl Into<PathBuf>, destination: D) -> Result<Option<Self>, Error> {
        let dir = dir.into();
        let path = dir.join(SHIP_FOLDER);
        let folder = PrivateFolder::create(&path).map_err(|error| Error::io(&path, error))?;
        let Some(file) = StateFile::lock(&folder, destination.name())? else { return Ok(None) };
        let state = file.read_or_begin()?;
        let refused = Refused::of(&folder, destination.name());
        let follow = Follow::resume(&dir, state.positions.iter().cloned());
        let mut shipper = Self {
            dir,
            file,
            state,
            refused,
            follow,
            destination,
            batch: Batch::default(),
            last_refusal: None,
            backoff: Backoff::default(),
            is_saved: true,
            parsed: Vec::new(),
        };
        shipper.recall();
        Ok(Some(shipper))
    }

    /// Reads the next batch, and sends it until the destination has it. Between two attempts it calls `wait` with the
    /// pause and the reason; if that returns `false`, the batch is left for the next call.
    ///
    /// # Errors
    ///
    /// A file of the log cannot be read, or the position or refused lines cannot be kept. The next call goes on.
    pub fn ship(
        &mut self,
        mut wait: impl FnMut(Duration, &str) -> bool,
    ) -> Result<Progress, Error> {
        self.hold()?;
        let read = if self.batch.len() == 0 { self.read_batch() } else { Ok(()) };
        while let Some(shipment) = self.batch.next_shipment() {
            if !self.send(&shipment, &mut wait)? {
                return Ok(Progress::Interrupted);
            }
        }
        let lines = self.batch.len();
        self.keep_position()?;
        read.map(|()| if lines == 0 { Progress::UpToDate } else { Progress::Sent(lines) })
    }

    /// How far the destination is behind the log, at `now` in microseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed.
    pub fn lag(&self, now: i64) -> Result<Lag, Error> {
        Lag::of(&self.dir, &self.state, now)
    }

    /// Lines that were sent since the position was begun, with those that were refused.
    ///
    /// It counts the lines that the destination makes something of, each one once: also over restarts, and if its
    /// batch was sent more than once. Together with [`lost`](Self::lost) these are all that the log has had for it.
    pub fn sent(&self) -> u64 {
        self.state.sent
    }

    /// Lines that the destination has refused for good. They are in the folder `.ship/refused` of the log.
    pub fn refused(&self) -> u64 {
        self.state.refused
    }

    /// Events that retention removed before they were sent, as the `audit.retired` lines that were read report. An event
    /// that was just being sent is counted although it may have arrived.
    pub fn lost(&self) -> u64 {
        self.state.lost
    }

    /// Files that retention removed without knowing how many of their events were sent. If there are any, at least
    /// [`lost`](Self::lost) events are lost.
    pub fn lost_files(&self) -> u64 {
        self.state.lost_files
    }

    /// What the destination said when it refused lines last, since the last call.
    pub fn take_refusal(&mut self) -> Option<String> {
        self.last_refusal.take()
    }

    /// The destination.
    pub fn destination(&self) -> &D {
        &self.destination
    }

    /// Shows the destination the last lines before the position. What cannot be read is left out: the position says
    /// whether it still fits.
    fn recall(&mut self) {
        let Ok(folder) = Folder::open(&self.dir) else { return };
        let offsets: HashMap<_, _> =
            self.state.positions.iter().map(|at| (&*at.file, at.offset)).collect();
        let (mut parts, mut left) = (Vec::new(), RECALLED_BYTES_MAX);
        for file in folder.files().iter().rev() {
            let end = offsets.get(file.plain_name()).copied().unwrap_or(0);
            let start = end.saturating_sub(left);
            left -= end - start;
            parts.push((file, start..end));
        }
        for (file, part) in parts.into_iter().rev().filter(|(_, part)| !part.is_empty()) {
            let mut lines = Lines::of_part(file, part);
            while let Ok(Some(mut entry)) = lines.next_line() {
                if let Ok(line) = entry.parse() {
                    self.destination.recall(&line, self.state.origins.of(&line));
                }
            }
        }
    }

    /// Fills the batch.
    fn read_batch(&mut self) -> Result<(), Error> {
        let limits = self.destination.limits();
        let (mut errors, mut first_error) = (Vec::new(), Ok(()));
        while !self.batch.is_full(&limits) && errors.len() < FILE_ERRORS_MAX {
            match self.follow.next_line() {
                // A line that is too long to be held is not one of a logger. `verify` names it.
                Ok(Some(entry)) if entry.ending == Ending::Newline => {
                    self.parsed.clear();
                    self.parsed.shrink_to(BUFFER_BYTES_KEPT);
                    self.parsed.extend_from_slice(entry.bytes);
                    // Lines that are not JSON objects are not sent; `verify` names them.
                    let Ok(line) = parse(&mut self.parsed) else { continue };
                    if entry.may_repeat && self.state.origins.has_sent(&line) {
                        self.destination.recall(&line, self.state.origins.of(&line));
                        continue;
                    }
                    self.state.note_lost(&line, self.destination.name());
                    let origin = self.state.origins.note(&line);
                    let Entry { file, offset, .. } = entry;
                    let source = LineSource { bytes: entry.bytes, file, offset, origin };
                    if let Some((part, item)) = self.destination.item(&line, &source) {
                        self.batch.add(part, item, line.timestamp(), source.bytes);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                // The file that cannot be read comes again with each list of the folder.
                Err(error) if errors.iter().any(|known: &String| *known == error.to_string()) => {
                    break;
                }
                Err(error) => {
                    errors.push(error.to_string());
                    first_error = first_error.and(Err(error.into()));
                }
            }
        }
        // Its lines say that they may repeat.
        self.follow.take_truncated();
        let mut positions: Vec<_> = self.follow.positions().cloned().collect();
        positions.sort_by(|one, other| one.file.cmp(&other.file));
        self.batch.close(positions, |items| self.destination.arrange(items));
        first_error
    }

    /// Sends a shipment until the destination has acknowledged or refused it, or until it is split or put last.
    /// Returns `false` if `wait` does.
    fn send(
        &mut self,
        shipment: &Shipment,
        wait: &mut impl FnMut(Duration, &str) -> bool,
    ) -> Result<bool, Error> {
        let mut failures = 0;
        loop {
            let sent = match self.batch.refused.take() {
                Some(refused) => Ok(refused),
                None => self.destination.send(shipment.part, self.batch.items(shipment)),
            };
            let error = match sent {
                Ok(rejected) => return self.finish(shipment, rejected).map(|()| true),
                Err(error) => error,
            };
            let tries = error.tries(shipment.has_failed());
            failures = if tries.is_some() { failures + 1 } else { 0 };
            if tries.is_some_and(|tries| failures >= tries) {
                return self.give_way(shipment, error, wait);
            }
            let (why, after) = error.into_parts();
            if !wait(self.backoff.next(after), &why) {
                return Ok(false);
            }
        }
    }

    /// Finds out whether a shipment is the reason of an error. It is split. A single item is refused for good only if
    /// the destination has accepted others since: otherwise it may fail with everything, or its settings be wrong. It
    /// is then put last, and lines that came meanwhile go before it.
    fn give_way(
        &mut self,
        shipment: &Shipment,
        error: SendError,
        wait: &mut impl FnMut(Duration, &str) -> bool,
    ) -> Result<bool, Error> {
        if self.batch.split_shipment() {
            return Ok(true);
        }
        let is_answer = !matches!(error, SendError::Unanswered { .. });
        let (mut why, after) = error.into_parts();
        if is_answer && self.batch.has_accepted_since(shipment) {
            let rejected = Rejected { count: 1, places: None, why };
            return self.finish(shipment, rejected).map(|()| true);
        }
        self.batch.put_last();
        if is_answer {
            why = format!("everything is refused so far: {why}; nothing is given up");
        }
        if !wait(self.backoff.next(after), &why) {
            return Ok(false);
        }
        self.read_batch().map(|()| true)
    }

    /// Takes note of what the destination made of a shipment.
    fn finish(&mut self, shipment: &Shipment, rejected: Rejected) -> Result<(), Error> {
        if rejected.count > 0
            && let Err(error) = self.keep_refused(shipment, &rejected)
        {
            self.batch.refused = Some(rejected);
            return Err(error);
        }
        let has_accepted = rejected.count < self.batch.items(shipment).len() as u64;
        if has_accepted {
            self.backoff = Backoff::default();
        }
        self.batch.finish_shipment(has_accepted);
        Ok(())
    }

    /// Keeps the lines, so that nothing is lost that only the destination does not want.
    fn keep_refused(&mut self, shipment: &Shipment, refused: &Rejected) -> Result<(), Error> {
        self.refused.keep(&self.batch.refused_lines(shipment, refused))?;
        self.state.refused = self.state.refused.saturating_add(refused.count);
        self.last_refusal = Some(refused.why.clone());
        Ok(())
    }

    /// Moves the position past the batch.
    fn keep_position(&mut self) -> Result<(), Error> {
        let positions = mem::take(&mut self.batch.positions);
        self.state.until = self.batch.until.or(self.state.until);
        // A position is a file, and may say anything.
        self.state.sent = self.state.sent.saturating_add(self.batch.len() as u64);
        self.state.sent_bytes = self.state.sent_bytes.saturating_add(self.batch.bytes() as u64);
        self.batch.clear();
        self.is_saved &= positions == self.state.positions;
        self.state.positions = positions;
        if !self.is_saved {
            self.hold()?;
            self.file.save(&self.state)?;
            self.is_saved = true;
        }
        Ok(())
    }

    /// Makes sure that nobody else ships to the destination, also if the folder of the positions was removed.
    fn hold(&mut self) -> Result<(), Error> {
        self.is_saved &= !self.file.hold()?;
        Ok(())
    }
}

/// Removes the position of a destination. Retention no longer waits for it, and its next shipper begins with the first
/// line of the log. Returns whether there was one.
///
/// # Errors
///
/// Somebody ships to the destination now, or the file cannot be removed.
pub fn forget(dir: &Path, name: &str) -> Result<bool, Error> {
    StateFile::remove(&dir.join(SHIP_FOLDER), name)
}
