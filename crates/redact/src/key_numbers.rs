//! Distinguishes keys that redact alike, by numbers in their placeholders.

use super::placeholders::parse_placeholder;
use super::{Kind, Match, Redactions, Sanitizer};

/// Distinguishes the keys of one object that redact alike, by numbers in their placeholders.
///
/// The first placeholder of a key decides, whether a match becomes one or the key already contains
/// it. For each kind these numbers only grow within an object, so two keys of the output differ. If
/// the output is redacted again, every number is above those before it, and is kept. Only one
/// counter for each kind has to be remembered.
///
/// There is one for each object, and most objects have no such keys. So it has room for the numbers of a few
/// kinds. If an object has more kinds, those of the others are in a box.
#[derive(Clone, Debug)]
pub struct KeyNumbers {
    /// The last number of each kind, 0 if the place is free.
    few: [(Kind, u32); 4],
    others: Option<Box<[u32; Kind::COUNT]>>,
}

impl Default for KeyNumbers {
    #[inline]
    fn default() -> Self {
        Self { few: [(Kind::Email, 0); 4], others: None }
    }
}

/// Larger numbers are not kept, so that a key cannot drive the counter to its end. If the counter
/// passes this number, it still grows by one each time, and a second redaction counts alike.
const KEPT_MAX: u32 = 999_999_999;

impl KeyNumbers {
    /// Writes the redacted key in pieces, unescaped, through `put`.
    pub fn write_key(
        &mut self,
        sanitizer: &Sanitizer,
        key: &str,
        counts: &mut Redactions,
        put: &mut dyn FnMut(&str),
    ) {
        let mut copied = 0;
        self.edit_key(sanitizer, key, counts, &mut |part, number| {
            put(&key[copied..part.start]);
            write_numbered_placeholder(part.kind, number, put);
            copied = part.end;
        });
        put(&key[copied..]);
    }

    /// Passes to `edit` the parts of the key that are replaced, in order, with the number of each
    /// placeholder.
    pub(super) fn edit_key(
        &mut self,
        sanitizer: &Sanitizer,
        key: &str,
        counts: &mut Redactions,
        edit: &mut dyn FnMut(Match, u32),
    ) {
        let (mut from, mut decided) = (0, false);
        for found in sanitizer.matches(key) {
            decided = decided || self.renumber(key, from..found.start, edit);
            let number = if decided { 1 } else { self.assign_number(found.kind, 0) };
            edit(found, number);
            counts.add(found.kind);
            (from, decided) = (found.end, true);
        }
        if !decided {
            self.renumber(key, from..key.len(), edit);
        }
    }

    /// Returns whether this part of the key contains a placeholder, and raises its number if
    /// necessary.
    fn renumber(
        &mut self,
        key: &str,
        part: std::ops::Range<usize>,
        edit: &mut dyn FnMut(Match, u32),
    ) -> bool {
        let Some((mut found, given)) = find_numbered_placeholder(&key[part.clone()]) else {
            return false;
        };
        let number = self.assign_number(found.kind, given);
        if number != given {
            found.start += part.start;
            found.end += part.start;
            edit(found, number);
        }
        true
    }

    /// Returns the number of a key that is replaced as a whole.
    pub(super) fn next_number(&mut self, kind: Kind) -> u32 {
        self.assign_number(kind, 0)
    }

    /// Returns the number of the next key of this kind: its own, if that is above those before it.
    fn assign_number(&mut self, kind: Kind, given: u32) -> u32 {
        let last = self.last_number(kind);
        *last = if given > *last && given <= KEPT_MAX { given } else { *last + 1 };
        *last
    }

    /// Returns the last number of a kind.
    fn last_number(&mut self, kind: Kind) -> &mut u32 {
        let few = &mut self.few;
        match few.iter().position(|(known, last)| *known == kind || *last == 0) {
            Some(place) => {
                few[place].0 = kind;
                &mut few[place].1
            }
            None => {
                let others = self.others.get_or_insert_with(|| Box::new([0; Kind::COUNT]));
                &mut others[kind as usize]
            }
        }
    }
}

