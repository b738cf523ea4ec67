//! The state of a folder's evaluator, in the folder `.slo` of the log, and the lock that it holds.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use llm_audit_log::Position;
use llm_audit_process::fork::PrivateFile;
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::error::Error;
use crate::minutes::ReaderState;
use crate::objectives::Objectives;

const FOLDER: &str = ".slo";
const LOCK: &str = "lock";
const STATE: &str = "state";
const NEW_STATE: &str = "state.new";
/// The version of the file. Another one is not read.
const VERSION: u32 = 2;

/// The folder of the state, and its lock.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
    /// Held as long as the file is open. A forked child closes it, so that it does not keep the lock.
    _lock: PrivateFile,
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
        create_folder(&path).map_err(|error| Error::io("create", &path, error))?;
        let lock_path = path.join(LOCK);
        let lock = open_to_write(&lock_path, false)
            .map_err(|error| Error::io("open", &lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, _lock: PrivateFile::new(lock) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &lock_path, error)),
        }
    }

    /// Reads the state. If it was made for other objectives, the log is read again from its beginning, and the alerts
    /// stay. The same is done without a state, or with one that cannot be read.
    pub(super) fn load(&self, objectives: &Objectives) -> EngineState {
        let text = fs::read(self.path.join(STATE)).unwrap_or_default();
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
        let (path, new) = (self.path.join(STATE), self.path.join(NEW_STATE));
        let write = || -> io::Result<()> {
            let text = serde_json::to_vec(&state)?;
            let mut file = open_to_write(&new, true)?;
            file.write_all(&text)?;
            file.sync_data()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| Error::io("write", &path, error))
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

/// Creates a folder for its owner alone, unless it is there. A link is refused.
fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if fs::symlink_metadata(path)?.is_dir() => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder")),
    }
}

/// Opens a file for its owner alone. A link is refused.
fn open_to_write(path: &Path, is_new: bool) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(is_new);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
