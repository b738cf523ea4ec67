//! Forms that other programs write and JSON or the schema does not have, if their meaning is certain.

use llm_audit::Status;
use llm_audit::reader::{Json, Line};
use llm_audit_log::json::string_before_quote;

/// A line with a text in place of each number that JSON or a 64-bit float cannot hold: `NaN`,
/// `Infinity`, `1e400`, integers past 64 bits.
#[derive(Default)]
pub(super) struct MendedLine {
    pub(super) bytes: Vec<u8>,
    /// The places of the quotes that were put in.
    quotes: Vec<usize>,
}

impl MendedLine {
    /// Returns `None` if there is no such number.
    pub(super) fn new(line: &[u8]) -> Option<Self> {
        let mut mended = None::<Self>;
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            let (length, may_be_number) = match byte {
                b'"' => (string_length(&line[at..]), false),
                b'-' | b'0'..=b'9' | b'N' | b'I' => (token_length(&line[at..]), true),
                _ => (1, false),
            };
            let token = &line[at..at + length];
            if may_be_number && is_beyond_json(token) {
                let before = || Self { bytes: line[..at].to_vec(), quotes: Vec::new() };
                mended.get_or_insert_with(before).push_quoted(token);
            } else if let Some(mended) = &mut mended {
                mended.bytes.extend_from_slice(token);
            }
            at += length;
        }
        mended
    }

    fn push_quoted(&mut self, token: &[u8]) {
        for part in [&b"\""[..], token, b"\""] {
            if part == b"\"" {
                self.quotes.push(self.bytes.len());
            }
            self.bytes.extend_from_slice(part);
        }
    }

    /// Returns an error's message with the byte that it names counted in the given line.
    pub(super) fn message_for_given(&self, message: &str) -> Option<String> {
        let (what, byte) = message.rsplit_once(" at byte ")?;
        let byte: usize = byte.parse().ok()?;
        let added = self.quotes.iter().filter(|quote| **quote + 1 < byte).count();
        Some(format!("{what} at byte {}", byte - added))
    }
}

/// The length of the string that begins here, with its quotes.
fn string_length(text: &[u8]) -> usize {
    (string_before_quote(&text[1..]).len() + 2).min(text.len())
}

/// The length of the number or the word that begins here.
fn token_length(text: &[u8]) -> usize {
    let is_inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
    1 + text[1..].iter().take_while(|b| is_inside(b)).count()
}

fn is_beyond_json(token: &[u8]) -> bool {
    // So many digits are held by 64 bits, and without an exponent no fraction is infinite.
    const DIGITS_HELD: usize = 18;
    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    if token.len() <= DIGITS_HELD && token[1..].iter().all(is_digit) {
        return false;
    }
    let Ok(token) = str::from_utf8(token) else { return false };
    let is_number = |begin: u8| begin == b'-' || begin.is_ascii_digit();
    match token.as_bytes() {
        b"NaN" | b"Infinity" | b"-Infinity" => true,
        [begin, ..] if is_number(*begin) && token.len() > 3 => {
            let is_integer = !token.contains(['.', 'e', 'E']);
            let is_held = token.parse::<u64>().is_ok() || token.parse::<i64>().is_ok();
            match token.parse::<f64>() {
                Ok(number) => number.is_infinite() || is_integer && !is_held,
                // No number at all, which the parser reports.
                Err(_) => false,
            }
        }
        _ => false,
    }
}

/// The status of a line, whatever its case.
pub(super) fn given_status(line: &Line<'_>) -> Option<Status> {
    let name = line.field("status")?.as_str()?;
    Status::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(name))
}

/// A count of a line: a whole number, also if it is written as `5.0`.
pub(super) fn given_count(line: &Line<'_>, name: &str) -> Option<u64> {
    let json = line.field(name)?;
    let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..1e15).contains(number);
    json.as_u64().or_else(|| json.as_f64().filter(is_whole).map(|number| number as u64))
}

/// Whether a field has one of the texts of [`MendedLine`] for a number that is none. It then counts
/// as absent.
pub(super) fn is_no_number(line: &Line<'_>, name: &str) -> bool {
    let text = line.field(name).and_then(Json::as_str);
    matches!(text, Some("NaN" | "Infinity" | "-Infinity"))
}

