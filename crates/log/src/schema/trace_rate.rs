//! The share of traces that are kept whole, by OpenTelemetry's "TraceState: Probability Sampling" (consistent
//! probability sampling): <https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>.

/// The random part of a trace id, in bits.
pub const RANDOM_BITS: u32 = 56;

/// Returns the randomness of a trace id: its 56 rightmost bits.
#[inline]
pub fn randomness_of_id(trace_id: u128) -> u64 {
    trace_id as u64 & ((1 << RANDOM_BITS) - 1)
}

/// Reports whether a trace of this randomness is kept whole at this rate. If another service keeps traces at a lower
/// rate, it keeps a subset of these.
#[inline]
pub fn keeps_trace(randomness: u64, rate: f64) -> bool {
    randomness >= rejection_threshold(rate)
}

/// Returns the least randomness of a trace that is kept whole: (1 - rate) * 2^56.
#[inline]
pub fn rejection_threshold(rate: f64) -> u64 {
    /// From here up a number has no fraction, and a half added to it would round it.
    const WHOLE: f64 = (1_u64 << 52) as f64;
    let threshold = (1.0 - rate) * (1_u64 << RANDOM_BITS) as f64;
    // `round` is a call on most machines.
    let threshold = if threshold < WHOLE { threshold + 0.5 } else { threshold };
    // A conversion to a signed number takes fewer instructions.
    threshold as i64 as u64
}

/// Returns `th` with this threshold, as the member `ot` of `tracestate` has it. Zeros at its end are left out. It has
/// 14 digits, so the threshold that keeps nothing becomes the one that keeps least.
pub fn threshold_member(threshold: u64) -> String {
    let threshold = threshold.min((1 << RANDOM_BITS) - 1);
    let digits = format!("{threshold:014x}");
    match digits.trim_end_matches('0') {
        "" => "th:0".to_owned(),
        digits => format!("th:{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_has_at_most_14_digits() {
        for (rate, expected) in [
            (1.0, "th:0"),
            (0.5, "th:8"),
            (0.25, "th:c"),
            (f64::EPSILON, "th:fffffffffffff"),
            (0.0, "th:ffffffffffffff"),
        ] {
            assert_eq!(threshold_member(rejection_threshold(rate)), expected, "{rate}");
        }
    }
}
