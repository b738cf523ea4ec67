//! Sampling: keeps whole traces by their id, errors, slow events, and a share of the other spans.

use crate::context::{TRACE_RATE_DEFAULT, TraceContext, keeps_trace, random_share, share_of_span};
use crate::error::Error;
use llm_audit_log::Status;

/// What a rate accepts.
pub(crate) const SHARE_ACCEPTED: &str = "a number from 0 to 1";
/// What the threshold of slow events accepts.
pub(crate) const THRESHOLD_ACCEPTED: &str = "a number of milliseconds from 0 up";

/// Returns whether a rate is accepted.
pub(crate) fn is_sampling_rate(rate: f64) -> bool {
    (0.0..=1.0).contains(&rate)
}

/// Returns whether a threshold is accepted. Not-a-number is not.
pub(crate) fn is_slow_threshold(milliseconds: f64) -> bool {
    milliseconds >= 0.0
}

/// Why an event is kept, or may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The draw of its span keeps it.
    #[default]
    Drawn,
    /// It took longer than the threshold.
    Slow,
    /// The flag that its trace came with.
    Parent,
    /// Nothing but a failure of its trace keeps it.
    Failed,
    /// All events of its trace are kept.
    Whole,
    /// It judges another event, which is rare.
    Judgement,
}

impl Kept {
    /// Returns the text of `kept` in the line, or `None` if the line has none.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Drawn | Self::Whole => None,
            Self::Slow => Some("slow"),
            Self::Parent => Some("parent"),
            Self::Failed => Some("failed"),
            Self::Judgement => Some("judgement"),
        }
    }
}

/// The share of events that is recorded.
///
/// With the defaults about 28 % of the events that go well are kept. A fifth of the traces is kept whole, and
/// a tenth of the spans of all others. All errors and slow events are kept. Rates are shares from 0 to 1.
///
/// # Examples
///
/// ```
/// use llm_audit::SamplingPolicy;
///
/// let policy = SamplingPolicy { success_rate: 0.5, ..SamplingPolicy::default() };
/// assert!(policy.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingPolicy {
    /// Share of the traces kept whole (`TRACE_SAMPLE_RATE`).
    pub trace_rate: f64,
    /// Share of the spans kept outside those traces, in their `ok` and `retry` events (`SUCCESS_SAMPLE_RATE`).
    pub success_rate: f64,
    /// Share of the `error` and `timeout` events kept outside those traces (`ERROR_SAMPLE_RATE`).
    pub error_rate: f64,
    /// An event that took longer, in milliseconds, is always kept (`SLOW_REQUEST_THRESHOLD_MS`). If it is
    /// infinity, no event is slow.
    pub slow_threshold_ms: f64,
    /// Keeps everything (`AUDIT_DEBUG`).
    pub debug: bool,
}

impl Default for SamplingPolicy {
    /// Keeps 20 % of the traces, 10 % of what goes well outside of them, every error, and every event that
    /// took more than 1500 ms.
    fn default() -> Self {
        Self {
            trace_rate: TRACE_RATE_DEFAULT,
            success_rate: 0.10,
            error_rate: 1.0,
            slow_threshold_ms: 1500.0,
            debug: false,
        }
    }
}

impl SamplingPolicy {
    /// Checks the numbers.
    ///
    /// # Errors
    ///
    /// A rate is not within 0 to 1, or the threshold is negative or not a number. The error names the
    /// variable of the setting.
    pub fn validate(&self) -> Result<(), Error> {
        let rates = [
            ("TRACE_SAMPLE_RATE", self.trace_rate),
            ("SUCCESS_SAMPLE_RATE", self.success_rate),
            ("ERROR_SAMPLE_RATE", self.error_rate),
        ];
        if let Some((name, rate)) = rates.into_iter().find(|(_, rate)| !is_sampling_rate(*rate)) {
            return Err(Error::config(name, rate.to_string(), SHARE_ACCEPTED));
        }
        if is_slow_threshold(self.slow_threshold_ms) {
            return Ok(());
        }
        let given = self.slow_threshold_ms.to_string();
        Err(Error::config("SLOW_REQUEST_THRESHOLD_MS", given, THRESHOLD_ACCEPTED))
    }

