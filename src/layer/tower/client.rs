//! The layer around a client, which records `api.call`.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response, Uri};
use http_body::Body;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::attempts::Attempt;
use super::body::{AsIs, Captured, Intake, ResponseBody, SeenRequestBody};
use super::content::BodyContent;
use super::exchange::{Exchange, ExchangeEnd, ExchangeSide, http_method_name};
use super::failure::{BoxError, ServiceFailure};
use super::headers;
use super::model::ModelCall;
use super::pending::Pending;
use super::replay::{self, HttpAnswer};
use super::settings::{LayerSettings, header_name};
use crate::context::TraceContext;
use crate::pricing::CHUNK_BYTES_MAX;
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
///   wanted only the head: the call ended with it, and the status code decides. If it drops a body half read, or the future
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
/// With the feature `reqwest`, the layer is a middleware of
/// [reqwest-middleware](https://docs.rs/reqwest-middleware/0.5) 0.5. Attempts of a middleware that
/// retries outside of it are counted. Errors keep their type.
///
#[cfg_attr(feature = "reqwest", doc = "```")]
#[cfg_attr(not(feature = "reqwest"), doc = "```ignore")]
/// use llm_audit::layer::tower::ClientLayer;
/// use reqwest_middleware::ClientBuilder;
///
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(ClientLayer::new("benefits").model_calls())
///     .build();
/// # drop(client);
/// ```
pub struct ClientLayer<I = AsIs> {
    pub(super) settings: Arc<LayerSettings>,
    _intake: PhantomData<fn() -> I>,
}

impl ClientLayer {
    /// Returns a layer whose events have this `agent`.
    ///
    /// They go to the recorder of the process, as with [`emit`](crate::emit).
    pub fn new(agent: impl Into<String>) -> Self {
        Self { settings: Arc::new(LayerSettings::new(agent.into())), _intake: PhantomData }
    }
}

impl<I> ClientLayer<I> {
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

    /// Records the calls of models as `llm.invoke` or `llm.error`, in place of their `api.call`.
    ///
    /// # Which requests
    ///
    /// A `POST` to any host, if its path and its body are those of one of these interfaces:
    ///
    /// | interface | paths |
    /// |---|---|
    /// | OpenAI, and hosts that are compatible with it (Mistral, Azure, Groq, vLLM, …) | `/chat/completions`, `/completions`, `/responses`, `/embeddings` |
    /// | Anthropic, also on Vertex AI | `/v1/messages`, `:rawPredict`, `:streamRawPredict` |
    /// | Gemini, also on Vertex AI | `:generateContent`, `:streamGenerateContent`, `:embedContent`, `:batchEmbedContents` |
    /// | Bedrock | `/model/…/converse`, `converse-stream`, `invoke`, `invoke-with-response-stream` |
    /// | Cohere | `/v1/chat`, `/v2/chat`, `/v1/embed`, `/v2/embed` |
    ///
    /// All other requests are recorded as before. If the body of a request is not read (compressed, longer
    /// than 1 MiB, or not sent), the host has to be known, or the answer has to be that of a model. The provider is known by the host. If the host is not
    /// known, it is the one that made the interface.
    ///
    /// # What is recorded
    ///
    /// The action is OpenTelemetry's `gen_ai.operation.name` (`chat`, `embeddings`, …). Beside the data of an
    /// `api.call` there are `model`, `request_model` if the answer names another one, `provider` by the
    /// names of OpenTelemetry's `gen_ai.provider.name`, `usage`, `finish_reasons`, and `first_token_ms` of
    /// a stream. The tokens and the cost are in the fields of the event. An answer without usage is counted
    /// as [unmetered](AuditLogger::unmetered). The type and the message of an error are those of the
    /// provider, if the caller reads the body.
    ///
    /// A stream may be dropped after the provider's end marker. If it ends or is dropped before that, the
    /// call is an error, `incomplete` or `cancelled`.
    ///
    /// Record a call only once: if the application records it too, by [`LlmCall`](crate::LlmCall) or by spans
    /// of `tracing`, its tokens and its cost count twice.
    ///
    /// # Attempts
    ///
    /// If the layer counts the [`Attempt`]s, it also records an `agent.retry` before each one that follows a
    /// failed call of a model, with the number of the attempt and the type of the error before it as `reason`.
    ///
    /// # Limits
    ///
    /// Every byte is passed on at once and unchanged. To be read, at most 1 MiB of a request, and 1 MiB of an
    /// answer, are held; of a stream, one event. What is longer is not read: the model of the request is
    /// unknown then, or the answer unmetered. `chunks_skipped` is the number of such events. An answer with a
    /// `content-encoding` is not read, and has a `note` that says so. Put the layer outside of the one that
    /// decompresses.
    ///
    /// Content is recorded only with [`capture_bodies`](Self::capture_bodies), which then records the bodies
    /// of requests, too.
    ///
    /// The client gets the body of each request inside a [`RequestBody`](super::RequestBody).
    pub fn model_calls(self) -> ClientLayer<Captured> {
        let Self { settings, .. } = self.set(|settings| settings.reads_model_calls = true);
        ClientLayer { settings, _intake: PhantomData }
    }

