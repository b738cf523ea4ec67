//! The one table of settings and of the variables that set them.
//!
//! An entry here makes the field of [`Settings`], its default, the method of the builder, the variable and its
//! checks. `docs/configuration.md`, the crate page, `--help` and `check` list it.

use std::path::PathBuf;
use std::time::Duration;

use super::alerts::{
    ALERTMANAGER, Alerts, COMMAND, HEARTBEAT, PAGERDUTY_KEY, PAGERDUTY_URL, SLACK, SNS_TOPIC,
    WEBHOOK, check_sns_is_built_in,
};
use super::builder::Builder;
use super::otlp::{
    AttributesValue, CollectorValue, CompressionValue, ExporterValue, HeadersValue,
    OtelSwitchValue, Otlp, ProtocolValue, SemconvValue, TemporalityValue, check_protocol_of_logs,
    check_protocol_of_metrics, check_protocol_of_traces,
};
use super::parent::{Traceparent, TraceparentValue, TracestateValue};
use super::settings::{
    Compress, EVENT_BYTES_DEFAULT, FailedTraces, Fsync, Outputs, check_event_fits_queue,
    check_file_fits_total, check_outputs, default_service_name,
};
use super::values::{
    CaptureContentValue, CompressValue, ExportersValue, FailedTracesValue, FileModeValue,
    FsyncValue, MessageContentValue, MillisecondsValue, NoticesValue, NumberValue, OptionalValue,
    PathValue, ProfileValue, ShareValue, SwitchValue, TextValue, UserKeyValue, ValueKind,
    VariableNamesValue,
};
use super::variable::{Fallback, Variable, joined, settings};
use crate::ring;
use crate::sampler::SamplingPolicy;
use crate::sanitize::Sanitizer;
use crate::user_names::UserKey;
use llm_audit_log::CaptureContent;

