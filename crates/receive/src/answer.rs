//! Answers to requests, in the encoding of the request.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use prost::Message;
use serde_json::{Value, json};

use crate::settings::RETRY_AFTER_SECONDS;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// What a request contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    Logs,
    Traces,
    Metrics,
}

/// The outcome of a request that was recorded: how many of its records were not, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) rejected: u64,
    pub(crate) why: Option<String>,
}

/// Why a request is not accepted.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    why: Cow<'static, str>,
}

/// What is answered.
pub(crate) enum Answer {
    Health(llm_audit::metrics::Health),
    Accepted(Signal, Accepted),
}

/// The message that describes a failed request: `google.rpc.Status` without its details.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The answer to an export. Those of the three signals have the same form.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl Encoding {
    const PROTOBUF: &'static str = "application/x-protobuf";
    const JSON: &'static str = "application/json";

    /// Returns the encoding of the request's body. Parameters of the media type do not count.
    pub(crate) fn of_request(headers: &HeaderMap) -> Option<Self> {
        let name = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
        match name {
            name if name.eq_ignore_ascii_case(Self::PROTOBUF) => Some(Self::Protobuf),
            name if name.eq_ignore_ascii_case(Self::JSON) => Some(Self::Json),
            _ => None,
        }
    }

    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => Self::PROTOBUF,
            Self::Json => Self::JSON,
        })
    }

    fn encode(self, message: &impl Message, json: impl FnOnce() -> Value) -> Bytes {
        match self {
            Self::Protobuf => message.encode_to_vec().into(),
            Self::Json => json().to_string().into(),
        }
    }
}

impl Signal {
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        match path {
            "/v1/logs" => Some(Self::Logs),
            "/v1/traces" => Some(Self::Traces),
            "/v1/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    /// Returns the member of a partial success that has the number of rejected records, in JSON.
    fn rejected_member(self) -> &'static str {
        match self {
            Self::Logs => "rejectedLogRecords",
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}

impl Accepted {
    /// Adds rejected records. The first reason is kept.
    pub(crate) fn add(&mut self, rejected: u64, why: Option<String>) {
        self.rejected += rejected;
        self.why = self.why.take().or(why);
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { status, why: why.into() }
    }

    pub(crate) fn malformed(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    pub(crate) fn too_large(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    }

    /// A client may send the same request again.
    pub(crate) fn unavailable(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    /// Returns the code of gRPC for the status.
    fn code(&self) -> i32 {
        match self.status.as_u16() {
            401 => 16,
            403 => 7,
            404 => 5,
            405 | 415 => 12,
            413 => 8,
            500 => 13,
            503 => 14,
            _ => 3,
        }
    }
}

/// Returns the response to a request whose body has this encoding.
pub(crate) fn response_of(
    outcome: Result<Answer, Refusal>,
    encoding: Encoding,
) -> Response<Full<Bytes>> {
    match outcome {
        Ok(Answer::Health(health)) => {
            let status = StatusCode::from_u16(health.http_status());
            respond(status.unwrap_or(StatusCode::OK), Encoding::Json, health.to_json().into())
        }
        Ok(Answer::Accepted(signal, accepted)) => {
            respond(StatusCode::OK, encoding, accepted_body(signal, accepted, encoding))
        }
        Err(refusal) => refuse(refusal, encoding),
    }
}

fn accepted_body(signal: Signal, accepted: Accepted, encoding: Encoding) -> Bytes {
    let partial_success = (accepted != Accepted::default()).then(|| PartialSuccess {
        rejected: i64::try_from(accepted.rejected).unwrap_or(i64::MAX),
        error_message: accepted.why.unwrap_or_default(),
    });
    let response = ExportResponse { partial_success };
    encoding.encode(&response, || match &response.partial_success {
        // 64-bit integers are texts in the JSON of protobuf.
        Some(partial) => json!({"partialSuccess": {
            signal.rejected_member(): partial.rejected.to_string(),
            "errorMessage": partial.error_message,
        }}),
        None => json!({}),
    })
}

fn refuse(refusal: Refusal, encoding: Encoding) -> Response<Full<Bytes>> {
    let status = Status { code: refusal.code(), message: refusal.why.into_owned() };
    let body = encoding.encode(&status, || json!({"code": status.code, "message": status.message}));
    let mut response = respond(refusal.status, encoding, body);
    let headers = response.headers_mut();
    match refusal.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    response
}

fn respond(status: StatusCode, encoding: Encoding, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, encoding.media_type());
    response
}
