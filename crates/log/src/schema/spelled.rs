//! Times and numbers as lines usually spell them, read faster than by the libraries that know all spellings.

use jiff::Timestamp;

/// Reads any time.
pub(super) fn micros_of_time(text: &str) -> Option<i64> {
    micros_of_usual_time(text.as_bytes())
        .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond))
}

/// Reads a time as this library writes it, `2026-01-02T03:04:05.000006Z`, of a year from 1970.
/// The last year is left to jiff, which refuses its end.
pub(super) fn micros_of_usual_time(text: &[u8]) -> Option<i64> {
    let text: &[u8; 27] = text.try_into().ok()?;
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    // Without an early exit, which is faster.
    let mut is_usual = signs.iter().fold(true, |all, (at, sign)| all & (text[*at] == *sign));
    let mut number = |from: usize, to: usize| {
        text[from..to].iter().fold(0_i64, |number, digit| {
            let digit = digit.wrapping_sub(b'0');
            is_usual &= digit < 10;
            number * 10 + i64::from(digit)
        })
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let micros = number(20, 26);
    // Leap days and leap seconds are left to jiff.
    const DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_usual = is_usual
        && (1970..9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=DAYS[month as usize - 1]).contains(&day)
        && (hour < 24 && minute < 60 && second < 60);
    if !is_usual {
        return None;
    }
    // Years begin in March here, so that the day of a leap year is their last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_before = year * 365 + year / 4 - year / 100 + year / 400 - 719_468;
    let days = days_before + (153 * month + 2) / 5 + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// Reads a number from 0 of few digits. An exact whole number is divided by an exact power of ten, so the
/// result is the nearest `f64`.
pub(super) fn usual_number(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 23] = {
        let (mut powers, mut at) = ([1.0; 23], 1);
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10.0;
            at += 1;
        }
        powers
    };
    const EXACT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;
    let (mut number, mut point) = (0_u64, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' if number <= EXACT_MAX => number = number * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let digits = point.map_or(0, |at| text.len() - at - 1);
    let is_exact = number <= EXACT_MAX && !text.is_empty();
    Some(number as f64 / POWERS.get(digits).filter(|_| is_exact)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_times_are_read_as_jiff_reads_them() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut usual = 0;
        for number in 0..40_000 {
            // The end of jiff's range is in the last year.
            let (year, month) = match number % 4 {
                0 => (9_999, 12),
                _ => (rng.u32(1960..10_000), rng.u32(0..14)),
            };
            let text = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
                year,
                month,
                rng.u32(0..33),
                rng.u32(0..25),
                rng.u32(0..61),
                rng.u32(0..62),
                rng.u32(0..1_000_000)
            );
            if let Some(micros) = micros_of_usual_time(text.as_bytes()) {
                usual += 1;
                let time: Timestamp = text.parse().unwrap();
                assert_eq!(time.as_microsecond(), micros, "{text}");
            }
        }
        assert!(usual > 5_000);
        for text in
            ["2026-01-02T03:04:05.000006+", "2026-01-02 03:04:05.000006Z", "2026-01-02T03:04:05Z"]
        {
            assert_eq!(micros_of_usual_time(text.as_bytes()), None);
        }
    }

    #[test]
    fn usual_numbers_are_the_nearest() {
        let mut rng = fastrand::Rng::with_seed(9);
        let mut usual = 0;
        for round in 0..40_000 {
            let bits = rng.u32(1..60);
            let number = match round % 4 {
                0 => rng.u64(..1 << bits).to_string(),
                1 => format!("{:.*}", rng.usize(1..28), rng.f64() * 10_f64.powi(rng.i32(-9..9))),
                2 => (rng.u64(..1 << 40) as f64 / 1e6).to_string(),
                _ => format!("0.{:0>1$}", rng.u16(..), rng.usize(1..26)),
            };
            if let Some(found) = usual_number(number.as_bytes()) {
                usual += 1;
                assert_eq!(Ok(found), number.parse(), "{number}");
            }
        }
        assert!(usual > 20_000);
        for text in ["", "1e5", "1.2.3", "-1", "\"1\""] {
            assert_eq!(usual_number(text.as_bytes()), None, "{text}");
        }
    }
}
