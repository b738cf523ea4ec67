//! Runs a recorded trace again.

use std::fmt;
use std::future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::task::{Poll, Waker};

use llm_audit_log::replay::{Answers, FixtureRoot, ReplayFixture, StepKind};
use llm_audit_process::lock::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::outcome::{self, Replay};
use super::state::{self, ReplayState};
use crate::config::Builder;
use crate::context::{self, SpanPlaces, TraceContext};
use crate::error::Error;
use crate::recorder::{start_replay_logger, stop_replay_logger};
use crate::testing::detached_capture;

/// One replay at a time: the ids of a trace are those of one replay.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a recorded trace again, without network and with the same ids and times each time.
///
/// While it runs, the functions under `#[audit_span(replay)]` and the calls of `ClientLayer` that are in
/// the trace get what they got when it was recorded. A call that the recording does not know gets an error
/// and never reaches a live service. Everything else runs as always.
///
/// A process runs one replay at a time; others wait. While one runs, these functions and calls are refused
/// in all other traces and outside of any. After its end they are refused in its trace. Events of the trace go to the replay and not to the log. They are the same in each replay if the
/// code runs on one thread, as under the current-thread runtime of tokio, and waits for nothing else.
///
/// # Examples
///
/// ```
/// use llm_audit::replay::{ReplayFixture, Replayer, RootInput};
///
/// # let text = r#"{"fixture_version": 1, "trace_id": "0af7651916cd43dd8448eb211c80319c", "calls": [],
/// #     "root": {"kind": "tool", "agent": "benefits", "name": "search", "input": {"plan": 17}}}"#;
/// let replayer = Replayer::new(ReplayFixture::from_json(text)?);
/// let replay = replayer.run(|input: &RootInput| input.argument::<u32>("plan"));
/// assert_eq!(replay.output(), Some(&Ok(17)));
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replayer {
    fixture: ReplayFixture,
    change: fn(Builder) -> Builder,
    live_from: Option<u32>,
}

impl Replayer {
    /// Replays this fixture.
    pub fn new(fixture: ReplayFixture) -> Self {
        Self { fixture, change: |builder| builder, live_from: None }
    }

    /// Replays the fixture in a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a fixture.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::new(ReplayFixture::read(path)?))
    }

    /// The fixture.
    pub fn fixture(&self) -> &ReplayFixture {
        &self.fixture
    }

    /// Sets what the logger of the replay differs in, such as the sanitizer with rules of your own.
    pub fn logger(mut self, change: fn(Builder) -> Builder) -> Self {
        self.change = change;
        self
    }

    /// Answers the calls that come before this step, and makes the step's and all later ones.
    ///
    /// The numbers of the steps decide, in whatever order the calls come. A call that the recording does not know
    /// is made if one of these was made before it.
    ///
    /// It is the number of a call in the fixture, which a function under `#[audit_span]` or a client under
    /// `ClientLayer` makes. A function that the step is inside of runs. The calls that are made reach live
    /// services, with placeholders in place of redacted values. Their answers may lead elsewhere, so
    /// [`Replay::check`] does not compare the calls then.
    pub fn live_from_step(mut self, step: u32) -> Self {
        self.live_from = Some(step);
        self
    }

    /// Calls the root with its recorded inputs, and returns what came of it. A panic of the root is
    /// caught.
    ///
    /// # Panics
    ///
    /// Panics if the log does not have what a replay needs, if the fixture's trace has no id, or if it does not
    /// have the step of [`live_from_step`](Self::live_from_step).
    pub fn run<R>(&self, root: impl FnOnce(&RootInput) -> R) -> Replay<R> {
        let fixture = &self.fixture;
        if let Some(gap) = fixture.not_captured.iter().find(|gap| gap.blocks) {
            panic!("cannot replay: {} ({})", gap.what, fixture.short_path_of_step(gap.step));
        }
        if let Some(step) = self.live_from.filter(|step| fixture.call(*step).is_none()) {
            panic!("the fixture has the steps 1 to {}, not {step}", fixture.calls.len());
        }
        let is_inside =
            TraceContext::with_current(|current| current.is_some_and(TraceContext::is_replayed));
        assert!(!is_inside, "a replay cannot run inside of another");
        let _alone = ALONE.lock();
        let capture = detached_capture(|builder| (self.change)(builder.capture_content(true)));
        let trace_id = TraceContext::parse_trace_id(&fixture.trace_id).ok();
        let answers = Answers::new(fixture.clone());
        let under_way = UnderWay;
        let base = trace_id.and_then(context::begin_replayed_trace);
        let base = base.expect("a fixture has the id of its trace");
        let given_up = count_given_up(fixture);
        state::begin(ReplayState::new(answers, &base, given_up, self.live_from));
        start_replay_logger(capture.logger(), recorded_begin(fixture));
        let input = RootInput { root: fixture.root.clone(), base };
        let scope = input.base.enter();
        let output = catch_unwind(AssertUnwindSafe(|| root(&input)));
        drop(scope);
        let lines = capture.lines();
        let accounting = capture.logger().accounting();
        assert_eq!(accounting.overwritten + accounting.io_lost, 0, "events of the replay are lost");
        let (places, state) = under_way.end();
        let lines = outcome::ordered_lines(lines, capture.logger().instance(), &places);
        Replay::new(output.ok(), lines, fixture, state)
    }
}

