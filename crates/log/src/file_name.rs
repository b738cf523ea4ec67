//! The names of the files of a log, parsed and formatted.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

const BEGIN: &str = "audit-";
const PLAIN_END: &str = ".jsonl";
/// What follows the name of a file once it is compressed.
const COMPRESSED: &str = ".zst";

/// `audit-YYYY-MM-DD.jsonl`, or `audit-YYYY-MM-DD.N.jsonl` from 1, and the same with `.zst` at the
/// end if the file is compressed.
///
/// Ordered by day, then by number; a compressed file before a plain one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileName {
    /// The day of the first line, in UTC.
    pub day: Date,
    /// 0 for the day's first file.
    pub number: u64,
    /// Whether `.zst` follows.
    pub is_compressed: bool,
}

impl FileName {
    /// The name of a plain file.
    pub fn new(day: Date, number: u64) -> Self {
        Self { day, number, is_compressed: false }
    }

    /// Reads a name. Returns `None` if it is not a name of the log's.
    pub fn parse(name: &str) -> Option<Self> {
        let (plain, is_compressed) = match name.strip_suffix(COMPRESSED) {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let stem = plain.strip_prefix(BEGIN)?.strip_suffix(PLAIN_END)?;
        let (day, number) = match stem.split_once('.') {
            None => (stem, 0),
            Some((day, digits)) => {
                let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
                (day, digits.parse().ok().filter(|_| plain)?)
            }
        };
        Some(Self { day: parse_file_name_day(day)?, number, is_compressed })
    }

    /// The name that the file has, or had, without compression.
    pub fn plain(self) -> Self {
        Self { is_compressed: false, ..self }
    }
}

/// Reads `YYYY-MM-DD`, a day of the calendar.
pub(crate) fn parse_file_name_day(day: &str) -> Option<Date> {
    let has_shape = day.len() == 10
        && day.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    day.parse().ok().filter(|_| has_shape)
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGIN}{}", self.day)?;
        if self.number > 0 {
            write!(f, ".{}", self.number)?;
        }
        f.write_str(PLAIN_END)?;
        f.write_str(if self.is_compressed { COMPRESSED } else { "" })
    }
}

impl Ord for FileName {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |name: &Self| (name.day, name.number, !name.is_compressed);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for FileName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The path of the compressed copy of a plain file.
pub fn compressed_path(path: &Path) -> PathBuf {
    with_suffix(path, COMPRESSED)
}

/// The path of the same name with something at its end.
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
            let parts = found.map(|n| (n.day.to_string(), n.number, n.is_compressed));
            let expected =
                expected.map(|(day, number, is): (&str, _, _)| (day.to_owned(), number, is));
            assert_eq!(parts, expected, "{name}");
            assert!(found.is_none_or(|found| found.to_string() == name), "{name}");
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
