//! Alert rules.

use llm_audit_log::Usd;

use super::Objective;
use crate::alert::Severity;
use crate::span::Span;

/// When an alert fires.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// The name, which alerts have.
    pub name: String,
    /// The place of its objective.
    pub objective: usize,
    /// When it is broken.
    pub condition: Condition,
    /// How urgent that is.
    pub severity: Severity,
}

/// When a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// The share of bad events, the rate, or the count is above this.
    Above {
        /// The limit.
        limit: f64,
        /// The time over which it is computed.
        window: Span,
        /// With fewer bad events the rule does not fire.
        min_bad: f64,
    },
    /// The error budget burns too fast: the share of bad events is above `factor` times the share that the target
    /// allows, over both windows.
    Burn {
        /// How many times faster than allowed.
        factor: f64,
        /// The longer window.
        long: Span,
        /// The shorter window, which makes the alert end soon.
        short: Span,
        /// With fewer bad events in the long window the rule does not fire.
        min_bad: f64,
    },
    /// The cost is above a limit, or above a multiple of what is usual.
    Cost {
        /// The limit in US dollars.
        limit: Option<Usd>,
        /// How many times the usual cost.
        times_usual: Option<f64>,
        /// The time over which it is computed.
        window: Span,
    },
    /// Nothing was written for so long.
    Silent {
        /// How long.
        after: Span,
    },
}

/// A rule of the SRE workbook: factor, long and short window in minutes, severity.
type BurnRule = (f64, i64, i64, Severity);

/// The burn rates of the SRE workbook (<https://sre.google/workbook/alerting-on-slos/>).
const BURN_RULES: [BurnRule; 4] = [
    (14.4, 60, 5, Severity::Page),
    (6.0, 6 * 60, 30, Severity::Page),
    (3.0, 24 * 60, 2 * 60, Severity::Ticket),
    (1.0, 3 * 24 * 60, 6 * 60, Severity::Ticket),
];
/// The window for which these factors are made.
pub(super) const BURN_WINDOW: Span = Span::of_minutes(30 * 24 * 60);
/// The fewest bad events in the long window.
pub(super) const BURN_BAD_MIN: f64 = 10.0;

impl Rule {
    /// Returns the burn-rate rules of an objective. Those that could never fire are left out.
    pub(crate) fn standard_burn_rules(objective: &Objective, place: usize) -> Vec<Self> {
        let budget = objective.budget().filter(|_| objective.window == BURN_WINDOW);
        let can_fire = |factor: f64| budget.is_some_and(|budget| factor * budget < 1.0);
        let rules = BURN_RULES.into_iter().filter(|(factor, ..)| can_fire(*factor));
        let rules = rules.map(|(factor, long, short, severity)| {
            let (long, short) = (Span::of_minutes(long), Span::of_minutes(short));
            let condition = Condition::Burn { factor, long, short, min_bad: BURN_BAD_MIN };
            Self {
                name: format!("{}-burn-{long}", objective.name),
                objective: place,
                condition,
                severity,
            }
        });
        rules.collect()
    }
}

impl Condition {
    /// Returns the longest time over which it looks back.
    pub fn window(&self) -> Span {
        match self {
            Self::Above { window, .. } | Self::Cost { window, .. } => *window,
            Self::Burn { long, .. } => *long,
            Self::Silent { after } => *after,
        }
    }
}
