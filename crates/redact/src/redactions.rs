//! Counts of what was redacted, by kind.

use std::fmt;

use super::Kind;

/// The number of redacted parts, by kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Redactions([u64; Kind::COUNT]);

impl fmt::Debug for Redactions {
    /// Formats the kinds that occurred.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.iter().filter(|(_, count)| *count > 0);
        f.debug_map().entries(some.map(|(kind, count)| (kind.name(), count))).finish()
    }
}

impl Default for Redactions {
    fn default() -> Self {
        Self([0; Kind::COUNT])
    }
}

impl Redactions {
    /// Counts one redacted part.
    pub fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    /// Adds `count` parts of a kind.
    pub fn add_many(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// Returns the number of parts of `kind`.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// Returns every kind and its number of parts, zeros included, in the order of [`Kind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().zip(self.0)
    }

    /// Returns the number of parts of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds the counts of `other`.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}
