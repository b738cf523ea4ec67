//! The layer around a client, which records `api.call`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response, Uri};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::body::ResponseBody;
use super::exchange::{Exchange, ExchangeEnd, ExchangeSide, http_method_name};
use super::failure::{BoxError, ServiceFailure};
use super::headers;
use super::pending::Pending;
use super::replay::{self, HttpAnswer};
use super::settings::{LayerSettings, header_name};
use crate::context::TraceContext;
use crate::recorder::{AuditLogger, Outlet};

/// Records each call that a client makes: exactly one `api.call`, with the last byte of the response.
///
/// The [module](super) describes the rules that it shares with [`ServerLayer`](super::ServerLayer).
///
/// - **Trace.** The call is a span below the current context. If there is none, it is below the span in
///   the request's own `traceparent`, or else begins a trace. Its `traceparent` and `tracestate`
///   replace those of the request. The event has exactly its ids, so the events that the called
///   service records with them are below it. [`propagate_to`](Self::propagate_to) limits the hosts
///   that get these headers.
/// - **Data.** `http.method`, `url`, `http.status_code`, `bytes` of the response's body, and the number
///   of the [`Attempt`] if it is known. The action is the method and the host. If
///   [`url`](Self::url) is set, it is the method and that text.
/// - **Retries.** Put the layer inside the layer that retries. Then each attempt is a call of its own,
///   without the pause before the next one. Outside of it, and around a client that retries by itself,
///   all attempts and pauses are one call. Nothing of them can be seen there except the last answer.
/// - **End.** The call ends with the last byte of the body. If the caller drops the body unread, it
///   wanted only the head, and the status code decides. If it drops a body half read, or the future
///   before the response, the call is cancelled. An event stream may be dropped after any whole
///   event.
/// - **Errors** are boxed, also those of the body. To get the client's own error, downcast the box.
///   The event contains its type, its text and its sources.
///
/// # hyper
///
/// ```no_run
/// use bytes::Bytes;
/// use http::Request;
/// use http_body_util::{BodyExt, Full};
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use llm_audit::layer::tower::ClientLayer;
/// use tower::{Layer, ServiceExt};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
/// let client = ClientLayer::new("benefits").layer(client);
///
/// let request = Request::get("http://localhost:8080/plans").body(Full::default())?;
/// let plans = client.clone().oneshot(request).await?.into_body().collect().await?.to_bytes();
/// # drop(plans);
/// # Ok(())
/// # }
/// ```
///
/// # reqwest
///
/// Its client has request and response types of its own, which convert from and to those of `http`:
///
/// ```text
/// let http = reqwest::Client::new();
/// let client = ClientLayer::new("benefits").layer(tower::service_fn(
///     move |request: http::Request<reqwest::Body>| {
///         let http = http.clone();
///         async move {
///             let answer = http.execute(request.try_into()?).await?;
///             Ok::<http::Response<reqwest::Body>, reqwest::Error>(answer.into())
///         }
///     },
/// ));
/// ```
#[derive(Clone, Debug)]
pub struct ClientLayer {
    settings: Arc<LayerSettings>,
}

impl ClientLayer {
    /// Returns a layer whose events have this `agent`.
    ///
    /// They go to the recorder of the process, as with [`emit`](crate::emit).
    pub fn new(agent: impl Into<String>) -> Self {
        Self { settings: Arc::new(LayerSettings::new(agent.into())) }
    }

    /// Records into this logger instead.
    pub fn logger(self, logger: AuditLogger) -> Self {
        self.set(|settings| settings.outlet = Outlet(Some(logger)))
    }

