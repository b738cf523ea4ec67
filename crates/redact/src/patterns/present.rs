//! Patterns of the caller's own, all in one automaton.
//!
//! A lazy DFA of all patterns reads the text once and says which of them match. Most texts match
//! none. Only the patterns that match run alone, and find the places of their matches. So a pattern
//! finds the same as it would without the others.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::{Input, MatchKind, PatternSet, meta};

use crate::{Kind, Match};

/// The limit of the compiled patterns, and of what each thread keeps of the lazy DFA.
const AUTOMATON_BYTES_MAX: usize = 10 << 20;

/// The patterns of the caller's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct CustomPatterns {
    /// Each pattern and its matcher.
    alone: Vec<(String, meta::Regex)>,
    /// `None` if there are less than two patterns.
    united: Option<Arc<UnitedPatterns>>,
}

impl PartialEq for CustomPatterns {
    fn eq(&self, other: &Self) -> bool {
        self.sources().eq(other.sources())
    }
}

impl CustomPatterns {
    /// Adds a pattern. Returns why it is not accepted.
    pub(crate) fn add(&mut self, pattern: &str) -> Result<(), String> {
        let regex = meta::Regex::new(pattern).map_err(|error| {
            let cause = error.syntax_error().map_or(error.to_string(), ToString::to_string);
            format!("the pattern {pattern:?} does not compile: {cause}")
        })?;
        if pattern_matches_empty(pattern) {
            return Err(format!("the pattern {pattern:?} matches an empty text"));
        }
        self.alone.push((pattern.to_owned(), regex));
        Ok(())
    }

    /// Makes one automaton of the patterns. Returns why that is not possible.
    pub(crate) fn unite(&mut self) -> Result<(), String> {
        if self.alone.len() > 1 {
            let patterns: Vec<_> = self.sources().collect();
            self.united = Some(Arc::new(UnitedPatterns::new(&patterns, AUTOMATON_BYTES_MAX)?));
        }
        Ok(())
    }

    /// Adds the matches of all patterns, in any order. Matches of different patterns may overlap.
    pub(crate) fn find_custom_matches(&self, text: &str, found: &mut Vec<Match>) {
        let matching = self.united.as_ref().and_then(|united| united.matching_patterns(text));
        let may_match = |number: usize| {
            matching.as_ref().is_none_or(|set| {
                regex_automata::PatternID::new(number).is_ok_and(|pattern| set.contains(pattern))
            })
        };
        for (number, (_, regex)) in self.alone.iter().enumerate() {
            if may_match(number) {
                found.extend(regex.find_iter(text).map(|found| Match {
                    start: found.start(),
                    end: found.end(),
                    kind: Kind::Custom,
                }));
            }
        }
    }

    /// Returns the patterns as they were given.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.alone.iter().map(|(source, _)| source.as_str())
    }

    /// Returns the first pattern that matches in this text.
    pub(crate) fn pattern_of(&self, matched: &str) -> Option<&str> {
        let (source, _) = self.alone.iter().find(|(_, regex)| regex.is_match(matched))?;
        Some(source)
    }
}

type MakeCache = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// The automaton of all patterns.
struct UnitedPatterns {
    dfa: Arc<DFA>,
    /// The states that were built so far, for each thread that searches.
    caches: Pool<Cache, MakeCache>,
}

impl fmt::Debug for UnitedPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnitedPatterns").finish_non_exhaustive()
    }
}

impl UnitedPatterns {
    fn new(patterns: &[&str], bytes_max: usize) -> Result<Self, String> {
        // If too few states fit, the search stops, and each pattern runs alone. Outside ASCII the
        // DFA does not know where a word ends. It stops there if a pattern asks for that.
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .unicode_word_boundary(true)
            .cache_capacity(bytes_max)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let compiled = thompson::Config::new()
            .which_captures(thompson::WhichCaptures::None)
            .nfa_size_limit(Some(bytes_max));
        let dfa = DFA::builder().configure(config).thompson(compiled).build_many(patterns);
        let dfa = Arc::new(dfa.map_err(|error| {
            let (count, most) = (patterns.len(), bytes_max >> 10);
            format!("the {count} patterns do not fit into one automaton of {most} KiB: {error}")
        })?);
        let of = Arc::clone(&dfa);
        let make: MakeCache = Box::new(move || of.create_cache());
        Ok(Self { dfa, caches: Pool::new(make) })
    }

