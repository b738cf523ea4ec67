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
pub(crate) fn is_timeout_error(error: &(dyn StdError + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
        || is_timeout_message(&error.to_string())
}

/// Reports whether an error with this message is a timeout.
pub(crate) fn is_timeout_message(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["timed out", "deadline has elapsed", "timeout expired"]
        .iter()
        .any(|part| message.contains(part))
}
