//! How far destinations have a log, and the files that say so.
//!
//! In the folder of the log, shippers keep `.ship/NAME.json` for each destination, and what a destination has refused
//! in `.ship/refused/NAME-YYYY-MM-DD.jsonl`. Retention reads them without knowing the shipper.

use std::collections::HashMap;

use jiff::civil::Date;
use serde::Deserialize;

use super::Position;
use crate::file_name::parse_file_name_day;

/// The folder of the positions, in that of the log.
pub const SHIP_FOLDER: &str = ".ship";
/// The folder of refused lines, in that of the positions.
pub const REFUSED_FOLDER: &str = "refused";

const REFUSED_END: &str = ".jsonl";
const DAY_BYTES: usize = "YYYY-MM-DD".len();

/// How far a destination has acknowledged a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged(HashMap<String, u64>);

/// What is read of the file of a position. The shipper keeps more in it.
#[derive(Deserialize)]
struct PositionFile {
    version: u32,
    positions: Vec<Position>,
}

impl Acknowledged {
    /// The version of the file of a position.
    pub const VERSION: u32 = 1;

    /// Reads the file of a destination's position.
    ///
    /// # Errors
    ///
    /// It is damaged, or its version is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit_log::Acknowledged;
    ///
    /// let text = br#"{"version":1,"positions":[{"file":"audit-2026-01-02.jsonl","offset":30,
    ///     "instance":null,"seq":null,"line_bytes":0,"line_hash":0}]}"#;
    /// let has = Acknowledged::parse(text)?;
    /// assert_eq!(has.bytes_of("audit-2026-01-02.jsonl"), 30);
    /// assert_eq!(has.bytes_of("audit-2026-01-03.jsonl"), 0);
    /// # Ok::<(), String>(())
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let file: PositionFile = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match file.version {
            Self::VERSION => Ok(Self::of(&file.positions)),
            other => Err(format!("version {other}, and {} is known", Self::VERSION)),
        }
    }

    /// What is before these positions.
    pub fn of(positions: &[Position]) -> Self {
        let offset = |position: &Position| (position.file.clone(), position.offset);
        Self(positions.iter().map(offset).collect())
    }

    /// How many bytes the destination has of a file, by its name without `.zst`. They are counted as they are
    /// without compression.
    pub fn bytes_of(&self, plain_name: &str) -> u64 {
        self.0.get(plain_name).copied().unwrap_or(0)
    }
}

/// The destination whose position is in a file of this name.
pub fn destination_of_file(name: &str) -> Option<&str> {
    name.strip_suffix(".json")
}

/// The day of a file of refused lines.
pub fn refused_file_day(name: &str) -> Option<Date> {
    let stem = name.strip_suffix(REFUSED_END)?;
    let (destination, day) = stem.split_at_checked(stem.len().checked_sub(DAY_BYTES)?)?;
    destination.strip_suffix('-').and_then(|_| parse_file_name_day(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_and_a_damaged_one_is_not() {
        let position =
            |file: &str, offset| Position { file: file.to_owned(), offset, ..Position::default() };
        let positions =
            [position("audit-2026-01-02.jsonl", 7), position("audit-2026-01-03.jsonl", 9)];
        let text =
            |version| serde_json::json!({ "version": version, "positions": positions, "sent": 3 });
        let has = Acknowledged::parse(text(1).to_string().as_bytes()).unwrap();
        assert_eq!(has, Acknowledged::of(&positions));
        assert_eq!((has.bytes_of("audit-2026-01-03.jsonl"), has.bytes_of("other")), (9, 0));
        for damaged in [text(2).to_string(), "{".to_owned(), "{\"version\":1}".to_owned()] {
            assert!(Acknowledged::parse(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn names_of_positions_and_of_refused_lines() {
        assert_eq!(destination_of_file("otlp.json"), Some("otlp"));
        assert_eq!(destination_of_file("otlp.json.new").or(destination_of_file("otlp.lock")), None);
        let day = refused_file_day("otlp_http-x-2026-01-02.jsonl");
        assert_eq!(day, Some(jiff::civil::date(2026, 1, 2)));
        for other in
            ["2026-01-02.jsonl", "otlp-2026-13-02.jsonl", "otlp.jsonl", "otlp-2026-01-02.json", ""]
        {
            assert_eq!(refused_file_day(other), None, "{other}");
        }
    }
}
