//! The layer around a server: `request.start` and `request.end`.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::request::Parts;
use http::{HeaderName, Request, Response};
use http_body::Body;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{AsIs, Captured, Intake, ResponseBody, Seen};
use super::content::Content;
use super::exchange::{Exchange, ExchangeEnd, Side, entry, method_name};
use super::failure::{BoxError, Failure};
use super::headers::{self, Picked};
use super::pending::Pending;
use super::settings::LayerSettings;
use crate::record::event::{AuditEvent, EventType};
use crate::recorder::{AuditLogger, Outlet};

/// Records each request that a service answers: `request.start` when it arrives, and exactly one
/// `request.end` with the last byte of the answer. The [module](super) says what both hold to.
///
/// - **Trace.** The request's span is a child of the span in its `traceparent`, with its
///   `tracestate`. A `traceparent` that is malformed, or one of several, starts a new trace; why it
///   was refused is told under `traceparent` in the data of `request.start`, without the header
///   itself. The span's [`TraceContext`](crate::TraceContext) is in the request's extensions.
/// - **Answer.** It carries `x-trace-id`, 32 hex digits, and the `traceparent` of the request's
///   span, whatever its status.
/// - **Data.** `http.method` (`_OTHER` for one that is not known) and `http.route`; at the end
///   `http.status_code`, `bytes` of the answer's body, and for gRPC `rpc.grpc.status_code`. The
///   latency is from arrival to the last byte. The action is the method and the route.
/// - **Route.** The matched path of axum's router (feature `axum`), else what
///   [`route`](Self::route) says, else for gRPC the path, `/package.Service/Method`. Else there is
///   none: a raw path may hold ids, and is not recorded.
/// - **Upgrades** (101, `CONNECT`) end with the head of the answer and the `note` `upgraded`.
/// - **Body.** An answer without one (`HEAD`, 204, 304, an empty body) ends with its head. One that
///   is dropped before its end, because the client left, ends as `cancelled`.
///
/// The service's errors are passed on as they are. Where their type is a boxed error, its sources
/// are recorded, too; of another type what it displays.
///
/// # axum
///
/// The router knows the matched path inside [`Router::layer`], not around the whole router:
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use axum::{Router, routing::get};
/// use llm_audit::layer::tower::ServerLayer;
///
/// let app: Router = Router::new()
///     .route("/members/{id}", get(|| async { "a member" }))
///     .layer(ServerLayer::new("benefits"));
/// # drop(app);
/// ```
///
/// Under [`Router::nest_service`] a service that is opaque to the router has no matched path.
///
/// # hyper
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use hyper::body::Incoming;
/// use llm_audit::layer::tower::ServerLayer;
/// use tower::{ServiceBuilder, service_fn};
///
/// let answer = service_fn(|request: Request<Incoming>| async move {
///     Ok::<_, Infallible>(Response::new(request.into_body()))
/// });
/// let service = ServiceBuilder::new()
///     .layer(ServerLayer::new("benefits").route(|request| match request.uri.path() {
///         "/health" => Some("/health".to_owned()),
///         path if path.starts_with("/members/") => Some("/members/{id}".to_owned()),
///         _ => None,
///     }))
///     .service(answer);
/// // For `serve_connection`:
/// let service = hyper_util::service::TowerToHyperService::new(service);
/// # drop(service);
/// ```
///
/// For tonic it goes into `Server::builder().layer(…)`.
///
/// [`Router::layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.layer
/// [`Router::nest_service`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.nest_service
pub struct ServerLayer<I = AsIs> {
    settings: Arc<LayerSettings>,
    _intake: PhantomData<fn() -> I>,
}

impl ServerLayer {
    /// A layer whose events are by `agent` and go where [`emit`](crate::emit) goes.
    pub fn new(agent: impl Into<String>) -> Self {
        Self { settings: Arc::new(LayerSettings::new(agent.into())), _intake: PhantomData }
    }
}

impl<I> ServerLayer<I> {
    /// Records into this logger instead.
    pub fn logger(self, logger: AuditLogger) -> Self {
        self.set(|settings| settings.outlet = Outlet(Some(logger)))
    }

    /// Names the route of a request that axum's router did not match. It is recorded, redacted like
    /// all else: give a template such as `/members/{id}`, not the path.
    pub fn route(self, route: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.template = Some(Arc::new(route)))
    }

    /// Records these headers, under their lower-case names: those of the request in
    /// `http.request.headers` of `request.start`, those of the answer in `http.response.headers` of
    /// `request.end`. Several of one name are joined by `, `.
    ///
    /// The value of one that carries a credential becomes `[REDACTED]`: of those marked as
    /// sensitive, and of all with `auth`, `cookie`, `token`, `secret`, `password`, `credential`,
    /// `signature`, `api-key` or `apikey` in their name.
    ///
    /// # Panics
    ///
    /// When a name cannot be one of a header.
    pub fn capture_headers<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let name = |name: N| {
            HeaderName::try_from(name.as_ref())
                .unwrap_or_else(|_| panic!("{:?} is no name of a header", name.as_ref()))
        };
        self.set(|settings| settings.headers.extend(names.into_iter().map(name)))
    }

    /// Records bodies of up to `bytes_max` bytes in `request_body` and `response_body` of
    /// `request.end`, where content is captured
    /// ([`Builder::capture_content`](crate::Builder::capture_content)). JSON is recorded as a value;
    /// in any other text the values behind quoted sensitive keys go.
    ///
    /// It fails closed: what is longer, was not read or sent to its end, is no UTF-8, or is a form
    /// (whose fields redaction does not know) becomes `[TRUNCATED:n]`, n its bytes as far as they
    /// were seen.
    ///
    /// With it the service gets the body of requests inside a [`RequestBody`](super::RequestBody),
    /// and `request.end` tells in `bytes_in` how much of it was read, captured or not.
    pub fn capture_bodies(self, bytes_max: usize) -> ServerLayer<Captured> {
        let Self { settings, .. } = self.set(|settings| settings.body_bytes_max = Some(bytes_max));
        ServerLayer { settings, _intake: PhantomData }
    }

    fn set(mut self, change: impl FnOnce(&mut LayerSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<I> Clone for ServerLayer<I> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), _intake: PhantomData }
    }
}

