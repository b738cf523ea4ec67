//! Settings: what a logger is built from. Builder over environment over defaults.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::export::Exporter;
use crate::ring;
use crate::sampler::SamplingPolicy;
use crate::sanitize::{Profile, Sanitizer};
use llm_audit_log::zst;

/// Events may be this large by default, in bytes.
const EVENT_BYTES_DEFAULT: usize = 256 << 10;
/// Bounds of `AUDIT_MAX_EVENT_BYTES`.
const EVENT_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 20;
/// Bounds of `AUDIT_QUEUE_BYTES`.
const QUEUE_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=8 << 30;
/// The smallest `AUDIT_MAX_FILE_BYTES`.
const FILE_BYTES_MIN: u64 = 4 << 10;

/// Bounds of `AUDIT_RETENTION_DAYS`.
const RETENTION_DAYS: std::ops::RangeInclusive<u32> = 1..=36_500;

/// When files are made durable (`AUDIT_FSYNC`). Never on the thread that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// When the operating system gets to it, and when
    /// [`flush_durable`](crate::AuditLogger::flush_durable) asks; and where more than 16 files that were left
    /// behind wait to be asked for.
    Never,
    /// At most this long after a write.
    Every(Duration),
    /// After every batch.
    Batch,
}

impl fmt::Display for Fsync {
    /// As `AUDIT_FSYNC` spells it.
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

/// What becomes of files that are no longer written to (`AUDIT_COMPRESS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// They stay as they are.
    #[default]
    None,
    /// They become `.jsonl.zst`. Needs the feature `zstd`.
    Zstd,
}

impl Compress {
    /// As `AUDIT_COMPRESS` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zstd => "zstd",
        }
    }
}

/// What a logger is made of. Every field has its final value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    pub(crate) to_files: bool,
    pub(crate) to_stdout: bool,
    pub(crate) directory: PathBuf,
    pub(crate) include_snapshots: bool,
    /// Prompts, completions, arguments and results are recorded by layers and helpers.
    pub(crate) capture_content: bool,
    pub(crate) sanitizer: Sanitizer,
    /// Variables whose values are redacted; `None`: those whose name is a sensitive key.
    pub(crate) redact_environment: Option<Vec<String>>,
    /// Names and values for `error.environment`, in the order they were registered.
    pub(crate) environment: Vec<(String, String)>,
    /// Prices over the built-in table.
    pub(crate) pricing_file: Option<PathBuf>,
    pub(crate) sampling: SamplingPolicy,
    pub(crate) queue_capacity: usize,
    pub(crate) queue_bytes: usize,
    /// Errors have a lane of their own.
    pub(crate) errors_apart: bool,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_file_bytes: u64,
    pub(crate) file_mode: u32,
    pub(crate) fsync: Fsync,
    pub(crate) retention_days: Option<u32>,
    pub(crate) max_total_bytes: Option<u64>,
    pub(crate) compress: Compress,
    pub(crate) service: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            to_files: true,
            to_stdout: false,
            directory: PathBuf::from("logs"),
            include_snapshots: true,
            capture_content: false,
            sanitizer: Sanitizer::default(),
            redact_environment: None,
            environment: Vec::new(),
            pricing_file: None,
            sampling: SamplingPolicy::default(),
            queue_capacity: 10_000,
            queue_bytes: 64 << 20,
            errors_apart: true,
            max_event_bytes: EVENT_BYTES_DEFAULT,
            max_file_bytes: 256 << 20,
            file_mode: 0o600,
            fsync: Fsync::Every(Duration::from_secs(1)),
            retention_days: None,
            max_total_bytes: None,
            compress: Compress::None,
            service: default_service(),
        }
    }
}

/// As the OpenTelemetry specification names a service without a name.
fn default_service() -> String {
    let executable = std::env::current_exe().ok();
    let name = executable.as_deref().and_then(|path| path.file_name());
    match name {
        Some(name) => format!("unknown_service:{}", name.to_string_lossy()),
        None => "unknown_service".to_owned(),
    }
}

