//! `replay`: recorded events as values.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::path::Path;

use llm_audit::reader::{Line, Trace};
use llm_audit::replay::{
    FixtureCall, FixtureFailure, FixtureGap, FixtureRoot, RecordedError, RecordedEvent, Replay,
    ReplayFixture, Replayer, RootInput, StepKind, errors_from_jsonl, full_trace, successful_result,
};
use llm_audit::{Builder, Error, Status, Usd};
use serde::de::DeserializeOwned;

use crate::{Plain, Shared, converted, fields, implement, variants};

fn errors(path: impl AsRef<Path>) -> Result<Vec<RecordedEvent>, Error> {
    converted(errors_from_jsonl(&path, None))?;
    converted(errors_from_jsonl(path, "search"))
}

fn result(path: impl AsRef<Path>) -> Result<Option<RecordedEvent>, Error> {
    converted(successful_result(&path, None))?;
    converted(successful_result(path, "search"))
}

fn trace(path: impl AsRef<Path>) -> Result<Vec<RecordedEvent>, Error> {
    converted(full_trace(path, "4bf92f35"))
}

fn event() {
    let _: fn(&Line<'_>) -> RecordedEvent = RecordedEvent::from_line;
    let _: fn(&RecordedEvent) -> bool = RecordedEvent::is_failure;
    let _: fn(&RecordedEvent) -> bool = RecordedEvent::is_start;
}

fields!(RecordedEvent {
    event_version: Option<String>,
    instance: Option<String>,
    seq: Option<u64>,
    trace_id: Option<String>,
    span_id: Option<String>,
    parent_span_id: Option<String>,
    timestamp: Option<i64>,
    event_type: String,
    agent: String,
    action: String,
    status: Option<Status>,
    latency_ms: Option<f64>,
    tokens_input: Option<u64>,
    tokens_output: Option<u64>,
    cost_usd: Option<Usd>,
    kept: Option<String>,
    error: Option<RecordedError>,
});

fields!(RecordedError {
    error_type: String,
    message: String,
    traceback: Option<String>,
    recoverable: Option<bool>,
});

implement! {
    RecordedEvent: Plain, Clone, Debug, Default, PartialEq;
    RecordedError: Plain, Clone, Debug, Default, Display, PartialEq, StdError;
}

// Fixtures.

fn fixture(trace: &Trace, text: &str, path: impl AsRef<Path>) -> Result<ReplayFixture, Error> {
    converted(ReplayFixture::from_trace(trace))?;
    converted(ReplayFixture::from_json(text))?;
    converted(ReplayFixture::read(path))
}

fn trace_of_lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> Trace {
    Trace::from_lines("4bf92f35", lines)
}

fn read_fixture() {
    let _: fn(&ReplayFixture) -> String = ReplayFixture::to_json;
    let _: fn(&ReplayFixture) -> bool = ReplayFixture::is_replayable;
    let _: fn(&ReplayFixture, u32) -> String = ReplayFixture::path_of_step;
    let _: fn(&ReplayFixture, u32) -> Option<&FixtureCall> = ReplayFixture::call;
    let _: fn(StepKind) -> &'static str = StepKind::name;
}

fields!(ReplayFixture {
    fixture_version: u32,
    trace_id: String,
    service: Option<String>,
    began: Option<String>,
    error: Option<FixtureFailure>,
    not_captured: Vec<FixtureGap>,
    ignored: Vec<String>,
    root: FixtureRoot,
    calls: Vec<FixtureCall>,
    failures: Vec<FixtureFailure>,
});

fields!(FixtureRoot { kind: StepKind, agent: String, name: String });

fields!(FixtureCall {
    step: u32,
    parent: u32,
    kind: StepKind,
    agent: String,
    name: String,
    occurrence: u32,
    input_hash: Option<String>,
    began_us: Option<i64>,
    ended_us: Option<i64>,
    failure: Option<FixtureFailure>,
});

fields!(FixtureFailure {
    step: u32,
    event_type: String,
    agent: String,
    action: String,
    status: String,
    error_type: String,
    message: String,
    traceback: Option<String>,
    recoverable: Option<bool>,
});

fields!(FixtureGap { step: u32, what: String, blocks: bool });

variants!(StepKind { Request, Tool, Model, Http, Function, Event });

implement! {
    ReplayFixture: Plain, Clone, Debug, PartialEq;
    FixtureRoot: Plain, Clone, Debug, PartialEq;
    FixtureCall: Plain, Clone, Debug, PartialEq;
    FixtureFailure: Plain, Clone, Debug, Display, PartialEq, Eq;
    FixtureGap: Plain, Clone, Debug, PartialEq, Eq;
    StepKind: Plain, Clone, Copy, Debug, PartialEq, Eq;
    Replayer: Shared, Clone, Debug;
    RootInput: Shared, Clone, Debug, Display;
}

// Replays.

fn replayer(path: impl AsRef<Path>) -> Result<Replayer, Error> {
    let _: fn(ReplayFixture) -> Replayer = Replayer::new;
    let _: fn(Replayer, fn(Builder) -> Builder) -> Replayer = Replayer::logger;
    let _: fn(Replayer, u32) -> Replayer = Replayer::live_from_step;
    let _: fn(&Replayer) -> &ReplayFixture = Replayer::fixture;
    let _: fn(&FixtureFailure) -> RecordedError = RecordedError::from_failure;
    converted(Replayer::from_file(path))
}

fn run<R>(replayer: &Replayer, root: impl FnOnce(&RootInput) -> R) -> Replay<R> {
    replayer.run(root)
}

fn replay<R>() {
    let _: fn(&Replay<R>) -> Option<&R> = Replay::output;
    let _: fn(&Replay<R>) -> &[String] = Replay::lines;
    let _: fn(&Replay<R>) -> &[String] = Replay::mismatches;
    let _: fn(&Replay<R>) -> &[u32] = Replay::cut_inputs;
    let _: fn(&Replay<R>) -> bool = Replay::reproduces;
    let _: fn(&Replay<R>) -> Result<(), String> = Replay::check;
    let _: fn(&Replay<R>) = Replay::assert_fixed;
}

fn root_input() {
    let _: fn(&RootInput) -> StepKind = RootInput::kind;
    let _: fn(&RootInput) -> &str = RootInput::agent;
    let _: fn(&RootInput) -> &str = RootInput::name;
    let _: fn(&RootInput) -> String = RootInput::traceparent;
}

fn argument<T: DeserializeOwned>(input: &RootInput, name: &str) -> Result<T, String> {
    input.argument(name)
}

fn drive<F: Future>(input: &RootInput, root: F) -> impl Future<Output = Option<F::Output>> {
    input.drive(root)
}

fn drive_with_pauses<F: Future, P: Future>(
    input: &RootInput,
    root: F,
    pause: impl FnMut() -> P,
) -> impl Future<Output = Option<F::Output>> {
    input.drive_with_pauses(root, pause)
}
