//! The tools: what the agent looks up in the search service, for itself and for the model.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use llm_audit::replay::RecordedError;
use llm_audit::{AuditEvent, ErrorDetail, EventType, Status, audit_span};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::http_client::{HttpClient, Unreachable, with_retry_count};
use crate::message::{CalledFunction, ToolCall, json_or_text};
use crate::percent;
use crate::step::current_span_or_new;

/// A tool that failed is tried again so often.
const RETRIES_MAX: u32 = 1;

/// The client of the search service.
pub(crate) struct Tools {
    pub(crate) http: HttpClient,
    /// Of the search service, without a path.
    pub(crate) base_url: String,
    /// A tool that takes longer is cancelled.
    pub(crate) timeout: Duration,
}

/// Who asks for a member's record, with the credentials that came with the request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MemberQuery {
    pub(crate) case: u64,
    pub(crate) member: String,
    pub(crate) authorization: Option<String>,
    pub(crate) cookie: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PlanQuery {
    pub(crate) member: String,
    pub(crate) topic: String,
    /// What else a model adds. It is recorded, and sent nowhere.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ClaimQuery {
    pub(crate) case: u64,
    /// What else a model adds. It is recorded, and sent nowhere.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// A tool call of the model's, understood.
enum ParsedToolCall {
    Plans(PlanQuery),
    Claim(ClaimQuery),
}

/// The tools, as the model is told.
pub(crate) fn tool_schema() -> Value {
    let tool = |name: &str, description: &str, properties: Value| {
        let required: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).collect();
        json!({"type": "function", "function": {
            "name": name, "description": description,
            "parameters": {"type": "object", "properties": properties, "required": required},
        }})
    };
    let text = json!({"type": "string"});
    json!([
        tool("plan_search", "Finds the plans of a member", json!({"member": text, "topic": text})),
        tool("claim_status", "How a claim stands", json!({"case": {"type": "integer"}})),
    ])
}

impl Tools {
    /// Does what the model called for: once more if it failed and may yet succeed.
    pub(crate) async fn run_with_retry(
        &self,
        function: &CalledFunction,
    ) -> Result<Value, ToolError> {
        let call = ParsedToolCall::parse(function)
            .inspect_err(|error| record_refused_call(function, error))?;
        let mut retries = 0;
        loop {
            match self.run_once(&call, retries).await {
                Err(error) if error.is_recoverable() && retries < RETRIES_MAX => {
                    retries += 1;
                    let data = json!({"tool": function.name, "attempt": retries + 1,
                        "reason": error.to_string()});
                    llm_audit::emit(
                        &AuditEvent::new(EventType::AgentRetry, "benefits", "tool.again")
                            .status(Status::Retry)
                            .data(&data),
                    );
                }
                outcome => return outcome,
            }
        }
    }

    /// Runs a tool once, and cancels it if it takes too long.
    async fn run_once(&self, call: &ParsedToolCall, retries: u32) -> Result<Value, ToolError> {
        let tool = async {
            match call {
                ParsedToolCall::Plans(query) => self.plan_search(query, retries).await,
                ParsedToolCall::Claim(query) => self.claim_status(query, retries).await,
            }
        };
        tokio::select! {
            outcome = tool => outcome,
            () = tokio::time::sleep(self.timeout) => Err(ToolError::TimedOut(self.timeout)),
        }
    }

    /// Who the member is.
    #[audit_span(
        agent = "benefits", action = "member_record", capture_args, capture_result,
        recoverable = ToolError::is_recoverable
    )]
    pub(crate) async fn member_record(&self, query: &MemberQuery) -> Result<Value, ToolError> {
        let request = Request::get(format!("{}/members/{}", self.base_url, query.case));
        let given = [("authorization", &query.authorization), ("cookie", &query.cookie)];
        self.fetch(given.into_iter().fold(request, |request, (name, value)| match value {
            Some(value) => request.header(name, value),
            None => request,
        }))
        .await
    }

    /// Which plans speak of a topic.
    #[audit_span(
        agent = "benefits", action = "plan_search", capture_args, capture_result,
        recoverable = ToolError::is_recoverable
    )]
    pub(crate) async fn plan_search(
        &self,
        query: &PlanQuery,
        retries: u32,
    ) -> Result<Value, ToolError> {
        let (member, topic) =
            (percent::percent_encode(&query.member), percent::percent_encode(&query.topic));
        let url = format!("{}/plans?member={member}&topic={topic}", self.base_url);
        let found = self.fetch(with_retry_count(Request::get(url), retries)).await?;
        let plans = found["plans"].as_array().map_or(0, Vec::len);
        llm_audit::count("plans_found", plans as u64);
        Ok(found)
    }

    /// The state of a claim.
    #[audit_span(
        agent = "benefits", action = "claim_status", capture_args, capture_result,
        recoverable = ToolError::is_recoverable
    )]
    async fn claim_status(&self, query: &ClaimQuery, retries: u32) -> Result<Value, ToolError> {
        let url = format!("{}/claims/{}", self.base_url, query.case);
        self.fetch(with_retry_count(Request::get(url), retries)).await
    }

    async fn fetch(&self, request: http::request::Builder) -> Result<Value, ToolError> {
        let request = request.body(Full::new(Bytes::new())).map_err(ToolError::BadRequest)?;
        let (head, body) = self.http.fetch(request).await.map_err(ToolError::Unreachable)?;
        let text = String::from_utf8_lossy(&body);
        match head.status {
            StatusCode::OK => Ok(json_or_text(&text)),
            status => Err(ToolError::Refused(status, text.into_owned())),
        }
    }
}