type Change = Box<dyn FnOnce(&mut Settings) + Send>;

/// Builds an [`AuditLogger`](crate::AuditLogger). What is set here goes before the environment, and the environment
/// before the defaults; see the crate page for the variables.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), llm_audit::Error> {
/// # let folder = std::env::temp_dir().join("llm-audit-doc-builder");
/// let audit = llm_audit::AuditLogger::builder().directory(folder).debug(true).build()?;
/// audit.shutdown(std::time::Duration::from_secs(5))?;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Default)]
pub struct Builder {
    changes: Vec<Change>,
    without_environment: bool,
    exporters: Vec<Box<dyn Exporter>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

impl Builder {
    fn set(mut self, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Reads no variable: only what is set here, and the defaults.
    pub fn without_environment(mut self) -> Self {
        self.without_environment = true;
        self
    }

    /// `false`: `emit` costs one load and does nothing (`AUDIT_ENABLED`).
    pub fn enabled(self, enabled: bool) -> Self {
        self.set(move |settings| settings.enabled = enabled)
    }

    /// Writes files into this folder (`AUDIT_LOG_DIR`, and `jsonfile` in `AUDIT_EXPORTER`). It is
    /// made if it is not there.
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        self.set(move |settings| {
            settings.directory = directory;
            settings.to_files = true;
        })
    }

    /// Whether files are written (`jsonfile` in `AUDIT_EXPORTER`).
    pub fn files(self, files: bool) -> Self {
        self.set(move |settings| settings.to_files = files)
    }

    /// Whether lines go to standard output (`stdout` in `AUDIT_EXPORTER`).
    pub fn stdout(self, stdout: bool) -> Self {
        self.set(move |settings| settings.to_stdout = stdout)
    }

    /// Hands every line to this exporter too. Where no files are written, the first exporter
    /// decides what counts as written.
    pub fn exporter(mut self, exporter: impl Exporter + 'static) -> Self {
        self.exporters.push(Box::new(exporter));
        self
    }

    /// `true`: no sampling (`AUDIT_DEBUG`).
    pub fn debug(self, debug: bool) -> Self {
        self.set(move |settings| settings.sampling.debug = debug)
    }

    /// Which events are kept (`TRACE_SAMPLE_RATE`, `SUCCESS_SAMPLE_RATE`, `ERROR_SAMPLE_RATE`,
    /// `SLOW_REQUEST_THRESHOLD_MS` and `AUDIT_DEBUG` together).
    pub fn sampling(self, policy: SamplingPolicy) -> Self {
        self.set(move |settings| settings.sampling = policy)
    }

    /// Whether `error.input_snapshot` is kept (`AUDIT_INCLUDE_SNAPSHOTS`).
    pub fn include_snapshots(self, include: bool) -> Self {
        self.set(move |settings| settings.include_snapshots = include)
    }

    /// Whether the layers, [`record_llm_call`](crate::record_llm_call) and `#[audit_span]` record
    /// content: prompts, completions, arguments and results (`AUDIT_CAPTURE_CONTENT`, else
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`). What a caller puts into `data` is
    /// recorded whatever this says, and so is `error.input_snapshot`
    /// ([`include_snapshots`](Self::include_snapshots)).
    pub fn capture_content(self, capture: bool) -> Self {
        self.set(move |settings| settings.capture_content = capture)
    }

    /// What is taken for a payment card (`AUDIT_REDACT_PROFILE`).
    pub fn redact_profile(self, profile: Profile) -> Self {
        self.set(move |settings| settings.sanitizer = settings.sanitizer.clone().profiled(profile))
    }

    /// What events are redacted by, instead of the default rules. Its profile goes before
    /// `AUDIT_REDACT_PROFILE`.
    pub fn sanitizer(self, sanitizer: Sanitizer) -> Self {
        self.set(move |settings| settings.sanitizer = sanitizer)
    }

    /// The variables of the environment whose values are redacted wherever they appear in the process
    /// (`AUDIT_REDACT_ENV`), as long as the logger lives; without it, all whose name is a sensitive
    /// key and whose value has twelve bytes and more. See
    /// [`protect_value`](crate::protect_value). One that is not set, or that cannot be protected, is
    /// an error of [`build`](Self::build).
    pub fn redact_environment<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.set(move |settings| settings.redact_environment = Some(names))
    }

    /// Registers a name and its value for the `environment` of every error that `#[audit_span]`
    /// records: the model, the version of a tool. A name registered again has its last value.
    pub fn environment(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.set(move |settings| {
            settings.environment.retain(|(known, _)| *known != name);
            settings.environment.push((name, value));
        })
    }

