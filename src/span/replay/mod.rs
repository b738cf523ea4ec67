//! The results of functions under `#[audit_span(replay)]`, made from what was recorded.
//!
//! The bounds hold with and without the feature `replay`, so that a build with it cannot fail later.

#[cfg(not(feature = "replay"))]
mod absent;
#[cfg(feature = "replay")]
mod present;

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(not(feature = "replay"))]
pub use absent::{Answer, answer};
#[cfg(not(feature = "replay"))]
pub(super) use absent::{ReplayedCall, replayed_call};
#[cfg(feature = "replay")]
pub use present::{Answer, answer};
#[cfg(feature = "replay")]
pub(super) use present::{ReplayedCall, replayed_call};

use crate::replay::RecordedError;

/// The return type of a function, from which the method that fits is chosen.
#[derive(Debug)]
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    pub fn of() -> Self {
        Self(PhantomData)
    }
}

impl<T, E> Returned<Result<T, E>> {
    pub fn audit_span_return(self, answer: Answer) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<RecordedError>,
    {
        answer.value().map_err(|error| (*error).into())
    }
}

impl<T> Returned<Option<T>> {
    pub fn audit_span_return(self, answer: Answer) -> Option<T>
    where
        T: Serialize + DeserializeOwned,
    {
        answer.value().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Any other type.
pub trait PlainReturn<R> {
    fn audit_span_return(self, answer: Answer) -> R;
}

impl<R: Serialize + DeserializeOwned> PlainReturn<R> for Returned<R> {
    fn audit_span_return(self, answer: Answer) -> R {
        answer.value().unwrap_or_else(|error| panic!("{error}"))
    }
}
