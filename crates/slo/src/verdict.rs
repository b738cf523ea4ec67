//! Whether objectives are met, by a log.

use llm_audit_log::Usd;

use crate::measure::{self, Measure};
use crate::minutes::{CostWindow, MINUTES_KEPT, Minutes};
use crate::objectives::{Objective, Objectives, Target};
use crate::span::{HOUR, MINUTE, floor};
use crate::tally::Tally;

/// Whether an objective is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verdict {
    /// It is not met, even if every unknown event is good.
    Breached,
    /// It depends on events that are unknown.
    Unknown,
    /// It is met, even if every unknown event is bad.
    Met,
    /// There is no event.
    NoData,
}

impl Verdict {
    /// Returns the name as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breached => "breached",
            Self::Unknown => "unknown",
            Self::Met => "met",
            Self::NoData => "no data",
        }
    }

    /// Decides by a value of which the least and the most that it can be are known.
    fn of_range<T: PartialOrd>(least: T, most: T, limit: T) -> Self {
        match () {
            () if least > limit => Self::Breached,
            () if most <= limit => Self::Met,
            () => Self::Unknown,
        }
    }
}

/// How an objective was judged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Judgement<'o> {
    /// The objective.
    pub objective: &'o Objective,
    /// Whether it is met.
    pub verdict: Verdict,
    /// The time that was judged: from, and to before, in microseconds since the Unix epoch. Of a cost it is the
    /// window that cost most.
    pub period: (i64, i64),
    /// Events, bad ones among them, and events that are unknown. They are estimates if lines were sampled and there
    /// are no totals.
    pub events: (f64, f64, f64),
    /// The share of the budget that is left: 1 is all of it, and 0 or less is nothing. `None` without data.
    pub budget_left: Option<f64>,
    /// What was seen. `None` without data.
    pub seen: Option<Measure>,
    /// The same, as it is shown.
    pub value: String,
    /// What was promised, as it is shown.
    pub target: String,
    /// The user or tenant that the value is of.
    pub payer: Option<String>,
}

impl Objective {
    /// Returns the most that is promised.
    pub fn most(&self) -> Option<Measure> {
        Some(match self.target? {
            Target::Good(_) => Measure::Share(self.budget().unwrap_or_default()),
            Target::Rate(most) => Measure::Rate(most),
            Target::Cost(most) => Measure::Cost(most),
        })
    }

    /// Returns what is promised, as it is shown.
    pub fn shown_target(&self) -> String {
        self.most().map_or("-".to_owned(), |most| format!("≤ {}", most.shown()))
    }
}

/// Returns the beginning of a window. Long ones begin at full hours, because older minutes are not kept.
pub(crate) fn window_start(end: i64, window: i64) -> i64 {
    let start = end - window;
    if window > MINUTES_KEPT - HOUR { floor(start, HOUR) } else { start }
}

impl Objectives {
    /// Judges every objective that has a target, over its window before `end` or, if `since` is given, from then on.
    pub(crate) fn judge(
        &self,
        minutes: &Minutes,
        since: Option<i64>,
        end: i64,
    ) -> Vec<Judgement<'_>> {
        let objectives = self.objectives.iter().enumerate();
        let judged = objectives.filter_map(|(at, objective)| {
            let from = since.unwrap_or_else(|| window_start(end, objective.window.micros()));
            let judge = Judge { minutes, at, objective, from, end };
            Some(match objective.target? {
                Target::Good(_) => judge.share(),
                Target::Rate(most) => judge.rate(most),
                Target::Cost(most) => judge.cost(most),
            })
        });
        judged.collect()
    }
}

struct Judge<'m, 'o> {
    minutes: &'m Minutes,
    at: usize,
    objective: &'o Objective,
    from: i64,
    end: i64,
}

impl<'o> Judge<'_, 'o> {
    fn judgement(&self, tally: &Tally, verdict: Verdict, seen: Option<Measure>) -> Judgement<'o> {
        Judgement {
            objective: self.objective,
            verdict,
            period: (self.from, self.end),
            events: (tally.total, tally.bad, tally.unknown),
            budget_left: None,
            seen,
            value: measure::shown(seen),
            target: self.objective.shown_target(),
            payer: None,
        }
    }

    fn share(&self) -> Judgement<'o> {
        let tally = self.minutes.sum(self.at, self.from, self.end);
        if tally.is_empty() {
            return self.judgement(&tally, Verdict::NoData, None);
        }
        let budget = self.objective.budget().unwrap_or_default();
        let (least, most) = tally.shares();
        let verdict = Verdict::of_range(least, most, budget);
        let left = Some(1.0 - least / budget);
        Judgement {
            budget_left: left,
            ..self.judgement(&tally, verdict, Some(Measure::Share(least)))
        }
    }

    fn rate(&self, limit: f64) -> Judgement<'o> {
        let tally = self.minutes.sum(self.at, self.from, self.end);
        if tally.is_empty() {
            return self.judgement(&tally, Verdict::NoData, None);
        }
        let (least, most) = tally.rates();
        let verdict = Verdict::of_range(least, most, limit);
        let left = Some(1.0 - least / limit);
        Judgement {
            budget_left: left,
            ..self.judgement(&tally, verdict, Some(Measure::Rate(least)))
        }
    }

    /// Judges the window of the period that costs most.
    fn cost(&self, limit: Usd) -> Judgement<'o> {
        let window = self.objective.window.micros();
        let whole = self.minutes.sum(self.at, self.from, self.end);
        if whole.is_empty() {
            return self.judgement(&whole, Verdict::NoData, None);
        }
        let ends = self.minutes.times(self.from, self.end).map(|time| time + MINUTE);
        let has_payers = self.objective.indicator.payer().is_some();
        let mut costs = CostWindow::new(self.minutes, self.at);
        let windows: Vec<_> = ends
            .map(|end| {
                costs.move_to(self.from.max(end - window), end);
                WindowCost::of(&costs, end, has_payers)
            })
            .collect();
        // Another window than the one that certainly costs most may be the one that costs too much.
        let most = windows.iter().map(|window| window.most).max().unwrap_or_default();
        let Some(worst) = windows.into_iter().max_by_key(|window| window.least) else {
            return self.judgement(&whole, Verdict::NoData, None);
        };
        let has_unknown = whole.unknown > 0.0;
        let verdict = match Verdict::of_range(worst.least, most, limit) {
            Verdict::Met if has_unknown => Verdict::Unknown,
            verdict => verdict,
        };
        let left = Some(1.0 - worst.least.as_f64() / limit.as_f64());
        Judgement {
            period: (worst.end - window, worst.end),
            budget_left: left,
            payer: worst.payer,
            ..self.judgement(&whole, verdict, Some(Measure::Cost(worst.least)))
        }
    }
}

/// What a window costs, or the one who pays most in it.
struct WindowCost {
    end: i64,
    least: Usd,
    most: Usd,
    payer: Option<String>,
}

impl WindowCost {
    fn of(costs: &CostWindow<'_>, end: i64, has_payers: bool) -> Self {
        if !has_payers {
            return Self { end, least: costs.cost, most: costs.cost, payer: None };
        }
        let highest = costs.payers.iter().max_by_key(|(_, least, _)| *least);
        let (payer, least) =
            highest.map_or((None, Usd::ZERO), |(name, least, _)| (Some(name.to_owned()), least));
        Self { end, least, most: costs.payers.most(), payer }
    }
}
