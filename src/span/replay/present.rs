//! The answers of a replay.

use std::future::pending;

use llm_audit_log::replay::{Asked, FixtureCall, StepKind};
use serde::de::DeserializeOwned;

use super::super::{Argument, FunctionHead, KeptArguments, Span};
use crate::context::{self, TraceContext};
use crate::record::event::ErrorDetail;
use crate::recorder::{AuditLogger, Outlet, replay_logger};
use crate::replay::RecordedError;
use crate::replay::state::{self, ReplayAnswer};

/// What a call got when it was recorded.
#[derive(Debug)]
pub struct Answer(ReplayAnswer);

impl Answer {
    pub(super) fn value<T: DeserializeOwned>(self) -> Result<T, Box<RecordedError>> {
        let call = match self.0 {
            ReplayAnswer::Recorded(call) => call,
            ReplayAnswer::Refused(error) => return Err(error),
            ReplayAnswer::Never => {
                return Err(Box::new(state::not_recorded("its caller gave up".to_owned())));
            }
            ReplayAnswer::Runs => unreachable!("a function that runs has no answer"),
        };
        if call.failure.is_some() {
            return Err(Box::new(recorded_error(&call)));
        }
        let name = call.name;
        serde_json::from_value(call.result.unwrap_or_default()).map_err(|error| {
            let why = format!("the recorded result of {name} is not what it returns: {error}");
            state::note_mismatch(why.clone());
            Box::new(state::not_recorded(why))
        })
    }

    /// Never returns if the recorded call was given up.
    pub async fn wait(&self) {
        let is_never = match &self.0 {
            ReplayAnswer::Recorded(call) => state::was_given_up(call),
            answer => matches!(answer, ReplayAnswer::Never),
        };
        if is_never {
            state::note_waiting();
            pending().await
        }
    }
}

fn recorded_error(call: &FixtureCall) -> RecordedError {
    call.failure.as_ref().map(RecordedError::from_failure).unwrap_or_default()
}

/// Takes the answer of a call. `None` if the function runs.
pub fn answer<K: KeptArguments>(span: &mut Option<Span<'_, K>>) -> Option<Answer> {
    let replayed = &mut span.as_mut()?.open.replayed;
    replayed.0.take().map(|answer| Answer(*answer))
}

/// What a replay knows of a call: its answer, and the error that it ends with.
#[derive(Debug)]
pub(crate) struct ReplayedCall(Option<Box<ReplayAnswer>>, Option<Box<RecordedError>>);

impl ReplayedCall {
    /// The recorded error, which the error of the function is made from.
    pub(crate) fn error(&self) -> Option<ErrorDetail<'static>> {
        let RecordedError { error_type, message, traceback, recoverable, .. } =
            &**self.1.as_ref()?;
        let mut detail = ErrorDetail::new(error_type.clone(), message.clone());
        detail.traceback = traceback.clone().map(Into::into);
        Some(ErrorDetail { recoverable: *recoverable, ..detail })
    }
}

/// Asks the replay about a call that begins in `context`.
pub(crate) fn replayed_call(
    outlet: &Outlet,
    context: &TraceContext,
    head: &FunctionHead<'_>,
    captured: &[Argument<'_>],
) -> ReplayedCall {
    if !context::has_replayed() {
        return ReplayedCall(None, None);
    }
    let logger = replay_logger().filter(|_| context.is_replayed());
    let encode = |logger: &AuditLogger| logger.encode_members(captured)?.to_value();
    let input = match captured {
        [] => None,
        _ => logger.as_ref().and_then(encode),
    };
    let kind = match head.event {
        None => StepKind::Tool,
        Some(event) if event.name().starts_with("llm.") => StepKind::Model,
        Some(_) => StepKind::Function,
    };
    let sanitizer = match logger {
        Some(logger) => logger.sanitizer().clone(),
        None => outlet.sanitizer(),
    };
    let (agent, name) = (&sanitizer.redact_str(&head.agent), &sanitizer.redact_str(&head.action));
    let asked = Asked { kind, agent, name, input: input.as_ref(), above: 0, is_right_below: true };
    match state::ask(context, asked, head.is_replayable) {
        ReplayAnswer::Runs => ReplayedCall(None, None),
        answer => {
            let error = match &answer {
                ReplayAnswer::Recorded(call) => {
                    call.failure.is_some().then(|| recorded_error(call))
                }
                _ => None,
            };
            ReplayedCall(Some(Box::new(answer)), error.map(Box::new))
        }
    }
}
