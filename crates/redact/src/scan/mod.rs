//! Where in a text does a rule match?
//!
//! One forward pass that allocates nothing. A text is cut into segments by what was found: a
//! placeholder will stand there, and its brackets are in no class of any rule, so that an edge of a
//! segment is a boundary and nothing reaches across it. Therefore
//!
//! - after a match the rest is a text of its own;
//! - before a match, what only failed because the match follows it has become one: so from the start
//!   of every match there is a look back, as far as any rule reaches that minds what follows it.
//!
//! What is left between the matches matches no rule, beside the placeholders too.

use std::ops::Range;
use std::sync::LazyLock;

use super::bytes::{
    AWS, BASE64, DIGIT, DOMAIN, LETTER, LOCAL, WORD, is, is_digit, is_space, is_word,
};
use super::confusables::{self, Plain};
use super::prefilter::{Candidates, Filter, Pattern, may_be_number};
use super::rules::{self, Look, NUMBERS, Rule, Trigger};
use super::{Kind, Match};

/// The floor rules, as they are written for Python's `re`.
pub(super) const RULES: [(Kind, &str); 4] = [
    (Kind::Email, r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"),
    (Kind::Card, r"\b\d{4}[\s-]?\d{4}[\s-]?\d{4}[\s-]?\d{4}\b"),
    (Kind::Jwt, r"eyJ[a-zA-Z0-9_-]+\.eyJ[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+"),
    (Kind::AwsKey, r"AKIA[0-9A-Z]{16}"),
];

/// The bytes in front of an e-mail's `@`.
const LOCAL_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-";
/// The bytes behind it.
const DOMAIN_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

/// The bytes of base64url, of which a part of a token is.
const BASE64_BYTES: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/// Rules and what their triggers are found with.
pub(super) struct Rules {
    filter: Filter,
    /// By the number of its trigger.
    asked: Vec<Rule>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// Every string of every event comes by, so it is not behind a pointer. No child finds it half made:
/// forks see to it first, from before it is begun.
static DEFAULT: LazyLock<Rules> = LazyLock::new(|| {
    super::watch_forks();
    Rules::new(&rules::triggers())
});

impl Rules {
    /// The default rules.
    #[inline]
    pub(super) fn defaults() -> &'static Self {
        &DEFAULT
    }

    /// The places at which the filter finds candidates, by vectors and byte for byte.
    #[cfg(fuzzing)]
    pub fn candidates(&self, text: &[u8], edge: usize) -> [Vec<usize>; 2] {
        [true, false].map(|by_vectors| self.filter.places(text, edge, by_vectors))
    }

    fn new(triggers: &[Trigger]) -> Self {
        let asked = triggers.iter().map(|trigger| trigger.rule).collect();
        Self { filter: Filter::new(&Self::patterns(triggers)), asked }
    }

    /// The default rules for each set of instructions that the machine has, and without.
    #[cfg(test)]
    fn in_each_form() -> Vec<Self> {
        let triggers = rules::triggers();
        let filters = Filter::in_each_form(&Self::patterns(&triggers));
        let asked = || triggers.iter().map(|trigger| trigger.rule).collect();
        filters.into_iter().map(|filter| Self { filter, asked: asked() }).collect()
    }

    /// What is looked for: the triggers of the rules by their numbers, then those of the floor.
    fn patterns(triggers: &[Trigger]) -> Vec<Pattern> {
        let floor = [
            [LOCAL_BYTES, b"@", DOMAIN_BYTES, DOMAIN_BYTES],
            [b"e", b"y", b"J", BASE64_BYTES],
            [b"A", b"K", b"I", b"A"],
        ];
        let floor = floor.map(|bytes| Pattern { bytes, is_word: false });
        triggers.iter().map(|trigger| trigger.pattern).chain(floor).collect()
    }
}

/// The matches of a text, in order, none overlapping another.
///
/// The leftmost match comes first; of those that begin together, the longest. The work is linear in
/// the length of the text, whatever it holds.
#[derive(Debug)]
pub struct Matches<'t> {
    text: &'t str,
    rules: &'t Rules,
    precise: bool,
    /// Where the segment begins: behind the last match.
    edge: usize,
    candidates: Candidates,
    /// Found, and not yet given out: an earlier one may be found yet.
    pending: Option<Match>,
    /// What became a match because the one behind it begins, and that one, the first last.
    cut: Vec<Match>,
    /// The run of an e-mail's local part that was looked at last: its end, and the e-mail's.
    local: (usize, Option<usize>),
    /// No token begins here.
    no_jwt: Range<usize>,
    /// `None` as long as no disguise was met.
    disguised: Option<Box<Disguised>>,
    /// All of them, where more than the rules was asked: the first one last.
    known: Vec<Match>,
}

