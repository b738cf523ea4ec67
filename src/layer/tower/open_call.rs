//! A call of an HTTP client that is neither a service nor reqwest, recorded in two steps.

use std::error::Error as StdError;
use std::fmt;

use http::Response;
use http::request::Parts;
use http_body::Body;

use super::body::ResponseBody;
use super::client::{ClientLayer, begin_client_exchange};
use super::exchange::{Exchange, ExchangeEnd};
use super::failure::ServiceFailure;

impl<I> ClientLayer<I> {
    /// Begins a call of an HTTP client that is neither a service nor reqwest, such as that of an SDK with hooks.
    ///
    /// Call this when the request is about to be sent. Its span is written into the headers of `head`, which
    /// may be a copy. `body` is `None` if it is not in memory. The event is that of a [`Client`](super::Client).
    /// A replay does not answer the call.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use llm_audit::layer::tower::ClientLayer;
    ///
    /// let (mut head, body) = Request::get("http://localhost/plans").body("")?.into_parts();
    /// let call = ClientLayer::new("benefits").open_call(&mut head, Some(body.as_bytes()));
    /// let response = Response::new("two plans".to_owned()); // from the client
    /// let response = call.answer(response); // recorded when the body ends
    /// # drop(response);
    /// # Ok::<_, http::Error>(())
    /// ```
    pub fn open_call(&self, head: &mut Parts, body: Option<&[u8]>) -> OpenCall {
        if self.settings.outlet.is_off() {
            return OpenCall(None);
        }
        let mut exchange = begin_client_exchange(&self.settings, head);
        exchange.read_request_body(body);
        OpenCall(Some(exchange))
    }
}

/// A call whose response has not come; made by [`ClientLayer::open_call`].
///
/// If it is dropped, the call is recorded as cancelled.
pub struct OpenCall(Option<Box<Exchange>>);

impl OpenCall {
    /// Takes the response. The call is recorded when its body ends or is dropped.
    pub fn answer<B: Body>(self, response: Response<B>) -> Response<ResponseBody<B>> {
        ResponseBody::watch(response, self.0)
    }

    /// Records that the client failed without a response.
    pub fn fail<E: StdError + 'static>(self, error: &E) {
        if let Some(mut exchange) = self.0 {
            exchange.record_end(ExchangeEnd::Failed(ServiceFailure::from_error(error)));
        }
    }

    /// Records nothing, because the request was not sent: it was only signed, for example.
    pub fn forget(self) {
        if let Some(mut exchange) = self.0 {
            exchange.is_over = true;
        }
    }
}

impl fmt::Debug for OpenCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenCall").finish_non_exhaustive()
    }
}
