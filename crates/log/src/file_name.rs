//! What the files of the log are called.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

/// `audit-YYYY-MM-DD.jsonl`, or `audit-YYYY-MM-DD.N.jsonl` from 1, and either with `.zst` behind.
///
/// Ordered by day, then by number; a compressed file before a plain one of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// `YYYY-MM-DD`, a day of the calendar.
    pub day: String,
    /// 0 for the day's first file.
    pub number: u64,
    /// Whether `.zst` follows.
    pub is_compressed: bool,
}

impl FileName {
    /// `None` where the name is none of the log's.
    pub fn parse(name: &str) -> Option<Self> {
        let (plain, is_compressed) = match name.strip_suffix(".zst") {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let stem = plain.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
        let (day, number) = match stem.split_once('.') {
            None => (stem, 0),
            Some((day, digits)) => {
                let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
                (day, digits.parse().ok().filter(|_| plain)?)
            }
        };
        let is_day = day.len() == 10
            && day.bytes().enumerate().all(|(at, b)| match at {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            })
            && day.parse::<Date>().is_ok();
        is_day.then(|| Self { day: day.to_owned(), number, is_compressed })
    }
}

impl Ord for FileName {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |name: &Self| (name.number, !name.is_compressed);
        self.day.cmp(&other.day).then_with(|| key(self).cmp(&key(other)))
    }
}

impl PartialOrd for FileName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The path of the same name with something behind it.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_log_and_others() {
        let cases = [
            ("audit-2026-01-02.jsonl", Some(("2026-01-02", 0, false))),
            ("audit-2026-01-02.1.jsonl", Some(("2026-01-02", 1, false))),
            ("audit-2026-01-02.10.jsonl", Some(("2026-01-02", 10, false))),
            ("audit-2026-01-02.jsonl.zst", Some(("2026-01-02", 0, true))),
            ("audit-2026-01-02.3.jsonl.zst", Some(("2026-01-02", 3, true))),
            ("audit-2026-01-02.jsonl.zst.tmp", None),
            ("audit-2026-01-02.jsonl.zst.zst", None),
            ("audit-2026-01-02.0.jsonl", None),
            ("audit-2026-01-02.01.jsonl", None),
            ("audit-2026-01-02.+1.jsonl", None),
            ("audit-2026-01-02..jsonl", None),
            ("audit-2026-01-02.99999999999999999999.jsonl", None),
            ("audit-2026-1-2.jsonl", None),
            ("audit-2026-13-01.jsonl", None),
            ("audit-2026-02-29.jsonl", None),
            ("audit-2026-01-02.jsonl.1", None),
            ("audit-.jsonl", None),
            ("other.jsonl", None),
        ];
        for (name, expected) in cases {
            let found = FileName::parse(name);
            let found = found.as_ref().map(|n| (n.day.as_str(), n.number, n.is_compressed));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn by_day_then_number() {
        let sorted = [
            "audit-2025-12-31.3.jsonl",
            "audit-2026-01-02.jsonl.zst",
            "audit-2026-01-02.jsonl",
            "audit-2026-01-02.9.jsonl",
            "audit-2026-01-02.10.jsonl.zst",
        ];
        assert!(sorted.iter().map(|name| FileName::parse(name).unwrap()).is_sorted());
    }
}
