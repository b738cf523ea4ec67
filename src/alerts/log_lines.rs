//! Alerts as lines of the log: handed to the writer, which numbers them.

use std::collections::BTreeMap;
use std::sync::Arc;

use llm_audit_log::schema::notices::AlertChange;
use llm_audit_process::lock::Mutex;
use llm_audit_slo::Alert;
use llm_audit_slo::notify::{Notifier, NotifyError};

use crate::sanitize::Sanitizer;

/// The most lines that wait for the writer.
const CHANGES_MAX: usize = 1_000;

/// The lines that wait for the writer.
#[derive(Clone, Default)]
pub(super) struct Changes(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    lines: Vec<AlertChange>,
    is_closed: bool,
}

impl Changes {
    /// Takes the lines. After the last call no line is accepted, since nobody would write it.
    pub(super) fn take(&self, is_last: bool) -> Vec<AlertChange> {
        let mut waiting = self.0.lock();
        waiting.is_closed |= is_last;
        std::mem::take(&mut waiting.lines)
    }

    fn add(&self, line: AlertChange) -> Result<(), NotifyError> {
        let mut waiting = self.0.lock();
        if waiting.is_closed {
            return Err(NotifyError::temporary("the log is closed"));
        }
        if waiting.lines.len() >= CHANGES_MAX {
            return Err(NotifyError::temporary("the writer is behind"));
        }
        waiting.lines.push(line);
        Ok(())
    }
}

/// Hands the writer a line when an alert begins to fire and when it is resolved.
pub(super) struct LogLines {
    changes: Changes,
    sanitizer: Sanitizer,
    /// Alerts that fire, by their labels, and their starts. An alert that is repeated has changed nothing.
    firing: BTreeMap<Vec<(String, String)>, i64>,
}

impl LogLines {
    pub(super) fn new(changes: Changes, sanitizer: Sanitizer) -> Self {
        Self { changes, sanitizer, firing: BTreeMap::new() }
    }

    fn is_change(&self, alert: &Alert) -> bool {
        !alert.is_firing() || self.firing.get(&labels(alert)) != Some(&alert.starts_at)
    }

    fn note(&mut self, alert: &Alert) {
        match alert.is_firing() {
            true => self.firing.insert(labels(alert), alert.starts_at),
            false => self.firing.remove(&labels(alert)),
        };
    }

    fn change(&self, alert: &Alert) -> AlertChange {
        let text = |text: &str| self.sanitizer.redact_str(text).into_owned();
        let subject = alert.subject.as_ref();
        AlertChange {
            rule: text(&alert.rule),
            objective: text(&alert.objective),
            service: text(&alert.service),
            severity: alert.severity.name().to_owned(),
            subject: subject.map(|(name, value)| (name.clone(), text(value))),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            summary: text(&alert.summary),
            value: text(&alert.value),
            target: text(&alert.target),
            window: text(&alert.window),
            traces: alert.traces.clone(),
        }
    }
}

impl Notifier for LogLines {
    fn name(&self) -> &str {
        "the log"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        if self.is_change(alert) {
            self.changes.add(self.change(alert))?;
            self.note(alert);
        }
        Ok(())
    }
}

fn labels(alert: &Alert) -> Vec<(String, String)> {
    alert.labels().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
