//! The replay that is under way: what its calls are answered.

use std::collections::{BTreeSet, HashMap};
use std::task::Waker;

use llm_audit_log::replay::{Answers, Asked, FixtureCall, NoAnswer, RecordedError, StepKind};
use llm_audit_process::lock::Mutex;
use serde_json::Value;

use crate::context::{self, TraceContext};

/// The type of the error that a call gets if nothing was recorded for it.
pub(super) const NOT_RECORDED: &str = "llm_audit::replay::NotRecorded";
/// So many pauses may pass without a call. As pauses of a millisecond they are longer than the time-outs of calls.
const PAUSES_MAX: u32 = 1_000_000;

static UNDER_WAY: Mutex<Option<ReplayState>> = Mutex::new(None);

pub(super) struct ReplayState {
    answers: Answers,
    /// The steps of the spans that were found in the fixture.
    steps: HashMap<u64, u32>,
    has_root: bool,
    /// Recorded calls that ran for real, because their functions do not have the option `replay`.
    ran: BTreeSet<u32>,
    /// The steps whose functions did not run, because their results are recorded.
    pub(super) answered: BTreeSet<u32>,
    /// The step from which on all calls are made.
    live_from: Option<u32>,
    is_live: bool,
    /// What the recording did not foresee.
    pub(super) mismatches: Vec<String>,
    /// How many calls never returned when the caller of the root gave up. `None` if it did not.
    hangs: Option<usize>,
    /// Whether a root that was given up may come further than the recorded one.
    goes_on: bool,
    /// How many calls wait for an answer that never comes.
    waiting: usize,
    /// How many pauses have passed since the last call.
    pauses: u32,
    /// Who wants to know that.
    waker: Option<Waker>,
}

/// What a call gets in a replay.
#[derive(Debug)]
#[allow(dead_code, reason = "the layers are optional")]
pub(crate) enum ReplayAnswer {
    /// It runs: there is no replay, or nothing is recorded that could take its place.
    Runs,
    /// What this call got when it was recorded.
    Recorded(Box<FixtureCall>),
    /// An answer that never comes: it is made after the caller of the root gave up.
    Never,
    /// Nothing, because the recording does not know it.
    Refused(Box<RecordedError>),
}

impl ReplayState {
    pub(super) fn new(
        answers: Answers,
        base: &TraceContext,
        hangs: Option<usize>,
        live_from: Option<u32>,
    ) -> Self {
        Self {
            answers,
            live_from,
            is_live: false,
            steps: HashMap::from([(base.span_id(), 0)]),
            has_root: false,
            ran: BTreeSet::new(),
            answered: BTreeSet::new(),
            mismatches: Vec::new(),
            hangs,
            goes_on: false,
            waiting: 0,
            pauses: 0,
            waker: None,
        }
    }

    pub(super) fn cut_inputs(&self) -> Vec<u32> {
        self.answers.cut_inputs().collect()
    }

    /// Whether the calls of the root were made from a step on.
    pub(super) fn has_gone_live(&self) -> bool {
        self.is_live
    }

