//! Finds the matches of the rules in a text.
//!
//! One forward pass that allocates nothing. Matches cut a text into segments. Each match will
//! become a placeholder, and no rule has its brackets in a class. So the edge of a segment is a
//! boundary, and nothing reaches across it. Therefore
//!
//! - after a match the rest is a text of its own;
//! - before a match, something may match that failed only because of the text after it. So each
//!   match is followed by a look back from its start. The look back is as long as the longest rule
//!   that minds what follows it.
//!
//! What is left between the matches matches no rule, even beside the placeholders.

mod email;
mod floor;
mod rule_set;

use std::ops::Range;

use floor::trailing_bytes_of_class;
use rule_set::first_number_match;
pub(super) use rule_set::{FLOOR, RuleSet};

use super::bytes::{DIGIT, WORD, has_byte_class, is_digit_char, is_word_char};
use super::confusables::{self, UndisguisedText};
use super::prefilter::{Candidates, PLACE, may_begin_number};
use super::rules::{self, RuleText};
use super::steps::count_steps;
use super::{Kind, Match};

/// The matches of a text, in order, without overlaps.
///
/// The leftmost match comes first. If several begin together, the longest one wins. The work is
/// linear in the length of the text, whatever the text contains.
#[derive(Debug)]
pub struct Matches<'t> {
    text: &'t str,
    rules: &'t RuleSet,
    precise: bool,
    /// The beginning of the segment, which is the end of the last match.
    edge: usize,
    candidates: Candidates,
    /// Found, but not returned yet, because an earlier one may still be found.
    pending: Option<Match>,
    /// Matches that exist only because the one after them begins, and that one. The first is last.
    cut: Vec<Match>,
    /// The inside of a payload, in which only the floor's rules count. The candidates are its own.
    payload: Range<usize>,
    /// The run of an e-mail's local part that was examined last: its end, and the e-mail's.
    local: (usize, Option<usize>),
    /// The places at which no token begins.
    no_jwt: Range<usize>,
    /// The matches of the undisguised text only. The first is last. `None` until a disguise is met.
    disguised: Option<Vec<Match>>,
    /// No match begins before this place, except near the edge.
    quiet: usize,
    /// All matches, if the search was for more than the rules. The first is last.
    known: Vec<Match>,
}

/// A match begins at most this many bytes before its trigger, except an e-mail.
const TRIGGER_OFFSET_MAX: usize = 80;
/// The filter reads at most this many bytes of a candidate.
const FILTER_BYTES_MAX: usize = 32;
/// The number of bytes before a match that are searched again. It is the longest match of a rule
/// that minds what follows it.
const BACK_BYTES: usize = 384;
const _: () = assert!(BACK_BYTES >= rules::PAYLOAD_BYTES_MIN, "a shorter run is searched again");

impl<'t> Matches<'t> {
    /// Returns the matches, or `None` if no match can begin anywhere, as in most texts.
    #[inline]
    pub(super) fn new(text: &'t str, rules: &'t RuleSet, precise: bool) -> Option<Self> {
        if rules.filter.is_plainly_clean(text.as_bytes()) {
            return None;
        }
        let candidates = Candidates::for_text(&rules.filter, text.as_bytes())?;
        Some(Self::with_candidates(candidates, text, rules, precise))
    }

    /// Returns whether no match can begin anywhere.
    #[inline]
    pub(super) fn are_none(text: &str, rules: &RuleSet) -> bool {
        rules.filter.is_plainly_clean(text.as_bytes())
            || Candidates::are_none(&rules.filter, text.as_bytes())
    }

    fn with_candidates(
        candidates: Candidates,
        text: &'t str,
        rules: &'t RuleSet,
        precise: bool,
    ) -> Self {
        Self {
            text,
            rules,
            precise,
            edge: 0,
            candidates,
            pending: None,
            cut: Vec::new(),
            payload: 0..0,
            local: (0, None),
            no_jwt: 0..0,
            disguised: None,
            quiet: 0,
            known: Vec::new(),
        }
    }

    /// Returns the matches of a text in which `known` were found, in any order. Overlapping ones
    /// become one. Text between them is a text of its own, as it is between matches of rules.
    /// `between` finds the matches in it.
    #[cold]
    pub(super) fn around_known(
        mut known: Vec<Match>,
        text: &'t str,
        rules: &'t RuleSet,
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
                // If a token is known, it is not counted as a long random string.
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
        let none = Candidates::starting_at(0);
        Self { known: found, ..Self::with_candidates(none, "", rules, false) }
    }

    fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    /// Returns the leftmost match of the segment.
    fn find_in_segment(&mut self) -> Option<Match> {
        while let Some(at) = self.next_candidate() {
            if at < self.quiet && at > self.edge + BACK_BYTES {
                self.leave_payload(self.quiet);
                continue;
            }
            if self.pending.is_some_and(|pending| at > pending.start + TRIGGER_OFFSET_MAX) {
                break;
            }
            if let Some(found) = self.match_at(at) {
                self.pending =
                    Some(self.pending.map_or(found, |pending| earlier_match(pending, found)));
            }
        }
        let first = self.pending.take();
        self.quiet = self.quiet.max(first.map_or(self.text.len(), |first| first.start));
        first
    }

