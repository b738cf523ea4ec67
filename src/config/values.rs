//! The kinds of values that settings take: how each is read, checked and shown.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use llm_audit_log::{CaptureContent, zst};

use super::settings::{Compress, FailedTraces, Fsync, Outputs};
use crate::sampler;
use crate::sanitize::{Profile, Sanitizer};
use crate::user_names::{KEY_BYTES_MIN, UserKey};

/// What is shown in place of a secret.
pub(super) const SECRET: &str = "[set]";

/// A kind of values.
pub(super) trait ValueKind {
    type Value;

    /// Describes the accepted values.
    fn accepted(&self) -> String;

    /// Reads a text without spaces around it. Returns `None` if it is not accepted.
    fn parse(&self, text: &str) -> Option<Self::Value>;

    /// Returns the text that [`parse`](Self::parse) reads as this value.
    fn show(&self, value: &Self::Value) -> String;

    /// Returns whether a value is accepted, whoever set it.
    fn accepts(&self, _: &Self::Value) -> bool {
        true
    }

    /// Returns whether a value is shown to nobody, not even one that is not accepted.
    fn is_secret(&self) -> bool {
        false
    }

    /// Reads a variable's value. The error is what is accepted.
    fn read(&self, given: &OsStr) -> Result<Self::Value, String> {
        let text = given.to_str().ok_or("text in UTF-8")?;
        self.parse(text.trim()).ok_or_else(|| self.accepted())
    }
}

/// `true` and `false`, also as `1` and `0`.
pub(super) struct SwitchValue;

impl ValueKind for SwitchValue {
    type Value = bool;

    fn accepted(&self) -> String {
        "true or false".to_owned()
    }

