//! Alerts as lines of the log: handed to the writer, which numbers them.

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
}

impl LogLines {
    pub(super) fn new(changes: Changes, sanitizer: Sanitizer) -> Self {
        Self { changes, sanitizer }
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
        self.changes.add(self.change(alert))
    }

    /// A repeat is not a change.
    fn repeats(&self) -> bool {
        false
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use llm_audit_slo::notify::Dispatcher;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn alert() -> Alert {
        let text = r#"{"rule": "r", "objective": "o", "service": "s", "severity": "page", "subject": null,
            "starts_at": 0, "ends_at": null, "summary": "", "value": "", "target": "", "window": "5m", "traces": [],
            "command": ""}"#;
        serde_json::from_str(text).unwrap()
    }

    fn lines() -> (LogLines, Changes) {
        let changes = Changes::default();
        (LogLines::new(changes.clone(), Sanitizer::default()), changes)
    }

    #[test]
    fn the_repeat_of_an_alert_is_not_a_line_after_a_restart_either() {
        let ((lines, changes), now) = (lines(), Arc::new(AtomicI64::new(HOUR)));
        let clock = now.clone();
        let builder = Dispatcher::builder().clock(move || clock.load(Ordering::Relaxed));
        let dispatcher = builder.notifier(lines).start().unwrap();
        dispatcher.resume(&[alert()]);
        for at in [HOUR, 5 * HOUR] {
            now.store(at, Ordering::Relaxed);
            dispatcher.notify(&alert());
            dispatcher.evaluated();
        }
        let mut resolved = alert();
        resolved.ends_at = Some(5 * HOUR);
        dispatcher.notify(&resolved);
        assert_eq!(dispatcher.shutdown(Duration::from_secs(60)), [""; 0]);
        let ends: Vec<_> = changes.take(true).iter().map(|change| change.ends_at).collect();
        assert_eq!(ends, [Some(5 * HOUR)]);
    }

    #[test]
    fn a_line_that_nobody_would_write_is_refused_for_now() {
        let (mut lines, changes) = lines();
        lines.notify(&alert()).unwrap();
        assert_eq!(changes.take(false).len(), 1);
        (0..CHANGES_MAX).for_each(|_| lines.notify(&alert()).unwrap());
        assert!(lines.notify(&alert()).unwrap_err().is_temporary());
        assert_eq!(changes.take(true).len(), CHANGES_MAX);
        assert!(lines.notify(&alert()).unwrap_err().is_temporary());
        assert_eq!(changes.take(true).len(), 0);
    }
}
