//! An adapter that records the end of a stream.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::recording::{ErrorOf, ReadItem, Recorded, RecordedKind, Recording};
use crate::record::event::ErrorDetail;
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
    let kind = RecordedKind::Stream { agent: agent.into(), action: action.into() };
    RecordedStream::new(stream, Recording::begin(kind), None)
}

pin_project_lite::pin_project! {
    /// A stream whose end is recorded; made by [`record_stream`] and
    /// [`LlmCall::stream`](crate::LlmCall::stream).
    #[must_use = "streams do nothing unless polled"]
    pub struct RecordedStream<S: Stream> {
        #[pin]
        recorded: Recorded<S>,
        error_of: Option<ErrorOf<S::Item>>,
        read: Option<ReadItem<S::Item>>,
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for RecordedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.recorded.inner();
        f.debug_struct("RecordedStream").field("stream", &stream).finish_non_exhaustive()
    }
}

impl<S: Stream> RecordedStream<S> {
    pub(super) fn new(stream: S, recording: Recording, read: Option<ReadItem<S::Item>>) -> Self {
        Self { recorded: Recorded::new(stream, recording), error_of: None, read }
    }

    /// Records into this logger instead of the recorder of the process.
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        if let Some(recording) = self.recorded.recording() {
            recording.outlet = Outlet(Some(logger));
        }
        self
    }

    /// Sets the function that says whether an item is an error. The first error among the items
    /// becomes that of the event, without its snapshot and its environment.
    pub fn error_of(mut self, error: fn(&S::Item) -> Option<ErrorDetail<'static>>) -> Self {
        self.error_of = Some(error);
        self
    }
}

impl<S: Stream> Stream for RecordedStream<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let (error_of, read) = (*this.error_of, *this.read);
        this.recorded.poll_with(cx, S::poll_next, |recording, item| match item {
            Some(item) => recording.add_item(item, error_of, read),
            None => recording.end(),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.recorded.inner().map_or((0, None), Stream::size_hint)
    }
}
