//! What came of a replay, compared with the recording.

use std::collections::{BTreeMap, BTreeSet};

use llm_audit_log::Trace;
use llm_audit_log::replay::{FixtureCall, FixtureFailure, ReplayFixture, StepKind, comparable_url};

use super::state::ReplayState;
use crate::context::{SpanPlaces, TraceContext};
use crate::urls::cut_urls;

/// The instance in the lines of every replay.
const INSTANCE: &str = "0000000000000000";
/// What is before the number of a line.
const SEQ: &str = "\"seq\":";

/// What came of a replay.
#[derive(Clone, Debug)]
#[must_use = "only `check` and `assert_fixed` say whether the error is still there"]
pub struct Replay<R> {
    output: Option<R>,
    lines: Vec<String>,
    mismatches: Vec<String>,
    cut_inputs: Vec<u32>,
    ran: Vec<u32>,
    has_gone_live: bool,
    recorded: ReplayFixture,
    replayed: Option<ReplayFixture>,
    answered: BTreeSet<u32>,
}

impl<R> Replay<R> {
    pub(super) fn new(
        output: Option<R>,
        lines: Vec<String>,
        recorded: &ReplayFixture,
        state: ReplayState,
    ) -> Self {
        let trace = Trace::from_lines(&recorded.trace_id, lines.iter().map(String::as_str));
        let replayed = ReplayFixture::from_trace(&trace).ok();
        let calls = replayed.iter().flat_map(|replayed| {
            replayed.calls.iter().map(|call| replayed.path_of_step(call.step))
        });
        let happened: BTreeSet<String> = calls.collect();
        let ran = state.ran(|call| happened.contains(&recorded.path_of_step(call.step)));
        Self {
            output,
            replayed,
            lines,
            ran: ran.into_iter().collect(),
            cut_inputs: state.cut_inputs(),
            has_gone_live: state.has_gone_live(),
            mismatches: state.mismatches,
            recorded: recorded.clone(),
            answered: state.answered,
        }
    }

    /// What the root returned. `None` if it panicked.
    pub fn output(&self) -> Option<&R> {
        self.output.as_ref()
    }

    /// The lines that the replay recorded, in the order of the tree. Those of one span are in the order in
    /// which they were emitted.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Calls that got no answer, because the recording does not know them or cannot tell which one they
    /// are. Each says how it differs from the closest recorded one.
    pub fn mismatches(&self) -> &[String] {
        &self.mismatches
    }

    /// The steps whose recorded input was cut, so that only what is left of it was compared.
    pub fn cut_inputs(&self) -> &[u32] {
        &self.cut_inputs
    }

    /// The recorded calls with nothing below them that ran for real, because nothing could answer them: their
    /// functions lack the option `replay`, or their events were emitted by hand.
    pub fn ran(&self) -> &[u32] {
        &self.ran
    }

    /// Whether the error of the recording came again, at the same step and with the same text.
    pub fn reproduces(&self) -> bool {
        let (Some(error), Some(replayed)) = (&self.recorded.error, &self.replayed) else {
            return false;
        };
        let wanted = place_of_failure(&self.recorded, error);
        replayed.failures.iter().any(|failure| place_of_failure(replayed, failure) == wanted)
    }

