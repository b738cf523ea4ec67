//! The builder of a logger, its enums, and the policy of sampling.

use std::fmt::{Debug, Display};
use std::path::PathBuf;
use std::time::Duration;

use llm_audit::export::Exporter;
use llm_audit::sanitize::Profile;
use llm_audit::{
    AuditLogger, Builder, CaptureContent, Compress, Error, FailedTraces, Fsync, SamplingPolicy,
    Sanitizer, Status, TraceContext,
};

use crate::{Plain, fields, implement, must_be_used, variants};

fn builder() {
    let _: fn(Builder) -> Builder = Builder::without_environment;
    let _: fn(Builder, bool) -> Builder = Builder::enabled;
    let _: fn(Builder, bool) -> Builder = Builder::files;
    let _: fn(Builder, bool) -> Builder = Builder::stdout;
    let _: fn(Builder, bool) -> Builder = Builder::stderr;
    let _: fn(Builder, bool) -> Builder = Builder::notices;
    let _: fn(Builder, bool) -> Builder = Builder::totals;
    let _: fn(Builder, bool) -> Builder = Builder::alerts;
    let _: fn(Builder, &'static str) -> Builder = Builder::slo_file;
    let _: fn(Builder, &'static str) -> Builder = Builder::hash_users;
    let _: fn(Builder, bool) -> Builder = Builder::debug;
    let _: fn(Builder, SamplingPolicy) -> Builder = Builder::sampling;
    let _: fn(Builder, bool) -> Builder = Builder::include_snapshots;
    let _: fn(Builder, bool) -> Builder = Builder::capture_content;
    let _: fn(Builder, CaptureContent) -> Builder = Builder::capture_content;
    let _: fn(Builder, Profile) -> Builder = Builder::redact_profile;
    let _: fn(Builder, Sanitizer) -> Builder = Builder::sanitizer;
    let _: fn(Builder, usize) -> Builder = Builder::queue_capacity;
    let _: fn(Builder, usize) -> Builder = Builder::queue_bytes;
    let _: fn(Builder, usize) -> Builder = Builder::max_event_bytes;
    let _: fn(Builder, u64) -> Builder = Builder::max_file_bytes;
    let _: fn(Builder, u32) -> Builder = Builder::file_mode;
    let _: fn(Builder, FailedTraces) -> Builder = Builder::failed_traces;
    let _: fn(Builder, Fsync) -> Builder = Builder::fsync;
    let _: fn(Builder, usize) -> Builder = Builder::hold_bytes;
    let _: fn(Builder, u32) -> Builder = Builder::hold_seconds;
    let _: fn(Builder, u32) -> Builder = Builder::retention_days;
    let _: fn(Builder, u64) -> Builder = Builder::max_total_bytes;
    let _: fn(Builder, bool) -> Builder = Builder::retention_waits;
    let _: fn(Builder, Compress) -> Builder = Builder::compress;
    let _: fn(Builder) -> Result<AuditLogger, Error> = Builder::build;
}

fn directory(builder: Builder, directory: impl Into<PathBuf>) -> Builder {
    builder.directory(directory)
}

fn otlp_endpoint(builder: Builder, url: impl Into<String>) -> Builder {
    builder.otlp_endpoint(url)
}

fn otlp_collector(builder: Builder, url: impl Into<String>) -> Builder {
    builder.otlp_collector(url)
}

fn cloudwatch_group(builder: Builder, group: impl Into<String>) -> Builder {
    builder.cloudwatch_group(group)
}

fn cloudwatch_stream(builder: Builder, stream: impl Into<String>) -> Builder {
    builder.cloudwatch_stream(stream)
}

fn destinations() {
    let _: fn(Builder, bool) -> Builder = Builder::otlp;
    let _: fn(Builder, bool) -> Builder = Builder::cloudwatch;
}

fn exporter(builder: Builder, exporter: impl Exporter + 'static) -> Builder {
    builder.exporter(exporter)
}

fn redact_environment<N: Into<String>>(
    builder: Builder,
    names: impl IntoIterator<Item = N>,
) -> Builder {
    builder.redact_environment::<N>(names)
}

fn environment(builder: Builder, name: impl Into<String>, value: impl Into<String>) -> Builder {
    builder.environment(name, value)
}

fn pricing_file(builder: Builder, path: impl Into<PathBuf>) -> Builder {
    builder.pricing_file(path)
}

fn service(builder: Builder, name: impl Into<String>) -> Builder {
    builder.service(name)
}

implement! {
    Builder: Send, Unpin, Debug, Default;
}

must_be_used! {
    Builder,
}

variants!(Compress { None, Zstd });

variants!(CaptureContent { Never, Always, Failed });

fn capture_content() {
    let _: fn(CaptureContent) -> &'static str = CaptureContent::name;
}

implement! {
    CaptureContent: Plain, Clone, Copy, Debug, Default, PartialEq, Eq, From<bool>, serde::Serialize;
}

variants!(FailedTraces { Whole, Sampled });

implement! {
    FailedTraces: Plain, Clone, Copy, Debug, Default, PartialEq, Eq;
}

implement! {
    Compress: Plain, Clone, Copy, Debug, Default, PartialEq, Eq;
}

variants!(Fsync { Never, Batch });

fn every(fsync: Fsync) {
    let _: fn(Duration) -> Fsync = Fsync::Every;
    if let Fsync::Every(interval, ..) = fsync {
        let _: Duration = interval;
    }
}

implement! {
    Fsync: Plain, Clone, Copy, Debug, Display, PartialEq, Eq;
}

fields!(SamplingPolicy {
    trace_rate: f64,
    success_rate: f64,
    error_rate: f64,
    slow_threshold_ms: f64,
    debug: bool,
});

/// All fields are public and it is not a result, so users write it out.
const POLICY: SamplingPolicy = SamplingPolicy {
    trace_rate: 0.0,
    success_rate: 0.0,
    error_rate: 0.0,
    slow_threshold_ms: 0.0,
    debug: false,
};

fn sampling_policy() {
    let _: fn(&SamplingPolicy) -> Result<(), Error> = SamplingPolicy::validate;
    let _: fn(&SamplingPolicy, Status, Option<f64>, Option<&TraceContext>) -> bool =
        SamplingPolicy::should_record;
    let _: fn(&SamplingPolicy) -> String = SamplingPolicy::decided_by;
}

implement! {
    SamplingPolicy: Plain, Clone, Copy, Debug, Default, PartialEq;
}