    /// Prices in LiteLLM's JSON layout (`model_prices_and_context_window.json`), over the built-in
    /// table (`AUDIT_PRICING_FILE`): dollars per token, read exactly as they are spelled. A file
    /// that is not accepted is an error of [`build`](Self::build) that says what is wrong in which
    /// line.
    ///
    /// An entry of the caller's own prices a deployment by another model's name:
    /// `"our-deployment": {"base_model": "gpt-4o"}`; prices beside it go before those of that model.
    ///
    /// While the logger records, the writer's thread looks once a second whether the file has
    /// another size or time of change, and then reads it again; put a new version in its place by a
    /// rename, so that no half of one is read. A version that is not accepted leaves the prices as
    /// they were; `audit.stop` says how many there were (`prices_refused`), and what was wrong with
    /// the last.
    pub fn pricing_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.set(move |settings| settings.pricing_file = Some(path))
    }

    /// Events the queue may hold, rounded up to a power of two from 64 (`AUDIT_QUEUE_CAPACITY`).
    ///
    /// Events whose status is `error` or `timeout` have a lane of their own, with a quarter as many
    /// places beside these, at least 64: a flood of others overwrites none of them, and only errors
    /// overwrite errors.
    pub fn queue_capacity(self, events: usize) -> Self {
        self.set(move |settings| settings.queue_capacity = events)
    }

    /// Errors share the lane of all others: what a thread emits stays in its order.
    pub(crate) fn in_one_lane(self) -> Self {
        self.set(|settings| settings.errors_apart = false)
    }

    /// Memory the queue may hold, in bytes (`AUDIT_QUEUE_BYTES`). An event takes at least 1088
    /// bytes of it.
    ///
    /// A quarter is for errors and timeouts alone, the rest for all other events. Beside it the
    /// queue takes 76 bytes a place of either lane, 4 for every 1088 bytes, and 560 KiB.
    pub fn queue_bytes(self, bytes: usize) -> Self {
        self.set(move |settings| settings.queue_bytes = bytes)
    }

    /// What one encoded event may take, in bytes (`AUDIT_MAX_EVENT_BYTES`), half of
    /// [`queue_bytes`](Self::queue_bytes) at most. Past it the largest strings are cut; those of an
    /// error also past three quarters of its lane's memory.
    pub fn max_event_bytes(self, bytes: usize) -> Self {
        self.set(move |settings| settings.max_event_bytes = bytes)
    }

    /// A file that would grow past this many bytes is followed by the next
    /// (`AUDIT_MAX_FILE_BYTES`).
    pub fn max_file_bytes(self, bytes: u64) -> Self {
        self.set(move |settings| settings.max_file_bytes = bytes)
    }

    /// Permissions of new files (`AUDIT_FILE_MODE`). Unix only.
    pub fn file_mode(self, mode: u32) -> Self {
        self.set(move |settings| settings.file_mode = mode)
    }

    /// When files are made durable (`AUDIT_FSYNC`).
    pub fn fsync(self, fsync: Fsync) -> Self {
        self.set(move |settings| settings.fsync = fsync)
    }

    /// Files of days further back than so many are removed (`AUDIT_RETENTION_DAYS`), by the day in
    /// their name against the clock: with 7, those of the last seven days and of today stay.
    ///
    /// Removed are only files of the log in its folder that no process writes to, compressed ones
    /// too: at the start, whenever a file is begun, and when the day changes. For each an
    /// `audit.retired` line says which numbers went with it.
    pub fn retention_days(self, days: u32) -> Self {
        self.set(move |settings| settings.retention_days = Some(days))
    }

