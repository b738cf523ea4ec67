//! Gaps in the senders' own numbers.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::recent::Recent;

/// The last number of each session.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    hasher: RandomState,
    /// By the hash of the session's id, which may be long.
    last: Recent<u64, u64>,
}

impl Sequences {
    /// Notes the number of a session's record; returns how many are missing before it.
    ///
    /// A session that begins again at 0 or 1 has a new process. Of the first record of a session it is not known what
    /// came before. A record that comes late is not taken off a gap that was reported.
    pub(super) fn missing_before(&mut self, session: &str, number: u64) -> u64 {
        let key = self.hasher.hash_one(session);
        let last = self.last.get(&key).copied();
        if last.is_some_and(|last| number > 1 && number <= last) {
            return 0;
        }
        self.last.insert(key, number);
        last.map_or(0, |last| number.saturating_sub(last.saturating_add(1)))
    }
}
