//! Values of objectives and rules, with their units.

use llm_audit_log::Usd;

use crate::show;
use crate::span::Span;

/// What was seen, or should be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Measure {
    /// The share of bad events.
    Share(f64),
    /// How many events there are for each of others.
    Rate(f64),
    /// How many events there are.
    Count(f64),
    /// What they cost.
    Cost(Usd),
    /// How long nothing came.
    Time(Span),
}

impl Measure {
    /// Returns the name of the number, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Share(_) => "bad_share",
            Self::Rate(_) => "rate",
            Self::Count(_) => "count",
            Self::Cost(_) => "cost_usd",
            Self::Time(_) => "minutes",
        }
    }

    /// Returns the number. It is not finite if there is nothing to divide by.
    pub fn number(self) -> f64 {
        match self {
            Self::Share(number) | Self::Rate(number) | Self::Count(number) => number,
            Self::Cost(cost) => cost.as_f64(),
            Self::Time(span) => span.minutes() as f64,
        }
    }

    /// Returns it as it is shown.
    pub(crate) fn shown(self) -> String {
        match self {
            _ if !self.number().is_finite() => "-".to_owned(),
            Self::Share(share) => show::percent(share),
            Self::Rate(number) | Self::Count(number) => show::number(number),
            Self::Cost(cost) => show::dollars(cost),
            Self::Time(span) => span.to_string(),
        }
    }
}

/// Shows what was seen; `-` without data.
pub(crate) fn shown(seen: Option<Measure>) -> String {
    seen.map_or("-".to_owned(), Measure::shown)
}
