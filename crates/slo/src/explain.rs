//! A rule, computed again minute by minute.

use std::collections::BTreeSet;

use llm_audit_log::Usd;

use crate::minutes::{CostWindow, Minutes};
use crate::objectives::{Objective, Rule};
use crate::rules::{RuleOutcome, RuleState};
use crate::span::{DAY, MINUTE};

/// A rule, computed again minute by minute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation<'o> {
    /// The rule.
    pub rule: &'o Rule,
    /// What it watches.
    pub objective: &'o Objective,
    /// Every minute of the time, the first one first.
    pub minutes: Vec<ExplainedMinute>,
}

/// A rule at the end of a minute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExplainedMinute {
    /// The end of the minute, in microseconds since the Unix epoch.
    pub end: i64,
    /// What the minute itself adds: events, bad ones, unknown ones. They are as the objective counts them.
    pub events: (f64, f64, f64),
    /// What the events of the minute cost.
    pub cost: Usd,
    /// The rule. Of a rule of each user or tenant these are the ones who break it, or may.
    pub outcomes: Vec<RuleOutcome>,
}

impl ExplainedMinute {
    /// Whether it is known that the rule is not broken.
    pub fn is_fine(&self) -> bool {
        !self.is_broken() && self.outcomes.iter().any(|outcome| outcome.state == RuleState::Fine)
    }

    /// Whether the rule is broken.
    pub fn is_broken(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.state == RuleState::Broken)
    }
}

impl<'o> Explanation<'o> {
    pub(crate) fn of(
        rule: &'o Rule,
        objective: &'o Objective,
        minutes: &Minutes,
        since: Option<i64>,
        end: i64,
    ) -> Self {
        let ends = (since.unwrap_or(end - DAY) + MINUTE..=end).step_by(MINUTE as usize);
        let mut costs = CostWindow::new(minutes, rule.objective);
        let explained = ends.map(|end| {
            let added = minutes.sum(rule.objective, end - MINUTE, end);
            ExplainedMinute {
                end,
                events: (added.total, added.bad, added.unknown),
                cost: added.cost,
                outcomes: rule.evaluate(objective, &mut costs, end, &BTreeSet::new()),
            }
        });
        Self { rule, objective, minutes: explained.collect() }
    }

    /// Returns the times over which the rule was broken: the ends of the first and the last minute of each.
    pub fn episodes(&self) -> Vec<(i64, i64)> {
        let broken = self.minutes.chunk_by(|before, after| before.is_broken() == after.is_broken());
        let broken = broken.filter(|run| run[0].is_broken());
        broken.map(|run| (run[0].end, run[run.len() - 1].end)).collect()
    }
}
