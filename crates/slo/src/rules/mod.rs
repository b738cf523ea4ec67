//! Whether a rule is broken at a moment.

mod usual;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use llm_audit_log::Usd;

use crate::measure::{self, Measure};
use crate::minutes::{CostWindow, Minutes, Payers};
use crate::objectives::{Condition, Indicator, Objective, Payer, Rule};
use crate::show;
use crate::span::{MINUTE, Span};
use crate::tally::Tally;
use usual::usual_cost;

/// How many users or tenants a rule is about at once: those who pay most.
const PAYERS_MAX: usize = 100;

/// Whether a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleState {
    /// It is broken, even if every unknown event is good.
    Broken,
    /// It depends on events that are unknown.
    Unknown,
    /// It is not broken, even if every unknown event is bad.
    Fine,
    /// There is no event.
    NoData,
    /// It cannot be computed yet, because nothing is known of what is usual.
    Off,
}

impl RuleState {
    fn of(is_broken: bool, may_be_broken: bool) -> Self {
        match (is_broken, may_be_broken) {
            (true, _) => Self::Broken,
            (false, true) => Self::Unknown,
            (false, false) => Self::Fine,
        }
    }

    /// Returns the name as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Unknown => "unknown",
            Self::Fine => "fine",
            Self::NoData => "no data",
            Self::Off => "off",
        }
    }
}

/// A rule at a moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RuleOutcome {
    /// Whether it is broken.
    pub state: RuleState,
    /// The user or tenant that it is about, and which of these it is.
    pub subject: Option<(String, String)>,
    /// What was seen. `None` without data.
    pub seen: Option<Measure>,
    /// The most that it should be. `None` if that is not known yet.
    pub most: Option<Measure>,
    /// What was seen, as it is shown.
    pub value: String,
    /// What should be, as it is shown.
    pub target: String,
    /// What was counted, in words.
    pub counted: String,
}

impl RuleOutcome {
    fn new(state: RuleState, seen: Option<Measure>, most: Measure, counted: String) -> Self {
        let (value, target) = (measure::shown(seen), format!("at most {}", most.shown()));
        Self { state, subject: None, seen, most: Some(most), value, target, counted }
    }

    /// Returns one sentence about it.
    pub(crate) fn summary(&self, rule: &Rule, objective: &Objective) -> String {
        let of = self
            .subject
            .as_ref()
            .map_or(String::new(), |(name, value)| format!(" of {name} {value}"));
        let (value, target, counted) = (&self.value, &self.target, &self.counted);
        let window = rule.condition.window();
        format!(
            "{}{of}: {value} over {window} ({counted}), and it should be {target}",
            objective.name
        )
    }
}

impl Rule {
    /// Computes the rule at a moment, the end of a minute, which is not before the one of the last call with these
    /// costs. A rule of each user or tenant gives one outcome for each who breaks it, or may. If there are too many,
    /// those for whom it fires already come first.
    pub(crate) fn evaluate(
        &self,
        objective: &Objective,
        costs: &mut CostWindow<'_>,
        end: i64,
        firing: &BTreeSet<String>,
    ) -> Vec<RuleOutcome> {
        let window = Window { minutes: costs.minutes, objective, at: self.objective, end };
        match self.condition {
            Condition::Above { limit, window: span, min_bad } => {
                vec![window.above(limit, span, min_bad)]
            }
            Condition::Burn { factor, long, short, min_bad } => {
                vec![window.burn(factor, (long, short), min_bad)]
            }
            Condition::Cost { limit, times_usual, window: span } => {
                match objective.indicator.payer() {
                    Some(payer) => {
                        costs.move_to(end - span.micros(), end);
                        let most = (limit.unwrap_or_default(), span);
                        window.costs_of(payer, most, &costs.payers, firing)
                    }
                    None => vec![window.cost(limit, times_usual, span)],
                }
            }
            Condition::Silent { after } => vec![window.silence(after)],
        }
    }
}

struct Window<'m> {
    minutes: &'m Minutes,
    objective: &'m Objective,
    at: usize,
    end: i64,
}

