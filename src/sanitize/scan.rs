//! Where in a text does a rule match?
//!
//! One forward pass that allocates nothing. A text is cut into segments by what was found: a
//! placeholder will stand there, and its brackets are in no class of any rule, so that an edge of a
//! segment is a word boundary and nothing reaches across it. Therefore
//!
//! - after a match the rest is a text of its own;
//! - before a match, a card that only failed because the match follows it has become one. No other
//!   rule looks at what follows it, and a card needs a boundary before it too, so one look back
//!   from the start of every match is enough.
//!
//! What is left between the matches matches no rule, beside the placeholders too.

use memchr::memchr;

use super::chunk::{self, CHUNK, DECIDED};
use super::unicode::{
    AWS, BASE64, DIGIT, DOMAIN, HINT, LETTER, LOCAL, class, is, is_digit, is_space, is_word,
};
use super::{Kind, Match};

/// The floor rules, as they are written for Python's `re`.
pub(super) const RULES: [(Kind, &str); 4] = [
    (Kind::Email, r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"),
    (Kind::Card, r"\b\d{4}[\s-]?\d{4}[\s-]?\d{4}[\s-]?\d{4}\b"),
    (Kind::Jwt, r"eyJ[a-zA-Z0-9_-]+\.eyJ[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+"),
    (Kind::AwsKey, r"AKIA[0-9A-Z]{16}"),
];

/// The matches of a text, in order, none overlapping another.
///
/// The leftmost match comes first; of those that begin together, the longest. The work is linear in
/// the length of the text, whatever it holds.
#[derive(Clone, Debug)]
pub(crate) struct Matches<'t> {
    text: &'t str,
    /// Where the segment begins: behind the last match.
    edge: usize,
    /// Everything but an e-mail was looked for up to here.
    scanned: usize,
    /// The `@` signs before this were looked at.
    at_scanned: usize,
    email: Option<Email>,
    /// No token begins before this.
    jwt_from: usize,
    /// Found together with the match returned last, and behind it.
    pending: Option<Match>,
}

#[derive(Clone, Copy, Debug)]
struct Email {
    start: usize,
    at: usize,
    end: usize,
}

impl<'t> Matches<'t> {
    #[inline]
    pub(super) fn new(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        // Names and keys are short, and mostly of nothing but letters.
        let is_plain =
            bytes.len() < CHUNK && bytes.iter().fold(0, |all, &b| all | class(b)) & HINT == 0;
        let scanned = if is_plain {
            bytes.len()
        } else {
            next_start(bytes, 0, bytes.len(), chunk::starts_or_ats).min(bytes.len())
        };
        // Where the look ahead met nothing there is no `@` either.
        let at_scanned = if scanned == bytes.len() { scanned } else { 0 };
        Self { text, edge: 0, scanned, at_scanned, email: None, jwt_from: 0, pending: None }
    }

