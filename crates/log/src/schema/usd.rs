//! An amount of money, exact.

use std::fmt::{self, Write};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::str::FromStr;

use super::json_text::append_integer;
use super::spelled::append_fraction;
use crate::error::Error;

/// Digits after the point that an amount may have.
const DIGITS: i32 = 27;
/// One dollar.
const ONE: u128 = 10_u128.pow(DIGITS as u32);

/// An amount of US dollars, exact: a whole number of 10⁻²⁷ dollars.
///
/// That is fine enough for a price per token times any number of tokens. The range is some
/// ±170 billion dollars; sums and products that leave it stay at its end instead of wrapping.
///
/// It is read from decimal text ([`FromStr`]: exactly, or not at all) and from an `f64` by its
/// shortest digits, so that `0.1` is a tenth. It displays with all of its digits, without exponent
/// and without zeros at the end, as in a line.
///
/// # Examples
///
/// ```
/// use llm_audit_log::Usd;
///
/// let price: Usd = "2.5e-06".parse()?;
/// assert_eq!((price * 1_000).to_string(), "0.0025");
/// let sum: Usd = [0.1, 0.2].into_iter().filter_map(|cost| Usd::try_from(cost).ok()).sum();
/// assert_eq!(sum, "0.3".parse()?);
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The nearest `f64`, for drawing and comparing; sums are made of the amounts themselves.
    pub fn as_f64(self) -> f64 {
        let mut text = ShortText::default();
        // Every amount fits, and is a number.
        let _ = write!(text, "{self}");
        text.as_str().parse().unwrap_or(0.0)
    }

    /// Whether it is below nothing.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Appends the amount as it displays itself. An amount of few digits takes no arithmetic with 128 bits but one
    /// division.
    pub(super) fn append(self, out: &mut Vec<u8>) {
        const MILLION: u64 = 1_000_000;
        const TRILLIONTH: u128 = ONE / 1_000_000_000_000;
        let (trillionths, finer) =
            (self.0.unsigned_abs() / TRILLIONTH, self.0 % TRILLIONTH as i128);
        let usual = u64::try_from(trillionths).ok().filter(|_| finer == 0 && !self.is_negative());
        let Some(trillionths) = usual else {
            // A vector takes all there is.
            let _ = std::io::Write::write_fmt(out, format_args!("{self}"));
            return;
        };
        let (millionths, finer) = (trillionths / MILLION, trillionths % MILLION);
        append_integer(out, millionths / MILLION);
        match [(millionths % MILLION) as u32, finer as u32] {
            [0, 0] => {}
            fraction => append_fraction(out, fraction),
        }
    }

    /// The amount as 16 bytes, for records in memory.
    pub fn to_le_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The amount of these 16 bytes.
    pub fn from_le_bytes(bytes: [u8; 16]) -> Self {
        Self(i128::from_le_bytes(bytes))
    }
}

impl FromStr for Usd {
    type Err = Error;

    /// Reads a decimal number as JSON spells one: digits, a point, an exponent.
    ///
    /// # Errors
    ///
    /// The text is not such a number, is finer than 10⁻²⁷ dollars, or is past the range.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::parse("amount of dollars", why);
        let (mantissa, exponent) =
            parse_decimal(text.as_bytes()).ok_or_else(|| refused("it is no decimal number"))?;
        if exponent < -DIGITS {
            return Err(refused("it is finer than 27 digits behind the point"));
        }
        scale_to_usd_units(mantissa, exponent).map(Self).ok_or_else(|| refused("it is too large"))
    }
}

impl TryFrom<f64> for Usd {
    type Error = Error;

    /// The amount that the shortest digits of this `f64` spell, rounded to 10⁻²⁷ dollars.
    ///
    /// # Errors
    ///
    /// It is not finite, or past the range.
    fn try_from(value: f64) -> Result<Self, Error> {
        const TRILLION: f64 = 1e12;
        let trillionths = (value * TRILLION).round();
        // No two decimals of at most 15 digits are the same `f64`. So if these lead back to it, they are its
        // shortest ones.
        if trillionths.abs() < 1e15 && trillionths / TRILLION == value {
            return Ok(Self(i128::from(trillionths as i64) * (ONE / 1_000_000_000_000) as i128));
        }
        Self::from_shortest_digits(value)
            .ok_or_else(|| Error::parse("amount of dollars", "it is not finite, or too large"))
    }
}

