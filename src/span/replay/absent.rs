//! No replay: every function runs.

use serde::de::DeserializeOwned;

use super::super::{Argument, FunctionHead, KeptArguments, Span};
use crate::context::TraceContext;
use crate::record::event::ErrorDetail;
use crate::recorder::Outlet;
use crate::replay::RecordedError;

/// What a call got when it was recorded. Without the feature there is none.
#[derive(Debug)]
pub enum Answer {}

impl Answer {
    pub(super) fn value<T: DeserializeOwned>(self) -> Result<T, Box<RecordedError>> {
        match self {}
    }

    /// Never returns if the recorded call was given up.
    pub async fn wait(&self) {
        match *self {}
    }
}

/// Takes the answer of a call.
#[inline]
pub fn answer<K: KeptArguments>(_: &mut Option<Span<'_, K>>) -> Option<Answer> {
    None
}

/// What a replay knows of a call.
#[derive(Debug)]
pub(crate) struct ReplayedCall;

impl ReplayedCall {
    pub(crate) fn error(&self) -> Option<ErrorDetail<'static>> {
        None
    }
}

#[inline]
pub(crate) fn replayed_call(
    _: &Outlet,
    _: &TraceContext,
    _: &FunctionHead<'_>,
    _: &[Argument<'_>],
) -> ReplayedCall {
    ReplayedCall
}