settings! {
    fields {
        outputs: Outputs = Outputs { files: true, ..Outputs::NONE },
        /// The builder was given exporters.
        to_exporters: bool = false,
        directory: PathBuf = PathBuf::from("logs"),
        sampling: SamplingPolicy = SamplingPolicy::default(),
        sanitizer: Sanitizer = Sanitizer::default(),
        /// Variables whose values are redacted. `None` are those whose name is a sensitive key.
        redact_environment: Option<Vec<String>> = None,
        /// Names and values for `error.environment`, in the order in which they were registered.
        environment: Vec<(String, String)> = Vec::new(),
        /// Prices that override the built-in table.
        pricing_file: Option<PathBuf> = None,
        /// Objectives in place of the built-in ones.
        slo_file: Option<PathBuf> = None,
        /// What all events of a minute add up to is a line of the log.
        totals: bool = true,
        /// The key of the hashes that replace personal ids of users.
        hash_users: Option<UserKey> = None,
        /// Errors have a lane of their own.
        errors_apart: bool = true,
        cloudwatch_stream: Option<String> = None,
        traceparent: Traceparent = Traceparent::Unset,
        tracestate: Option<String> = None,
        otlp: Otlp = Otlp::default(),
        alerts: Alerts = Alerts::default(),
    }

    group "What is recorded"

    /// If `false`, nothing is recorded and `emit` costs one load.
    "AUDIT_ENABLED" = SwitchValue, fn enabled(enabled: bool): bool = true;

    /// If `true`, layers and helpers record prompts, completions, arguments and results. With `failed`, only
    /// traces that fail keep them. If it is not set, `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`
    /// decides. What a caller puts into `data` is always recorded.
    ///
    /// The helpers are [`record_llm_call`](crate::record_llm_call) and `#[audit_span]`. Callers name content of
    /// their own with [`AuditEvent::content`](crate::AuditEvent::content). `error.input_snapshot` has a switch of
    /// its own, [`include_snapshots`](Self::include_snapshots).
    ///
    /// With `failed`, an event with content waits in memory until its trace fails, ends well or is too old, or
    /// until others need the memory, as `AUDIT_FAILED_TRACES` describes. Then it is written, without the content
    /// unless the trace has failed. A process that is killed loses the events that wait.
    "AUDIT_CAPTURE_CONTENT" = CaptureContentValue,
        fn capture_content(capture: impl Into<CaptureContent>): CaptureContent = CaptureContent::Never,
        or "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" = MessageContentValue;

    /// If `false`, `error.input_snapshot` is left out.
    "AUDIT_INCLUDE_SNAPSHOTS" = SwitchValue, fn include_snapshots(include: bool): bool = true;

    /// A file of prices in LiteLLM's JSON layout. They override the built-in prices. The file is read again
    /// when it changes.
    "AUDIT_PRICING_FILE" = OptionalValue(PathValue), at pricing_file;

    /// Objectives and alert rules, in OpenSLO or in the short form of TOML. `llm-audit slo` judges the log by
    /// them. With the feature `slo`, the page of metrics counts their events, and a file that is not accepted is an
    /// error of `init`. With the feature `alerts`, the recorder evaluates the rules. Without a file they are those
    /// that are built in.
    "AUDIT_SLO_FILE" = OptionalValue(PathValue), at slo_file;

    /// The service in `audit.start`.
    "OTEL_SERVICE_NAME" = TextValue, fn service(name: impl Into<String>): String = default_service_name(),
        shown "unknown_service:PROGRAM";

    group "Sampling"

    /// If `true`, every event is kept.
    "AUDIT_DEBUG" = SwitchValue, at sampling.debug;

    /// Share of the traces that are kept whole. The trace id decides, so every process decides alike.
    "TRACE_SAMPLE_RATE" = ShareValue, at sampling.trace_rate;

    /// Share of the spans that are kept outside of those traces. It decides on `ok` and `retry` events, alike
    /// on all events of a span.
    "SUCCESS_SAMPLE_RATE" = ShareValue, at sampling.success_rate;

    /// Share of `error` and `timeout` events that are kept outside of those traces.
    "ERROR_SAMPLE_RATE" = ShareValue, at sampling.error_rate;

    /// An event that took longer is always kept.
    "SLOW_REQUEST_THRESHOLD_MS" = MillisecondsValue, at sampling.slow_threshold_ms;

    /// What happens to the events that the rates leave out if their trace fails. With `whole` they are
    /// written, too. With `sampled` they are dropped.
    ///
    /// With `whole` these events wait in memory. They are dropped if the trace's first request ends well,
    /// if nothing comes for `AUDIT_HOLD_SECONDS`, or if others need the memory. A process that is killed
    /// loses them.
    "AUDIT_FAILED_TRACES" = FailedTracesValue,
        fn failed_traces(failed: FailedTraces): FailedTraces = FailedTraces::Whole;

    /// Memory of the events that wait. One half is a lane of the queue for them, the other what the writer
    /// holds. Traces whose last event is oldest make room.
    ///
    /// An event that waits takes 64 bytes more than its record, and its trace 448. In the lane it takes at
    /// least 1088. It is cut if it would take more than three quarters of the lane.
    "AUDIT_HOLD_BYTES" = NumberValue::<usize> { of: "bytes", from: 64 << 10, to: Some(8 << 30) },
        fn hold_bytes(bytes: usize): usize = 16 << 20;

    /// How long events wait after the last event of their trace.
    "AUDIT_HOLD_SECONDS" = NumberValue::<u32> { of: "seconds", from: 1, to: Some(86_400) },
        fn hold_seconds(seconds: u32): u32 = 60;

    group "Child processes"

    /// The span that this process was started in. What happens outside of any context is below it, in its trace.
    /// `llm-audit run` sets it for the program that it starts, and `TraceContext::to_env` for any other. Its flag
    /// `sampled` may raise the sampling decision, never lower it. A value that is not valid is ignored, with a warning.
    "TRACEPARENT" = TraceparentValue, at traceparent;

    /// The `tracestate` of that span. It is ignored without a `TRACEPARENT`, and if it is not valid.
    "TRACESTATE" = TracestateValue, at tracestate;

    group "Redaction"

    /// What counts as a payment card. With `full`, four groups of four digits do. With `precise`, a card must
    /// have an issuer's prefix and pass Luhn's check.
    "AUDIT_REDACT_PROFILE" = ProfileValue, at sanitizer;

    /// Variables whose values become `[REDACTED_known]` wherever they appear. If it is not set, the recorder
    /// protects variables with a sensitive name, such as `OPENAI_API_KEY`, if the value has at least 12 bytes.
    /// A listed value needs at least 4 bytes. The filters `redact` and `scan` protect listed variables only.
    "AUDIT_REDACT_ENV" = VariableNamesValue, at redact_environment;

    /// Key of the hashes that replace personal ids in `data.user` and `data.conversation`, such as a mail
    /// address. Services with the same key use the same name for a user. Without it, a random key is made in
    /// the folder of the log (`.key`).
    "AUDIT_HASH_USERS" = OptionalValue(UserKeyValue), at hash_users, shown "a key of the folder";

    group "Files"

    /// Where the lines go. `otlp` and `cloudwatch` need the features `otlp` and `cloudwatch-logs`. They ship the lines
    /// of the files, so they imply `jsonfile`.
    "AUDIT_EXPORTER" = ExportersValue, at outputs, if check_outputs;

    /// Where the library tells of trouble, one line for each kind in a process: the first lost events,
    /// the first failed write, unknown variables. It prints nothing else.
    "AUDIT_NOTICES" = NoticesValue, fn notices(notices: bool): bool = true;

    /// Folder of the log, on a local file system. It is created if it does not exist.
    "AUDIT_LOG_DIR" = PathValue, at directory;

    /// Permissions of new files on Unix. A new folder has `0700`.
    "AUDIT_FILE_MODE" = FileModeValue, fn file_mode(mode: u32): u32 = 0o600;

    /// When files are made durable: at most an interval after a write, or after every `batch`. With `never`,
    /// only `flush_durable` syncs, and housekeeping before it compresses or removes old files.
    "AUDIT_FSYNC" = FsyncValue, fn fsync(fsync: Fsync): Fsync = Fsync::Every(Duration::from_secs(1));

    /// If a file would grow past this size, the next begins: `audit-YYYY-MM-DD.1.jsonl`, `.2.` and so on.
    "AUDIT_MAX_FILE_BYTES" = NumberValue::<u64> { of: "bytes", from: 4 << 10, to: None },
        fn max_file_bytes(bytes: u64): u64 = 256 << 20;

    /// Files of older days are removed. With 7, those of the last seven days and of today stay.
    ///
    /// The day is the one in the file's name, compared with the clock. Only files of the log in its folder
    /// that no process writes to are removed, compressed ones too. Retention runs at the start, whenever a
    /// file begins, and when the day changes. For each removed file an `audit.retired` line reports which
    /// numbers went with it.
    "AUDIT_RETENTION_DAYS" = OptionalValue(NumberValue::<u32> { of: "days", from: 1, to: Some(36_500) }),
        fn retention_days(days: u32): Option<u32> = None;

    /// If all files together are larger, the oldest are removed. At least `AUDIT_MAX_FILE_BYTES`.
    ///
    /// Only files that no process writes to are removed. When and how is as with
    /// [`retention_days`](Self::retention_days). In between, the folder may grow by what is written.
    "AUDIT_MAX_TOTAL_BYTES" = OptionalValue(NumberValue::<u64> { of: "bytes", from: 4 << 10, to: None }),
        fn max_total_bytes(bytes: u64): Option<u64> = None, if check_file_fits_total;

    /// If `true`, `AUDIT_RETENTION_DAYS` keeps a file until every destination of a shipper has all of it.
    ///
    /// A destination counts from the moment a shipper was first started for it, until `llm-audit ship forget`. While
    /// a file waits, all later ones wait too. `AUDIT_MAX_TOTAL_BYTES` does not wait, because otherwise a destination
    /// that is gone would fill the disk. Events in removed files that a destination did not have are counted in
    /// `audit.retired`.
    "AUDIT_RETENTION_WAITS" = SwitchValue, fn retention_waits(waits: bool): bool = true;

    /// What happens to files that are no longer written to. With `zstd` they become `.jsonl.zst`.
    "AUDIT_COMPRESS" = CompressValue, fn compress(compress: Compress): Compress = Compress::None;

    group "Queue"

    /// Events that the queue can hold, rounded up to a power of two from 64. Errors and timeouts have a lane
    /// of their own with a quarter as many places in addition, at least 64.
    ///
    /// Events with status `error` or `timeout` use that lane. A flood of other events overwrites none of
    /// them: only errors overwrite errors.
    "AUDIT_QUEUE_CAPACITY" = NumberValue::<usize> { of: "events", from: 1, to: Some(*ring::CAPACITY.end()) },
        fn queue_capacity(events: usize): usize = 10_000;

    /// Memory of the queue. A quarter is for errors and timeouts alone. If a lane is full, its oldest events
    /// are overwritten.
    ///
    /// An event takes at least 1088 bytes of it. In addition the queue takes 76 bytes per place of each
    /// lane, 4 for every 1088 bytes, and 840 KiB.
    "AUDIT_QUEUE_BYTES" = NumberValue::<usize> { of: "bytes", from: 64 << 10, to: Some(8 << 30) },
        fn queue_bytes(bytes: usize): usize = 64 << 20;

    /// Size of one encoded event, at most half of the queue's memory. If an event is larger, its longest
    /// members are cut. If only the queue's memory is made small, this limit shrinks with it.
    ///
    /// An error is also cut if it would take more than three quarters of its lane's memory. Escapes and
    /// numbers take more room in a line, up to six times as much.
    "AUDIT_MAX_EVENT_BYTES" = NumberValue::<usize> { of: "bytes", from: 4 << 10, to: Some(64 << 20) },
        fn max_event_bytes(bytes: usize): usize = EVENT_BYTES_DEFAULT, if check_event_fits_queue;

    group "Alerts"

    /// A URL that gets each alert, in the form of Alertmanager's webhooks. If any variable of this group or
    /// `AUDIT_SLO_FILE` is set, the recorder evaluates the alert rules each minute. That needs the feature `alerts`.
    /// `llm-audit slo watch` takes the same variables. `check` hides credentials.
    "AUDIT_ALERT_WEBHOOK" = OptionalValue(WEBHOOK), at alerts.webhook;

    /// Alertmanagers, which get everything that fires with each evaluation.
    "AUDIT_ALERTMANAGER_URL" = OptionalValue(ALERTMANAGER), at alerts.alertmanager;

    /// An incoming webhook of Slack.
    "AUDIT_SLACK_WEBHOOK" = OptionalValue(SLACK), at alerts.slack;

    /// An integration of PagerDuty's Events API.
    "AUDIT_PAGERDUTY_KEY" = OptionalValue(PAGERDUTY_KEY), at alerts.pagerduty_key;

    /// Where PagerDuty takes events, if not at `https://events.pagerduty.com/v2/enqueue`.
    "AUDIT_PAGERDUTY_URL" = OptionalValue(PAGERDUTY_URL), at alerts.pagerduty_url;

    /// A topic of Amazon SNS.
    "AUDIT_ALERT_SNS_TOPIC" = OptionalValue(SNS_TOPIC), at alerts.sns_topic, if check_sns_is_built_in;

    /// A command that runs for each alert, without a shell. It reads the alert as JSON on its standard input.
    "AUDIT_ALERT_COMMAND" = OptionalValue(COMMAND), at alerts.command;

    /// A URL that is requested after each evaluation, for a dead man's switch.
    "AUDIT_ALERT_HEARTBEAT" = OptionalValue(HEARTBEAT), at alerts.heartbeat;

    group "CloudWatch Logs"

    /// The log group that lines go to, with `cloudwatch` in `AUDIT_EXPORTER`. Region and credentials come from where
    /// AWS's own tools take them.
    "AUDIT_CLOUDWATCH_GROUP" = TextValue,
        fn cloudwatch_group(group: impl Into<String>): String = "llm-audit".to_owned();

    /// The log stream. Without it, the names of the service and of the host are its name.
    "AUDIT_CLOUDWATCH_STREAM" = OptionalValue(TextValue), at cloudwatch_stream, shown "SERVICE/HOST";

    group "OpenTelemetry"

    /// Attributes of the resource, such as `deployment.environment.name=prod`. Values are percent-encoded.
    "OTEL_RESOURCE_ATTRIBUTES" = AttributesValue, at otlp.resource;

    /// If `true`, nothing is sent to a collector.
    "OTEL_SDK_DISABLED" = OtelSwitchValue, at otlp.is_disabled;

    /// If `none`, no metrics are sent to a collector.
    "OTEL_METRICS_EXPORTER" = ExporterValue, at otlp.metrics.is_sent;

    /// If `none`, events that become log records are not shipped to a collector.
    "OTEL_LOGS_EXPORTER" = ExporterValue, at otlp.logs.is_sent;

    /// If `none`, events that become spans are not shipped to a collector.
    "OTEL_TRACES_EXPORTER" = ExporterValue, at otlp.traces.is_sent;

    group "OpenTelemetry metrics"

    /// Whether an export contains everything since the start, or only what came since the last one that the
    /// collector took. `lowmemory` means `delta` here.
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" = TemporalityValue, at otlp.is_delta;

    /// The time between two exports.
    "OTEL_METRIC_EXPORT_INTERVAL" = NumberValue::<u64> { of: "milliseconds", from: 1, to: Some(86_400_000) },
        at otlp.interval_ms;

    /// The names of the metrics: those that instrumentations emit today, or those of the GenAI conventions in a
    /// repository of their own.
    "AUDIT_SEMCONV" = SemconvValue, at otlp.semconv;
}

