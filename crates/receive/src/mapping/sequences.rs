//! Gaps in the senders' own numbers.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::mem;

/// How many sessions are remembered at once, twice.
const SESSIONS_MAX: usize = 1 << 14;

/// The last number of each session, by the hash of its id.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    hasher: RandomState,
    /// Those that were noted last, and those before. Each has so many at most.
    recent: HashMap<u64, u64>,
    earlier: HashMap<u64, u64>,
}

impl Sequences {
    /// Notes the number of a session's record; returns how many are missing before it.
    ///
    /// A session that begins again at 0 or 1 has a new process. Of the first record of a session it is not known what
    /// came before. A record that comes late is not taken off a gap that was reported.
    pub(super) fn missing_before(&mut self, session: &str, number: u64) -> u64 {
        let key = self.hasher.hash_one(session);
        let last = self.recent.get(&key).or_else(|| self.earlier.get(&key)).copied();
        let is_late = last.is_some_and(|last| number > 1 && number <= last);
        if is_late {
            return 0;
        }
        if self.recent.len() == SESSIONS_MAX {
            self.earlier = mem::take(&mut self.recent);
        }
        self.recent.insert(key, number);
        last.map_or(0, |last| number.saturating_sub(last.saturating_add(1)))
    }
}
