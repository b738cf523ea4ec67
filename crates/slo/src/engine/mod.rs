//! Decides which alerts fire, from the files of a log.

mod examples;
mod state;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use llm_audit_log::{Folder, Follow};

use crate::alert::Alert;
use crate::error::Error;
use crate::minutes::{CostWindow, LogReader};
use crate::objectives::{Objective, Objectives, Rule};
use crate::rules::{RuleOutcome, RuleState};
use crate::span::{MINUTE, floor};
use examples::find_examples;
use state::{EngineState, StateFolder};

/// How long after the end of a minute its totals may be written.
const SETTLE: i64 = 10_000_000;
/// How long a resolved alert is returned, so that nobody misses it if an evaluator dies.
const RESOLVED_KEPT: i64 = 15 * MINUTE;
/// How often the state is written if no alert changes.
const SAVE_EVERY: i64 = 10 * MINUTE;
/// How many new alerts of a service search the log for examples in one check.
const SEARCHES_MAX: usize = 10;
/// How many files that cannot be read end the reading of a check.
const FILE_ERRORS_MAX: usize = 16;

/// Decides which alerts fire, from the files of a log folder.
///
/// It has no thread: somebody calls [`check`](Self::check) about once a minute. Of several evaluators on a folder, in
/// this process or in others, one holds the folder's lock and evaluates. If it ends, the next one that checks continues
/// with the same alerts. Its state is in the folder `.slo` of the log.
///
/// # Examples
///
/// ```
/// use llm_audit_slo::{AlertEngine, Objectives};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let (logs, now) = (folder.path(), 1_767_323_045_000_000);
/// let mut engine = AlertEngine::new(logs, Objectives::built_in());
/// for alert in engine.check(now) {
///     println!("{}: {}", alert.rule, alert.summary);
/// }
/// assert!(!engine.is_held_elsewhere());
/// ```
#[derive(Debug)]
pub struct AlertEngine {
    dir: PathBuf,
    objectives: Arc<Objectives>,
    /// While this evaluator holds the lock.
    holder: Option<Holder>,
    error: Option<Error>,
    is_held_elsewhere: bool,
}

/// What the one evaluator of a folder has.
#[derive(Debug)]
struct Holder {
    folder: StateFolder,
    follow: Follow,
    reader: LogReader,
    /// Those that fire, and those that were resolved lately.
    alerts: Vec<Alert>,
    /// The same as all notifiers know them.
    told: Vec<Alert>,
    saved_at: i64,
    /// Whether the state has to be written with the next check.
    has_changed: bool,
}

impl AlertEngine {
    /// Makes an evaluator of the log in `dir`. Nothing is read before the first check.
    pub fn new(dir: impl Into<PathBuf>, objectives: Objectives) -> Self {
        let objectives = Arc::new(objectives);
        Self { dir: dir.into(), objectives, holder: None, error: None, is_held_elsewhere: false }
    }

    /// Reads what is new in the log and computes all rules at `now`, in microseconds since the Unix epoch. Returns
    /// the alerts that fire, and those that were resolved in the last 15 minutes. A minute counts ten seconds after
    /// its end.
    ///
    /// If another evaluator has the folder, nothing is computed and there is no alert.
    pub fn check(&mut self, now: i64) -> Vec<Alert> {
        self.error = None;
        self.check_or_fail(now).unwrap_or_else(|error| {
            self.error = Some(error);
            self.alerts().to_vec()
        })
    }

    /// Whether another evaluator had the folder when it was checked last.
    pub fn is_held_elsewhere(&self) -> bool {
        self.is_held_elsewhere
    }

    /// Returns what went wrong in the last check. Alerts then may be late.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Returns the alerts of the last check: those that fire, and those that were resolved in the 15 minutes
    /// before it.
    pub fn alerts(&self) -> &[Alert] {
        self.holder.as_ref().map_or(&[], |holder| &holder.alerts)
    }

    /// Whether this evaluator has the folder.
    pub fn has_folder(&self) -> bool {
        self.holder.is_some()
    }

    /// Returns the alerts as all notifiers know them: what [`set_told`](Self::set_told) said last, on this evaluator
    /// or on the one before it. Those that were not told to the end are not among them.
    pub fn told(&self) -> &[Alert] {
        self.holder.as_ref().map_or(&[], |holder| &holder.told)
    }