    /// Sets the function that returns the text for `url`; `None` records no `url`.
    ///
    /// If paths contain ids, return a template. Without this function the URL is recorded without
    /// its user name, password, query and fragment. It is redacted like all other text.
    pub fn url(self, url: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.template = Some(Arc::new(url)))
    }

    /// Sends `traceparent` and `tracestate` to these hosts only, for example not to model providers.
    ///
    /// A host is a name or an address, without a port. An entry that begins with a dot stands for all
    /// hosts that end with it. Case does not matter. Other hosts get neither header, even if the
    /// request has them. Without this function all hosts get both.
    ///
    /// ```
    /// use llm_audit::layer::tower::ClientLayer;
    ///
    /// let layer = ClientLayer::new("benefits").propagate_to(["localhost", ".internal.example"]);
    /// # drop(layer);
    /// ```
    pub fn propagate_to<H: Into<String>>(self, hosts: impl IntoIterator<Item = H>) -> Self {
        let hosts = hosts.into_iter().map(|host| host.into().to_ascii_lowercase()).collect();
        self.set(|settings| settings.trace_hosts = Some(hosts))
    }

    /// Records the headers of responses with these names; see
    /// [`ServerLayer::capture_headers`](super::ServerLayer::capture_headers).
    ///
    /// # Panics
    ///
    /// Panics if a name is not a valid name of a header.
    pub fn capture_headers<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.set(|settings| settings.headers.extend(names.into_iter().map(header_name)))
    }

    /// Records the bodies of responses of up to `bytes_max` bytes, if
    /// [content is captured](crate::Builder::capture_content).
    ///
    /// They are in `response_body` of the event, by the rules of
    /// [`ServerLayer::capture_bodies`](super::ServerLayer::capture_bodies). A replay answers the call with
    /// the body, so it needs this.
    pub fn capture_bodies(self, bytes_max: usize) -> Self {
        self.set(|settings| settings.body_bytes_max = Some(bytes_max))
    }

    fn set(mut self, change: impl FnOnce(&mut LayerSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

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

    fn of(head: &Parts) -> Option<Self> {
        // Relaxed: each attempt only has to get another number.
        let next = |AttemptCount(count): &AttemptCount| 1 + count.fetch_add(1, Ordering::Relaxed);
        let given = head.extensions.get().copied();
        given.or_else(|| head.extensions.get().map(next).map(Attempt))
    }
}

/// The attempts of a request so far, shared by its clones.
#[derive(Clone, Debug, Default)]
struct AttemptCount(Arc<AtomicU32>);

impl<S> Layer<S> for ClientLayer {
    type Service = Client<S>;

    fn layer(&self, inner: S) -> Client<S> {
        Client { inner, settings: self.settings.clone() }
    }
}

/// A client whose calls are recorded; made by [`ClientLayer`].
#[derive(Clone, Debug)]
pub struct Client<S> {
    inner: S,
    settings: Arc<LayerSettings>,
}

impl<S, B, R> Service<Request<B>> for Client<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError> + 'static,
    R: Body<Data: 'static>,
    R::Error: Into<BoxError> + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = BoxError;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match replay::is_here() {
            true => Poll::Ready(Ok(())),
            false => self.inner.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.settings.outlet.is_off() {
            return ClientFuture::pending(Pending::new(self.inner.call(request), None));
        }
        let (mut head, body) = request.into_parts();
        let mut exchange = begin_client_exchange(&self.settings, &mut head);
        if let Some(answer) = replay::recorded_answer(&exchange) {
            return ClientFuture { pending: None, replayed: Some((answer, exchange)) };
        }
        let inner = &mut self.inner;
        let future = exchange.run_in_span(|| inner.call(Request::from_parts(head, body)));
        ClientFuture::pending(Pending::new(future, Some(exchange)))
    }
}

/// Begins the exchange in a new span, and writes that span into the request's headers.
fn begin_client_exchange(settings: &Arc<LayerSettings>, head: &mut Parts) -> Box<Exchange> {
    let started = Instant::now();
    let below_current = TraceContext::with_current(|current| current.map(TraceContext::new_span));
    let from_headers = || headers::read_trace_headers(&head.headers, TraceContext::new_root).0;
    let context = below_current.unwrap_or_else(from_headers);
    let (url, target) = match &settings.template {
        Some(template) => {
            let url = template(head);
            (url.clone(), url)
        }
        None => (Some(client_url_without_query(&head.uri)), head.uri.host().map(str::to_owned)),
    };
    let method = http_method_name(&head.method);
    let action = target.map_or_else(|| method.to_owned(), |target| format!("{method} {target}"));
    match settings.sends_trace_to(head.uri.host()) {
        true => headers::write_request_headers(&mut head.headers, &context, &settings.outlet),
        false => headers::remove_trace_headers(&mut head.headers),
    }
    Box::new(Exchange {
        settings: settings.clone(),
        side: ExchangeSide::Client,
        context,
        started,
        method: head.method.clone(),
        route_or_url: url,
        action,
        attempt: Attempt::of(head).map(|Attempt(attempt)| attempt),
        request_body: None,
        answer: None,
        is_over: false,
    })
}

/// Returns the URL without user name, password and query; a `Uri` has no fragment.
fn client_url_without_query(uri: &Uri) -> String {
    let scheme = uri.scheme_str().map_or_else(String::new, |scheme| format!("{scheme}://"));
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{}", uri.path())
}

pin_project! {
    /// The future of a [`Client`]'s response.
    pub struct ClientFuture<F> {
        // `None` in a replay, which makes no call.
        #[pin]
        pending: Option<Pending<F>>,
        replayed: Option<(HttpAnswer, Box<Exchange>)>,
    }
}

impl<F> ClientFuture<F> {
    fn pending(pending: Pending<F>) -> Self {
        Self { pending: Some(pending), replayed: None }
    }
}

impl<F> fmt::Debug for ClientFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: Into<BoxError> + 'static,
{
    type Output = Result<Response<ResponseBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(pending) = this.pending.as_pin_mut() else {
            return replay::poll_answer(this.replayed);
        };
        let (result, mut exchange) = ready!(pending.poll(cx));
        let result = result.map_err(Into::into);
        if let (Err(error), Some(exchange)) = (&result, &mut exchange) {
            exchange.record_end(ExchangeEnd::Failed(ServiceFailure::from_boxed::<E>(error)));
        }
        Poll::Ready(result.map(|response| ResponseBody::watch(response, exchange)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_host_and_path_alone() {
        for (uri, expected) in [
            ("https://example.com/plans/7", "https://example.com/plans/7"),
            ("https://ana:p@example.com:8443/a?q=1", "https://example.com:8443/a"),
            ("/plans?q=1", "/plans"),
            ("example.com:443", "example.com:443"),
            ("http://[::1]:80?q=1", "http://[::1]:80/"),
            ("*", "*"),
        ] {
            assert_eq!(client_url_without_query(&uri.parse().unwrap()), expected);
        }
    }
}