    /// Returns the next place at which a match or its trigger may begin.
    #[inline]
    fn next_candidate(&mut self) -> Option<usize> {
        if !self.payload.is_empty() {
            // The first bytes of a candidate may be the last of the payload.
            let end = self.bytes().len().min(self.payload.end + PLACE - 1);
            let inside = &self.bytes()[..end];
            match self.candidates.next(&self.rules.floor, inside, self.edge) {
                Some(at) if at < self.payload.end => return Some(at),
                _ => self.leave_payload(self.payload.end),
            }
        }
        // Candidates far behind a match do not matter to it. Afterwards the search begins anew.
        let far = |found: Match| found.start + TRIGGER_OFFSET_MAX + FILTER_BYTES_MAX;
        let end = self.pending.map_or(usize::MAX, far).min(self.text.len());
        self.candidates.next(&self.rules.filter, &self.bytes()[..end], self.edge)
    }

    /// Goes on with all rules from this place on.
    fn leave_payload(&mut self, at: usize) {
        self.payload = 0..0;
        self.candidates = Candidates::starting_at(at);
    }

    /// Returns whether this candidate is inside a payload. If so, the next ones are those of the
    /// floor.
    #[inline]
    fn is_in_payload(&mut self, at: usize) -> bool {
        if self.payload.is_empty()
            && let Some(inside) = rules::base64_payload_around(self.rule_text(self.text), at)
        {
            self.payload = inside;
            self.candidates = Candidates::starting_at(at + 1);
        }
        self.payload.contains(&at)
    }

    /// Returns the first of the matches whose trigger is here.
    #[inline]
    fn match_at(&mut self, at: usize) -> Option<Match> {
        count_steps(1);
        let floor = match self.bytes()[at] {
            b'0'..=b'9' => self.number_at(at, self.text),
            b'@' => self.floor_email(at),
            0x80.. => {
                let is_sign = self.bytes().get(at + 1) == Some(&b'@');
                let email = if is_sign { self.floor_email(at + 1) } else { None };
                return earlier_match_if_any(self.non_ascii_card_at(at), email);
            }
            b'e' => self.floor_jwt(at),
            b'A' => self.floor_aws_key(at),
            0x1B => {
                self.undisguise();
                return None;
            }
            _ => None,
        };
        let next = self.bytes().get(at + 1);
        let email = if next == Some(&b'@') { self.floor_email(at + 1) } else { None };
        let found = earlier_match_if_any(floor, email);
        match self.is_in_payload(at) {
            true => found,
            false => self.rules.first_rule_match(self.rule_text(self.text), at, found),
        }
    }

    /// Returns the first of the matches that begin with this digit of the text, which may be cut off.
    /// None begins after a letter, a digit or an underscore.
    #[inline]
    fn number_at(&self, at: usize, text: &'t str) -> Option<Match> {
        if !may_begin_number(text.as_bytes(), at) {
            return None;
        }
        let before = self.bytes()[self.edge..at].last();
        if before.is_some_and(|&byte| has_byte_class(byte, WORD) || byte >= 0x80)
            && self.char_before(at).is_some_and(is_word_char)
        {
            return None;
        }
        first_number_match(self.rule_text(text), at, self.floor_card(at, text))
    }

    /// Returns the card that begins with this digit outside ASCII or with the ASCII digits before
    /// it. If there are more than three of those, they are a candidate of their own.
    #[cold]
    fn non_ascii_card_at(&mut self, at: usize) -> Option<Match> {
        let c = self.text.get(at..)?.chars().next()?;
        if confusables::is_disguise_char(c) {
            self.undisguise();
        }
        if !is_digit_char(c) {
            return None;
        }
        let before = &self.bytes()[self.edge.max(at.saturating_sub(3))..at];
        let start = at - trailing_bytes_of_class(before, DIGIT);
        (!self.char_before(start).is_some_and(is_word_char))
            .then(|| self.floor_card(start, self.text))?
    }

    /// Searches the text as it reads without its disguises.
    #[cold]
    fn undisguise(&mut self) {
        if self.disguised.is_none() {
            self.disguised = Some(self.undisguised_matches(0..self.text.len()));
        }
    }

    /// Returns the matches of a part of the text as it reads without its disguises. The first is
    /// last.
    fn undisguised_matches(&self, part: Range<usize>) -> Vec<Match> {
        let original = &self.text[part.clone()];
        let plain = UndisguisedText::from_original(original);
        count_steps(3 * original.len());
        let matches = Matches::new(&plain.text, self.rules, self.precise);
        let in_text = |found| {
            let Match { start, end, kind } = plain.match_in_original(found, original);
            Match { start: part.start + start, end: part.start + end, kind }
        };
        let mut found: Vec<_> = matches.into_iter().flatten().map(in_text).collect();
        found.reverse();
        found
    }

