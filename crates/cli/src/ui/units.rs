//! Times, durations, money and counts as people read them.

use std::fmt::Write;

use jiff::Timestamp;
use llm_audit::Usd;
use serde_json::value::RawValue;

/// Formats a time in UTC.
pub(crate) fn format_time(micros: i64) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
        Err(_) => "out of range".to_owned(),
    }
}

/// Formats two times in UTC, to the second. The second one has a day if it is another one.
pub(crate) fn format_period(from: i64, to: i64) -> String {
    let format = |micros: i64, format: &str| match Timestamp::from_microsecond(micros) {
        Ok(time) => time.strftime(format).to_string(),
        Err(_) => "out of range".to_owned(),
    };
    let day = |micros| format(micros, "%Y-%m-%d");
    let end = if day(from) == day(to) { "%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%SZ" };
    format!("{} to {}", format(from, "%Y-%m-%d %H:%M:%SZ"), format(to, end))
}

/// Formats milliseconds in the fitting unit, in at most seven characters.
///
/// A negative one, as of clocks that disagree, has its sign and may have eight.
pub(crate) fn format_duration(ms: f64) -> String {
    const DAY_MS: f64 = 864e5;
    match ms {
        ms if !ms.is_finite() => "?".to_owned(),
        ms if ms < 0.0 => format!("-{}", format_duration(-ms)),
        ms if ms < 99.95 => format!("{ms:.1}ms"),
        ms if ms < 999.5 => format!("{ms:.0}ms"),
        ms if ms < 59_995.0 => format!("{:.2}s", ms / 1e3),
        ms if ms < 3_599_500.0 => {
            let seconds = (ms / 1e3).round();
            format!("{:.0}m{:02.0}s", (seconds / 60.0).floor(), seconds % 60.0)
        }
        ms if ms < DAY_MS - 3e4 => {
            let minutes = (ms / 6e4).round();
            format!("{:.0}h{:02.0}m", (minutes / 60.0).floor(), minutes % 60.0)
        }
        ms if ms < 1e3 * DAY_MS - 18e5 => {
            let hours = (ms / 36e5).round();
            format!("{:.0}d{:02.0}h", (hours / 24.0).floor(), hours % 24.0)
        }
        ms if ms < 99_999.5 * DAY_MS => format!("{:.0}d", ms / DAY_MS),
        _ => ">99999d".to_owned(),
    }
}

/// Formats an amount as a JSON number with all of its digits.
pub(crate) fn format_exact_cost(cost: Usd) -> Option<Box<RawValue>> {
    RawValue::from_string(cost.to_string()).ok()
}

/// Formats US dollars: cents if they are exact, else up to six digits after the point.
pub(crate) fn format_dollars(cost: Usd) -> String {
    let digits = format!("{:.6}", cost.as_f64());
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let fraction = fraction.trim_end_matches('0');
    format!("${whole}.{fraction:0<2}")
}

/// Formats counts over time: the highest is a whole block, none is a line at the bottom.
pub(crate) fn sparkline(counts: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = counts.iter().copied().fold(0.0, f64::max);
    let height = |count: f64| if count > 0.0 { 1.0 + (count / highest * 6.0).round() } else { 0.0 };
    counts.iter().map(|count| BLOCKS[height(*count) as usize]).collect()
}

/// Formats a count and its noun: `3 events`, `1 event`.
pub(crate) fn format_count(n: u64, what: &str) -> String {
    let mut text = n.to_string();
    let _ = write!(text, " {what}{}", if n == 1 { "" } else { "s" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            (0.0, "0.0ms"),
            (12.34, "12.3ms"),
            (99.96, "100ms"),
            (999.9, "1.00s"),
            (59_999.0, "1m00s"),
            (125_000.0, "2m05s"),
            (3_600_000.0, "1h00m"),
            (86_369_999.0, "23h59m"),
            (86_399_999.0, "1d00h"),
            (273_600_000.0, "3d04h"),
            (400.0 * 864e5, "400d00h"),
            (20_000.0 * 864e5, "20000d"),
            (1e300, ">99999d"),
            (-125_000.0, "-2m05s"),
            (f64::INFINITY, "?"),
        ];
        for (ms, expected) in cases {
            assert_eq!(format_duration(ms), expected);
        }
    }

    #[test]
    fn periods() {
        let (from, day) = (1_767_323_045_000_000, 86_400_000_000);
        assert_eq!(format_period(from, from + 1_999_999), "2026-01-02 03:04:05Z to 03:04:06Z");
        let days = "2026-01-02 03:04:05Z to 2026-01-03 03:04:05Z";
        assert_eq!(format_period(from, from + day), days);
        assert_eq!(format_period(from, i64::MAX), "2026-01-02 03:04:05Z to out of range");
    }

    #[test]
    fn counts_over_time() {
        assert_eq!(sparkline(&[0.0, 0.01, 3.5, 7.0]), "▁▂▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
    }

    #[test]
    fn money_and_counts() {
        let cases =
            [(0.0, "$0.00"), (1.5, "$1.50"), (0.000125, "$0.000125"), (12.3456, "$12.3456")];
        for (cost, expected) in cases {
            assert_eq!(format_dollars(Usd::try_from(cost).unwrap()), expected);
        }
        assert_eq!(
            (format_count(1, "event"), format_count(0, "event")),
            ("1 event".into(), "0 events".into())
        );
    }
}
