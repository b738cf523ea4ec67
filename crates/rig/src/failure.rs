//! Reads why a run or a call failed from the text of rig's error.

use serde_json::Value;

/// The type and the message of an error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error_type: String,
    pub(crate) message: String,
}

/// How the texts of rig's errors begin, and the types of these errors.
const BEGINNINGS: [(&str, &str); 12] = [
    ("ProviderResponseError: ", "provider_response"),
    ("invalid authentication: ", "invalid_authentication"),
    ("ResponseError: the reply ended before the provider ended it", "truncated"),
    ("ResponseError: ", "response"),
    ("ProviderError: ", "provider"),
    ("HttpError: ", "http"),
    ("JsonError: ", "json"),
    ("UrlError: ", "url"),
    ("RequestError: ", "request"),
    ("the run was cancelled: ", "cancelled"),
    ("reached the max turns limit", "max_turns"),
    ("model attempted to call unknown or disallowed tool", "invalid_tool_call"),
];

impl Failure {
    pub(crate) fn new(error_type: &str, message: impl Into<String>) -> Self {
        Self { error_type: error_type.to_owned(), message: message.into() }
    }

    /// Reads the text of an error of rig. If it contains the provider's answer, the type and the message are
    /// those of the answer.
    pub(crate) fn of_text(text: &str) -> Self {
        let beginning = BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning));
        let Some((beginning, error_type)) = beginning else { return Self::new("error", text) };
        let rest = match beginning.contains(": ") {
            true => text.split_once(": ").map_or(text, |(_, rest)| rest),
            false => text,
        };
        let answered = match *error_type {
            "provider_response" | "invalid_authentication" => Self::of_answer(rest),
            _ => None,
        };
        answered.unwrap_or_else(|| Self::new(error_type, rest))
    }

    /// Reads `status 429 Too Many Requests: {"error": …}`; the status or the body may be missing.
    fn of_answer(text: &str) -> Option<Self> {
        let body = text.find('{').and_then(|at| {
            serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>().next()?.ok()
        });
        let error = body.as_ref().and_then(|body| body.get("error"));
        let member = |name| error?.get(name)?.as_str().filter(|text| !text.is_empty());
        let status = text.strip_prefix("status ").and_then(|rest| rest.get(..3));
        let error_type = member("code").or_else(|| member("status")).or_else(|| member("type"));
        Some(Self::new(error_type.or(status)?, member("message").unwrap_or(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_and_message_are_the_providers_if_it_answered() {
        let cases = [
            (
                r#"ProviderResponseError: status 429 Too Many Requests: {"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}} (request id: req_1)"#,
                ("insufficient_quota", "pay"),
            ),
            (
                r#"ProviderResponseError: status 500 Internal Server Error: {"error":{"type":"server_error","message":"overloaded","code":null}}"#,
                ("server_error", "overloaded"),
            ),
            (
                r#"ProviderResponseError: {"error":{"status":"UNAVAILABLE","message":"later"}}"#,
                ("UNAVAILABLE", "later"),
            ),
            (
                "ProviderResponseError: status 502 Bad Gateway: <html>{}",
                ("502", "status 502 Bad Gateway: <html>{}"),
            ),
            ("ProviderResponseError: gone", ("provider_response", "gone")),
            (
                r#"invalid authentication: status 401 Unauthorized: {"error":{"message":"no key"}}"#,
                ("401", "no key"),
            ),
            (
                "ResponseError: the reply ended before the provider ended it",
                ("truncated", "the reply ended before the provider ended it"),
            ),
            ("ResponseError: {}", ("response", "{}")),
            ("HttpError: reset", ("http", "reset")),
            ("the run was cancelled: enough", ("cancelled", "enough")),
            ("reached the max turns limit of 4", ("max_turns", "reached the max turns limit of 4")),
            ("something else", ("error", "something else")),
        ];
        for (text, (error_type, message)) in cases {
            assert_eq!(Failure::of_text(text), Failure::new(error_type, message), "{text}");
        }
    }
}