/// Writes `[REDACTED_email]`, or `[REDACTED_email_2]` for the number 2.
pub(super) fn write_numbered_placeholder(kind: Kind, number: u32, put: &mut dyn FnMut(&str)) {
    let plain = kind.placeholder();
    if number <= 1 {
        return put(plain);
    }
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number;
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    put(&plain[..plain.len() - 1]);
    put("_");
    put(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
    put("]");
}

/// Returns the first placeholder of a known kind in the text, and its number.
fn find_numbered_placeholder(text: &str) -> Option<(Match, u32)> {
    let mut from = 0;
    while let Some(start) = memchr::memchr(b'[', &text.as_bytes()[from..]).map(|at| from + at) {
        if let Some((kind, number, length)) = parse_placeholder(&text[start..]) {
            return Some((Match { start, end: start + length, kind }, number));
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn written(keys: &[String]) -> Vec<String> {
        let mut numbers = KeyNumbers::default();
        let mut counts = Redactions::default();
        let one = |key: &String| {
            let mut out = String::new();
            numbers.write_key(&Sanitizer::default(), key, &mut counts, &mut |piece| {
                out.push_str(piece);
            });
            out
        };
        keys.iter().map(one).collect()
    }

    #[test]
    fn keys_that_redact_alike_are_numbered() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["a", "a"], &["a", "a"]),
            (&["k@l.mn", "o@p.qr"], &["[REDACTED_email]", "[REDACTED_email_2]"]),
            (&["[REDACTED_email]", "k@l.mn"], &["[REDACTED_email]", "[REDACTED_email_2]"]),
            (&["k@l.mn", "[REDACTED_email]"], &["[REDACTED_email]", "[REDACTED_email_2]"]),
            (&["[REDACTED_email_7]x", "k@l.mn"], &["[REDACTED_email_7]x", "[REDACTED_email_8]"]),
            (&["[REDACTED]", "[REDACTED]"], &["[REDACTED]", "[REDACTED_2]"]),
            (&["[REDACTED_other]", "[REDACTED_other]"], &["[REDACTED_other]", "[REDACTED_other]"]),
            (
                &["k@l.mn k@l.mn", "k@l.mn!"],
                &["[REDACTED_email] [REDACTED_email]", "[REDACTED_email_2]!"],
            ),
            (&["[k@l.mn", "[REDACTED_k@l.mn"], &["[[REDACTED_email]", "[[REDACTED_email_2]"]),
            (
                &["[REDACTED_email_0]", "[REDACTED_email_1]"],
                &["[REDACTED_email]", "[REDACTED_email_2]"],
            ),
            (
                &[
                    "[REDACTED_jwt_99999999999999999999999]",
                    "[REDACTED_jwt_999999999]",
                    "[REDACTED_jwt]",
                ],
                &["[REDACTED_jwt]", "[REDACTED_jwt_999999999]", "[REDACTED_jwt_1000000000]"],
            ),
        ];
        for (keys, expected) in cases {
            let keys: Vec<_> = keys.iter().map(|&key| key.to_owned()).collect();
            assert_eq!(written(&keys), *expected, "{keys:?}");
        }
    }

    #[test]
    fn redacted_keys_differ_and_stay() {
        let parts = [
            "k@l.mn",
            "AKIA0123456789ABCDEF",
            "[REDACTED_email]",
            "[REDACTED_email_2]",
            "[REDACTED_email_3]",
            "[REDACTED]",
            "[REDACTED_2]",
            "[REDACTED_card_999999999]",
            "5500000000000004",
            "[REDACTED_",
            "[",
            "]",
            "_2]",
            "email",
            " ",
            "[REDACTED_email_03]",
            "[REDACTED_card_9999999999]",
        ];
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let key = |rng: &mut fastrand::Rng| -> String {
                (0..rng.usize(1..4)).map(|_| parts[rng.usize(..parts.len())]).collect()
            };
            let keys: HashSet<_> = (0..rng.usize(1..8)).map(|_| key(&mut rng)).collect();
            let mut keys: Vec<_> = keys.into_iter().collect();
            keys.sort();
            let once = written(&keys);
            let apart: HashSet<_> = once.iter().collect();
            assert_eq!(apart.len(), keys.len(), "{keys:?} become {once:?}");
            assert_eq!(written(&once), once, "{keys:?}");
        }
    }
}
