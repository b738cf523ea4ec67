//! `audit.start`: the first line of a file.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Notice, NoticeType, count_in_notice};
use crate::json::Json;
use crate::schema::{CaptureContent, Line, Status, is_judgement};

const HOST: &str = "host";
const PID: &str = "pid";
const SERVICE: &str = "service";
const FIRST: &str = "first";
const CAPTURE_CONTENT: &str = "capture_content";
const RETENTION_DAYS: &str = "retention_days";
const MAX_TOTAL_BYTES: &str = "max_total_bytes";
const TOTALS: &str = "totals";
const SAMPLING: &str = "sampling";
const TRACE_RATE: &str = "trace_rate";
const SUCCESS_RATE: &str = "success_rate";
const ERROR_RATE: &str = "error_rate";
const SLOW_THRESHOLD_MS: &str = "slow_threshold_ms";
const FAILED_TRACES: &str = "failed_traces";
const DEBUG: &str = "debug";

/// `audit.start`: who writes, and how.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of the settings")]
pub struct Start<'a> {
    pub version: &'a str,
    pub host: &'a str,
    pub pid: u32,
    pub service: &'a str,
    /// Whether this is the first file of the instance, so that its numbers begin here.
    pub first: bool,
    pub sampling: Sampling<'a>,
    pub capture_content: CaptureContent,
    pub include_snapshots: bool,
    pub redaction_profile: &'a str,
    pub redact_env: Option<&'a [String]>,
    /// A hash of the rules by which was redacted.
    pub redaction_rules: u64,
    /// Bytes of torn lines that were cut off before this line.
    pub torn_bytes: u64,
    pub fsync: &'a str,
    pub max_file_bytes: u64,
    pub compress: &'a str,
    pub retention_days: Option<u32>,
    pub max_total_bytes: Option<u64>,
    /// Whether `audit.totals` lines come.
    pub totals: bool,
    /// What tells the key of the hashes of users from other keys.
    pub user_key: &'a str,
}

impl Serialize for Start<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", self.version)?;
        map.serialize_entry(HOST, self.host)?;
        map.serialize_entry(PID, &self.pid)?;
        map.serialize_entry(SERVICE, self.service)?;
        map.serialize_entry(FIRST, &self.first)?;
        map.serialize_entry(SAMPLING, &self.sampling)?;
        map.serialize_entry(CAPTURE_CONTENT, &self.capture_content)?;
        map.serialize_entry("include_snapshots", &self.include_snapshots)?;
        map.serialize_entry("redaction_profile", self.redaction_profile)?;
        map.serialize_entry("redact_env", &self.redact_env)?;
        map.serialize_entry("redaction_rules", &format!("{:016x}", self.redaction_rules))?;
        map.serialize_entry("torn_bytes", &self.torn_bytes)?;
        map.serialize_entry("fsync", self.fsync)?;
        map.serialize_entry("max_file_bytes", &self.max_file_bytes)?;
        map.serialize_entry("compress", self.compress)?;
        // Also if there is no limit: then whatever is missing was not retired.
        map.serialize_entry(RETENTION_DAYS, &self.retention_days)?;
        map.serialize_entry(MAX_TOTAL_BYTES, &self.max_total_bytes)?;
        map.serialize_entry(TOTALS, &self.totals)?;
        map.serialize_entry("user_key", self.user_key)?;
        map.end()
    }
}

impl Notice for Start<'_> {
    fn notice_type(&self) -> NoticeType {
        NoticeType::Start
    }
}

/// What readers take from `audit.start`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Started {
    /// The service that writes.
    pub service: Option<String>,
    /// The host that it runs on.
    pub host: Option<String>,
    /// Its process.
    pub pid: Option<u64>,
    /// Whether the numbers of the instance begin here.
    pub first: bool,
    /// In which traces it keeps content; `None` if the line does not say so.
    pub capture_content: Option<CaptureContent>,
    /// Whether the logger removes old files.
    pub has_retention: bool,
    /// Whether `audit.totals` lines come.
    pub totals: bool,
    /// The rates by which it samples; `None` if the line lacks one.
    pub rates: Option<SamplingRates>,
}