    fn ask(
        &mut self,
        context: &TraceContext,
        asked: Asked<'_>,
        is_answerable: bool,
    ) -> ReplayAnswer {
        self.pauses = 0;
        let (above, is_right_below) = self.step_above(context);
        let root = &self.answers.fixture().root;
        let is_root = asked.kind != StepKind::Http
            && (root.kind, &*root.agent, &*root.name) == (asked.kind, asked.agent, asked.name);
        if is_root && above == 0 && !std::mem::replace(&mut self.has_root, true) {
            self.steps.insert(context.span_id(), 0);
            return ReplayAnswer::Runs;
        }
        match self.answers.take(&Asked { above, is_right_below, ..asked }).cloned() {
            Ok(call) => {
                self.steps.insert(context.span_id(), call.step);
                if self.is_made(call.step) {
                    return self.go_live();
                }
                let calls = &self.answers.fixture().calls;
                let has_calls = calls.iter().any(|other| other.parent == call.step);
                let has_end = call.result.is_some() || call.failure.is_some();
                if !is_answerable && !has_calls {
                    self.ran.insert(call.step);
                }
                let steps = BTreeSet::from([call.step]);
                let leads_to_live = self
                    .live_from
                    .is_some_and(|live| self.answers.fixture().is_inside(live, &steps));
                // An HTTP call never runs.
                if !is_answerable
                    || leads_to_live
                    || call.kind != StepKind::Http && has_calls && !has_end
                {
                    return ReplayAnswer::Runs;
                }
                self.answered.insert(call.step);
                ReplayAnswer::Recorded(Box::new(call))
            }
            // The function runs anyway, and the calls in it are asked for in their turn.
            Err(_) if !is_answerable => ReplayAnswer::Runs,
            Err(NoAnswer::Ambiguous { step, .. }) if self.is_made(step) => self.go_live(),
            // What was answered live may lead to calls that nobody recorded.
            Err(NoAnswer::Unknown(_)) if self.is_live => ReplayAnswer::Runs,
            Err(why) => {
                let is_after_all = self.hangs.is_some() && self.has_asked_all();
                if is_after_all && self.goes_on {
                    return ReplayAnswer::Never;
                }
                self.mismatches.push(why.to_string());
                match is_after_all {
                    true => ReplayAnswer::Never,
                    false => ReplayAnswer::Refused(Box::new(not_recorded(why.to_string()))),
                }
            }
        }
    }

    /// Whether a recorded call is made, by its step. A replay may ask in another order than the recorded one,
    /// because its answers come at once.
    fn is_made(&self, step: u32) -> bool {
        self.live_from.is_some_and(|live| step >= live)
    }

    fn go_live(&mut self) -> ReplayAnswer {
        // The caller of the root may wait as long as it likes.
        (self.is_live, self.hangs) = (true, None);
        ReplayAnswer::Runs
    }

    /// The step that a span is below, and whether no other span of the recording can be between them.
    fn step_above(&self, context: &TraceContext) -> (u32, bool) {
        let ancestors = context.replayed_ancestors();
        let known = |(at, span): (usize, &u64)| Some((at, *self.steps.get(span)?));
        let Some((between, above)) = ancestors.iter().enumerate().find_map(known) else {
            return (0, false);
        };
        // Nobody asks about a request at the root; its span is the one below the base.
        let is_request = self.answers.fixture().root.kind == StepKind::Request;
        let is_of_root = is_request && between == 1 && ancestors.len() == 2;
        (above, between == 0 || is_of_root)
    }

    /// The recorded calls that ran for real: their functions lack the option `replay`, or nobody asked about
    /// them and `happened` says that they were recorded again.
    pub(super) fn ran(&self, happened: impl Fn(&FixtureCall) -> bool) -> BTreeSet<u32> {
        let fixture = self.answers.fixture();
        let is_above = |call: &FixtureCall| fixture.calls.iter().any(|c| c.parent == call.step);
        let unasked = self.answers.left().filter(|call| {
            !fixture.is_inside(call.parent, &self.answered) && !is_above(call) && happened(call)
        });
        unasked.map(|call| call.step).chain(self.ran.iter().copied()).collect()
    }

    /// Whether all recorded HTTP calls were made that are not inside of an answered function.
    fn has_asked_all(&self) -> bool {
        self.unasked().next().is_none()
    }

    fn unasked(&self) -> impl Iterator<Item = &FixtureCall> {
        let fixture = self.answers.fixture();
        let is_inside = |call: &FixtureCall| fixture.is_inside(call.parent, &self.answered);
        let left = self.answers.left().filter(|call| call.kind == StepKind::Http);
        left.filter(move |call| !is_inside(call))
    }
}

pub(crate) fn not_recorded(message: String) -> RecordedError {
    let mut error = RecordedError::default();
    error.error_type = NOT_RECORDED.to_owned();
    error.message = message;
    error
}

pub(super) fn begin(state: ReplayState) {
    *UNDER_WAY.lock() = Some(state);
}

pub(super) fn end() -> Option<ReplayState> {
    UNDER_WAY.lock().take()
}

