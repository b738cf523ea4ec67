//! A map of bounded size that forgets what was added longest ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// A map that holds at least the last `ENTRIES_MAX` entries, and at most twice as many.
#[derive(Debug)]
pub struct Recent<K, V, const ENTRIES_MAX: usize> {
    latest: HashMap<K, V>,
    earlier: HashMap<K, V>,
}

impl<K, V, const ENTRIES_MAX: usize> Default for Recent<K, V, ENTRIES_MAX> {
    fn default() -> Self {
        Self { latest: HashMap::new(), earlier: HashMap::new() }
    }
}

impl<K: Eq + Hash, V, const ENTRIES_MAX: usize> Recent<K, V, ENTRIES_MAX> {
    /// Adds an entry, in the place of an earlier one with the same key.
    pub fn insert(&mut self, key: K, value: V) {
        if self.latest.len() == ENTRIES_MAX && !self.latest.contains_key(&key) {
            self.earlier = mem::take(&mut self.latest);
        }
        self.latest.insert(key, value);
    }

    /// Returns the value that was added last under this key, unless it is forgotten.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.latest.get(key).or_else(|| self.earlier.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES_MAX: usize = 1 << 14;

    #[test]
    fn the_newest_entries_are_kept_and_old_ones_are_not() {
        let mut map = Recent::<_, _, ENTRIES_MAX>::default();
        for n in 0..5 * ENTRIES_MAX {
            map.insert(n, n);
            assert!(map.latest.len() + map.earlier.len() <= 2 * ENTRIES_MAX);
            assert_eq!(
                map.get(&n.saturating_sub(ENTRIES_MAX - 1)),
                Some(&n.saturating_sub(ENTRIES_MAX - 1))
            );
        }
        assert_eq!(map.get(&0), None);
    }

    #[test]
    fn an_entry_that_is_added_again_is_remembered() {
        let mut recent = Recent::<_, _, ENTRIES_MAX>::default();
        for key in 0..5 * ENTRIES_MAX {
            recent.insert(key, key);
            recent.insert(0, 0);
            assert!(recent.latest.len() <= ENTRIES_MAX && recent.get(&0).is_some());
            assert!(recent.get(&key.saturating_sub(ENTRIES_MAX / 2)).is_some());
        }
        assert!(recent.get(&1).is_none());
    }
}