    /// Returns the first undisguised match in the segment up to `end`, which is the beginning of a
    /// match or the end of the text. The edges of the segment may have revealed it.
    #[cold]
    fn undisguised_before(&mut self, end: usize) -> Option<Match> {
        let found = self.undisguised_matches(self.edge..end);
        let first = found.last().copied();
        self.disguised.as_mut()?.extend(found);
        first
    }

    /// Returns the next undisguised match that ends after the edge, cut off at the edge.
    fn next_undisguised(&mut self) -> Option<Match> {
        let found = self.disguised.as_mut()?;
        while found.pop_if(|found| found.end <= self.edge).is_some() {}
        found.last().map(|found| Match { start: found.start.max(self.edge), ..*found })
    }

    fn rule_text(&self, text: &'t str) -> RuleText<'t> {
        RuleText { text: text.as_bytes(), edge: self.edge }
    }

    /// Returns a match that exists only because another one begins at `end`.
    fn match_before(&self, end: usize) -> Option<Match> {
        if end == self.edge {
            return None;
        }
        let text = &self.text[..end];
        let is_inside = self.char_before(end).is_some_and(is_word_char);
        let mut found = if is_inside { self.floor_card_before(end) } else { None };
        let from = self.edge.max(end.saturating_sub(BACK_BYTES));
        let look = self.rule_text(text);
        let mut candidates = Candidates::starting_at(from);
        while let Some(at) = candidates.next(&self.rules.filter, text.as_bytes(), self.edge) {
            // A UUID that is cut off does not except its digits.
            let is_digit = text.as_bytes()[at].is_ascii_digit();
            let number = if is_digit { self.number_at(at, text) } else { None };
            let new = match rules::base64_payload_around(look, at) {
                Some(_) => number,
                None => self.rules.first_rule_match(look, at, number),
            };
            found = earlier_match_if_any(found, new);
        }
        found
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    fn char_before(&self, at: usize) -> Option<char> {
        self.text[self.edge..at].chars().next_back()
    }
}

fn earlier_match_if_any(one: Option<Match>, other: Option<Match>) -> Option<Match> {
    match (one, other) {
        (Some(one), Some(other)) => Some(earlier_match(one, other)),
        (one, other) => one.or(other),
    }
}

/// Returns the match that begins first. If both begin together, the longer one wins, then the more
/// specific one. Before the host of a URL an e-mail address would take the host, too.
fn earlier_match(one: Match, other: Match) -> Match {
    let rank = |found: &Match| {
        let vagueness = match found.kind {
            Kind::Authorization | Kind::Credential | Kind::Cookie | Kind::UrlParameter => 2,
            Kind::ApiToken => 1,
            _ => 0,
        };
        let is_user = found.kind == Kind::UrlCredentials;
        (found.start, !is_user, std::cmp::Reverse(found.end), vagueness)
    };
    if rank(&other) < rank(&one) { other } else { one }
}

impl Iterator for Matches<'_> {
    type Item = Match;

    #[inline]
    fn next(&mut self) -> Option<Match> {
        if self.known.is_empty() { self.next_by_rules() } else { self.known.pop() }
    }
}

impl Matches<'_> {
    fn next_by_rules(&mut self) -> Option<Match> {
        let plain = self.find_in_segment();
        let mut first = earlier_match_if_any(plain, self.next_undisguised());
        if first.is_none() && self.disguised.is_some() && self.edge > 0 {
            first = self.undisguised_before(self.text.len());
        }
        let found = first?;
        let mut leftmost = found;
        if found.kind != Kind::Email
            && let Some(email) = self.floor_email_around(found.start)
        {
            leftmost = earlier_match(found, email);
        }
        loop {
            while let Some(before) = self.match_before(leftmost.start) {
                self.cut.push(leftmost);
                leftmost = before;
            }
            if self.disguised.is_none() {
                break;
            }
            let Some(before) = self.undisguised_before(leftmost.start) else { break };
            leftmost = before;
        }
        self.continue_after(leftmost);
        while self.cut.pop_if(|next| next.start < leftmost.end).is_some() {}
        let rest = plain.filter(|plain| plain.end > self.edge);
        let rest = rest.map(|rest| Match { start: rest.start.max(self.edge), ..rest });
        self.pending = self.cut.pop().or(rest);
        if leftmost.kind == Kind::AwsKey {
            let secret = rules::aws_secret_after_key(self.rule_text(self.text), self.edge);
            self.pending = earlier_match_if_any(self.pending, secret);
        }
        Some(leftmost)
    }

    /// Continues after a match, with the rest as a text of its own.
    fn continue_after(&mut self, found: Match) {
        self.edge = found.end;
        self.leave_payload(self.edge);
    }
}

#[cfg(test)]
mod tests;
