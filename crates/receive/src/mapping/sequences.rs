//! Gaps in the senders' own numbers.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

use llm_audit_log::Recent;

use super::REMEMBERED_MAX;

/// The last numbers of each session.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    hasher: RandomState,
    /// By the hash of the session and its process, whose names may be long. A session may have two processes whose names
    /// are not known, each with numbers of its own.
    last: Recent<u64, [Option<u64>; 2], REMEMBERED_MAX>,
}

impl Sequences {
    /// Notes the number of a session's record; returns how many are missing before it.
    ///
    /// A session that begins again at 0 or 1 has a new process, and the older one may go on. Of the first record of a
    /// session it is not known what came before. A record that comes late is not taken off a gap that was reported.
    pub(super) fn missing_before(&mut self, session: impl Hash, number: u64) -> u64 {
        let key = self.hasher.hash_one(session);
        let mut last = self.last.get(&key).copied().unwrap_or_default();
        if last.contains(&Some(number)) {
            return 0;
        }
        let is_known = last[0].is_some();
        let before = last.iter_mut().flatten().filter(|last| **last < number).max();
        let missing = match before {
            Some(before) => number - std::mem::replace(before, number) - 1,
            None if number > 1 && is_known => return 0,
            None => {
                last = [Some(number), last[0]];
                0
            }
        };
        self.last.insert(key, last);
        missing
    }
}
