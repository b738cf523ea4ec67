//! What went wrong, of an error of any type?

use std::any::{Any, type_name};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::iter;

use crate::event::ErrorDetail;

/// An error of any type, as tower's own services have it.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// What an error says, and whether it is one of time.
pub(super) struct Failure {
    pub(super) detail: ErrorDetail<'static>,
    pub(super) is_timeout: bool,
}

impl Failure {
    /// Of an error that was an `E` before it was boxed.
    pub(super) fn of_boxed<E: 'static>(error: &BoxError) -> Self {
        Self::of_chain(name_of::<E>(), &**error)
    }

    /// Of an error whose type promises no more than a text: a boxed one is looked into.
    pub(super) fn of_any<E: fmt::Display + 'static>(error: &E) -> Self {
        if let Some(boxed) = (error as &dyn Any).downcast_ref::<BoxError>() {
            return Self::of_boxed::<E>(boxed);
        }
        let message = error.to_string();
        let is_timeout = reads_as_timeout(&message);
        Self { detail: ErrorDetail::new(name_of::<E>(), message), is_timeout }
    }

    fn of_chain(name: &'static str, error: &(dyn StdError + 'static)) -> Self {
        /// A chain may be a circle.
        const SOURCES_MAX: usize = 32;
        let chain = iter::successors(Some(error), |&error| error.source());
        let is_timeout = chain.take(SOURCES_MAX).any(is_timeout);
        Self { detail: ErrorDetail::of_type(name, error), is_timeout }
    }
}

/// The name of an error's type; that of a box says nothing.
fn name_of<E>() -> &'static str {
    let name = type_name::<E>();
    if name == type_name::<BoxError>() { "error" } else { name }
}

/// The types of tower's, tokio's, reqwest's and tonic's timeouts are not known here, and
/// reqwest's is private; what they say of themselves is part of none of their promises, but has
/// not changed in years, and is all that an error behind `dyn Error` shows.
fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
        || reads_as_timeout(&error.to_string())
}

fn reads_as_timeout(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["timed out", "deadline has elapsed", "timeout expired"]
        .iter()
        .any(|text| message.contains(text))
}
