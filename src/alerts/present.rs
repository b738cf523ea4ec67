//! The thread that evaluates the alert rules of the log's folder, with the feature `alerts`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use llm_audit_log::schema::notices::AlertChange;
use llm_audit_process::exit::WriterExitGuard;
use llm_audit_process::lock::Mutex;
use llm_audit_slo::notify::{Dispatcher, Notifier, Watch, notifiers};
use llm_audit_slo::{Alert, AlertEngine, Objectives};

use super::log_lines::{Changes, LogLines};
use crate::config::{Notifiers, Settings};
use crate::error::{Error, ErrorCause};
use crate::metrics::{AlertsHealth, CountedObjectives, FiringRule};
use crate::sanitize::Sanitizer;
use crate::sync::closing::Closing;
use crate::warnings;

/// How much of [`CLOSE_LIMIT`](crate::sync::closing::CLOSE_LIMIT) the notifiers have. Afterwards the state is written.
const LAST_ATTEMPTS: Duration = Duration::from_millis(1_500);

/// The thread, as those see it that start and close it.
#[derive(Default)]
pub(crate) struct AlertThread(Arc<Evaluator>);

#[derive(Default)]
struct Evaluator {
    closing: Closing,
    /// `None` if the rules are not evaluated.
    health: Mutex<Option<AlertsHealth>>,
    changes: Changes,
}

/// What the thread evaluates, and whom it tells.
struct Job {
    settings: Settings,
    objectives: Objectives,
    sanitizer: Sanitizer,
    notifiers: Notifiers,
}

impl AlertThread {
    /// Starts the thread, if the rules are to be evaluated. It reads the folder and connects in its own time.
    pub(crate) fn start(
        &self,
        settings: &Settings,
        objectives: &CountedObjectives,
        sanitizer: &Sanitizer,
        notifiers: Notifiers,
    ) -> Result<(), Error> {
        if !is_asked_for(settings) {
            return Ok(());
        }
        let job = Job {
            settings: settings.clone(),
            objectives: objectives.objectives().clone(),
            sanitizer: sanitizer.clone(),
            notifiers,
        };
        let (inner, exiting) = (self.0.clone(), WriterExitGuard::begin());
        self.0.begin();
        let started = thread::Builder::new().name("llm-audit-alerts".to_owned()).spawn(move || {
            // A panic would be a defect of this crate. The log does not depend on this thread.
            let run = catch_unwind(AssertUnwindSafe(|| inner.run(job, exiting)));
            run.unwrap_or_else(|_| inner.note_error("the evaluator of alerts panicked"));
            inner.closing.end();
        });
        started.map(drop).map_err(|error| {
            self.0.closing.end();
            Error::new(ErrorCause::Thread(error))
        })
    }

    /// Asks for the end: what waits is told once more, and the folder is given to the next evaluator.
    pub(crate) fn close(&self) {
        self.0.closing.close();
    }

    /// Waits for the end, at most two seconds from the close.
    pub(crate) fn wait_for_end(&self, until: Option<Instant>) {
        self.0.closing.wait_for_end(until);
    }

    /// Takes the lines that the log is to have. After the last call there are no others.
    pub(crate) fn take_changes(&self, is_last: bool) -> Vec<AlertChange> {
        self.0.changes.take(is_last)
    }

    /// Returns what fires, or `None` if the rules are not evaluated.
    pub(crate) fn health(&self) -> Option<AlertsHealth> {
        self.0.health.lock().clone()
    }
}

impl Evaluator {
    fn run(&self, job: Job, mut exiting: WriterExitGuard) {
        let (dir, warns) = (job.settings.directory.clone(), job.settings.notices);
        let engine = AlertEngine::new(dir, job.objectives.clone());
        let dispatcher = match self.dispatcher(job) {
            Ok(dispatcher) => dispatcher,
            Err(error) => {
                self.note_error(&error);
                return warn(&error, warns);
            }
        };
        let (mut watch, mut had_error) = (Watch::new(engine, dispatcher), false);
        loop {
            let now = Timestamp::now().as_microsecond();
            // The first evaluation may have much to read. A signal does not wait for it.
            drop(exiting);
            watch.evaluate(now);
            exiting = WriterExitGuard::begin();
            self.note(&watch, now);
            if let Some(error) = watch.engine().error()
                && !std::mem::replace(&mut had_error, true)
            {
                warn(&format!("cannot evaluate alert rules: {error}"), warns);
            }
            if self.closing.is_closed_before(Instant::now() + watch.until_next(now)) {
                break;
            }
        }
        let _late = watch.shutdown(LAST_ATTEMPTS);
        drop(exiting);
    }

    /// Starts a thread for each place that the environment names, for each notifier of the application, and for
    /// the log.
    fn dispatcher(&self, job: Job) -> Result<Dispatcher, String> {
        let Settings { alerts, service, notices, .. } = &job.settings;
        let variable = |name: &str| alerts.destination(name).cloned();
        let named = notifiers(service, variable).map_err(|error| error.to_string())?;
        let lines: Box<dyn Notifier> = Box::new(LogLines::new(self.changes.clone(), job.sanitizer));
        let warns = *notices;
        let all = [lines].into_iter().chain(named).chain(job.notifiers);
        let builder = Dispatcher::builder().notifiers(all);
        let builder = builder.on_trouble(move |trouble| warn(trouble, warns));
        builder.start().map_err(|error| format!("cannot start a thread for alerts: {error}"))
    }

    fn begin(&self) {
        *self.health.lock() = Some(AlertsHealth::default());
        self.closing.begin();
    }

    /// Notes the outcome of an evaluation.
    fn note(&self, watch: &Watch, now: i64) {
        let engine = watch.engine();
        let mut health = self.health.lock();
        let Some(health) = &mut *health else { return };
        health.is_held_here = engine.has_folder();
        health.is_held_elsewhere = engine.is_held_elsewhere();
        health.error = engine.error().map(ToString::to_string);
        health.firing = firing_rules(engine.alerts());
        if health.is_held_here {
            health.last_evaluation = Some(now);
        }
    }

    fn note_error(&self, error: &str) {
        if let Some(health) = &mut *self.health.lock() {
            (health.is_held_here, health.error) = (false, Some(error.to_owned()));
        }
    }
}

fn warn(trouble: &str, warns: bool) {
    if warns {
        warnings::warn_of_trouble(trouble);
    }
}

/// Whether the rules are to be evaluated, and there is a folder to evaluate.
fn is_asked_for(settings: &Settings) -> bool {
    let Settings { alerts, slo_file, outputs, .. } = settings;
    let by_default = slo_file.is_some() || alerts.has_destination();
    outputs.files && alerts.asked.unwrap_or(by_default)
}

/// Returns each rule that fires, once for each service, since its first alert.
fn firing_rules(alerts: &[Alert]) -> Vec<FiringRule> {
    let mut firing: Vec<FiringRule> = Vec::new();
    for alert in alerts.iter().filter(|alert| alert.is_firing()) {
        let is_same =
            |known: &&mut FiringRule| known.rule == alert.rule && known.service == alert.service;
        match firing.iter_mut().find(is_same) {
            Some(known) => known.since = known.since.min(alert.starts_at),
            None => firing.push(FiringRule {
                rule: alert.rule.clone(),
                service: alert.service.clone(),
                severity: alert.severity.name(),
                since: alert.starts_at,
            }),
        }
    }
    firing
}