/// What only matches undisguised, the first one last.
#[derive(Debug)]
struct Disguised {
    /// Of the text as a whole.
    whole: Vec<Match>,
    /// Of a segment that was cut off by matches: it comes before any other.
    segment: Vec<Match>,
}

/// A match begins at most this many bytes before its trigger, but for an e-mail's.
const TRIGGER_OFFSET_MAX: usize = 80;
/// How far before a match is looked for what became one by it: as long as the longest match of a
/// rule that minds what follows.
const BACK_BYTES: usize = 384;

impl<'t> Matches<'t> {
    /// The matches, or `None` where there plainly is none, since there is no place where one may
    /// begin. Most texts are so.
    #[inline]
    pub(super) fn new(text: &'t str, rules: &'t Rules, precise: bool) -> Option<Self> {
        if rules.filter.is_plain(text.as_bytes()) {
            return None;
        }
        let candidates = Candidates::of_text(&rules.filter, text.as_bytes())?;
        Some(Self::among(candidates, text, rules, precise))
    }

    fn among(candidates: Candidates, text: &'t str, rules: &'t Rules, precise: bool) -> Self {
        Self {
            text,
            rules,
            precise,
            edge: 0,
            candidates,
            pending: None,
            cut: Vec::new(),
            local: (0, None),
            no_jwt: 0..0,
            disguised: None,
            known: Vec::new(),
        }
    }

    /// The matches of a text in which these stand, in no order. What overlaps goes as one; what is
    /// between is a text of its own, as it is between matches of rules, and `between` finds what is in
    /// it.
    #[cold]
    pub(super) fn around(
        mut known: Vec<Match>,
        text: &'t str,
        rules: &'t Rules,
        between: &dyn Fn(&str) -> Vec<Match>,
    ) -> Self {
        let matches = |from: usize, to: usize| {
            between(&text[from..to]).into_iter().map(move |found| Match {
                start: from + found.start,
                end: from + found.end,
                ..found
            })
        };
        known.sort_by_key(|found| (found.start, std::cmp::Reverse(found.end)));
        let mut found: Vec<Match> = Vec::new();
        let mut edge = 0;
        let mut known = known.into_iter().peekable();
        while let Some(mut whole) = known.next() {
            while let Some(other) = known.next_if(|other| other.start < whole.end) {
                whole.end = whole.end.max(other.end);
                // What is known to be a token is not called a long random string.
                if Kind::OPT_IN.contains(&whole.kind) && !Kind::OPT_IN.contains(&other.kind) {
                    whole.kind = other.kind;
                }
            }
            found.extend(matches(edge, whole.start));
            edge = whole.end;
            found.push(whole);
        }
        found.extend(matches(edge, text.len()));
        found.reverse();
        let none = Candidates::from(0);
        Self { known: found, ..Self::among(none, "", rules, false) }
    }

    fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    /// The leftmost match of the segment.
    fn find(&mut self) -> Option<Match> {
        let (rules, bytes) = (self.rules, self.bytes());
        while let Some(at) = self.candidates.next(&rules.filter, bytes, self.edge) {
            if self.pending.is_some_and(|pending| at > pending.start + TRIGGER_OFFSET_MAX) {
                break;
            }
            if let Some(found) = self.match_at(at) {
                self.pending = Some(self.pending.map_or(found, |pending| first(pending, found)));
            }
        }
        self.pending.take()
    }

    /// The first of the matches whose trigger stands here.
    #[inline]
    fn match_at(&mut self, at: usize) -> Option<Match> {
        step(1);
        let floor = match self.bytes()[at] {
            b'0'..=b'9' => self.number_at(at),
            0x80.. => return self.foreign_at(at),
            b'e' => self.jwt(at),
            b'A' => self.aws_key(at),
            _ => None,
        };
        let next = self.bytes().get(at + 1);
        let email = if next == Some(&b'@') { self.email(at + 1) } else { None };
        self.rules.ask(self.look(self.text), at, first_of(floor, email))
    }