    /// Returns the patterns that match anywhere in the text, or `None` if any may.
    fn matching_patterns(&self, text: &str) -> Option<PatternSet> {
        let mut matching = PatternSet::new(self.dfa.pattern_len());
        let mut cache = self.caches.get();
        let input = Input::new(text);
        self.dfa.try_which_overlapping_matches(&mut cache, &input, &mut matching).ok()?;
        Some(matching)
    }
}

/// Returns whether the pattern matches an empty text, and so matches everywhere.
fn pattern_matches_empty(pattern: &str) -> bool {
    let syntax = regex_syntax::ParserBuilder::new().build().parse(pattern);
    // If the pattern compiles and this parser rejects it, the difference is in flags. Such a pattern
    // is refused, because it was not checked.
    syntax.map_or(true, |syntax| syntax.properties().minimum_len().is_none_or(|least| least == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom_patterns(patterns: &[&str]) -> CustomPatterns {
        let mut custom = CustomPatterns::default();
        patterns.iter().for_each(|pattern| custom.add(pattern).expect("it compiles"));
        custom.unite().expect("they fit");
        custom
    }

    #[test]
    fn each_pattern_finds_what_it_finds_alone() {
        let patterns = [
            "M-[0-9]{3}",
            "M-[0-9]{6}",
            "[0-9]{2}-x",
            "a.*?z",
            r"\bende\b",
            "(?i)straße",
            "^#",
            "q$",
            r"\p{Greek}{2}",
        ];
        let all = custom_patterns(&patterns);
        let pieces = [
            "M-123",
            "456",
            "12-x",
            "a",
            "z",
            "ende",
            " ",
            "é",
            "STRASSE",
            "Straße",
            "#",
            "q",
            "λόγος",
            "\n",
            "-x",
            "M-",
        ];
        let regexes = patterns.map(|pattern| regex::Regex::new(pattern).expect("it compiles"));
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..2_000 {
            let text: String =
                (0..rng.usize(..9)).map(|_| pieces[rng.usize(..pieces.len())]).collect();
            let mut found = Vec::new();
            all.find_custom_matches(&text, &mut found);
            let alone =
                regexes.iter().flat_map(|regex| regex.find_iter(&text).map(|found| found.range()));
            let found: Vec<_> = found.iter().map(|found| found.start..found.end).collect();
            assert_eq!(found, alone.collect::<Vec<_>>(), "{text:?}");
        }
    }

    #[test]
    fn a_text_without_a_match_is_read_once() {
        let patterns: Vec<_> = (0..100).map(|number| format!("key{number}=[a-z]+")).collect();
        let all = custom_patterns(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
        let united = all.united.as_ref().expect("there are several");
        let text = "nothing of this is a key, key100 neither ".repeat(100);
        assert!(united.matching_patterns(&text).expect("the states fit").is_empty());
        let text = text + "key17=abc key8=x";
        let matching = united.matching_patterns(&text).expect("the states fit");
        assert_eq!(matching.iter().map(|number| number.as_usize()).collect::<Vec<_>>(), [8, 17]);
    }

    #[test]
    fn patterns_that_do_not_fit_are_refused() {
        let patterns = [r"M-\w{8}", r"N-\w{8}"];
        assert!(UnitedPatterns::new(&patterns, AUTOMATON_BYTES_MAX).is_ok());
        let refused = UnitedPatterns::new(&patterns, 64 << 10).expect_err("it is too small");
        let expected = "the 2 patterns do not fit into one automaton of 64 KiB: ";
        assert!(refused.starts_with(expected), "{refused}");
        let mut custom = CustomPatterns::default();
        assert!(custom.add("(").expect_err("no group").contains("does not compile: "));
    }
}
