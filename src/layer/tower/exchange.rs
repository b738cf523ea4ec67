//! One request and its response, with its span and its one end.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use http::{HeaderMap, Method, StatusCode};
use http_body::Frame;
use parking_lot::Mutex;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::attempts::LayerAttempts;
use super::content::BodyContent;
use super::failure::ServiceFailure;
use super::headers::{self, RecordedHeaders};
use super::model::{EndedModelCall, ModelCall};
use super::settings::LayerSettings;
use super::streams::StreamWatch;
use crate::context::TraceContext;
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::record::{OptionalFields, Payload};

/// The side of the connection that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExchangeSide {
    Server,
    Client,
}

/// The way in which an exchange ended.
pub(super) enum ExchangeEnd {
    /// With the last byte of the response.
    Done,
    /// With the head of the response, because the reader wanted nothing else.
    Unread,
    /// It was dropped before that.
    Cancelled,
    Panicked,
    Failed(ServiceFailure),
}

/// One request and its response.
///
/// It ends once: by [`record_end`](Self::record_end), or when it is dropped.
pub(super) struct Exchange {
    pub(super) settings: Arc<LayerSettings>,
    pub(super) side: ExchangeSide,
    pub(super) context: TraceContext,
    pub(super) started: Instant,
    pub(super) method: Method,
    /// The route of a server, the URL of a client.
    pub(super) route_or_url: Option<String>,
    pub(super) action: String,
    pub(super) attempt: Option<u32>,
    /// The attempts that this one is one of, if the layer counts them.
    pub(super) attempts: Option<LayerAttempts>,
    /// The call of a model, if this may be one.
    pub(super) model_call: Option<Box<ModelCall>>,
    pub(super) request_body: Option<Arc<Mutex<BodyContent>>>,
    pub(super) answer: Option<SeenResponse>,
    pub(super) is_over: bool,
}

/// The response so far.
pub(super) struct SeenResponse {
    status: StatusCode,
    is_grpc: bool,
    grpc_status: Option<u32>,
    headers: Option<RecordedHeaders>,
    content: BodyContent,
    stream: StreamWatch,
    is_upgrade: bool,
    /// The time from the request to this head.
    head_after: Duration,
}

impl Exchange {
    /// Records that a call of a model that failed is tried again, below the span that the attempts are in.
    pub(super) fn record_retry(&self) {
        let (Some(call), Some(attempts)) = (&self.model_call, &self.attempts) else { return };
        let Some(reason) = attempts.last_failure() else { return };
        let attempt = self.attempt.as_ref().map(|attempt| attempt as &dyn Payload);
        let members = [("attempt", attempt), ("reason", Some(&reason as &dyn Payload))];
        let data = OptionalFields(&members);
        let event = AuditEvent::new(EventType::AgentRetry, &self.settings.agent, call.operation())
            .status(Status::Retry)
            .payload(&data);
        let current = TraceContext::current();
        let context = current.as_ref().unwrap_or(&self.context);
        self.settings.outlet.emit(&event.context(context));
    }

    /// Reads the body of a request. If it is streamed, its length is not known.
    pub(super) fn read_request_body(&mut self, body: Option<&[u8]>) {
        match (body, &self.request_body) {
            (Some(body), Some(seen)) => seen.lock().add_whole(&body),
            (None, _) => self.request_body = None,
            _ => {}
        }
    }

