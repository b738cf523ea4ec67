//! The builder of a logger: settings that override the environment.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::settings::Settings;
use crate::error::Error;
use crate::export::Exporter;
use crate::sampler::SamplingPolicy;
use crate::sanitize::{Profile, Sanitizer};
use crate::user_names::UserKey;

type SettingsChange = Box<dyn FnOnce(&mut Settings) + Send>;

/// Builds an [`AuditLogger`](crate::AuditLogger). What is set here overrides the environment, and the
/// environment overrides the defaults. The crate page lists the variables.
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
    changes: Vec<SettingsChange>,
    without_environment: bool,
    attachments: Attachments,
}

/// What the builder is given beside settings. It stays in the process that builds the logger.
#[derive(Default)]
pub(crate) struct Attachments {
    pub(crate) exporters: Vec<Box<dyn Exporter>>,
    pub(crate) notifiers: Notifiers,
}

/// The notifiers of the application.
#[cfg(feature = "alerts")]
pub(crate) type Notifiers = Vec<Box<dyn llm_audit_slo::notify::Notifier>>;
#[cfg(not(feature = "alerts"))]
pub(crate) type Notifiers = ();

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

/// Methods that do more than set the field of one variable. `variables.rs` makes the others.
impl Builder {
    pub(super) fn set(mut self, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Reads no variable. Only what is set here counts, and the defaults.
    pub fn without_environment(mut self) -> Self {
        self.without_environment = true;
        self
    }

    /// Writes files into this folder, which is created if it does not exist (`AUDIT_LOG_DIR`, and `jsonfile`
    /// in `AUDIT_EXPORTER`).
    pub fn directory(self, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        self.set(move |settings| {
            settings.directory = directory;
            settings.outputs.files = true;
        })
    }

    /// Sets whether files are written (`jsonfile` in `AUDIT_EXPORTER`).
    pub fn files(self, files: bool) -> Self {
        self.set(move |settings| settings.outputs.files = files)
    }

    /// Sets whether lines go to standard output (`stdout` in `AUDIT_EXPORTER`).
    pub fn stdout(self, stdout: bool) -> Self {
        self.set(move |settings| settings.outputs.stdout = stdout)
    }

    /// Sets whether lines go to standard error (`stderr` in `AUDIT_EXPORTER`), for programs whose
    /// standard output is a protocol.
    pub fn stderr(self, stderr: bool) -> Self {
        self.set(move |settings| settings.outputs.stderr = stderr)
    }

    /// Hands every line to this exporter, too. If no files are written, the first exporter decides what
    /// counts as written.
    pub fn exporter(mut self, exporter: impl Exporter + 'static) -> Self {
        self.attachments.exporters.push(Box::new(exporter));
        self
    }

    /// Keeps every event if `true` (`AUDIT_DEBUG`).
    pub fn debug(self, debug: bool) -> Self {
        self.set(move |settings| settings.sampling.debug = debug)
    }

    /// Sets which events are kept (`TRACE_SAMPLE_RATE`, `SUCCESS_SAMPLE_RATE`, `ERROR_SAMPLE_RATE`,
    /// `SLOW_REQUEST_THRESHOLD_MS` and `AUDIT_DEBUG` together).
    pub fn sampling(self, policy: SamplingPolicy) -> Self {
        self.set(move |settings| settings.sampling = policy)
    }

    /// Sets what counts as a payment card (`AUDIT_REDACT_PROFILE`).
    pub fn redact_profile(self, profile: Profile) -> Self {
        self.set(move |settings| settings.sanitizer = settings.sanitizer.clone().profiled(profile))
    }

    /// Redacts events by this sanitizer instead of the default rules. Its profile overrides
    /// `AUDIT_REDACT_PROFILE`.
    pub fn sanitizer(self, sanitizer: Sanitizer) -> Self {
        self.set(move |settings| settings.sanitizer = sanitizer)
    }

    /// Redacts the values of these variables wherever they appear in the process, as long as the logger
    /// lives (`AUDIT_REDACT_ENV`).
    ///
    /// Without it, the logger protects all variables whose name is a sensitive key and whose value has at
    /// least twelve bytes. See [`protect_value`](crate::protect_value). If a variable is not set or cannot be
    /// protected, [`build`](Self::build) returns an error.
    pub fn redact_environment<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.set(move |settings| settings.redact_environment = Some(names))
    }

    /// Registers a name and its value for the `environment` of every error that `#[audit_span]` records: the
    /// model, or the version of a tool. If a name is registered again, its last value counts.
    pub fn environment(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.set(move |settings| {
            settings.environment.retain(|(known, _)| *known != name);
            settings.environment.push((name, value));
        })
    }

