//! The settings' own types, and the relations between settings.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::time::Duration;

pub(crate) use super::variables::Settings;
use super::variables::VARIABLES;
use crate::error::Error;
use llm_audit_log::CaptureContent;

/// The default of `AUDIT_MAX_EVENT_BYTES`.
pub(super) const EVENT_BYTES_DEFAULT: usize = 256 << 10;

/// When files are made durable (`AUDIT_FSYNC`). The thread that writes never waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// Only when [`flush_durable`](crate::AuditLogger::flush_durable) asks, and when more than 16 finished
    /// files wait for a sync. The operating system writes the rest when it sees fit.
    Never,
    /// At most this long after a write.
    Every(Duration),
    /// After every batch.
    Batch,
}

impl fmt::Display for Fsync {
    /// Spells it as `AUDIT_FSYNC` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Batch => f.write_str("batch"),
            Self::Every(interval) if interval.subsec_nanos() == 0 => {
                write!(f, "{}s", interval.as_secs())
            }
            Self::Every(interval) => write!(f, "{}ms", interval.as_millis()),
        }
    }
}

/// What happens to files that are no longer written to (`AUDIT_COMPRESS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compress {
    /// They stay as they are.
    #[default]
    None,
    /// They become `.jsonl.zst`. Needs the feature `zstd`.
    Zstd,
}

impl Compress {
    /// Returns the name that `AUDIT_COMPRESS` uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zstd => "zstd",
        }
    }
}

/// What happens to those events of a failed trace that the rates leave out (`AUDIT_FAILED_TRACES`).
///
/// A trace fails with an event of status `error` or `timeout` that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedTraces {
    /// They are written. Until the trace fails or ends well, they wait in memory.
    #[default]
    Whole,
    /// They are dropped, as those of all other traces.
    Sampled,
}

impl FailedTraces {
    /// Returns the name that `AUDIT_FAILED_TRACES` uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Sampled => "sampled",
        }
    }
}

/// The outputs of `AUDIT_EXPORTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outputs {
    pub(crate) files: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    /// The lines of the files are shipped to a collector.
    pub(crate) otlp: bool,
    /// The lines of the files are shipped to CloudWatch Logs.
    pub(crate) cloudwatch: bool,
}

impl Outputs {
    pub(crate) const NONE: Self =
        Self { files: false, stdout: false, stderr: false, otlp: false, cloudwatch: false };

    pub(crate) fn is_any(self) -> bool {
        self.files || self.stdout || self.stderr
    }
}

impl Settings {
    /// Sets what the variables say. `lookup` returns the value of a variable.
    pub(super) fn read_variables(
        &mut self,
        lookup: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(), Error> {
        VARIABLES.iter().try_for_each(|variable| variable.read(self, lookup).map(drop))
    }

    /// Refuses values that are not accepted, whoever set them.
    pub(super) fn check(&self) -> Result<(), Error> {
        VARIABLES.iter().try_for_each(|variable| variable.check(self))
    }

    /// Returns whether events that the rates leave out are held.
    pub(crate) fn holds_events(&self) -> bool {
        self.holds_left_out() && !self.sampling.debug
    }

    /// Returns whether content is kept in failed traces only.
    pub(crate) fn holds_content(&self) -> bool {
        self.capture_content == CaptureContent::Failed
    }

    /// Returns whether an event is held if the rates have left it out.
    pub(crate) fn holds_left_out(&self) -> bool {
        self.failed_traces == FailedTraces::Whole
    }

    /// Returns the memory of the lane for those events: half of what they have.
    pub(crate) fn held_lane_bytes(&self) -> usize {
        if self.holds_events() { self.hold_bytes / 2 } else { 0 }
    }

    /// Makes the default event smaller if only the queue was made small.
    pub(crate) fn fit_events_to_queue(&mut self) {
        if self.max_event_bytes == EVENT_BYTES_DEFAULT {
            self.max_event_bytes = EVENT_BYTES_DEFAULT.min(self.queue_bytes / 2);
        }
    }
}

/// Returns the name that the OpenTelemetry specification gives to a service without a name.
pub(crate) fn default_service_name() -> String {
    let executable = std::env::current_exe().ok();
    let name = executable.as_deref().and_then(|path| path.file_name()).map(OsStr::to_string_lossy);
    name.map_or_else(|| "unknown_service".to_owned(), |name| format!("unknown_service:{name}"))
}

/// Returns the machine's name, or `unknown`.
pub(crate) fn host_name() -> String {
    hostname::get()
        .map_or_else(|_| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Refuses an event that would take more than half of the queue.
pub(super) fn check_event_fits_queue(settings: &Settings) -> Result<(), String> {
    let half = settings.queue_bytes / 2;
    match settings.max_event_bytes <= half {
        true => Ok(()),
        false => Err(format!("at most half of AUDIT_QUEUE_BYTES, {half}")),
    }
}

/// Refuses a limit of all files together that is below that of one file.
pub(super) fn check_file_fits_total(settings: &Settings) -> Result<(), String> {
    let file = settings.max_file_bytes;
    match settings.max_total_bytes.is_none_or(|total| total >= file) {
        true => Ok(()),
        false => Err(format!("at least AUDIT_MAX_FILE_BYTES, {file}")),
    }
}

/// Refuses an enabled logger that writes nowhere, and destinations that this build cannot ship to.
pub(super) fn check_outputs(settings: &Settings) -> Result<(), String> {
    let Settings { enabled, outputs, to_exporters, .. } = settings;
    if *enabled && !outputs.is_any() && !to_exporters {
        return Err("at least one of jsonfile, stdout, stderr".to_owned());
    }
    let destinations = [
        ("otlp", outputs.otlp, cfg!(feature = "otlp"), "otlp"),
        ("cloudwatch", outputs.cloudwatch, cfg!(feature = "cloudwatch-logs"), "cloudwatch-logs"),
    ];
    match destinations.iter().find(|(_, is_set, is_present, _)| *is_set && !is_present) {
        Some((name, _, _, feature)) => {
            Err(format!("{name} only in a program that was built with the feature `{feature}`"))
        }
        None => Ok(()),
    }
}
