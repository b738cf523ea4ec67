//! How far a destination has the log, in a file.

use std::fs;
use std::io;
use std::path::Path;

use llm_audit_log::schema::notices::ReadNotice;
use llm_audit_log::{Acknowledged, Line, Position, PrivateFolder};
use llm_audit_process::fork::PrivateFile;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::name::is_destination_name;
use super::origins::Origins;

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
    /// Events that retention removed before they were sent.
    #[serde(default)]
    pub(super) lost: u64,
    /// Files that retention removed without knowing how many of their events were sent.
    #[serde(default)]
    pub(super) lost_files: u64,
    /// The time of the last line that was sent, in microseconds since the Unix epoch.
    pub(super) until: Option<i64>,
}

impl ShipState {
    /// Reads the file of a position. Returns `None` if there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| Error::io(path, error))?,
        };
        // Retention waits for a file that it cannot read, so both must accept the same ones.
        Acknowledged::parse(&text).map_err(|why| Error::state(path, &why))?;
        let state = serde_json::from_slice(&text);
        state.map(Some).map_err(|error| Error::state(path, &error.to_string()))
    }

    /// Takes note of a line of the log, which may report that events were removed before this destination had them.
    pub(super) fn note_lost(&mut self, line: &Line<'_>, destination: &str) {
        if let (true, Some(ReadNotice::Retired(retired))) = (line.is_own(), ReadNotice::of(line)) {
            match retired.unshipped.get(destination) {
                Some(Some(lost)) => self.lost = self.lost.saturating_add(*lost),
                Some(None) => self.lost_files = self.lost_files.saturating_add(1),
                None => {}
            }
        }
    }
}

/// The file of one destination, and the lock that its shipper holds.
#[derive(Debug)]
pub(super) struct StateFile {
    folder: PrivateFolder,
    name: String,
    /// Held as long as the file is open. A forked child closes it, so that it does not keep the lock.
    pub(super) lock: PrivateFile,
}

impl StateFile {
    /// Takes the lock. Returns `None` if another shipper holds it.
    pub(super) fn lock(folder: &PrivateFolder, destination: &str) -> Result<Option<Self>, Error> {
        let name = format!("{destination}.lock");
        let lock = folder.lock(&name);
        let lock = lock.map_err(|error| Error::io(&folder.path().join(name), error))?;
        let name = format!("{destination}.json");
        let lock = lock.map(PrivateFile::new);
        Ok(lock.map(|lock| Self { folder: folder.clone(), name, lock }))
    }

    /// Takes the lock again if its file was removed, since others could take it then. Returns whether it had to.
    pub(super) fn hold(&mut self) -> Result<bool, Error> {
        let name = format!("{}.lock", self.destination());
        if self.folder.is_held(&name, &self.lock) {
            return Ok(false);
        }
        let path = self.folder.path();
        let folder = PrivateFolder::create(path).map_err(|error| Error::io(path, error))?;
        match Self::lock(&folder, self.destination())? {
            Some(again) => *self = again,
            None => return Err(Error::busy(self.destination())),
        }
        Ok(true)
    }

    fn destination(&self) -> &str {
        self.name.trim_end_matches(".json")
    }

    /// Reads the position. Without a file it is the beginning of the log. It is then written, so that retention waits
    /// for the destination before the first batch is sent.
    pub(super) fn read_or_begin(&self) -> Result<ShipState, Error> {
        match ShipState::read(&self.folder.path().join(&self.name))? {
            Some(state) => Ok(state),
            None => self.save(&ShipState::default()).map(|()| ShipState::default()),
        }
    }

    /// Writes the position. After a power cut it is there, or the one before.
    pub(super) fn save(&self, state: &ShipState) -> Result<(), Error> {
        let state = ShipState { version: Acknowledged::VERSION, ..state.clone() };
        let text = serde_json::to_vec(&state).map_err(io::Error::from);
        let saved = text.and_then(|text| self.folder.replace(&self.name, &text));
        saved.map_err(|error| Error::io(&self.folder.path().join(&self.name), error))
    }

    /// Removes the position of a destination that nobody ships to.
    pub(super) fn remove(path: &Path, destination: &str) -> Result<bool, Error> {
        // Any other name is not one of a position, and may lead out of the folder.
        let is_known =
            is_destination_name(destination) && path.join(format!("{destination}.json")).exists();
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

impl Drop for StateFile {
    /// Unlocks explicitly, because a process that is just being started may have a copy of the file.
    fn drop(&mut self) {
        let _closed = self.lock.unlock();
    }
}