    /// Sets a file of prices that override the built-in table (`AUDIT_PRICING_FILE`).
    ///
    /// Its layout is LiteLLM's JSON (`model_prices_and_context_window.json`): dollars per token, read exactly
    /// as they are spelled. If the file is not accepted, [`build`](Self::build) returns an error that names
    /// the line.
    ///
    /// If a deployment has a name of its own, give it an entry with another model's prices:
    /// `"our-deployment": {"base_model": "gpt-4o"}`. Prices in the same entry override those of that model.
    ///
    /// While the logger records, the writer checks once a second whether the file has another size or time
    /// of change. If so, it reads the file again. Put a new version in place by a rename, so that no
    /// half-written file is read. If a version is not accepted, the prices stay as they were. `audit.stop`
    /// counts such versions (`prices_refused`) and says what was wrong with the last.
    pub fn pricing_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.set(move |settings| settings.pricing_file = Some(path))
    }

    /// Sets a file of objectives (`AUDIT_SLO_FILE`).
    pub fn slo_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.set(move |settings| settings.slo_file = Some(path))
    }

    /// Writes an `audit.totals` line for every minute with events, and one at the end. It has what all events
    /// add up to, also those that sampling leaves out. This is on.
    ///
    /// If an importer records events of other times, it turns this off: the totals have the time of the emit.
    pub fn totals(self, totals: bool) -> Self {
        self.set(move |settings| settings.totals = totals)
    }

    /// Sets the key of the hashes that replace personal ids of users (`AUDIT_HASH_USERS`). It has at least 16
    /// bytes, otherwise [`build`](Self::build) fails.
    pub fn hash_users(self, key: impl Into<Vec<u8>>) -> Self {
        let key = UserKey::unchecked(key);
        self.set(move |settings| settings.hash_users = Some(key))
    }

    /// Sets whether this logger evaluates the alert rules of its folder each minute, with the feature `alerts`. It does
    /// if `AUDIT_SLO_FILE` or a variable of a place for alerts is set, or if there is a notifier. It needs files.
    pub fn alerts(self, alerts: bool) -> Self {
        self.set(move |settings| settings.alerts.asked = Some(alerts))
    }

    /// Tells this notifier which alerts fire and which are resolved. It has a thread of its own, so it may wait. A
    /// forked child does not have it, and so evaluates no rules.
    ///
    /// The rules are those of [`slo_file`](Self::slo_file), otherwise the built-in ones.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::AuditLogger;
    /// use llm_audit::alerts::Lines;
    ///
    /// # let folder = std::env::temp_dir().join(format!("llm-audit-doc-{}", std::process::id()));
    /// let lines = Lines::new("stderr", std::io::stderr());
    /// let logger = AuditLogger::builder().directory(&folder).notifier(lines).build()?;
    /// assert!(logger.health().alerts.is_some());
    /// # drop(logger);
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), llm_audit::Error>(())
    /// ```
    #[cfg(feature = "alerts")]
    pub fn notifier(mut self, notifier: impl llm_audit_slo::notify::Notifier + 'static) -> Self {
        self.attachments.notifiers.push(Box::new(notifier));
        self.set(|settings| settings.alerts.has_notifier = true)
    }

    /// Sends metrics to this collector, with the feature `otlp` (`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`). The URL
    /// contains the path, which usually is `/v1/metrics`.
    pub fn otlp_endpoint(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(move |settings| settings.otlp.metrics.endpoint = Some(url))
    }

    /// Ships the lines of the files to a collector, with the feature `otlp` (`otlp` in `AUDIT_EXPORTER`). The collector
    /// is that of the variables of OpenTelemetry, or of [`otlp_collector`](Self::otlp_collector).
    pub fn otlp(self, ships: bool) -> Self {
        self.set(move |settings| {
            settings.outputs.otlp = ships;
            settings.outputs.files |= ships;
        })
    }

    /// Sets the collector that lines are shipped to, such as `http://localhost:4318` (`OTEL_EXPORTER_OTLP_ENDPOINT`).
    /// `/v1/logs` and `/v1/traces` are added. Metrics have [`otlp_endpoint`](Self::otlp_endpoint).
    pub fn otlp_collector(self, url: impl Into<String>) -> Self {
        let url = url.into();
        let of = move |path| format!("{}{path}", url.trim_end_matches('/'));
        self.set(move |settings| {
            settings.otlp.logs.endpoint = Some(of("/v1/logs"));
            settings.otlp.traces.endpoint = Some(of("/v1/traces"));
        })
    }

    /// Ships the lines of the files to CloudWatch Logs, with the feature `cloudwatch-logs` (`cloudwatch` in
    /// `AUDIT_EXPORTER`).
    pub fn cloudwatch(self, ships: bool) -> Self {
        self.set(move |settings| {
            settings.outputs.cloudwatch = ships;
            settings.outputs.files |= ships;
        })
    }

    /// Sets the log stream in CloudWatch Logs (`AUDIT_CLOUDWATCH_STREAM`).
    pub fn cloudwatch_stream(self, stream: impl Into<String>) -> Self {
        let stream = stream.into();
        self.set(move |settings| settings.cloudwatch_stream = Some(stream))
    }

    /// If `false`, no metrics are sent to a collector, whatever the environment says (`OTEL_METRICS_EXPORTER`).
    pub fn otlp_metrics(self, sends: bool) -> Self {
        self.set(move |settings| settings.otlp.metrics.is_sent = sends)
    }

    /// Puts errors into the lane of all other events: what a thread emits stays in its order.
    pub(crate) fn in_one_lane(self) -> Self {
        self.set(|settings| settings.errors_apart = false)
    }

    /// Returns whether [`build`](Self::build) reads the environment.
    pub(crate) fn reads_environment(&self) -> bool {
        !self.without_environment
    }

    /// Returns the final settings. `lookup` returns the value of a variable.
    pub(crate) fn settings(
        self,
        lookup: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(Settings, Attachments), Error> {
        let to_exporters = !self.attachments.exporters.is_empty();
        let mut settings = Settings { to_exporters, ..Settings::default() };
        match self.without_environment {
            true => settings.redact_environment = Some(Vec::new()),
            false => settings.read_variables(lookup)?,
        }
        for change in self.changes {
            change(&mut settings);
        }
        settings.fit_events_to_queue();
        settings.otlp.fit_paths_to_protocols();
        settings.check()?;
        Ok((settings, self.attachments))
    }
}
