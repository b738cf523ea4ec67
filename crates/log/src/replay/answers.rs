//! Finds the recorded call that answers a call of a replay.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::fixture::{
    FixtureCall, ReplayFixture, StepKind, hash_input, is_past_f64, without_ignored,
};

/// What a text that was cut ends with.
const TRUNCATED: &str = "[TRUNCATED:";
/// The bytes of a value in a message.
const SHOWN_BYTES_MAX: usize = 120;

/// The calls of a fixture, of which each answers once.
#[derive(Clone, Debug)]
pub struct Answers {
    fixture: ReplayFixture,
    hashes: Vec<Option<String>>,
    taken: Vec<bool>,
    /// Steps whose recorded input was cut, so that they were found by what is left of it.
    cut: BTreeSet<u32>,
}

/// A call that a replay makes.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it is.
    pub kind: StepKind,
    /// Who makes it.
    pub agent: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its redacted inputs, if they are known.
    pub input: Option<&'a Value>,
    /// The step that it is below.
    pub above: u32,
    /// Whether nothing is between that step and the call. Otherwise the call may be below recorded steps that
    /// nobody asked for, such as those whose events were emitted by hand.
    pub is_right_below: bool,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The recording has no such call. The text says how the closest one differs.
    Unknown(String),
    /// Calls that are alike ran at the same time and ended differently.
    Ambiguous {
        /// The first of them.
        step: u32,
        /// Which ones they are.
        why: String,
    },
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "unknown call: {why}"),
            Self::Ambiguous { why, .. } => write!(f, "ambiguous call: {why}"),
        }
    }
}

impl Answers {
    /// Takes the calls of a fixture.
    pub fn new(fixture: ReplayFixture) -> Self {
        let hash = |call: &FixtureCall| Some(hash_input(call.input.as_ref()?, &fixture.ignored));
        let hashes = fixture.calls.iter().map(hash).collect();
        let taken = vec![false; fixture.calls.len()];
        Self { fixture, hashes, taken, cut: BTreeSet::new() }
    }

    /// The fixture.
    pub fn fixture(&self) -> &ReplayFixture {
        &self.fixture
    }

    /// The calls that were not taken.
    pub fn left(&self) -> impl Iterator<Item = &FixtureCall> {
        self.fixture
            .calls
            .iter()
            .zip(&self.taken)
            .filter(|(_, taken)| !**taken)
            .map(|(call, _)| call)
    }

    /// The steps that were found although their recorded input is cut.
    pub fn cut_inputs(&self) -> impl Iterator<Item = u32> {
        self.cut.iter().copied()
    }

    /// Finds the recorded call that answers this one, and takes it.
    ///
    /// A call with exactly this input comes before those whose input was cut or not recorded. Of calls that are
    /// alike, it is the one that began first and was not taken.
    ///
    /// # Errors
    ///
    /// There is no such call, or it cannot be told which one it is.
    pub fn take(&mut self, asked: &Asked<'_>) -> Result<&FixtureCall, NoAnswer> {
        let hash = asked.input.map(|input| hash_input(input, &self.fixture.ignored));
        let mut found: Vec<usize> = (0..self.fixture.calls.len())
            .filter(|at| self.is_candidate(*at, asked) && !self.taken[*at])
            .filter(|at| self.has_input(*at, asked, hash.as_deref()))
            .collect();
        if found.iter().any(|at| self.hashes[*at] == hash) {
            found.retain(|at| self.hashes[*at] == hash);
        }
        let calls = &self.fixture.calls;
        if found.iter().any(|at| calls[*at].parent == asked.above) {
            found.retain(|at| calls[*at].parent == asked.above);
        }
        found.sort_by_key(|at| (calls[*at].began_us, *at));
        let Some((&first, others)) = found.split_first() else {
            return Err(NoAnswer::Unknown(self.describe_difference(asked, hash.as_deref())));
        };
        // What is left of two inputs does not say which of them is meant.
        let is_exact = self.hashes[first] == hash;
        let is_alike = |other: &&usize| {
            let other = &calls[**other];
            match is_exact {
                true => is_ambiguous(&calls[first], other),
                false => !is_same_end(&calls[first], other),
            }
        };
        if let Some(other) = others.iter().find(is_alike) {
            let (path, step, other) = (self.path(first), calls[first].step, calls[*other].step);
            let why = match is_exact {
                true => "ran at the same time and ended differently",
                false => "have inputs that are cut or not recorded, and ended differently",
            };
            let why = format!("steps {step} and {other} are both {path}, {why}");
            return Err(NoAnswer::Ambiguous { step, why });
        }
        self.taken[first] = true;
        if self.hashes[first].is_some() && self.hashes[first] != hash {
            self.cut.insert(calls[first].step);
        }
        Ok(&self.fixture.calls[first])
    }

