//! The short form of the file, in TOML.

use llm_audit_log::Usd;
use serde::Deserialize;
use toml::Spanned;

use super::declared::{At, Declared, DeclaredRule, Fault, Place};
use super::rule::{BURN_BAD_MIN, BURN_WINDOW};
use super::{Condition, Indicator, Objective, Objectives, Payer, Selection, Target};
use crate::alert::Severity;
use crate::span::Span;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortFile {
    #[serde(default, rename = "objective")]
    objectives: Vec<ShortObjective>,
    #[serde(default, rename = "rule")]
    rules: Vec<ShortRule>,
    /// Whether 30-day objectives have the burn-rate rules of the SRE workbook.
    #[serde(default = "yes")]
    burn_rates: bool,
}

fn yes() -> bool {
    true
}

/// The names of indicators.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum IndicatorName {
    Ratio,
    Latency,
    Rate,
    Cost,
    Lost,
    Unpriced,
    Silence,
}

/// `[[objective]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortObjective {
    name: Spanned<String>,
    #[serde(default)]
    description: String,
    indicator: IndicatorName,
    of: Option<Selection>,
    bad: Option<Selection>,
    good: Option<Selection>,
    per: Option<Selection>,
    by: Option<Payer>,
    threshold_ms: Option<Spanned<f64>>,
    target: Option<Spanned<f64>>,
    max: Option<Spanned<f64>>,
    window: Option<Span>,
}

/// `[[rule]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortRule {
    name: Spanned<String>,
    objective: Spanned<String>,
    severity: Severity,
    above: Option<Spanned<f64>>,
    times_usual: Option<Spanned<f64>>,
    window: Option<Span>,
    min_bad: Option<Spanned<f64>>,
    burn: Option<ShortBurn>,
    silent_for: Option<Span>,
}

/// `burn = { factor = 14.4, long = "1h", short = "5m" }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortBurn {
    factor: Spanned<f64>,
    long: Span,
    short: Span,
}

pub(super) fn read(text: &str) -> Result<Objectives, Fault> {
    let file: ShortFile = toml::from_str(text).map_err(|error| Fault {
        place: error.span().map(|span| place(text, span.start)),
        what: error.message().to_owned(),
    })?;
    let mut declared = Declared::default();
    for objective in file.objectives {
        declared.objectives.push(objective.declare(text)?);
    }
    for rule in file.rules {
        declared.rules.push(rule.declare(text)?);
    }
    if file.burn_rates {
        declared.standard_burn_rules = (0..declared.objectives.len()).collect();
    }
    declared.resolve()
}

/// The place of a byte.
fn place(text: &str, byte: usize) -> Place {
    let before = &text[..byte.min(text.len())];
    let line = before.rsplit('\n').next().unwrap_or_default();
    let lines = before.matches('\n').count();
    Place { line: lines as u64 + 1, column: line.chars().count() as u64 + 1 }
}

fn at<T>(text: &str, spanned: Spanned<T>) -> At<T> {
    let place = place(text, spanned.span().start);
    At { value: spanned.into_inner(), place }
}

/// A number that has to be in this range.
fn number(
    text: &str,
    given: Option<Spanned<f64>>,
    is_accepted: fn(f64) -> bool,
    accepted: &str,
) -> Result<Option<f64>, Fault> {
    let Some(given) = given.map(|given| at(text, given)) else { return Ok(None) };
    match is_accepted(given.value) {
        true => Ok(Some(given.value)),
        false => Err(given.fault(format!("{} is not accepted; accepted: {accepted}", given.value))),
    }
}

