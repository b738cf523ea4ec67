//! No replay: every call is made.

use std::task::Poll;

use http::Response;
use http_body::Frame;

use super::super::body::ResponseBody;
use super::super::exchange::Exchange;
use super::super::failure::BoxError;
use crate::context::TraceContext;

/// What a call was answered when it was recorded. Without the feature there is none.
pub(in super::super) enum HttpAnswer {}

/// The body of a recorded answer.
pub(in super::super) enum RecordedBody {}

impl RecordedBody {
    pub(in super::super) fn poll_frame<D>(
        &mut self,
        _: &mut Exchange,
    ) -> Poll<Option<Result<Frame<D>, BoxError>>> {
        match *self {}
    }

    pub(in super::super) fn remaining(&self) -> Option<u64> {
        match *self {}
    }
}

#[inline]
pub(in super::super) fn is_here() -> bool {
    false
}

#[inline]
pub(in super::super) fn is_of(_: &TraceContext) -> bool {
    false
}

#[inline]
pub(in super::super) fn continued_context() -> Option<TraceContext> {
    None
}

#[inline]
pub(in super::super) fn recorded_answer(_: &Exchange) -> Option<HttpAnswer> {
    None
}

pub(in super::super) fn poll_answer<B>(
    replayed: &mut Option<(HttpAnswer, Box<Exchange>)>,
) -> Poll<Result<Response<ResponseBody<B>>, BoxError>> {
    match replayed.take() {
        Some((answer, _)) => match answer {},
        None => panic!("a future is not polled after it was ready"),
    }
}
