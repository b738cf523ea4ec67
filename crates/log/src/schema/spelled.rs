//! Times and numbers as lines usually spell them, read and written faster than by the libraries that know all
//! spellings.

use jiff::Timestamp;

use super::json_text::append_integer;

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

/// Spells a time of the years 1970 to 9998 as this library writes it, `2026-01-02T03:04:05.000006Z`. Other years
/// are left to jiff.
pub(super) fn usual_time_of_micros(micros: i64) -> Option<[u8; 27]> {
    RecentTime::default().spell(micros).copied()
}

/// Spells times as [`usual_time_of_micros`] does, and remembers the last second.
pub(super) struct RecentTime {
    second: u64,
    text: [u8; 27],
}

impl Default for RecentTime {
    fn default() -> Self {
        Self { second: u64::MAX, text: *b"0000-00-00T00:00:00.000000Z" }
    }
}

impl RecentTime {
    #[inline]
    pub(super) fn spell(&mut self, micros: i64) -> Option<&[u8; 27]> {
        let micros = u64::try_from(micros).ok()?;
        let second = micros / 1_000_000;
        if second != self.second {
            self.spell_second(second)?;
        }
        let [fraction @ .., _] = fraction_word((micros % 1_000_000) as u32).to_le_bytes();
        self.text[19..26].copy_from_slice(&fraction);
        Some(&self.text)
    }

    #[inline(never)]
    fn spell_second(&mut self, second: u64) -> Option<()> {
        /// The first second of the year 9999.
        const END: u64 = 253_370_764_800;
        if second >= END {
            return None;
        }
        self.second = second;
        let (year, month, day) = civil_day((second / 86_400) as u32);
        let second = (second % 86_400) as u32;
        let pairs = [
            (0, year / 100),
            (2, year),
            (5, month),
            (8, day),
            (11, second / 3600),
            (14, second / 60 % 60),
            (17, second % 60),
        ];
        for (at, number) in pairs {
            self.text[at..at + 2].copy_from_slice(&digit_pair(number));
        }
        Some(())
    }
}

/// The year, month and day of a day, by its number from 1970-01-01.
fn civil_day(number: u32) -> (u32, u32, u32) {
    const DAYS_OF_FOUR_CENTURIES: u32 = 146_097;
    // Years begin in March here, so that the day of a leap year is their last one.
    let number = number + 719_468;
    let (era, day) = (number / DAYS_OF_FOUR_CENTURIES, number % DAYS_OF_FOUR_CENTURIES);
    let leap_days = day / 1460 - day / 36_524 + day / (DAYS_OF_FOUR_CENTURIES - 1);
    let year = (day - leap_days) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Returns the last two digits of a number.
#[inline]
fn digit_pair(number: u32) -> [u8; 2] {
    const PAIRS: [[u8; 2]; 100] = {
        let (mut pairs, mut at) = ([[b'0'; 2]; 100], 0);
        while at < pairs.len() {
            pairs[at] = [b'0' + at as u8 / 10, b'0' + at as u8 % 10];
            at += 1;
        }
        pairs
    };
    PAIRS[(number % 100) as usize]
}

/// Appends the shortest digits of a number from 0 that has few of them, without an exponent, and `whole_end` after a
/// whole number. Otherwise appends nothing and returns `false`.
///
/// No two decimals of at most 15 digits have the same nearest `f64`. So if such a decimal has this one, no shorter
/// one does.
pub(super) fn append_usual_decimal(out: &mut Vec<u8>, number: f64, whole_end: &[u8]) -> bool {
    /// A number below this has at most 15 digits, if six are after the point.
    const END: f64 = 1e9;
    const MILLION: u32 = 1_000_000;
    let millionths = (number * f64::from(MILLION) + 0.5) as i64;
    let is_usual = number.is_sign_positive()
        && number < END
        && millionths as f64 / f64::from(MILLION) == number;
    if is_usual {
        let millionths = millionths as u64;
        append_integer(out, millionths / u64::from(MILLION));
        match (millionths % u64::from(MILLION)) as u32 {
            0 => out.extend_from_slice(whole_end),
            fraction => append_fraction(out, [fraction, 0]),
        }
    }
    is_usual
}

/// Appends a point, millionths and millionths of these, without zeros at the end.
#[inline]
pub(super) fn append_fraction(out: &mut Vec<u8>, millionths: [u32; 2]) {
    let [first, second] = millionths.map(fraction_word);
    if millionths[1] == 0 {
        append_without_zeros(out, first);
    } else {
        let [first @ .., _] = first.to_le_bytes();
        out.extend_from_slice(&first);
        // Six more digits, for a point that is there already.
        append_without_zeros(out, second >> 8 | u64::from(b'0') << 56);
    }
}

/// Appends the bytes of a word without the zeros at their end.
#[inline]
fn append_without_zeros(out: &mut Vec<u8>, word: u64) {
    out.extend_from_slice(&word.to_le_bytes());
    let zeros = (word ^ ZEROS).leading_zeros() / u8::BITS;
    out.truncate(out.len() - zeros as usize);
}

/// Returns the bytes of a point, six digits and a zero.
#[inline]
fn fraction_word(millionths: u32) -> u64 {
    (eight_digits(millionths * 100) + ZEROS) << 8 | u64::from(b'.')
}

/// Zeros in all bytes of a word.
pub(super) const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// Returns the eight digits of a number below a hundred million, each in a byte, the first one in the lowest.
#[inline]
pub(super) fn eight_digits(number: u32) -> u64 {
    // Halves, quarters and digits are each split at once. Multiplied by a fraction of a power of two, a
    // number is divided by 100 or 10.
    let halves = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - tens * 10) << 8
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
    fn usual_times_are_written_as_jiff_writes_them() {
        const LAST: i64 = 253_370_764_799_999_999;
        let mut random = fastrand::Rng::with_seed(11);
        // Both ends of days, from a leap year to one that is none.
        let days = (0..40_000).map(|day| day * 86_400_000_000);
        let named = days.flat_map(|day| [day, day + 86_399_999_999]).chain([LAST]);
        let drawn = (0..40_000).map(|_| random.i64(0..=LAST));
        for micros in named.chain(drawn) {
            let time = Timestamp::from_microsecond(micros).expect("in range");
            let text = usual_time_of_micros(micros).expect("a usual time");
            assert_eq!(text, format!("{time:.6}").as_bytes());
        }
        for other in [-1, i64::MIN, LAST + 1, i64::MAX] {
            assert_eq!(usual_time_of_micros(other), None);
        }
    }

    #[test]
    fn eight_digits_are_those_of_the_number() {
        let mut random = fastrand::Rng::with_seed(5);
        let drawn = (0..100_000).map(|_| random.u32(..100_000_000));
        // All halves, and both ends.
        for number in
            (0..10_000).flat_map(|half| [half, half * 10_000]).chain([99_999_999]).chain(drawn)
        {
            let text = (eight_digits(number) + ZEROS).to_le_bytes();
            assert_eq!(text, format!("{number:08}").as_bytes());
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
