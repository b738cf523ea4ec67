//! What is known of the destinations of a log without shipping to them.

use std::fs;
use std::io;
use std::path::Path;

use llm_audit_log::{Position, SHIP_FOLDER, destination_of_file};

use super::error::Error;
use super::lag::Lag;
use super::state::ShipState;

/// How far a destination has a log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DestinationStatus {
    /// The name of the destination.
    pub name: String,
    /// How far it has each file.
    pub positions: Vec<Position>,
    /// Lines that were sent since the position was begun, with those that were refused.
    pub sent: u64,
    /// Lines that it has refused for good.
    pub refused: u64,
    /// Events that retention removed before they were sent.
    pub lost: u64,
    /// Files that retention removed without knowing how many of their events were sent. If there are any, at least
    /// `lost` events are lost.
    pub lost_files: u64,
    /// The time of the last line that was sent, in microseconds since the Unix epoch.
    pub until: Option<i64>,
    /// How far it is behind the log.
    pub lag: Lag,
}

/// Lists the destinations that have a position, in the order of their names. `now` is in microseconds since the Unix
/// epoch. A position that cannot be read is an error in its place.
///
/// # Errors
///
/// The folder of the positions cannot be listed.
pub fn destinations(dir: &Path, now: i64) -> Result<Vec<Result<DestinationStatus, Error>>, Error> {
    let folder = dir.join(SHIP_FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(|error| Error::io(&folder, error))?;
    let files = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> =
        files.filter_map(|file| destination_of_file(&file).map(str::to_owned)).collect();
    names.sort();
    let status = |name| status_of(dir, name, now).transpose();
    Ok(names.into_iter().filter_map(status).collect())
}

/// Returns `None` if the destination was forgotten meanwhile.
fn status_of(dir: &Path, name: String, now: i64) -> Result<Option<DestinationStatus>, Error> {
    let path = dir.join(SHIP_FOLDER).join(format!("{name}.json"));
    let Some(state) = ShipState::read(&path)? else { return Ok(None) };
    let lag = Lag::of(dir, &state, now)?;
    let ShipState { positions, sent, refused, lost, lost_files, until, .. } = state;
    Ok(Some(DestinationStatus { name, positions, sent, refused, lost, lost_files, until, lag }))
}