    /// Runs code of the service in the request's span; a panic in it ends the exchange.
    pub(super) fn run_in_span<R>(&mut self, code: impl FnOnce() -> R) -> R {
        struct OnPanic<'a>(&'a mut Exchange);
        impl Drop for OnPanic<'_> {
            fn drop(&mut self) {
                self.0.record_end(ExchangeEnd::Panicked);
            }
        }
        let _scope = self.context.enter();
        let on_panic = OnPanic(self);
        let result = code();
        mem::forget(on_panic);
        result
    }

    /// Stores the head of the response; returns whether a body follows it.
    pub(super) fn store_response_head(&mut self, status: StatusCode, headers: &HeaderMap) -> bool {
        let is_grpc = headers::has_grpc_content_type(headers);
        let is_upgrade = status == StatusCode::SWITCHING_PROTOCOLS
            || (self.method == Method::CONNECT && status.is_success());
        self.answer = Some(SeenResponse {
            status,
            is_grpc,
            grpc_status: headers::read_grpc_status_header(headers).filter(|_| is_grpc),
            headers: RecordedHeaders::pick(&self.settings.headers, headers),
            content: BodyContent::new(headers, self.settings.body_capture(), 0),
            stream: StreamWatch::new(headers),
            is_upgrade,
            head_after: self.started.elapsed(),
        });
        if let Some(call) = &mut self.model_call {
            call.read_head(headers);
        }
        let is_bodyless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        !is_upgrade && !is_bodyless && self.method != Method::HEAD
    }

    /// Counts a frame of the response's body, and keeps it if bodies are captured.
    pub(super) fn count_response_frame<D: Buf>(&mut self, frame: &Frame<D>) {
        let Some(answer) = &mut self.answer else { return };
        if let Some(data) = frame.data_ref() {
            answer.content.add_data(data);
            answer.stream.add_data(data);
            answer.grpc_status = answer.grpc_status.or_else(|| answer.stream.grpc_status());
            if let Some(call) = &mut self.model_call {
                call.add_data(data, || self.started.elapsed());
            }
        }
        if let Some(trailers) = frame.trailers_ref().filter(|_| answer.is_grpc) {
            answer.grpc_status = headers::read_grpc_status_header(trailers).or(answer.grpc_status);
        }
    }

    /// Returns whether a reader that reads nothing of the body has all that it wanted: a client does, but
    /// not of a model's stream, unless it is refused.
    pub(super) fn may_end_unread(&self) -> bool {
        let is_good = self.answer.as_ref().is_some_and(|answer| answer.status.is_success());
        let is_stream = self.model_call.as_ref().is_some_and(|call| call.is_stream());
        self.side == ExchangeSide::Client && !(is_good && is_stream)
    }

    /// Returns whether a reader that drops the body here has read all that it wanted: an event
    /// stream up to the end of an event, the stream of a model up to its end marker, or the trailers of
    /// gRPC-Web.
    pub(super) fn may_end_here(&self) -> bool {
        let answer = self.answer.as_ref().filter(|_| self.side == ExchangeSide::Client);
        answer.is_some_and(|answer| {
            answer.status.is_success()
                && match &self.model_call {
                    Some(call) => call.has_ended(),
                    None => answer.stream.may_end_here(),
                }
        })
    }

    /// Returns the number of bytes of the response's body so far.
    pub(super) fn response_bytes(&self) -> u64 {
        self.answer.as_ref().map_or(0, |answer| answer.content.bytes)
    }

    /// Records the end, unless it was recorded before.
    pub(super) fn record_end(&mut self, ending: ExchangeEnd) {
        if mem::replace(&mut self.is_over, true) {
            return;
        }
        if let (ExchangeEnd::Done, Some(answer)) = (&ending, &mut self.answer) {
            answer.content.is_whole = true;
        }
        let latency = match (&ending, &self.answer) {
            // A layer around this one may hold the body until it tries again.
            (ExchangeEnd::Unread, Some(answer)) => answer.head_after,
            _ => self.started.elapsed(),
        };
        let call = self.finish_model_call();
        let (status, error) = self.end_status(ending);
        let (status, error) = match &call {
            Some(call) => call.end_status(status, error),
            None => (status, error),
        };
        let cost = call.as_ref().and_then(|call| call.cost(&self.settings.outlet, error.is_some()));
        let event_type = self.end_type(call.is_some(), error.is_some());
        let data = ExchangeEndData { exchange: self, model_call: call.as_ref() };
        let action = call.as_ref().map_or(&*self.action, |call| call.operation());
        let mut event = AuditEvent::new(event_type, &self.settings.agent, action)
            .status(status)
            .latency(latency)
            .span(&self.context)
            .data(&data)
            .content(&["request_body", "response_body"]);
        event = call.as_ref().map_or(event, |call| call.fill(event));
        event = cost.map_or(event, |cost| event.cost_usd(cost));
        event = error.as_ref().map_or(event, |error| event.error(error));
        self.settings.outlet.emit(&event);
        if let Some(attempts) = &self.attempts {
            attempts.note_end(error.as_ref().filter(|_| call.is_some()));
        }
    }

    /// Ends the call of the model. If the request shows that no model was asked, the exchange becomes an
    /// ordinary call.
    fn finish_model_call(&mut self) -> Option<EndedModelCall> {
        let call = self.model_call.take()?;
        let body = self.request_body.as_ref().map(|content| content.lock());
        call.finish(body.as_ref().and_then(|content| content.whole_bytes()))
    }

    fn end_type(&self, is_model_call: bool, has_failed: bool) -> EventType<'static> {
        match (self.side, is_model_call, has_failed) {
            (ExchangeSide::Server, ..) => EventType::RequestEnd,
            (ExchangeSide::Client, false, _) => EventType::ApiCall,
            (ExchangeSide::Client, true, false) => EventType::LlmInvoke,
            (ExchangeSide::Client, true, true) => EventType::LlmError,
        }
    }

    fn end_status(&self, ending: ExchangeEnd) -> (Status, Option<ErrorDetail<'static>>) {
        let error = |name, message| (Status::Error, Some(ErrorDetail::new(name, message)));
        match (ending, &self.answer) {
            (ExchangeEnd::Done | ExchangeEnd::Unread, Some(answer)) => answer.end_status(self.side),
            (ExchangeEnd::Done | ExchangeEnd::Unread, None) => (Status::Ok, None),
            (ExchangeEnd::Panicked, _) => error("panic", "the service panicked"),
            (ExchangeEnd::Cancelled, None) => error("cancelled", "dropped before the answer came"),
            (ExchangeEnd::Cancelled, Some(_)) => {
                error("cancelled", "dropped before the body ended")
            }
            (ExchangeEnd::Failed(ServiceFailure { detail, is_timeout }), _) => {
                (if is_timeout { Status::Timeout } else { Status::Error }, Some(detail))
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.record_end(ExchangeEnd::Cancelled);
    }
}

impl SeenResponse {
    fn end_status(&self, side: ExchangeSide) -> (Status, Option<ErrorDetail<'static>>) {
        match self.grpc_status {
            Some(code) => grpc_end_status(side, code),
            // The last byte came without a code, so the response was cut off.
            None if self.is_grpc && self.status.is_success() => grpc_end_status(side, GRPC_UNKNOWN),
            None => http_end_status(side, self.status),
        }
    }
}

fn http_end_status(side: ExchangeSide, code: StatusCode) -> (Status, Option<ErrorDetail<'static>>) {
    let status = match code.as_u16() {
        408 | 504 => Status::Timeout,
        500.. => Status::Error,
        400.. if side == ExchangeSide::Client => Status::Error,
        _ => return (Status::Ok, None),
    };
    let reason = code.canonical_reason().unwrap_or("no known status");
    (status, Some(ErrorDetail::new(code.as_str().to_owned(), reason)))
}

/// The code that a response without one counts as (gRPC over HTTP/2, "Responses").
const GRPC_UNKNOWN: u32 = 2;
/// The names of gRPC's codes, by their number.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn grpc_end_status(side: ExchangeSide, code: u32) -> (Status, Option<ErrorDetail<'static>>) {
    let status = match code {
        0 => return (Status::Ok, None),
        4 => Status::Timeout,
        2 | 12..=15 => Status::Error,
        _ if side == ExchangeSide::Client => Status::Error,
        _ => return (Status::Ok, None),
    };
    let name = GRPC_CODES.get(code as usize).copied().unwrap_or("UNKNOWN");
    (status, Some(ErrorDetail::new(name, format!("grpc-status {code}"))))
}

