//! The attempts of a request that is retried.

use std::sync::Arc;

use http::{Extensions, Request};
use parking_lot::Mutex;

use super::settings::LayerSettings;
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

    /// Returns the number of the attempt that begins with these extensions in a layer with these settings,
    /// and what counted it.
    pub(super) fn begin(
        extensions: &Extensions,
        layer: &Arc<LayerSettings>,
    ) -> Option<(u32, Option<LayerAttempts>)> {
        if let Some(Self(given)) = extensions.get() {
            return Some((*given, None));
        }
        let counted: &AttemptCount = extensions.get()?;
        let attempts = counted.of_layer(layer);
        Some((attempts.next(), Some(attempts)))
    }
}

/// The attempts of a request so far, shared by its clones: of each layer that it passes.
#[derive(Clone, Debug, Default)]
struct AttemptCount(Arc<Mutex<Vec<LayerAttempts>>>);

/// The attempts of a request in one layer.
#[derive(Clone, Debug)]
pub(super) struct LayerAttempts {
    layer: Arc<LayerSettings>,
    attempts: Arc<Mutex<Attempts>>,
}

#[derive(Debug, Default)]
struct Attempts {
    count: u32,
    /// The type of the error of the last attempt, if it was a call of a model.
    failure: Option<String>,
}

impl AttemptCount {
    fn of_layer(&self, layer: &Arc<LayerSettings>) -> LayerAttempts {
        let mut layers = self.0.lock();
        if let Some(known) = layers.iter().find(|known| Arc::ptr_eq(&known.layer, layer)) {
            return known.clone();
        }
        let begun = LayerAttempts { layer: layer.clone(), attempts: Arc::default() };
        layers.push(begun.clone());
        begun
    }
}

impl LayerAttempts {
    fn next(&self) -> u32 {
        let mut attempts = self.attempts.lock();
        attempts.count += 1;
        attempts.count
    }

    /// Stores the error of a call of a model, for the retry that may follow.
    pub(super) fn note_end(&self, error: Option<&ErrorDetail<'_>>) {
        self.attempts.lock().failure = error.map(|error| error.error_type.clone().into_owned());
    }

    /// Returns why the last attempt failed.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.attempts.lock().failure.clone()
    }
}
