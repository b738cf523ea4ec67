//! Functions under `#[audit_span(replay)]`.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use llm_audit::export::Exporter;
use llm_audit::replay::{RecordedError, Replayer, RootInput};
use llm_audit::{AuditLogger, TraceContext, audit_span};
use serde::{Deserialize, Serialize};

use crate::{alone, disabled, fixture, recorded};

thread_local! {
    /// How often a function really ran.
    static RAN: Cell<u32> = const { Cell::new(0) };
    /// Whether the root has its error.
    static IS_FIXED: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    name: String,
    price: Option<u32>,
}

#[derive(Debug, PartialEq)]
enum Failure {
    Busy,
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("busy, says ana@example.org"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

impl From<RecordedError> for Failure {
    fn from(error: RecordedError) -> Self {
        if error.message.starts_with("busy") { Self::Busy } else { Self::Other(error.message) }
    }
}

#[audit_span(agent = "benefits", action = "plan", replay)]
fn plan(member: &str, attempt: u32) -> Result<Plan, Failure> {
    RAN.set(RAN.get() + 1);
    match attempt {
        0 => Err(Failure::Busy),
        _ => Ok(Plan { name: format!("gold of {member}"), price: None }),
    }
}

#[audit_span(agent = "benefits", action = "card", replay)]
async fn card(member: String) -> Option<u32> {
    RAN.set(RAN.get() + 1);
    let _ = member;
    None
}

#[audit_span(agent = "benefits", event = "cart.count", action = "count", replay, skip(_secret))]
fn count(_secret: &str) -> u32 {
    RAN.set(RAN.get() + 1);
    7
}

/// The root: it expects a price that a plan may not have.
#[audit_span(agent = "benefits", action = "answer", capture_args)]
fn answer(member: &str) -> Result<String, Failure> {
    let plan = match IS_FIXED.get() {
        true => plan(member, 1)?,
        false => plan(member, 0).or_else(|_| plan(member, 1))?,
    };
    let mut card = std::pin::pin!(card(member.to_owned()));
    let Poll::Ready(card) = card.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for nothing")
    };
    let price = match plan.price {
        Some(price) => price,
        None if IS_FIXED.get() => 0,
        None => return Err(Failure::Other(format!("no price for {}", plan.name))),
    };
    Ok(format!("{price} {card:?} {}", count("s")))
}

fn root(input: &RootInput) -> Result<String, Failure> {
    answer(&input.argument::<String>("member").expect("it was recorded"))
}

fn replayer() -> Replayer {
    let seen = recorded();
    answer("ana@example.com").expect_err("the plan has no price");
    Replayer::new(fixture(&seen))
}

#[test]
fn a_replay_fails_as_it_was_recorded_and_runs_nothing() {
    let _alone = alone();
    let replayer = replayer();
    RAN.set(0);
    let replay = replayer.run(root);
    assert_eq!(RAN.get(), 0);
    let expected = Failure::Other("no price for gold of [REDACTED_email]".to_owned());
    assert_eq!(replay.output(), Some(&Err(expected)));
    assert!(replay.reproduces(), "{replay:#?}");
    let why = replay.check().unwrap_err();
    assert!(why.starts_with("it fails as it was recorded: tool.error answer: "), "{why}");
    assert_eq!(replay.mismatches(), [""; 0]);
}

#[test]
fn a_replay_is_the_same_each_time() {
    let _alone = alone();
    let replayer = replayer();
    let first = replayer.run(root);
    assert!(first.lines().len() > 6, "{first:?}");
    for _ in 0..3 {
        assert_eq!(replayer.run(root).lines(), first.lines());
    }
    let other = std::thread::spawn(move || replayer.run(root).lines().to_vec()).join().unwrap();
    assert_eq!(other, first.lines());
}

#[test]
fn what_the_fix_calls_in_addition_is_named_and_never_live() {
    let _alone = alone();
    let replayer = replayer();
    IS_FIXED.set(true);
    RAN.set(0);
    let replay = replayer.run(root);
    IS_FIXED.set(false);
    let why = replay.check().unwrap_err();
    assert!(why.contains("function count of benefits is not recorded below tool answer"), "{why}");
    assert!(!replay.reproduces() && replay.output().is_none(), "its type has no error to return");
    assert_eq!(RAN.get(), 0);
}

#[test]
fn a_fixed_root_passes() {
    let _alone = alone();
    IS_FIXED.set(true);
    let seen = recorded();
    answer("ana").expect("it is fixed");
    let replayer = Replayer::new(fixture(&seen));
    RAN.set(0);
    let replay = replayer.run(root);
    assert_eq!((replay.check(), RAN.get()), (Ok(()), 0), "{replay:#?}");
    assert_eq!(replay.output(), Some(&Ok("0 None 7".to_owned())));
    replay.assert_fixed();
    // What a root leaves out shows, too.
    let idle = replayer.run(|_| ());
    assert!(idle.check().unwrap_err().contains("recorded nothing"), "{idle:?}");
    IS_FIXED.set(false);
}

#[test]
fn another_input_is_a_difference() {
    let _alone = alone();
    let replayer = replayer();
    RAN.set(0);
    let replay = replayer.run(|_| plan("bo", 0));
    let Some(Err(Failure::Other(message))) = replay.output() else { panic!("{replay:?}") };
    assert!(message.contains("has another input than step 1"), "{message}");
    assert!(message.contains(r#"/member is "bo", recorded "[REDACTED_email]""#), "{message}");
    assert_eq!((RAN.get(), replay.mismatches().len()), (0, 1));
    assert!(replay.check().unwrap_err().contains("another input"));
}

#[test]
fn a_call_outside_of_the_trace_is_refused() {
    let _alone = alone();
    let replayer = replayer();
    let replay = replayer.run(|_| {
        std::thread::spawn(|| (plan("ana", 1).is_err(), RAN.get())).join().expect("no panic")
    });
    assert_eq!(replay.output(), Some(&(true, 0)));
    assert!(replay.mismatches()[0].contains("its task needs in_span"), "{replay:?}");
}

#[test]
fn without_a_replay_the_functions_run() {
    let _alone = alone();
    let seen = recorded();
    RAN.set(0);
    assert_eq!(plan("ana", 1).map(|plan| plan.price), Ok(None));
    assert_eq!((RAN.get(), seen.lines().len()), (1, 2));
}

#[test]
fn a_fixture_that_lacks_something_is_refused() {
    let _alone = alone();
    let seen = llm_audit::testing::capture();
    IS_FIXED.set(true);
    answer("ana").expect("it is fixed");
    IS_FIXED.set(false);
    let fixture = fixture(&seen);
    assert!(!fixture.is_replayable());
    let refused = std::panic::catch_unwind(|| Replayer::new(fixture).run(root).check());
    let message = refused.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("cannot replay: the result"), "{message}");
}

#[test]
fn the_answer_of_a_call_is_an_error_only_if_there_is_no_other() {
    let _alone = alone();
    let seen = recorded();
    let _ = retried("ana");
    let replay = Replayer::new(fixture(&seen)).run(|_| retried("ana"));
    let why = replay.check().unwrap_err();
    assert!(
        why.ends_with("(the answer of a recorded call, which is the same in every replay)"),
        "{why}"
    );
}

#[audit_span(agent = "benefits", action = "retried")]
fn retried(member: &str) -> Result<Plan, Failure> {
    plan(member, 0).or_else(|_| plan(member, 1))
}

/// A function that nothing answers, around one that is answered.
#[audit_span(agent = "benefits", action = "wrapper")]
fn wrapper() -> (String, u32) {
    let refused = plan("ana", 1).map_or_else(|error| error.to_string(), |plan| plan.name);
    (refused, RAN.get())
}

#[test]
fn a_call_in_a_trace_of_its_own_is_refused() {
    let _alone = alone();
    let replay = replayer().run(|_| std::thread::spawn(wrapper).join().expect("no panic"));
    let Some((refused, ran)) = replay.output() else { panic!("{replay:?}") };
    assert!(refused.contains("its task needs in_span") && *ran == 0, "{refused}");
    assert!(replay.check().is_err(), "{replay:?}");
}

#[test]
fn what_is_refused_is_recorded_by_the_rules_of_its_own_logger() {
    let _alone = alone();
    let replayer = replayer();
    let lines = replayer.run(|_| {
        let outside = || {
            let seen = llm_audit::testing::capture();
            plan("bo", 1).expect_err("it is outside of the trace");
            seen.lines().join("\n")
        };
        std::thread::spawn(outside).join().expect("no panic")
    });
    let lines = lines.output().expect("no panic");
    assert!(lines.contains("tool.error") && !lines.contains("arguments"), "{lines}");
}

#[audit_span(logger = disabled(), agent = "benefits", action = "plan", replay)]
fn unrecorded(member: &str, attempt: u32) -> Result<Plan, Failure> {
    RAN.set(RAN.get() + 1);
    let _ = (member, attempt);
    Err(Failure::Busy)
}

#[test]
fn a_function_with_a_disabled_logger_is_answered_or_refused() {
    let _alone = alone();
    let replayer = replayer();
    RAN.set(0);
    let replay = replayer.run(|_| unrecorded("bo", 7));
    assert!(matches!(replay.output(), Some(Err(Failure::Other(_)))), "{replay:?}");
    assert_eq!((RAN.get(), replay.mismatches().len()), (0, 1));
}

#[test]
fn a_call_after_the_end_is_refused_also_during_the_next_replay() {
    let _alone = alone();
    let replayer = replayer();
    RAN.set(0);
    let replay = replayer.run(|_| TraceContext::current().expect("a replay has a span"));
    let context = replay.output().expect("no panic").clone();
    let late = || {
        let _scope = context.enter();
        plan("ana@example.com", 0).expect_err("it is over")
    };
    let refused = Failure::Other("tool plan is called after the end of its replay".to_owned());
    assert_eq!(late(), refused);
    let next = replayer.run(|input| (late(), root(input)));
    assert_eq!(next.output().map(|(late, _)| late), Some(&refused));
    assert_eq!((RAN.get(), next.mismatches()), (0, &[][..]));
    assert!(next.reproduces());
}

#[audit_span(agent = "benefits", action = "bare", capture_result)]
fn bare() -> u32 {
    5
}

#[audit_span(agent = "benefits", action = "around")]
fn around() -> Result<u32, Failure> {
    bare();
    Err(Failure::Busy)
}

#[test]
fn a_call_that_ran_because_nothing_answers_it_is_named() {
    let _alone = alone();
    let seen = recorded();
    around().expect_err("it is busy");
    let replay = Replayer::new(fixture(&seen)).run(|_| around());
    assert_eq!(replay.ran(), [1], "{replay:?}");
}

#[test]
fn a_replay_of_another_root_is_no_success() {
    let _alone = alone();
    let seen = recorded();
    around().expect_err("it is busy");
    let mut fixture = fixture(&seen);
    fixture.calls.clear();
    let why = Replayer::new(fixture).run(|_| bare()).check().unwrap_err();
    assert!(why.contains("the replay ran tool bare, recorded tool around"), "{why}");
}

#[audit_span(agent = "benefits", action = "hang", replay)]
async fn hang() -> Result<u32, Failure> {
    std::future::pending().await
}

#[audit_span(agent = "benefits", action = "impatient")]
fn impatient() -> Result<u32, Failure> {
    let mut hang = std::pin::pin!(hang());
    assert!(hang.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    Err(Failure::Busy)
}

#[test]
fn an_answered_function_that_is_given_up_is_cancelled_again() {
    let _alone = alone();
    let seen = recorded();
    impatient().expect_err("it is busy");
    let replay = Replayer::new(fixture(&seen)).run(|_| impatient());
    let why = replay.check().unwrap_err();
    assert!(why.starts_with("it fails as it was recorded: tool.error impatient"), "{why}");
    let cancelled = |line: &&String| line.contains(r#""type":"cancelled""#);
    assert_eq!(replay.lines().iter().filter(cancelled).count(), 1, "{replay:?}");
}

struct Failing;

impl Exporter for Failing {
    fn export(&mut self, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::Error::other("full"))
    }
}

#[test]
fn a_replay_that_panics_leaves_nothing_behind() {
    let _alone = alone();
    let replayer = replayer();
    let lossy = replayer.clone().logger(|_| {
        let builder = AuditLogger::builder().without_environment().files(false).debug(true);
        builder.capture_content(true).exporter(Failing)
    });
    let panicked = std::panic::catch_unwind(|| lossy.run(root).check());
    assert!(panicked.is_err(), "its events are lost");
    RAN.set(0);
    plan("ana", 1).expect("no replay is under way");
    assert_eq!(RAN.get(), 1);
    assert!(replayer.run(root).reproduces());
}

#[test]
fn a_replay_inside_of_another_is_refused() {
    let _alone = alone();
    let (outer, inner) = (replayer(), replayer());
    let replay = outer.run(|_| inner.run(root).reproduces());
    assert_eq!(replay.output(), None);
}

#[audit_span(agent = "benefits", action = "given_up")]
async fn given_up() -> Result<u32, Failure> {
    if IS_FIXED.get() {
        plan("bo", 0)?;
    }
    hang().await
}

fn poll_given_up() -> bool {
    let mut root = std::pin::pin!(given_up());
    root.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn an_unknown_call_of_a_root_that_was_given_up_is_a_difference_too() {
    let _alone = alone();
    let seen = recorded();
    assert!(poll_given_up());
    let replayer = Replayer::new(fixture(&seen));
    assert!(replayer.run(|_| poll_given_up()).mismatches().is_empty());
    IS_FIXED.set(true);
    let replay = replayer.run(|_| poll_given_up());
    IS_FIXED.set(false);
    assert!(replay.mismatches()[0].contains("tool plan of benefits is not recorded"), "{replay:?}");
}

/// The same root, which makes another call.
#[audit_span(agent = "benefits", action = "given_up")]
async fn given_up_further() -> Result<u32, Failure> {
    card("bo".to_owned()).await;
    hang().await
}

#[test]
fn a_root_that_was_given_up_is_dropped_at_the_end_of_a_pause() {
    let _alone = alone();
    let seen = recorded();
    assert!(poll_given_up());
    let polls = Cell::new(0);
    let pause = || {
        poll_fn(|cx| {
            polls.set(polls.get() + 1);
            cx.waker().wake_by_ref();
            if polls.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        })
    };
    let replayer = Replayer::new(fixture(&seen));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let replay = replayer.run(|input| runtime.block_on(input.drive_with_pauses(given_up(), pause)));
    assert!(matches!(replay.output(), Some(None)) && polls.get() == 3, "{replay:?}");
    assert!(replay.reproduces(), "{replay:?}");
    // A call that the recorded root did not come to waits.
    polls.set(0);
    let further =
        replayer.run(|input| runtime.block_on(input.drive_with_pauses(given_up_further(), pause)));
    assert!(matches!(further.output(), Some(None)) && further.reproduces(), "{further:?}");
    assert_eq!(further.mismatches(), [""; 0]);
}

#[test]
fn calls_are_made_from_a_step_on_only_on_request() {
    let _alone = alone();
    let replayer = replayer();
    RAN.set(0);
    let replay = replayer.clone().live_from_step(2).run(root);
    // The second plan and the card; the placeholder is what is left of the member.
    assert_eq!((RAN.get(), replay.mismatches().len()), (2, 0), "{replay:?}");
    assert!(replay.reproduces(), "{replay:?}");
    let unknown = std::panic::catch_unwind(|| replayer.live_from_step(9).run(root).check());
    let message = unknown.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*message, "the fixture has the steps 1 to 3, not 9");
}

#[audit_span(agent = "benefits", action = "outer", replay)]
fn outer() -> Result<u32, Failure> {
    plan("bo", 1)?;
    Ok(count("s"))
}

#[audit_span(agent = "benefits", action = "above")]
fn above() -> Result<u32, Failure> {
    outer()
}

#[test]
fn a_function_around_the_step_that_is_live_runs() {
    let _alone = alone();
    let seen = recorded();
    above().expect("it is recorded");
    let replayer = Replayer::new(fixture(&seen));
    for (live, ran) in [(None, 0), (Some(2), 2), (Some(3), 1)] {
        RAN.set(0);
        let replayer = live.map_or(replayer.clone(), |live| replayer.clone().live_from_step(live));
        let replay = replayer.run(|_| above());
        assert_eq!((replay.output(), RAN.get()), (Some(&Ok(7)), ran), "{live:?} {replay:?}");
        assert_eq!(replay.check(), Ok(()));
    }
}
