//! Errors of any type, described for the log.

use std::any::{Any, type_name};
use std::error::Error as StdError;
use std::fmt;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::panics::forget_panic;
use crate::record::event::ErrorDetail;
use crate::timeout;

/// A boxed error of any type, the error type of tower's own services.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// The description of an error, and whether it is a timeout.
pub(super) struct ServiceFailure {
    pub(super) detail: ErrorDetail<'static>,
    pub(super) is_timeout: bool,
}

impl ServiceFailure {
    /// Describes an error that was an `E` before it was boxed.
    pub(super) fn from_boxed<E: 'static>(error: &BoxError) -> Self {
        Self::from_dyn::<E>(&**error)
    }

    pub(super) fn from_error<E: StdError + 'static>(error: &E) -> Self {
        Self::from_dyn::<E>(error)
    }

    fn from_dyn<E: 'static>(error: &(dyn StdError + 'static)) -> Self {
        /// The limit is needed because a chain may be a circle.
        const SOURCES_MAX: usize = 32;
        Self::describe_without_paths::<E>(|| {
            let chain = iter::successors(Some(error), |&error| error.source());
            let is_timeout = chain.take(SOURCES_MAX).any(timeout::is_timeout_error);
            Self {
                detail: ErrorDetail::from_named_error(error_type_name::<E>(is_timeout), error),
                is_timeout,
            }
        })
    }

    /// Describes an error whose type promises only a text.
    ///
    /// If the error is boxed, its sources are recorded, too.
    pub(super) fn from_display<E: fmt::Display + 'static>(error: &E) -> Self {
        if let Some(boxed) = (error as &dyn Any).downcast_ref::<BoxError>() {
            return Self::from_boxed::<E>(boxed);
        }
        Self::describe_without_paths::<E>(|| {
            let message = error.to_string();
            let is_timeout = timeout::is_timeout_message(&message);
            Self { detail: ErrorDetail::new(error_type_name::<E>(is_timeout), message), is_timeout }
        })
    }

    /// Runs `describe`, and removes the paths of URLs from its texts.
    ///
    /// `Display` of an error is the caller's code and may panic. Then only the name of the type is
    /// recorded.
    fn describe_without_paths<E>(describe: impl FnOnce() -> Self) -> Self {
        let mut failure = catch_unwind(AssertUnwindSafe(describe)).unwrap_or_else(|panic| {
            forget_panic(panic);
            Self { detail: ErrorDetail::new(error_type_name::<E>(false), ""), is_timeout: false }
        });
        failure.detail = failure.detail.without_url_paths();
        failure
    }
}

/// Returns the name of an error's type; the type of a box would say nothing.
fn error_type_name<E>(is_timeout: bool) -> &'static str {
    match type_name::<E>() {
        name if name != type_name::<BoxError>() => name,
        _ if is_timeout => "timeout",
        _ => "error",
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// An error with this text, and perhaps a source.
    #[derive(Debug)]
    struct Wraps(&'static str, Option<BoxError>);

    impl fmt::Display for Wraps {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Wraps {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1.as_ref().map(|source| &**source as _)
        }
    }

    #[test]
    fn a_timeout_is_found_at_any_depth_and_no_other_word_of_time_is_one() {
        let io = |kind| BoxError::from(io::Error::new(kind, "x"));
        let below = |inner: BoxError| BoxError::from(Wraps("sending", Some(inner)));
        let text = |text| BoxError::from(Wraps(text, None));
        let cases = [
            (io(io::ErrorKind::TimedOut), true),
            (io(io::ErrorKind::ConnectionRefused), false),
            (below(below(io(io::ErrorKind::TimedOut))), true),
            (below(io(io::ErrorKind::ConnectionReset)), false),
            (text("request timed out"), true),
            (below(text("operation timed out")), true),
            (BoxError::from(io::Error::other(Wraps("deadline has elapsed", None))), true),
            (text("Timeout expired"), true),
            (text("the timeout is no number"), false),
            ("too late".into(), false),
        ];
        for (error, expected) in cases {
            let failure = ServiceFailure::from_boxed::<BoxError>(&error);
            assert_eq!(failure.is_timeout, expected, "{error:?}");
            let name = if expected { "timeout" } else { "error" };
            assert_eq!(failure.detail.error_type, name);
            assert_eq!(ServiceFailure::from_display(&error).is_timeout, expected, "{error:?}");
        }
    }

    #[test]
    fn a_text_that_panics_is_empty() {
        #[derive(Debug)]
        struct Bursts;
        impl fmt::Display for Bursts {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        impl StdError for Bursts {}
        assert_eq!(ServiceFailure::from_display(&Bursts).detail.message, "");
        let boxed = ServiceFailure::from_boxed::<Bursts>(&BoxError::from(Bursts));
        assert_eq!(boxed.detail.error_type, type_name::<Bursts>());
    }

    #[test]
    fn a_type_that_is_known_is_named_and_its_sources_told() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = BoxError::from(Wraps("sending", Some(refused.into())));
        let detail = ServiceFailure::from_boxed::<Wraps>(&error).detail;
        assert_eq!(detail.error_type, type_name::<Wraps>());
        assert_eq!(detail.message, "sending");
        assert_eq!(detail.traceback.as_deref(), Some("caused by: connection refused"));
        let failure = ServiceFailure::from_display(&Wraps("it timed out", None));
        assert!(failure.is_timeout && failure.detail.error_type == type_name::<Wraps>());
    }
}
