//! Sums of a log by minute, as objectives need them.

mod costs;
mod instance;
mod payers;
mod reader;

use std::collections::BTreeMap;

use llm_audit_log::schema::MetricsRow;
use llm_audit_log::schema::notices::UserTotals;
use llm_audit_log::{Line, Usd};
use serde::{Deserialize, Serialize};

use crate::objectives::{Objective, Payer};
use crate::span::{DAY, HOUR, MINUTE, floor};
use crate::tally::Tally;
pub(crate) use costs::CostWindow;
pub use payers::Payers;
pub(crate) use reader::{LogReader, ReaderState};

/// How long minutes are kept; older ones become hours. The longest time over which rules look back is less.
pub(crate) const MINUTES_KEPT: i64 = 7 * DAY + HOUR;
/// How long hours are kept: the longest window.
pub(crate) const HOURS_KEPT: i64 = 90 * DAY;

/// How long the users and tenants of minutes are kept: more than the longest window of their budgets.
const PAYERS_KEPT_FOR: i64 = DAY + HOUR;

/// How many minutes with events may be of a clock that was set ahead for a while.
const LAST_MINUTES: usize = 60;

/// The sums of one service, by minute. Minutes without an event take no memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Minutes {
    /// By the beginning of the minute, or of the hour if it is older than [`MINUTES_KEPT`].
    buckets: BTreeMap<i64, Bucket>,
    /// The time of the last line.
    pub(crate) last_write: i64,
    /// Whether a logger of the service was there when the log was read last.
    #[serde(skip)]
    pub(crate) has_writer: bool,
}

/// The sums of a minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// By the places of the objectives.
    tallies: Vec<Tally>,
    /// The same, of objectives that have a budget for each user or tenant.
    payers: BTreeMap<usize, Payers>,
}

impl Minutes {
    fn bucket(&mut self, time: i64, objectives: &[Objective]) -> &mut Bucket {
        let bucket = self.buckets.entry(floor(time, MINUTE)).or_default();
        bucket.tallies.resize(objectives.len(), Tally::default());
        bucket
    }

    /// Adds the rows and users of a minute.
    fn add_totals(
        &mut self,
        time: i64,
        (rows, users): (&[MetricsRow], &UserTotals),
        objectives: &[Objective],
    ) {
        let bucket = self.bucket(time, objectives);
        for (at, objective) in objectives.iter().enumerate() {
            let indicator = &objective.indicator;
            rows.iter().for_each(|row| indicator.add_row(row, &mut bucket.tallies[at]));
            match indicator.payer() {
                Some(Payer::User) => bucket.payers.entry(at).or_default().add_users(users),
                Some(Payer::Tenant) => {
                    let payers = bucket.payers.entry(at).or_default();
                    for row in rows.iter().filter(|row| !row.tenant.is_empty()) {
                        let mut paid = Tally::default();
                        indicator.add_row(row, &mut paid);
                        payers.add(&row.tenant, paid.cost, Usd::ZERO);
                    }
                }
                None => {}
            }
        }
    }

    /// Adds an event that counts as `weight` of them.
    fn add_line(&mut self, line: &Line<'_>, weight: f64, objectives: &[Objective]) {
        let Some(time) = line.timestamp() else { return };
        let bucket = self.bucket(time, objectives);
        for (at, objective) in objectives.iter().enumerate() {
            objective.indicator.add_line(line, weight, &mut bucket.tallies[at]);
            bucket.add_payment(at, objective, line, weight);
        }
    }

    /// Adds an event that no totals have counted, and that stands for others.
    fn add_uncounted_line(&mut self, line: &Line<'_>, weight: f64, objectives: &[Objective]) {
        let Some(time) = line.timestamp() else { return };
        let bucket = self.bucket(time, objectives);
        for (at, objective) in objectives.iter().enumerate() {
            objective.indicator.add_uncounted_line(line, weight, &mut bucket.tallies[at]);
            bucket.add_payment(at, objective, line, 1.0);
        }
    }

