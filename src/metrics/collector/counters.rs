//! The counters that an application names itself.

use std::array;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use llm_audit_process::cell::OnceCell;

use super::table::{LABEL_BYTES_MAX, OTHER};
use crate::metrics::accounting::add_to_counter;
use crate::sanitize::Sanitizer;

/// Names that are told apart.
pub(super) const NAMES_MAX: usize = 100;
/// More than half of them stay free.
const PLACES: usize = 256;

/// A table that only grows, without a lock.
pub(super) struct Counters {
    places: Box<[OnceCell<Counter>; PLACES]>,
    names: AtomicUsize,
    /// Its own, so that nobody knows which names have places near each other.
    hashes: RandomState,
}

struct Counter {
    /// Redacted.
    name: String,
    count: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            places: Box::new(array::from_fn(|_| OnceCell::new())),
            names: AtomicUsize::new(0),
            hashes: RandomState::new(),
        }
    }
}

impl Counters {
    pub(super) fn add(&self, name: &str, count: u64, sanitizer: &Sanitizer) {
        let counter = self.find(name).1.or_else(|| {
            let redacted = match name.len() {
                ..=LABEL_BYTES_MAX => sanitizer.redact_str(name),
                _ => OTHER.into(),
            };
            self.add_name(&redacted, NAMES_MAX).or_else(|| self.add_name(OTHER, usize::MAX))
        });
        if let Some(counter) = counter {
            add_to_counter(&counter.count, count);
        }
    }

    /// Returns the counts by their names, which `shown` redacts again.
    pub(super) fn read(&self, shown: impl Fn(&str) -> String) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for counter in self.places.iter().filter_map(OnceCell::get) {
            let count: &mut u64 = counts.entry(shown(&counter.name)).or_default();
            *count = count.saturating_add(counter.count.load(Ordering::Relaxed));
        }
        counts
    }

    /// Returns the place of the counter and the counter, or the free place for it.
    fn find(&self, name: &str) -> (usize, Option<&Counter>) {
        let first = self.hashes.hash_one(name) as usize;
        let places = (0..PLACES).map(|probe| first.wrapping_add(probe) % PLACES);
        let found = places.map(|place| (place, self.places[place].get()));
        let mut ends = found.filter(|(_, counter)| counter.is_none_or(|of| of.name == name));
        ends.next().expect("most places are free")
    }

    /// Returns the counter of a name, which is added if there are fewer names than `names_max`.
    fn add_name(&self, name: &str, names_max: usize) -> Option<&Counter> {
        loop {
            let (place, found) = self.find(name);
            // Several threads may be here at once, so there may be a few names more.
            if found.is_some() || self.names.load(Ordering::Relaxed) >= names_max {
                return found;
            }
            let counter = Counter { name: name.to_owned(), count: AtomicU64::new(0) };
            // If it fails, another thread put a counter into this place meanwhile, perhaps the same one.
            if let Ok(counter) = self.places[place].try_set(counter) {
                self.names.fetch_add(1, Ordering::Relaxed);
                return Some(counter);
            }
        }
    }
}