    /// The first of the matches that begin with this digit. None does behind a letter, a digit or an
    /// underscore.
    #[inline]
    fn number_at(&self, at: usize) -> Option<Match> {
        if !may_be_number(self.bytes(), at) {
            return None;
        }
        let before = self.bytes()[self.edge..at].last();
        if before.is_some_and(|&byte| is(byte, WORD) || byte >= 0x80)
            && self.char_before(at).is_some_and(is_word)
        {
            return None;
        }
        ask_number(self.look(self.text), at, self.card(at))
    }

    /// The card that begins with this digit outside ASCII, or with the ASCII digits in front of it,
    /// of which more than three are a candidate of their own.
    #[cold]
    fn foreign_at(&mut self, at: usize) -> Option<Match> {
        let c = self.text.get(at..)?.chars().next()?;
        if self.disguised.is_none() && confusables::is_disguise(c) {
            let whole = self.undisguised(0..self.text.len());
            self.disguised = Some(Box::new(Disguised { whole, segment: Vec::new() }));
        }
        if !is_digit(c) {
            return None;
        }
        let before = &self.bytes()[self.edge.max(at.saturating_sub(3))..at];
        let start = at - run_before(before, DIGIT);
        (!self.char_before(start).is_some_and(is_word)).then(|| self.card(start))?
    }

    /// The matches of a part of the text as it reads without its disguises, the first one last.
    fn undisguised(&self, part: Range<usize>) -> Vec<Match> {
        let original = &self.text[part.clone()];
        let plain = Plain::of(original);
        step(3 * original.len());
        let matches = Matches::new(&plain.text, self.rules, self.precise);
        let in_text = |found| {
            let Match { start, end, kind } = plain.in_original(found, original);
            Match { start: part.start + start, end: part.start + end, kind }
        };
        let mut found: Vec<_> = matches.into_iter().flatten().map(in_text).collect();
        found.reverse();
        found
    }

    /// What matches undisguised in the segment up to `end`, which is where a match begins or the
    /// text ends. The first is given, the others are kept for later.
    #[cold]
    fn undisguised_before(&mut self, end: usize) -> Option<Match> {
        let mut segment = self.undisguised(self.edge..end);
        let first = segment.pop();
        if let Some(disguised) = &mut self.disguised {
            disguised.segment = segment;
        }
        first
    }

    /// The first undisguised match that does not lie before the edge, as far as it lies behind it.
    fn next_undisguised(&mut self) -> Option<Match> {
        let found = &mut self.disguised.as_mut()?.whole;
        while found.last().is_some_and(|found| found.end <= self.edge) {
            found.pop();
        }
        found.last().map(|found| Match { start: found.start.max(self.edge), ..*found })
    }

