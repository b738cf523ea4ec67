//! Figures of many events.

use hdrhistogram::Histogram;

use super::Timeline;
use serde::Serialize;

use crate::schema::{Line, Status, Usd};

/// Significant digits of latencies.
const DIGITS: u8 = 2;
/// How often the histogram counts an event of weight 1, so that weights have fractions.
const PARTS: f64 = 1_000.0;

/// Figures of many events.
///
/// Tokens and cost leave out `request.*` events, which may repeat the sum of what is below them. If
/// lines have other weights than 1, all fields but [`estimate`](Self::estimate) are of the lines as
/// they are, and percentiles are weighted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Figures {
    /// How many events there are.
    pub events: u64,
    /// How many of them failed or timed out.
    pub failed: u64,
    /// Tokens that models read.
    pub tokens_input: u64,
    /// Those of them that came from a cache, by `data.usage.cache_read`.
    pub tokens_cached: u64,
    /// Tokens that models wrote.
    pub tokens_output: u64,
    /// What the events cost in US dollars, exactly.
    pub cost_usd: Usd,
    /// Events with a cost.
    pub priced: u64,
    /// Events with tokens and without a cost: no price was known. They are not in the cost.
    pub unpriced: u64,
    /// Sums by weight: with every weight 1 the same as above.
    pub estimate: Estimate,
    /// When the events were, by their weights.
    pub times: Timeline,
    /// In nanoseconds.
    latencies: Histogram<u64>,
    /// The longest latency, in milliseconds.
    slowest: Option<f64>,
    is_estimate: bool,
}

/// Sums over lines, each by its weight ([`Writers::weight_of`](crate::Writers::weight_of)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names are those of `Figures`")]
#[non_exhaustive]
pub struct Estimate {
    pub events: f64,
    pub failed: f64,
    pub tokens_input: f64,
    pub tokens_cached: f64,
    pub tokens_output: f64,
    pub cost_usd: f64,
}

/// What one event adds, read from its line once for several figures.
pub(super) struct EventFigures {
    weight: f64,
    is_failure: bool,
    time: Option<i64>,
    latency_ms: Option<f64>,
    paid: Option<PaidFigures>,
}

struct PaidFigures {
    /// Read, read from a cache, written.
    tokens: [u64; 3],
    /// Exactly, and the nearest.
    cost: Option<(Usd, f64)>,
}

impl EventFigures {
    pub(super) fn of(line: &Line<'_>, weight: f64, cost: Option<Usd>) -> Self {
        let cached = || match line.may_have("cache_read") {
            true => line.data()?.get("usage")?.get("cache_read")?.as_u64(),
            false => None,
        };
        let tokens = || [line.tokens_input(), cached(), line.tokens_output()];
        let paid = || PaidFigures {
            tokens: tokens().map(|tokens| tokens.unwrap_or(0)),
            cost: cost.map(|cost| (cost, cost.as_f64())),
        };
        Self {
            weight,
            is_failure: line.status().is_some_and(Status::is_failure),
            time: line.timestamp(),
            // A negative one, of a clock that was set back, says nothing.
            latency_ms: line.latency_ms().filter(|ms| *ms >= 0.0),
            paid: line.is_paid().then(paid),
        }
    }
}

impl Default for Figures {
    fn default() -> Self {
        let latencies = Histogram::new(DIGITS).expect("two digits are accepted");
        Self {
            events: 0,
            failed: 0,
            tokens_input: 0,
            tokens_cached: 0,
            tokens_output: 0,
            cost_usd: Usd::default(),
            priced: 0,
            unpriced: 0,
            estimate: Estimate::default(),
            times: Timeline::default(),
            latencies,
            slowest: None,
            is_estimate: false,
        }
    }
}

impl Figures {
    /// Adds an event that counts as `weight` of them.
    pub fn add(&mut self, line: &Line<'_>, weight: f64) {
        self.add_priced(line, weight, line.cost_usd());
    }

    /// Adds an event that counts as `weight` of them, at another cost than the line has.
    pub fn add_priced(&mut self, line: &Line<'_>, weight: f64, cost: Option<Usd>) {
        self.add_event(&EventFigures::of(line, weight, cost));
    }

    pub(super) fn add_event(&mut self, event: &EventFigures) {
        let weight = event.weight;
        self.is_estimate |= weight != 1.0;
        self.events += 1;
        self.estimate.events += weight;
        if event.is_failure {
            self.failed += 1;
            self.estimate.failed += weight;
        }
        if let Some(time) = event.time {
            self.times.add(time, weight);
        }
        if let Some(ms) = event.latency_ms {
            // The histogram grows to what it is given, so nothing is refused.
            let _ = self.latencies.record_n((ms * 1e6).round() as u64, (weight * PARTS) as u64);
            self.slowest = Some(self.slowest.map_or(ms, |slowest| slowest.max(ms)));
        }
        if let Some(paid) = &event.paid {
            self.add_paid(paid, weight);
        }
    }

