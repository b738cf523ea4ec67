//! How far a destination has the log, in a file.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use llm_audit_log::{Position, PrivateFolder};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::origins::Origins;

/// The version of the file.
const VERSION: u32 = 1;

/// How far a destination has the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ShipState {
    version: u32,
    pub(super) positions: Vec<Position>,
    pub(super) origins: Origins,
    /// Lines that were sent, with those that were refused, and their bytes.
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    /// Lines that were refused for good.
    pub(super) refused: u64,
    /// The time of the last line that was sent, in microseconds since the Unix epoch.
    pub(super) until: Option<i64>,
}

/// The file of one destination, and the lock that its shipper holds.
#[derive(Debug)]
pub(super) struct StateFile {
    folder: PrivateFolder,
    name: String,
    /// Held as long as the file is open.
    _lock: File,
}

impl StateFile {
    /// Takes the lock. Returns `None` if another shipper holds it.
    pub(super) fn lock(folder: &PrivateFolder, destination: &str) -> Result<Option<Self>, Error> {
        let name = format!("{destination}.lock");
        let lock = folder.lock(&name);
        let lock = lock.map_err(|error| Error::io(&folder.path().join(name), error))?;
        let name = format!("{destination}.json");
        Ok(lock.map(|lock| Self { folder: folder.clone(), name, _lock: lock }))
    }

    /// Reads the position. Without a file it is the beginning of the log.
    pub(super) fn read(&self) -> Result<ShipState, Error> {
        let path = self.folder.path().join(&self.name);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ShipState::default());
            }
            text => text.map_err(|error| Error::io(&path, error))?,
        };
        let state = serde_json::from_slice::<ShipState>(&text);
        let state = state.map_err(|error| Error::state(&path, &error.to_string()))?;
        match state.version {
            VERSION => Ok(state),
            other => Err(Error::state(&path, &format!("version {other}, and {VERSION} is known"))),
        }
    }

    /// Writes the position. After a power cut it is there, or the one before.
    pub(super) fn save(&self, state: &ShipState) -> Result<(), Error> {
        let text = serde_json::to_vec(&ShipState { version: VERSION, ..state.clone() });
        let saved =
            text.map_err(io::Error::from).and_then(|text| self.folder.replace(&self.name, &text));
        saved.map_err(|error| Error::io(&self.folder.path().join(&self.name), error))
    }

    /// Removes the position of a destination that nobody ships to.
    pub(super) fn remove(path: &Path, destination: &str) -> Result<bool, Error> {
        // Any other name is not one of a position, and may lead out of the folder.
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_known =
            destination.chars().all(is_name) && path.join(format!("{destination}.json")).exists();
        if !is_known {
            return Ok(false);
        }
        let folder = PrivateFolder::create(path).map_err(|error| Error::io(path, error))?;
        let Some(file) = Self::lock(&folder, destination)? else {
            return Err(Error::busy(destination));
        };
        match fs::remove_file(path.join(&file.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => {
                removed.map(|()| true).map_err(|error| Error::io(&path.join(&file.name), error))
            }
        }
    }
}