    /// Checks that the recorded error is gone, that no other came, and that the calls are the recorded
    /// ones.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong, the recorded error first.
    pub fn check(&self) -> Result<(), String> {
        if self.reproduces()
            && let Some(error) = &self.recorded.error
        {
            let hint = match self.is_answer(error.step) {
                true => " (the answer of a recorded call, which is the same in every replay)",
                false => "",
            };
            let why = format!("it fails as it was recorded: {error}{hint}");
            return Err([&[why], self.mismatches()].concat().join("\n"));
        }
        if !self.mismatches.is_empty() {
            return Err(self.mismatches.join("\n"));
        }
        let is_http = |step: &&u32| {
            !self.has_gone_live
                && self.recorded.call(**step).is_some_and(|call| call.kind == StepKind::Http)
        };
        if let Some(step) = self.ran.iter().find(is_http) {
            let place = self.recorded.path_of_step(*step);
            return Err(format!("step {step} was called outside of ClientLayer: {place}"));
        }
        let Some(replayed) = &self.replayed else {
            return Err("the replay recorded nothing: is the root under the recorder?".to_owned());
        };
        let roots = [&self.recorded.root, &replayed.root];
        let [wanted, found] = roots.map(|root| (root.kind, &root.agent, &root.name));
        if wanted != found {
            let [wanted, found] = [&self.recorded, replayed].map(|fixture| fixture.path_of_step(0));
            return Err(format!("the replay ran {found}, recorded {wanted}"));
        }
        let known: Vec<_> =
            self.recorded.failures.iter().map(|f| place_of_failure(&self.recorded, f)).collect();
        let is_new =
            |failure: &&FixtureFailure| !known.contains(&place_of_failure(replayed, failure));
        if let Some(failure) = replayed.failures.iter().find(is_new) {
            let place = replayed.path_of_step(failure.step);
            return Err(format!("it fails in another way: {failure} ({place})"));
        }
        if self.output.is_none() {
            return Err("the root panicked".to_owned());
        }
        self.check_calls(replayed)
    }

    /// Fails the test unless [`check`](Self::check) passes.
    ///
    /// # Panics
    ///
    /// Panics with what is wrong.
    #[track_caller]
    pub fn assert_fixed(&self) {
        if let Err(why) = self.check() {
            panic!("trace {}: {why}", self.recorded.trace_id);
        }
    }

    fn check_calls(&self, replayed: &ReplayFixture) -> Result<(), String> {
        if self.has_gone_live {
            return Ok(());
        }
        let mut counts = BTreeMap::<String, i64>::new();
        for call in &self.recorded.calls {
            if !self.recorded.is_inside(call.parent, &self.answered) {
                *counts.entry(self.recorded.path_of_step(call.step)).or_default() += 1;
            }
        }
        for call in &replayed.calls {
            *counts.entry(replayed.path_of_step(call.step)).or_default() -= 1;
        }
        let differences: Vec<_> = counts
            .into_iter()
            .filter_map(|(path, count)| match count {
                0 => None,
                1.. => Some(format!("not called any more: {path}")),
                _ => Some(format!("called in addition: {path}")),
            })
            .collect();
        match differences.is_empty() {
            true => Ok(()),
            false => Err(format!("the calls differ\n  {}", differences.join("\n  "))),
        }
    }

    /// Whether a step did not run.
    fn is_answer(&self, step: u32) -> bool {
        let is_http = |call: &FixtureCall| call.kind == StepKind::Http;
        self.answered.contains(&step) || self.recorded.call(step).is_some_and(is_http)
    }
}

/// Puts the lines of a replay in an order that does not depend on which task came first, with the same
/// instance and numbers each time.
pub(super) fn ordered_lines(
    lines: Vec<String>,
    instance: &str,
    places: &SpanPlaces,
) -> Vec<String> {
    let mut placed: Vec<_> =
        lines.into_iter().map(|line| (place_of_line(&line, places), line)).collect();
    placed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let renumbered = |(number, (_, line)): (u64, (_, String))| {
        // Instance and number are at the beginning of each line.
        let line = with_first_ids(&line.replacen(instance, INSTANCE, 1), places);
        match line.split_once(SEQ).and_then(|(head, rest)| Some((head, rest.split_once(',')?.1))) {
            Some((head, rest)) => format!("{head}{SEQ}{number},{rest}"),
            None => line,
        }
    };
    (1..).zip(placed).map(renumbered).collect()
}

