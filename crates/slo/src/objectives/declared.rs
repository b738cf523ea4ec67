//! Declarations of a file, checked in the same way for both forms of the file.

use std::collections::BTreeSet;

use llm_audit_log::{Usd, edit_distance};

use super::{Condition, Indicator, Objective, Objectives, Payer, Rule};
use crate::alert::Severity;
use crate::show;
use crate::span::Span;

/// The longest window of a budget for each user or tenant.
const PAYER_WINDOW: Span = Span::of_minutes(24 * 60);

/// A place in a file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T> At<T> {
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { place: Some(self.place), what: what.into() }
    }
}

/// What is wrong in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: Option<Place>,
    pub(super) what: String,
}

/// A rule as it is written.
#[derive(Clone, Debug)]
pub(super) struct DeclaredRule {
    pub(super) name: At<String>,
    pub(super) objective: At<String>,
    pub(super) condition: Condition,
    pub(super) severity: Severity,
}

/// What a file declares.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    /// Each with its name's place.
    pub(super) objectives: Vec<At<Objective>>,
    pub(super) rules: Vec<DeclaredRule>,
    /// The objectives that have no burn-rate rules of their own, by their places.
    pub(super) standard_burn_rules: Vec<usize>,
}

impl Declared {
    /// Checks everything, and adds the burn-rate rules.
    pub(super) fn resolve(self) -> Result<Objectives, Fault> {
        if self.objectives.is_empty() {
            let what = "there is no objective; accepted: one or more".to_owned();
            return Err(Fault { place: None, what });
        }
        let mut names = BTreeSet::new();
        for objective in &self.objectives {
            check_name(&objective.value.name, objective, &mut names)?;
            check_payer_window(&objective.value, objective.value.window, objective)?;
            check_payer_selection(&objective.value, objective)?;
        }
        let objectives: Vec<_> = self.objectives.into_iter().map(|at| at.value).collect();
        let mut names = BTreeSet::new();
        let mut rules = Vec::new();
        for rule in self.rules {
            check_name(&rule.name.value, &rule.name, &mut names)?;
            rules.push(rule.resolve(&objectives)?);
        }
        for place in self.standard_burn_rules {
            let further = Rule::standard_burn_rules(&objectives[place], place);
            rules.extend(further.into_iter().filter(|rule| names.insert(rule.name.clone())));
        }
        Ok(Objectives { objectives, rules })
    }
}

/// Checks that a name can be a label and a file's key, and is the only one of its kind.
fn check_name<T>(name: &str, at: &At<T>, names: &mut BTreeSet<String>) -> Result<(), Fault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 63 || !name.chars().all(is_plain) {
        let accepted = "accepted: 1 to 63 letters, digits, `-`, `_` and `.`";
        return Err(at.fault(format!("\"{name}\" is not a name; {accepted}")));
    }
    match names.insert(name.to_owned()) {
        true => Ok(()),
        false => Err(at.fault(format!("\"{name}\" is declared twice"))),
    }
}

/// Refuses a budget of each user for some calls: totals have the whole cost of a user.
fn check_payer_selection<T>(objective: &Objective, at: &At<T>) -> Result<(), Fault> {
    match &objective.indicator {
        Indicator::Cost { of, by: Some(Payer::User), .. } if !of.is_everything() => Err(at.fault(
            "the budget of each user is for all calls of models; accepted: `by = \"user\"` without `of`"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

fn check_payer_window<T>(objective: &Objective, window: Span, at: &At<T>) -> Result<(), Fault> {
    match objective.indicator.payer() {
        Some(payer) if window > PAYER_WINDOW => Err(at.fault(format!(
            "the budget of each {} has a window of {window}; accepted: at most {PAYER_WINDOW}",
            payer.name()
        ))),
        _ => Ok(()),
    }
}

impl DeclaredRule {
    fn resolve(mut self, objectives: &[Objective]) -> Result<Rule, Fault> {
        let name = &self.objective.value;
        let Some(place) = objectives.iter().position(|objective| objective.name == *name) else {
            return Err(self.objective.fault(unknown_objective(name, objectives)));
        };
        if let (Indicator::Cost { .. }, Condition::Above { limit, window, .. }) =
            (&objectives[place].indicator, self.condition)
        {
            let limit = Usd::try_from(limit).ok();
            self.condition = Condition::Cost { limit, times_usual: None, window };
        }
        self.check_condition(&objectives[place])?;
        check_payer_window(&objectives[place], self.condition.window(), &self.name)?;
        Ok(Rule {
            name: self.name.value,
            objective: place,
            condition: self.condition,
            severity: self.severity,
        })
    }

    /// Checks that the condition fits the indicator, and can become true.
    fn check_condition(&self, objective: &Objective) -> Result<(), Fault> {
        let fits = match (&objective.indicator, self.condition) {
            (Indicator::Cost { by: Some(_), .. }, Condition::Cost { times_usual: Some(_), .. }) => {
                false
            }
            (Indicator::Cost { .. }, Condition::Cost { .. })
            | (Indicator::Silence, Condition::Silent { .. }) => true,
            (Indicator::Cost { .. } | Indicator::Silence, _)
            | (_, Condition::Cost { .. } | Condition::Silent { .. }) => false,
            (indicator, Condition::Burn { .. }) => indicator.has_good_and_bad(),
            (_, Condition::Above { .. }) => true,
        };
        let (name, objective_name) = (&self.name.value, &objective.name);
        if !fits {
            let accepted = accepted_conditions(&objective.indicator);
            let what = format!(
                "rule \"{name}\" does not fit objective \"{objective_name}\"; accepted: {accepted}"
            );
            return Err(self.name.fault(what));
        }
        match self.condition {
            Condition::Above { limit, .. }
                if objective.indicator.has_good_and_bad() && limit >= 1.0 =>
            {
                let limit = show::percent(limit);
                Err(self.name.fault(format!(
                    "rule \"{name}\" can never fire: no share is above {limit}; accepted: less than 1"
                )))
            }
            Condition::Burn { factor, .. } => self.check_burn_rate(factor, objective),
            _ => Ok(()),
        }
    }

    fn check_burn_rate(&self, factor: f64, objective: &Objective) -> Result<(), Fault> {
        let (name, objective_name) = (&self.name.value, &objective.name);
        let Some(budget) = objective.budget() else {
            return Err(self.name.fault(format!(
                "rule \"{name}\" needs a target of objective \"{objective_name}\""
            )));
        };
        if factor * budget < 1.0 {
            return Ok(());
        }
        Err(self.name.fault(format!(
            "rule \"{name}\" can never fire: {factor} times the error budget of {} is 100 % or more; \
             accepted: a factor below {}",
            show::percent(budget),
            show::number(1.0 / budget)
        )))
    }
}

fn accepted_conditions(indicator: &Indicator) -> &'static str {
    match indicator {
        Indicator::Cost { by: Some(_), .. } => "`above` in US dollars",
        Indicator::Cost { .. } => "`above` in US dollars, or `times_usual`",
        Indicator::Silence => "`silent_for`",
        Indicator::Ratio { .. } | Indicator::Latency { .. } => "`above`, or `burn`",
        _ => "`above`",
    }
}

fn unknown_objective(name: &str, objectives: &[Objective]) -> String {
    let names = objectives.iter().map(|objective| objective.name.as_str());
    let closest = names.min_by_key(|known| edit_distance(known, name));
    match closest {
        Some(closest) => {
            format!("there is no objective \"{name}\"; the closest one is \"{closest}\"")
        }
        None => format!("there is no objective \"{name}\""),
    }
}