    fn add_paid(&mut self, paid: &PaidFigures, weight: f64) {
        let [input, cached, output] = paid.tokens;
        self.tokens_input = self.tokens_input.saturating_add(input);
        self.tokens_cached = self.tokens_cached.saturating_add(cached);
        self.tokens_output = self.tokens_output.saturating_add(output);
        self.estimate.tokens_input += input as f64 * weight;
        self.estimate.tokens_cached += cached as f64 * weight;
        self.estimate.tokens_output += output as f64 * weight;
        match paid.cost {
            Some((cost, nearest)) => {
                self.cost_usd += cost;
                self.estimate.cost_usd += nearest * weight;
                self.priced += 1;
            }
            None => self.unpriced += 1,
        }
    }

    /// Whether a line has another weight than 1.
    pub fn is_estimate(&self) -> bool {
        self.is_estimate
    }

    /// The latency that this share of the events do not exceed, in milliseconds, to two digits; for
    /// 1.0 the longest one, exactly. `None` if no event has a latency.
    pub fn latency_ms(&self, share: f64) -> Option<f64> {
        let nanos = self.latencies.value_at_quantile(share);
        Some(self.slowest?.min(if share < 1.0 { nanos as f64 / 1e6 } else { f64::INFINITY }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(figures: &mut Figures, text: &str) {
        figures.add(&crate::parse(&mut text.as_bytes().to_vec()).unwrap(), 1.0);
    }

    #[test]
    fn latencies_are_percentiles_of_the_events_that_have_one() {
        let mut figures = Figures::default();
        assert_eq!(figures.latency_ms(0.5), None);
        for ms in 1..=100 {
            add(&mut figures, &format!(r#"{{"latency_ms":{ms},"status":"ok"}}"#));
        }
        add(&mut figures, r#"{"status":"timeout"}"#);
        for (share, expected) in [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = figures.latency_ms(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.01, "{share}: {found}");
        }
        assert_eq!((figures.events, figures.failed), (101, 1));
        add(&mut figures, r#"{"latency_ms":-5}"#);
        assert_eq!((figures.events, figures.latencies.len()), (102, 100_000));
        add(&mut figures, r#"{"latency_ms":1e300}"#);
        assert_eq!(figures.latency_ms(1.0), Some(1e300));
    }

    #[test]
    fn short_latencies_have_two_digits_too() {
        let mut figures = Figures::default();
        for ms in [0.0004, 0.0014, 0.0016] {
            add(&mut figures, &format!(r#"{{"latency_ms":{ms}}}"#));
        }
        let median = figures.latency_ms(0.5).unwrap();
        assert!((median / 0.0014 - 1.0).abs() < 0.01, "{median}");
    }

    #[test]
    fn cost_is_exact_and_what_has_no_price_is_counted() {
        let mut figures = Figures::default();
        for _ in 0..10 {
            add(&mut figures, r#"{"event_type":"llm.invoke","tokens_input":3,"cost_usd":0.1}"#);
        }
        add(&mut figures, r#"{"event_type":"llm.invoke","tokens_output":5}"#);
        add(&mut figures, r#"{"event_type":"request.end","tokens_input":30,"cost_usd":1}"#);
        add(&mut figures, r#"{"event_type":"tool.call"}"#);
        assert_eq!(figures.cost_usd, "1".parse().unwrap());
        assert_eq!((figures.tokens_input, figures.tokens_output), (30, 5));
        assert_eq!((figures.priced, figures.unpriced), (10, 1));
    }

    #[test]
    fn a_line_counts_by_what_it_stands_for() {
        let mut figures = Figures::default();
        let mut add = |text: &str, weight| {
            figures.add(&crate::parse(&mut text.as_bytes().to_vec()).unwrap(), weight);
        };
        add(r#"{"status":"ok","latency_ms":1,"tokens_input":3,"cost_usd":0.5}"#, 2.5);
        add(r#"{"status":"ok","latency_ms":9,"tokens_input":3,"cost_usd":0.5}"#, 0.0);
        add(r#"{"status":"error","latency_ms":5}"#, 1.0);
        let estimate = figures.estimate;
        assert_eq!((figures.events, estimate.events), (3, 3.5));
        assert_eq!((figures.failed, estimate.failed), (1, 1.0));
        assert_eq!((figures.tokens_input, estimate.tokens_input), (6, 7.5));
        assert_eq!((figures.cost_usd.as_f64(), estimate.cost_usd), (1.0, 1.25));
        for (share, expected) in [(0.7, 1.0), (0.75, 5.0), (1.0, 9.0)] {
            let found = figures.latency_ms(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.01, "{share}: {found}");
        }
        assert!(figures.is_estimate());
    }
}
