//! The share of traces that are kept whole.

use std::sync::atomic::{AtomicU64, Ordering};

/// The default of `TRACE_SAMPLE_RATE`.
pub(crate) const TRACE_RATE_DEFAULT: f64 = 0.20;
/// The random part of a trace id, in bits.
pub(crate) const RANDOM_BITS: u32 = 56;

/// Returns the randomness of a trace id: its 56 rightmost bits.
pub(crate) fn randomness_of_id(trace_id: u128) -> u64 {
    trace_id as u64 & ((1 << RANDOM_BITS) - 1)
}

/// Reports whether a trace of this randomness is kept whole at this rate.
///
/// This is the definition of OpenTelemetry's "TraceState: Probability Sampling" (consistent
/// probability sampling). If another service keeps traces at a lower rate, it keeps a subset of these.
pub(crate) fn keeps_trace(randomness: u64, rate: f64) -> bool {
    randomness >= rejection_threshold(rate)
}

/// Returns the least randomness of a trace that is kept whole: (1 - rate) * 2^56.
pub(crate) fn rejection_threshold(rate: f64) -> u64 {
    /// From here up a number has no fraction, and a half added to it would round it.
    const WHOLE: f64 = (1_u64 << 52) as f64;
    let threshold = (1.0 - rate) * (1_u64 << RANDOM_BITS) as f64;
    // `round` is a call on most machines.
    let threshold = if threshold < WHOLE { threshold + 0.5 } else { threshold };
    // A conversion to a signed number takes fewer instructions.
    threshold as i64 as u64
}

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
