//! Figures of many events.

use std::ops::Range;

use hdrhistogram::Histogram;

use super::Timeline;
use serde::{Serialize, Serializer};

use crate::schema::{Line, MetricsRow, Status, Usd, bucket_micros_of_ms};

/// Significant digits of latencies.
const DIGITS: u8 = 2;
/// How often the histogram counts an event of weight 1, so that weights have fractions.
const PARTS: u64 = 1_000;

/// Figures of many events.
///
/// Only calls of models (`llm.invoke`, `llm.error`) have tokens and cost, because events of requests and agents
/// repeat them. If lines have other weights than 1, all fields but [`estimate`](Self::estimate) are of the lines
/// as they are, and percentiles are weighted. A row of totals counts as so many lines of weight 1.
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
    /// Events with tokens and without a cost, because no price was known, and events whose cost is not valid.
    /// They are not in the cost.
    pub unpriced: u64,
    /// Sums by weight: with every weight 1 the same as above.
    pub estimate: Estimate,
    /// When the events were, by their weights.
    pub times: Timeline,
    /// In microseconds, each the longest one of its bucket in totals. So it is the same for lines and for totals.
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
    #[serde(serialize_with = "to_thousandths")]
    pub events: f64,
    #[serde(serialize_with = "to_thousandths")]
    pub failed: f64,
    #[serde(serialize_with = "to_thousandths")]
    pub tokens_input: f64,
    #[serde(serialize_with = "to_thousandths")]
    pub tokens_cached: f64,
    #[serde(serialize_with = "to_thousandths")]
    pub tokens_output: f64,
    #[serde(serialize_with = "to_billionths")]
    pub cost_usd: f64,
}

fn to_thousandths<S: Serializer>(sum: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((sum * 1e3).round() / 1e3)
}

fn to_billionths<S: Serializer>(sum: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((sum * 1e9).round() / 1e9)
}