fn is_positive(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

fn is_not_negative(value: f64) -> bool {
    value >= 0.0 && value.is_finite()
}

const POSITIVE: &str = "a number above 0";
const NOT_NEGATIVE: &str = "a number from 0";
const SHARE: &str = "a share above 0 and below 1, such as 0.99";

fn dollars(value: f64) -> Usd {
    Usd::try_from(value).unwrap_or_default()
}

impl ShortObjective {
    fn declare(self, text: &str) -> Result<At<Objective>, Fault> {
        use IndicatorName::{Cost, Latency, Lost, Rate, Ratio, Silence, Unpriced};

        let bad = self.bad.or(self.good.map(Selection::negate));
        let given = [
            ("bad", bad.is_some(), self.indicator == Ratio),
            ("per", self.per.is_some(), self.indicator == Rate),
            ("threshold_ms", self.threshold_ms.is_some(), self.indicator == Latency),
        ];
        let is_share = matches!(self.indicator, Ratio | Latency);
        let unwanted = [
            ("of", self.of.is_some() && matches!(self.indicator, Lost | Unpriced | Silence)),
            ("by", self.by.is_some() && self.indicator != Cost),
            ("target", self.target.is_some() && !is_share),
            ("max", self.max.is_some() && !matches!(self.indicator, Rate | Cost)),
        ];
        let name = at(text, self.name);
        for (key, is_given, is_needed) in given {
            if is_needed && !is_given {
                return Err(name.fault(format!("objective \"{}\" needs `{key}`", name.value)));
            }
        }
        let wrong = given.map(|(key, is_given, is_needed)| (key, is_given && !is_needed));
        if let Some((key, _)) = wrong.iter().chain(&unwanted).find(|(_, is_wrong)| *is_wrong) {
            return Err(name.fault(format!(
                "objective \"{}\" has `{key}`, which its indicator does not have",
                name.value
            )));
        }
        let threshold_ms = number(text, self.threshold_ms, is_positive, POSITIVE)?;
        let of = self.of.unwrap_or_default();
        let indicator = match self.indicator {
            Ratio => Indicator::Ratio { of, bad: bad.unwrap_or_default() },
            Latency => Indicator::Latency { of, threshold_ms: threshold_ms.unwrap_or_default() },
            Rate => Indicator::Rate { of, per: self.per.unwrap_or_default() },
            Cost => Indicator::Cost { of, by: self.by },
            Lost => Indicator::Lost,
            Unpriced => Indicator::Unpriced,
            Silence => Indicator::Silence,
        };
        let share = number(text, self.target, |share| share > 0.0 && share < 1.0, SHARE)?;
        let max = number(text, self.max, is_positive, POSITIVE)?;
        let max = max.map(|max| match indicator {
            Indicator::Cost { .. } => Target::Cost(dollars(max)),
            _ => Target::Rate(max),
        });
        let default = if is_share { BURN_WINDOW } else { Span::of_minutes(60) };
        let objective = Objective {
            name: name.value.clone(),
            description: self.description,
            indicator,
            target: share.map(Target::Good).or(max),
            window: self.window.unwrap_or(default),
        };
        Ok(At { value: objective, place: name.place })
    }
}

impl ShortRule {
    fn declare(self, text: &str) -> Result<DeclaredRule, Fault> {
        let name = at(text, self.name);
        let above = number(text, self.above, is_not_negative, NOT_NEGATIVE)?;
        let times_usual = number(text, self.times_usual, is_positive, POSITIVE)?;
        let min_bad = number(text, self.min_bad, is_positive, POSITIVE)?;
        let window = self.window;
        let needs_window = || name.fault(format!("rule \"{}\" needs `window`", name.value));
        let condition = match (above, times_usual, self.burn, self.silent_for) {
            (None, None, Some(burn), None) => burn.declare(text, min_bad)?,
            (None, None, None, Some(after)) => Condition::Silent { after },
            (Some(limit), None, None, None) => {
                let (window, min_bad) = (window.ok_or_else(needs_window)?, min_bad.unwrap_or(1.0));
                Condition::Above { limit, window, min_bad }
            }
            (limit, Some(_), None, None) => {
                let (window, limit) = (window.ok_or_else(needs_window)?, limit.map(dollars));
                Condition::Cost { limit, times_usual, window }
            }
            _ => {
                let accepted = "`above`, `times_usual`, `burn` or `silent_for`";
                return Err(name.fault(format!("rule \"{}\" needs one of {accepted}", name.value)));
            }
        };
        Ok(DeclaredRule {
            name,
            objective: at(text, self.objective),
            condition,
            severity: self.severity,
        })
    }
}

impl ShortBurn {
    fn declare(self, text: &str, min_bad: Option<f64>) -> Result<Condition, Fault> {
        let (long, short) = (self.long, self.short);
        let place = at(text, self.factor);
        if !is_positive(place.value) {
            return Err(
                place.fault(format!("{} is not accepted; accepted: {POSITIVE}", place.value))
            );
        }
        if short >= long {
            let what = format!("the short window {short} is not shorter than the long one, {long}");
            return Err(place.fault(what));
        }
        let min_bad = min_bad.unwrap_or(BURN_BAD_MIN);
        Ok(Condition::Burn { factor: place.value, long, short, min_bad })
    }
}
