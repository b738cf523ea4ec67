//! A memory of the alerts that were told. None is told twice, except after the time for a repeat.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::Alert;

const MINUTE: i64 = 60 * 1_000_000;
/// How long a resolved alert belongs to each evaluation.
const RESOLVED_MICROS: i64 = 15 * MINUTE;
/// How long a resolved alert is remembered, so that it is not told again.
const REMEMBERED_MICROS: i64 = 60 * MINUTE;

/// The alerts that were told, by their labels.
pub(super) struct Ledger {
    repeat_micros: i64,
    alerts_max: usize,
    told: BTreeMap<Labels, Told>,
    /// Alerts that there was no room for, with their states.
    refused: BTreeMap<Labels, State>,
}

type Labels = Vec<(String, String)>;
/// When the alert began, and whether it fires. An alert that fires again after its end has another beginning.
type State = (i64, bool);

struct Told {
    alert: Arc<Alert>,
    /// When it is told again if it still fires.
    repeat_at: i64,
}

/// Another alert cannot be remembered. This is said once of its state.
#[derive(Debug, PartialEq)]
pub(super) struct Full;

impl Ledger {
    pub(super) fn new(repeat: Duration, alerts_max: usize) -> Self {
        let repeat_micros = i64::try_from(repeat.as_micros()).unwrap_or(i64::MAX).max(1);
        Self { repeat_micros, alerts_max, told: BTreeMap::new(), refused: BTreeMap::new() }
    }

    pub(super) fn clear(&mut self) {
        self.told.clear();
        self.refused.clear();
    }

    /// Takes an alert as it is now. Returns whether to tell it, because its state is new.
    pub(super) fn note(&mut self, alert: &Arc<Alert>, now: i64) -> Result<bool, Full> {
        let has_room = self.told.len() < self.alerts_max;
        match self.told.get_mut(&labels(alert)) {
            Some(told) if state(&told.alert) == state(alert) => {
                told.alert = Arc::clone(alert); // with another value
                Ok(false)
            }
            None if is_forgotten(alert, now) => Ok(false),
            None if !has_room => self.refuse(alert),
            _ => {
                if has_room {
                    self.refused.clear();
                }
                let repeat_at = next_repeat(alert, now, self.repeat_micros);
                self.told.insert(labels(alert), Told { alert: Arc::clone(alert), repeat_at });
                Ok(true)
            }
        }
    }

    fn refuse(&mut self, alert: &Alert) -> Result<bool, Full> {
        if self.refused.get(&labels(alert)) == Some(&state(alert)) {
            return Ok(false);
        }
        if self.refused.len() >= self.alerts_max {
            self.refused.clear();
        }
        self.refused.insert(labels(alert), state(alert));
        Err(Full)
    }

    /// Returns the alerts to repeat.
    pub(super) fn take_repeats(&mut self, now: i64) -> Vec<Arc<Alert>> {
        let told = self.told.values_mut();
        let due = told.filter_map(|told| {
            told.take_repeat(now, self.repeat_micros).then(|| Arc::clone(&told.alert))
        });
        due.collect()
    }

    /// Returns the alerts that fire and those that were resolved lately, and forgets older ones.
    pub(super) fn current(&mut self, now: i64) -> Vec<Arc<Alert>> {
        self.told.retain(|_, told| !is_forgotten(&told.alert, now));
        let alerts = self.told.values().map(|told| &told.alert);
        alerts.filter(|alert| !ended_before(alert, now, RESOLVED_MICROS)).cloned().collect()
    }
}

impl Told {
    fn take_repeat(&mut self, now: i64, repeat_micros: i64) -> bool {
        let is_due = self.alert.is_firing() && now >= self.repeat_at;
        if is_due {
            self.repeat_at = next_repeat(&self.alert, now, repeat_micros);
        }
        is_due
    }
}

/// Repeats count from the start of the alert, so that they continue after a restart.
fn next_repeat(alert: &Alert, now: i64, repeat_micros: i64) -> i64 {
    let since_last = now.saturating_sub(alert.starts_at).rem_euclid(repeat_micros);
    now.saturating_add(repeat_micros - since_last)
}

