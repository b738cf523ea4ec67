//! Triggers of which more than four bytes are checked: those of numbers, and of tokens of vendors.

use super::{TriggerPattern, TriggerSet};
use crate::bytes::{self, has_byte_class};

const DIGITS: &[u8] = b"0123456789";

/// The beginning of a card or a social security number, if its first digits are ASCII.
pub(super) const NUMBER: TriggerPattern =
    TriggerPattern { bytes: [DIGITS, DIGITS, DIGITS, b"0123456789- "], is_word: true };

/// Returns whether the bytes after three digits may continue a number of a rule. Every such number
/// has at least eleven bytes. Between its digits are only hyphens, white space and what is not
/// ASCII. It does not begin like a date that ends with its day.
#[inline]
pub(crate) fn may_begin_number(text: &[u8], at: usize) -> bool {
    let Some(text) = text.get(at..).and_then(|text| text.first_chunk::<11>()) else { return false };
    // Most are decided by the first bytes.
    text[3..].iter().all(|&byte| has_byte_class(byte, bytes::NUMBER))
        && !([text[4], text[7]] == *b"--" && !(text[10].is_ascii_digit() || text[10] == b'-'))
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const TOKEN_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/// The separator after the name of a vendor, in a token such as `acme_…`.
pub(super) const VENDOR: TriggerPattern =
    TriggerPattern { bytes: [LETTERS, b"_-", TOKEN_BYTES, TOKEN_BYTES], is_word: false };

/// The number of the pattern [`VENDOR`].
pub(crate) const VENDOR_NUMBER: usize = TriggerSet::MAX;

/// The highest bit of each of eight bytes.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Returns whether the bytes after a separator may be part of a token. There are only letters, digits
/// and separators, and among the first eight a digit or a capital. If these are all small letters, the
/// next eight decide. So most names of variables are excluded.
#[inline]
pub(super) fn may_be_vendor_token(text: &[u8], at: usize) -> bool {
    let eight = |at: usize| text.get(at..)?.first_chunk().map(|body| u64::from_le_bytes(*body));
    // The highest bit of each byte that is in the range.
    let within = |bytes: u64, first: u8, last: u8| {
        let each = HIGH / 0x80;
        let bytes = bytes & !HIGH;
        (bytes + each * u64::from(0x80 - first)) & !(bytes + each * u64::from(0x7F - last)) & HIGH
    };
    let telling = |bytes: u64| within(bytes, b'0', b'9') | within(bytes, b'A', b'Z');
    let small = |bytes: u64| within(bytes, b'a', b'z');
    let Some(mut bytes) = eight(at + 2) else { return false };
    if telling(bytes) == 0 {
        match eight(at + 10) {
            Some(next) if bytes & HIGH == 0 && small(bytes) == HIGH => bytes = next,
            _ => return false,
        }
    }
    let separators = within(bytes, b'_', b'_') | within(bytes, b'-', b'-');
    bytes & HIGH == 0 && telling(bytes) != 0 && telling(bytes) | small(bytes) | separators == HIGH
}