    /// Returns whether an event of this status and latency, in this span, is kept.
    ///
    /// An event is kept if one of these rules applies:
    ///
    /// 1. With `debug` every event is kept.
    /// 2. An event of a trace that is kept whole is kept. The trace's id decides, or the `rv` in its
    ///    `tracestate`, alike in every process with the same rate.
    /// 3. A share of the spans is kept, at the rate of the status. The span's ids decide, so a call and its
    ///    result are kept together. Without a context a draw decides.
    /// 4. An event with a latency over the threshold is kept.
    /// 5. If the trace came in with a `traceparent` whose flag `sampled` is set, its events are kept. If the
    ///    flag is not set, it changes nothing: a client cannot thin out the log.
    ///
    /// Evaluations and feedback are kept whatever this returns.
    pub fn should_record(
        &self,
        status: Status,
        latency_ms: Option<f64>,
        context: Option<&TraceContext>,
    ) -> bool {
        match context {
            Some(context) => {
                self.decide(status, latency_ms, context, context.span_id()) != Kept::Failed
            }
            None => self.debug || self.is_slow(latency_ms) || random_share() < self.rate_of(status),
        }
    }

    /// Decides on an event of the span `span_id` in the trace of `context`.
    #[inline]
    pub(crate) fn decide(
        &self,
        status: Status,
        latency_ms: Option<f64>,
        context: &TraceContext,
        span_id: u64,
    ) -> Kept {
        if self.debug || keeps_trace(context.randomness(), self.trace_rate) {
            Kept::Whole
        } else if share_of_span(context.trace_id(), span_id) < self.rate_of(status) {
            Kept::Drawn
        } else if context.sampled() == Some(true) || self.is_slow(latency_ms) {
            self.reason_beyond_draws(latency_ms)
        } else {
            Kept::Failed
        }
    }

    /// Returns why an event is kept that the draws leave out. A function of its own, so that events which
    /// are held take no part of it.
    #[cold]
    fn reason_beyond_draws(&self, latency_ms: Option<f64>) -> Kept {
        if self.is_slow(latency_ms) { Kept::Slow } else { Kept::Parent }
    }

    /// Returns the variables, with their values, that decide which events are sampled out.
    pub fn decided_by(&self) -> String {
        let Self { trace_rate, success_rate, error_rate, .. } = self;
        let errors = if *error_rate < 1.0 {
            format!(", ERROR_SAMPLE_RATE={error_rate}")
        } else {
            String::new()
        };
        format!("TRACE_SAMPLE_RATE={trace_rate}, SUCCESS_SAMPLE_RATE={success_rate}{errors}")
    }

    /// Returns the share of new traces that are kept whole.
    pub(crate) fn new_trace_rate(&self) -> f64 {
        if self.debug { 1.0 } else { self.trace_rate }
    }

    fn is_slow(&self, latency_ms: Option<f64>) -> bool {
        // No threshold is below zero.
        latency_ms.unwrap_or(0.0) > self.slow_threshold_ms
    }

