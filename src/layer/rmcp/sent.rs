//! The transport of a client: it learns the ids of requests, and adds the trace to the first ones.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::model::{
    ClientRequest, GetMeta, JsonRpcMessage, RequestId, RequestMetaObject, RequestParamsMeta,
};
use rmcp::service::{RoleClient, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use super::trace;
use crate::context::TraceContext;
use crate::recorder::Outlet;

/// The requests that are recorded now, by their spans, with the ids under which they were sent.
///
/// rmcp chooses the id of a request, and shows it only to the transport.
#[derive(Clone, Default)]
pub(super) struct SentRequests(Arc<Mutex<HashMap<u64, Option<RequestId>>>>);

impl SentRequests {
    /// Expects a request of this span, until the result is dropped.
    pub(super) fn expect(&self, span: &TraceContext) -> ExpectedId {
        self.0.lock().insert(span.span_id(), None);
        ExpectedId { sent: self.clone(), span_id: span.span_id() }
    }

    /// Stores the id of an expected request. A request that needs several rounds has the last one.
    fn store(&self, span_id: u64, id: &RequestId) {
        if let Some(place) = self.0.lock().get_mut(&span_id) {
            *place = Some(id.clone());
        }
    }

    fn is_expected(&self, span: &TraceContext) -> bool {
        self.0.lock().contains_key(&span.span_id())
    }
}

/// The place for the id of one request.
pub(super) struct ExpectedId {
    sent: SentRequests,
    span_id: u64,
}

impl ExpectedId {
    /// Returns the id, if the request was sent.
    pub(super) fn take(&self) -> Option<String> {
        Some(self.sent.0.lock().get_mut(&self.span_id)?.take()?.to_string())
    }
}

impl Drop for ExpectedId {
    fn drop(&mut self) {
        self.sent.0.lock().remove(&self.span_id);
    }
}

/// A transport that passes all messages on.
pub(super) struct SeenTransport<T> {
    pub(super) inner: T,
    pub(super) sent: SentRequests,
    pub(super) outlet: Outlet,
}

impl<T> SeenTransport<T> {
    fn see(&self, request: &mut ClientRequest, id: &RequestId) {
        let is_first = matches!(
            request,
            ClientRequest::InitializeRequest(_) | ClientRequest::DiscoverRequest(_)
        );
        let span = match is_first {
            true => self.write_first_span(request.get_meta_mut()),
            false => meta_of(request).and_then(|meta| trace::read_caller(meta)?.ok()),
        };
        if let Some(span) = span {
            self.sent.store(span.span_id(), id);
        }
    }

    /// Writes the current span into the first request, which rmcp makes. It sends this one in the
    /// caller's task.
    fn write_first_span(&self, meta: &mut RequestMetaObject) -> Option<TraceContext> {
        let span = TraceContext::current().filter(|span| self.sent.is_expected(span))?;
        trace::write_span(meta, &span, &self.outlet);
        Some(span)
    }
}

/// Returns the `_meta` that a [`RunningClient`](super::RunningClient) wrote.
fn meta_of(request: &ClientRequest) -> Option<&RequestMetaObject> {
    match request {
        ClientRequest::CallToolRequest(request) => request.params.meta(),
        ClientRequest::GetPromptRequest(request) => request.params.meta(),
        ClientRequest::ReadResourceRequest(request) => request.params.meta(),
        ClientRequest::ListToolsRequest(request) => request.params.as_ref()?.meta(),
        _ => None,
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for SeenTransport<T> {
    type Error = T::Error;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        if let JsonRpcMessage::Request(request) = &mut message {
            self.see(&mut request.request, &request.id);
        }
        self.inner.send(message)
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleClient>>> + Send {
        self.inner.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), T::Error>> + Send {
        self.inner.close()
    }
}