fn labels(alert: &Alert) -> Labels {
    alert.labels().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn state(alert: &Alert) -> State {
    (alert.starts_at, alert.is_firing())
}

fn is_forgotten(alert: &Alert, now: i64) -> bool {
    ended_before(alert, now, REMEMBERED_MICROS)
}

fn ended_before(alert: &Alert, now: i64, micros: i64) -> bool {
    alert.ends_at.is_some_and(|end| now.saturating_sub(end) > micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    const HOUR: i64 = 60 * MINUTE;

    fn alert(rule: &str, starts_at: i64, ends_at: Option<i64>) -> Arc<Alert> {
        Arc::new(Alert {
            rule: rule.to_owned(),
            objective: "errors".to_owned(),
            service: "benefits".to_owned(),
            severity: Severity::Page,
            subject: None,
            starts_at,
            ends_at,
            summary: String::new(),
            value: String::new(),
            target: String::new(),
            window: String::new(),
            traces: Vec::new(),
            command: String::new(),
        })
    }

    fn ledger() -> Ledger {
        Ledger::new(Duration::from_secs(4 * 60 * 60), 2)
    }

    /// Notes the alerts of one rule at these times, and returns which were told.
    fn told(alerts: &[(i64, Option<i64>, i64)]) -> Vec<bool> {
        let mut ledger = ledger();
        let told =
            alerts.iter().map(|&(start, end, now)| ledger.note(&alert("r", start, end), now));
        told.map(|told| told.expect("there is room")).collect()
    }

    #[test]
    fn an_alert_is_told_when_it_fires_and_when_it_resolves() {
        assert_eq!(
            told(&[
                (0, None, 0),
                (0, None, MINUTE),
                (0, Some(MINUTE), MINUTE),
                (0, Some(MINUTE), 2 * MINUTE)
            ]),
            [true, false, true, false]
        );
    }

    #[test]
    fn an_alert_that_fires_again_is_told_again() {
        assert_eq!(
            told(&[(0, None, 0), (0, Some(5), 5), (9, None, 9), (9, Some(12), 12)]),
            [true, true, true, true]
        );
    }

    #[test]
    fn an_alert_is_repeated_every_four_hours_from_its_start() {
        let mut ledger = ledger();
        // Noted late, by the first evaluation after the start.
        ledger.note(&alert("r", 0, None), 90 * MINUTE).expect("room");
        let times = [4 * HOUR - 1, 4 * HOUR, 4 * HOUR + 1, 8 * HOUR, 21 * HOUR, 23 * HOUR];
        let repeats = times.map(|now| {
            ledger.note(&alert("r", 0, None), now).expect("room");
            ledger.take_repeats(now).len()
        });
        assert_eq!(repeats, [0, 1, 0, 1, 1, 0]);
    }

    #[test]
    fn only_what_fires_is_repeated() {
        let mut ledger = ledger();
        ledger.note(&alert("fires", 0, None), 0).expect("room");
        ledger.note(&alert("ended", 0, Some(1)), 1).expect("room");
        assert!(ledger.take_repeats(4 * HOUR - 1).is_empty());
        assert_eq!(ledger.take_repeats(4 * HOUR), [alert("fires", 0, None)]);
        assert!(ledger.take_repeats(4 * HOUR).is_empty());
    }

    #[test]
    fn a_resolved_alert_belongs_to_evaluations_for_15_minutes() {
        let mut ledger = ledger();
        ledger.note(&alert("ended", 0, Some(MINUTE)), MINUTE).expect("room");
        assert_eq!(ledger.current(16 * MINUTE).len(), 1);
        assert!(ledger.current(16 * MINUTE + 1).is_empty());
    }

    #[test]
    fn a_resolved_alert_is_told_only_once_however_often_it_is_noted() {
        let end = Some(MINUTE);
        let mut ledger = ledger();
        assert_eq!(ledger.note(&alert("r", 0, end), MINUTE), Ok(true));
        for now in (2 * MINUTE..5 * HOUR).step_by(MINUTE as usize) {
            ledger.current(now);
            assert_eq!(ledger.note(&alert("r", 0, end), now), Ok(false), "{now}");
        }
    }

    #[test]
    fn a_full_ledger_takes_no_new_alert_until_one_is_forgotten() {
        let mut ledger = ledger();
        assert_eq!(ledger.note(&alert("a", 0, None), 0), Ok(true));
        assert_eq!(ledger.note(&alert("b", 0, Some(1)), 1), Ok(true));
        assert_eq!(ledger.note(&alert("c", 1, None), 1), Err(Full));
        assert_eq!(ledger.note(&alert("c", 1, None), 2), Ok(false), "it is said once");
        assert_eq!(ledger.note(&alert("c", 3, None), 3), Err(Full), "it fires again");
        assert_eq!(ledger.note(&alert("a", 0, Some(2)), 2), Ok(true));
        assert_eq!(ledger.note(&alert("c", 3, None), 3), Ok(false), "there still is no room");
        ledger.current(2 * HOUR);
        assert_eq!(ledger.note(&alert("c", 1, None), 2 * HOUR), Ok(true));
    }
}
