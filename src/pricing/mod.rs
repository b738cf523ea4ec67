//! The cost of model calls, by exact prices per token.

mod file;
mod names;
mod prices;
mod rates;
mod table;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Error;
use crate::sanitize::Sanitizer;
pub use llm_audit_log::Usd;
use llm_audit_process::lock::{Mutex, RwLock};
pub use prices::Prices;
use table::PriceTable;
pub(crate) use usage::ProviderAnswer;
#[cfg(feature = "tracing")]
pub(crate) use usage::attributes;
#[cfg(feature = "tower")]
pub(crate) use usage::{CHUNK_BYTES_MAX, split_chunks};
pub use usage::{ServiceTier, Usage};

/// The shortest time between two checks of a price file, in microseconds.
const LOOK: u64 = 1_000_000;
/// The largest file that is read. A larger one cannot be a price file.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// The number of models that are named by a count. For any others only the calls are counted.
const MODEL_NAMES_MAX: usize = 64;
/// The number of characters kept of such a name.
const MODEL_CHARS_MAX: usize = 128;

/// Returns what a call costs by the built-in prices. The first model that has a price with this
/// provider decides.
pub(crate) fn built_in_cost(provider: &str, models: &[&str], usage: Usage) -> Option<Usd> {
    let table = PriceTable::built_in();
    models.iter().find_map(|model| table.cost(provider, model, usage))
}

/// The prices of a logger, and the models whose calls got no cost.
#[derive(Debug, Default)]
pub(crate) struct Pricing {
    file: Option<PathBuf>,
    /// Redacts names of models and errors about the file.
    sanitizer: Sanitizer,
    /// The built-in prices overridden by the file's, or `None` if there is no file.
    table: RwLock<Option<Arc<PriceTable>>>,
    watch: Mutex<PriceFileWatch>,
    unpriced: Mutex<ModelCounts>,
    /// Calls whose answer had no readable usage, or half of one.
    unmetered: Mutex<ModelCounts>,
}

/// The state of the file.
#[derive(Debug, Default)]
struct PriceFileWatch {
    stamp: Option<PriceFileStamp>,
    looked_at: Option<i64>,
    refused: RefusedPriceFiles,
}

/// The metadata that distinguishes one version of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PriceFileStamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The versions of the file that could not be read. After each, the prices before it stay in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefusedPriceFiles {
    pub(crate) count: u64,
    /// The error of the last one.
    pub(crate) last: String,
}

/// Calls that got no cost, by model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelCounts {
    pub(crate) names: BTreeMap<String, u64>,
    /// Calls of models after the last one that is named.
    pub(crate) others: u64,
}

impl ModelCounts {
    pub(crate) fn total(&self) -> u64 {
        self.names.values().sum::<u64>() + self.others
    }
}

impl Pricing {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or is not a price file. The error contains the
    /// reason.
    pub(crate) fn open(file: Option<&Path>, sanitizer: &Sanitizer) -> Result<Self, Error> {
        let sanitizer = sanitizer.clone();
        let Some(path) = file else { return Ok(Self { sanitizer, ..Self::default() }) };
        let stamp = PriceFileStamp::from_path(path).ok();
        let table = open_pricing_file(path, "AUDIT_PRICING_FILE")?;
        Ok(Self {
            file: Some(path.to_owned()),
            sanitizer,
            table: RwLock::new(Some(Arc::new(table))),
            watch: Mutex::new(PriceFileWatch { stamp, ..PriceFileWatch::default() }),
            ..Self::default()
        })
    }

    /// Returns the prices for a forked child, which has counted nothing yet.
    ///
    /// If a thread of the parent was about to change the prices, the child gets the built-in ones.
    /// The child's writer then checks the file at once.
    pub(crate) fn in_child(&self) -> Self {
        let table = self.table.try_read().and_then(|table| table.clone());
        Self {
            file: self.file.clone(),
            sanitizer: self.sanitizer.clone(),
            table: RwLock::new(table),
            ..Self::default()
        }
    }

    /// Reads the file again if it has changed, at most once a second by `now`, in microseconds.
    ///
    /// The writer's thread calls it, so a caller that asks for a cost never waits for a disk.
    pub(crate) fn reread_changed_file(&self, now: impl FnOnce() -> i64) {
        let Some(path) = &self.file else { return };
        let (now, mut watch) = (now(), self.watch.lock());
        if watch.looked_at.is_some_and(|last| now.abs_diff(last) < LOOK) {
            return;
        }
        watch.looked_at = Some(now);
        let stamp = PriceFileStamp::from_path(path).ok();
        if stamp == watch.stamp {
            return;
        }
        watch.stamp = stamp;
        match read_pricing_file(path) {
            Ok(table) => *self.table.write() = Some(Arc::new(table)),
            Err(why) => {
                watch.refused.count += 1;
                watch.refused.last = self.sanitizer.redact_str(&why).into_owned();
            }
        }
    }

    /// Returns the cost by the first of these models that has a price. If none has one, the first
    /// is counted as unpriced. An empty `provider` means that it is unknown.
    pub(crate) fn cost(&self, provider: &str, models: &[&str], usage: Usage) -> Option<Usd> {
        let table = self.table.read().clone();
        let table = match &table {
            Some(table) => table,
            None => PriceTable::built_in(),
        };
        let cost = models.iter().find_map(|model| table.cost(provider, model, usage));
        if let (None, Some(model)) = (cost, models.first()) {
            self.count_model(&self.unpriced, model);
        }
        cost
    }

    /// Counts a call whose answer had no readable usage, or half of one.
    pub(crate) fn count_unmetered(&self, model: &str) {
        self.count_model(&self.unmetered, model);
    }

    fn count_model(&self, counts: &Mutex<ModelCounts>, model: &str) {
        let name: String = model.chars().take(MODEL_CHARS_MAX).collect();
        let name = self.sanitizer.redact_str(&name).into_owned();
        let mut counts = counts.lock();
        let has_room = counts.names.len() < MODEL_NAMES_MAX;
        match counts.names.get_mut(&name) {
            Some(count) => *count += 1,
            None if has_room => drop(counts.names.insert(name, 1)),
            None => counts.others += 1,
        }
    }

    pub(crate) fn unmetered(&self) -> ModelCounts {
        self.unmetered.lock().clone()
    }

    pub(crate) fn unpriced(&self) -> ModelCounts {
        self.unpriced.lock().clone()
    }

    pub(crate) fn refused(&self) -> RefusedPriceFiles {
        self.watch.lock().refused.clone()
    }
}

impl PriceFileStamp {
    fn from_path(path: &Path) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self { modified: metadata.modified().ok(), bytes: metadata.len() })
    }
}

/// Returns the prices of the file that a setting names, or an error that names the setting.
fn open_pricing_file(path: &Path, setting: &'static str) -> Result<PriceTable, Error> {
    read_pricing_file(path).map_err(|why| {
        let accepted = format!("a file of prices in LiteLLM's JSON layout; {why}");
        Error::config(setting, path.to_string_lossy(), accepted)
    })
}

/// Returns the built-in prices overridden by those of this file.
fn read_pricing_file(path: &Path) -> Result<PriceTable, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err("it is not a regular file, or it is over 64 MiB".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    PriceTable::with_file(&text)
}
