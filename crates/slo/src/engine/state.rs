//! The state of a folder's evaluator, in the folder `.slo` of the log, and the lock that it holds.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use llm_audit_log::{Position, PrivateFolder};
use llm_audit_process::fork::PrivateFile;
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::error::Error;
use crate::minutes::ReaderState;
use crate::objectives::Objectives;

const FOLDER: &str = ".slo";
const LOCK: &str = "lock";
const STATE: &str = "state";
/// The version of the file. Another one is not read.
const VERSION: u32 = 2;

/// The folder of the state, and its lock.
#[derive(Debug)]
pub(super) struct StateFolder {
    folder: PrivateFolder,
    /// Held as long as the file is open. A forked child closes it, so that it does not keep the lock.
    lock: PrivateFile,
}

/// What an evaluator goes on from.
#[derive(Default)]
pub(super) struct EngineState {
    pub(super) positions: Vec<Position>,
    pub(super) reader: ReaderState,
    pub(super) alerts: Vec<Alert>,
    /// The alerts as all notifiers know them.
    pub(super) told: Vec<Alert>,
}

/// The file, as it is written.
#[derive(Serialize)]
struct StateToWrite<'a> {
    version: u32,
    indicators: u64,
    positions: Vec<&'a Position>,
    reader: &'a ReaderState,
    alerts: &'a [Alert],
    told: &'a [Alert],
}

/// The file, as it is read.
#[derive(Deserialize)]
struct ReadState {
    version: u32,
    indicators: u64,
    positions: Vec<Position>,
    reader: ReaderState,
    alerts: Vec<Alert>,
    #[serde(default)]
    told: Vec<Alert>,
}

impl StateFolder {
    /// Takes the lock. Returns `None` if another evaluator holds it.
    pub(super) fn lock(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(FOLDER);
        let folder = PrivateFolder::create(&path);
        let folder = folder.map_err(|error| Error::io("create", &path, error))?;
        let lock = folder.lock(LOCK).map_err(|error| Error::io("lock", &path.join(LOCK), error))?;
        Ok(lock.map(|lock| Self { folder, lock: PrivateFile::new(lock) }))
    }

    /// Returns whether the lock still keeps others away. Somebody may have removed its file.
    pub(super) fn is_held(&self) -> bool {
        self.folder.is_held(LOCK, &self.lock)
    }

    /// Reads the state. If it was made for other objectives, the log is read again from its beginning, and the alerts
    /// stay. The same is done without a state, or with one that cannot be read.
    pub(super) fn load(&self, objectives: &Objectives) -> EngineState {
        let text = fs::read(self.folder.path().join(STATE)).unwrap_or_default();
        let Ok(state) = serde_json::from_slice::<ReadState>(&text) else {
            return EngineState::default();
        };
        let ReadState { version, indicators, positions, reader, alerts, told } = state;
        match (version, indicators) == (VERSION, hash_of_indicators(objectives)) {
            true => EngineState { positions, reader, alerts, told },
            false => EngineState { alerts, told, ..EngineState::default() },
        }
    }

    /// Writes the state beside the old one, and then in its place.
    pub(super) fn save<'a>(
        &self,
        objectives: &Objectives,
        positions: impl Iterator<Item = &'a Position>,
        reader: &ReaderState,
        (alerts, told): (&[Alert], &[Alert]),
    ) -> Result<(), Error> {
        let state = StateToWrite {
            version: VERSION,
            indicators: hash_of_indicators(objectives),
            positions: positions.collect(),
            reader,
            alerts,
            told,
        };
        let text = serde_json::to_vec(&state).map_err(io::Error::from);
        let written = text.and_then(|text| self.folder.replace(STATE, &text));
        written.map_err(|error| Error::io("write", &self.folder.path().join(STATE), error))
    }
}

/// A hash of what is counted. Rules can change without a new one.
fn hash_of_indicators(objectives: &Objectives) -> u64 {
    let mut hasher = DefaultHasher::new();
    for objective in &objectives.objectives {
        format!("{:?}", objective.indicator).hash(&mut hasher);
    }
    hasher.finish()
}
