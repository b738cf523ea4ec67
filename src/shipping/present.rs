//! The threads that ship the log's folder, one for each destination.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use llm_audit_process::exit::WriterExitGuard;
use llm_audit_process::lock::Mutex;
use llm_audit_ship::shipper::{AnyShipper, Driver, Trouble, Waiting, destinations, run};

use super::{LogShipping, ShipTo};
use crate::config::Settings;
use crate::error::{Error, ErrorCause};
use crate::metrics::ShippingHealth;
use crate::sync::closing::Closing;
use crate::warnings;

/// How often the lag is computed. That lists the folder.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// The threads, as those see them that start and close them. Each has its place, also if it does not run.
#[derive(Default)]
pub(crate) struct ShippingThreads([Arc<ShippingThread>; ShipTo::ALL.len()]);

#[derive(Default)]
struct ShippingThread {
    closing: Closing,
    /// `None` if nothing is shipped to this destination.
    health: Mutex<Option<ShippingHealth>>,
}

/// Refuses settings that a destination could not use.
pub(crate) fn check_shipping(settings: &Settings) -> Result<(), Error> {
    let mut asked = ShipTo::ALL.into_iter().filter(|to| to.is_asked_for(settings));
    asked.try_for_each(|to| LogShipping::with_settings(settings.clone(), to).check())
}

impl ShippingThreads {
    /// Starts a thread for each destination that is asked for. It connects in its own time.
    pub(crate) fn start(&self, settings: &Settings) -> Result<(), Error> {
        let threads = ShipTo::ALL.into_iter().zip(&self.0);
        let mut asked = threads.filter(|(to, _)| to.is_asked_for(settings));
        asked.try_for_each(|(to, thread)| thread.start(settings, to))
    }

    /// Asks for the end: what is in the files is sent. The writer has ended.
    pub(crate) fn close(&self) {
        self.0.iter().for_each(|thread| thread.closing.close());
    }

    /// Waits for the end, at most two seconds from the close.
    pub(crate) fn wait_for_end(&self, until: Option<Instant>) {
        self.0.iter().for_each(|thread| thread.closing.wait_for_end(until));
    }

    /// Returns how far each destination is.
    pub(crate) fn health(&self) -> Vec<ShippingHealth> {
        self.0.iter().filter_map(|thread| thread.health.lock().clone()).collect()
    }
}

impl ShippingThread {
    fn start(self: &Arc<Self>, settings: &Settings, to: ShipTo) -> Result<(), Error> {
        let (inner, exiting) = (self.clone(), WriterExitGuard::begin());
        let (warns, shipping) =
            (settings.notices, LogShipping::with_settings(settings.clone(), to));
        let health = ShippingHealth { destination: to.name().to_owned(), ..Default::default() };
        *self.health.lock() = Some(health);
        self.closing.begin();
        let started = thread::Builder::new().name("llm-audit-ship".to_owned()).spawn(move || {
            let mut driver = ThreadDriver::new(&inner, shipping.directory(), exiting, warns);
            // A panic would be a defect of this crate. The log does not depend on this thread.
            let ran = catch_unwind(AssertUnwindSafe(|| run(|| shipping.open(), &mut driver)));
            if ran.is_err() {
                inner.note(|health| {
                    health.is_held_here = false;
                    health.error = Some("the shipper panicked".to_owned());
                });
            }
            inner.closing.end();
        });
        started.map(drop).map_err(|error| {
            self.closing.end();
            Error::new(ErrorCause::Thread(error))
        })
    }

    fn note(&self, change: impl FnOnce(&mut ShippingHealth)) {
        if let Some(health) = &mut *self.health.lock() {
            change(health);
        }
    }
}

/// Waits in the thread until the logger closes.
struct ThreadDriver<'a> {
    thread: &'a ShippingThread,
    dir: &'a Path,
    /// An end of the process by a signal waits for this thread, as long as the destination answers.
    exiting: Option<WriterExitGuard>,
    /// Whether the logger was closed before this pass over the log. There is no later one.
    is_last: bool,
    next_lag: Instant,
    warns: bool,
    trouble: Trouble,
    refusals: Trouble,
}

