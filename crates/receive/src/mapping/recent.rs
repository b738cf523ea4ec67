//! A map of bounded size that forgets what was put in long ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// So many of the newest entries are kept, and at most twice as many.
const ENTRIES_MAX: usize = 1 << 14;

/// The entries that were put in last, and those before. Each has so many at most.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    recent: HashMap<K, V>,
    earlier: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { recent: HashMap::new(), earlier: HashMap::new() }
    }
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.recent.get(key).or_else(|| self.earlier.get(key))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.recent.len() == ENTRIES_MAX {
            self.earlier = mem::take(&mut self.recent);
        }
        self.recent.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entries_are_kept_and_old_ones_are_not() {
        let mut map = Recent::default();
        for n in 0..5 * ENTRIES_MAX {
            map.insert(n, n);
            assert!(map.recent.len() + map.earlier.len() <= 2 * ENTRIES_MAX);
            assert_eq!(
                map.get(&n.saturating_sub(ENTRIES_MAX - 1)),
                Some(&n.saturating_sub(ENTRIES_MAX - 1))
            );
        }
        assert_eq!(map.get(&0), None);
    }
}
