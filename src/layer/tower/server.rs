//! The layer around a server, which records `request.start` and `request.end`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{AsIs, Captured, Intake, ResponseBody, SeenRequestBody};
use super::content::BodyContent;
use super::exchange::{
    Exchange, ExchangeEnd, ExchangeSide, http_method_name, write_optional_entry,
};
use super::failure::{BoxError, ServiceFailure};
use super::headers::{self, RecordedHeaders};
use super::identity::id_in_header;
use super::mcp::McpHeaders;
use super::pending::Pending;
use super::replay;
use super::settings::{LayerSettings, header_name};
use crate::context::TraceContext;
use crate::record::event::{AuditEvent, EventType};
use crate::recorder::{AuditLogger, Outlet};

/// Records each request that a service answers.
///
/// A `request.start` is recorded when the request arrives. Exactly one `request.end` is recorded with
/// the last byte of the response. The [module](super) describes the rules that both layers keep.
///
/// - **Trace.** The request's span is a child of the span in its `traceparent`, with its `tracestate`.
///   If a `traceparent` is malformed, or there are several, a new trace begins. The data of
///   `request.start` then has the reason under `traceparent`, without the header itself. The span's
///   [`TraceContext`] is in the request's extensions. If one is there already, for example of a
///   `ServerLayer` around this one, the span is a child of that.
/// - **Response.** Whatever its status, it has `x-trace-id`, 32 hex digits, and the `traceparent` of
///   the request's span.
/// - **Data.** `http.method` (`_OTHER` if it is not known) and `http.route`. The end adds
///   `http.status_code`, `bytes` of the response's body, and `rpc.grpc.status_code` for gRPC. The
///   latency is from arrival to the last byte. The action is the method and the route.
/// - **Route.** It is the matched path of axum's router (feature `axum`), or else the result of
///   [`route`](Self::route). For gRPC it is otherwise the path, `/package.Service/Method`. Any other
///   request has no route: a raw path may contain ids, and is not recorded.
/// - **MCP.** If the header `Mcp-Method` of streamable HTTP names a method of the protocol, the action ends
///   with it. `request.start` has it in `mcp.method.name`, and `Mcp-Name` in `tool`, `gen_ai.prompt.name`
///   or `mcp.resource.uri`. Any client can send these headers. `McpServer` of `layer::rmcp` records what
///   the request itself says.
/// - **User, tenant and conversation** are unknown, unless [`user`](Self::user) and the methods after it say where
///   they are.
/// - **Upgrades** (101, `CONNECT`) end with the head of the response and the `note` `upgraded`.
/// - **Body.** A response without one (`HEAD`, 204, 304, an empty body) ends with its head. If the
///   body is dropped before its end, because the client left, the request ends as `cancelled`.
///
/// The service's errors are returned unchanged. If their type is a boxed error, its sources are
/// recorded, too. Of any other type, the text of its `Display` is recorded.
///
/// # axum
///
/// The feature `axum` reads the routes of axum 0.8 and of no other version: the matched path of
/// another version is another type. The layer works there too, but its requests have no route. With
/// [`for_router`](Self::for_router) such a program does not compile.
///
/// The matched path is known inside [`Router::layer`], not around the whole router:
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use axum::{Router, routing::get};
/// use llm_audit::layer::tower::ServerLayer;
///
/// let app: Router = Router::new()
///     .route("/members/{id}", get(|| async { "a member" }))
///     .layer(ServerLayer::new("benefits").for_router::<Router>());
/// # drop(app);
/// ```
///
/// If a service is opaque to the router, under [`Router::nest_service`], it has no matched path.
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
/// // Pass this to `serve_connection`.
/// let service = hyper_util::service::TowerToHyperService::new(service);
/// # drop(service);
/// ```
///
/// For tonic, add it by `Server::builder().layer(…)`.
///
/// [`Router::layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.layer
/// [`Router::nest_service`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.nest_service
pub struct ServerLayer<I = AsIs> {
    settings: Arc<LayerSettings>,
    _intake: PhantomData<fn() -> I>,
}

impl ServerLayer {
    /// Returns a layer whose events have this `agent`.
    ///
    /// They go to the recorder of the process, as with [`emit`](crate::emit).
    pub fn new(agent: impl Into<String>) -> Self {
        Self { settings: Arc::new(LayerSettings::new(agent.into())), _intake: PhantomData }
    }
}

