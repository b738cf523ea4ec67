//! The interceptor that the SDK calls.

use std::error::Error;
use std::fmt;
use std::iter;
use std::mem;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use llm_audit::layer::tower::{Attempt, Captured, ClientLayer, OpenCall};

type Done = Result<(), BoxError>;

/// Records the calls of an SDK client; see the [crate](crate).
///
/// [`new`](Self::new) records calls of models without content. A [`ClientLayer`] with other settings becomes an
/// interceptor by `From`:
///
/// ```
/// use llm_audit::layer::tower::ClientLayer;
/// use llm_audit_aws::AuditInterceptor;
///
/// let layer = ClientLayer::new("benefits").model_calls().capture_bodies(64 * 1024);
/// let interceptor = AuditInterceptor::from(layer);
/// # drop(interceptor);
/// ```
#[derive(Clone, Debug)]
pub struct AuditInterceptor {
    layer: ClientLayer<Captured>,
}

impl AuditInterceptor {
    /// Returns an interceptor whose events have this `agent`.
    ///
    /// They go to the recorder of the process, as with [`emit`](llm_audit::emit).
    pub fn new(agent: impl Into<String>) -> Self {
        Self::from(ClientLayer::new(agent).model_calls())
    }
}

impl From<ClientLayer<Captured>> for AuditInterceptor {
    fn from(layer: ClientLayer<Captured>) -> Self {
        Self { layer }
    }
}

/// The hooks return no error, because that would end the caller's operation.
impl Intercept for AuditInterceptor {
    fn name(&self) -> &'static str {
        "llm-audit"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Done {
        let request = Attempt::count(Request::new(()));
        cfg.interceptor_state().store_put(Operation { request, call: None });
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Done {
        time_out(cfg);
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Done {
        // Of two interceptors of a client, the first one records.
        let operation = cfg.get_mut_from_interceptor_state::<Operation>();
        if let Some(operation) = operation.filter(|operation| operation.call.is_none()) {
            let sent = context.request();
            let head = request_head(sent, &operation.request);
            operation.call =
                head.map(|mut head| self.layer.open_call(&mut head, sent.body().bytes()));
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Done {
        if let Some(call) = take_call(cfg) {
            watch(call, context.response_mut());
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Done {
        if let Some(call) = take_call(cfg) {
            match context.output_or_error() {
                Some(Err(error)) => call.fail(&NoAnswer::new(error)),
                // The request was only signed, for somebody else to send.
                None => call.forget(),
                Some(Ok(_)) => {}
            }
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Done {
        time_out(cfg);
        Ok(())
    }
}

/// An operation of the SDK while it runs.
#[derive(Debug)]
struct Operation {
    /// The request whose clones are the attempts.
    request: Request<()>,
    /// The attempt whose answer has not begun.
    call: Option<OpenCall>,
}

impl Storable for Operation {
    type Storer = StoreReplace<Self>;
}

fn take_call(cfg: &mut ConfigBag) -> Option<OpenCall> {
    cfg.get_mut_from_interceptor_state::<Operation>()?.call.take()
}

/// Ends the attempt that is still open. The SDK calls no hook after the time-out of an attempt.
fn time_out(cfg: &mut ConfigBag) {
    if let Some(call) = take_call(cfg) {
        call.fail(&NoAnswer("the attempt timed out".to_owned()));
    }
}

/// Why there is no answer.
#[derive(Debug)]
struct NoAnswer(String);

impl NoAnswer {
    /// Returns the causes of an error in one text, because the SDK's own text is a word, such as `timeout`.
    fn new(error: &dyn Error) -> Self {
        /// The limit is needed because a chain may be a circle.
        const CAUSES_MAX: usize = 8;
        let causes = iter::successors(error.source(), |&cause| cause.source()).take(CAUSES_MAX);
        Self(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NoAnswer {}

/// Returns a copy of the head of this request, with the extensions of its attempts.
fn request_head(sent: &HttpRequest, attempts: &Request<()>) -> Option<Parts> {
    let (mut head, ()) = attempts.clone().into_parts();
    head.method = sent.method().parse().ok()?;
    head.uri = sent.uri().parse().ok()?;
    head.headers = header_map(sent.headers());
    Some(head)
}

/// Lets the call see the body of its answer. Only the body is replaced.
fn watch(call: OpenCall, answer: &mut HttpResponse) {
    let mut seen = Response::new(mem::replace(answer.body_mut(), SdkBody::taken()));
    *seen.status_mut() = StatusCode::from_u16(answer.status().as_u16()).unwrap_or_default();
    *seen.headers_mut() = header_map(answer.headers());
    *answer.body_mut() = SdkBody::from_body_1_x(call.answer(seen).into_body());
}

fn header_map(headers: &Headers) -> HeaderMap {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
        .collect()
}
