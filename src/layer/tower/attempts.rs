//! The attempts of a request that is retried.

use std::sync::Arc;

use http::{Extensions, Request};
use parking_lot::Mutex;

use crate::record::event::ErrorDetail;

/// The number of an attempt, from 1, for `attempt` in the call's event.
///
/// If a layer clones the request for each attempt, as `tower::retry` does, [`count`](Self::count) lets
/// the attempts be counted:
///
/// ```text
/// let client = tower::ServiceBuilder::new()
///     .map_request(Attempt::count)
///     .retry(policy)
///     .layer(ClientLayer::new("benefits"))
///     .service(client);
/// ```
///
/// Code that retries by itself puts the number into the request's extensions.
///
/// ```
/// use llm_audit::layer::tower::Attempt;
///
/// let mut again = http::Request::new(());
/// again.extensions_mut().insert(Attempt(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(pub u32);

impl Attempt {
    /// Prepares a request whose clones are its attempts.
    ///
    /// Each call of a clone, or of the request itself, has the next number. Clones must keep the
    /// extensions, as `Clone` of [`Request`] does. If an `Attempt` is among them, it wins.
    pub fn count<B>(mut request: Request<B>) -> Request<B> {
        request.extensions_mut().insert(AttemptCount::default());
        request
    }

    /// Lets the requests that share these extensions be counted, unless they are already.
    #[cfg(feature = "reqwest")]
    pub(super) fn count_in(extensions: &mut Extensions) {
        extensions.get_or_insert_with(AttemptCount::default);
    }

    /// Returns the number of the attempt that begins with these extensions, and what counted it.
    pub(super) fn begin(extensions: &Extensions) -> Option<(u32, Option<AttemptCount>)> {
        if let Some(Self(given)) = extensions.get() {
            return Some((*given, None));
        }
        let counted: &AttemptCount = extensions.get()?;
        Some((counted.next(), Some(counted.clone())))
    }
}

/// The attempts of a request so far, shared by its clones.
#[derive(Clone, Debug, Default)]
pub(super) struct AttemptCount(Arc<Mutex<Attempts>>);

#[derive(Debug, Default)]
struct Attempts {
    count: u32,
    /// The type of the last attempt's error.
    failure: Option<String>,
}

impl AttemptCount {
    fn next(&self) -> u32 {
        let mut attempts = self.0.lock();
        attempts.count += 1;
        attempts.count
    }

    /// Stores how an attempt ended, for the retry that may follow.
    pub(super) fn note_end(&self, error: Option<&ErrorDetail<'_>>) {
        self.0.lock().failure = error.map(|error| error.error_type.clone().into_owned());
    }

    /// Returns why the last attempt failed.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.0.lock().failure.clone()
    }
}