    /// Whether there plainly is no match: neither an `@` nor a place where anything else begins.
    /// Most texts are so, and this is known without a further look.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.at_scanned == self.text.len() && self.scanned == self.text.len()
    }

    fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    /// The leftmost match of the segment.
    fn find(&mut self) -> Option<Match> {
        let email = self.next_email();
        let until = email.map_or(self.text.len(), |email| email.start + 1);
        loop {
            let at = next_start(self.bytes(), self.scanned, until, chunk::starts);
            self.scanned = at;
            if at >= until {
                return email;
            }
            if let Some(found) = self.match_at(at) {
                return Some(match email {
                    Some(email) if email.start == at && email.end >= found.end => email,
                    _ => found,
                });
            }
            // In a run of digits a card can begin only at the first.
            let digits = run(&self.bytes()[at..], DIGIT);
            self.scanned += if digits > 0 { digits } else { self.char_at(at)?.len_utf8() };
        }
    }

    fn match_at(&mut self, at: usize) -> Option<Match> {
        let (kind, end) = match self.bytes()[at] {
            b'e' => (Kind::Jwt, self.jwt(at)?),
            b'A' => (Kind::AwsKey, self.aws_key(at)?),
            _ => (Kind::Card, self.card(at)?),
        };
        Some(Match { start: at, end, kind })
    }

    /// The next e-mail of the segment. It is kept until a match cuts into it.
    fn next_email(&mut self) -> Option<Match> {
        if self.email.is_none_or(|email| email.at <= self.edge) {
            self.email = self.find_email();
        }
        let email = self.email.as_mut()?;
        email.start = email.start.max(self.edge);
        Some(Match { start: email.start, end: email.end, kind: Kind::Email })
    }

    fn find_email(&mut self) -> Option<Email> {
        self.at_scanned = self.at_scanned.max(self.edge);
        while let Some(ahead) = memchr(b'@', &self.bytes()[self.at_scanned..]) {
            step(ahead + 1);
            let at = self.at_scanned + ahead;
            let start = at - run_before(&self.bytes()[self.at_scanned..at], LOCAL);
            self.at_scanned = at + 1;
            if start < at
                && let Some(length) = domain(&self.bytes()[at + 1..])
            {
                return Some(Email { start, at, end: at + 1 + length });
            }
        }
        step(self.text.len() - self.at_scanned);
        self.at_scanned = self.text.len();
        None
    }

    /// The end of the token that begins at `at`.
    fn jwt(&mut self, at: usize) -> Option<usize> {
        if at < self.jwt_from {
            return None;
        }
        let rest = self.bytes()[at..].strip_prefix(b"eyJ")?;
        let first = run(rest, BASE64);
        let end = rest[first..]
            .strip_prefix(b".eyJ")
            .and_then(|rest| {
                let second = run(rest, BASE64);
                let third = run(rest[second..].strip_prefix(b".")?, BASE64);
                (second > 0 && third > 0).then_some(second + 1 + third)
            })
            .filter(|_| first > 0)
            .map(|length| at + 3 + first + 4 + length);
        if end.is_none() {
            // A later `eyJ` of this run meets the same end of the run, and no longer a part of it.
            self.jwt_from = at + 3 + first;
        }
        end
    }

    fn aws_key(&self, at: usize) -> Option<usize> {
        let random = self.bytes()[at..].strip_prefix(b"AKIA")?.get(..16)?;
        step(16);
        random.iter().all(|&byte| is(byte, AWS)).then_some(at + 20)
    }

    fn card(&self, at: usize) -> Option<usize> {
        if self.text.len() - at < 16 {
            return None;
        }
        if !self.char_at(at).is_some_and(is_digit) || self.char_before(at).is_some_and(is_word) {
            return None;
        }
        let end = at + card_length(self.text[at..].chars())?;
        (!self.char_at(end).is_some_and(is_word)).then_some(end)
    }

    /// The card that ends where a match begins.
    fn card_before(&self, end: usize) -> Option<Match> {
        let start = end - card_length(self.text[self.edge..end].chars().rev())?;
        let bounded = !self.char_before(start).is_some_and(is_word);
        bounded.then_some(Match { start, end, kind: Kind::Card })
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    fn char_before(&self, at: usize) -> Option<char> {
        self.text[self.edge..at].chars().next_back()
    }
}

impl Iterator for Matches<'_> {
    type Item = Match;

    #[inline]
    fn next(&mut self) -> Option<Match> {
        if self.is_over() && self.email.is_none() && self.pending.is_none() {
            return None;
        }
        self.next_found()
    }
}

impl Matches<'_> {
    fn next_found(&mut self) -> Option<Match> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        let found = self.find()?;
        let card = self.card_before(found.start);
        self.edge = found.end;
        self.scanned = found.end;
        match card {
            Some(card) => {
                self.pending = Some(found);
                Some(card)
            }
            None => Some(found),
        }
    }
}

/// The first place from `at` on of which `starts` says so; at least `until` when there is none
/// before it.
#[inline]
fn next_start(
    bytes: &[u8],
    mut at: usize,
    until: usize,
    starts: impl Fn(&[u8; CHUNK]) -> u32,
) -> usize {
    while at < until {
        step(CHUNK);
        let rest = &bytes[at..];
        let found = match (rest.first_chunk(), bytes.last_chunk()) {
            (Some(chunk), _) => starts(chunk),
            // What is too near the end to be decided begins nothing.
            (None, Some(chunk)) => starts(chunk) >> (CHUNK - rest.len()),
            (None, None) => {
                let mut chunk = [0; CHUNK];
                chunk[..rest.len()].copy_from_slice(rest);
                starts(&chunk)
            }
        };
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += DECIDED;
    }
    at
}