impl Estimate {
    fn merge(&mut self, other: Self) {
        self.events += other.events;
        self.failed += other.failed;
        self.tokens_input += other.tokens_input;
        self.tokens_cached += other.tokens_cached;
        self.tokens_output += other.tokens_output;
        self.cost_usd += other.cost_usd;
    }
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
            let count = (weight * PARTS as f64) as u64;
            let _ = self.latencies.record_n(bucket_micros_of_ms(ms), count);
            self.add_slowest(Some(ms));
        }
        if let Some(paid) = &event.paid {
            self.add_paid(paid, weight);
        }
    }

    fn add_paid(&mut self, paid: &PaidFigures, weight: f64) {
        self.add_tokens(paid.tokens, weight);
        match paid.cost {
            Some((cost, nearest)) => {
                self.cost_usd += cost;
                self.estimate.cost_usd += nearest * weight;
                self.priced += 1;
            }
            None => self.unpriced += 1,
        }
    }

    fn add_tokens(&mut self, [input, cached, output]: [u64; 3], weight: f64) {
        self.tokens_input = self.tokens_input.saturating_add(input);
        self.tokens_cached = self.tokens_cached.saturating_add(cached);
        self.tokens_output = self.tokens_output.saturating_add(output);
        self.estimate.tokens_input += input as f64 * weight;
        self.estimate.tokens_cached += cached as f64 * weight;
        self.estimate.tokens_output += output as f64 * weight;
    }

    /// Adds the events of a row of totals, which were at these times.
    pub fn add_row(&mut self, row: &MetricsRow, times: Range<i64>) {
        let events = row.events as f64;
        self.events = self.events.saturating_add(row.events);
        self.estimate.events += events;
        if row.status.is_failure() {
            self.failed = self.failed.saturating_add(row.events);
            self.estimate.failed += events;
        }
        self.times.add_within(times, events);
        for (micros, count) in row.latencies.counts() {
            let _ = self.latencies.record_n(micros, count.saturating_mul(PARTS));
        }
        self.add_slowest(row.latencies.quantile_ms(1.0));
        if row.is_paid() {
            self.add_tokens([row.tokens_input, row.usage.cache_read, row.tokens_output], 1.0);
            self.cost_usd += row.cost_usd;
            self.estimate.cost_usd += row.cost_usd.as_f64();
            self.priced = self.priced.saturating_add(row.priced);
            self.unpriced = self.unpriced.saturating_add(row.events.saturating_sub(row.priced));
        }
    }

    /// Adds the figures of other events.
    pub fn merge(&mut self, other: &Self) {
        self.events = self.events.saturating_add(other.events);
        self.failed = self.failed.saturating_add(other.failed);
        self.tokens_input = self.tokens_input.saturating_add(other.tokens_input);
        self.tokens_cached = self.tokens_cached.saturating_add(other.tokens_cached);
        self.tokens_output = self.tokens_output.saturating_add(other.tokens_output);
        self.cost_usd += other.cost_usd;
        self.priced = self.priced.saturating_add(other.priced);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.estimate.merge(other.estimate);
        self.times.merge(&other.times);
        self.latencies.add(&other.latencies).expect("the histogram grows");
        self.add_slowest(other.slowest);
        self.is_estimate |= other.is_estimate;
    }

    fn add_slowest(&mut self, ms: Option<f64>) {
        self.slowest = [self.slowest, ms].into_iter().flatten().reduce(f64::max);
    }

    /// Whether a line has another weight than 1.
    pub fn is_estimate(&self) -> bool {
        self.is_estimate
    }

    /// The latency that this share of the events do not exceed, in milliseconds, to two digits and to the
    /// microsecond. For 1.0 it is the longest one: exactly, or within 0.1 % if it is of totals. `None` if no event
    /// has a latency.
    pub fn latency_ms(&self, share: f64) -> Option<f64> {
        let micros = self.latencies.value_at_quantile(share);
        Some(self.slowest?.min(if share < 1.0 { micros as f64 / 1e3 } else { f64::INFINITY }))
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
    fn short_latencies_are_whole_microseconds() {
        let mut figures = Figures::default();
        for ms in [0.0004, 0.014, 0.016] {
            add(&mut figures, &format!(r#"{{"latency_ms":{ms}}}"#));
        }
        assert_eq!([0.1, 0.5].map(|share| figures.latency_ms(share)), [Some(0.0), Some(0.014)]);
    }

    #[test]
    fn cost_is_exact_and_what_has_no_price_is_counted() {
        let mut figures = Figures::default();
        for _ in 0..10 {
            add(&mut figures, r#"{"event_type":"llm.invoke","tokens_input":3,"cost_usd":0.1}"#);
        }
        add(&mut figures, r#"{"event_type":"llm.invoke","tokens_output":5}"#);
        add(&mut figures, r#"{"event_type":"request.end","tokens_input":30,"cost_usd":1}"#);
        add(&mut figures, r#"{"event_type":"agent.decision","tokens_input":30,"cost_usd":1}"#);
        add(&mut figures, r#"{"event_type":"tool.call"}"#);
        // A cost below zero is not one.
        add(&mut figures, r#"{"event_type":"llm.invoke","cost_usd":-0.5}"#);
        assert_eq!(figures.cost_usd, "1".parse().unwrap());
        assert_eq!((figures.tokens_input, figures.tokens_output), (30, 5));
        assert_eq!((figures.priced, figures.unpriced), (10, 2));
    }

    #[test]
    fn merged_figures_are_those_of_all_events() {
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut parts, mut all) = ([Figures::default(), Figures::default()], Figures::default());
        for second in 0..60 {
            let text = format!(
                r#"{{"timestamp":"2026-01-02T03:04:{second:02}Z","event_type":"llm.invoke","status":"{}",
                    "latency_ms":{},"tokens_input":{},"tokens_output":2,"cost_usd":0.25}}"#,
                rng.choice(["ok", "error"]).unwrap(),
                rng.u32(..5_000),
                rng.u32(..100),
            );
            let mut bytes = text.into_bytes();
            let line = crate::parse(&mut bytes).unwrap();
            let weight = f64::from(rng.u8(..4));
            parts[rng.usize(..2)].add(&line, weight);
            all.add(&line, weight);
        }
        let [mut merged, other] = parts;
        merged.merge(&other);
        assert_eq!(merged.estimate, all.estimate);
        assert_eq!((merged.events, merged.failed), (all.events, all.failed));
        assert_eq!((merged.tokens_input, merged.cost_usd), (all.tokens_input, all.cost_usd));
        assert_eq!(merged.times.range(), all.times.range());
        for share in [0.1, 0.5, 0.99, 1.0] {
            assert_eq!(merged.latency_ms(share), all.latency_ms(share));
        }
        assert!(merged.is_estimate());
    }

    #[test]
    fn estimates_are_written_without_the_rest_of_a_sum_of_floats() {
        let (events, cost_usd) = (1.0 / 0.3, 0.1 + 0.2);
        let estimate = Estimate { events, cost_usd, ..Estimate::default() };
        let written = serde_json::to_string(&estimate).unwrap();
        assert!(written.contains(r#""events":3.333,"#), "{written}");
        assert!(written.contains(r#""cost_usd":0.3}"#), "{written}");
    }

    #[test]
    fn a_line_counts_by_what_it_stands_for() {
        let mut figures = Figures::default();
        let mut add = |text: &str, weight| {
            figures.add(&crate::parse(&mut text.as_bytes().to_vec()).unwrap(), weight);
        };
        let paid = r#""event_type":"llm.invoke","status":"ok","tokens_input":3,"cost_usd":0.5"#;
        add(&format!(r#"{{{paid},"latency_ms":1}}"#), 2.5);
        add(&format!(r#"{{{paid},"latency_ms":9}}"#), 0.0);
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