impl<'a> ThreadDriver<'a> {
    fn new(
        thread: &'a ShippingThread,
        dir: &'a Path,
        exiting: WriterExitGuard,
        warns: bool,
    ) -> Self {
        let (exiting, next_lag) = (Some(exiting), Instant::now());
        let (trouble, refusals) = Default::default();
        Self { thread, dir, exiting, is_last: false, next_lag, warns, trouble, refusals }
    }

    fn warn(&self, trouble: &str) {
        if self.warns {
            let destination = self.thread.health.lock().as_ref().map(|of| of.destination.clone());
            let destination = destination.unwrap_or_default();
            warnings::warn_of_trouble(&format!("shipping to {destination}: {trouble}"));
        }
    }

    /// Waits until then or until the close, with the lag kept fresh.
    fn wait_until(&mut self, then: Instant) {
        loop {
            self.note_lag();
            let next = then.min(self.next_lag);
            self.is_last = self.thread.closing.is_closed_before(next);
            if self.is_last || next == then {
                return;
            }
        }
    }

    /// Notes the lag, also while a destination does not answer. What cannot be read stays as it was.
    fn note_lag(&mut self) {
        if Instant::now() < self.next_lag {
            return;
        }
        self.next_lag = Instant::now() + LAG_EVERY;
        let all = destinations(self.dir, Timestamp::now().as_microsecond()).unwrap_or_default();
        let all: Vec<_> = all.into_iter().flatten().collect();
        self.thread.note(|health| {
            let status = all.iter().find(|of| of.name == health.destination);
            let Some(status) = status.filter(|_| health.is_held_here) else { return };
            health.lag_bytes = Some(status.lag.bytes);
            health.lag_events = status.lag.lines;
            health.lag_seconds = status.lag.seconds.map(|seconds| seconds as u64);
            health.lost = status.lost;
            health.lost_files = status.lost_files;
        });
    }

    fn note_trouble(&mut self, why: Waiting<'_>) {
        let (error, then) = match why {
            Waiting::Destination(why) => {
                (why.to_owned(), "; the events stay in the log and are sent later")
            }
            Waiting::Log(error) => (error.to_string(), "; it is tried again"),
            Waiting::HeldElsewhere => {
                let held = "another process ships this log there";
                (held.to_owned(), "; this one takes over if that one ends")
            }
            _ => return self.thread.note(|health| health.error = None),
        };
        if self.trouble.is_news(&error, Instant::now(), false) {
            self.warn(&format!("{error}{then}"));
        }
        let is_held_elsewhere = matches!(why, Waiting::HeldElsewhere);
        self.thread.note(|health| {
            health.is_held_elsewhere = is_held_elsewhere;
            health.error = (!is_held_elsewhere).then_some(error);
        });
    }
}

impl Driver for ThreadDriver<'_> {
    fn wait(&mut self, pause: Duration, why: Waiting<'_>) -> bool {
        self.note_trouble(why);
        self.exiting = match why {
            Waiting::Destination(_) => None,
            _ => self.exiting.take().or_else(|| Some(WriterExitGuard::begin())),
        };
        if self.is_last && matches!(why, Waiting::UpToDate) {
            return false;
        }
        self.wait_until(Instant::now() + pause);
        match why {
            Waiting::Sent | Waiting::UpToDate => !self.thread.closing.is_over(),
            _ => !self.is_last,
        }
    }

    fn note(&mut self, shipper: &mut dyn AnyShipper) {
        if let Some(why) = shipper.take_refusal() {
            let kept = "refused lines are kept in .ship/refused in the folder of the log";
            if self.refusals.is_news(&why, Instant::now(), false) {
                self.warn(&format!("{why}; {kept}"));
            }
        }
        self.thread.note(|health| {
            (health.is_held_here, health.is_held_elsewhere) = (true, false);
            shipper.name().clone_into(&mut health.destination);
            (health.sent, health.refused) = (shipper.sent(), shipper.refused());
        });
    }
}