/// How many bytes at the beginning are of the class.
fn run(bytes: &[u8], class: u8) -> usize {
    let length = bytes.iter().take_while(|&&byte| is(byte, class)).count();
    step(length + 1);
    length
}

/// How many bytes at the end are of the class.
fn run_before(bytes: &[u8], class: u8) -> usize {
    let length = bytes.iter().rev().take_while(|&&byte| is(byte, class)).count();
    step(length + 1);
    length
}

/// The length of the e-mail domain at the beginning: up to the letters behind its last dot that
/// has two of them and something before it.
fn domain(bytes: &[u8]) -> Option<usize> {
    let bytes = &bytes[..run(bytes, DOMAIN)];
    step(bytes.len());
    let dot = bytes
        .windows(3)
        .rposition(|window| window[0] == b'.' && is(window[1], LETTER) && is(window[2], LETTER))
        .filter(|&dot| dot > 0)?;
    Some(dot + 1 + run(&bytes[dot + 1..], LETTER))
}

/// The length in bytes of four groups of four digits, one separator between them or none.
///
/// The groups read the same backwards, so that one function serves both directions.
fn card_length(chars: impl Iterator<Item = char>) -> Option<usize> {
    let (mut digits, mut length, mut separated) = (0, 0, true);
    for c in chars {
        step(1);
        if is_digit(c) {
            digits += 1;
            separated = digits % 4 != 0;
        } else if !separated && (c == '-' || is_space(c)) {
            separated = true;
        } else {
            return None;
        }
        length += c.len_utf8();
        if digits == 16 {
            return Some(length);
        }
    }
    None
}