impl Usd {
    /// Spells the digits out and reads them.
    fn from_shortest_digits(value: f64) -> Option<Self> {
        let mut text = ShortText::default();
        // The longest one has 24 characters.
        let _ = write!(text, "{value:e}");
        let (mantissa, exponent) = parse_decimal(text.as_str().as_bytes())?;
        scale_to_usd_units(mantissa, exponent).map(Self)
    }
}

/// `mantissa` × 10^`exponent`, the mantissa without zeros at its end; 0 is `(0, 0)`.
fn parse_decimal(text: &[u8]) -> Option<(i128, i32)> {
    let (sign, text) = match text.split_first()? {
        (b'-', rest) => (-1, rest),
        _ => (1, text),
    };
    let end = text.iter().position(|b| matches!(b, b'e' | b'E'));
    let (digits, given) = match end {
        Some(end) => (&text[..end], parse_exponent(&text[end + 1..])?),
        None => (text, 0),
    };
    let point = digits.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    if whole.is_empty() || point.is_some() && fraction.is_empty() {
        return None;
    }
    let (mut mantissa, mut zeros) = (0_i128, 0_u32);
    for digit in whole.iter().chain(fraction) {
        match digit {
            b'0' => zeros += 1,
            b'1'..=b'9' => {
                let shift = if mantissa == 0 { 1 } else { 10_i128.checked_pow(zeros + 1)? };
                mantissa = mantissa.checked_mul(shift)?.checked_add(i128::from(digit - b'0'))?;
                zeros = 0;
            }
            _ => return None,
        }
    }
    if mantissa == 0 {
        return Some((0, 0));
    }
    let behind = i32::try_from(fraction.len()).ok()?;
    let exponent = given.saturating_sub(behind).saturating_add(i32::try_from(zeros).ok()?);
    Some((sign * mantissa, exponent))
}

/// Reads the number after an `e`. A number past the range of `i32` becomes the end of that range.
fn parse_exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text.split_first()? {
        (b'-', rest) => (-1, rest),
        (b'+', rest) => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_i32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i32::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })?;
    Some(sign * number)
}

/// `mantissa` × 10^`exponent` in units of 10⁻²⁷, rounded to the nearest; `None` past the range.
fn scale_to_usd_units(mantissa: i128, exponent: i32) -> Option<i128> {
    let shift = exponent.saturating_add(DIGITS);
    let Some(power) = 10_i128.checked_pow(shift.unsigned_abs()) else {
        return (mantissa == 0 || shift < 0).then_some(0);
    };
    if shift >= 0 {
        return mantissa.checked_mul(power);
    }
    let half = mantissa.signum() * (power / 2);
    Some(mantissa.saturating_add(half) / power)
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.unsigned_abs() / ONE, self.0.unsigned_abs() % ONE);
        let sign = if self.is_negative() { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let mut digits = ShortText::default();
        write!(digits, "{fraction:027}")?;
        write!(f, "{sign}{whole}.{}", digits.as_str().trim_end_matches('0'))
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Usd({self})")
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::add)
    }
}

impl<'a> Sum<&'a Usd> for Usd {
    fn sum<I: Iterator<Item = &'a Usd>>(amounts: I) -> Self {
        amounts.copied().sum()
    }
}

impl Mul<u64> for Usd {
    type Output = Self;

    /// A price times how many.
    fn mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)))
    }
}

/// A short text on the stack; what does not fit is an error.
struct ShortText {
    bytes: [u8; 48],
    len: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        Self { bytes: [0; 48], len: 0 }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_f64_is_its_shortest_digits() {
        let mut rng = fastrand::Rng::with_seed(11);
        let near =
            |value: f64, ulps: i64| f64::from_bits(value.to_bits().wrapping_add_signed(ulps));
        let mut values =
            vec![0.0, -0.0, 1e-12, 5e-13, 4.9e-13, 1e-13, 999.999999999999, 1e15, f64::MAX];
        for _ in 0..200_000 {
            let (length, places) = (rng.u32(1..18), rng.i32(0..20));
            let value = rng.u64(..10_u64.pow(length)) as f64 / 10_f64.powi(places);
            values.extend([value, -value, near(value, 1), near(value, -1), value * 0.1]);
        }
        for value in values {
            assert_eq!(Usd::try_from(value).ok(), Usd::from_shortest_digits(value), "{value:e}");
        }
    }