    /// The oldest files that no process writes to are removed until all files of the log in the
    /// folder have no more than so many bytes (`AUDIT_MAX_TOTAL_BYTES`). When and how is as with
    /// [`retention_days`](Self::retention_days); in between, the folder may grow by what is
    /// written. At least [`max_file_bytes`](Self::max_file_bytes).
    pub fn max_total_bytes(self, bytes: u64) -> Self {
        self.set(move |settings| settings.max_total_bytes = Some(bytes))
    }

    /// What becomes of files that are no longer written to (`AUDIT_COMPRESS`).
    pub fn compress(self, compress: Compress) -> Self {
        self.set(move |settings| settings.compress = compress)
    }

    /// The service's name in `audit.start` (`OTEL_SERVICE_NAME`).
    pub fn service(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.set(move |settings| settings.service = name)
    }

    /// The final settings, with variables looked up by `lookup`.
    pub(crate) fn settings(
        self,
        lookup: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(Settings, Vec<Box<dyn Exporter>>), Error> {
        let mut settings = Settings::default();
        match self.without_environment {
            true => settings.redact_environment = Some(Vec::new()),
            false => settings.read(lookup)?,
        }
        for change in self.changes {
            change(&mut settings);
        }
        settings.check(!self.exporters.is_empty())?;
        Ok((settings, self.exporters))
    }
}

impl Settings {
    /// Takes what the environment says.
    fn read(&mut self, lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<(), Error> {
        // As the OpenTelemetry specification has it, an empty variable is one that is not set.
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let text = |name: &str| -> Result<Option<String>, Error> {
            lookup(name)
                .map(|value| {
                    let refused = |value: OsString| {
                        Error::config(name, value.to_string_lossy(), "text in UTF-8")
                    };
                    value.into_string().map_err(refused)
                })
                .transpose()
        };
        let set = |name: &'static str, to: &mut dyn FnMut(&str) -> Result<(), String>| {
            text(name)?.map_or(Ok(()), |given| {
                to(given.trim()).map_err(|accepted| Error::config(name, given, accepted))
            })
        };
        set("AUDIT_ENABLED", &mut |given| boolean(given, &mut self.enabled))?;
        set("AUDIT_EXPORTER", &mut |given| {
            (self.to_files, self.to_stdout) = exporters(given)?;
            Ok(())
        })?;
        if let Some(directory) = lookup("AUDIT_LOG_DIR") {
            self.directory = directory.into();
        }
        let sampling = &mut self.sampling;
        set("AUDIT_DEBUG", &mut |given| boolean(given, &mut sampling.debug))?;
        set("TRACE_SAMPLE_RATE", &mut |given| rate(given, &mut sampling.trace_rate))?;
        set("SUCCESS_SAMPLE_RATE", &mut |given| rate(given, &mut sampling.success_rate))?;
        set("ERROR_SAMPLE_RATE", &mut |given| rate(given, &mut sampling.error_rate))?;
        set("SLOW_REQUEST_THRESHOLD_MS", &mut |given| {
            number(given, &mut sampling.slow_threshold_ms, "milliseconds, from 0 up")
        })?;
        set("AUDIT_INCLUDE_SNAPSHOTS", &mut |given| boolean(given, &mut self.include_snapshots))?;
        let capture = &mut self.capture_content;
        set("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", &mut |given| {
            message_content(given, capture)
        })?;
        set("AUDIT_CAPTURE_CONTENT", &mut |given| boolean(given, capture))?;
        set("AUDIT_REDACT_PROFILE", &mut |given| {
            let profile = Profile::from_name(given).ok_or(PROFILE_ACCEPTED)?;
            self.sanitizer = Sanitizer::with_profile(profile);
            Ok(())
        })?;
        if let Some(names) = text("AUDIT_REDACT_ENV")? {
            self.redact_environment = Some(names.split(',').map(str::to_owned).collect());
        }
        if let Some(path) = lookup("AUDIT_PRICING_FILE") {
            self.pricing_file = Some(path.into());
        }
        set("AUDIT_QUEUE_CAPACITY", &mut |given| {
            number(given, &mut self.queue_capacity, &capacity_accepted())
        })?;
        set("AUDIT_QUEUE_BYTES", &mut |given| {
            number(given, &mut self.queue_bytes, &bytes_accepted(&QUEUE_BYTES))
        })?;
        // Where only the queue is made small, the default of its events shrinks with it.
        self.max_event_bytes = self.max_event_bytes.min(self.queue_bytes / 2);
        set("AUDIT_MAX_EVENT_BYTES", &mut |given| {
            number(given, &mut self.max_event_bytes, &bytes_accepted(&EVENT_BYTES))
        })?;
        set("AUDIT_MAX_FILE_BYTES", &mut |given| {
            number(given, &mut self.max_file_bytes, &file_bytes_accepted())
        })?;
        set("AUDIT_FILE_MODE", &mut |given| {
            self.file_mode = u32::from_str_radix(given, 8).map_err(|_| MODE_ACCEPTED.to_owned())?;
            Ok(())
        })?;
        set("AUDIT_FSYNC", &mut |given| {
            self.fsync = fsync(given).ok_or(FSYNC_ACCEPTED)?;
            Ok(())
        })?;
        set("AUDIT_RETENTION_DAYS", &mut |given| {
            let days = self.retention_days.insert(0);
            number(given, days, &days_accepted())
        })?;
        set("AUDIT_MAX_TOTAL_BYTES", &mut |given| {
            let bytes = self.max_total_bytes.insert(0);
            number(given, bytes, "a number of bytes, at least AUDIT_MAX_FILE_BYTES")
        })?;
        set("AUDIT_COMPRESS", &mut |given| {
            self.compress = compress(given).ok_or_else(compress_accepted)?;
            Ok(())
        })?;
        if let Some(name) = text("OTEL_SERVICE_NAME")? {
            self.service = name;
        }
        Ok(())
    }

