//! Tells every notifier what fires and what is resolved, each on a thread of its own.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::ledger::{Full, Ledger};
use super::notifier::{Evaluation, Notifier};
use super::outbox::Outbox;
use super::text::cleaned;
use super::worker::{OnTrouble, Retry, Worker};
use crate::Alert;

/// The most alerts that wait for one notifier.
const WAITING_MAX: usize = 1_000;
/// The most alerts that are known at one time.
const KNOWN_MAX: usize = 10_000;

/// Passes alerts to notifiers. No call waits for one, except [`shutdown`](Self::shutdown): each notifier has a
/// thread and a queue of its own, so one that hangs delays nobody else.
///
/// Each notifier gets the alerts in their order. One that resolves never overtakes the same one that fires.
pub struct Dispatcher {
    ledger: Mutex<Ledger>,
    notifiers: Vec<Running>,
    clock: Clock,
}

struct Running {
    name: String,
    repeats: bool,
    outbox: Arc<Outbox>,
}

type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What did not reach one notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotifierFailures {
    /// [`Notifier::name`].
    pub notifier: String,
    /// Attempts that failed.
    pub failed: u64,
    /// Alerts that the notifier was never told: refused, given up, or displaced by others.
    pub lost: u64,
}

impl Dispatcher {
    /// Begins a dispatcher without notifiers.
    pub fn builder() -> DispatcherBuilder {
        DispatcherBuilder {
            notifiers: Vec::new(),
            repeat: Duration::from_secs(4 * 60 * 60),
            retry: Retry::default(),
            waiting_max: WAITING_MAX,
            known_max: KNOWN_MAX,
            clock: Arc::new(unix_micros),
            on_trouble: Arc::new(|_| {}),
        }
    }

    /// Takes alerts that a former process told, such as from the evaluator's stored state. They are not told again
    /// before their next repeat. Other alerts are forgotten.
    pub fn resume(&self, alerts: &[Alert]) {
        let (mut ledger, now) = (self.ledger(), (self.clock)());
        ledger.clear();
        for alert in alerts {
            // Without room for it, `notify` will count it.
            let _ = ledger.note(&Arc::new(cleaned(alert)), now);
        }
    }

    /// Tells the notifiers an alert if it began to fire or if it was resolved. An evaluator can hand over each alert in
    /// each evaluation. Alertmanager gets it with the next call of [`evaluated`](Self::evaluated).
    pub fn notify(&self, alert: &Alert) {
        let alert = Arc::new(cleaned(alert));
        // Held until the alert is queued, so that the order of two calls is the order in every queue.
        let mut ledger = self.ledger();
        match ledger.note(&alert, (self.clock)()) {
            Ok(true) => self.outboxes().for_each(|outbox| outbox.push(Arc::clone(&alert))),
            Ok(false) => {}
            Err(Full) => {
                self.outboxes().for_each(|outbox| outbox.count(|counts| counts.displaced += 1))
            }
        }
    }

    /// Says that all objectives were evaluated and all their alerts handed over. Repeats what is due. Alertmanager
    /// and heartbeat send with each call, so a call is missing if the evaluator is.
    pub fn evaluated(&self) {
        let at = (self.clock)();
        let mut ledger = self.ledger();
        ledger.take_repeats(at).iter().for_each(|alert| self.repeat(alert));
        let evaluation = Arc::new(Evaluation { at, alerts: ledger.current(at) });
        self.outboxes().for_each(|outbox| outbox.set_evaluation(Arc::clone(&evaluation)));
    }

    /// Returns what did not reach each notifier since the start.
    pub fn failures(&self) -> Vec<NotifierFailures> {
        let failures = self.notifiers.iter().map(|running| {
            let counts = running.outbox.counts();
            let (notifier, failed) = (running.name.clone(), counts.failed);
            NotifierFailures { notifier, failed, lost: counts.given_up + counts.displaced }
        });
        failures.collect()
    }

