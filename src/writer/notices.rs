//! Fills the log's own lines with the facts of this logger.

use llm_audit_log::schema::notices::{Notice, NoticeHead, Sampling, Start, Stop, Totals};

use super::Shared;
use crate::metrics::Accounting;

/// The facts that an `audit.start` line contains about its file.
pub(super) struct FileStart<'a> {
    pub(super) host: &'a str,
    /// Whether this is the first file of the instance.
    pub(super) first: bool,
    /// Bytes of torn lines that were cut off.
    pub(super) torn_bytes: u64,
}

/// Returns the head of an own line with the next number.
pub(super) fn notice_head<'a>(shared: &'a Shared, notices: &mut u64, now: i64) -> NoticeHead<'a> {
    *notices += 1;
    NoticeHead { instance: &shared.instance, notice: *notices, timestamp: now }
}

/// Appends the `audit.start` line.
pub(super) fn write_start_notice(
    out: &mut Vec<u8>,
    head: NoticeHead<'_>,
    shared: &Shared,
    place: FileStart<'_>,
) {
    let settings = &shared.settings;
    let sampling = &settings.sampling;
    let start = Start {
        version: env!("CARGO_PKG_VERSION"),
        host: place.host,
        pid: std::process::id(),
        service: &settings.service,
        first: place.first,
        sampling: Sampling {
            trace_rate: sampling.trace_rate,
            success_rate: sampling.success_rate,
            error_rate: sampling.error_rate,
            slow_threshold_ms: sampling.slow_threshold_ms,
            debug: sampling.debug,
            failed_traces: settings.failed_traces.name(),
        },
        capture_content: settings.capture_content,
        include_snapshots: settings.include_snapshots,
        redaction_profile: settings.sanitizer.profile().name(),
        redact_env: settings.redact_environment.as_deref(),
        redaction_rules: shared.sanitizer.rules_hash(),
        torn_bytes: place.torn_bytes,
        fsync: &settings.fsync.to_string(),
        max_file_bytes: settings.max_file_bytes,
        compress: settings.compress.name(),
        retention_days: settings.retention_days,
        max_total_bytes: settings.max_total_bytes,
        totals: settings.totals,
        user_key: &shared.user_names.key_id(),
    };
    start.write(out, head);
}

/// Appends the `audit.stop` line.
pub(super) fn write_stop_notice(
    out: &mut Vec<u8>,
    head: NoticeHead<'_>,
    shared: &Shared,
    accounting: &Accounting,
) {
    let unmetered = shared.pricing.unmetered();
    let (unpriced, refused) = (shared.pricing.unpriced(), shared.pricing.refused());
    let redactions = accounting.redactions.iter().filter(|(_, count)| *count > 0);
    let stop = Stop {
        totals: stop_notice_totals(accounting),
        hold_full: accounting.hold_full,
        torn_traces: accounting.torn_traces,
        unserializable: accounting.unserializable,
        truncated: accounting.truncated,
        export_errors: accounting.export_errors,
        sampled_out_by: shared.settings.sampling.decided_by(),
        redactions: redactions.map(|(kind, count)| (kind.name(), count)).collect(),
        refused: &shared.refused.lock().clone(),
        unpriced: &unpriced.names,
        unpriced_others: unpriced.others,
        unmetered: &unmetered.names,
        unmetered_others: unmetered.others,
        prices_refused: refused.count,
        prices_refused_last: &refused.last,
    };
    stop.write(out, head);
}

fn stop_notice_totals(accounting: &Accounting) -> Totals {
    Totals {
        emitted: accounting.emitted,
        written: accounting.written,
        overwritten: accounting.overwritten,
        sampled_out: accounting.sampled_out,
        rejected: accounting.rejected,
        io_lost: accounting.io_lost,
        queued: accounting.queued,
        in_flight: accounting.emitted.saturating_sub(accounting.accounted()),
    }
}
