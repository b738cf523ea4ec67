//! Starts the writer's thread, in a new logger and in a forked child.

use std::sync::Arc;
use std::thread;

use super::control::WriterEnd;
use super::files::{FileOptions, LogFiles};
use super::fs::Fs;
use super::hold::Hold;
use super::housekeeping::Housekeeping;
use super::jsonl::EventLines;
use super::losses::Outage;
use super::retention::Retention;
use super::totals::Totals;
use super::{Platform, Shared, Writer, batch};
use crate::config::{Attachments, Compress, host_name};
use crate::error::{Error, ErrorCause};
use crate::export::{Exporter, Stderr, Stdout};
use crate::metrics::check_export;
use crate::ring::Lanes;
use crate::shipping::check_shipping;
use llm_audit_process::exit::WriterExitGuard;

/// What to do if the folder cannot be used, for example on a root that can only be read.
const OTHER_PLACES: &str =
    "; AUDIT_LOG_DIR names another folder, and AUDIT_EXPORTER=stdout needs none";

/// Opens the files and starts the thread.
///
/// # Errors
///
/// Returns an error if the folder cannot be written to, or if a thread cannot be started.
pub(crate) fn spawn_writer(
    shared: &Arc<Shared>,
    Attachments { mut exporters, notifiers }: Attachments,
    Platform { fs, clock }: Platform,
) -> Result<(), Error> {
    check_export(&shared.settings)?;
    check_shipping(&shared.settings)?;
    exporters.splice(0..0, stream_exporters(shared));
    let now = clock.now_micros();
    let files = log_file_options(shared)
        .map(|options| LogFiles::open(fs.clone(), options, now))
        .transpose()
        .map_err(|error| error.with_hint(OTHER_PLACES))?;
    if let Some(files) = &files {
        shared.control.set_log_path(files.path());
    }
    let attachments = Attachments { exporters, notifiers };
    start_threads(shared, attachments, files, Platform { fs, clock })
}

/// Starts the thread of a forked child. The thread opens the files when it first writes, so that
/// `emit` never waits for a disk. The exporters of the parent's logger stay with the parent.
///
/// If the thread cannot be started, the logger is closed. If it has no output, it is closed
/// already.
pub(crate) fn spawn_writer_in_child(shared: &Arc<Shared>) {
    let Platform { fs, clock } = Platform::default();
    let exporters = stream_exporters(shared);
    let now = clock.now_micros();
    let files =
        log_file_options(shared).map(|options| LogFiles::unopened(fs.clone(), options, now));
    if files.is_none() && exporters.is_empty() {
        // It was closed before any event could reach it.
        return shared.control.notify_ended(WriterEnd::Done);
    }
    let attachments = Attachments { exporters, ..Attachments::default() };
    if start_threads(shared, attachments, files, Platform { fs, clock }).is_err() {
        shared.close();
        shared.control.notify_ended(WriterEnd::NotStarted);
    }
}

/// Returns the streams of the process that the logger writes to.
fn stream_exporters(shared: &Shared) -> Vec<Box<dyn Exporter>> {
    let outputs = shared.settings.outputs;
    // If it is the only output, a line counts as written once it is taken.
    let is_only = !(outputs.files || outputs.stdout && outputs.stderr);
    let mut exporters: Vec<Box<dyn Exporter>> = Vec::new();
    if outputs.stdout {
        let stdout = Stdout::new();
        exporters.push(Box::new(if is_only { stdout.waiting() } else { stdout }));
    }
    if outputs.stderr {
        let stderr = Stderr::new();
        exporters.push(Box::new(if is_only { stderr.waiting() } else { stderr }));
    }
    exporters
}

/// Returns the settings of the files, if the logger writes files.
fn log_file_options(shared: &Shared) -> Option<FileOptions> {
    let settings = &shared.settings;
    settings.outputs.files.then(|| FileOptions {
        dir: settings.directory.clone(),
        max_file_bytes: settings.max_file_bytes,
        file_mode: settings.file_mode,
    })
}

/// Starts the threads. If one of them cannot be started, those that run end.
fn start_threads(
    shared: &Arc<Shared>,
    Attachments { exporters, notifiers }: Attachments,
    files: Option<LogFiles>,
    platform: Platform,
) -> Result<(), Error> {
    start_writer_threads(shared, exporters, files, platform)?;
    let started = shared
        .otlp
        .start(&shared.settings, &shared.instance, shared.clone())
        .and_then(|()| shared.start_alerts(notifiers))
        .and_then(|()| shared.shipping.start(&shared.settings));
    if started.is_err() {
        let _since = shared.close();
    }
    started
}

fn start_writer_threads(
    shared: &Arc<Shared>,
    exporters: Vec<Box<dyn Exporter>>,
    files: Option<LogFiles>,
    Platform { fs, clock }: Platform,
) -> Result<(), Error> {
    let house = files.is_some().then(|| start_housekeeping(shared, fs)).transpose()?;
    if let Some(house) = &house {
        shared.control.set_syncs(house.syncs());
    }
    let settings = &shared.settings;
    let writer = Writer {
        drainers: Lanes::drainers_over(&shared.rings),
        patience: Lanes::default(),
        waiting: Vec::with_capacity(batch::EVENTS_MAX / 2),
        hold: (settings.holds_events() || settings.holds_content()).then(|| {
            Hold::new(
                settings.hold_bytes - settings.held_lane_bytes(),
                settings.hold_seconds,
                clock.now_micros(),
            )
        }),
        shared: shared.clone(),
        host: host_name(),
        files,
        house,
        retention_requested: (0, i64::MIN),
        exporters,
        kept_bytes: 0,
        has_started: false,
        seq: 0,
        dropped_seen: 0,
        notices: 0,
        totals: settings.totals.then(|| Totals::since(clock.now_micros())),
        event_lines: EventLines::new(&shared.instance),
        lines: Vec::with_capacity(batch::BYTES * 3),
        scratch: Vec::new(),
        pending: Vec::new(),
        unreported: None,
        outage: Outage::default(),
        clock,
    };
    #[cfg(all(test, not(loom)))]
    let Some(writer) = super::tests::by_hand(writer) else { return Ok(()) };
    let (mut writer, writing) = (writer, WriterExitGuard::begin());
    thread::Builder::new()
        .name("llm-audit".to_owned())
        .spawn(move || {
            writer.run_guarded();
            writer.drop_exporters();
            writer.shared.shipping.close();
            drop(writer);
            drop(writing);
        })
        .map_err(|error| Error::new(ErrorCause::Thread(error)))?;
    Ok(())
}

fn start_housekeeping(shared: &Shared, fs: Arc<dyn Fs>) -> Result<Housekeeping, Error> {
    let settings = &shared.settings;
    let retention = Retention {
        fs,
        dir: settings.directory.clone(),
        retention_days: settings.retention_days,
        max_total_bytes: settings.max_total_bytes,
        waits: settings.retention_waits,
        compress: settings.compress == Compress::Zstd,
        warns: settings.notices,
    };
    let retention = retention.is_needed().then_some(retention);
    Housekeeping::start(settings.fsync, shared.counts.syncs.clone(), retention)
}