    /// Returns whether every alert so far reached each notifier, or was given up after all its attempts. An evaluator
    /// that stores this need not tell them again after a restart.
    pub fn is_settled(&self) -> bool {
        self.outboxes().all(Outbox::is_settled)
    }

    /// Tries once more to send what waits, and returns the names of notifiers that did not come to an end within
    /// the limit. Their threads are left alone. Alerts of later calls go nowhere.
    pub fn shutdown(&self, limit: Duration) -> Vec<String> {
        let began = Instant::now();
        self.outboxes().for_each(Outbox::close);
        let hanging = self.notifiers.iter().filter(|running| {
            !running.outbox.wait_until_done(limit.saturating_sub(began.elapsed()))
        });
        hanging.map(|running| running.name.clone()).collect()
    }

    fn repeat(&self, alert: &Arc<Alert>) {
        let repeating = self.notifiers.iter().filter(|running| running.repeats);
        repeating.for_each(|running| running.outbox.push(Arc::clone(alert)));
    }

    fn outboxes(&self) -> impl Iterator<Item = &Outbox> {
        self.notifiers.iter().map(|running| &*running.outbox)
    }

    /// No code panics while it holds the lock, so a poisoned one is whole.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dispatcher {
    /// Lets the threads end after one attempt for what waits, and does not wait for them.
    fn drop(&mut self) {
        self.outboxes().for_each(Outbox::close);
    }
}

/// Builds a [`Dispatcher`].
#[must_use]
pub struct DispatcherBuilder {
    notifiers: Vec<Box<dyn Notifier>>,
    repeat: Duration,
    retry: Retry,
    waiting_max: usize,
    known_max: usize,
    clock: Clock,
    on_trouble: OnTrouble,
}

impl DispatcherBuilder {
    /// Adds notifiers.
    pub fn notifiers(mut self, notifiers: impl IntoIterator<Item = Box<dyn Notifier>>) -> Self {
        self.notifiers.extend(notifiers);
        self
    }

    /// Adds one notifier.
    pub fn notifier(self, notifier: impl Notifier + 'static) -> Self {
        self.notifiers([Box::new(notifier) as Box<dyn Notifier>])
    }

    /// Sets after which time an alert that still fires is told again: 4 hours. It counts from the alert's start.
    pub fn repeat(mut self, after: Duration) -> Self {
        self.repeat = after;
        self
    }

    /// Sets how an alert is tried again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how many alerts wait for one notifier, at least 1, and how many are known at one time.
    pub fn limits(mut self, waiting: usize, known: usize) -> Self {
        (self.waiting_max, self.known_max) = (waiting.max(1), known);
        self
    }

    /// Replaces the system's clock. It returns microseconds since the Unix epoch.
    pub fn clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets what gets a sentence about each kind of trouble, once for each notifier. It is called on the notifiers'
    /// threads. Without it there are no warnings.
    pub fn on_trouble(mut self, warn: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_trouble = Arc::new(warn);
        self
    }

    /// Starts a thread for each notifier.
    ///
    /// # Errors
    ///
    /// If the operating system starts no thread.
    pub fn start(self) -> io::Result<Dispatcher> {
        let ledger = Mutex::new(Ledger::new(self.repeat, self.known_max));
        let mut dispatcher = Dispatcher { ledger, notifiers: Vec::new(), clock: self.clock };
        for notifier in self.notifiers {
            let (name, repeats) = (notifier.name().to_owned(), notifier.repeats());
            let outbox = Arc::new(Outbox::new(self.waiting_max));
            dispatcher.notifiers.push(Running { name, repeats, outbox: Arc::clone(&outbox) });
            let worker =
                Worker::new(notifier, outbox, self.retry.clone(), Arc::clone(&self.on_trouble));
            thread::Builder::new().name("llm-audit-alerts".to_owned()).spawn(|| worker.run())?;
        }
        Ok(dispatcher)
    }
}

fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
