//! How far a destination is behind the log.

use std::collections::HashMap;
use std::path::Path;

use llm_audit_log::Folder;

use super::error::Error;
use super::state::ShipState;

/// How far a destination is behind the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Lag {
    /// Bytes of the log that are not acknowledged, as they are without compression. A compressed file that was not
    /// begun counts as its compressed bytes.
    pub bytes: u64,
    /// About how many lines these are, by the bytes of a line so far; `None` before the first line.
    pub lines: Option<u64>,
    /// The age of the last line that was sent, if others wait, in seconds.
    pub seconds: Option<f64>,
}

impl Lag {
    pub(super) fn of(dir: &Path, state: &ShipState, now: i64) -> Result<Self, Error> {
        let done: HashMap<&str, u64> =
            state.positions.iter().map(|position| (&*position.file, position.offset)).collect();
        let folder = Folder::open(dir)?;
        let files = folder.files().iter();
        let offset = |name| done.get(name).copied().unwrap_or(0);
        let bytes = files.map(|file| file.bytes().saturating_sub(offset(file.plain_name()))).sum();
        let per_line = state.sent_bytes as f64 / state.sent as f64;
        let lines = (state.sent > 0).then(|| (bytes as f64 / per_line).round() as u64);
        let seconds = state.until.map(|until| (now - until).max(0) as f64 / 1e6);
        Ok(Self { bytes, lines, seconds: seconds.filter(|_| bytes > 0) })
    }
}