    /// Adds events that were lost. If no totals have counted them, each may have been anything.
    fn add_lost(&mut self, time: i64, lost: u64, are_counted: bool, objectives: &[Objective]) {
        let bucket = self.bucket(time, objectives);
        for (objective, tally) in objectives.iter().zip(&mut bucket.tallies) {
            objective.indicator.add_lost(lost as f64, are_counted, tally);
        }
    }

    /// Adds the sums of other minutes to these.
    fn merge(&mut self, other: &Self) {
        self.last_write = self.last_write.max(other.last_write);
        for (time, bucket) in &other.buckets {
            self.buckets.entry(*time).or_default().merge(bucket);
        }
    }

    /// Makes hours of the minutes that are too old to be minutes, and forgets what is too old to be an hour.
    fn fold(&mut self, now: i64) {
        let older = self.buckets.range_mut(..now - PAYERS_KEPT_FOR);
        older.for_each(|(_, bucket)| bucket.payers.clear());
        self.buckets = self.buckets.split_off(&(now - HOURS_KEPT));
        let young = self.buckets.split_off(&floor(now - MINUTES_KEPT, HOUR));
        let old = std::mem::replace(&mut self.buckets, young);
        for (time, bucket) in old {
            self.buckets.entry(floor(time, HOUR)).or_default().merge(&bucket);
        }
    }

    /// Returns the sum for an objective over the times from `from` to before `to`.
    pub(crate) fn sum(&self, objective: usize, from: i64, to: i64) -> Tally {
        let mut sum = Tally::default();
        if from < to {
            let buckets = self.buckets.range(from..to).map(|(_, bucket)| bucket);
            buckets
                .filter_map(|bucket| bucket.tallies.get(objective))
                .for_each(|tally| sum.merge(tally));
        }
        sum
    }

    /// Returns the sums of each minute with an event in this time, and what users or tenants paid in it.
    fn costs(
        &self,
        objective: usize,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (&Tally, Option<&Payers>)> {
        let buckets = self.buckets.range(from..to.max(from)).map(|(_, bucket)| bucket);
        buckets.filter_map(move |bucket| {
            Some((bucket.tallies.get(objective)?, bucket.payers.get(&objective)))
        })
    }

    /// Whether any event is known of this time.
    pub(crate) fn has_events(&self, from: i64, to: i64) -> bool {
        self.buckets.range(from..to).next().is_some()
    }

    /// Returns the beginning of the minute with an event before the last ones, which may be wrong.
    fn before_last(&self) -> Option<i64> {
        self.buckets.keys().nth_back(LAST_MINUTES).copied()
    }

    /// Returns the beginnings of the first and the last minute with an event.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        Some((*self.buckets.first_key_value()?.0, *self.buckets.last_key_value()?.0))
    }

    /// Returns the beginnings of the minutes with an event in this time.
    pub(crate) fn times(&self, from: i64, to: i64) -> impl Iterator<Item = i64> {
        self.buckets.range(from..to.max(from)).map(|(time, _)| *time)
    }
}

#[cfg(test)]
impl Minutes {
    pub(crate) fn add_test_line(&mut self, line: &Line<'_>, objectives: &[Objective]) {
        self.add_line(line, 1.0, objectives);
    }
}

impl Bucket {
    fn add_payment(&mut self, at: usize, objective: &Objective, line: &Line<'_>, weight: f64) {
        if let Some((payer, cost)) = objective.indicator.payment(line, weight) {
            self.payers.entry(at).or_default().add(payer, cost, Usd::ZERO);
        }
    }

    fn merge(&mut self, other: &Self) {
        if self.tallies.len() < other.tallies.len() {
            self.tallies.resize(other.tallies.len(), Tally::default());
        }
        for (sum, tally) in self.tallies.iter_mut().zip(&other.tallies) {
            sum.merge(tally);
        }
        for (objective, payers) in &other.payers {
            self.payers.entry(*objective).or_default().merge(payers);
        }
    }
}