impl Window<'_> {
    fn sum(&self, span: Span) -> Tally {
        self.minutes.sum(self.at, self.end - span.micros(), self.end)
    }

    /// What was counted, and of how much of the window if the log begins later.
    fn counted(&self, tally: &Tally, span: Span) -> String {
        let of = match self.objective.indicator {
            Indicator::Lost | Indicator::Unpriced => format!("{} events", show::number(tally.bad)),
            Indicator::Rate { .. } => {
                format!("{} to {}", show::number(tally.bad), show::number(tally.total))
            }
            _ => format!("{} of {}", show::number(tally.bad), show::number(tally.total)),
        };
        let unknown = match tally.unknown {
            0.0 => String::new(),
            unknown => format!(", {} unknown", show::number(unknown)),
        };
        format!("{of}{unknown}{}", self.missing(span))
    }

    fn missing(&self, span: Span) -> String {
        let first = self.minutes.range().map_or(self.end, |(first, _)| first);
        let covered = (self.end - first.max(self.end - span.micros())) / MINUTE;
        match covered < span.minutes() {
            true => format!(", the log has {} of {span}", Span::of_minutes(covered.max(1))),
            false => String::new(),
        }
    }

    fn above(&self, limit: f64, span: Span, min_bad: f64) -> RuleOutcome {
        let tally = self.sum(span);
        let (least, most) = match self.objective.indicator {
            Indicator::Rate { .. } => tally.rates(),
            Indicator::Lost | Indicator::Unpriced => (tally.bad, tally.bad),
            _ => tally.shares(),
        };
        let is_above = least > limit && tally.bad >= min_bad;
        let may_be_above = most > limit && tally.bad + tally.unknown >= min_bad;
        let state = match tally.is_empty() {
            true => RuleState::NoData,
            false => RuleState::of(is_above, may_be_above),
        };
        let measure = match self.objective.indicator {
            Indicator::Rate { .. } => Measure::Rate,
            Indicator::Lost | Indicator::Unpriced => Measure::Count,
            _ => Measure::Share,
        };
        RuleOutcome::new(state, Some(measure(least)), measure(limit), self.counted(&tally, span))
    }

    fn burn(&self, factor: f64, (long, short): (Span, Span), min_bad: f64) -> RuleOutcome {
        let tallies = [self.sum(long), self.sum(short)];
        let budget = self.objective.budget().unwrap_or_default();
        let limit = factor * budget;
        let [in_long, _] = &tallies;
        let is_broken =
            tallies.iter().all(|tally| tally.shares().0 > limit) && in_long.bad >= min_bad;
        let may_be_broken = tallies.iter().all(|tally| tally.shares().1 > limit)
            && in_long.bad + in_long.unknown >= min_bad;
        let state = match in_long.is_empty() {
            true => RuleState::NoData,
            false => RuleState::of(is_broken, may_be_broken),
        };
        let share = Some(in_long.shares().0).filter(|_| !in_long.is_empty());
        let rate = share.map(|share| format!(", {}", show::burn_rate(share / budget, budget)));
        let counted = self.counted(in_long, long) + &rate.unwrap_or_default();
        let outcome =
            RuleOutcome::new(state, share.map(Measure::Share), Measure::Share(limit), counted);
        let target = format!("{} over {long} and {short}", outcome.target);
        RuleOutcome { target, ..outcome }
    }

    fn cost(&self, limit: Option<Usd>, times_usual: Option<f64>, span: Span) -> RuleOutcome {
        let tally = self.sum(span);
        let usual = times_usual.zip(usual_cost(self.minutes, self.at, self.end, span));
        let usual = usual.and_then(|(times, usual)| Usd::try_from(usual.as_f64() * times).ok());
        let most = limit.into_iter().chain(usual).min();
        let seen = Some(Measure::Cost(tally.cost));
        let counted = format!("{} calls{}", show::number(tally.total), self.missing(span));
        let Some(most) = most else {
            let target = "the usual cost is not known yet".to_owned();
            let outcome = RuleOutcome::new(RuleState::Off, seen, Measure::Cost(Usd::ZERO), counted);
            return RuleOutcome { most: None, target, ..outcome };
        };
        let state = match tally.is_empty() {
            true => RuleState::NoData,
            false => RuleState::of(tally.cost > most, tally.unknown > 0.0),
        };
        RuleOutcome::new(state, seen, Measure::Cost(most), counted)
    }

    /// Those who may have paid more than the limit: those for whom it fires already, and then the highest.
    fn costs_of(
        &self,
        payer: Payer,
        (limit, span): (Usd, Span),
        payers: &Payers,
        firing: &BTreeSet<String>,
    ) -> Vec<RuleOutcome> {
        let mut above: Vec<_> = payers.iter().filter(|(_, _, most)| *most > limit).collect();
        above.sort_by_key(|(name, least, _)| (!firing.contains(*name), Reverse(*least)));
        let above = above.into_iter().take(PAYERS_MAX).map(|(name, least, most)| RuleOutcome {
            subject: Some((payer.name().to_owned(), name.to_owned())),
            ..RuleOutcome::new(
                RuleState::of(least > limit, most > limit),
                Some(Measure::Cost(least)),
                Measure::Cost(limit),
                format!("calls of one {}{}", payer.name(), self.missing(span)),
            )
        });
        above.collect()
    }

    fn silence(&self, after: Span) -> RuleOutcome {
        let quiet = self.end - self.minutes.last_write;
        let is_silent = self.minutes.has_writer && quiet > after.micros();
        let quiet = Span::of_minutes((quiet / MINUTE).max(0));
        let state = RuleState::of(is_silent, is_silent);
        let (seen, counted) = (Some(Measure::Time(quiet)), "since the last line".to_owned());
        RuleOutcome::new(state, seen, Measure::Time(after), counted)
    }
}
