//! The logger, the recorder of the process, and what they answer.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::path::PathBuf;
use std::time::Duration;

use llm_audit::sanitize::Redactions;
use llm_audit::{
    Accounting, AuditEvent, AuditLogger, Builder, CaptureContent, Error, Evaluation, Feedback,
    Flushed, Guard, LlmCall, SamplingPolicy, Usage, Usd,
};

use crate::{Plain, Shared, converted, fields, implement, must_be_used};

fn process() {
    let _: fn() -> Result<Guard, Error> = llm_audit::init;
    let _: fn(Builder) -> Result<Guard, Error> = llm_audit::init_with;
    let _: fn(&AuditEvent<'_>) = llm_audit::emit;
    let _: fn(&AuditEvent<'_>) = llm_audit::emit_wait;
    let _: fn(&'static str, u64) = llm_audit::count;
    let _: fn(Duration) -> Result<Flushed, Error> = llm_audit::flush;
    let _: fn(Duration) -> Result<Flushed, Error> = llm_audit::flush_durable;
    let _: fn() -> bool = llm_audit::captures_content;
    let _: fn() -> bool = llm_audit::is_enabled;
    let _: fn(&LlmCall<'_>) -> Option<Usd> = llm_audit::record_llm_call;
    let _: fn(&Evaluation<'_>) = llm_audit::record_evaluation;
    let _: fn(&Feedback<'_>) = llm_audit::record_feedback;
}

#[cfg(unix)]
fn close_on_signals() -> Result<(), Error> {
    converted(llm_audit::close_on_signals())
}

fn audit_logger() {
    let _: fn() -> Builder = AuditLogger::builder;
    let _: fn() -> Option<&'static AuditLogger> = AuditLogger::get;
    let _: fn(&AuditLogger, &AuditEvent<'_>) = AuditLogger::emit;
    let _: fn(&AuditLogger, &AuditEvent<'_>) = AuditLogger::emit_wait;
    let _: fn(&AuditLogger, &LlmCall<'_>) -> Option<Usd> = AuditLogger::record_llm_call;
    let _: fn(&AuditLogger, &Evaluation<'_>) = AuditLogger::record_evaluation;
    let _: fn(&AuditLogger, &Feedback<'_>) = AuditLogger::record_feedback;
    let _: fn(&AuditLogger, &'static str, u64) = AuditLogger::count;
    let _: fn(&AuditLogger, Duration) -> Result<Flushed, Error> = AuditLogger::flush;
    let _: fn(&AuditLogger, Duration) -> Result<Flushed, Error> = AuditLogger::flush_durable;
    let _: fn(&AuditLogger, Duration) -> Result<Flushed, Error> = AuditLogger::shutdown;
    let _: fn(&AuditLogger) -> Accounting = AuditLogger::accounting;
    let _: fn(&AuditLogger) -> &str = AuditLogger::instance;
    let _: fn(&AuditLogger) -> SamplingPolicy = AuditLogger::sampling;
    let _: fn(&AuditLogger) -> bool = AuditLogger::captures_content;
    let _: fn(&AuditLogger) -> bool = AuditLogger::is_enabled;
    let _: fn(&AuditLogger) -> CaptureContent = AuditLogger::capture_content;
    let _: fn(&AuditLogger) -> BTreeMap<String, u64> = AuditLogger::unpriced;
    let _: fn(&AuditLogger) -> BTreeMap<String, u64> = AuditLogger::unmetered;
    let _: fn(&AuditLogger, &'static str) = AuditLogger::count_refused;
    let _: fn(&AuditLogger) -> Option<PathBuf> = AuditLogger::path;
}

fn cost_by_a_logger(logger: &AuditLogger, model: &str, usage: impl Into<Usage>) -> Option<Usd> {
    logger.calculate_cost(model, usage)
}

implement! {
    AuditLogger: Plain, Clone, Debug;
}

fn guard() {
    let _: fn(&Guard) -> &AuditLogger = Guard::logger;
}

implement! {
    Guard: Plain, Debug;
}

must_be_used! {
    Guard,
}

const _: () = assert!(std::mem::needs_drop::<Guard>());

fields!(Flushed { written: u64, overwritten: u64, io_lost: u64 });

implement! {
    Flushed: Plain, Clone, Copy, Debug, Default, PartialEq, Eq;
}

fields!(Accounting {
    emitted: u64,
    written: u64,
    overwritten: u64,
    sampled_out: u64,
    rejected: u64,
    io_lost: u64,
    queued: u64,
    hold_full: u64,
    torn_traces: u64,
    unserializable: u64,
    truncated: u64,
    export_errors: u64,
    unpriced: u64,
    unmetered: u64,
    redactions: Redactions,
});

fn accounting() {
    let _: fn(&Accounting) -> [(&'static str, u64); 6] = Accounting::ends;
    let _: fn(&Accounting) -> u64 = Accounting::accounted;
    let _: fn(&Accounting) -> bool = Accounting::adds_up;
}

implement! {
    Accounting: Plain, Clone, Debug, Default, PartialEq, Eq;
}

fn error() {
    let _: fn(&Error) -> bool = Error::is_config;
    let _: fn(&Error) -> bool = Error::is_deadline;
    let _: fn(&Error) -> bool = Error::is_not_durable;
    let _: fn(&Error) -> bool = Error::is_io;
}

implement! {
    Error: Shared, std::error::Error, Debug, Display;
}

/// `?` in a function that returns a box, as in most `main`s.
fn boxed(deadline: Duration) -> Result<Flushed, Box<dyn std::error::Error + Send + Sync>> {
    Ok(llm_audit::flush(deadline)?)
}
