//! How far a destination is behind the log.

use std::path::Path;

use llm_audit_log::{Acknowledged, Folder, Lines, LogFile};

use super::error::Error;
use super::state::ShipState;

/// In so many files it looks for the oldest line that waits, and at so many lines of each.
const FILES_MAX: usize = 8;
const LINES_MAX: usize = 16;

/// How far a destination is behind the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Lag {
    /// Bytes of the log that are not acknowledged, as they are without compression. Half a line at the end of a file
    /// does not count. A compressed file that does not say how much it holds counts as its compressed bytes.
    pub bytes: u64,
    /// About how many lines these are, by the bytes of other lines. `None` if none can be read.
    pub lines: Option<u64>,
    /// The age of the oldest line that waits, in seconds. It is looked for in the first eight files that have one.
    pub seconds: Option<f64>,
}

impl Lag {
    pub(super) fn of(dir: &Path, state: &ShipState, now: i64) -> Result<Self, Error> {
        let has = Acknowledged::of(&state.positions);
        let folder = Folder::open(dir)?;
        let (mut bytes, mut files) = (0, 0);
        let mut seen = SeenLines { lines: state.sent, bytes: state.sent_bytes, oldest: None };
        for file in folder.files() {
            let offset = has.bytes_of(file.plain_name());
            let waiting = waiting_bytes(file, offset);
            if waiting > 0 && files < FILES_MAX {
                files += 1;
                seen.look_at(file, offset);
            }
            bytes = waiting.saturating_add(bytes);
        }
        // Lines of other programs may have no time.
        let since = seen.oldest.or(state.until).filter(|_| bytes > 0);
        let seconds = since.map(|since| now.saturating_sub(since).max(0) as f64 / 1e6);
        Ok(Self { bytes, lines: seen.lines_in(bytes), seconds })
    }
}

/// Returns how many bytes of whole lines a file has after `offset`.
fn waiting_bytes(file: &LogFile, offset: u64) -> u64 {
    if file.bytes() <= offset {
        return 0;
    }
    // What cannot be read waits as it is.
    file.lines_end().unwrap_or(file.bytes()).saturating_sub(offset)
}

/// Lines that were sent or looked at, and the time of the oldest one that waits.
struct SeenLines {
    lines: u64,
    bytes: u64,
    oldest: Option<i64>,
}

impl SeenLines {
    /// Looks at the first lines after `offset`. If they cannot be read, the shipper says so.
    fn look_at(&mut self, file: &LogFile, offset: u64) {
        let mut lines = Lines::of_part(file, offset..u64::MAX);
        for _ in 0..LINES_MAX {
            let Ok(Some(mut entry)) = lines.next_line() else { return };
            self.lines = self.lines.saturating_add(1);
            self.bytes = self.bytes.saturating_add(entry.bytes.len() as u64 + 1);
            let time = entry.parse().ok().and_then(|line| line.timestamp());
            self.oldest = self.oldest.into_iter().chain(time).min();
        }
    }

    fn lines_in(&self, bytes: u64) -> Option<u64> {
        let per_line = self.bytes as f64 / self.lines as f64;
        (self.lines > 0).then(|| (bytes as f64 / per_line).round() as u64)
    }
}