    /// Checks the numbers, whoever set them.
    fn check(&mut self, has_exporters: bool) -> Result<(), Error> {
        self.sampling.validate()?;
        let refuse = |name: &str, given: &dyn fmt::Display, accepted: String| {
            Err(Error::config(name, given.to_string(), accepted))
        };
        if !(1..=*ring::CAPACITY.end()).contains(&self.queue_capacity) {
            return refuse("AUDIT_QUEUE_CAPACITY", &self.queue_capacity, capacity_accepted());
        }
        if !QUEUE_BYTES.contains(&self.queue_bytes) {
            return refuse("AUDIT_QUEUE_BYTES", &self.queue_bytes, bytes_accepted(&QUEUE_BYTES));
        }
        if self.max_event_bytes == EVENT_BYTES_DEFAULT {
            self.max_event_bytes = EVENT_BYTES_DEFAULT.min(self.queue_bytes / 2);
        }
        if !EVENT_BYTES.contains(&self.max_event_bytes) {
            let accepted = bytes_accepted(&EVENT_BYTES);
            return refuse("AUDIT_MAX_EVENT_BYTES", &self.max_event_bytes, accepted);
        }
        if self.max_event_bytes > self.queue_bytes / 2 {
            let accepted = format!("at most half of AUDIT_QUEUE_BYTES, {}", self.queue_bytes / 2);
            return refuse("AUDIT_MAX_EVENT_BYTES", &self.max_event_bytes, accepted);
        }
        if self.max_file_bytes < FILE_BYTES_MIN {
            return refuse("AUDIT_MAX_FILE_BYTES", &self.max_file_bytes, file_bytes_accepted());
        }
        if self.file_mode & 0o600 != 0o600 || self.file_mode > 0o777 {
            let given = format!("{:04o}", self.file_mode);
            return refuse("AUDIT_FILE_MODE", &given, MODE_ACCEPTED.to_owned());
        }
        if let Some(days) = self.retention_days.filter(|days| !RETENTION_DAYS.contains(days)) {
            return refuse("AUDIT_RETENTION_DAYS", &days, days_accepted());
        }
        if let Some(bytes) = self.max_total_bytes.filter(|bytes| *bytes < self.max_file_bytes) {
            let accepted = format!("at least AUDIT_MAX_FILE_BYTES, {}", self.max_file_bytes);
            return refuse("AUDIT_MAX_TOTAL_BYTES", &bytes, accepted);
        }
        if self.compress == Compress::Zstd && !zst::IS_PRESENT {
            return refuse("AUDIT_COMPRESS", &self.compress.name(), compress_accepted());
        }
        if self.enabled && !self.to_files && !self.to_stdout && !has_exporters {
            let accepted = "at least one of jsonfile, stdout".to_owned();
            return refuse("AUDIT_EXPORTER", &"nothing", accepted);
        }
        Ok(())
    }
}

const MODE_ACCEPTED: &str = "an octal mode that lets the owner read and write, 0600 to 0777";
const PROFILE_ACCEPTED: &str = "full or precise";
const FSYNC_ACCEPTED: &str = "never, batch, or an interval such as 500ms, 1s, 2m";

fn capacity_accepted() -> String {
    format!("a number of events from 1 to {}", ring::CAPACITY.end())
}

fn bytes_accepted(range: &std::ops::RangeInclusive<usize>) -> String {
    format!("a number of bytes from {} to {}", range.start(), range.end())
}

fn file_bytes_accepted() -> String {
    format!("a number of bytes from {FILE_BYTES_MIN} up")
}

fn days_accepted() -> String {
    format!("a number of days from {} to {}", RETENTION_DAYS.start(), RETENTION_DAYS.end())
}

fn compress_accepted() -> String {
    match zst::IS_PRESENT {
        true => "none or zstd",
        false => "none; zstd in a build with the feature zstd",
    }
    .to_owned()
}

fn boolean(given: &str, to: &mut bool) -> Result<(), String> {
    *to = match given.to_ascii_lowercase().as_str() {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => return Err("true or false".to_owned()),
    };
    Ok(())
}

/// The variable of OpenTelemetry's GenAI instrumentations: a boolean in the older ones, where the
/// content goes in the newer ones.
fn message_content(given: &str, to: &mut bool) -> Result<(), String> {
    *to = match given.to_ascii_lowercase().as_str() {
        "true" | "1" | "span_only" | "event_only" | "span_and_event" => true,
        "false" | "0" | "no_content" => false,
        _ => {
            return Err("true, false, NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT".into());
        }
    };
    Ok(())
}

fn rate(given: &str, to: &mut f64) -> Result<(), String> {
    const ACCEPTED: &str = "a number from 0 to 1";
    number(given, to, ACCEPTED)?;
    if (0.0..=1.0).contains(to) { Ok(()) } else { Err(ACCEPTED.to_owned()) }
}

fn number<T: std::str::FromStr>(given: &str, to: &mut T, accepted: &str) -> Result<(), String> {
    *to = given.parse().map_err(|_| accepted.to_owned())?;
    Ok(())
}

/// Whether files and standard output are asked for.
fn exporters(given: &str) -> Result<(bool, bool), String> {
    let (mut files, mut stdout) = (false, false);
    for name in given.split(',').map(str::trim) {
        match name {
            "jsonfile" => files = true,
            "stdout" => stdout = true,
            "cloudwatch" | "otlp" => {
                return Err(format!("jsonfile, stdout: this build has no exporter {name}"));
            }
            _ => return Err("a comma list of jsonfile, stdout".to_owned()),
        }
    }
    Ok((files, stdout))
}

fn compress(given: &str) -> Option<Compress> {
    [Compress::None, Compress::Zstd].into_iter().find(|compress| compress.name() == given)
}

fn fsync(given: &str) -> Option<Fsync> {
    match given {
        "never" => return Some(Fsync::Never),
        "batch" => return Some(Fsync::Batch),
        _ => {}
    }
    let digits = given.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = given[..digits].parse().ok()?;
    let unit_ms = match &given[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let interval_ms = count.checked_mul(unit_ms).filter(|ms| (1..=86_400_000).contains(ms))?;
    Some(Fsync::Every(Duration::from_millis(interval_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Settings, Error> {
        let lookup = |name: &str| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        Builder::default().settings(&lookup).map(|(settings, _)| settings)
    }

    #[test]
    fn without_variables_the_defaults_hold() {
        assert_eq!(read(&[]).unwrap(), Settings::default());
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        assert_eq!(
            read(&[("AUDIT_ENABLED", ""), ("AUDIT_LOG_DIR", "")]).unwrap(),
            Settings::default()
        );
    }

    #[test]
    fn every_variable_arrives() {
        let settings = read(&[
            ("AUDIT_ENABLED", "false"),
            ("AUDIT_EXPORTER", "stdout, jsonfile"),
            ("AUDIT_LOG_DIR", "/var/log/agents"),
            ("AUDIT_DEBUG", "TRUE"),
            ("AUDIT_INCLUDE_SNAPSHOTS", "0"),
            ("TRACE_SAMPLE_RATE", "0.5"),
            ("SUCCESS_SAMPLE_RATE", "0"),
            ("ERROR_SAMPLE_RATE", "0.25"),
            ("SLOW_REQUEST_THRESHOLD_MS", "10.5"),
            ("AUDIT_QUEUE_CAPACITY", "64"),
            ("AUDIT_QUEUE_BYTES", "1048576"),
            ("AUDIT_MAX_EVENT_BYTES", "8192"),
            ("AUDIT_MAX_FILE_BYTES", "10000"),
            ("AUDIT_FILE_MODE", "0640"),
            ("AUDIT_FSYNC", "250ms"),
            ("OTEL_SERVICE_NAME", "desk"),
            ("AUDIT_CAPTURE_CONTENT", "true"),
            ("AUDIT_REDACT_PROFILE", "precise"),
            ("AUDIT_REDACT_ENV", "DESK_KEY, DESK_USER"),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT"),
            ("AUDIT_PRICING_FILE", "prices.json"),
            ("AUDIT_COMPRESS", "none"),
            ("AUDIT_RETENTION_DAYS", "30"),
            ("AUDIT_MAX_TOTAL_BYTES", "10000"),
        ])
        .unwrap();
        let expected = Settings {
            enabled: false,
            to_files: true,
            to_stdout: true,
            directory: "/var/log/agents".into(),
            include_snapshots: false,
            capture_content: true,
            sanitizer: Sanitizer::with_profile(Profile::Precise),
            redact_environment: Some(vec!["DESK_KEY".to_owned(), " DESK_USER".to_owned()]),
            environment: Vec::new(),
            pricing_file: Some("prices.json".into()),
            sampling: SamplingPolicy {
                trace_rate: 0.5,
                success_rate: 0.0,
                error_rate: 0.25,
                slow_threshold_ms: 10.5,
                debug: true,
            },
            queue_capacity: 64,
            queue_bytes: 1 << 20,
            errors_apart: true,
            max_event_bytes: 8192,
            max_file_bytes: 10_000,
            file_mode: 0o640,
            fsync: Fsync::Every(Duration::from_millis(250)),
            retention_days: Some(30),
            max_total_bytes: Some(10_000),
            compress: Compress::None,
            service: "desk".to_owned(),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_refused_variable_is_named_with_what_is_accepted() {
        for (name, given) in [
            ("AUDIT_ENABLED", "yes"),
            ("AUDIT_EXPORTER", "file"),
            ("AUDIT_EXPORTER", "jsonfile,,stdout"),
            ("AUDIT_EXPORTER", "otlp"),
            ("AUDIT_DEBUG", "2"),
            ("AUDIT_INCLUDE_SNAPSHOTS", "no"),
            ("TRACE_SAMPLE_RATE", "1.1"),
            ("SUCCESS_SAMPLE_RATE", "-0.1"),
            ("ERROR_SAMPLE_RATE", "NaN"),
            ("SLOW_REQUEST_THRESHOLD_MS", "-1"),
            ("AUDIT_QUEUE_CAPACITY", "0"),
            ("AUDIT_QUEUE_CAPACITY", "5000000"),
            ("AUDIT_QUEUE_BYTES", "1000"),
            ("AUDIT_QUEUE_BYTES", "64MB"),
            ("AUDIT_MAX_EVENT_BYTES", "100"),
            ("AUDIT_MAX_EVENT_BYTES", "60000000"),
            ("AUDIT_MAX_FILE_BYTES", "1"),
            ("AUDIT_FILE_MODE", "0400"),
            ("AUDIT_FILE_MODE", "rw"),
            ("AUDIT_FILE_MODE", "1600"),
            ("AUDIT_FSYNC", "1"),
            ("AUDIT_FSYNC", "0s"),
            ("AUDIT_FSYNC", "sometimes"),
            ("AUDIT_CAPTURE_CONTENT", "some"),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "all"),
            ("AUDIT_RETENTION_DAYS", "0"),
            ("AUDIT_RETENTION_DAYS", "40000"),
            ("AUDIT_RETENTION_DAYS", "a week"),
            ("AUDIT_MAX_TOTAL_BYTES", "268435455"),
            ("AUDIT_MAX_TOTAL_BYTES", "1GB"),
            ("AUDIT_COMPRESS", "gzip"),
            ("AUDIT_REDACT_PROFILE", "loose"),
        ] {
            let error = read(&[(name, given)]).expect_err(name);
            assert!(error.is_config(), "{name}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("{name} is ")), "{text}");
            assert!(text.contains("; accepted: "), "{text}");
        }
    }

    #[test]
    fn compression_is_refused_where_it_is_not_built_in() {
        let set = read(&[("AUDIT_COMPRESS", "zstd")]).map(|settings| settings.compress);
        let built = Builder::default().without_environment().compress(Compress::Zstd);
        let built = built.settings(&|_| None).map(|(settings, _)| settings.compress);
        for compress in [set, built] {
            match zst::IS_PRESENT {
                true => assert_eq!(compress.unwrap(), Compress::Zstd),
                false => {
                    let error = compress.unwrap_err().to_string();
                    assert!(error.contains("AUDIT_COMPRESS") && error.contains("feature zstd"));
                }
            }
        }
    }

    #[test]
    fn fsync_is_told_as_it_is_set() {
        for given in ["never", "batch", "1s", "90s", "250ms", "1500ms"] {
            assert_eq!(fsync(given).unwrap().to_string(), given);
        }
    }

    #[test]
    fn the_variable_of_opentelemetry_decides_where_ours_is_not_set() {
        let name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        for (given, captures) in
            [("true", true), ("SPAN_AND_EVENT", true), ("false", false), ("no_content", false)]
        {
            assert_eq!(read(&[(name, given)]).unwrap().capture_content, captures, "{given}");
        }
    }

    #[test]
    fn the_builder_goes_before_the_environment() {
        let lookup = |name: &str| (name == "AUDIT_DEBUG").then(|| OsString::from("true"));
        let debug = |builder: Builder| builder.settings(&lookup).unwrap().0.sampling.debug;
        assert!(debug(Builder::default()));
        assert!(!debug(Builder::default().debug(false)));
        assert!(!debug(Builder::default().without_environment()));
    }

    #[test]
    fn a_small_queue_makes_the_default_event_small() {
        let settings = read(&[("AUDIT_QUEUE_BYTES", "65536")]).unwrap();
        assert_eq!(settings.max_event_bytes, 32 << 10);
        let settings = Builder::default().without_environment().queue_bytes(65_536);
        assert_eq!(settings.settings(&|_| None).unwrap().0.max_event_bytes, 32 << 10);
    }

    #[test]
    fn an_output_is_needed() {
        let none = Builder::default().without_environment().files(false);
        assert!(none.settings(&|_| None).err().unwrap().to_string().contains("AUDIT_EXPORTER"));
    }
}