impl ParsedToolCall {
    fn parse(function: &CalledFunction) -> Result<Self, ToolError> {
        // The parser's own text may quote the arguments; the line and column say enough.
        let unreadable =
            |error: serde_json::Error| ToolError::Unreadable(error.line(), error.column());
        let arguments = &function.arguments;
        match function.name.as_str() {
            "plan_search" => serde_json::from_str(arguments).map(Self::Plans).map_err(unreadable),
            "claim_status" => serde_json::from_str(arguments).map(Self::Claim).map_err(unreadable),
            _ => Err(ToolError::Unknown),
        }
    }
}

/// Which members the model asked about, as the list that auditors get.
///
/// A call whose arguments are not JSON names nobody. Unless it is skipped, the whole list is lost: that is the
/// bug of this example, which its replay reproduces.
#[audit_span(agent = "benefits", action = "calls.summary", capture_result)]
pub(crate) fn summarize_calls(
    calls: &[ToolCall],
    skips_malformed: bool,
) -> Result<Vec<Value>, ToolError> {
    let mut members = Vec::new();
    for call in calls {
        match serde_json::from_str::<Value>(&call.function.arguments) {
            Ok(arguments) => members.push(arguments["member"].clone()),
            Err(_) if skips_malformed => {}
            Err(error) => return Err(ToolError::Unreadable(error.line(), error.column())),
        }
    }
    Ok(members)
}

/// Records a call that comes to no tool.
fn record_refused_call(function: &CalledFunction, error: &ToolError) {
    let snapshot = json!({"arguments": json_or_text(&function.arguments)});
    let detail = ErrorDetail::from_error(error).recoverable(true).input_snapshot(&snapshot);
    llm_audit::emit(
        &AuditEvent::new(EventType::ToolError, "benefits", "tool.refuse")
            .context(&current_span_or_new().new_span())
            .data(&json!({"tool": function.name}))
            .error(&detail),
    );
}

/// Why a tool found nothing.
#[derive(Debug)]
pub(crate) enum ToolError {
    Unknown,
    /// The line and column at which the arguments stop being any.
    Unreadable(usize, usize),
    BadRequest(http::Error),
    Unreachable(Unreachable),
    Refused(StatusCode, String),
    TimedOut(Duration),
    /// What a replay has in the place of another one.
    Recorded(Box<RecordedError>),
}

impl From<RecordedError> for ToolError {
    fn from(error: RecordedError) -> Self {
        Self::Recorded(Box::new(error))
    }
}

impl ToolError {
    /// Whether the same call may succeed later.
    pub(crate) fn is_recoverable(&self) -> bool {
        match self {
            Self::Unknown | Self::Unreadable(..) | Self::BadRequest(_) => false,
            Self::Refused(status, _) => status.is_server_error(),
            Self::Unreachable(_) | Self::TimedOut(_) => true,
            Self::Recorded(error) => error.recoverable.unwrap_or(false),
        }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such tool"),
            Self::Unreadable(line, column) => {
                write!(f, "the arguments are not the tool's from line {line}, column {column}")
            }
            Self::BadRequest(_) => f.write_str("the search service has no valid URL or header"),
            Self::Unreachable(_) => f.write_str("the search service did not answer"),
            Self::Refused(status, why) => write!(f, "the search service said {status}: {why}"),
            Self::TimedOut(after) => write!(f, "nothing found within {} ms", after.as_millis()),
            Self::Recorded(error) => f.write_str(&error.message),
        }
    }
}

impl Error for ToolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::BadRequest(cause) => Some(cause),
            Self::Unreachable(cause) => Some(cause),
            _ => None,
        }
    }
}
