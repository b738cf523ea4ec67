//! Evaluates a log that is being written, and tells its alerts.

use std::time::Duration;

use super::Dispatcher;
use crate::span::MINUTE;
use crate::{Alert, AlertEngine};

/// How long after a minute its totals are written at the latest, in microseconds.
const SETTLED: i64 = 11_000_000;
/// How often a folder that another evaluator has is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Computes the rules of a folder, and passes its alerts to notifiers.
///
/// What was told to the end is in the state of the folder. So after a restart no alert is told twice, and one that a
/// notifier had not taken yet is told again.
///
/// # Examples
///
/// ```no_run
/// use std::time::{Duration, SystemTime};
///
/// use llm_audit_slo::notify::{Dispatcher, Watch, notifiers};
/// use llm_audit_slo::{AlertEngine, Objectives};
///
/// let variable = |name: &str| std::env::var(name).ok();
/// let dispatcher = Dispatcher::builder().notifiers(notifiers("benefits", variable)?).start()?;
/// let mut watch = Watch::new(AlertEngine::new("logs", Objectives::built_in()), dispatcher);
/// loop {
///     let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros() as i64;
///     watch.evaluate(now);
///     std::thread::sleep(watch.until_next(now));
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Watch {
    engine: AlertEngine,
    dispatcher: Dispatcher,
    /// Whether the dispatcher knows what was told before.
    has_resumed: bool,
}

impl Watch {
    /// Watches with this evaluator, and tells by this dispatcher.
    pub fn new(engine: AlertEngine, dispatcher: Dispatcher) -> Self {
        Self { engine, dispatcher, has_resumed: false }
    }

    /// Returns the evaluator.
    pub fn engine(&self) -> &AlertEngine {
        &self.engine
    }

    /// Returns what tells the alerts.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Computes all rules at `now`, in microseconds since the Unix epoch, and tells what is new. If another
    /// evaluator has the folder, nothing is told.
    pub fn evaluate(&mut self, now: i64) -> &[Alert] {
        self.store_told();
        let alerts = self.engine.check(now);
        if self.engine.has_folder() {
            if !std::mem::replace(&mut self.has_resumed, true) {
                self.dispatcher.resume(self.engine.told());
            }
            alerts.iter().for_each(|alert| self.dispatcher.notify(alert));
            self.dispatcher.evaluated();
        } else {
            // Another evaluator may tell alerts until this one has the folder again.
            self.has_resumed = false;
        }
        self.engine.alerts()
    }

    /// Returns how long it is from `now` until the totals of the next minute are there, or until the folder should be
    /// tried again.
    pub fn until_next(&self, now: i64) -> Duration {
        match self.engine.has_folder() {
            true => until_next_totals(now),
            false => until_next_totals(now).min(TRY_AGAIN),
        }
    }

    /// Tries once more to tell what waits, stores what was told, and gives the folder to the next evaluator. Returns
    /// the names of notifiers that did not come to an end within the limit.
    pub fn shutdown(&mut self, limit: Duration) -> Vec<String> {
        let late = self.dispatcher.shutdown(limit);
        self.store_told();
        self.engine.release();
        late
    }

    fn store_told(&mut self) {
        // Before that, the dispatcher knows of no alert.
        if self.has_resumed && self.dispatcher.is_settled() {
            self.engine.set_told();
        }
    }
}

