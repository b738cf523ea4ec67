//! The share of traces that are kept whole.

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use llm_audit_log::schema::trace_rate::{
    RANDOM_BITS, keeps_trace, randomness_of_id, rejection_threshold, threshold_member,
};

/// The default of `TRACE_SAMPLE_RATE`.
pub(crate) const TRACE_RATE_DEFAULT: f64 = 0.20;

/// The bits of the rate that decides the flag in the `traceparent` headers of traces begun here.
///
/// Relaxed: it is one number, and no other data is published with it.
static PROCESS_TRACE_RATE: AtomicU64 = AtomicU64::new(TRACE_RATE_DEFAULT.to_bits());

/// Returns the trace rate of the process's recorder.
pub(crate) fn process_trace_rate() -> f64 {
    f64::from_bits(PROCESS_TRACE_RATE.load(Ordering::Relaxed))
}

/// Sets the result of [`process_trace_rate`]; for `init`.
pub(crate) fn set_process_trace_rate(rate: f64) {
    PROCESS_TRACE_RATE.store(rate.to_bits(), Ordering::Relaxed);
}