/// Returns the name of a method as in OpenTelemetry; an unknown method is `_OTHER`, because its name
/// is a caller's text.
pub(super) fn http_method_name(method: &Method) -> &str {
    const KNOWN: [&str; 10] =
        ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
    if KNOWN.contains(&method.as_str()) { method.as_str() } else { "_OTHER" }
}

struct ExchangeEndData<'a> {
    exchange: &'a Exchange,
    model_call: Option<&'a EndedModelCall>,
}

impl Serialize for ExchangeEndData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { exchange, model_call } = *self;
        let mut map = serializer.serialize_map(None)?;
        if let Some(call) = model_call {
            call.write_entries(&mut map)?;
        }
        map.serialize_entry("http.method", http_method_name(&exchange.method))?;
        let key = match exchange.side {
            ExchangeSide::Server => "http.route",
            ExchangeSide::Client => "url",
        };
        write_optional_entry(&mut map, key, exchange.route_or_url.as_ref())?;
        write_optional_entry(&mut map, "attempt", exchange.attempt)?;
        if let Some(answer) = &exchange.answer {
            map.serialize_entry("http.status_code", &answer.status.as_u16())?;
            write_optional_entry(&mut map, "rpc.grpc.status_code", answer.grpc_status)?;
            map.serialize_entry("bytes", &answer.content.bytes)?;
            let is_event_stream = answer.stream.is_event_stream();
            let is_stream = model_call.map_or(is_event_stream, EndedModelCall::is_stream);
            write_optional_entry(&mut map, "stream", is_stream.then_some(true))?;
            write_optional_entry(&mut map, "note", answer.is_upgrade.then_some("upgraded"))?;
            write_optional_entry(&mut map, "http.response.headers", answer.headers.as_ref())?;
        }
        let captures = exchange.settings.body_capture().is_some();
        let request_body = exchange.request_body.as_ref().map(|content| content.lock());
        if let Some(content) = &request_body {
            map.serialize_entry("bytes_in", &content.bytes)?;
            let shown = captures && content.bytes > 0;
            write_optional_entry(&mut map, "request_body", shown.then_some(&**content))?;
        }
        let answer = exchange.answer.as_ref().map(|answer| &answer.content);
        let answer = answer.filter(|content| captures && content.bytes > 0);
        write_optional_entry(&mut map, "response_body", answer)?;
        map.end()
    }
}

/// Writes a member, if there is a value for it.
pub(super) fn write_optional_entry<M: SerializeMap, T: Serialize>(
    map: &mut M,
    key: &str,
    value: Option<T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}