fn until_next_totals(now: i64) -> Duration {
    let next = (now - SETTLED).div_euclid(MINUTE) * MINUTE + MINUTE + SETTLED;
    Duration::from_micros((next - now).max(0) as u64)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use llm_audit_log::Status;

    use super::*;
    use crate::Objectives;
    use crate::notify::{Notifier, NotifyError};
    use crate::testing::{START, TestEvent, TestLogger};

    const RULES: &str = r#"
        [[objective]]
        name = "errors"
        indicator = "ratio"
        of = { type = "request.end" }
        bad = { status = "error" }
        [[rule]]
        name = "errors-high"
        objective = "errors"
        above = 0.5
        window = "1m"
        severity = "page""#;

    /// Passes on what it is told, and answers each time what it is given.
    struct Told {
        told: Sender<bool>,
        answers: Receiver<Result<(), NotifyError>>,
    }

    impl Notifier for Told {
        fn name(&self) -> &str {
            "told"
        }

        fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
            self.told.send(alert.is_firing()).unwrap();
            self.answers.recv().unwrap_or_else(|_| Err(NotifyError::temporary("no answer")))
        }
    }

    type Ends = (Receiver<bool>, Sender<Result<(), NotifyError>>);

    fn watch(dir: &Path) -> (Watch, Ends) {
        let ((told, receiver), (sender, answers)) = (channel(), channel());
        let engine = AlertEngine::new(dir, Objectives::parse(RULES, "x.toml").unwrap());
        let dispatcher = Dispatcher::builder().clock(|| START).notifier(Told { told, answers });
        (Watch::new(engine, dispatcher.start().unwrap()), (receiver, sender))
    }

    fn emit_minute(logger: &mut TestLogger, minute: i64, status: Status) {
        logger.emit(&TestEvent::request(START + minute * MINUTE, status), true);
        logger.write_totals();
    }

    /// The time at which a minute counts.
    fn after(minute: i64) -> i64 {
        START + (minute + 1) * MINUTE + SETTLED
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_told_is_not_told_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
        emit_minute(&mut logger, 0, Status::Error);
        let (mut first, (told, answer)) = watch(dir.path());
        answer.send(Ok(())).unwrap();
        let [alert] = first.evaluate(after(0)) else { panic!("it fires") };
        let starts_at = alert.starts_at;
        assert_eq!(told.recv(), Ok(true));
        assert_eq!(first.shutdown(LONG), [""; 0]);

        emit_minute(&mut logger, 1, Status::Error);
        let (mut second, (told, answer)) = watch(dir.path());
        let [alert] = second.evaluate(after(1)) else { panic!("it still fires") };
        assert_eq!(alert.starts_at, starts_at);
        emit_minute(&mut logger, 2, Status::Ok);
        answer.send(Ok(())).unwrap();
        second.evaluate(after(2));
        assert_eq!(second.shutdown(LONG), [""; 0]);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [false], "only that it is resolved");
    }

    #[test]
    fn what_a_notifier_did_not_take_is_told_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
        emit_minute(&mut logger, 0, Status::Error);
        for _ in 0..2 {
            let (mut watch, (told, answer)) = watch(dir.path());
            watch.evaluate(after(0));
            assert_eq!(told.recv(), Ok(true));
            drop(answer); // now it fails, and would be tried again
            assert_eq!(watch.shutdown(LONG), [""; 0]);
        }
        // Nor if the process is killed while the notifier hangs.
        let (mut hanging, (told, _answer)) = watch(dir.path());
        hanging.evaluate(after(0));
        assert_eq!(told.recv(), Ok(true));
        assert_eq!(hanging.shutdown(Duration::ZERO), ["told"]);
        let (mut last, (told, answer)) = watch(dir.path());
        answer.send(Ok(())).unwrap();
        last.evaluate(after(0));
        assert_eq!(told.recv(), Ok(true));
    }

    #[test]
    fn a_second_one_tells_nothing_until_the_first_ends() {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
        emit_minute(&mut logger, 0, Status::Error);
        let ((mut first, _hangs), (mut second, (told, answer))) =
            (watch(dir.path()), watch(dir.path()));
        first.evaluate(after(0));
        assert_eq!(second.evaluate(after(0)), []);
        assert_eq!(first.until_next(after(0)), Duration::from_secs(60));
        assert_eq!(second.until_next(after(0)), TRY_AGAIN);
        first.shutdown(Duration::ZERO);
        answer.send(Ok(())).unwrap();
        assert_eq!(second.evaluate(after(0)).len(), 1);
        assert_eq!(told.recv(), Ok(true));
        assert_eq!(told.try_recv().ok(), None);
    }

    #[cfg(unix)]
    #[test]
    fn whoever_loses_the_state_leaves_the_folder_to_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = TestLogger::start(dir.path(), 1, "benefits", true, START);
        emit_minute(&mut logger, 0, Status::Error);
        let ((mut first, (_told, answer)), (mut second, _hangs)) =
            (watch(dir.path()), watch(dir.path()));
        answer.send(Ok(())).unwrap();
        assert_eq!(first.evaluate(after(0)).len(), 1);
        std::fs::remove_dir_all(dir.path().join(".slo")).unwrap();
        assert_eq!(second.evaluate(after(0)).len(), 1);
        assert_eq!(first.evaluate(after(1)), []);
        assert!(!first.engine().has_folder() && second.engine().has_folder());
    }

    #[test]
    fn an_evaluation_comes_when_the_totals_of_a_minute_are_there() {
        let seconds = |now: i64| until_next_totals(now * 1_000_000).as_secs();
        assert_eq!([0, 10, 11, 12, 70].map(seconds), [11, 1, 60, 59, 1]);
    }
}
