//! Ids of traces, spans and instances, as logs have them.

use crate::error::Error;

/// Reads a trace id as logs have it: 1 to 32 hex digits of either case, shorter ones as if padded
/// with zeros on the left, or a UUID with its dashes.
///
/// # Errors
///
/// Anything else, and zero.
pub fn parse_trace_id(text: &str) -> Result<u128, Error> {
    let bytes = text.as_bytes();
    let is_uuid = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
    let undashed = if is_uuid { text.replace('-', "") } else { String::new() };
    let digits = if is_uuid { &undashed } else { text };
    parse_lenient_id(digits, 32)
        .ok_or_else(|| Error::parse("trace id", "1 to 32 hex digits, not all zero, or a UUID"))
}

/// Reads a span id as logs have it: 1 to 16 hex digits of either case, shorter ones as if padded
/// with zeros on the left.
///
/// # Errors
///
/// Anything else, and zero.
pub fn parse_span_id(text: &str) -> Result<u64, Error> {
    parse_lenient_id(text, 16)
        .map(|id| id as u64)
        .ok_or_else(|| Error::parse("span id", "1 to 16 hex digits, not all zero"))
}

fn parse_lenient_id(digits: &str, digits_max: usize) -> Option<u128> {
    if digits.len() > digits_max {
        return None;
    }
    // Numbers of 128 bits are slow, and `from_str_radix` would take a sign.
    let number = |digits: &[u8]| {
        let add = |(number, any): (u64, u8), &byte: &u8| {
            let digit = HEX_DIGITS[usize::from(byte)];
            (number << 4 | u64::from(digit & 0xF), any | digit)
        };
        let (number, any) = digits.iter().fold((0, 0), add);
        (any != NO_DIGIT).then_some(number)
    };
    let (high, low) = digits.as_bytes().split_at(digits.len().saturating_sub(16));
    let id = u128::from(number(high)?) << 64 | u128::from(number(low)?);
    (id != 0).then_some(id)
}

/// It has all bits of any digit, so that it is seen among them.
const NO_DIGIT: u8 = 0xFF;

/// The value of each hex digit.
static HEX_DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Whether `id` is one that a logger draws for itself: 16 hex digits.
pub fn is_instance(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn ids_as_logs_have_them() {
        let cases = [
            (TRACE, Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)),
            (
                "0AF76519-16CD-43DD-8448-EB211C80319C",
                Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            ),
            ("a1b2c3d4e5f6", Some(0xa1b2_c3d4_e5f6)),
            ("1", Some(1)),
            ("", None),
            ("+1", None),
            ("0x1", None),
            (" 1", None),
            ("0", None),
            ("00000000-0000-0000-0000-000000000000", None),
            ("0af7651-916cd-43dd-8448-eb211c80319c", None),
            ("a1b2-c3d4", None),
            ("00af7651916cd43dd8448eb211c80319c", None),
            ("ééééééééé", None),
        ];
        for (text, id) in cases {
            assert_eq!(parse_trace_id(text).ok(), id, "{text}");
        }
        assert_eq!(parse_span_id("DEADBEEF").unwrap(), 0xdead_beef);
        assert_eq!(parse_span_id(SPAN).unwrap(), 0xb7ad_6b71_6920_3331);
        for bad in ["", "0", "-1", "0b7ad6b7169203331", "b7ad6b71-69203331"] {
            assert!(parse_span_id(bad).is_err(), "{bad}");
        }
    }
}
