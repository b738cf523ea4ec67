//! Push notifications: tells a member over HTTP that an answer is there.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use llm_audit::EventType;
use serde_json::{Value, json};

use crate::http_client::{HttpClient, Unreachable};
use crate::step::AgentStep;

/// The client of the push service.
pub(crate) struct PushClient {
    pub(crate) http: HttpClient,
    /// Of the push service, without a path.
    pub(crate) base_url: String,
}

impl PushClient {
    /// Sends `body` and records it as `push.send` of `agent`.
    pub(crate) async fn send(&self, agent: &'static str, body: &Value) -> Result<(), PushError> {
        let text = body.to_string();
        let mut data = json!({"service": "push", "bytes": text.len()});
        if llm_audit::captures_content() {
            data["body"] = body.clone();
        }
        AgentStep::begin(EventType::PushSend, agent, "notify", data).run(self.post(text)).await
    }

    /// Sends a notification, without an event of its own.
    pub(crate) async fn post(&self, text: String) -> Result<(), PushError> {
        let request = Request::post(format!("{}/push", self.base_url))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(text)))
            .map_err(PushError::BadUrl)?;
        let (head, body) = self.http.fetch(request).await.map_err(PushError::Unreachable)?;
        if head.status.is_success() {
            return Ok(());
        }
        Err(PushError::Refused(head.status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Why a notification was not sent.
#[derive(Debug)]
pub(crate) enum PushError {
    BadUrl(http::Error),
    Unreachable(Unreachable),
    Refused(StatusCode, String),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(_) => f.write_str("the push service has no valid URL"),
            Self::Unreachable(_) => f.write_str("the push service did not answer"),
            Self::Refused(status, why) => write!(f, "the push service said {status}: {why}"),
        }
    }
}

impl Error for PushError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::BadUrl(cause) => Some(cause),
            Self::Unreachable(cause) => Some(cause),
            Self::Refused(..) => None,
        }
    }
}
