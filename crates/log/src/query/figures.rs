//! Figures of many events.

use hdrhistogram::Histogram;

use crate::schema::{Line, Status, Usd};

/// Significant digits of latencies.
const DIGITS: u8 = 2;

/// Figures of many events.
///
/// Tokens and cost leave out `request.*` events, which may repeat the sum of what is below them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Figures {
    /// How many events there are.
    pub events: u64,
    /// How many of them failed or timed out.
    pub failed: u64,
    /// Tokens that models read.
    pub tokens_input: u64,
    /// Tokens that models wrote.
    pub tokens_output: u64,
    /// What the events cost in US dollars, exactly.
    pub cost_usd: Usd,
    /// Events with a cost.
    pub priced: u64,
    /// Events with tokens and without a cost: no price was known. They are not in the cost.
    pub unpriced: u64,
    /// In nanoseconds.
    latencies: Histogram<u64>,
    /// The longest latency, in milliseconds.
    slowest: Option<f64>,
}

impl Default for Figures {
    fn default() -> Self {
        let latencies = Histogram::new(DIGITS).expect("two digits are accepted");
        Self {
            events: 0,
            failed: 0,
            tokens_input: 0,
            tokens_output: 0,
            cost_usd: Usd::default(),
            priced: 0,
            unpriced: 0,
            latencies,
            slowest: None,
        }
    }
}

impl Figures {
    /// Adds an event.
    pub fn add(&mut self, line: &Line<'_>) {
        self.events += 1;
        self.failed += u64::from(line.status().is_some_and(Status::is_failure));
        // A negative one, of a clock that was set back, says nothing.
        if let Some(ms) = line.latency_ms().filter(|ms| *ms >= 0.0) {
            // The histogram grows to what it is given, so nothing is refused.
            let _ = self.latencies.record((ms * 1e6).round() as u64);
            self.slowest = Some(self.slowest.map_or(ms, |slowest| slowest.max(ms)));
        }
        if !line.is_paid() {
            return;
        }
        let (input, output) = (line.tokens_input(), line.tokens_output());
        self.tokens_input = self.tokens_input.saturating_add(input.unwrap_or(0));
        self.tokens_output = self.tokens_output.saturating_add(output.unwrap_or(0));
        match line.cost_usd() {
            Some(cost) => {
                self.cost_usd += cost;
                self.priced += 1;
            }
            None => self.unpriced += 1,
        }
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
        figures.add(&crate::parse(&mut text.as_bytes().to_vec()).unwrap());
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
        assert_eq!((figures.events, figures.latencies.len()), (102, 100));
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
}