    fn look(&self, text: &'t str) -> Look<'t> {
        Look { text: text.as_bytes(), edge: self.edge }
    }

    /// The e-mail with this `@`.
    fn email(&self, at: usize) -> Option<Match> {
        let start = at - run_before(&self.bytes()[self.edge..at], LOCAL);
        let length = domain(&self.bytes()[at + 1..]).filter(|_| start < at)?;
        let email = Match { start, end: at + 1 + length, kind: Kind::Email };
        self.is_wanted(email).then_some(email)
    }

    /// Whether an e-mail is one under this profile.
    fn is_wanted(&self, email: Match) -> bool {
        !(self.precise && is_file_name(email.of(self.text)))
    }

    /// The e-mail whose local part `start` lies in, or begins.
    fn email_around(&mut self, start: usize) -> Option<Match> {
        if !is(*self.bytes().get(start)?, LOCAL) {
            return None;
        }
        if start >= self.local.0 {
            let at = start + run(&self.bytes()[start..], LOCAL);
            let rest = self.bytes()[at..].strip_prefix(b"@");
            let length = rest.and_then(domain);
            self.local = (at, length.map(|length| at + 1 + length));
        }
        let end = self.local.1?;
        let start = start - run_before(&self.bytes()[self.edge..start], LOCAL);
        let email = Match { start, end, kind: Kind::Email };
        self.is_wanted(email).then_some(email)
    }

    /// The token that begins at `at`.
    fn jwt(&mut self, at: usize) -> Option<Match> {
        if self.no_jwt.contains(&at) {
            return None;
        }
        let rest = self.bytes()[at..].strip_prefix(b"eyJ")?;
        let first = run(rest, BASE64);
        let length = if first > 0 { token_behind(&rest[first..], first) } else { None };
        let end = length.map(|length| at + 3 + first + length);
        if end.is_none() {
            // A later `eyJ` of this run meets the same end of the run, and no longer a part of it.
            self.no_jwt = at..at + 3 + first;
        }
        Some(Match { start: at, end: end?, kind: Kind::Jwt })
    }

    fn aws_key(&self, at: usize) -> Option<Match> {
        let random = self.bytes()[at..].strip_prefix(b"AKIA")?.get(..16)?;
        step(16);
        let is_key = random.iter().all(|&byte| is(byte, AWS));
        is_key.then_some(Match { start: at, end: at + 20, kind: Kind::AwsKey })
    }

    /// The card of the floor that begins with this digit.
    fn card(&self, at: usize) -> Option<Match> {
        let end = at + card_length(self.text[at..].chars())?;
        let card = Match { start: at, end, kind: Kind::Card };
        (!self.char_at(end).is_some_and(is_word) && self.is_card(card, self.text)).then_some(card)
    }

    /// Whether a card of the floor is one under this profile.
    fn is_card(&self, card: Match, text: &str) -> bool {
        !self.precise || rules::is_card(text, self.edge, card)
    }

    /// What became a match because one begins at `end`.
    fn match_before(&self, end: usize) -> Option<Match> {
        if end == self.edge {
            return None;
        }
        let text = &self.text[..end];
        let is_inside = self.char_before(end).is_some_and(is_word);
        let mut found = if is_inside { self.card_before(end) } else { None };
        let from = self.edge.max(end.saturating_sub(BACK_BYTES));
        let look = self.look(text);
        let mut candidates = Candidates::from(from);
        while let Some(at) = candidates.next(&self.rules.filter, text.as_bytes(), self.edge) {
            let new = match text.as_bytes()[at].is_ascii_digit() {
                true if may_be_number(text.as_bytes(), at) => ask_number(look, at, None),
                true => None,
                false => self.rules.ask(look, at, None),
            };
            found = first_of(found, new);
        }
        found
    }

    /// The card that ends where a match begins.
    fn card_before(&self, end: usize) -> Option<Match> {
        let start = end - card_length(self.text[self.edge..end].chars().rev())?;
        let card = Match { start, end, kind: Kind::Card };
        let bounded = !self.char_before(start).is_some_and(is_word);
        (bounded && self.is_card(card, &self.text[..end])).then_some(card)
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    fn char_before(&self, at: usize) -> Option<char> {
        self.text[self.edge..at].chars().next_back()
    }
}

impl Rules {
    /// The first of `found` and of what the rules find whose trigger stands at `at`.
    #[inline]
    fn ask(&self, look: Look<'_>, at: usize, mut found: Option<Match>) -> Option<Match> {
        let Some(place) = look.text[at..].first_chunk() else { return found };
        // The floor's triggers and that of numbers have no rule here: they are asked apart.
        for rule in self.filter.triggers(place).iter().filter_map(|number| self.asked.get(number)) {
            found = first_of(found, rule.ask(look, at));
        }
        found
    }
}

/// The first of `found` and of what the rules of numbers find of which one may begin at `at`.
#[inline]
fn ask_number(look: Look<'_>, at: usize, found: Option<Match>) -> Option<Match> {
    NUMBERS.iter().fold(found, |found, rule| first_of(found, rule(look, at)))
}

fn first_of(one: Option<Match>, other: Option<Match>) -> Option<Match> {
    match (one, other) {
        (Some(one), Some(other)) => Some(first(one, other)),
        (one, other) => one.or(other),
    }
}

/// The one that begins first; of those that begin together the longer, then the one that says more.
fn first(one: Match, other: Match) -> Match {
    let rank = |found: &Match| {
        let is_vague = matches!(
            found.kind,
            Kind::Authorization | Kind::Credential | Kind::Cookie | Kind::UrlParameter
        );
        (found.start, std::cmp::Reverse(found.end), is_vague)
    };
    if rank(&other) < rank(&one) { other } else { one }
}

impl Iterator for Matches<'_> {
    type Item = Match;

    #[inline]
    fn next(&mut self) -> Option<Match> {
        if self.known.is_empty() { self.next_found() } else { self.known.pop() }
    }
}

impl Matches<'_> {
    fn next_found(&mut self) -> Option<Match> {
        if let Some(found) = self.disguised.as_mut().and_then(|all| all.segment.pop()) {
            self.go_behind(found);
            return Some(found);
        }
        let found = self.find();
        let Some(found) = first_of(found, self.next_undisguised()) else {
            let is_cut = self.disguised.is_some() && self.edge > 0;
            let found =
                if is_cut { self.undisguised_before(self.text.len())? } else { return None };
            self.go_behind(found);
            return Some(found);
        };
        let mut leftmost = found;
        if found.kind != Kind::Email
            && let Some(email) = self.email_around(found.start)
        {
            leftmost = first(found, email);
        }
        while let Some(before) = self.match_before(leftmost.start) {
            self.cut.push(leftmost);
            leftmost = before;
        }
        if self.disguised.is_some()
            && let Some(before) = self.undisguised_before(leftmost.start)
        {
            leftmost = before;
        }
        self.go_behind(leftmost);
        while self.cut.pop_if(|next| next.start < leftmost.end).is_some() {}
        self.pending = match self.cut.pop() {
            None if found.end > self.edge => {
                Some(Match { start: found.start.max(self.edge), ..found })
            }
            next => next,
        };
        if leftmost.kind == Kind::AwsKey {
            let secret = rules::aws_secret(self.look(self.text), self.edge);
            self.pending = first_of(self.pending, secret);
        }
        Some(leftmost)
    }