    #[test]
    fn text_is_read_exactly_and_written_in_full() {
        let cases = [
            ("0", "0"),
            ("-0.0", "0"),
            ("0e999999999999", "0"),
            ("1", "1"),
            ("1.50", "1.5"),
            ("100", "100"),
            ("-0.25", "-0.25"),
            ("2.5e-06", "0.0000025"),
            ("6.25E-8", "0.0000000625"),
            ("1e+3", "1000"),
            ("1.375e-06", "0.000001375"),
            ("1e-27", "0.000000000000000000000000001"),
            ("10e-28", "0.000000000000000000000000001"),
            ("000120.0300", "120.03"),
            (
                "123456789012.123456789012345678901234567",
                "123456789012.123456789012345678901234567",
            ),
            (
                "170141183460.469231731687303715884105727",
                "170141183460.469231731687303715884105727",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(usd(text).to_string(), expected, "{text}");
            assert_eq!(usd(expected), usd(text), "{text}");
        }
        let zeros = format!("0.{}1", "0".repeat(26));
        assert_eq!(usd(&zeros), usd("1e-27"));
        assert_eq!(usd(&format!("1{}e-200", "0".repeat(200))), usd("1"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let cases = [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e",
            "1e+",
            "e5",
            "1x",
            "0x10",
            "NaN",
            "inf",
            " 1",
            "1 ",
            "1,5",
            "+1",
            "--1",
            "1.2.3",
            "1e1e1",
            "1e-28",
            "1.5e-27",
            "1e12",
            "1e999999999999",
            "170141183460.469231731687303715884105728",
            "\u{661}",
        ];
        for text in cases {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
        let long = "9".repeat(100_000);
        assert!(long.parse::<Usd>().is_err());
        assert_eq!(format!("0.{}", "0".repeat(100_000)).parse::<Usd>().unwrap(), Usd::ZERO);
    }

    #[test]
    fn floats_count_by_their_shortest_digits() {
        let cases = [
            (0.1, "0.1"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-7, "0.0000001"),
            (7.499_999_999_999_999e-7, "0.0000007499999999999999"),
            (1.6e-27, "0.000000000000000000000000002"),
            (-1.5e-27, "-0.000000000000000000000000002"),
            (1.4e-27, "0.000000000000000000000000001"),
            (1e-300, "0"),
            (5e-324, "0"),
            (12_345.678, "12345.678"),
        ];
        for (value, expected) in cases {
            assert_eq!(Usd::try_from(value).unwrap().to_string(), expected, "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e12, -1e300, f64::MAX] {
            assert!(Usd::try_from(value).is_err(), "{value}");
        }
    }

    #[test]
    fn any_float_in_range_comes_back() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..20_000 {
            let value = (rng.f64() - 0.5) * 10_f64.powi(rng.i32(-5..11));
            assert_eq!(Usd::try_from(value).unwrap().as_f64(), value);
            let text = format!("{value}");
            assert_eq!(usd(&text).to_string(), text);
        }
    }

    #[test]
    fn lines_have_what_is_displayed() {
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..100_000 {
            let units = random.i128(..) >> random.u32(1..127);
            let power = 10_i128.pow(random.u32(0..28));
            for amount in [Usd(units), Usd(units / power * power), Usd(power)] {
                let mut out = Vec::new();
                amount.append(&mut out);
                assert_eq!(out, amount.to_string().as_bytes());
            }
        }
    }

    #[test]
    fn sums_never_drift() {
        let tenths: Usd = [0.1, 0.2].iter().map(|cost| Usd::try_from(*cost).unwrap()).sum();
        assert_eq!(tenths, usd("0.3"));
        let call = usd("0.000001375") * 7;
        let mut sum = Usd::ZERO;
        for _ in 0..1_000_000 {
            sum += call;
        }
        assert_eq!(sum, usd("9.625"));
        assert_eq!(sum, call * 1_000_000);
    }

    #[test]
    fn past_the_range_it_stays_at_its_end() {
        let most = usd("170141183460.469231731687303715884105727");
        assert_eq!(most + usd("1"), most);
        assert_eq!(usd("1") * u64::MAX, most);
        assert!((usd("-1") * u64::MAX).is_negative());
    }
}
