//! Long runs of base64: images, sound, encrypted text.
//!
//! In so many random bytes something looks like a token by chance. Inside such a run only the floor's
//! rules count. A rule is still asked near the beginning of a run, because a long token is a run of
//! its own, and near the end, because a name may be there.

use std::ops::Range;

use super::{RuleText, is_base64url_byte};

/// The shortest run that is a payload. A search back from a match covers a shorter one.
pub(crate) const PAYLOAD_BYTES_MIN: usize = 256;
/// The bytes at the beginning of a payload in which rules are asked.
const HEAD_BYTES: usize = 24;
/// The bytes at its end.
const TAIL_BYTES: usize = 48;

fn is_payload_byte(byte: u8) -> bool {
    is_base64url_byte(byte) || byte == b'+' || byte == b'/'
}

/// Returns the inside of the payload around `at`, or `None` if `at` is not inside one. Of a longer
/// payload it returns a part, because the work for each place is bounded.
pub(crate) fn base64_payload_around(look: RuleText<'_>, at: usize) -> Option<Range<usize>> {
    let is_near = |at: usize| {
        let near = look.rest_from(at).get(..TAIL_BYTES);
        near.is_some_and(|near| near.iter().all(|&byte| is_payload_byte(byte)))
    };
    if !is_near(at) {
        return None;
    }
    let start = look.run_start(at, PAYLOAD_BYTES_MIN, is_payload_byte);
    let window = &look.text[..look.text.len().min(at + PAYLOAD_BYTES_MIN)];
    let end = RuleText { text: window, ..look }.run_end(at, is_payload_byte);
    let inside = start + HEAD_BYTES..end - TAIL_BYTES;
    (end - start >= PAYLOAD_BYTES_MIN && inside.contains(&at)).then_some(inside)
}