/// The timestamp of a line in microseconds since the Unix epoch: in RFC 3339, the same without an
/// offset, which is UTC, or a number of seconds, milliseconds, microseconds or nanoseconds since
/// the epoch, by its size.
pub(super) fn given_timestamp(line: &Line<'_>) -> Option<i64> {
    let json = line.field("timestamp")?;
    line.timestamp().or_else(|| naive_timestamp(json)).or_else(|| epoch_timestamp(json))
}

fn naive_timestamp(json: Json<'_>) -> Option<i64> {
    let time: jiff::civil::DateTime = json.as_str()?.parse().ok()?;
    jiff::tz::Offset::UTC.to_timestamp(time).ok().map(jiff::Timestamp::as_microsecond)
}

/// Numbers of the years 1973 to 5138 in each unit, so that no number has two meanings.
pub(super) fn epoch_timestamp(json: Json<'_>) -> Option<i64> {
    let number = json.as_f64().filter(|number| *number > 0.0)?;
    let micros = match number {
        1e8..1e11 => match json.as_u64() {
            Some(seconds) => return i64::try_from(seconds.checked_mul(1_000_000)?).ok(),
            None => number * 1e6,
        },
        1e11..1e14 => number * 1e3,
        1e14..1e17 => number,
        1e17..1e20 => number / 1e3,
        _ => return None,
    };
    Some(micros.round() as i64)
}

#[cfg(test)]
mod tests {
    use llm_audit::reader::parse;

    use super::*;

    #[test]
    fn numbers_beyond_json_become_texts() {
        let cases = [
            (
                r#"{"a":NaN,"b":[Infinity,-Infinity]}"#,
                r#"{"a":"NaN","b":["Infinity","-Infinity"]}"#,
            ),
            (r#"{"a":1e400,"b":-1E999}"#, r#"{"a":"1e400","b":"-1E999"}"#),
            (r#"{"id":18446744073709551616}"#, r#"{"id":"18446744073709551616"}"#),
            (r#"{"id":-9223372036854775809 }"#, r#"{"id":"-9223372036854775809" }"#),
        ];
        for (given, expected) in cases {
            let mended = MendedLine::new(given.as_bytes()).expect(given);
            assert_eq!(String::from_utf8_lossy(&mended.bytes), expected);
        }
        let same = [
            r#"{"a":"NaN","b \" NaN":"1e400","c":18446744073709551615,"d":-9223372036854775808}"#,
            r#"{"a":1.5e300,"b":5e-324,"c":-0.0,"d":[true,false,null],"e":0}"#,
            r#"{"a":NaNa,"b":01x,"c":-"#,
            r#"{"open"#,
        ];
        for given in same {
            assert!(MendedLine::new(given.as_bytes()).is_none(), "{given}");
        }
    }

    #[test]
    fn times_whose_meaning_is_certain_are_read() {
        let cases = [
            (r#""2026-11-01T10:00:00.5Z""#, Some(1_793_527_200_500_000)),
            (r#""2026-11-01T12:00:00+02:00""#, Some(1_793_527_200_000_000)),
            (r#""2026-11-01T10:00:00.123456""#, Some(1_793_527_200_123_456)),
            (r#""2026-11-01 10:00:00""#, Some(1_793_527_200_000_000)),
            ("1793527200", Some(1_793_527_200_000_000)),
            ("1793527200.25", Some(1_793_527_200_250_000)),
            ("1793527200123", Some(1_793_527_200_123_000)),
            ("1793527200123456", Some(1_793_527_200_123_456)),
            ("1793527200123456000", Some(1_793_527_200_123_456)),
            (r#""yesterday""#, None),
            ("12", None),
            ("-5", None),
            ("true", None),
        ];
        for (given, expected) in cases {
            let mut bytes = format!("{{\"timestamp\":{given}}}").into_bytes();
            assert_eq!(given_timestamp(&parse(&mut bytes).unwrap()), expected, "{given}");
        }
    }
}
