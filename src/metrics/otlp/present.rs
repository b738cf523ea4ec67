//! The thread that sends metrics to a collector with the feature `otlp`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use llm_audit_process::exit::WriterExitGuard;
use llm_audit_ship::otlp::{Conventions, Counter, Figures, OtlpExporter, OtlpSettings, Timing};

use super::ExportSource;
use crate::config::{self, Otlp, Semconv, Settings};
use crate::error::{Error, ErrorCause};
use crate::metrics::own::{OwnCounter, OwnUnit, own_counters, own_gauges, own_timings};
use crate::sync::closing::{CLOSE_LIMIT, Closing};
use crate::warnings;

/// The thread, as those see it that start and close it.
#[derive(Default)]
pub(crate) struct OtlpExport(Arc<Closing>);

/// Refuses settings that no export could use.
pub(crate) fn check_export(settings: &Settings) -> Result<(), Error> {
    let made =
        settings.otlp.sends_metrics().then(|| OtlpExporter::new(ship_settings(settings, "")));
    let refused = |error| Error::new(ErrorCause::Otlp(error));
    made.transpose().map(drop).map_err(refused)
}

impl OtlpExport {
    /// Starts the thread, if a collector is set. It connects in its own time.
    pub(crate) fn start(
        &self,
        settings: &Settings,
        instance: &str,
        source: impl ExportSource,
    ) -> Result<(), Error> {
        if !settings.otlp.sends_metrics() {
            return Ok(());
        }
        let (closing, exiting) = (self.0.clone(), WriterExitGuard::begin());
        let (interval, warns) = (settings.otlp.interval_ms, settings.notices);
        let settings = ship_settings(settings, instance);
        self.0.begin();
        let started = thread::Builder::new().name("llm-audit-otlp".to_owned()).spawn(move || {
            let run = || run(&closing, settings, Duration::from_millis(interval), &source, warns);
            // A panic would be a defect of this crate. The log does not depend on this thread.
            let _panicked = catch_unwind(AssertUnwindSafe(run));
            drop(source);
            closing.end();
            drop(exiting);
        });
        started.map(drop).map_err(|error| {
            self.0.end();
            Error::new(ErrorCause::Thread(error))
        })
    }

    /// Asks for the last export.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    /// Waits for the last export, at most two seconds from the close.
    pub(crate) fn wait_for_last(&self, until: Option<Instant>) {
        self.0.wait_for_end(until);
    }
}

fn run(
    closing: &Closing,
    settings: OtlpSettings,
    every: Duration,
    source: &impl ExportSource,
    warns: bool,
) {
    let timeout = settings.timeout;
    let mut exporter = match OtlpExporter::new(settings) {
        Ok(exporter) => exporter,
        // In a forked child, if the certificates are gone since its parent started.
        Err(error) => return report_failure(&error, source, warns),
    };
    let mut next = Instant::now() + every;
    loop {
        let is_last = closing.is_closed_before(next);
        let limit = if is_last { CLOSE_LIMIT } else { timeout };
        let wait = |pause| !closing.is_closed_before(Instant::now() + pause);
        let exported = exporter.export(figures_of(source), limit, wait);
        // If a close has ended the waits, the last export is still to come.
        let is_over = is_last || !closing.is_closed_before(Instant::now());
        if let Some(error) = exported.err().filter(|_| is_over) {
            report_failure(&error, source, warns);
        }
        if is_last {
            return;
        }
        next = (next + every).max(Instant::now());
    }
}

/// The figures in the words of the crate that sends.
fn figures_of(source: &impl ExportSource) -> Figures {
    let (metrics, accounting) = source.figures();
    let timings = own_timings(&metrics).map(|of| Timing {
        name: of.name,
        description: of.description,
        latencies: of.timings.latencies.clone(),
        ms_sum: of.timings.ms_sum,
    });
    Figures {
        counters: own_counters(&metrics, &accounting).into_iter().map(counter_of).collect(),
        gauges: own_gauges(&metrics).map(counter_of).into(),
        timings: timings.into(),
        rows: metrics.rows,
    }
}

fn counter_of(of: OwnCounter) -> Counter {
    let unit = match of.unit {
        OwnUnit::Events => "{event}",
        OwnUnit::Bytes => "By",
        OwnUnit::Redactions => "{redaction}",
        OwnUnit::Seconds => "s",
        OwnUnit::Other => "{count}",
    };
    let OwnCounter { name, description, label, counts, .. } = of;
    Counter { name, description, unit, label, counts }
}

fn report_failure(error: &llm_audit_ship::otlp::Error, source: &impl ExportSource, warns: bool) {
    source.count_failure();
    if warns {
        warnings::warn_of_failed_export(error);
    }
}

/// The settings in the words of the crate that sends.
fn ship_settings(settings: &Settings, instance: &str) -> OtlpSettings {
    let Otlp { metrics, is_delta, semconv, resource, .. } = settings.otlp.clone();
    OtlpSettings {
        is_delta,
        conventions: match semconv {
            Semconv::Stable => Conventions::Stable,
            Semconv::GenAi01 => Conventions::GenAi01,
        },
        resource: with_identity(resource, &settings.service, instance),
        ..metrics.to_ship_settings("")
    }
}

/// Adds the service and the instance. `OTEL_SERVICE_NAME` comes before `OTEL_RESOURCE_ATTRIBUTES`.
fn with_identity(
    mut resource: Vec<(String, String)>,
    service: &str,
    instance: &str,
) -> Vec<(String, String)> {
    let has = |resource: &[(String, String)], key| resource.iter().any(|(known, _)| known == key);
    if !has(&resource, "service.name") || service != config::default_service_name() {
        resource.retain(|(known, _)| known != "service.name");
        resource.push(("service.name".to_owned(), service.to_owned()));
    }
    if !has(&resource, "service.instance.id") {
        resource.push(("service.instance.id".to_owned(), instance.to_owned()));
    }
    resource
}