impl<I> ServerLayer<I> {
    /// Records into this logger instead.
    pub fn logger(self, logger: AuditLogger) -> Self {
        self.set(|settings| settings.outlet = Outlet(Some(logger)))
    }

    /// Begins a new trace for each request, at an edge where callers are not trusted.
    ///
    /// The ids in the caller's `traceparent` are recorded in `request.start`, as `trace_id` and `span_id`
    /// under `caller`. Its flag and its `tracestate` are dropped. If a `ServerLayer` around this one has begun
    /// the request's span, that span is continued as always.
    pub fn restart_trace(self) -> Self {
        self.set(|settings| settings.restarts_trace = true)
    }

    /// Sets the function that names the route of a request that axum's router did not match.
    ///
    /// The route is recorded and redacted like all other text. Return a template such as
    /// `/members/{id}`, not the path.
    pub fn route(self, route: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.template = Some(Arc::new(route)))
    }

    /// Sets the function that names the user of a request.
    ///
    /// The events of the request, and all that are recorded below its span, are for this user; see
    /// [`TraceContext::with_user`]. Return what the application has verified, such as an extension that its
    /// authentication has put into the request outside of this layer. Any client can write a header. If the
    /// user is known only inside of this layer, enter the current context with the user there.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::layer::tower::ServerLayer;
    ///
    /// #[derive(Clone)]
    /// struct Session {
    ///     user: String,
    /// }
    ///
    /// let layer = ServerLayer::new("benefits")
    ///     .user(|request| Some(request.extensions.get::<Session>()?.user.clone()));
    /// # drop(layer);
    /// ```
    pub fn user(self, user: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.user = Some(Arc::new(user)))
    }

    /// Sets the function that names the tenant of a request; see [`user`](Self::user).
    pub fn tenant(self, tenant: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.tenant = Some(Arc::new(tenant)))
    }

    /// Sets the function that names the conversation that a request is part of; see [`user`](Self::user).
    pub fn conversation(
        self,
        conversation: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.set(|settings| settings.conversation = Some(Arc::new(conversation)))
    }

    /// Reads the user of a request from this header, in place of [`user`](Self::user).
    ///
    /// Any client can write it, so a gateway in front of the service must set or remove it. It is not read if it is
    /// there more than once, is empty, is not UTF-8, has a control character, or has more than 256 bytes. The user is
    /// then not known, whatever [baggage](Self::identity_from_baggage) says.
    ///
    /// # Panics
    ///
    /// Panics if the name is not a valid name of a header.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::layer::tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new("benefits")
    ///     .user_header("x-user-id")
    ///     .tenant_header("x-tenant-id")
    ///     .conversation_header("x-conversation-id");
    /// # drop(layer);
    /// ```
    pub fn user_header(self, name: impl AsRef<str>) -> Self {
        let name = header_name(name);
        self.user(move |head| id_in_header(&head.headers, &name))
    }

    /// Reads the tenant of a request from this header, in place of [`tenant`](Self::tenant); see
    /// [`user_header`](Self::user_header).
    ///
    /// # Panics
    ///
    /// Panics if the name is not a valid name of a header.
    pub fn tenant_header(self, name: impl AsRef<str>) -> Self {
        let name = header_name(name);
        self.tenant(move |head| id_in_header(&head.headers, &name))
    }

    /// Reads the conversation of a request from this header, in place of [`conversation`](Self::conversation); see
    /// [`user_header`](Self::user_header).
    ///
    /// # Panics
    ///
    /// Panics if the name is not a valid name of a header.
    pub fn conversation_header(self, name: impl AsRef<str>) -> Self {
        let name = header_name(name);
        self.conversation(move |head| id_in_header(&head.headers, &name))
    }

    /// Reads from the W3C `baggage` of a request what the functions above return `None` for, and the headers above if
    /// they are absent.
    ///
    /// The names are `user.id` or `enduser.id`, `tenant.id` or `tenant`, and `gen_ai.conversation.id` or `session.id`.
    /// It is off by default, because any client can write baggage. Turn it on only between services of your own. The
    /// same values are refused as in [`user_header`](Self::user_header), and so is baggage of more than 8,192 bytes.
    /// No baggage is ever sent.
    pub fn identity_from_baggage(self) -> Self {
        self.set(|settings| settings.reads_baggage = true)
    }

    /// Requires at compile time that the router is one whose routes this layer reads: that of axum
    /// 0.8. It changes nothing else.
    ///
    /// The layer alone cannot require it, since it takes services and bodies of any type.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::layer::tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new("benefits").for_router::<axum::Router>();
    /// # drop(layer);
    /// ```
    ///
    /// With the router of another version it is an error:
    ///
    /// ```compile_fail,E0277
    /// # mod axum { pub struct Router; }
    /// use llm_audit::layer::tower::ServerLayer;
    ///
    /// let layer = ServerLayer::new("benefits").for_router::<axum::Router>();
    /// ```
    #[cfg(feature = "axum")]
    pub fn for_router<R: RouterWithRoutes>(self) -> Self {
        self
    }

    /// Records the headers with these names.
    ///
    /// A request's headers are in `http.request.headers` of `request.start`. A response's headers are
    /// in `http.response.headers` of `request.end`. Their names are in lower case. Several headers of
    /// one name are joined by `, `.
    ///
    /// If a header carries a credential, its value becomes `[REDACTED]`. That is the case if the header
    /// is marked as sensitive, or if its name is that of a sensitive key. Any name that contains one of
    /// these words counts, too: `auth`, `cookie`, `token`, `secret`, `password`, `credential`,
    /// `signature`, `api-key`, `apikey`.
    ///
    /// # Panics
    ///
    /// Panics if a name is not a valid name of a header.
    pub fn capture_headers<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.set(|settings| settings.headers.extend(names.into_iter().map(header_name)))
    }

    /// Records bodies of up to `bytes_max` bytes, if
    /// [content is captured](crate::Builder::capture_content).
    ///
    /// They are in `request_body` and `response_body` of `request.end`. JSON is recorded as a value.
    /// In any other text, the values after quoted sensitive keys are redacted.
    ///
    /// Capture fails closed. A body becomes `[TRUNCATED:n]` if it is longer, is not UTF-8, is a
    /// form, or was not read or sent to its end. `n` is the number of bytes seen. Of an event stream that
    /// broke, the whole events come before the marker. Redaction does not know the fields of a form.
    ///
    /// The service gets the body of each request inside a [`RequestBody`](super::RequestBody).
    /// `request.end` then has the number of bytes read in `bytes_in`, captured or not.
    pub fn capture_bodies(self, bytes_max: usize) -> ServerLayer<Captured> {
        let Self { settings, .. } = self.set(|settings| settings.body_bytes_max = Some(bytes_max));
        ServerLayer { settings, _intake: PhantomData }
    }

    fn set(mut self, change: impl FnOnce(&mut LayerSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

/// A router whose routes [`ServerLayer`] reads. Only axum 0.8 has one.
///
/// No bound of the layer itself can tell the versions apart. The route, the request and the response
/// of axum 0.7 fulfil every trait that those of 0.8 do, and traits cannot exclude a type. Types are
/// not compared in constants in the oldest supported compiler. A build script does not see which
/// version the program uses, and another crate may bring another version.
#[cfg(feature = "axum")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the router of axum 0.8, the only version whose routes `llm-audit` reads",
    label = "this is not axum 0.8's `Router`",
    note = "depend on `axum = \"0.8\"`, or name routes by `ServerLayer::route` without `for_router`"
)]
pub trait RouterWithRoutes: sealed::Sealed {}