/// Asks what a call gets, which has begun in `context`.
///
/// While a replay runs, a call that is not of its trace is refused, whoever makes it: it must not reach a live
/// service. So is a call of a replay that is over.
#[allow(dead_code, reason = "the layers are optional")]
pub(crate) fn ask(context: &TraceContext, asked: Asked<'_>, is_answerable: bool) -> ReplayAnswer {
    if !context::has_replayed() {
        return ReplayAnswer::Runs;
    }
    let mut under_way = UNDER_WAY.lock();
    if let Some(state) = under_way.as_mut().filter(|_| context.is_replayed()) {
        return state.ask(context, asked, is_answerable);
    }
    let (kind, name) = (asked.kind.name(), asked.name);
    if !is_answerable {
        return ReplayAnswer::Runs;
    }
    if context.is_of_ended_replay() {
        let why = format!("{kind} {name} is called after the end of its replay");
        return ReplayAnswer::Refused(Box::new(not_recorded(why)));
    }
    if !context::is_replaying() {
        return ReplayAnswer::Runs;
    }
    let why = format!("{kind} {name} is called outside of the trace: its task needs in_span");
    if let Some(state) = under_way.as_mut() {
        state.mismatches.push(why.clone());
    }
    ReplayAnswer::Refused(Box::new(not_recorded(why)))
}

/// Notes something that the recording did not foresee.
#[allow(dead_code, reason = "the layers are optional")]
pub(crate) fn note_mismatch(what: String) {
    if let Some(state) = UNDER_WAY.lock().as_mut() {
        state.mismatches.push(what);
    }
}

/// Notes that a call waits for an answer that never comes.
#[allow(dead_code, reason = "the layers are optional")]
pub(crate) fn note_waiting() {
    let waker = UNDER_WAY.lock().as_mut().and_then(|state| {
        state.waiting += 1;
        state.waker.take()
    });
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Returns whether the replay that is under way makes calls from a step on.
#[allow(dead_code, reason = "the layers are optional")]
pub(crate) fn may_go_live() -> bool {
    UNDER_WAY.lock().as_ref().is_some_and(|state| state.live_from.is_some())
}

/// Lets the root come further than the recorded one, if its caller gave up. Returns whether it did.
pub(super) fn lets_root_go_on() -> bool {
    let mut under_way = UNDER_WAY.lock();
    let given_up = under_way.as_mut().filter(|state| state.hangs.is_some());
    given_up.map(|state| state.goes_on = true).is_some()
}

/// Returns whether this is where the caller of the root gave up: all calls were made, and those wait that
/// waited then. If not, wakes this task when one more waits.
pub(super) fn gives_up_here(waker: &Waker) -> bool {
    let mut under_way = UNDER_WAY.lock();
    let Some(state) = under_way.as_mut() else { return false };
    state.waker = Some(waker.clone());
    state.hangs.is_some_and(|hangs| state.waiting >= hangs) && state.has_asked_all()
}

/// Counts a pause. Returns whether so many passed that a given-up root never comes to where its caller gave up, and
/// notes that.
pub(super) fn pauses_in_vain() -> bool {
    let mut under_way = UNDER_WAY.lock();
    let Some(state) = under_way.as_mut().filter(|state| state.hangs.is_some()) else {
        return false;
    };
    state.pauses += 1;
    if state.pauses < PAUSES_MAX {
        return false;
    }
    let fixture = state.answers.fixture();
    let steps = state
        .unasked()
        .map(|call| format!("step {} ({})", call.step, fixture.path_of_step(call.step)));
    let unasked = match steps.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "all recorded calls were made, but fewer wait".to_owned(),
        steps => format!("not called: {steps}"),
    };
    let why = format!(
        "the root waits without a call for {PAUSES_MAX} pauses, unlike the recorded one; {unasked}"
    );
    state.mismatches.push(why);
    true
}

/// A redacted value as an input is compared.
#[allow(dead_code, reason = "the layers are optional")]
pub(crate) fn input_of<'v>(members: impl IntoIterator<Item = (&'v str, Option<Value>)>) -> Value {
    let given = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
    Value::Object(members.into_iter().filter_map(given).collect())
}

/// Whether the caller of the recorded call gave up before it ended, so that the answer never comes.
pub(crate) fn was_given_up(call: &FixtureCall) -> bool {
    call.failure.as_ref().is_some_and(|failure| failure.error_type == "cancelled")
        || call.failure.is_none() && call.result.is_none() && call.kind == StepKind::Http
}
