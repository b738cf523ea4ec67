//! The state that callers and the writer share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use llm_audit_process::exit::{CLOSE_DEADLINE, CloseAtExit};
use llm_audit_process::lock::Mutex;

use super::WriterControl;
use crate::alerts::AlertThread;
use crate::config::{Notifiers, Settings};
use crate::context;
use crate::error::{Error, ErrorCause};
use crate::metrics::{
    Accounting, CountedObjectives, EventCounters, ExportSource, Health, HealthStatus, Metrics,
    MetricsCollector, OtlpExport, add_to_counter,
};
use crate::pricing::Pricing;
use crate::ring::{Lanes, Ring};
use crate::sanitize::{ProtectedValue, Sanitizer};
use crate::shipping::ShippingThreads;
use crate::user_names::{UserKey, UserNames};

/// The state that callers and the writer share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) instance: String,
    pub(crate) sanitizer: Sanitizer,
    pub(crate) rings: Lanes<Arc<Ring>>,
    pub(crate) counts: EventCounters,
    pub(crate) metrics: MetricsCollector,
    pub(crate) user_names: UserNames,
    objectives: CountedObjectives,
    pub(crate) pricing: Pricing,
    /// Inputs that were not events, by reason.
    pub(crate) refused: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) control: WriterControl,
    /// Sends the metrics to a collector.
    pub(crate) otlp: OtlpExport,
    /// Evaluates the alert rules.
    pub(crate) alerts: AlertThread,
    /// Ships the files to other systems.
    pub(crate) shipping: ShippingThreads,
    /// The values of the environment's variables. They are protected as long as events may come.
    _protected: Vec<ProtectedValue>,
}

impl Shared {
    /// Makes the shared state of a new logger. The protected values live as long as it does.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system gives no random bits, or if the price file is not
    /// accepted.
    pub(crate) fn new(
        settings: Settings,
        user_key: &UserKey,
        protected: Vec<ProtectedValue>,
    ) -> Result<Self, Error> {
        let user_names = UserNames::new(settings.sanitizer.clone(), user_key);
        Ok(Self {
            instance: draw_instance_id()?,
            sanitizer: settings.sanitizer.clone(),
            rings: new_rings(&settings),
            counts: EventCounters::default(),
            metrics: MetricsCollector::with_user_names(
                user_names.clone(),
                settings.sanitizer.clone(),
            ),
            user_names,
            objectives: CountedObjectives::open(settings.slo_file.as_deref())?,
            pricing: Pricing::open(settings.pricing_file.as_deref(), &settings.sanitizer)?,
            refused: Mutex::default(),
            control: WriterControl::default(),
            otlp: OtlpExport::default(),
            alerts: AlertThread::default(),
            shipping: ShippingThreads::default(),
            _protected: protected,
            settings,
        })
    }

    /// Makes the same logger for a forked child, with no event emitted. Everything that can change
    /// is made anew, because the fork may have caught it in the middle of a change.
    pub(crate) fn for_forked_child(&self) -> Arc<Self> {
        let mut settings = self.settings.clone();
        if settings.alerts.has_notifier {
            // It stays with the parent. Without it, a child that has the folder would tell it nothing.
            settings.alerts.asked = Some(false);
        }
        let instance =
            draw_instance_id().unwrap_or_else(|_| format!("{:016x}", context::random_span_id()));
        let shared = Self {
            instance,
            sanitizer: self.sanitizer.clone(),
            rings: new_rings(&settings),
            counts: EventCounters::default(),
            metrics: MetricsCollector::with_user_names(
                self.user_names.clone(),
                self.sanitizer.clone(),
            ),
            user_names: self.user_names.clone(),
            objectives: self.objectives.clone(),
            pricing: self.pricing.in_child(),
            refused: Mutex::default(),
            control: WriterControl::default(),
            otlp: OtlpExport::default(),
            alerts: AlertThread::default(),
            shipping: ShippingThreads::default(),
            // All values that the parent protected stay protected in the child.
            _protected: Vec::new(),
            settings,
        };
        if !shared.settings.outputs.is_any() {
            shared.close();
        }
        Arc::new(shared)
    }

    /// Refuses later events, and asks the threads to end. Returns the time of the first request.
    pub(crate) fn close(&self) -> Instant {
        let since = self.control.request_close(|| self.rings.close());
        self.otlp.close();
        self.alerts.close();
        since
    }

    pub(super) fn start_alerts(&self, notifiers: Notifiers) -> Result<(), Error> {
        self.alerts.start(&self.settings, &self.objectives, &self.sanitizer, notifiers)
    }

    /// Waits until the last lines are shipped, at most two seconds. The writer has written them.
    pub(crate) fn wait_for_shipping(&self, until: Option<Instant>) {
        self.shipping.close();
        self.shipping.wait_for_end(until);
    }

    pub(crate) fn accounting(&self) -> Accounting {
        let Lanes { primary, secondary, held } = self.rings.count();
        let mut accounting = self.counts.sum();
        let in_hand = self.counts.in_hand.load(Ordering::Relaxed);
        accounting.queued = primary.0 + secondary.0 + held.0 + in_hand;
        accounting.unpriced = self.pricing.unpriced().total();
        accounting.unmetered = self.pricing.unmetered().total();
        accounting.sampled_out += held.1;
        accounting.hold_full += held.1;
        accounting.overwritten += primary.1 + secondary.1;
        accounting
    }
}

impl Shared {
    pub(crate) fn metrics(&self) -> Metrics {
        let metrics = self.metrics.metrics();
        Metrics {
            objectives: self.objectives.events(&metrics.rows),
            bytes_written: self.counts.bytes_written.load(Ordering::Relaxed),
            writes: self.counts.writes.read(),
            syncs: self.counts.syncs.read(),
            shipping: self.shipping.health(),
            ..metrics
        }
    }

    /// Returns whether events are written.
    pub(crate) fn health(&self) -> Health {
        if !self.settings.enabled {
            return Health { status: HealthStatus::Disabled, ..Health::default() };
        }
        let (status, last_write) = self.control.health();
        let Accounting { queued, overwritten, io_lost, .. } = self.accounting();
        let (alerts, shipping) = (self.alerts.health(), self.shipping.health());
        Health { status, queued, overwritten, io_lost, last_write, alerts, shipping }
    }
}

impl CloseAtExit for Shared {
    fn close(&self) {
        let _since = Self::close(self);
    }

    /// Closes, and waits for the writer as long as an ending process may wait. What is not written
    /// by then is lost with the process, and nobody is left to read a report.
    fn close_and_wait(&self) {
        let until = Self::close(self) + CLOSE_DEADLINE;
        if self.settings.enabled && !self.control.is_writer() {
            let _late = self.control.wait_for_end(Some(until));
            self.otlp.wait_for_last(Some(until));
            self.alerts.wait_for_end(Some(until));
            self.wait_for_shipping(Some(until));
        }
    }
}

impl ExportSource for Arc<Shared> {
    fn figures(&self) -> (Metrics, Accounting) {
        (self.metrics(), self.accounting())
    }

    fn count_failure(&self) {
        add_to_counter(&self.counts.export_errors, 1);
    }
}

fn new_rings(settings: &Settings) -> Lanes<Arc<Ring>> {
    Lanes::new(settings.queue_capacity, settings.queue_bytes, settings.held_lane_bytes())
}

/// Draws 64 bits from the operating system. No two processes share them, even if both were forked
/// from the same one.
fn draw_instance_id() -> Result<String, Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorCause::Random(error.to_string())))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