impl<I> fmt::Debug for ServerLayer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLayer").field("settings", &self.settings).finish()
    }
}

impl<S, I> Layer<S> for ServerLayer<I> {
    type Service = Server<S, I>;

    fn layer(&self, inner: S) -> Server<S, I> {
        Server { inner, layer: self.clone() }
    }
}

/// A service whose requests are recorded; made by [`ServerLayer`].
pub struct Server<S, I = AsIs> {
    inner: S,
    layer: ServerLayer<I>,
}

impl<S: Clone, I> Clone for Server<S, I> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S: fmt::Debug, I> fmt::Debug for Server<S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, I, B, R> Service<Request<B>> for Server<S, I>
where
    I: Intake<B>,
    S: Service<Request<I::Body>, Response = Response<R>>,
    S::Error: fmt::Display + 'static,
    R: Body,
    R::Error: Into<BoxError> + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let settings = &self.layer.settings;
        if settings.outlet.is_off() {
            let request = request.map(|body| I::take(body, None));
            return ServerFuture { pending: Pending::new(self.inner.call(request), None) };
        }
        let (mut head, body) = request.into_parts();
        let mut exchange = arrive(settings, &mut head);
        let seen = I::IS_WATCHING.then(|| {
            let content = Content::new(&head.headers, settings.captured());
            let content = Arc::new(Mutex::new(content));
            exchange.request_body = Some(content.clone());
            Seen(content)
        });
        let inner = &mut self.inner;
        let future = exchange.run(|| inner.call(Request::from_parts(head, I::take(body, seen))));
        ServerFuture { pending: Pending::new(future, Some(exchange)) }
    }
}

/// Begins the exchange: `request.start`, and the span in the request's extensions.
fn arrive(settings: &Arc<LayerSettings>, head: &mut Parts) -> Box<Exchange> {
    let started = Instant::now();
    let (context, refused) = headers::read_context(&head.headers);
    let route = route(settings, head);
    let method = method_name(&head.method);
    let action = match &route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    };
    let headers = Picked::of(&settings.headers, &head.headers);
    let data = StartData { method, route: route.as_deref(), refused, headers };
    let event = AuditEvent::new(EventType::RequestStart, &settings.agent, &action);
    settings.outlet.emit(&event.span(&context).data(&data));
    head.extensions.insert(context.clone());
    Box::new(Exchange {
        settings: settings.clone(),
        side: Side::Server,
        context,
        started,
        method: head.method.clone(),
        route_or_url: route,
        action,
        attempt: None,
        request_body: None,
        answer: None,
        is_over: false,
    })
}

fn route(settings: &LayerSettings, head: &Parts) -> Option<String> {
    matched_path(head)
        .or_else(|| settings.template.as_ref().and_then(|route| route(head)))
        .or_else(|| headers::is_grpc(&head.headers).then(|| grpc_method(head.uri.path()))?)
}

#[cfg(feature = "axum")]
fn matched_path(head: &Parts) -> Option<String> {
    let path = head.extensions.get::<axum::extract::MatchedPath>();
    path.map(|path| path.as_str().to_owned())
}

#[cfg(not(feature = "axum"))]
fn matched_path(_head: &Parts) -> Option<String> {
    None
}

/// The path, where it has the form that all of gRPC's have: a caller may claim any content type.
fn grpc_method(path: &str) -> Option<String> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
    };
    (is_name(service) && is_name(method)).then(|| path.to_owned())
}

struct StartData<'a> {
    method: &'a str,
    route: Option<&'a str>,
    refused: Option<String>,
    headers: Option<Picked>,
}

impl Serialize for StartData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("http.method", self.method)?;
        entry(&mut map, "http.route", self.route)?;
        entry(&mut map, "traceparent", self.refused.as_ref())?;
        entry(&mut map, "http.request.headers", self.headers.as_ref())?;
        map.end()
    }
}

pin_project! {
    /// The answer of a [`Server`].
    pub struct ServerFuture<F> {
        #[pin]
        pending: Pending<F>,
    }
}

impl<F> fmt::Debug for ServerFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerFuture").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: fmt::Display + 'static,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (result, mut exchange) = ready!(self.project().pending.poll(cx));
        if let (Err(error), Some(exchange)) = (&result, &mut exchange) {
            exchange.end(ExchangeEnd::Failed(Failure::of_any(error)));
        }
        Poll::Ready(result.map(|response| {
            let mut response = ResponseBody::watch(response, exchange);
            if let Some(context) = response.body().context().cloned() {
                headers::write_response(response.headers_mut(), &context);
            }
            response
        }))
    }
}
