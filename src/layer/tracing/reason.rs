//! Why an operation failed, as far as only what happened inside its span says it.

use super::fields::GenAiFields;
use super::names;

/// What is known of a failure.
#[derive(Clone, Debug)]
pub(super) struct FailureReason {
    /// `None` for a log event, because the operation may have failed in another way.
    pub(super) error_type: Option<String>,
    pub(super) message: String,
}

/// What async-openai writes before a body that it cannot parse.
const BODY_FOLLOWS: &str = "failed deserialization of";

impl FailureReason {
    /// Reads a log event: its message and its error. `None` if it has no text.
    pub(super) fn of_log(fields: &GenAiFields) -> Option<Self> {
        let message = fields.text(names::LOG_MESSAGE).map(|text| match fields.keeps_content() {
            false if text.starts_with(BODY_FOLLOWS) => "failed deserialization",
            _ => text,
        });
        let error = fields.text(names::ERROR_MESSAGE).or(fields.text(names::LOG_ERROR));
        let message = match (message, error) {
            (Some(message), Some(error)) => format!("{message}: {error}"),
            (message, error) => message.or(error)?.to_owned(),
        };
        Some(Self { error_type: None, message })
    }

    /// Reads the span of a client, such as reqwest-tracing's. `None` if the call did not fail.
    pub(super) fn of_client_span(fields: &GenAiFields) -> Option<Self> {
        let code = fields.text(names::HTTP_STATUS).filter(|code| code.starts_with(['4', '5']));
        let error_type = fields.text(names::ERROR_TYPE).or(code);
        let message = fields.text(names::ERROR_MESSAGE).map(str::to_owned);
        let message = message.or(code.map(|code| format!("HTTP status {code}")));
        if message.is_none() && error_type.is_none() {
            return None;
        }
        let error_type = error_type.map(str::to_owned);
        Some(Self { message: message.unwrap_or_default(), error_type })
    }
}
