//! The client of the model: the OpenAI-compatible protocol, chat completions with tools.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use llm_audit::{ErrorDetail, EventType, InSpan, LlmCall, Status, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Provider;
use crate::http_client::{HttpClient, Unreachable, with_retry_count};
use crate::message::{ChatMessage, RecordedMessages, json_or_text};
use crate::step::AgentStep;
use crate::tools;

/// A provider that asks for a longer pause is not asked again sooner, but no later either.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// What an error quotes of an answer's text.
const QUOTED_CHARS_MAX: usize = 300;

/// Asks a provider's models.
pub(crate) struct ModelClient {
    pub(crate) http: HttpClient,
    pub(crate) provider: Provider,
}

#[derive(Deserialize)]
struct ChatCompletion {
    model: Option<String>,
    choices: Vec<CompletionChoice>,
}

#[derive(Deserialize)]
struct CompletionChoice {
    message: ChatMessage,
}

impl ModelClient {
    /// Asks `model` once and records the call; `retries` is how often it was asked before.
    pub(crate) async fn chat(
        &self,
        model: &str,
        messages: &[ChatMessage],
        retries: u32,
    ) -> Result<ChatMessage, ModelError> {
        let data = json!({"model": model, "provider": "openai"});
        let step = AgentStep::begin(EventType::LlmError, "benefits", "chat", data);
        let asked = tokio::time::timeout(
            self.provider.timeout,
            self.post(model, messages, retries).in_span(step.span().clone()),
        );
        let outcome = asked.await.unwrap_or(Err(ModelError::TimedOut(self.provider.timeout)));
        self.record(&step, model, messages, &outcome);
        step.recorded_elsewhere();
        outcome.map(|answered| answered.message)
    }

    async fn post(
        &self,
        model: &str,
        messages: &[ChatMessage],
        retries: u32,
    ) -> Result<ModelAnswer, ModelError> {
        let body = json!({"model": model, "messages": messages, "tools": tools::tool_schema()});
        let request = Request::post(format!("{}/chat/completions", self.provider.base_url))
            .header("content-type", "application/json");
        let mut request = with_retry_count(request, retries);
        if let Some(key) = &self.provider.api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(Full::new(Bytes::from(body.to_string())));
        let request = request.map_err(ModelError::BadRequest)?;
        let (head, body) = self.http.fetch(request).await.map_err(ModelError::Unreachable)?;
        let text = String::from_utf8_lossy(&body).into_owned();
        match head.status {
            StatusCode::OK => read_chat_completion(&text),
            StatusCode::TOO_MANY_REQUESTS => Err(ModelError::RateLimited(
                provider_pause(&head.headers),
                provider_error_message(&text),
            )),
            status => Err(ModelError::Refused(status, provider_error_message(&text))),
        }
    }

    /// `llm.invoke`, or `llm.error` with what was asked as its snapshot.
    fn record(
        &self,
        step: &AgentStep,
        model: &str,
        messages: &[ChatMessage],
        outcome: &Result<ModelAnswer, ModelError>,
    ) {
        let prompt = RecordedMessages(messages);
        let call = |model| {
            LlmCall::new("benefits", "chat", "openai", model)
                .span(step.span())
                .latency_ms(step.latency_ms())
                .prompt(&prompt)
        };
        match outcome {
            Ok(answered) => {
                let completion = RecordedMessages(std::slice::from_ref(&answered.message));
                let call = call(answered.model.as_deref().unwrap_or(model)).completion(&completion);
                llm_audit::record_llm_call(&match answered.usage {
                    Some(usage) => call.usage(usage),
                    None => call,
                });
            }
            Err(error) => {
                let snapshot = json!({"messages": prompt});
                let environment = json!({"model": model, "base_url": self.provider.base_url});
                let detail = ErrorDetail::from_error(error)
                    .recoverable(error.is_recoverable())
                    .input_snapshot(&snapshot)
                    .environment(&environment);
                let call = call(model).error(&detail);
                llm_audit::record_llm_call(&match error {
                    ModelError::TimedOut(_) => call.status(Status::Timeout),
                    _ => call,
                });
            }
        }
    }
}