    fn set(mut self, change: impl FnOnce(&mut LayerSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<I> Clone for ClientLayer<I> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), _intake: PhantomData }
    }
}

impl<I> fmt::Debug for ClientLayer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientLayer").field("settings", &self.settings).finish()
    }
}

impl<S, I> Layer<S> for ClientLayer<I> {
    type Service = Client<S, I>;

    fn layer(&self, inner: S) -> Client<S, I> {
        Client { inner, layer: self.clone() }
    }
}

/// A client whose calls are recorded; made by [`ClientLayer`].
pub struct Client<S, I = AsIs> {
    inner: S,
    layer: ClientLayer<I>,
}

impl<S: Clone, I> Clone for Client<S, I> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S: fmt::Debug, I> fmt::Debug for Client<S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, I, B, R> Service<Request<B>> for Client<S, I>
where
    I: Intake<B>,
    S: Service<Request<I::Body>, Response = Response<R>>,
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
        let settings = &self.layer.settings;
        if settings.outlet.is_off() {
            let request = request.map(|body| I::take(body, None));
            return ClientFuture::pending(Pending::new(self.inner.call(request), None));
        }
        let (mut head, body) = request.into_parts();
        let exchange = begin_client_exchange(settings, &mut head);
        let seen = exchange.request_body.clone().map(SeenRequestBody);
        let inner = &mut self.inner;
        ClientFuture::begin(exchange, || inner.call(Request::from_parts(head, I::take(body, seen))))
    }
}

/// Begins the exchange in a new span, and writes that span into the request's headers.
pub(super) fn begin_client_exchange(
    settings: &Arc<LayerSettings>,
    head: &mut Parts,
) -> Box<Exchange> {
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
    let (attempt, attempts) = Attempt::begin(&head.extensions, settings).unzip();
    let model_call = settings.reads_model_calls.then(|| ModelCall::recognize(head)).flatten();
    let request_body = model_call.as_ref().map(|_| {
        let captured = settings.body_capture();
        Arc::new(Mutex::new(BodyContent::new(&head.headers, captured, CHUNK_BYTES_MAX)))
    });
    let exchange = Exchange {
        settings: settings.clone(),
        side: ExchangeSide::Client,
        context,
        started,
        method: head.method.clone(),
        route_or_url: url,
        action,
        attempt,
        attempts: attempts.flatten(),
        model_call,
        request_body,
        answer: None,
        is_over: false,
    };
    exchange.record_retry();
    Box::new(exchange)
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

    /// Makes the call in the span of its exchange, unless a replay answers it.
    pub(super) fn begin(mut exchange: Box<Exchange>, call: impl FnOnce() -> F) -> Self
    where
        F: Future,
    {
        if let Some(answer) = replay::recorded_answer(&exchange) {
            // Nobody reads the body of the request here. The recording has decided what it was.
            exchange.model_call.iter_mut().for_each(|call| call.trust_head());
            return Self { pending: None, replayed: Some((answer, exchange)) };
        }
        let future = exchange.run_in_span(call);
        Self::pending(Pending::new(future, Some(exchange)))
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