/// Replaces the ids of spans by those that they have in the first replay of a process.
fn with_first_ids(line: &str, places: &SpanPlaces) -> String {
    let is_other = |c: char| !matches!(c, '0'..='9' | 'a'..='f');
    let replaced = |part: &str| {
        let digits = part.trim_end_matches(is_other);
        let span = TraceContext::parse_span_id(digits).ok().filter(|_| digits.len() == 16);
        match span.and_then(|span| places.first_id(span)) {
            Some(id) => format!("{id:016x}{}", &part[digits.len()..]),
            None => part.to_owned(),
        }
    };
    line.split_inclusive(is_other).map(replaced).collect()
}

fn place_of_line(line: &str, places: &SpanPlaces) -> Vec<u64> {
    let mut bytes = line.as_bytes().to_vec();
    let line = llm_audit_log::parse(&mut bytes).ok();
    let span = line.and_then(|line| TraceContext::parse_span_id(line.span_id()?).ok());
    span.map(|span| places.place(span)).unwrap_or_default()
}

/// What makes two failures of a recording and a replay the same one.
fn place_of_failure<'f>(
    fixture: &ReplayFixture,
    failure: &'f FixtureFailure,
) -> (String, [&'f str; 4], String) {
    let FixtureFailure { event_type, agent, action, error_type, message, .. } = failure;
    let place = fixture.path_of_step(failure.step);
    (place, [event_type, agent, action, error_type], without_positions(&without_url_paths(message)))
}

/// A message with its URLs cut after their host. The recorded error of a client lacks the path and the user name,
/// and the ports of stand-ins on this machine are drawn at random.
fn without_url_paths(message: &str) -> String {
    let shown = |host: &str| {
        let url = comparable_url(&format!("x://{host}"));
        url["x://".len()..].to_owned()
    };
    // An address of IPv6 and a placeholder end with a bracket of their own.
    cut_urls(message, |url| !url.contains('['), shown)
}

/// A message without positions in JSON, as in `at line 1 column 2`: JSON is answered on one line, with its members
/// in another order. Other numbers of lines are those of a user's text.
fn without_positions(message: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(message.len()), message);
    while let Some(at) = rest.find("line ") {
        let (before, found) = rest.split_at(at + "line ".len());
        out.push_str(before);
        rest = after_position(found).unwrap_or(found);
    }
    out + rest
}

/// What is after `1 column 2` or `1, column 2`.
fn after_position(text: &str) -> Option<&str> {
    let after = after_digits(text)?;
    after_digits(after.strip_prefix(',').unwrap_or(after).strip_prefix(" column ")?)
}

fn after_digits(text: &str) -> Option<&str> {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < text.len()).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_compared_by_their_hosts_and_only_positions_in_json_do_not_count() {
        let text = |message: &str| without_positions(&without_url_paths(message));
        for (one, other, are_same) in [
            ("at line 3 column 4", "at line 1 column 62", true),
            ("from line 3, column 4: no", "from line 1, column 62: no", true),
            ("order line 3 is out of stock", "order line 4 is out of stock", false),
            ("column 3 of 4", "column 4 of 4", false),
            ("GET http://a/x,status=500", "GET http://b/y,status=404", false),
            ("cannot open postgres://prod", "cannot open postgres://test", false),
            ("url (http://127.0.0.1:4711/plans): no", "url (http://127.0.0.1:4712): no", true),
            ("http://localhost:[REDACTED_x]/y", "http://localhost:4711", true),
            ("http://localhost:[REDACTED_x]: no", "http://localhost/y: no", true),
            ("http://[::1]:80/a)b?c, d", "http://[::1], d", true),
            ("see [http://127.0.0.1:80]", "see [http://127.0.0.1:81]", true),
            ("https://ana:[REDACTED]@a.example/x?y", "https://a.example", true),
            ("https://a.example:8443", "https://a.example:8444", false),
        ] {
            assert_eq!(text(one) == text(other), are_same, "{} {}", text(one), text(other));
        }
    }
}
