//! The sums of an objective.

use llm_audit_log::Usd;
use serde::{Deserialize, Serialize};

/// The sums of an objective over some time. Events of sampled lines count by their weights, so they have
/// fractions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredTally", into = "StoredTally")]
pub(crate) struct Tally {
    /// All events, or those that others are divided by.
    pub(crate) total: f64,
    /// Bad ones among them, or those that are counted.
    pub(crate) bad: f64,
    /// Events that may be there besides, good or bad, and calls that may have cost something.
    pub(crate) unknown: f64,
    /// What the events cost.
    pub(crate) cost: Usd,
}

impl Tally {
    pub(crate) fn add(&mut self, events: f64, are_bad: bool) {
        self.total += events;
        self.bad += if are_bad { events } else { 0.0 };
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.bad += other.bad;
        self.unknown += other.unknown;
        self.cost += other.cost;
    }

    /// Whether there is no event at all, not even an unknown one.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0.0 && self.bad == 0.0 && self.unknown == 0.0
    }

    /// Returns the share of bad events if every unknown one is good, and if every unknown one is bad.
    pub(crate) fn shares(&self) -> (f64, f64) {
        let all = self.total + self.unknown;
        (self.bad / all, (self.bad + self.unknown) / all)
    }

    /// Returns how many there are for each of the others, in the same two cases.
    pub(crate) fn rates(&self) -> (f64, f64) {
        (self.bad / (self.total + self.unknown), (self.bad + self.unknown) / self.total)
    }
}

/// A tally as it is stored: short, because there are many.
#[derive(Serialize, Deserialize)]
struct StoredTally(f64, f64, f64, String);

impl From<Tally> for StoredTally {
    fn from(tally: Tally) -> Self {
        let Tally { total, bad, unknown, cost } = tally;
        let cost = if cost == Usd::ZERO { String::new() } else { cost.to_string() };
        Self(total, bad, unknown, cost)
    }
}

impl From<StoredTally> for Tally {
    fn from(StoredTally(total, bad, unknown, cost): StoredTally) -> Self {
        Self { total, bad, unknown, cost: cost.parse().unwrap_or_default() }
    }
}
