//! Subjects of a question: entities by kind, and topics by their words.

use serde::Serialize;

/// Words that speak of what a plan covers.
const PLAN_WORDS: [&str; 7] =
    ["plan", "deductible", "coverage", "covered", "copay", "premium", "dental"];
/// Words that speak of a claim.
const CLAIM_WORDS: [&str; 6] = ["claim", "charged", "charge", "refund", "refunded", "invoice"];

/// How many of each kind a text has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Entities {
    pub(crate) words: usize,
    /// Words with an `@` inside.
    pub(crate) addresses: usize,
    /// `$` and a number.
    pub(crate) amounts: usize,
    /// `2026-01-31`.
    pub(crate) dates: usize,
    /// Other runs of digits.
    pub(crate) numbers: usize,
    pub(crate) plan_words: usize,
    pub(crate) claim_words: usize,
}

/// Counts the entities of `text`. Takes time in the length of the text: call it only if the thread
/// may wait.
pub(crate) fn extract_entities(text: &str) -> Entities {
    let mut found = Entities::default();
    for word in text.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '$');
        found.words += usize::from(!word.is_empty());
        match word {
            _ if is_amount_word(word) => found.amounts += 1,
            _ if is_date_word(word) => found.dates += 1,
            _ if is_number_word(word) => found.numbers += 1,
            _ if word.contains('@') => found.addresses += 1,
            _ => count_topic_words(&word.to_lowercase(), &mut found),
        }
    }
    found
}

fn count_topic_words(word: &str, found: &mut Entities) {
    found.plan_words += usize::from(PLAN_WORDS.contains(&word));
    found.claim_words += usize::from(CLAIM_WORDS.contains(&word));
}

fn is_amount_word(word: &str) -> bool {
    word.strip_prefix('$').is_some_and(|rest| rest.parse::<f64>().is_ok())
}

fn is_date_word(word: &str) -> bool {
    let digits = |part: &str, len: usize| part.len() == len && is_number_word(part);
    let mut parts = word.split('-');
    let mut next = |len| parts.next().is_some_and(|part| digits(part, len));
    next(4) && next(2) && next(2) && parts.next().is_none()
}

fn is_number_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_counted_by_kind() {
        let text =
            "On 2026-01-31 I was charged $12.50 twice (claim 77); write to ana@mail.example.";
        let expected = Entities {
            words: 12,
            addresses: 1,
            amounts: 1,
            dates: 1,
            numbers: 1,
            plan_words: 0,
            claim_words: 2,
        };
        assert_eq!(extract_entities(text), expected);
    }

    #[test]
    fn odd_texts_are_only_words() {
        for (text, words) in [("", 0), (" -- ", 0), ("$ 2026-1-31 é", 3), ("1-2-3-4", 1)] {
            let expected = Entities { words, ..Entities::default() };
            assert_eq!(extract_entities(text), expected, "{text:?}");
        }
    }
}