    /// Says that all notifiers know the alerts of the last check. The next check, or the end of this evaluator,
    /// writes it to the state.
    pub fn set_told(&mut self) {
        let Some(holder) = &mut self.holder else { return };
        holder.has_changed |= !are_told(&holder.alerts, &holder.told);
        holder.told.clone_from(&holder.alerts);
    }

    /// Writes the state, and gives the folder to the next evaluator that checks it.
    pub fn release(&mut self) {
        if let Some(holder) = self.holder.take().filter(|holder| holder.folder.is_held()) {
            // Without it the next evaluator reads more, and tells more.
            let _ = holder.save(&self.objectives);
        }
    }

    #[cfg(test)]
    pub(crate) fn minutes_of(&self, service: &str) -> crate::minutes::Minutes {
        self.holder.as_ref().unwrap().reader.minutes_of(service).into_owned()
    }

    fn check_or_fail(&mut self, now: i64) -> Result<Vec<Alert>, Error> {
        let is_first = !self.has_folder();
        let Some(mut holder) = self.take_folder(now)? else { return Ok(Vec::new()) };
        let mut read = holder.read(now, &self.dir);
        if is_first {
            // A logger that was killed before is known as such only if it is still silent now.
            read = read.and(holder.read(now, &self.dir));
        }
        let end = floor(now - SETTLE, MINUTE);
        holder.has_changed |= holder.evaluate(&self.objectives, end, &self.dir);
        let saved = holder.save_if_due(now, &self.objectives);
        let alerts = holder.alerts.clone();
        self.holder = Some(holder);
        self.error = read.and(saved).err();
        Ok(alerts)
    }

    /// Takes the folder, if no other evaluator has it. If the lock was lost, it is tried again in the next check.
    fn take_folder(&mut self, now: i64) -> Result<Option<Holder>, Error> {
        if let Some(holder) = self.holder.take() {
            return Ok(holder.folder.is_held().then_some(holder));
        }
        self.is_held_elsewhere = false;
        let folder = StateFolder::lock(&self.dir)?;
        self.is_held_elsewhere = folder.is_none();
        let Some(folder) = folder else { return Ok(None) };
        let EngineState { positions, reader, alerts, told } = folder.load(&self.objectives);
        Ok(Some(Holder {
            follow: Follow::resume(&self.dir, positions),
            reader: LogReader::new(Arc::clone(&self.objectives), reader),
            folder,
            alerts,
            told,
            saved_at: now,
            has_changed: false,
        }))
    }
}

/// Writes the state, so that the next evaluator need not read the log again.
impl Drop for AlertEngine {
    fn drop(&mut self) {
        self.release();
    }
}

impl Holder {
    /// Reads what is new.
    fn read(&mut self, now: i64, dir: &Path) -> Result<(), Error> {
        let mut errors = Vec::new();
        while errors.len() < FILE_ERRORS_MAX {
            match self.follow.next_line() {
                Ok(Some(mut entry)) => self.reader.add(&mut entry),
                Ok(None) => break,
                Err(error) => errors.push(error),
            }
        }
        let folder = Folder::open(dir)?;
        self.reader.settle(&folder)?;
        self.reader.fold(now, &folder);
        errors.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Computes all rules of all services. Returns whether an alert fired or ended.
    fn evaluate(&mut self, objectives: &Objectives, end: i64, dir: &Path) -> bool {
        let (mut before, mut resolved): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.alerts).into_iter().partition(Alert::is_firing);
        let mut has_changed = false;
        for service in self.reader.services() {
            let minutes = self.reader.minutes_of(service);
            let searches_left = Cell::new(SEARCHES_MAX);
            let moment = Moment { service, end, dir, searches_left };
            for rule in &objectives.rules {
                let objective = &objectives.objectives[rule.objective];
                let firing = subjects_of(&before, rule, service);
                let mut costs = CostWindow::new(&minutes, rule.objective);
                for outcome in rule.evaluate(objective, &mut costs, end, &firing) {
                    let old = take_same(&mut before, rule, service, &outcome);
                    has_changed |= old.is_none() && outcome.state == RuleState::Broken;
                    self.alerts.extend(moment.alert(rule, objective, &outcome, old));
                }
            }
        }
        has_changed |= !before.is_empty();
        let is_again = |old: &Alert| self.alerts.iter().any(|alert| alert.labels() == old.labels());
        resolved.retain(|old| old.ends_at > Some(end - RESOLVED_KEPT) && !is_again(old));
        resolved.extend(before.into_iter().map(|alert| Alert { ends_at: Some(end), ..alert }));
        self.alerts.append(&mut resolved);
        has_changed
    }