const TIMEOUT: NumberValue<u64> = NumberValue { of: "milliseconds", from: 1, to: Some(3_600_000) };

/// The variables of the collector that takes one signal. Those without the signal's name are for all of them.
macro_rules! collector {
    ($signal:ident, $part:literal, $path:literal, $sent:literal, $protocols:expr, $check:path) => {
        &[
            collector!(
                @row $signal, $part, $sent, "ENDPOINT", endpoint,
                OptionalValue(CollectorValue { path: "" }), OptionalValue(CollectorValue { path: $path }), [],
                concat!(
                    "The URL of a collector that ", $sent, " go to, with its path. Needs the feature `otlp`. If it is ",
                    "not set, `OTEL_EXPORTER_OTLP_ENDPOINT` decides, and `", $path, "` is added to that. `check` hides ",
                    "credentials."
                )
            ),
            collector!(
                @row $signal, $part, $sent, "HEADERS", headers, HeadersValue, HeadersValue, [],
                "Headers of every request, such as an API key. Values are percent-encoded. If it is not set, \
                 `OTEL_EXPORTER_OTLP_HEADERS` decides."
            ),
            collector!(
                @row $signal, $part, $sent, "TIMEOUT", timeout_ms, TIMEOUT, TIMEOUT, [],
                "How long one export may take. If it is not set, `OTEL_EXPORTER_OTLP_TIMEOUT` decides."
            ),
            collector!(
                @row $signal, $part, $sent, "COMPRESSION", gzip, CompressionValue, CompressionValue, [],
                "How requests are packed. If it is not set, `OTEL_EXPORTER_OTLP_COMPRESSION` decides."
            ),
            collector!(
                @row $signal, $part, $sent, "PROTOCOL", protocol, $protocols, $protocols, [$check],
                concat!(
                    "The protocol. One that this build cannot speak is refused if ", $sent, " are sent. If it is not ",
                    "set, `OTEL_EXPORTER_OTLP_PROTOCOL` decides."
                )
            ),
            collector!(
                @row $signal, $part, $sent, "CERTIFICATE", certificate,
                OptionalValue(PathValue), OptionalValue(PathValue), [],
                "A file of certificates in PEM that are trusted instead of those of the machine. If it is not set, \
                 `OTEL_EXPORTER_OTLP_CERTIFICATE` decides."
            ),
            collector!(
                @row $signal, $part, $sent, "CLIENT_CERTIFICATE", client_certificate,
                OptionalValue(PathValue), OptionalValue(PathValue), [],
                "A file in PEM with the certificate that this program shows to the collector, and those above it. If \
                 it is not set, `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` decides."
            ),
            collector!(
                @row $signal, $part, $sent, "CLIENT_KEY", client_key,
                OptionalValue(PathValue), OptionalValue(PathValue), [],
                "A file in PEM with the private key of that certificate. If it is not set, \
                 `OTEL_EXPORTER_OTLP_CLIENT_KEY` decides."
            ),
        ]
    };
    (
        @row $signal:ident, $part:literal, $sent:literal, $name:literal, $field:ident,
        $values:expr, $shared:expr, [$($check:path)?], $about:expr
    ) => {
        settings!(
            @variable concat!("OpenTelemetry ", $sent), [$about],
            concat!("OTEL_EXPORTER_OTLP_", $part, "_", $name), $values, [otlp.$signal.$field],
            [concat!("OTEL_EXPORTER_OTLP_", $name), $shared], [$($check)?], []
        )
    };
}

const TABLES: &[&[Variable]] = &[
    TABLE,
    collector!(
        metrics,
        "METRICS",
        "/v1/metrics",
        "metrics",
        ProtocolValue { has_grpc: false },
        check_protocol_of_metrics
    ),
    collector!(
        logs,
        "LOGS",
        "/v1/logs",
        "log records",
        ProtocolValue { has_grpc: true },
        check_protocol_of_logs
    ),
    collector!(
        traces,
        "TRACES",
        "/v1/traces",
        "spans",
        ProtocolValue { has_grpc: true },
        check_protocol_of_traces
    ),
];

/// Every variable, in the order of the documentation.
pub(crate) static VARIABLES: &[Variable] =
    &joined::<{ TABLE.len() + TABLES[1].len() + TABLES[2].len() + TABLES[3].len() }>(TABLES);
