//! An adapter that records the end of a stream.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::context::TraceContext;
use crate::record::event::{AuditEvent, ErrorDetail, EventType, Status};
use crate::recorder::{AuditLogger, Outlet};

/// Records the end of a stream as one `stream.end` event.
///
/// `#[audit_span]` on a function that returns a stream records the call that makes it. Items come
/// later, and this adapter records when they end.
///
/// The span of the stream is below the context that is current here. It is the current one while the
/// stream is polled and dropped. `latency_ms` is from here to the end, and `data.items` counts the
/// items. The status is `ok` after the last item. If the stream is dropped before that, the error's
/// type is `cancelled`. If it panics, the type is `panic`, even if the panic is caught and the stream is
/// polled to its end.
///
/// # Examples
///
/// ```
/// use futures_core::Stream;
/// use llm_audit::{ErrorDetail, audit_span, record_stream};
/// # use std::{fmt, pin::Pin, task::{Context, Poll}};
/// # struct Tokens(std::vec::IntoIter<Result<String, fmt::Error>>);
/// # impl Stream for Tokens {
/// #     type Item = Result<String, fmt::Error>;
/// #     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
/// #         Poll::Ready(self.0.next())
/// #     }
/// # }
/// # fn ask_model(_: &str) -> Tokens {
/// #     Tokens(vec![Ok("gold".to_owned()), Err(fmt::Error)].into_iter())
/// # }
///
/// #[audit_span(agent = "benefits", action = "answer")]
/// fn answer(question: &str) -> impl Stream<Item = Result<String, fmt::Error>> + use<> {
///     record_stream("benefits", "answer.stream", ask_model(question))
///         .error_of(|item| item.as_ref().err().map(|error| ErrorDetail::from_error(error)))
/// }
///
/// # let seen = llm_audit::testing::capture();
/// # let mut stream = std::pin::pin!(answer("Which plan is mine?"));
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// # while let std::task::Poll::Ready(Some(_)) = stream.as_mut().poll_next(&mut cx) {}
/// # let lines = seen.lines();
/// # assert!(lines[2].contains(r#""event_type":"stream.end""#), "{lines:?}");
/// # assert!(lines[2].contains(r#""items":2"#) && lines[2].contains(r#""status":"error""#));
/// ```
pub fn record_stream<S: Stream>(
    agent: impl Into<Cow<'static, str>>,
    action: impl Into<Cow<'static, str>>,
    stream: S,
) -> RecordedStream<S> {
    let open = OpenStream {
        outlet: Outlet::default(),
        agent: agent.into(),
        action: action.into(),
        context: TraceContext::new_span_below_current(),
        began: Instant::now(),
        items: 0,
        error: None,
        is_running: false,
        has_ended: false,
    };
    RecordedStream { stream: Some(stream), error_of: None, open }
}

/// A stream that has begun.
struct OpenStream {
    outlet: Outlet,
    agent: Cow<'static, str>,
    action: Cow<'static, str>,
    context: TraceContext,
    began: Instant,
    items: u64,
    /// The first error among the items.
    error: Option<ErrorDetail<'static>>,
    /// The stream is being polled. If that is so at a drop or at the next poll, it panicked.
    is_running: bool,
    has_ended: bool,
}

impl OpenStream {
    fn note_panic(&mut self) {
        self.error.get_or_insert_with(|| {
            ErrorDetail::new("panic", "the stream panicked; the panic hook has the text")
        });
    }

    fn emit_end(&mut self) {
        self.has_ended = true;
        let data = StreamEndData { items: self.items };
        let status = if self.error.is_some() { Status::Error } else { Status::Ok };
        let event = AuditEvent::new(EventType::Custom("stream.end"), &self.agent, &self.action)
            .status(status)
            .latency(self.began.elapsed())
            .span(&self.context)
            .data(&data);
        self.outlet.emit(&AuditEvent { error: self.error.as_ref(), ..event });
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if !self.has_ended {
            if self.is_running {
                self.note_panic();
            }
            self.error.get_or_insert_with(|| {
                ErrorDetail::new("cancelled", "the stream was dropped before its end")
            });
            self.emit_end();
        }
    }
}

struct StreamEndData {
    items: u64,
}

impl Serialize for StreamEndData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("items", &self.items)?;
        map.end()
    }
}

pin_project_lite::pin_project! {
    /// A stream whose end is recorded; made by [`record_stream`].
    #[must_use = "streams do nothing unless polled"]
    pub struct RecordedStream<S: Stream> {
        // `None` only while being dropped.
        #[pin]
        stream: Option<S>,
        error_of: Option<fn(&S::Item) -> Option<ErrorDetail<'static>>>,
        open: OpenStream,
    }

    impl<S: Stream> PinnedDrop for RecordedStream<S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _scope = this.open.context.enter();
            this.stream.set(None);
        }
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for RecordedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<S: Stream> RecordedStream<S> {
    /// Records into this logger instead of the recorder of the process.
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.open.outlet = Outlet(Some(logger));
        self
    }

    /// Sets the function that says whether an item is an error. The first error among the items
    /// becomes that of the `stream.end`.
    pub fn error_of(mut self, error: fn(&S::Item) -> Option<ErrorDetail<'static>>) -> Self {
        self.error_of = Some(error);
        self
    }
}

impl<S: Stream> Stream for RecordedStream<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let stream = this.stream.as_pin_mut().expect("a stream is not polled after its drop");
        let open = this.open;
        let scope = open.context.enter();
        // Somebody caught the panic of the last poll.
        if std::mem::replace(&mut open.is_running, true) {
            open.note_panic();
        }
        let polled = stream.poll_next(cx);
        drop(scope);
        match &polled {
            Poll::Ready(Some(item)) => {
                open.items += 1;
                if let (None, Some(error_of)) = (&open.error, this.error_of) {
                    open.error = error_of(item);
                }
            }
            Poll::Ready(None) if !open.has_ended => open.emit_end(),
            _ => {}
        }
        open.is_running = false;
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, None), Stream::size_hint)
    }
}
