//! Tells random strings from words, names of source code and numbers.

use crate::looks::{class_changes, letter_class, reads_like_word};

/// Returns whether a text between separators looks random. It has a part in which letters and digits
/// are mixed, or in which small letters and capitals change too often for a name.
///
/// This is for a text whose prefix already says what it is. Few random texts fail.
pub(super) fn is_random_word(text: &[u8]) -> bool {
    const PART_BYTES_MIN: usize = 7;
    text.split(|byte| !byte.is_ascii_alphanumeric()).any(|part| {
        let has_digit = part.iter().any(u8::is_ascii_digit);
        let changes = class_changes(part);
        part.len() >= PART_BYTES_MIN
            && !consists_of_words(part)
            && if has_digit { 4 * changes >= part.len() } else { 5 * changes >= 2 * part.len() }
    })
}

/// Returns whether a text is random letters of both cases and digits, with few separators between
/// them. Names such as `getUserById2` and numbers with a word are not.
///
/// This is for a text of which nothing else is known. One in fifty random texts fails, mostly because
/// it has no digit.
pub(super) fn is_random_string(text: &[u8]) -> bool {
    const DISTINCT_MIN: u32 = 10;
    let mut counts = [0_usize; 4];
    let mut seen = 0_u128;
    for &byte in text {
        counts[usize::from(letter_class(byte))] += 1;
        seen |= 1 << (byte & 0x7F);
    }
    let [lower, upper, digits, others] = counts;
    // In a name a capital has small letters beside it, and a digit is rare.
    let odd_pairs = text.windows(2).filter(|two| {
        let classes = [letter_class(two[0]), letter_class(two[1])];
        !classes.contains(&3) && (classes.contains(&2) || classes == [1, 1])
    });
    lower >= 3
        && upper >= 3
        && digits >= 1
        && others <= 1 + text.len() / 12
        && seen.count_ones() >= DISTINCT_MIN
        && 3 * class_changes(text) >= text.len()
        && 6 * odd_pairs.count() >= text.len()
        && !consists_of_words(text)
}

/// Returns whether most of a text is words, years and dates: `AddNewLoginPageV2ForUsers2024`.
fn consists_of_words(text: &[u8]) -> bool {
    const WORD_BYTES_MIN: usize = 3;
    let (mut at, mut known) = (0, 0);
    while at < text.len() {
        let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            let is_date = matches!(digits, 4 | 6 | 8) && matches!(&text[at..at + 2], b"19" | b"20");
            known += if is_date { digits } else { 0 };
            at += digits;
            continue;
        }
        let capital = usize::from(text[at].is_ascii_uppercase());
        let small =
            text[at + capital..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        let length = capital + small;
        let is_word = length >= WORD_BYTES_MIN && reads_like_word(&text[at..at + length]);
        known += if is_word { length } else { 0 };
        at += length.max(1);
    }
    2 * known > text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names_are_not_random() {
        for text in [
            "update_stream_for_the_mellow_component_v2",
            "authenticate_with_the_server_and_validate",
            "compiled_pattern_cache_entry_732777",
            "removeSilverCobaltSilver",
            "createTunnelRibbonViolet",
            "config_base64encoded_value",
            "2026021400000100000000000",
            "encodeHeader2WithLimits3AndPaths4",
            "loadTable7FromIndex12IntoCache3",
        ] {
            assert!(!is_random_word(text.as_bytes()), "{text}");
            assert!(!is_random_string(text.as_bytes()), "{text}");
        }
        for text in
            ["getUserByIdAndName2Factory", "MultiModalLLM2ConfigBuilder", "0a1b2c3d4e5f60718293"]
        {
            assert!(!is_random_string(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn nearly_all_random_strings_are_random() {
        let mut rng = fastrand::Rng::with_seed(62);
        let mut missed = [0, 0];
        for _ in 0..10_000 {
            let text: String = std::iter::repeat_with(|| rng.alphanumeric()).take(24).collect();
            missed[0] += usize::from(!is_random_word(text.as_bytes()));
            missed[1] += usize::from(!is_random_string(text.as_bytes()));
        }
        // One in fifty has no digit at all.
        assert!(missed[0] < 60 && missed[1] < 500, "{missed:?}");
    }
}
