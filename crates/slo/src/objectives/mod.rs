//! Objectives and alert rules: what they are, and where they come from.

mod declared;
mod indicator;
mod openslo;
mod rule;
mod selection;
mod short;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use llm_audit_log::Usd;
use llm_audit_log::schema::MetricsRow;

use crate::error::Error;
use crate::span::Span;
use crate::tally::Tally;
use declared::Fault;
pub use indicator::{Indicator, Payer};
pub(crate) use openslo::{API_VERSION, SOURCE_TYPE};
pub use rule::{Condition, Rule};
pub use selection::Selection;
pub(crate) use selection::{Clause, Listed, member};

/// The objectives and rules that hold unless a file says something else.
const BUILT_IN: &str = include_str!("built_in.toml");

/// What is said of a file that is not OpenSLO, and has no ending that says so.
const READ_AS_YAML: &str =
    " (it is read as OpenSLO in YAML; the short form in TOML needs a name that ends in .toml)";

/// What is promised.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Objective {
    /// The name, as labels have it.
    pub name: String,
    /// A sentence about it; may be empty.
    pub description: String,
    /// What is counted.
    pub indicator: Indicator,
    /// What is promised. `None` if only rules watch it.
    pub target: Option<Target>,
    /// The time over which it is judged.
    pub window: Span,
}

/// What is promised of an indicator.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// At least this share of the events is good.
    Good(f64),
    /// At most so many for each.
    Rate(f64),
    /// At most this cost in the window.
    Cost(Usd),
}

impl Objective {
    /// Returns the share of bad events that is allowed, if events are good or bad.
    pub fn budget(&self) -> Option<f64> {
        match self.target? {
            // Without the digits that the subtraction brings.
            Target::Good(share) => Some(((1.0 - share) * 1e12).round() / 1e12),
            _ => None,
        }
    }
}

/// Objectives and alert rules.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Objectives {
    /// The objectives.
    pub objectives: Vec<Objective>,
    /// The rules, which name objectives by their places.
    pub rules: Vec<Rule>,
}

/// How many events an objective counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventCounts<'o> {
    /// The objective.
    pub slo: &'o str,
    /// Events that are good.
    pub good: u64,
    /// Events that are bad.
    pub bad: u64,
}

impl Objectives {
    /// Returns the objectives that hold without a file.
    pub fn built_in() -> Self {
        short::read(BUILT_IN).expect("a test reads it")
    }

    /// Reads a file: the short form in TOML if its name ends in `.toml`, otherwise OpenSLO in YAML.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or says something that is not accepted. The message names the line, the column,
    /// what was given and what is accepted.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a file of this name, as [`read`](Self::read) does.
    ///
    /// # Errors
    ///
    /// The text says something that is not accepted.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let is_toml = name.ends_with(".toml");
        let read = if is_toml { short::read(text) } else { openslo::read(text) };
        read.map_err(|Fault { place, what }| {
            let place = place.map(|place| format!(":{}:{}", place.line, place.column));
            let has_ending = [".toml", ".yaml", ".yml"].iter().any(|end| name.ends_with(end));
            let read_as = if has_ending { "" } else { READ_AS_YAML };
            Error::objectives(format!("{name}{}: {what}{read_as}", place.unwrap_or_default()))
        })
    }

    /// Counts good and bad events, as Prometheus scrapes them under `llm_audit_slo_events_total`.
    ///
    /// The rows count from the start of a process. Objectives whose events are neither good nor bad, such as
    /// costs, are left out. The others have a count from the start, so that their series exist with 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit_slo::Objectives;
    ///
    /// let objectives = Objectives::built_in();
    /// let counts = objectives.counts(&[]);
    /// assert!(counts.iter().any(|counts| counts.slo == "request-errors" && counts.bad == 0));
    /// ```
    pub fn counts(&self, rows: &[MetricsRow]) -> Vec<EventCounts<'_>> {
        let counted =
            self.objectives.iter().filter(|objective| objective.indicator.has_good_and_bad());
        let counts = counted.map(|objective| {
            let mut tally = Tally::default();
            rows.iter().for_each(|row| objective.indicator.add_row(row, &mut tally));
            let (good, bad) = ((tally.total - tally.bad) as u64, tally.bad as u64);
            EventCounts { slo: &objective.name, good, bad }
        });
        counts.collect()
    }

    /// Returns the rule of this name, and its objective.
    pub fn rule(&self, name: &str) -> Option<(&Rule, &Objective)> {
        let rule = self.rules.iter().find(|rule| rule.name == name)?;
        Some((rule, &self.objectives[rule.objective]))
    }
}
