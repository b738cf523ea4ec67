//! Remembers what recent keys of a thread say. Most events have the same keys as those before them.
//!
//! What is remembered follows from the text of a key alone. So it never becomes wrong, whatever the options
//! of a sanitizer are and whatever is protected. A key in which a rule matches is not remembered.

use std::cell::Cell;

use super::keys::{KeyClass, classify_key};
use super::{manifests, scan};

/// What a key says, and whether the default rules leave it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyFacts {
    pub(super) class: KeyClass,
    /// No rule of any profile matches in it, and it has no placeholder.
    pub(super) is_plain: bool,
}

impl KeyFacts {
    #[cold]
    #[inline(never)]
    fn of(key: &str) -> Self {
        let rules = scan::RuleSet::defaults();
        let is_clean = |precise| {
            scan::Matches::new(key, rules, precise).is_none_or(|mut all| all.next().is_none())
        };
        let may_match = rules.may_match(key)
            && (manifests::may_have_manifest(key) || !is_clean(false) || !is_clean(true));
        Self { class: classify_key(key), is_plain: !may_match && !key.contains('[') }
    }

    /// Returns the same as [`of`](Self::of), in a few instructions if the thread has seen the key recently.
    #[inline]
    pub(super) fn of_recent(key: &str) -> Self {
        let Some(text) = ShortText::new(key) else { return Self::of(key) };
        let recent = |keys: &RecentKeys| keys[text.place()].get().facts_of(text);
        RECENT.with(recent).unwrap_or_else(|| Self::of_older(key, text))
    }

    /// Returns the same for a key that is not the last one of its place. The one before it is beside it.
    #[cold]
    #[inline(never)]
    fn of_older(key: &str, text: ShortText) -> Self {
        RECENT.with(|keys| {
            let [first, second] = [text.place(), text.place() ^ 1].map(|place| &keys[place]);
            let facts = second.get().facts_of(text).unwrap_or_else(|| Self::of(key));
            if facts.is_plain {
                second.set(first.replace(RecentKey { text, facts }));
            }
            facts
        })
    }
}

/// The number of keys that are remembered. They take 6 KiB of a thread.
const COUNT: usize = 128;

type RecentKeys = [Cell<RecentKey>; COUNT];

thread_local! {
    static RECENT: RecentKeys = const { [const { Cell::new(RecentKey::EMPTY) }; COUNT] };
}

/// A key and its facts. A place of the table is replaced by the next key that belongs there.
#[derive(Clone, Copy)]
struct RecentKey {
    text: ShortText,
    facts: KeyFacts,
}

impl RecentKey {
    /// The empty key, which says nothing.
    const EMPTY: Self =
        Self { text: ShortText::EMPTY, facts: KeyFacts { class: KeyClass::Plain, is_plain: true } };

    #[inline(always)]
    fn facts_of(self, text: ShortText) -> Option<KeyFacts> {
        (self.text == text).then_some(self.facts)
    }
}

/// All bytes of a text that has at most 32: its first ones, its last ones and its length.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ShortText {
    first: [u64; 2],
    last: [u64; 2],
    length: usize,
}

impl ShortText {
    const EMPTY: Self = Self { first: [0; 2], last: [0; 2], length: 0 };

    #[inline(always)]
    fn new(text: &str) -> Option<Self> {
        let (bytes, length) = (text.as_bytes(), text.len());
        let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let half =
            |at: usize| Some(u64::from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
        let (first, last) = match length {
            0 => ([0; 2], [0; 2]),
            1..4 => {
                let [a, b, c] = [0, length / 2, length - 1].map(|at| u64::from(bytes[at]));
                ([a | b << 8 | c << 16, 0], [0; 2])
            }
            4..8 => ([half(0)?, 0], [half(length - 4)?, 0]),
            8..16 => ([word(0)?, 0], [word(length - 8)?, 0]),
            16..=32 => ([word(0)?, word(8)?], [word(length - 8)?, word(length - 16)?]),
            _ => return None,
        };
        Some(Self { first, last, length })
    }

    /// Returns the place of the text in the table.
    #[inline(always)]
    fn place(self) -> usize {
        let middle = self.first[1] ^ self.last[1].rotate_left(11);
        let mixed = self.first[0] ^ self.last[0].rotate_left(29) ^ middle.rotate_left(47);
        // Fibonacci hashing: the upper bits of a product with 2^64 over the golden ratio.
        let hash = (mixed ^ self.length as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> (u64::BITS - COUNT.ilog2())) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_keys_say_what_they_always_say() {
        let names = "token tokens pass password key id type name value a ab abc abcd abcdefgh ts at \
            gen_ai.usage.input_tokens gen_ai.usage.output_tokens x-amz-security-token card [REDACTED] \
            ana@example.org a_key_of_thirty_two_bytes_exactly a_key_of_more_than_thirty_two_bytes";
        let mut keys: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        keys.push(String::new());
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..30_000 {
            let mut key = keys[rng.usize(..keys.len())].clone();
            // Texts that differ in one byte, at any place.
            if rng.bool() && !key.is_empty() {
                let at = rng.usize(..key.len());
                key.replace_range(at..=at, ["x", "@", "[", "_"][rng.usize(..4)]);
            }
            for _ in 0..2 {
                assert_eq!(KeyFacts::of_recent(&key), KeyFacts::of(&key), "{key:?}");
            }
        }
    }

    #[test]
    fn short_texts_are_the_same_only_if_all_bytes_are() {
        let mut rng = fastrand::Rng::with_seed(7);
        for length in 0..=32 {
            let text: String = (0..length).map(|_| rng.alphanumeric()).collect();
            let short = |text: &str| ShortText::new(text).expect("it is short");
            for at in 0..length {
                let mut other = text.clone();
                other.replace_range(at..=at, "-");
                assert!(short(&text) != short(&other), "{text:?} and {other:?}");
            }
            let longer = format!("{text}\0");
            assert!(Some(short(&text)) != ShortText::new(&longer), "{text:?}");
        }
    }
}
