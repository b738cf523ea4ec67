//! What a window of time costs, as it moves on.

use llm_audit_log::Usd;

use super::{Minutes, Payers};

/// What a window of time costs, in all and of each user or tenant. Moved on, it adds the minutes that come and takes
/// away those that go.
#[derive(Debug)]
pub(crate) struct CostWindow<'m> {
    pub(crate) minutes: &'m Minutes,
    objective: usize,
    /// The window begins here, and ends before this.
    range: (i64, i64),
    pub(crate) cost: Usd,
    pub(crate) payers: Payers,
}

impl<'m> CostWindow<'m> {
    /// Begins with an empty window.
    pub(crate) fn new(minutes: &'m Minutes, objective: usize) -> Self {
        let (cost, payers) = (Usd::ZERO, Payers::default());
        Self { minutes, objective, range: (i64::MIN, i64::MIN), cost, payers }
    }

    /// Moves the window. Neither its beginning nor its end goes back.
    pub(crate) fn move_to(&mut self, from: i64, to: i64) {
        let (old_from, old_to) = std::mem::replace(&mut self.range, (from, to));
        for (tally, payers) in self.minutes.costs(self.objective, old_from, from.min(old_to)) {
            self.cost = self.cost - tally.cost;
            payers.into_iter().for_each(|payers| self.payers.take_away(payers));
        }
        for (tally, payers) in self.minutes.costs(self.objective, from.max(old_to), to) {
            self.cost += tally.cost;
            payers.into_iter().for_each(|payers| self.payers.merge(payers));
        }
    }
}