#[cfg(feature = "axum")]
impl<S> RouterWithRoutes for axum::Router<S> {}

#[cfg(feature = "axum")]
mod sealed {
    pub trait Sealed {}
    impl<S> Sealed for axum::Router<S> {}
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
        let mut exchange = begin_server_exchange(settings, &mut head);
        let seen = I::IS_WATCHING.then(|| {
            let content = BodyContent::new(&head.headers, settings.body_capture(), 0);
            let content = Arc::new(Mutex::new(content));
            exchange.request_body = Some(content.clone());
            SeenRequestBody(content)
        });
        let inner = &mut self.inner;
        let future =
            exchange.run_in_span(|| inner.call(Request::from_parts(head, I::take(body, seen))));
        ServerFuture { pending: Pending::new(future, Some(exchange)) }
    }
}

/// Begins the exchange: emits `request.start`, and puts the span into the request's extensions.
fn begin_server_exchange(settings: &Arc<LayerSettings>, head: &mut Parts) -> Box<Exchange> {
    let started = Instant::now();
    // A layer around this one has begun the request's span, with the headers of the caller.
    let outer = head.extensions.get::<TraceContext>();
    let (mut context, refused) = match outer {
        Some(outer) => (outer.new_span(), None),
        None => headers::read_trace_headers(&head.headers, TraceContext::new_trace),
    };
    let mut caller = None;
    if settings.restarts_trace && outer.is_none() && !replay::is_of(&context) {
        caller = context.parent_span_id().map(|span_id| (context.trace_id(), span_id));
        context = TraceContext::new_trace();
    }
    context = settings.with_identity(context, head);
    let route = request_route(settings, head);
    let method = http_method_name(&head.method);
    let mcp = McpHeaders::read(&head.headers);
    let named = [Some(method), route.as_deref(), mcp.as_ref().map(|mcp| mcp.method)];
    let action = named.into_iter().flatten().collect::<Vec<&str>>().join(" ");
    let headers = RecordedHeaders::pick(&settings.headers, &head.headers);
    let data = RequestStartData { method, route: route.as_deref(), mcp, refused, caller, headers };
    let event = AuditEvent::new(EventType::RequestStart, &settings.agent, &action);
    settings.outlet.emit(&event.span(&context).data(&data));
    head.extensions.insert(context.clone());
    Box::new(Exchange {
        settings: settings.clone(),
        side: ExchangeSide::Server,
        context,
        started,
        method: head.method.clone(),
        route_or_url: route,
        action,
        attempt: None,
        attempts: None,
        model_call: None,
        request_body: None,
        answer: None,
        is_over: false,
    })
}

