//! The bodies of responses, watched to their end, and the bodies of requests, if they are captured.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use pin_project_lite::pin_project;

use super::content::BodyContent;
use super::exchange::{Exchange, ExchangeEnd};
use super::failure::{BoxError, ServiceFailure};
use super::replay::RecordedBody;

pin_project! {
    /// The body of a response, which records the end of its request.
    ///
    /// Frames, trailers, size and end of stream come from the inner body. Its errors are boxed. To
    /// get the inner error, downcast the box.
    pub struct ResponseBody<B> {
        // `None` only while being dropped.
        #[pin]
        body: Option<B>,
        // `None` if nothing is recorded.
        exchange: Option<Box<Exchange>>,
        // The expected length, if it is known.
        bytes_expected: Option<u64>,
        is_polled: bool,
        // In place of the inner body, in a replay.
        recorded: Option<RecordedBody>,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(exchange) = this.exchange {
                exchange.run_in_span(|| this.body.set(None));
                // hyper drops a body of known length without asking for its end. If a client wants
                // only the head, it drops the body unread.
                let is_sent = this.bytes_expected.is_some_and(|bytes| exchange.response_bytes() >= bytes);
                let is_unread = exchange.may_end_unread() && !*this.is_polled;
                exchange.record_end(if is_unread {
                    ExchangeEnd::Unread
                } else if is_sent || exchange.may_end_here() {
                    ExchangeEnd::Done
                } else {
                    ExchangeEnd::Cancelled
                });
            }
        }
    }
}

/// A body of which nothing is recorded, as layers around this one make for answers of their own.
impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        let body = Some(B::default());
        Self { body, exchange: None, bytes_expected: None, is_polled: false, recorded: None }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

impl<B> ResponseBody<B> {
    /// Returns the exchange, if it is recorded.
    pub(super) fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_deref()
    }

    /// Answers with a recorded body.
    #[cfg(feature = "replay")]
    pub(super) fn recorded(
        response: Response<()>,
        recorded: RecordedBody,
        mut exchange: Box<Exchange>,
    ) -> Response<Self> {
        let (head, ()) = response.into_parts();
        let has_body = exchange.store_response_head(head.status, &head.headers);
        let bytes_expected = recorded.remaining();
        if !has_body || bytes_expected == Some(0) {
            exchange.record_end(ExchangeEnd::Done);
        }
        let (exchange, recorded) = (Some(exchange), Some(recorded));
        let body = Self { body: None, exchange, bytes_expected, is_polled: false, recorded };
        Response::from_parts(head, body)
    }
}

impl<B: Body> ResponseBody<B> {
    /// Watches the body of a response to its end.
    ///
    /// If no body follows, the exchange ends at once.
    pub(super) fn watch(
        response: Response<B>,
        exchange: Option<Box<Exchange>>,
    ) -> Response<ResponseBody<B>> {
        let (head, body) = response.into_parts();
        let mut watched =
            Self { body: None, exchange, bytes_expected: None, is_polled: false, recorded: None };
        if let Some(exchange) = &mut watched.exchange {
            let has_body = exchange.store_response_head(head.status, &head.headers);
            let (is_over, hint) = exchange.run_in_span(|| (body.is_end_stream(), body.size_hint()));
            let length = head.headers.get(http::header::CONTENT_LENGTH);
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            watched.bytes_expected = length.or(hint.exact());
            if !has_body || is_over || watched.bytes_expected == Some(0) {
                exchange.record_end(ExchangeEnd::Done);
            }
        }
        watched.body = Some(body);
        Response::from_parts(head, watched)
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data: 'static>,
    B::Error: Into<BoxError> + 'static,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        *this.is_polled = true;
        let (frame, is_over) = match (&mut *this.exchange, this.recorded) {
            (Some(exchange), Some(recorded)) => {
                let polled = recorded.poll_frame(exchange);
                (polled, recorded.remaining() == Some(0))
            }
            (exchange, _) => {
                let body = this.body.as_pin_mut();
                let mut body = body.expect("a body is not polled after its drop");
                let Some(exchange) = exchange else {
                    return body.poll_frame(cx).map_err(Into::into);
                };
                exchange.run_in_span(|| {
                    let polled = body.as_mut().poll_frame(cx);
                    let is_over = polled.is_ready() && body.is_end_stream();
                    (polled.map_err(Into::into), is_over)
                })
            }
        };
        let Some(exchange) = this.exchange else { return frame };
        let frame = ready!(frame);
        match &frame {
            Some(Ok(frame)) => exchange.count_response_frame(frame),
            Some(Err(error)) => exchange
                .record_end(ExchangeEnd::Failed(ServiceFailure::from_boxed::<B::Error>(error))),
            None => {}
        }
        // Nothing follows trailers, and callers do not poll after them.
        let is_last = match &frame {
            Some(frame) => frame.as_ref().is_ok_and(Frame::is_trailers),
            None => true,
        };
        if is_over || is_last {
            exchange.record_end(ExchangeEnd::Done);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        if let Some(recorded) = &self.recorded {
            return recorded.remaining() == Some(0);
        }
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(recorded) = &self.recorded {
            return recorded.remaining().map_or_else(SizeHint::default, SizeHint::with_exact);
        }
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// How a [`ServerLayer`](super::ServerLayer) passes the bodies of requests on.
///
/// The trait is sealed. It is [`AsIs`], or [`Captured`] after
/// [`capture_bodies`](super::ServerLayer::capture_bodies).
pub trait Intake<B>: sealed::Intake {
    /// The body that the service gets.
    type Body;

    #[doc(hidden)]
    fn take(body: B, seen: Option<SeenRequestBody>) -> Self::Body;
}

mod sealed {
    use super::{Arc, AsIs, BodyContent, Captured, Mutex};

    pub trait Intake {
        /// `true` if bodies are watched.
        const IS_WATCHING: bool;
    }

    impl Intake for AsIs {
        const IS_WATCHING: bool = false;
    }

    impl Intake for Captured {
        const IS_WATCHING: bool = true;
    }

    #[derive(Debug)]
    pub struct SeenRequestBody(pub(in super::super) Arc<Mutex<BodyContent>>);
}

pub(super) use sealed::SeenRequestBody;

/// The service gets the bodies of requests unchanged.
#[derive(Clone, Copy, Debug)]
pub struct AsIs;

/// The service gets the body of each request inside a [`RequestBody`].
#[derive(Clone, Copy, Debug)]
pub struct Captured;

impl<B> Intake<B> for AsIs {
    type Body = B;

    fn take(body: B, _seen: Option<SeenRequestBody>) -> B {
        body
    }
}

impl<B: Body> Intake<B> for Captured {
    type Body = RequestBody<B>;

    fn take(body: B, seen: Option<SeenRequestBody>) -> RequestBody<B> {
        let watched = RequestBody { body, seen };
        watched.note_end();
        watched
    }
}

pin_project! {
    /// The body of a request, which is counted and captured while the service reads it.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        body: B,
        // `None` if nothing is recorded.
        seen: Option<SeenRequestBody>,
    }
}

impl<B: Body> RequestBody<B> {
    fn note_end(&self) {
        if let Some(SeenRequestBody(content)) = &self.seen
            && self.body.is_end_stream()
        {
            content.lock().is_whole = true;
        }
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.as_mut().project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(SeenRequestBody(content)) = this.seen {
            match &frame {
                Some(Ok(frame)) => {
                    frame.data_ref().into_iter().for_each(|d| content.lock().add_data(d))
                }
                Some(Err(_)) => {}
                None => content.lock().is_whole = true,
            }
        }
        self.note_end();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
