//! Lines that a destination refused for good.

use std::path::PathBuf;

use jiff::Timestamp;
use llm_audit_log::{PrivateFolder, REFUSED_FOLDER};

use super::error::Error;

/// The files of a destination's refused lines, one for each day.
#[derive(Debug)]
pub(super) struct Refused {
    path: PathBuf,
    destination: String,
}

impl Refused {
    pub(super) fn of(ship: &PrivateFolder, destination: &str) -> Self {
        Self { path: ship.path().join(REFUSED_FOLDER), destination: destination.to_owned() }
    }

    /// Adds lines to the file of today (UTC). They are then on the disk. Retention removes old files.
    pub(super) fn keep(&self, lines: &[&[u8]]) -> Result<(), Error> {
        let day = Timestamp::now().strftime("%Y-%m-%d");
        let name = format!("{}-{day}.jsonl", self.destination);
        let text: Vec<u8> =
            lines.iter().flat_map(|line| [*line, b"\n"]).flatten().copied().collect();
        let folder = PrivateFolder::create(&self.path);
        let kept = folder.and_then(|folder| folder.append(&name, &text));
        kept.map_err(|error| Error::io(&self.path.join(name), error))
    }
}
