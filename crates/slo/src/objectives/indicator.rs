//! Indicators: the events or costs of an objective, and how they are counted.

use llm_audit_log::schema::MetricsRow;
use llm_audit_log::{EventType, Line, Usd};

use super::selection::{Labels, Selection, member};
use crate::tally::Tally;

/// What is counted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Indicator {
    /// The share of bad ones among these events.
    Ratio {
        /// All events.
        of: Selection,
        /// Which of them are bad.
        bad: Selection,
    },
    /// The share of these events that took longer than the threshold.
    Latency {
        /// All events. Those without a latency do not count.
        of: Selection,
        /// The threshold in milliseconds.
        threshold_ms: f64,
    },
    /// How many of these events there are for each of others.
    Rate {
        /// What is counted.
        of: Selection,
        /// What it is divided by.
        per: Selection,
    },
    /// The cost of calls of models.
    Cost {
        /// Which calls.
        of: Selection,
        /// Of whom, if each user or tenant has a budget.
        by: Option<Payer>,
    },
    /// Events that the recorder lost.
    Lost,
    /// Calls of models that have tokens and no price.
    Unpriced,
    /// The time since the last line of a log whose recorder is still there.
    Silence,
}

/// Of whom costs are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payer {
    /// The user, `data.user`.
    User,
    /// The tenant, `data.tenant`.
    Tenant,
}

impl Payer {
    /// Returns the name as labels have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Tenant => "tenant",
        }
    }
}

impl Indicator {
    /// Whether each event that it counts is good or bad.
    pub fn has_good_and_bad(&self) -> bool {
        matches!(self, Self::Ratio { .. } | Self::Latency { .. })
    }

    /// Of whom it adds up costs, if of each user or tenant.
    pub fn payer(&self) -> Option<Payer> {
        if let Self::Cost { by, .. } = self { *by } else { None }
    }

    /// Adds the events of a row.
    pub(crate) fn add_row(&self, row: &MetricsRow, tally: &mut Tally) {
        let labels = Labels::of_row(row);
        let events = row.events as f64;
        match self {
            Self::Ratio { of, bad } if of.matches(&labels) => {
                tally.add(events, bad.matches(&labels));
            }
            Self::Latency { of, threshold_ms } if of.matches(&labels) => {
                let good = row.latencies.count_to_ms(*threshold_ms);
                tally.add(good as f64, false);
                tally.add((row.latencies.count() - good) as f64, true);
            }
            Self::Rate { of, per } => {
                tally.bad += if of.matches(&labels) { events } else { 0.0 };
                tally.total += if per.matches(&labels) { events } else { 0.0 };
            }
            Self::Cost { of, .. } if row.is_llm_call() && of.matches(&labels) => {
                tally.add(events, false);
                tally.cost += row.cost_usd;
                tally.unknown += unpriced(row);
            }
            Self::Unpriced if row.is_llm_call() => {
                tally.total += events;
                tally.bad += unpriced(row);
            }
            _ => {}
        }
    }

    /// Adds an event of a line, which counts as `weight` of them.
    pub(crate) fn add_line(&self, line: &Line<'_>, weight: f64, tally: &mut Tally) {
        let labels = Labels::of_line(line);
        match self {
            Self::Ratio { of, bad } if of.matches(&labels) => {
                tally.add(weight, bad.matches(&labels));
            }
            Self::Latency { of, threshold_ms } if of.matches(&labels) => {
                if let Some(took) = line.latency_ms() {
                    tally.add(weight, took > *threshold_ms);
                }
            }
            Self::Rate { of, per } => {
                tally.bad += if of.matches(&labels) { weight } else { 0.0 };
                tally.total += if per.matches(&labels) { weight } else { 0.0 };
            }
            Self::Cost { of, .. } if is_llm_call(line) && of.matches(&labels) => {
                tally.add(weight, false);
                tally.cost += weighted(line.cost_usd().unwrap_or_default(), weight);
                tally.unknown += if is_unpriced(line) { weight } else { 0.0 };
            }
            Self::Unpriced if is_llm_call(line) => tally.add(weight, is_unpriced(line)),
            _ => {}
        }
    }

    /// Adds an event of a line that no totals have counted. The event is known. The others that the line stands for,
    /// by its weight, are not.
    pub(crate) fn add_uncounted_line(&self, line: &Line<'_>, weight: f64, tally: &mut Tally) {
        let mut seen = Tally::default();
        self.add_line(line, 1.0, &mut seen);
        tally.merge(&seen);
        tally.unknown += seen.total.max(seen.bad) * (weight - 1.0).max(0.0);
    }

    /// Adds events that were lost. If nothing has counted them, each may have been anything.
    pub(crate) fn add_lost(&self, lost: f64, are_counted: bool, tally: &mut Tally) {
        match self {
            Self::Lost => tally.add(lost, true),
            Self::Silence => {}
            _ if are_counted => {}
            _ => tally.unknown += lost,
        }
    }

    /// Who pays for the call of a line, and how much.
    pub(crate) fn payment<'l>(&self, line: &'l Line<'_>, weight: f64) -> Option<(&'l str, Usd)> {
        let Self::Cost { of, by: Some(payer) } = self else { return None };
        let is_meant = is_llm_call(line) && of.matches(&Labels::of_line(line));
        let subject = member(line, payer.name()).filter(|_| is_meant)?;
        Some((subject, weighted(line.cost_usd()?, weight)))
    }

    /// Whether the line is one of the bad events, so that its trace is an example.
    pub(crate) fn is_example(&self, line: &Line<'_>) -> bool {
        let mut seen = Tally::default();
        self.add_line(line, 1.0, &mut seen);
        seen.bad > 0.0 || seen.cost > Usd::ZERO
    }
}

fn is_llm_call(line: &Line<'_>) -> bool {
    let calls = [EventType::LlmInvoke, EventType::LlmError].map(EventType::name);
    line.event_type().is_some_and(|name| calls.contains(&name))
}

fn is_unpriced(line: &Line<'_>) -> bool {
    line.is_paid() && line.cost_usd().is_none()
}

/// Calls that must have cost something and have no cost.
fn unpriced(row: &MetricsRow) -> f64 {
    let has_tokens = row.tokens_input > 0 || row.tokens_output > 0;
    let is_answer = row.event_type == EventType::LlmInvoke.name();
    if has_tokens && is_answer { row.events.saturating_sub(row.priced) as f64 } else { 0.0 }
}

fn weighted(cost: Usd, weight: f64) -> Usd {
    match weight {
        1.0 => cost,
        weight => Usd::try_from(cost.as_f64() * weight).unwrap_or_default(),
    }
}