    /// Whether a call has the kind and the name, below the step or below what is not known of it.
    fn is_candidate(&self, at: usize, asked: &Asked<'_>) -> bool {
        let call = &self.fixture.calls[at];
        let is_named =
            call.kind == asked.kind && call.agent == asked.agent && call.name == asked.name;
        let is_below = match asked.is_right_below {
            true => call.parent == asked.above,
            false => self.is_below(call, asked.above),
        };
        is_named && is_below
    }

    /// Whether only steps are between that were not taken: what is below the others is asked for below them.
    fn is_below(&self, call: &FixtureCall, above: u32) -> bool {
        let mut parent = call.parent;
        // A parent has a smaller number than its child.
        while parent > above {
            let Some(call) = self.fixture.call(parent) else { return false };
            if self.taken[parent as usize - 1] {
                return false;
            }
            parent = call.parent;
        }
        parent == above
    }

    /// Whether a call was recorded with this input. An input that was not recorded is like any other.
    fn has_input(&self, at: usize, asked: &Asked<'_>, hash: Option<&str>) -> bool {
        let recorded = self.fixture.calls[at].input.as_ref();
        let Some(recorded) = recorded else { return true };
        let Some(input) = asked.input else { return false };
        let ignored = &self.fixture.ignored;
        self.hashes[at].as_deref() == hash
            || first_difference(
                &without_ignored(recorded, ignored),
                &without_ignored(input, ignored),
                "",
            )
            .is_none()
    }

    fn path(&self, at: usize) -> String {
        self.fixture.path_of_step(self.fixture.calls[at].step)
    }

    /// How a call that is not recorded differs from the closest one that is.
    fn describe_difference(&self, asked: &Asked<'_>, hash: Option<&str>) -> String {
        let Asked { kind, name, agent, .. } = *asked;
        let what = format!("{} {name} of {agent}", kind.name());
        let calls = 0..self.fixture.calls.len();
        let candidates: Vec<_> = calls.filter(|at| self.is_candidate(*at, asked)).collect();
        let alike = candidates.iter().filter(|at| self.has_input(**at, asked, hash)).count();
        if alike > 0 {
            return format!(
                "{what} was recorded {alike} times with this input, and is called again"
            );
        }
        let place = self.fixture.path_of_step(asked.above);
        let untaken = candidates.iter().find(|at| !self.taken[**at]);
        let Some(&closest) = untaken.or(candidates.first()) else {
            return format!("{what} is not recorded below {place}");
        };
        let call = &self.fixture.calls[closest];
        let difference = match (&call.input, asked.input) {
            (Some(recorded), Some(input)) => {
                let ignored = &self.fixture.ignored;
                let (recorded, input) =
                    (without_ignored(recorded, ignored), without_ignored(input, ignored));
                first_difference(&recorded, &input, "")
            }
            _ => Some("its arguments are not known".to_owned()),
        };
        let difference = difference.unwrap_or_default();
        format!("{what} below {place} has another input than step {}: {difference}", call.step)
    }
}

/// Whether nothing says which of two calls that are alike comes first, and it matters.
fn is_ambiguous(first: &FixtureCall, other: &FixtureCall) -> bool {
    let is_after = match (first.ended_us, other.began_us) {
        (Some(ended), Some(began)) => began >= ended,
        _ => false,
    };
    !is_same_end(first, other) && !is_after
}

fn is_same_end(first: &FixtureCall, other: &FixtureCall) -> bool {
    let [one, another] = [first, other]
        .map(|call| call.failure.as_ref().map(|failure| (&failure.error_type, &failure.message)));
    first.result == other.result && one == another
}

/// The first place at which a value differs from a recorded one, and how. A recorded text that was cut is
/// compared up to there.
fn first_difference(recorded: &Value, now: &Value, place: &str) -> Option<String> {
    let named = if place.is_empty() { "all of it" } else { place };
    match (recorded, now) {
        (Value::Object(recorded), Value::Object(now)) => {
            let below =
                |name: &str| format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
            let members = recorded.iter().find_map(|(name, value)| match now.get(name) {
                Some(other) => first_difference(value, other, &below(name)),
                None => Some(format!("{} is missing, recorded {}", below(name), shown(value))),
            });
            let is_new = |(name, _): &(&String, &Value)| !recorded.contains_key(*name);
            let added = || now.iter().find(is_new);
            members.or_else(|| {
                added().map(|(name, value)| format!("{} is new: {}", below(name), shown(value)))
            })
        }
        (Value::Array(recorded), Value::Array(now)) if recorded.len() == now.len() => {
            (0..).zip(recorded.iter().zip(now)).find_map(|(at, (value, other))| {
                first_difference(value, other, &format!("{place}/{at}"))
            })
        }
        (Value::String(text), Value::String(other)) if is_cut_of(text, other) => None,
        // 1 and 1.0 are the same number.
        (Value::Number(a), Value::Number(b))
            if !is_past_f64(a) && !is_past_f64(b) && a.as_f64() == b.as_f64() =>
        {
            None
        }
        _ if recorded == now => None,
        _ => Some(format!("{named} is {}, recorded {}", shown(now), shown(recorded))),
    }
}

