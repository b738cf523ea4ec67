//! Percentiles over rounds, and how durations are written.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::common::median;

/// What one logger cost at one rate, in nanoseconds.
#[derive(Serialize)]
pub struct Row {
    pub peer: &'static str,
    pub mode: &'static str,
    /// Whether the floor rules by `regex` went over the text before the call.
    pub regex_first: bool,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    pub p9999: Option<f64>,
    pub mean: f64,
    pub emitted: u64,
    /// Events that the settings told the logger to leave out.
    pub left_out: u64,
    /// Events that never arrived, or `None` if there is no file to count them in.
    pub lost: Option<u64>,
}

/// Returns the median of the rounds. If a round has no call beyond the percentile, it is that of
/// all rounds together, and if they have none either, there is no figure.
pub fn percentile(rounds: &[Histogram<u64>], share: f64) -> Option<f64> {
    // A bit less than one, because 1 - 0.9999 is not exact.
    let reaches = |ns: &Histogram<u64>| ns.len() as f64 * (1.0 - share) > 0.99;
    let value = |ns: &Histogram<u64>| ns.value_at_quantile(share) as f64;
    if rounds.iter().all(reaches) {
        return Some(median(rounds.iter().map(value).collect()));
    }
    let mut all = Histogram::new(3).expect("three digits");
    rounds.iter().for_each(|ns| all.add(ns).expect("the histogram grows by itself"));
    reaches(&all).then(|| value(&all))
}

/// Writes a share of events in percent.
pub fn percent(part: u64, whole: u64) -> String {
    match part as f64 * 100.0 / whole as f64 {
        0.0 => "0".to_owned(),
        share if share < 0.1 => "< 0.1 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}

/// Writes nanoseconds with the unit that fits.
pub fn duration(ns: f64) -> String {
    let (value, unit) = match ns {
        ..1e3 => (ns, "ns"),
        ..1e6 => (ns / 1e3, "µs"),
        _ => (ns / 1e6, "ms"),
    };
    let digits = if unit == "ns" || value >= 10.0 || value.fract() == 0.0 { 0 } else { 1 };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut ns = Histogram::new(3).expect("three digits");
        values.into_iter().for_each(|value| ns.record(value).expect("a value"));
        ns
    }

    #[test]
    fn a_percentile_is_the_median_of_rounds_that_reach_it() {
        let rounds = [round(1..=100), round(201..=300), round(401..=500)];
        assert_eq!(percentile(&rounds, 0.5), Some(250.0));
        assert_eq!(percentile(&rounds, 0.99), Some(299.0));
    }

    #[test]
    fn a_percentile_that_no_round_reaches_is_that_of_all_calls() {
        let rounds = [round(1..=500), round(501..=1000)];
        assert_eq!(percentile(&rounds, 0.999), Some(999.0));
        assert_eq!(percentile(&rounds, 0.9999), None);
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let cases = [(85.0, "85 ns"), (1e3, "1 µs"), (1530.0, "1.5 µs"), (4.2e7, "42 ms")];
        for (ns, written) in cases {
            assert_eq!(duration(ns), written);
        }
    }
}