/// The replay that runs: however its test ends, the next one finds nothing of it.
struct UnderWay;

impl UnderWay {
    fn end(self) -> (SpanPlaces, ReplayState) {
        let state = state::end().expect("one replay runs at a time");
        (context::end_replayed_trace(), state)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        stop_replay_logger();
        context::end_replayed_trace();
        state::end();
    }
}

/// When the root began, in microseconds since the Unix epoch; the clock always shows it.
fn recorded_begin(fixture: &ReplayFixture) -> i64 {
    let began = fixture.began.as_ref().and_then(|began| began.parse::<jiff::Timestamp>().ok());
    began.map_or(0, jiff::Timestamp::as_microsecond)
}

/// How many calls were open when the caller of the root gave up. `None` if it did not.
fn count_given_up(fixture: &ReplayFixture) -> Option<usize> {
    let error = fixture.error.as_ref()?;
    let is_given_up = error.step == 0 && error.error_type == "cancelled";
    let open = fixture
        .calls
        .iter()
        .filter(|call| call.kind == StepKind::Http && state::was_given_up(call));
    is_given_up.then(|| open.count())
}

/// The recorded inputs of the root of a trace.
#[derive(Clone, Debug)]
pub struct RootInput {
    root: FixtureRoot,
    base: TraceContext,
}

impl RootInput {
    /// What the root is.
    pub fn kind(&self) -> StepKind {
        self.root.kind
    }

    /// The `agent` of the root.
    pub fn agent(&self) -> &str {
        &self.root.agent
    }

    /// The `action` of the root, by which a function chooses what to call.
    pub fn name(&self) -> &str {
        &self.root.name
    }

    /// All inputs: the arguments of a function by their names, or `method`, `route`, `headers` and `body`
    /// of a request, or the `prompt` of an agent.
    pub fn value(&self) -> &Value {
        &self.root.input
    }

    /// One input, such as an argument of a function or the `body` of a request.
    ///
    /// # Errors
    ///
    /// The input is not of this type. One that was not recorded is read as `null`.
    pub fn argument<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let value = self.root.input.get(name).cloned().unwrap_or_default();
        serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))
    }

    /// The `traceparent` of the replay, for a request that does not begin on this thread.
    pub fn traceparent(&self) -> String {
        self.base.to_traceparent()
    }

    /// The recorded request, with its headers and body, for a service under `ServerLayer`.
    ///
    /// The values in its path were not recorded: each is its name, as `member` in `/members/{member}`. Nor
    /// was its query.
    ///
    /// # Errors
    ///
    /// The root is not a request.
    #[cfg(feature = "tower")]
    pub fn request(&self) -> Result<http::Request<bytes::Bytes>, String> {
        super::request::request_of(self)
    }

    /// Runs the future of the root, and drops it when its caller gave up.
    ///
    /// Returns `None` if the recorded caller gave up: as soon as the calls wait that waited then. A root
    /// whose caller waited to the end just runs.
    ///
    /// What else the root waits for then, such as a file or a thread, may or may not be done. Use
    /// [`drive_with_pauses`](Self::drive_with_pauses) if it waits for such things.
    pub async fn drive<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut root = pin!(future);
        let driven = future::poll_fn(|cx| match root.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if state::gives_up_here(cx.waker()) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        driven.await
    }

    /// As [`drive`](Self::drive), but drops the root only at the end of a pause.
    ///
    /// With tokio's paused time, a pause of a millisecond ends when nothing else is left to do, on threads of
    /// `spawn_blocking` too. Then each replay of a root that was dropped records the same. The root may come
    /// further than the recorded one. A call that it makes then never returns, and is no mismatch.
    ///
    /// A changed root may never come to where the recorded one was dropped. It is dropped after 1,000,000 pauses
    /// without a call. That is a mismatch, which names the recorded calls that it did not make.
    pub async fn drive_with_pauses<F: Future, P: Future>(
        &self,
        future: F,
        mut pause: impl FnMut() -> P,
    ) -> Option<F::Output> {
        let mut root = pin!(future);
        if !state::lets_root_go_on() {
            return Some(root.await);
        }
        loop {
            let mut pause = pin!(pause());
            let turn = future::poll_fn(|cx| match root.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => pause.as_mut().poll(cx).map(|_| None),
            });
            let output = turn.await;
            if output.is_some() || state::gives_up_here(Waker::noop()) || state::pauses_in_vain() {
                return output;
            }
        }
    }
}

impl fmt::Display for RootInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind().name(), self.name())
    }
}
