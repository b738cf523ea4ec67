//! Short texts, compared in a few instructions.

/// Returns a number of the length and the ends of a text.
#[inline(always)]
pub(super) fn glance(text: &str) -> u64 {
    let text = text.as_bytes();
    let ends = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => text.first().map_or(0, |byte| u64::from(*byte)),
    };
    ends ^ (text.len() as u64) << 16
}

/// Returns whether the texts are the same, without a call if they are short.
#[inline(always)]
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        0 => true,
        8..=16 => ends_differ::<8>(one, other) == 0,
        4..8 => ends_differ::<4>(one, other) == 0,
        _ => one == other,
    }
}

/// Returns 0 if the first bytes and the last ones, so many each, are the same.
#[inline(always)]
fn ends_differ<const BYTES: usize>(one: &[u8], other: &[u8]) -> u64 {
    let word = |bytes: Option<&[u8; BYTES]>| {
        let mut word = [0; 8];
        word[..BYTES].copy_from_slice(bytes.map_or(&[0; BYTES][..], |bytes| &bytes[..]));
        u64::from_le_bytes(word)
    };
    let first = word(one.first_chunk()) ^ word(other.first_chunk());
    first | (word(one.last_chunk()) ^ word(other.last_chunk()))
}
