//! The answers of a replay.

use std::any::Any;
use std::task::Poll;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use http::{Response, StatusCode};
use http_body::Frame;
use llm_audit_log::replay::{Asked, FixtureCall, StepKind, comparable_url};
use serde_json::{Value, json};

use super::super::body::ResponseBody;
use super::super::exchange::{Exchange, ExchangeEnd, http_method_name};
use super::super::failure::{BoxError, ServiceFailure};
use crate::context::{self, TraceContext};
use crate::record::event::ErrorDetail;
use crate::recorder::replay_logger;
use crate::replay::RecordedError;
use crate::replay::state::{self, ReplayAnswer, input_of};
use crate::sanitize::Redactions;

/// What a call was answered when it was recorded.
pub(in super::super) enum HttpAnswer {
    /// Its caller gave up before it came.
    Never { is_waiting: bool },
    /// There was none.
    Failed(ReplayedFailure),
    /// This one.
    Response(StatusCode, HeaderMap, RecordedBody),
}

/// The body of a recorded answer.
pub(in super::super) struct RecordedBody {
    /// What of it was recorded; `None` after it was read.
    bytes: Option<Bytes>,
    end: RecordedEnd,
}

enum RecordedEnd {
    Whole,
    /// It failed before its end.
    Failed(Box<ReplayedFailure>),
    /// Its reader gave up before its end.
    Never {
        is_waiting: bool,
    },
}

#[derive(Clone)]
pub(in super::super) struct ReplayedFailure {
    error: RecordedError,
    is_timeout: bool,
}

impl ReplayedFailure {
    fn record(&self, exchange: &mut Exchange) {
        let RecordedError { error_type, message, traceback, .. } = &self.error;
        let mut detail = ErrorDetail::new(error_type.clone(), message.clone());
        detail.traceback = traceback.clone().map(Into::into);
        let failure = ServiceFailure { detail, is_timeout: self.is_timeout };
        exchange.record_end(ExchangeEnd::Failed(failure));
    }
}

/// Returns whether a call of this thread is answered or refused, and not made.
pub(in super::super) fn is_here() -> bool {
    let is_ended =
        |current: Option<&TraceContext>| current.is_some_and(TraceContext::is_of_ended_replay);
    // A client whose call may be made has to be ready.
    context::is_replaying() && !state::may_go_live()
        || context::has_replayed() && TraceContext::with_current(is_ended)
}

/// Returns whether this is of the trace that is replayed.
pub(in super::super) fn is_of(context: &TraceContext) -> bool {
    context.is_replayed()
}

/// Returns the span of a request without a trace that a replay makes.
pub(in super::super) fn continued_context() -> Option<TraceContext> {
    let current = TraceContext::current().filter(|_| context::is_replaying());
    current.filter(TraceContext::is_replayed).map(|current| current.new_span())
}

/// Asks for the answer of a call that has begun. `None` if it is made.
pub(in super::super) fn recorded_answer(exchange: &Exchange) -> Option<HttpAnswer> {
    if !context::has_replayed() {
        return None;
    }
    let sanitizer = match replay_logger().filter(|_| exchange.context.is_replayed()) {
        Some(logger) => logger.sanitizer().clone(),
        None => exchange.settings.outlet.sanitizer(),
    };
    // With the names that the log has, by which it is redacted.
    let recorded = json!({"http.method": http_method_name(&exchange.method),
        "url": exchange.route_or_url, "attempt": exchange.attempt});
    let mut recorded = sanitizer.sanitize(&recorded, &mut Redactions::default());
    let mut member = |name: &str| Some(recorded[name].take()).filter(|value| !value.is_null());
    let url = member("url").map(|url| url.as_str().map(comparable_url).into());
    let input =
        input_of([("method", member("http.method")), ("url", url), ("attempt", member("attempt"))]);
    let call = exchange.model_call.as_ref();
    let action = call.map_or(&*exchange.action, |call| call.operation());
    let asked = Asked {
        kind: StepKind::Http,
        agent: &sanitizer.redact_str(&exchange.settings.agent),
        name: &sanitizer.redact_str(action),
        input: Some(&input),
        above: 0,
        is_right_below: true,
    };
    match state::ask(&exchange.context, asked, true) {
        ReplayAnswer::Runs => None,
        ReplayAnswer::Never => Some(HttpAnswer::Never { is_waiting: false }),
        ReplayAnswer::Refused(error) => {
            Some(HttpAnswer::Failed(ReplayedFailure { error: *error, is_timeout: false }))
        }
        ReplayAnswer::Recorded(call) => Some(answer_of_call(&call)),
    }
}

