//! Recognizes the errors that are timeouts.

#[cfg(feature = "tower")]
use std::error::Error as StdError;
#[cfg(feature = "tower")]
use std::io;

/// Reports whether an error is a timeout by its kind or by its text.
///
/// The timeout types of tower, tokio, reqwest and tonic are not known here, and reqwest's is
/// private. An error that is a `dyn Error` shows only its text. No library promises that text, but
/// it has not changed in years.
#[cfg(feature = "tower")]
pub(super) fn is_timeout_error(error: &(dyn StdError + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
        || is_timeout_message(&error.to_string())
}

/// Reports whether an error with this message is a timeout.
#[cfg(feature = "tower")]
pub(super) fn is_timeout_message(message: &str) -> bool {
    contains_timeout_word(message, &["timed out", "deadline has elapsed", "timeout expired"])
}

/// Reports whether an error of this type is a timeout.
///
/// Accepted are names such as `timeout`, `DeadlineExceeded` and `tokio::time::error::Elapsed`, and
/// the status codes 408 and 504.
#[cfg(feature = "tracing")]
pub(super) fn is_timeout_type_name(error_type: &str) -> bool {
    let letters: String = error_type.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(&*letters, "408" | "504")
        || contains_timeout_word(&letters, &["timeout", "timedout", "deadlineexceeded", "elapsed"])
}

fn contains_timeout_word(text: &str, parts: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    parts.iter().any(|part| text.contains(part))
}
