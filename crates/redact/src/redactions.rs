//! Counts of what was redacted, by kind.

use std::fmt;

use super::Kind;

/// The number of redacted parts, by kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Redactions {
    by_kind: [u64; Kind::COUNT],
    total: u64,
}

impl fmt::Debug for Redactions {
    /// Formats the kinds that occurred.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.iter().filter(|(_, count)| *count > 0);
        f.debug_map().entries(some.map(|(kind, count)| (kind.name(), count))).finish()
    }
}

impl Default for Redactions {
    fn default() -> Self {
        Self { by_kind: [0; Kind::COUNT], total: 0 }
    }
}

impl Redactions {
    /// Counts one redacted part.
    pub fn add(&mut self, kind: Kind) {
        self.add_many(kind, 1);
    }

    /// Adds `count` parts of a kind.
    pub fn add_many(&mut self, kind: Kind, count: u64) {
        self.by_kind[kind as usize] += count;
        self.total += count;
    }

    /// Returns the number of parts of `kind`.
    pub fn get(&self, kind: Kind) -> u64 {
        self.by_kind[kind as usize]
    }

    /// Returns every kind and its number of parts, zeros included, in the order of [`Kind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().zip(self.by_kind)
    }

    /// Returns the number of parts of all kinds.
    #[inline]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.by_kind.iter_mut().zip(other.by_kind) {
            *count += more;
        }
        self.total += other.total;
    }

    /// Returns the counts to [restore](Self::restore) later. `None` if nothing was counted, as mostly.
    #[inline]
    pub fn saved(&self) -> Option<Self> {
        (self.total > 0).then(|| self.clone())
    }

    /// Goes back to counts that were [saved](Self::saved).
    #[inline]
    pub fn restore(&mut self, saved: Option<Self>) {
        if self.total > 0 {
            *self = saved.unwrap_or_default();
        }
    }
}