impl Started {
    pub(super) fn read(data: Option<Json<'_>>) -> Self {
        let member = |name| data?.get(name);
        let text = |name| member(name).and_then(Json::as_str).map(str::to_owned);
        let is_set = |name| member(name).is_some_and(|limit| !limit.is_null());
        Self {
            service: text(SERVICE),
            host: text(HOST),
            pid: count_in_notice(data, PID),
            first: member(FIRST).and_then(Json::as_bool) == Some(true),
            capture_content: member(CAPTURE_CONTENT).and_then(CaptureContent::read),
            has_retention: is_set(RETENTION_DAYS) || is_set(MAX_TOTAL_BYTES),
            totals: member(TOTALS).and_then(Json::as_bool) == Some(true),
            rates: member(SAMPLING).and_then(SamplingRates::read),
        }
    }
}

/// The rates of a logger, as a reader needs them to weigh its lines.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct SamplingRates {
    /// The share of the traces that are kept whole.
    pub trace: f64,
    /// The share of the events that go well and that the draws keep.
    pub success: f64,
    /// The same of events that fail or time out.
    pub error: f64,
    /// Events that took longer, in milliseconds, are all kept.
    pub slow_threshold_ms: f64,
    /// Whether all events of a failed trace are kept.
    pub keeps_failed_traces: bool,
}

impl SamplingRates {
    /// Returns how many events a line counts as.
    ///
    /// A line that the draws kept counts as those too that they leave out. A slow one counts as one, as
    /// all of them are kept, and so does an evaluation or feedback. One that is here only because its trace
    /// failed, or because its parent was kept, counts as none: lines that the draws kept count in its place. So
    /// the sum over many lines is an unbiased estimate (Horvitz and Thompson, 1952). If the draws keep nothing,
    /// every line counts as one.
    pub fn weight_of(&self, line: &Line<'_>) -> f64 {
        if line.latency_ms().is_some_and(|took| took > self.slow_threshold_ms)
            || line.event_type().is_some_and(is_judgement)
        {
            return 1.0;
        }
        let is_failure = line.status().is_some_and(Status::is_failure);
        match if is_failure { self.error } else { self.success } {
            // No line counts in place of this one.
            rate if rate <= 0.0 => 1.0,
            _ if line.kept().is_some() => 0.0,
            rate => 1.0 / rate,
        }
    }

    fn read(json: Json<'_>) -> Option<Self> {
        let rate = |name| json.get(name).and_then(Json::as_f64);
        let trace = match json.get(DEBUG).and_then(Json::as_bool) {
            Some(true) => 1.0,
            _ => rate(TRACE_RATE)?,
        };
        // An event stays if the draw of its trace keeps it, or the one of its span.
        // In this form a rate of 1 stays exactly 1.
        let kept = |of_span: f64| trace + of_span * (1.0 - trace);
        Some(Self {
            trace,
            success: kept(rate(SUCCESS_RATE)?),
            error: kept(rate(ERROR_RATE)?),
            slow_threshold_ms: rate(SLOW_THRESHOLD_MS).unwrap_or(f64::MAX),
            keeps_failed_traces: json.get(FAILED_TRACES).and_then(Json::as_str) != Some("sampled"),
        })
    }
}

/// The rates by which a logger samples, for `audit.start`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are those of the settings")]
pub struct Sampling<'a> {
    pub trace_rate: f64,
    pub success_rate: f64,
    pub error_rate: f64,
    pub slow_threshold_ms: f64,
    pub debug: bool,
    /// `whole`, or `sampled` if the rates alone decide on events of failed traces.
    pub failed_traces: &'a str,
}

impl Serialize for Sampling<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry(TRACE_RATE, &self.trace_rate)?;
        map.serialize_entry(SUCCESS_RATE, &self.success_rate)?;
        map.serialize_entry(ERROR_RATE, &self.error_rate)?;
        map.serialize_entry(SLOW_THRESHOLD_MS, &self.slow_threshold_ms)?;
        map.serialize_entry(DEBUG, &self.debug)?;
        map.serialize_entry(FAILED_TRACES, self.failed_traces)?;
        map.end()
    }
}
