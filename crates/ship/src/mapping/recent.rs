//! A map of bounded size that forgets what was added longest ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// How many entries a generation has at most.
const ENTRIES_MAX: usize = 1 << 15;

/// A map that holds at least the last [`ENTRIES_MAX`] entries, and at most twice as many.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    latest: HashMap<K, V>,
    earlier: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { latest: HashMap::new(), earlier: HashMap::new() }
    }
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.latest.len() == ENTRIES_MAX && !self.latest.contains_key(&key) {
            self.earlier = mem::take(&mut self.latest);
        }
        self.latest.insert(key, value);
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.latest.get(key).or_else(|| self.earlier.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_are_remembered_in_bounded_memory() {
        let mut recent = Recent::default();
        for key in 0..5 * ENTRIES_MAX {
            recent.insert(key, key);
            recent.insert(0, 0);
            assert!(recent.latest.len() <= ENTRIES_MAX && recent.get(&0).is_some());
            assert!(recent.get(&key.saturating_sub(ENTRIES_MAX / 2)).is_some());
        }
        assert!(recent.get(&1).is_none());
    }
}