fn request_route(settings: &LayerSettings, head: &Parts) -> Option<String> {
    axum_matched_path(head)
        .or_else(|| settings.template.as_ref().and_then(|route| route(head)))
        .or_else(|| {
            headers::has_grpc_content_type(&head.headers).then(|| grpc_route(head.uri.path()))?
        })
}

#[cfg(feature = "axum")]
fn axum_matched_path(head: &Parts) -> Option<String> {
    let path = head.extensions.get::<axum::extract::MatchedPath>();
    path.map(|path| path.as_str().to_owned())
}

#[cfg(not(feature = "axum"))]
fn axum_matched_path(_head: &Parts) -> Option<String> {
    None
}

/// Returns the path if it has the form of gRPC's paths; a caller may claim any content type.
fn grpc_route(path: &str) -> Option<String> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
    };
    (is_name(service) && is_name(method)).then(|| path.to_owned())
}

struct RequestStartData<'a> {
    method: &'a str,
    route: Option<&'a str>,
    mcp: Option<McpHeaders<'a>>,
    refused: Option<String>,
    /// The ids of the trace and the span that are not continued.
    caller: Option<(u128, u64)>,
    headers: Option<RecordedHeaders>,
}

impl Serialize for RequestStartData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("http.method", self.method)?;
        write_optional_entry(&mut map, "http.route", self.route)?;
        if let Some(mcp) = &self.mcp {
            map.serialize_entry("mcp.method.name", mcp.method)?;
            mcp.name.map_or(Ok(()), |(member, name)| map.serialize_entry(member, name))?;
        }
        write_optional_entry(&mut map, "traceparent", self.refused.as_ref())?;
        let caller = self.caller.map(|(trace_id, span_id)| {
            let (trace_id, span_id) = (format!("{trace_id:032x}"), format!("{span_id:016x}"));
            BTreeMap::from([("trace_id", trace_id), ("span_id", span_id)])
        });
        write_optional_entry(&mut map, "caller", caller)?;
        write_optional_entry(&mut map, "http.request.headers", self.headers.as_ref())?;
        map.end()
    }
}

pin_project! {
    /// The future of a [`Server`]'s response.
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
            exchange.record_end(ExchangeEnd::Failed(ServiceFailure::from_display(error)));
        }
        Poll::Ready(result.map(|response| {
            let (mut head, body) = ResponseBody::watch(response, exchange).into_parts();
            if let Some(Exchange { context, settings, .. }) = body.exchange() {
                headers::write_response_headers(&mut head.headers, context, &settings.outlet);
            }
            Response::from_parts(head, body)
        }))
    }
}