    fn save_if_due(&mut self, now: i64, objectives: &Objectives) -> Result<(), Error> {
        if !self.has_changed && (now - self.saved_at).abs() < SAVE_EVERY {
            return Ok(());
        }
        (self.saved_at, self.has_changed) = (now, false);
        self.save(objectives)
    }

    fn save(&self, objectives: &Objectives) -> Result<(), Error> {
        let (positions, alerts) = (self.follow.positions(), (&*self.alerts, &*self.told));
        self.folder.save(objectives, positions, &self.reader.state, alerts)
    }
}

/// Whether what is known of these alerts is how they are.
fn are_told(alerts: &[Alert], told: &[Alert]) -> bool {
    let state = |alert: &Alert| (alert.starts_at, alert.ends_at);
    let is_same = |(alert, told): (&Alert, &Alert)| {
        state(alert) == state(told) && alert.labels() == told.labels()
    };
    alerts.len() == told.len() && alerts.iter().zip(told).all(is_same)
}

/// Takes the alert of a rule that fired before, if this outcome does not end it.
fn take_same(
    alerts: &mut Vec<Alert>,
    rule: &Rule,
    service: &str,
    outcome: &RuleOutcome,
) -> Option<Alert> {
    // What is not known ends nothing.
    if !matches!(outcome.state, RuleState::Broken | RuleState::Unknown) {
        return None;
    }
    let is_same = |alert: &Alert| is_of(alert, rule, service) && alert.subject == outcome.subject;
    Some(alerts.swap_remove(alerts.iter().position(is_same)?))
}

/// Whether an alert is of a rule. With another severity it has other labels, so everybody takes it for another one.
fn is_of(alert: &Alert, rule: &Rule, service: &str) -> bool {
    (&*alert.rule, &*alert.service, alert.severity) == (&*rule.name, service, rule.severity)
}

/// The users or tenants of the alerts of a rule.
fn subjects_of(alerts: &[Alert], rule: &Rule, service: &str) -> BTreeSet<String> {
    let alerts = alerts.iter().filter(|alert| is_of(alert, rule, service));
    alerts.filter_map(|alert| Some(alert.subject.as_ref()?.1.clone())).collect()
}

/// The end of a minute, at which the rules of a service are computed.
struct Moment<'m> {
    service: &'m str,
    end: i64,
    dir: &'m Path,
    /// How many alerts may still search the log for examples.
    searches_left: Cell<usize>,
}

impl Moment<'_> {
    /// Returns the alert that fires, or still fires.
    fn alert(
        &self,
        rule: &Rule,
        objective: &Objective,
        outcome: &RuleOutcome,
        old: Option<Alert>,
    ) -> Option<Alert> {
        match (outcome.state, old) {
            (RuleState::Broken, old) => {
                let old = old.unwrap_or_else(|| self.new_alert(rule, objective, outcome));
                Some(Alert {
                    summary: outcome.summary(rule, objective),
                    value: outcome.value.clone(),
                    target: outcome.target.clone(),
                    ..old
                })
            }
            (_, old) => old,
        }
    }

    fn new_alert(&self, rule: &Rule, objective: &Objective, outcome: &RuleOutcome) -> Alert {
        let window = rule.condition.window();
        let times = (self.end - window.micros(), self.end);
        let traces = match self.searches_left.get() {
            0 => Vec::new(),
            left => {
                self.searches_left.set(left - 1);
                find_examples(self.dir, self.service, objective, outcome, times)
            }
        };
        let command = examples::command(&traces, self.dir);
        Alert {
            rule: rule.name.clone(),
            objective: objective.name.clone(),
            service: self.service.to_owned(),
            severity: rule.severity,
            subject: outcome.subject.clone(),
            starts_at: self.end,
            ends_at: None,
            summary: String::new(),
            value: String::new(),
            target: String::new(),
            window: window.to_string(),
            traces,
            command,
        }
    }
}