    fn parse(&self, text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// In which traces content is kept.
pub(super) struct CaptureContentValue;

impl ValueKind for CaptureContentValue {
    type Value = CaptureContent;

    fn accepted(&self) -> String {
        "true, false or failed".to_owned()
    }

    fn parse(&self, text: &str) -> Option<CaptureContent> {
        match text.eq_ignore_ascii_case(CaptureContent::Failed.name()) {
            true => Some(CaptureContent::Failed),
            false => SwitchValue.parse(text).map(CaptureContent::from),
        }
    }

    fn show(&self, value: &CaptureContent) -> String {
        value.name().to_owned()
    }
}

/// The values of the variable that OpenTelemetry's GenAI instrumentations read. In older ones it is a
/// switch, in newer ones it names the place of the content.
pub(super) struct MessageContentValue;

impl ValueKind for MessageContentValue {
    type Value = CaptureContent;

    fn accepted(&self) -> String {
        "true, false, NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT".to_owned()
    }

    fn parse(&self, text: &str) -> Option<CaptureContent> {
        match text.to_ascii_lowercase().as_str() {
            "span_only" | "event_only" | "span_and_event" => Some(CaptureContent::Always),
            "no_content" => Some(CaptureContent::Never),
            _ => SwitchValue.parse(text).map(CaptureContent::from),
        }
    }

    fn show(&self, value: &CaptureContent) -> String {
        value.name().to_owned()
    }
}

/// Numbers in a range.
pub(super) struct NumberValue<T> {
    pub(super) of: &'static str,
    pub(super) from: T,
    pub(super) to: Option<T>,
}

impl<T: FromStr + Display + PartialOrd> ValueKind for NumberValue<T> {
    type Value = T;

    fn accepted(&self) -> String {
        let Self { of, from, to } = self;
        match to {
            Some(to) => format!("a number of {of} from {from} to {to}"),
            None => format!("a number of {of} from {from} up"),
        }
    }

    fn parse(&self, text: &str) -> Option<T> {
        text.parse().ok()
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }

    fn accepts(&self, value: &T) -> bool {
        *value >= self.from && self.to.as_ref().is_none_or(|to| value <= to)
    }
}

/// Shares from 0 to 1.
pub(super) struct ShareValue;

impl ValueKind for ShareValue {
    type Value = f64;

    fn accepted(&self) -> String {
        sampler::SHARE_ACCEPTED.to_owned()
    }

    /// Refuses what is out of range, too: the builder sets all rates at once, and would hide it.
    fn parse(&self, text: &str) -> Option<f64> {
        text.parse().ok().filter(|share| self.accepts(share))
    }

    fn show(&self, value: &f64) -> String {
        value.to_string()
    }

    fn accepts(&self, value: &f64) -> bool {
        sampler::is_sampling_rate(*value)
    }
}

/// Latencies in milliseconds, infinity included.
pub(super) struct MillisecondsValue;

impl ValueKind for MillisecondsValue {
    type Value = f64;

    fn accepted(&self) -> String {
        sampler::THRESHOLD_ACCEPTED.to_owned()
    }

    fn parse(&self, text: &str) -> Option<f64> {
        text.parse().ok()
    }

    fn show(&self, value: &f64) -> String {
        value.to_string()
    }

    fn accepts(&self, value: &f64) -> bool {
        sampler::is_slow_threshold(*value)
    }
}

/// Values that may be absent. A variable cannot say so: it is unset then.
pub(super) struct OptionalValue<V>(pub(super) V);

impl<V: ValueKind> ValueKind for OptionalValue<V> {
    type Value = Option<V::Value>;

    fn accepted(&self) -> String {
        self.0.accepted()
    }

    fn parse(&self, text: &str) -> Option<Self::Value> {
        self.0.parse(text).map(Some)
    }

    fn show(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(|| "none".to_owned(), |value| self.0.show(value))
    }

    fn accepts(&self, value: &Self::Value) -> bool {
        value.as_ref().is_none_or(|value| self.0.accepts(value))
    }

    fn is_secret(&self) -> bool {
        self.0.is_secret()
    }

    fn read(&self, given: &OsStr) -> Result<Self::Value, String> {
        self.0.read(given).map(Some)
    }
}

/// The key of a hash.
pub(super) struct UserKeyValue;

impl ValueKind for UserKeyValue {
    type Value = UserKey;

    fn accepted(&self) -> String {
        format!("a text of at least {KEY_BYTES_MIN} bytes")
    }

    fn parse(&self, text: &str) -> Option<UserKey> {
        UserKey::new(text)
    }

    fn accepts(&self, key: &UserKey) -> bool {
        key.is_long()
    }

    fn show(&self, _: &UserKey) -> String {
        SECRET.to_owned()
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// Paths, taken as they are.
pub(super) struct PathValue;

impl ValueKind for PathValue {
    type Value = PathBuf;

    fn accepted(&self) -> String {
        "a path".to_owned()
    }

    fn parse(&self, text: &str) -> Option<PathBuf> {
        Some(text.into())
    }

    fn show(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }

    fn read(&self, given: &OsStr) -> Result<PathBuf, String> {
        Ok(given.into())
    }
}

/// Text, taken as it is.
pub(super) struct TextValue;

impl ValueKind for TextValue {
    type Value = String;

    fn accepted(&self) -> String {
        "text in UTF-8".to_owned()
    }

    fn parse(&self, text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn read(&self, given: &OsStr) -> Result<String, String> {
        given.to_str().map(str::to_owned).ok_or_else(|| self.accepted())
    }
}

/// Names of variables. `None` are those whose name is a sensitive key.
pub(super) struct VariableNamesValue;

impl ValueKind for VariableNamesValue {
    type Value = Option<Vec<String>>;

    fn accepted(&self) -> String {
        "a comma list of variables that are set, or none".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Self::Value> {
        Some(Some(text.split(',').map(|name| name.trim().to_owned()).collect()))
    }

    fn show(&self, value: &Self::Value) -> String {
        match value.as_deref() {
            None => "variables with a sensitive name".to_owned(),
            Some([]) => "none".to_owned(),
            Some(names) => names.join(", "),
        }
    }
}

/// Where the lines go.
pub(super) struct ExportersValue;

impl ValueKind for ExportersValue {
    type Value = Outputs;

    fn accepted(&self) -> String {
        "a comma list of jsonfile, stdout, stderr, otlp, cloudwatch".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Outputs> {
        let mut outputs = Outputs::NONE;
        for name in text.split(',').map(str::trim) {
            match name {
                "jsonfile" => outputs.files = true,
                "stdout" => outputs.stdout = true,
                "stderr" => outputs.stderr = true,
                "otlp" => outputs.otlp = true,
                "cloudwatch" => outputs.cloudwatch = true,
                _ => return None,
            }
        }
        outputs.files |= outputs.otlp || outputs.cloudwatch;
        Some(outputs)
    }

    fn show(&self, value: &Outputs) -> String {
        let names = [
            ("jsonfile", value.files),
            ("stdout", value.stdout),
            ("stderr", value.stderr),
            ("otlp", value.otlp),
            ("cloudwatch", value.cloudwatch),
        ];
        let names: Vec<_> =
            names.into_iter().filter_map(|(name, is_set)| is_set.then_some(name)).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

/// Sanitizers with the default rules, by the name of their profile.
pub(super) struct ProfileValue;

impl ValueKind for ProfileValue {
    type Value = Sanitizer;

    fn accepted(&self) -> String {
        "full or precise".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Sanitizer> {
        Profile::from_name(text).map(Sanitizer::with_profile)
    }

    fn show(&self, value: &Sanitizer) -> String {
        value.profile().name().to_owned()
    }
}

/// Permissions of files that their owner can read and write.
pub(super) struct FileModeValue;

impl ValueKind for FileModeValue {
    type Value = u32;

    fn accepted(&self) -> String {
        "an octal mode that lets the owner read and write, 0600 to 0777".to_owned()
    }

    fn parse(&self, text: &str) -> Option<u32> {
        u32::from_str_radix(text, 8).ok()
    }

    fn show(&self, value: &u32) -> String {
        format!("{value:04o}")
    }

    fn accepts(&self, value: &u32) -> bool {
        value & 0o600 == 0o600 && *value <= 0o777
    }
}

/// When files are synced.
pub(super) struct FsyncValue;

impl ValueKind for FsyncValue {
    type Value = Fsync;

    fn accepted(&self) -> String {
        "never, batch, or an interval from 1ms to 24h, such as 500ms, 1s, 2m".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Fsync> {
        match text {
            "never" => Some(Fsync::Never),
            "batch" => Some(Fsync::Batch),
            _ => parse_fsync_interval(text).map(Fsync::Every),
        }
    }

    fn show(&self, value: &Fsync) -> String {
        value.to_string()
    }
}

/// Reads a number with its unit, from 1 ms to 24 hours.
fn parse_fsync_interval(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..digits].parse().ok()?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let interval_ms = count.checked_mul(unit_ms).filter(|ms| (1..=86_400_000).contains(ms))?;
    Some(Duration::from_millis(interval_ms))
}

/// Whether trouble is told on stderr.
pub(super) struct NoticesValue;

impl ValueKind for NoticesValue {
    type Value = bool;

    fn accepted(&self) -> String {
        "stderr or none".to_owned()
    }

    fn parse(&self, text: &str) -> Option<bool> {
        match text {
            "stderr" => Some(true),
            "none" => Some(false),
            _ => None,
        }
    }

    fn show(&self, value: &bool) -> String {
        if *value { "stderr" } else { "none" }.to_owned()
    }
}

/// What happens to what the rates leave out of failed traces.
pub(super) struct FailedTracesValue;

impl ValueKind for FailedTracesValue {
    type Value = FailedTraces;

    fn accepted(&self) -> String {
        "whole or sampled".to_owned()
    }

    fn parse(&self, text: &str) -> Option<FailedTraces> {
        [FailedTraces::Whole, FailedTraces::Sampled]
            .into_iter()
            .find(|traces| traces.name() == text)
    }

    fn show(&self, value: &FailedTraces) -> String {
        value.name().to_owned()
    }
}

/// What happens to closed files.
pub(super) struct CompressValue;

impl ValueKind for CompressValue {
    type Value = Compress;

    fn accepted(&self) -> String {
        "none, or zstd in a build with the feature zstd".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Compress> {
        [Compress::None, Compress::Zstd].into_iter().find(|compress| compress.name() == text)
    }

    fn show(&self, value: &Compress) -> String {
        value.name().to_owned()
    }

    fn accepts(&self, value: &Compress) -> bool {
        *value == Compress::None || zst::IS_PRESENT
    }
}
