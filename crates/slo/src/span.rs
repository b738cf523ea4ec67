//! Lengths of time in whole minutes: windows of objectives and rules.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};

/// One minute in microseconds. Minutes begin at whole minutes of UTC.
pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The longest window, for which minutes are kept.
const MINUTES_MAX: i64 = 90 * 24 * 60;

/// A length of time in whole minutes, at least one and at most 90 days. It is read and shown as `5m`, `1h` or
/// `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(i64);

impl Span {
    pub(crate) const fn of_minutes(minutes: i64) -> Self {
        Self(minutes)
    }

    pub(crate) const fn minutes(self) -> i64 {
        self.0
    }

    /// Returns the microseconds.
    pub fn micros(self) -> i64 {
        self.0 * MINUTE
    }

    /// Reads a span such as `5m`, `1h`, `30d` or `4w`.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().last()?;
        let minutes = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            _ => return None,
        };
        let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
        let minutes = count.checked_mul(minutes)?;
        (1..=MINUTES_MAX).contains(&minutes).then_some(Self(minutes))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            minutes if minutes % (24 * 60) == 0 => write!(f, "{}d", minutes / (24 * 60)),
            minutes if minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            minutes => write!(f, "{minutes}m"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!(
                "\"{text}\" is not a time; accepted: 5m, 1h, 30d, 4w, at most 90d"
            ))
        })
    }
}

/// Returns the beginning of the minute, hour or day of this length that a time is in.
pub(crate) fn floor(time: i64, length: i64) -> i64 {
    time.div_euclid(length) * length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_shown() {
        for text in ["1m", "90m", "1h", "23h", "1d", "30d", "90d"] {
            assert_eq!(Span::parse(text).map(|span| span.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Span::parse("4w"), Span::parse("28d"));
        for text in ["", "m", "0m", "-1h", "1", "1.5h", "91d", "1s", "é", "9223372036854775807d"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_before_1970_are_in_a_minute_too() {
        assert_eq!([floor(-1, MINUTE), floor(MINUTE + 1, MINUTE)], [-MINUTE, MINUTE]);
    }
}