/// What a provider answered.
#[derive(Debug)]
struct ModelAnswer {
    message: ChatMessage,
    /// The model that answered, which may have a more exact name than the one that was asked.
    model: Option<String>,
    usage: Option<Usage>,
}

fn read_chat_completion(text: &str) -> Result<ModelAnswer, ModelError> {
    // The parser's own text may quote the answer; the line and column say enough.
    let answer: ChatCompletion = serde_json::from_str(text)
        .map_err(|error| ModelError::NotUnderstood(error.line(), error.column()))?;
    let choice = answer.choices.into_iter().next().ok_or(ModelError::NotUnderstood(1, 1))?;
    Ok(ModelAnswer { message: choice.message, model: answer.model, usage: Usage::from_json(text) })
}

/// How long the provider asks to be left alone: `retry-after-ms`, else the seconds of `retry-after`.
fn provider_pause(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let asked = number("retry-after-ms").map(Duration::from_millis);
    let asked = asked.or_else(|| number("retry-after").map(Duration::from_secs));
    asked.map(|pause| pause.min(PAUSE_MAX))
}

/// The message of an error answer; the beginning of its text if it has none.
fn provider_error_message(text: &str) -> String {
    let said = json_or_text(text);
    let said = said.pointer("/error/message").and_then(Value::as_str).unwrap_or(text);
    said.chars().take(QUOTED_CHARS_MAX).collect()
}

/// Why there is no answer of a model.
#[derive(Debug)]
pub(crate) enum ModelError {
    BadRequest(http::Error),
    Unreachable(Unreachable),
    TimedOut(Duration),
    RateLimited(Option<Duration>, String),
    Refused(StatusCode, String),
    /// The line and column at which the answer stops being one.
    NotUnderstood(usize, usize),
}

impl ModelError {
    /// Whether the same request may be answered later.
    pub(crate) fn is_recoverable(&self) -> bool {
        match self {
            Self::BadRequest(_) => false,
            Self::Refused(status, _) => status.is_server_error(),
            _ => true,
        }
    }

    /// How long to wait before the next try, if the provider said so.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(pause, _) => *pause,
            _ => None,
        }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(_) => f.write_str("the provider has no valid URL or key"),
            Self::Unreachable(_) => f.write_str("the provider did not answer"),
            Self::TimedOut(after) => write!(f, "no answer within {} ms", after.as_millis()),
            Self::RateLimited(_, why) => write!(f, "too many requests: {why}"),
            Self::Refused(status, why) => write!(f, "the provider said {status}: {why}"),
            Self::NotUnderstood(line, column) => {
                write!(f, "the answer is no chat completion from line {line}, column {column}")
            }
        }
    }
}

impl Error for ModelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::BadRequest(cause) => Some(cause),
            Self::Unreachable(cause) => Some(cause),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = [(&'static str, &'static str)];

    #[test]
    fn the_pause_is_what_the_provider_asks_for_within_bounds() {
        let headers = |pairs: &Pairs| {
            let pairs = pairs.iter();
            pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let cases: [(&Pairs, Option<u64>); 5] = [
            (&[], None),
            (&[("retry-after", "2")], Some(2000)),
            (&[("retry-after", "2"), ("retry-after-ms", "30")], Some(30)),
            (&[("retry-after", "86400")], Some(10_000)),
            (&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], None),
        ];
        for (pairs, ms) in cases {
            assert_eq!(provider_pause(&headers(pairs)), ms.map(Duration::from_millis), "{pairs:?}");
        }
    }

    #[test]
    fn an_answer_that_is_none_says_where_and_quotes_nothing() {
        for text in ["", "Ana's answer", r#"{"choices":"Ana"}"#, r#"{"choices":[]}"#] {
            let error = read_chat_completion(text).expect_err(text).to_string();
            assert!(error.contains("line") && !error.contains("Ana"), "{error}");
        }
    }
}