/// Whether the recorded text was cut, and the other one begins with what is left.
fn is_cut_of(recorded: &str, other: &str) -> bool {
    let is_end = |rest: &str| rest.ends_with(']');
    recorded
        .rsplit_once(TRUNCATED)
        .is_some_and(|(left, end)| is_end(end) && other.starts_with(left))
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().find(|(at, _)| *at >= SHOWN_BYTES_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A fixture of HTTP calls below the root: input, begin, end, result.
    fn answers(calls: &[(Value, i64, i64, &str)]) -> Answers {
        let calls: Vec<_> = (1..)
            .zip(calls)
            .map(|(step, (input, began, ended, result))| {
                json!({"step": step, "parent": 0, "kind": "http", "agent": "a", "name": "GET x",
                    "occurrence": 1, "input": input, "began_us": began, "ended_us": ended,
                    "result": result})
            })
            .collect();
        let fixture = json!({"fixture_version": 1, "trace_id": "0af7651916cd43dd8448eb211c80319c", "calls": calls,
            "ignored": ["/id"], "root": {"kind": "request", "agent": "a", "name": "POST /"}});
        Answers::new(ReplayFixture::from_json(&fixture.to_string()).unwrap())
    }

    fn take(answers: &mut Answers, input: Value) -> Result<Value, NoAnswer> {
        let asked = Asked {
            kind: StepKind::Http,
            agent: "a",
            name: "GET x",
            input: Some(&input),
            above: 0,
            is_right_below: true,
        };
        answers.take(&asked).map(|call| call.result.clone().unwrap())
    }

    #[test]
    fn calls_that_are_alike_answer_in_the_order_in_which_they_began() {
        let input = || json!({"q": 1, "id": 7});
        let calls = [
            (input(), 20, 30, "second"),
            (input(), 0, 10, "first"),
            (json!({"q": 2}), 0, 9, "other"),
        ];
        let mut answers = answers(&calls);
        assert_eq!(take(&mut answers, json!({"id": 8, "q": 1.0})).unwrap(), "first");
        assert_eq!(take(&mut answers, json!({"q": 2})).unwrap(), "other");
        assert_eq!(take(&mut answers, input()).unwrap(), "second");
        let again = take(&mut answers, input()).unwrap_err().to_string();
        assert!(again.contains("recorded 2 times with this input, and is called again"), "{again}");
    }

    #[test]
    fn an_unknown_input_is_answered_by_its_difference() {
        let mut answers = answers(&[(json!({"q": {"a/b": [1, "x"]}}), 0, 1, "one")]);
        for (input, difference) in [
            (json!({"q": {"a/b": [1, "y"]}}), r#"/q/a~1b/1 is "y", recorded "x""#),
            (json!({"q": {"a/b": [1]}}), r#"/q/a~1b is [1], recorded [1,"x"]"#),
            (json!({"q": {}}), r#"/q/a~1b is missing, recorded [1,"x"]"#),
            (json!({"q": {"a/b": [1, "x"]}, "r": null}), "/r is new: null"),
            (json!(7), "all of it is 7, recorded {"),
        ] {
            let unknown = take(&mut answers, input).unwrap_err().to_string();
            assert!(unknown.contains("another input than step 1: "), "{unknown}");
            assert!(unknown.contains(difference), "{unknown}");
        }
        let asked = Asked {
            kind: StepKind::Tool,
            agent: "a",
            name: "GET x",
            input: None,
            above: 0,
            is_right_below: true,
        };
        let unknown = answers.take(&asked).unwrap_err().to_string();
        assert!(
            unknown.contains("tool GET x of a is not recorded below request POST /"),
            "{unknown}"
        );
        assert_eq!(take(&mut answers, json!({"q": {"a/b": [1, "x"]}})).unwrap(), "one");
    }

    #[test]
    fn equal_calls_at_the_same_time_are_ambiguous_only_if_they_ended_differently() {
        let at = |began, ended, result| (json!({"q": "[REDACTED_email]"}), began, ended, result);
        let ambiguous =
            take(&mut answers(&[at(0, 9, "1"), at(5, 12, "2")]), json!({"q": "[REDACTED_email]"}));
        let text = ambiguous.unwrap_err().to_string();
        assert!(
            text.starts_with("ambiguous call: steps 1 and 2 are both request POST / > "),
            "{text}"
        );
        for calls in [[at(0, 9, "1"), at(5, 12, "1")], [at(0, 5, "1"), at(5, 12, "2")]] {
            assert_eq!(take(&mut answers(&calls), json!({"q": "[REDACTED_email]"})).unwrap(), "1");
        }
    }

    #[test]
    fn an_exact_input_comes_before_one_that_is_cut() {
        let calls = [
            (json!({"q": "[TRUNCATED:90]"}), 0, 1, "cut"),
            (json!({"q": "x"}), 5, 6, "exact"),
            (json!({"q": "y[TRUNCATED:9]"}), 7, 8, "other"),
        ];
        let mut answers = answers(&calls);
        assert_eq!(take(&mut answers, json!({"q": "x"})).unwrap(), "exact");
        let ambiguous = take(&mut answers, json!({"q": "yes"})).unwrap_err().to_string();
        assert!(
            ambiguous.contains("are cut or not recorded, and ended differently"),
            "{ambiguous}"
        );
    }

    #[test]
    fn an_input_that_is_not_known_is_not_like_a_recorded_one() {
        let mut answers = answers(&[(json!({"q": 1}), 0, 1, "one")]);
        let (agent, name, above) = ("a", "GET x", 0);
        let kind = StepKind::Http;
        let asked = Asked { kind, agent, name, input: None, above, is_right_below: true };
        let unknown = answers.take(&asked).unwrap_err().to_string();
        assert!(unknown.ends_with("its arguments are not known"), "{unknown}");
    }

    #[test]
    fn integers_past_the_floats_are_compared_exactly() {
        let id = |id: u64| json!({"n": id});
        let calls = [
            (id(9_007_199_254_740_992), 0, 1, "even"),
            (id(9_007_199_254_740_993), 2, 3, "odd"),
            (json!({"n": "[TRUNCATED:1]"}), 4, 5, "cut"),
        ];
        let mut answers = answers(&calls);
        assert_eq!(take(&mut answers, id(9_007_199_254_740_993)).unwrap(), "odd");
        let unknown = take(&mut answers, id(9_007_199_254_740_994)).unwrap_err().to_string();
        assert!(unknown.contains("recorded 9007199254740992"), "{unknown}");
        assert_eq!(take(&mut answers, id(9_007_199_254_740_992)).unwrap(), "even");
    }

    #[test]
    fn a_call_does_not_take_the_answer_of_one_deep_inside_of_another_step() {
        let call = |step: u32, parent: u32, kind: &str, result: &str| {
            json!({"step": step, "parent": parent, "kind": kind, "agent": "a", "name": "GET x",
                "occurrence": 1, "input": {}, "result": result})
        };
        let calls = [call(1, 0, "tool", "tool"), call(2, 1, "http", "deep")];
        let fixture = json!({"fixture_version": 1, "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "calls": calls, "root": {"kind": "request", "agent": "a", "name": "POST /"}});
        let fixture = ReplayFixture::from_json(&fixture.to_string()).unwrap();
        let (input, agent, name) = (json!({}), "a", "GET x");
        let asked = |kind, above, is_right_below| Asked {
            kind,
            agent,
            name,
            input: Some(&input),
            above,
            is_right_below,
        };
        let mut answers = Answers::new(fixture);
        assert!(answers.take(&asked(StepKind::Http, 0, true)).is_err());
        let mut by_hand = answers.clone();
        by_hand.take(&asked(StepKind::Http, 0, false)).expect("nobody asks for the tool");
        answers.take(&asked(StepKind::Tool, 0, true)).expect("it is recorded");
        assert!(answers.take(&asked(StepKind::Http, 0, false)).is_err());
        answers.take(&asked(StepKind::Http, 1, true)).expect("it is recorded there");
    }

    #[test]
    fn a_cut_input_is_found_by_what_is_left_of_it() {
        let mut answers = answers(&[(json!({"q": "begins[TRUNCATED:90]"}), 0, 1, "one")]);
        assert!(take(&mut answers, json!({"q": "other"})).is_err());
        assert_eq!(take(&mut answers, json!({"q": "begins and goes on"})).unwrap(), "one");
        assert_eq!(answers.cut_inputs().collect::<Vec<_>>(), [1]);
    }
}