fn answer_of_call(call: &FixtureCall) -> HttpAnswer {
    let failure = call.failure.as_ref().map(|failure| {
        let error = RecordedError::from_failure(failure);
        ReplayedFailure { error, is_timeout: failure.status == "timeout" }
    });
    let given_up = state::was_given_up(call);
    let Some(result) = &call.result else {
        return match failure {
            Some(failure) if !given_up => HttpAnswer::Failed(failure),
            _ => HttpAnswer::Never { is_waiting: false },
        };
    };
    let status = result["status"].as_u64().and_then(|code| u16::try_from(code).ok());
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // A status that is an error is one by itself, and so is a code of gRPC in the head.
    let is_of_head = |failure: &ReplayedFailure| {
        let error = &failure.error;
        error.error_type == status.as_str() || error.message.starts_with("grpc-status")
    };
    let end = match failure.filter(|failure| !is_of_head(failure)) {
        Some(_) if given_up => RecordedEnd::Never { is_waiting: false },
        Some(failure) => RecordedEnd::Failed(failure.into()),
        None => RecordedEnd::Whole,
    };
    let bytes = match &end {
        RecordedEnd::Whole => bytes_of(&result["body"]),
        _ => bytes_before_cut(&result["body"]),
    };
    let body = RecordedBody { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), end };
    HttpAnswer::Response(status, headers_of(result), body)
}

fn bytes_of(body: &Value) -> Bytes {
    match body {
        Value::Null => Bytes::new(),
        Value::String(text) => text.clone().into(),
        json => json.to_string().into(),
    }
}

/// What came of a body that did not come to its end.
fn bytes_before_cut(body: &Value) -> Bytes {
    let text = body.as_str().unwrap_or_default();
    text.rsplit_once("[TRUNCATED:").map_or("", |(events, _)| events).to_owned().into()
}

/// The recorded headers, without those that say how the body was sent.
fn headers_of(result: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !matches!(result["body"], Value::String(_) | Value::Null) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in result["headers"].as_object().into_iter().flatten() {
        let value = HeaderValue::try_from(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), value) {
            headers.insert(name, value);
        }
    }
    for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// Polls for the answer.
pub(in super::super) fn poll_answer<B>(
    replayed: &mut Option<(HttpAnswer, Box<Exchange>)>,
) -> Poll<Result<Response<ResponseBody<B>>, BoxError>> {
    if let Some((HttpAnswer::Never { is_waiting }, _)) = replayed {
        return wait(is_waiting);
    }
    let (answer, mut exchange) = replayed.take().expect("a future is polled until it is ready");
    match answer {
        HttpAnswer::Never { .. } => Poll::Pending,
        HttpAnswer::Failed(failure) => {
            failure.record(&mut exchange);
            Poll::Ready(Err(Box::new(failure.error)))
        }
        HttpAnswer::Response(status, headers, body) => {
            let mut response = Response::new(());
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            Poll::Ready(Ok(ResponseBody::recorded(response, body, exchange)))
        }
    }
}

/// Never returns.
fn wait<R>(is_waiting: &mut bool) -> Poll<R> {
    if !std::mem::replace(is_waiting, true) {
        state::note_waiting();
    }
    Poll::Pending
}

impl RecordedBody {
    /// Polls for the body: what was recorded of it as one frame, and then its end.
    pub(in super::super) fn poll_frame<D: 'static>(
        &mut self,
        exchange: &mut Exchange,
    ) -> Poll<Option<Result<Frame<D>, BoxError>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(data_of_bytes(bytes).map(Frame::data)));
        }
        match &mut self.end {
            RecordedEnd::Whole => Poll::Ready(None),
            RecordedEnd::Never { is_waiting } => wait(is_waiting),
            RecordedEnd::Failed(failure) => {
                let failure = failure.clone();
                self.end = RecordedEnd::Whole;
                failure.record(exchange);
                Poll::Ready(Some(Err(failure.error.into())))
            }
        }
    }

    /// How many bytes there are to come, if that is known.
    pub(in super::super) fn remaining(&self) -> Option<u64> {
        let is_whole = matches!(self.end, RecordedEnd::Whole);
        is_whole.then(|| self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// The bytes as data of a body of any type, which has to be `Bytes`.
fn data_of_bytes<D: 'static>(bytes: Bytes) -> Result<D, BoxError> {
    let any: Box<dyn Any> = Box::new(bytes);
    let data = any.downcast::<D>().map(|data| *data);
    data.map_err(|_| "a replay can only answer clients whose bodies are `bytes::Bytes`".into())
}
