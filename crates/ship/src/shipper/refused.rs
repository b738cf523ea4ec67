//! Lines that a destination refused for good.

use jiff::Timestamp;
use llm_audit_log::PrivateFolder;

use super::error::Error;

/// The folder below that of the positions.
const FOLDER: &str = "refused";

/// The files of a destination's refused lines, one for each day.
#[derive(Debug)]
pub(super) struct Refused {
    folder: PrivateFolder,
    destination: String,
}

impl Refused {
    pub(super) fn of(ship: &PrivateFolder, destination: &str) -> Result<Self, Error> {
        let path = ship.path().join(FOLDER);
        let folder = PrivateFolder::create(&path).map_err(|error| Error::io(&path, error))?;
        Ok(Self { folder, destination: destination.to_owned() })
    }

    /// Adds lines to the file of today (UTC). They are then on the disk.
    pub(super) fn keep(&self, lines: &[&[u8]]) -> Result<(), Error> {
        let day = Timestamp::now().strftime("%Y-%m-%d");
        let name = format!("{}-{day}.jsonl", self.destination);
        let text: Vec<u8> =
            lines.iter().flat_map(|line| [*line, b"\n"]).flatten().copied().collect();
        let kept = self.folder.append(&name, &text);
        kept.map_err(|error| Error::io(&self.folder.path().join(name), error))
    }
}