/// Counts work in tests, so that they can tell linear from quadratic without a clock.
#[inline]
fn step(count: usize) {
    #[cfg(test)]
    tests::STEPS.set(tests::STEPS.get() + count);
    #[cfg(not(test))]
    let _ = count;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use Kind::{AwsKey, Card, Email, Jwt};

    thread_local! {
        pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    fn found(text: &str) -> Vec<(&str, Kind)> {
        Matches::new(text).map(|found| (&text[found.start..found.end], found.kind)).collect()
    }

    #[test]
    fn finds_what_the_rules_say() {
        let cases: &[(&str, &[(&str, Kind)])] = &[
            ("", &[]),
            ("@", &[]),
            ("a@b.c a@b a@.cd @b.cd a@b..c", &[]),
            ("<a.b+c%d-e_f@g-h.i.jk>", &[("a.b+c%d-e_f@g-h.i.jk", Email)]),
            ("a@b.cd1 é@b.cd éa@b.cd", &[("a@b.cd", Email), ("a@b.cd", Email)]),
            ("a@b.cd.e1.f", &[("a@b.cd", Email)]),
            ("a@@b.cd", &[]),
            ("a@b@c.de@f.gh", &[("b@c.de", Email)]),
            ("a@..bc", &[("a@..bc", Email)]),
            ("n 1234 5678-90123456.", &[("1234 5678-90123456", Card)]),
            ("12345678901234567 _1234567890123456 é1234567890123456", &[]),
            ("1234567890123456é 1234567890123456²", &[]),
            ("1234567890123456\u{301}", &[("1234567890123456", Card)]),
            ("\u{200D}1234567890123456\u{200D}", &[("1234567890123456", Card)]),
            ("1234--567890123456, 1234 567 890123456", &[]),
            (
                "1234\u{1C}5678\u{1F}9012\u{3000}3456",
                &[("1234\u{1C}5678\u{1F}9012\u{3000}3456", Card)],
            ),
            ("١٢٣٤567８90123456", &[("١٢٣٤567８90123456", Card)]),
            ("eyJa.eyJb.c", &[("eyJa.eyJb.c", Jwt)]),
            ("xeyJa_-.eyJb.c.d", &[("eyJa_-.eyJb.c", Jwt)]),
            ("eyJ.eyJb.c eyJa.eyJ.c eyJa.eyJb. eyJa.Jb.c eyJa eyJa.eyJb", &[]),
            ("eyJa.eyJb.eyJc.d", &[("eyJa.eyJb.eyJc", Jwt)]),
            ("eyJeyJ.eyJa.eyJb.c", &[("eyJeyJ.eyJa.eyJb", Jwt)]),
            ("AKIA0123456789ABCDEFG", &[("AKIA0123456789ABCDEF", AwsKey)]),
            ("AKIA0123456789ABCDE AKIA0123456789abcdef", &[]),
            ("AKAKIA0123456789ABCDEF", &[("AKIA0123456789ABCDEF", AwsKey)]),
            // The leftmost match, and of those that begin together the longest.
            ("eyJa.eyJb.c@d.ef", &[("eyJa.eyJb.c@d.ef", Email)]),
            ("eyJa.eyJb.c_@d.e", &[("eyJa.eyJb.c_", Jwt)]),
            ("1234 5678 9012 3456@b.cd", &[("1234 5678 9012 3456", Card)]),
            ("1234-5678-9012-3456@b.cd", &[("1234-5678-9012-3456@b.cd", Email)]),
            // A match makes boundaries beside it.
            (
                "1234 5678 9012 3456eyJa.eyJb.c",
                &[("1234 5678 9012 3456", Card), ("eyJa.eyJb.c", Jwt)],
            ),
            ("١٢٣٤١٢٣٤١٢٣٤١٢٣٤a@b.cd", &[("١٢٣٤١٢٣٤١٢٣٤١٢٣٤", Card), ("a@b.cd", Email)]),
            ("a@b.cd1234567890123456", &[("a@b.cd", Email), ("1234567890123456", Card)]),
            (
                "1234 1234567890123456AKIA0123456789ABCDEF",
                &[("1234567890123456", Card), ("AKIA0123456789ABCDEF", AwsKey)],
            ),
            ("AKIA0123456789ABCDEF@b.cd", &[("AKIA0123456789ABCDEF@b.cd", Email)]),
            ("1234 5678 9012 3456.x@b.cd", &[("1234 5678 9012 3456", Card), (".x@b.cd", Email)]),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text), *expected, "{text:?}");
        }
    }

    fn is_local(c: char) -> bool {
        c.is_ascii_alphanumeric() || "._%+-".contains(c)
    }

    fn naive_email(text: &[char]) -> bool {
        (1..text.len()).filter(|&at| text[at] == '@' && is_local(text[at - 1])).any(|at| {
            let domain =
                text[at + 1..].split(|&c| !(c.is_ascii_alphanumeric() || ".-".contains(c)));
            domain.into_iter().next().is_some_and(|domain| {
                (1..domain.len().saturating_sub(2)).any(|dot| {
                    domain[dot] == '.'
                        && domain[dot + 1..dot + 3].iter().all(char::is_ascii_alphabetic)
                })
            })
        })
    }

    fn naive_card(text: &[char]) -> bool {
        let word = |at: Option<&char>| at.is_some_and(|&c| c == '_' || c.is_alphanumeric());
        let digit = |c: char| c.is_ascii_digit() || ('٠'..='٩').contains(&c);
        let separator = |c: char| c == '-' || c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
        (0..text.len()).filter(|&start| start == 0 || !word(text.get(start - 1))).any(|start| {
            let mut at = start;
            for group in 0..4 {
                if group > 0 && text.get(at).is_some_and(|&c| separator(c)) {
                    at += 1;
                }
                if !text.get(at..at + 4).is_some_and(|four| four.iter().all(|&c| digit(c))) {
                    return false;
                }
                at += 4;
            }
            !word(text.get(at))
        })
    }

    fn naive_jwt(text: &str) -> bool {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        text.split(|c| !(part(c) || c == '.')).any(|run| {
            let parts: Vec<_> = run.split('.').collect();
            parts.windows(3).any(|three| {
                three[0].find("eyJ").is_some_and(|at| three[0].len() > at + 3)
                    && three[1].starts_with("eyJ")
                    && three[1].len() > 3
                    && !three[2].is_empty()
            })
        })
    }

    fn naive_aws_key(text: &str) -> bool {
        text.match_indices("AKIA").any(|(at, _)| {
            let random = text[at + 4..].chars().take(16);
            random.filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit()).count() == 16
        })
    }

    fn naive(text: &str, kind: Kind) -> bool {
        let chars: Vec<_> = text.chars().collect();
        match kind {
            Email => naive_email(&chars),
            Card => naive_card(&chars),
            Jwt => naive_jwt(text),
            AwsKey => naive_aws_key(text),
            _ => false,
        }
    }

    const FRAGMENTS: [&str; 44] = [
        "kim.o+n%e@post.example-shop.org",
        "k@l.mn",
        "k@l.m",
        "@",
        "to@",
        "@mx.net",
        "k@l.m2",
        "ç@ü.de",
        "k@l..mn",
        "k@-.mn",
        "k@l.mn@o.pq",
        "5500 0000 0000 0004",
        "5500000000000004",
        "5500-0000-0000-0004",
        "5500\u{a0}0000\u{2003}0000\t0004",
        "55000000000000040",
        "_5500000000000004",
        "٥٥٠٠٠٠٠٠٠٠٠٠٠٠٠٤",
        "5500\u{1c}0000\u{1d}0000\u{1f}0004",
        "5500--0000",
        "5500000000000004\u{301}",
        "5500000000000004²",
        "\u{200d}5500000000000004",
        "0000",
        "00",
        "eyJhIjoxfQ.eyJiIjoyfQ.s-_9",
        "eyJx.eyJy.",
        "eyJ.eyJ.z",
        "eyJx.eyJy.z.eyJx.eyJy.z",
        "eyJ",
        ".eyJ",
        "AKIAZZZZZZZZZZZZZZZZ",
        "AKIA9876543210ZYXWVU7",
        "AKIA",
        "AKIAAKIA",
        "[REDACTED_card]",
        "[",
        "]",
        "🙂",
        "é",
        " ",
        "\n",
        ".",
        "-",
    ];

    fn random_text(rng: &mut fastrand::Rng) -> String {
        let alphabet: Vec<_> = "abzAZ059._%+-@ \neyJAKIA[]é٥".chars().collect();
        let mut text = String::new();
        for _ in 0..rng.usize(0..12) {
            if rng.bool() {
                text.push_str(FRAGMENTS[rng.usize(..FRAGMENTS.len())]);
            } else {
                text.extend((0..rng.usize(0..6)).map(|_| alphabet[rng.usize(..alphabet.len())]));
            }
        }
        text
    }

    #[test]
    fn nothing_matches_between_the_matches_and_each_is_one() {
        let mut rng = fastrand::Rng::with_seed(0x5EED);
        for _ in 0..60_000 {
            let text = random_text(&mut rng);
            let mut edge = 0;
            let mut segments = Vec::new();
            for found in Matches::new(&text) {
                assert!(edge <= found.start && found.start < found.end, "{text:?}");
                assert!(naive(&text[found.start..found.end], found.kind), "{found:?} in {text:?}");
                segments.push(&text[edge..found.start]);
                edge = found.end;
            }
            segments.push(&text[edge..]);
            for kind in Kind::ALL {
                for segment in &segments {
                    assert!(!naive(segment, kind), "{kind:?} in {segment:?} of {text:?}");
                }
                assert!(segments.len() > 1 || !naive(&text, kind), "{kind:?} in {text:?}");
            }
        }
    }

    #[test]
    fn the_work_is_linear() {
        let steps = |text: &str| {
            STEPS.set(0);
            Matches::new(text).count();
            STEPS.get()
        };
        let units = [
            "@",
            "a",
            ".",
            "1",
            "1 ",
            "1234 ",
            "eyJ",
            "eyJ.",
            "eyJa.",
            "eyJa.eyJ.",
            "a@",
            "a@a.",
            "a@b.cd",
            "a.aa.1",
            "AKIA",
            "A",
            "AKIA000000000000000",
            "1234567890123456",
            "é",
            "٥",
            "[",
            "@a.b",
            "5500000000000004eyJa.eyJb.c ",
            "eyJa.eyJb.c@d.ef",
        ];
        for unit in units {
            let (once, twice) = (steps(&unit.repeat(2_000)), steps(&unit.repeat(4_000)));
            assert!(twice <= 2 * once + 200, "{unit:?}: {once} steps, then {twice}");
            assert!(once <= 30 * 2_000 * unit.len(), "{unit:?}: {once} steps");
        }
        // One long run of each class in front of what may or may not complete it.
        for (run, tail) in
            [("a.", "@b"), ("eyJ", ".eyJ"), ("1", "é"), ("x@y.", "zz"), ("AKIA", "a")]
        {
            let (once, twice) = (run.repeat(2_000) + tail, run.repeat(4_000) + tail);
            assert!(steps(&twice) <= 2 * steps(&once) + 200, "{run:?}");
        }
    }
}