    /// What follows a match is a text of its own.
    fn go_behind(&mut self, found: Match) {
        self.edge = found.end;
        self.candidates = Candidates::from(self.edge);
    }
}

/// Whether what looks like an e-mail is the name of a file for a screen of some density:
/// `icon@2x.png`.
fn is_file_name(email: &str) -> bool {
    let domain = email.rsplit('@').next().unwrap_or_default();
    let mut labels = domain.split('.');
    let density = labels.next().and_then(|label| label.strip_suffix('x'));
    density.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        && labels.next().is_some_and(|kind| {
            ["png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "heic", "pdf"].contains(&kind)
        })
        && labels.next().is_none()
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

/// The length of what stands behind the first part of a JSON web token, whose `eyJ` has so many bytes
/// behind it: the payload and a signature; a payload and an empty one (RFC 7519, section 6); or the
/// four other parts of an encrypted one (RFC 7516, section 3.1), of which the first may be empty.
fn token_behind(rest: &[u8], first: usize) -> Option<usize> {
    const HEADER_BYTES_MIN: usize = 12;
    const TAG_BYTES_MIN: usize = 16;
    if let Some(payload) = rest.strip_prefix(b".eyJ") {
        let second = run(payload, BASE64);
        if second > 0
            && let Some(signature) = payload[second..].strip_prefix(b".")
        {
            let third = run(signature, BASE64);
            let is_unsigned = first >= HEADER_BYTES_MIN && second >= HEADER_BYTES_MIN;
            return (third > 0 || is_unsigned).then_some(4 + second + 1 + third);
        }
    }
    let mut length = 0;
    for least in [0, TAG_BYTES_MIN, 1, TAG_BYTES_MIN] {
        let part = run(rest[length..].strip_prefix(b".")?, BASE64);
        length += (part >= least).then_some(1 + part)?;
    }
    (first >= HEADER_BYTES_MIN).then_some(length)
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
#[inline]
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
pub(super) fn step(count: usize) {
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

    fn all(text: &str) -> impl Iterator<Item = Match> {
        Matches::new(text, Rules::defaults(), false).into_iter().flatten()
    }

    fn found(text: &str) -> Vec<(&str, Kind)> {
        all(text).map(|found| (&text[found.start..found.end], found.kind)).collect()
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

    #[test]
    fn disguises_are_seen_through() {
        let cases: &[(&str, &[(&str, Kind)])] = &[
            ("an\u{200B}a@exam\u{200D}ple.org!", &[("an\u{200B}a@exam\u{200D}ple.org", Email)]),
            ("ａｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", &[("ａｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", Email)]),
            ("AK\u{2060}IA0123456789ABCDEF\u{200B}", &[("AK\u{2060}IA0123456789ABCDEF", AwsKey)]),
            ("ＡＫＩＡ0123456789ABCDEF.", &[("ＡＫＩＡ0123456789ABCDEF", AwsKey)]),
            ("5500\u{FEFF}0000 0000\u{200C}0004", &[("5500\u{FEFF}0000 0000\u{200C}0004", Card)]),
            (
                "kim.of.the.shop@post.exa\u{200B}mple",
                &[("kim.of.the.shop@post.exa\u{200B}mple", Email)],
            ),
            ("wo\u{200B}rds “quoted” — and ｆｕｌｌ", &[]),
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
            for found in all(&text) {
                assert!(edge <= found.start && found.start < found.end, "{text:?}");
                let is_one = naive(&text[found.start..found.end], found.kind);
                assert!(is_one || text.contains(confusables::is_disguise), "{found:?} in {text:?}");
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
    fn every_form_finds_the_same() {
        let forms = Rules::in_each_form();
        let mut rng = fastrand::Rng::with_seed(512);
        let whole = ["to ana@example.org", "an/a@example.org", "id=ana@example.org", "k@l.mn"];
        for n in 0..8_000 {
            let text = whole.get(n).map_or_else(|| random_text(&mut rng), |text| (*text).into());
            let found = |rules| -> Vec<_> {
                Matches::new(&text, rules, false).into_iter().flatten().collect()
            };
            for rules in &forms {
                assert_eq!(found(rules), found(Rules::defaults()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_name_may_have_many_separators() {
        for separator in ["-", "_", "."] {
            for text in ["api*key=a1b2c3d4e5f6", "sec*ret=a1b2c3d4e5f6", "to*ken=a1b2c3d4e5f6"] {
                let text = text.replace('*', &separator.repeat(45));
                assert_eq!(found(&text), [("a1b2c3d4e5f6", Kind::Credential)], "{text}");
            }
        }
    }

    #[test]
    fn a_short_text_without_what_tells_has_no_match() {
        let parts = [
            "eyJa",
            ".eyJb",
            ".c",
            "a",
            "@",
            "b.cd",
            "1234",
            "5",
            "-",
            " ",
            "536-90-4399",
            "pwd",
            "key",
            "=",
            ": ",
            ", ",
            "is ",
            "\"x",
            "'",
            "`hunter22",
            "sk-",
            "xoxb-",
            "cookie: ",
            "://u:",
            "p@h",
            "?sig=",
            "DE89",
            "é",
            "\u{200B}",
            "４",
            "AKIA",
            "password",
            "machine",
            "$2a$",
            "\\",
        ];
        let (rules, mut rng) = (Rules::defaults(), fastrand::Rng::with_seed(14));
        let mut matched = 0;
        for _ in 0..60_000 {
            let mut text = String::new();
            while text.len() < 6 || rng.u8(..) < 200 {
                text.push_str(parts[rng.usize(..parts.len())]);
            }
            let end = crate::floor_char_boundary(&text, rng.usize(6..=14));
            let text = &text[..end];
            let found = Matches::among(Candidates::from(0), text, rules, false).count();
            assert!(found == 0 || !rules.filter.is_plain(text.as_bytes()), "{text:?}");
            matched += usize::from(found > 0);
        }
        assert!(matched > 300, "{matched}");
    }

    #[test]
    fn the_work_is_linear() {
        let steps = |text: &str| {
            STEPS.set(0);
            all(text).count();
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
            "eyJaaaaaaaaaaaaaaaa.eyJaaaaaaaaaaaaaa",
            "password=",
            "password=\"",
            "secret='",
            "token: ",
            "_token",
            "apiKey\\",
            "sk-",
            "sk-proj-",
            "key-0123456789abcdef0123456789abcdef",
            "-----BEGIN ",
            "-----BEGIN PRIVATE KEY",
            "LS0tLS1CRUdJTi",
            "cookie: ",
            "Set-Cookie: a",
            "bearer ",
            "bearer aaaaaaaaaaaaaaaaaaaaaa",
            "authorization: ",
            "authorization,",
            "$2a$",
            "$argon2",
            "$ar",
            "://",
            "://a:",
            "?key=",
            "MTAaaa.",
            ":AA",
            "AZDO",
            "7Q~",
            "machine ",
            "machine login ",
            "hooks.slack.com",
            "00D",
            "DE89",
            "DE89 ",
            "536-90-",
            "\u{200B}",
            "a\u{200B}",
            "ｆ",
        ];
        for unit in units {
            let (once, twice) = (steps(&unit.repeat(2_000)), steps(&unit.repeat(4_000)));
            assert!(twice <= 2 * once + 2_000, "{unit:?}: {once} steps, then {twice}");
            assert!(once <= 200 * 2_000 * unit.len(), "{unit:?}: {once} steps");
        }
        // One long run of each class in front of what may or may not complete it.
        for (run, tail) in [
            ("a.", "@b"),
            ("eyJ", ".eyJ"),
            ("1", "é"),
            ("x@y.", "zz"),
            ("AKIA", "a"),
            ("536-90-4399-", "AKIA0123456789ABCDEF"),
        ] {
            let (once, twice) = (run.repeat(2_000) + tail, run.repeat(4_000) + tail);
            assert!(steps(&twice) <= 2 * steps(&once) + 2_000, "{run:?}");
        }
    }
}