    fn rate_of(&self, status: Status) -> f64 {
        if status.is_failure() { self.error_rate } else { self.success_rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: u32 = 100_000;

    /// Asserts that `kept` of [`EVENTS`] is within five standard deviations of this share. If the share is 0
    /// or 1, that is exactly none or all.
    fn assert_share(kept: u32, share: f64, what: &str) {
        let (expected, variance) =
            (f64::from(EVENTS) * share, f64::from(EVENTS) * share * (1.0 - share));
        let off = (f64::from(kept) - expected).abs();
        assert!(off <= 5.0 * variance.sqrt(), "{what}: {kept} kept, expected {expected}");
    }

    fn kept(decide: impl Fn(u32) -> bool) -> u32 {
        crate::context::seed_draws(11);
        (0..EVENTS).map(|event| u32::from(decide(event))).sum()
    }

    fn trace(id: u128) -> TraceContext {
        TraceContext::from_ids(id, 1, None).unwrap()
    }

    fn keeps(id: u128, rate: f64) -> bool {
        keeps_trace((id & KEPT) as u64, rate)
    }

    const UNKEPT: u128 = 0xffff << 56;
    const KEPT: u128 = (1 << 56) - 1;

    #[test]
    fn the_default_rates() {
        let policy = SamplingPolicy::default();
        let cases = [
            (Status::Ok, None, 0.1),
            (Status::Retry, Some(3.0), 0.1),
            (Status::Ok, Some(1500.0), 0.1),
            (Status::Ok, Some(f64::NAN), 0.1),
            (Status::Ok, Some(1500.1), 1.0),
            (Status::Retry, Some(f64::INFINITY), 1.0),
            (Status::Error, None, 1.0),
            (Status::Timeout, Some(3.0), 1.0),
            (Status::Error, Some(9_000.0), 1.0),
        ];
        for (status, latency, share) in cases {
            let what = format!("{status:?} {latency:?}");
            assert_share(kept(|_| policy.should_record(status, latency, None)), share, &what);
            // Spans that count up, of one trace and of as many traces.
            for traces in [0, 1] {
                let kept = kept(|n| {
                    let (trace, span) = (UNKEPT + u128::from(n * traces), u64::from(n) + 1);
                    let span = TraceContext::from_ids(trace, span, None).unwrap();
                    policy.should_record(status, latency, Some(&span))
                });
                assert_share(kept, share, &what);
            }
        }
    }

    #[test]
    fn what_decides_when_nothing_is_drawn() {
        let none = SamplingPolicy {
            success_rate: 0.0,
            error_rate: 0.0,
            slow_threshold_ms: f64::INFINITY,
            ..SamplingPolicy::default()
        };
        let debug = SamplingPolicy { debug: true, trace_rate: 0.0, ..none };
        let header = |id: u128, flag| {
            TraceContext::from_traceparent(&format!("00-{id:032x}-0000000000000001-{flag}"))
                .unwrap()
        };
        let slow = SamplingPolicy { slow_threshold_ms: 10.0, ..none };
        let cases = [
            (none, None, None, false),
            (none, Some(1e9), None, false),
            (none, None, Some(trace(KEPT)), true),
            (none, None, Some(trace(UNKEPT)), false),
            (none, None, Some(header(KEPT, "00")), true),
            (none, None, Some(header(UNKEPT, "00")), false),
            (none, None, Some(header(UNKEPT, "01")), true),
            (none, None, Some(header(UNKEPT, "01").new_span()), true),
            (slow, Some(11.0), Some(header(UNKEPT, "00")), true),
            (slow, Some(10.0), None, false),
            (debug, None, Some(header(UNKEPT, "00")), true),
        ];
        for (policy, latency, context, expected) in cases {
            for status in Status::ALL {
                let kept = policy.should_record(status, latency, context.as_ref());
                assert_eq!(kept, expected, "{status:?} {latency:?} {context:?}");
            }
        }
    }

    #[test]
    fn an_event_that_the_draws_left_out_has_the_reason_why_it_is_kept() {
        let none = SamplingPolicy { trace_rate: 0.5, success_rate: 0.0, ..Default::default() };
        let flagged = |id: u128, flag| {
            let header = format!("00-{id:032x}-0000000000000001-{flag}");
            TraceContext::from_traceparent(&header).unwrap()
        };
        let cases = [
            (Status::Ok, None, flagged(UNKEPT, "00"), Some("failed")),
            (Status::Ok, None, flagged(UNKEPT, "01"), Some("parent")),
            (Status::Ok, Some(2e3), flagged(UNKEPT, "01"), Some("slow")),
            (Status::Ok, Some(2e3), flagged(UNKEPT, "00"), Some("slow")),
            (Status::Ok, Some(2e3), flagged(KEPT, "01"), None),
            (Status::Error, Some(2e3), flagged(UNKEPT, "00"), None),
        ];
        for (status, latency, context, expected) in cases {
            let kept = none.decide(status, latency, &context, context.span_id());
            assert_eq!(kept.reason(), expected, "{status:?} {latency:?} {context:?}");
        }
    }

    #[test]
    fn a_call_and_its_result_share_one_decision() {
        let policy = SamplingPolicy { error_rate: 0.5, ..SamplingPolicy::default() };
        for span in 1..10_000 {
            let span = TraceContext::from_ids(UNKEPT, span, None).unwrap();
            let keeps = |status| policy.should_record(status, None, Some(&span));
            assert_eq!(keeps(Status::Ok), keeps(Status::Ok));
            assert!(!keeps(Status::Ok) || keeps(Status::Error), "no call without its failure");
        }
    }

    #[test]
    fn a_lower_error_rate_is_a_share() {
        let policy = SamplingPolicy { error_rate: 0.25, ..SamplingPolicy::default() };
        for status in [Status::Error, Status::Timeout] {
            assert_share(kept(|_| policy.should_record(status, None, None)), 0.25, status.name());
        }
    }

    #[test]
    fn traces_are_kept_at_the_rate_and_alike_everywhere() {
        let mut rng = fastrand::Rng::with_seed(12);
        let ids: Vec<u128> = (0..EVENTS).map(|_| rng.u128(1..)).collect();
        for rate in [0.0, 0.001, 0.2, 0.5, 0.999, 1.0] {
            let policy =
                SamplingPolicy { trace_rate: rate, success_rate: 0.0, ..Default::default() };
            let keep = |event: u32| {
                policy.should_record(Status::Ok, None, Some(&trace(ids[event as usize])))
            };
            assert_share(kept(keep), rate, "traces");
            for (event, id) in ids.iter().take(1_000).enumerate() {
                assert_eq!(keep(event as u32), keep(event as u32));
                // Only the rightmost 56 bits count, and a higher rate keeps what a lower one does.
                assert_eq!(keeps(*id, rate), keeps(id ^ UNKEPT, rate));
                assert!(!keeps(*id, rate) || keeps(*id, (rate * 2.0).min(1.0)));
            }
        }
    }

    #[test]
    fn an_explicit_randomness_decides_in_place_of_the_trace_s_id() {
        let none = SamplingPolicy { trace_rate: 0.5, success_rate: 0.0, ..Default::default() };
        let cases = [
            (UNKEPT, "ot=rv:80000000000000", true),
            (KEPT, "ot=rv:7fffffffffffff", false),
            (KEPT, "ot=rv:7ffffffffffff", true),
        ];
        for (id, state, kept) in cases {
            let context = trace(id).with_tracestate(state);
            assert_eq!(none.should_record(Status::Ok, None, Some(&context)), kept, "{state}");
        }
    }

    #[test]
    fn the_edges_of_the_trace_rate() {
        let cases = [
            (0.5, 1 << 55, true),
            (0.5, (1 << 55) - 1, false),
            (1.0, 0, true),
            (0.0, KEPT, false),
            (0.75, 1 << 54, true),
            (0.75, (1 << 54) - 1, false),
        ];
        for (rate, id, kept) in cases {
            assert_eq!(keeps(id, rate), kept, "{rate} {id:x}");
        }
    }

    #[test]
    fn numbers_that_are_refused() {
        let default = SamplingPolicy::default();
        assert!(default.validate().is_ok());
        let zero = SamplingPolicy { trace_rate: 0.0, slow_threshold_ms: 0.0, ..default };
        assert!(zero.validate().is_ok());
        let never_slow = SamplingPolicy { slow_threshold_ms: f64::INFINITY, ..default };
        assert!(never_slow.validate().is_ok());
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let policies = [
                (SamplingPolicy { trace_rate: bad, ..default }, "TRACE_SAMPLE_RATE"),
                (SamplingPolicy { success_rate: bad, ..default }, "SUCCESS_SAMPLE_RATE"),
                (SamplingPolicy { error_rate: bad, ..default }, "ERROR_SAMPLE_RATE"),
            ];
            for (policy, name) in policies {
                let error = policy.validate().unwrap_err();
                assert!(error.is_config() && error.to_string().contains(name), "{error}");
            }
        }
        for bad in [-1.0, f64::NAN] {
            let error =
                SamplingPolicy { slow_threshold_ms: bad, ..default }.validate().unwrap_err();
            assert!(error.to_string().contains("SLOW_REQUEST_THRESHOLD_MS"), "{error}");
        }
    }
}
