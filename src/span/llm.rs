//! Model calls recorded by the future or the stream that they are.

use std::any::type_name;
use std::error::Error;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::time::Instant;

use futures_core::Stream;
use serde::Serialize;
use serde_json::Value;

use super::recording::{Recorded, RecordedKind, Recording};
use super::stream::RecordedStream;
use crate::llm::{LlmCall, PendingCall};
use crate::record::event::ErrorDetail;

/// An error that a model call can end with: any [`Error`], and boxes of one such as
/// `anyhow::Error`.
///
/// The compiler infers `Kind`.
pub trait CallError<Kind> {
    /// Describes the error, with its sources.
    fn detail(&self) -> ErrorDetail<'static>;
}

/// What [`LlmCall::call`] reads of an answer, or [`LlmCall::stream`] of a chunk: the `Ok` of a
/// [`Result`], a JSON value, or a text that contains JSON.
///
/// The text of a chunk is the data of a server-sent event, or whole events. A stream of other items
/// becomes one of these by its `map`. The compiler infers `Kind`.
pub trait CallItem<Kind> {
    /// Returns the answer or the chunk as its provider writes it, unless the item is an error.
    fn answer(&self) -> Option<impl Serialize>;
    /// Describes the error that the item is.
    fn error(&self) -> Option<ErrorDetail<'static>>;
}

/// The kind of what is itself an error.
#[derive(Debug)]
pub struct Itself;
/// The kind of what points to an error.
#[derive(Debug)]
pub struct Pointer;

impl<E: Error> CallError<Itself> for E {
    fn detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::from_error(self).without_url_paths()
    }
}

impl<E: Deref<Target = dyn Error + Send + Sync>> CallError<Pointer> for E {
    fn detail(&self) -> ErrorDetail<'static> {
        ErrorDetail::from_named_error(type_name::<E>(), &**self).without_url_paths()
    }
}

impl<T: Serialize, E: CallError<Kind>, Kind> CallItem<Kind> for Result<T, E> {
    fn answer(&self) -> Option<impl Serialize> {
        self.as_ref().ok()
    }

    fn error(&self) -> Option<ErrorDetail<'static>> {
        self.as_ref().err().map(E::detail)
    }
}

macro_rules! items_without_error {
    ($($item:ty),*) => {$(
        impl CallItem<Itself> for $item {
            fn answer(&self) -> Option<impl Serialize> {
                Some(self)
            }

            fn error(&self) -> Option<ErrorDetail<'static>> {
                None
            }
        }
    )*};
}

items_without_error!(Value, String, &str);

impl LlmCall<'_> {
    /// Runs the future of a client's call, and records the call once, at its end.
    ///
    /// The usage and the model come from the answer. If the call returns an error, the event is an
    /// `llm.error` with the error's type, text and sources. URLs in these end with their host, because a
    /// path may name a person. If it is a timeout by its text, the status is `timeout`. If the future is dropped before its end, the error's type is `cancelled`.
    ///
    /// The span of the call is the current one while the future runs. The duration is that of the
    /// future. A duration, a status, an error, an answer and a completion that were set before have no
    /// effect. A prompt is copied if it is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use llm_audit::LlmCall;
    /// use serde_json::{Value, json};
    ///
    /// # async fn ask_model(question: &str) -> Result<Value, std::io::Error> {
    /// #     Ok(json!({"model": "gpt-4o-2024-08-06",
    /// #         "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}))
    /// # }
    /// async fn answer(question: &str) -> Result<Value, std::io::Error> {
    ///     LlmCall::new("benefits", "chat", "openai", "gpt-4o").call(ask_model(question)).await
    /// }
    ///
    /// # let seen = llm_audit::testing::capture();
    /// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(std::pin::pin!(answer("Which plan is mine?")).poll(&mut cx).is_ready());
    /// assert!(seen.lines()[0].contains(r#""cost_usd":0.0075"#));
    /// ```
    pub fn call<F, Kind>(self, future: F) -> impl Future<Output = F::Output> + use<F, Kind>
    where
        F: Future<Output: CallItem<Kind>>,
    {
        let recording = self.begin();
        async move {
            let mut recorded = pin!(Recorded::new(future, recording));
            let look = |recording: &mut Recording, output: &F::Output| {
                recording.add_item(output, None, Some(read_item));
                recording.end();
            };
            poll_fn(|cx| recorded.as_mut().poll_with(cx, F::poll, look)).await
        }
    }

    /// Records a stream of chunks as one event, at its end. The items pass unchanged and without
    /// delay.
    ///
    /// `data` has the number of `chunks`, `first_token_ms` and the `finish_reasons`. The first token is
    /// the first chunk with a text, reasoning or a tool call. The usage of all chunks is read as their
    /// provider means it. If there is none, the event has no tokens, and
    /// [`AuditLogger::unmetered`](crate::AuditLogger::unmetered) counts it. Ask OpenAI for it by
    /// `stream_options.include_usage`.
    ///
    /// | the stream | the event | error |
    /// |---|---|---|
    /// | ends, or is dropped, after the provider's end marker | `llm.invoke` | |
    /// | yields an error, or a chunk that is one | `llm.error` | the first one |
    /// | is dropped before | `llm.error` | `cancelled` |
    /// | ends before | `llm.error` | `incomplete` |
    /// | panics | `llm.error` | `panic` |
    ///
    /// The end marker is:
    ///
    /// - the finish reason of each choice of OpenAI and of those with its shape, or `[DONE]`
    /// - `response.completed`, `response.incomplete` or `response.failed` of OpenAI's responses
    /// - `message_stop` of Anthropic, `messageStop` of Bedrock, `message-end` of Cohere
    /// - the finish reason of each candidate of Gemini
    ///
    /// Chunks of other shapes have no end marker. Their stream is whole when it ends.
    ///
    /// A chunk of more than 1 MiB as JSON passes unread, and `data.chunks_skipped` counts it. It may
    /// have been the end marker, so neither an end nor a drop after it is an error.
    ///
    /// Times count from here. If the request is sent before, take [`call_stream`](Self::call_stream)
    /// instead. The completion is not recorded. The rest is as with [`call`](Self::call).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_core::Stream;
    /// use llm_audit::LlmCall;
    /// use serde_json::{Value, json};
    /// # use std::{io, pin::{Pin, pin}, task::{Context, Poll, Waker}};
    /// # struct Chunks(std::vec::IntoIter<Value>);
    /// # impl Stream for Chunks {
    /// #     type Item = Result<Value, io::Error>;
    /// #     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
    /// #         Poll::Ready(self.0.next().map(Ok))
    /// #     }
    /// # }
    /// # fn ask_model(_: &str) -> Chunks {
    /// #     Chunks(vec![
    /// #         json!({"choices": [{"index": 0, "delta": {"content": "gold"}, "finish_reason": null}]}),
    /// #         json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    /// #         json!({"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}),
    /// #     ].into_iter())
    /// # }
    ///
    /// fn answer(question: &str) -> impl Stream<Item = Result<Value, io::Error>> + use<> {
    ///     LlmCall::new("benefits", "chat", "openai", "gpt-4o").stream(ask_model(question))
    /// }
    ///
    /// # let seen = llm_audit::testing::capture();
    /// # let mut stream = pin!(answer("Which plan is mine?"));
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// # while let Poll::Ready(Some(_)) = stream.as_mut().poll_next(&mut cx) {}
    /// let line = &seen.lines()[0];
    /// assert!(line.contains(r#""cost_usd":0.0075"#) && line.contains(r#""finish_reasons":["stop"]"#));
    /// ```
    pub fn stream<S, Kind>(self, stream: S) -> RecordedStream<S>
    where
        S: Stream<Item: CallItem<Kind>>,
    {
        let mut recording = self.begin();
        recording.begin_stream();
        RecordedStream::new(stream, recording, Some(read_item))
    }

    /// Runs the future that opens a stream, and records both as one call; see
    /// [`stream`](Self::stream).
    ///
    /// Times count from here, so the time to the first token includes the request. If the future
    /// returns an error, the event is an `llm.error`, as with [`call`](Self::call).
    pub fn call_stream<F, S, E, Kind, Chunk>(
        self,
        future: F,
    ) -> impl Future<Output = Result<RecordedStream<S>, E>> + use<F, S, E, Kind, Chunk>
    where
        F: Future<Output = Result<S, E>>,
        S: Stream<Item: CallItem<Chunk>>,
        E: CallError<Kind>,
    {
        let recording = self.begin();
        async move {
            let mut recorded = pin!(Recorded::new(future, recording));
            let look = |recording: &mut Recording, opened: &Result<S, E>| match opened {
                Ok(_) => recording.begin_stream(),
                Err(error) => recording.fail(error.detail()),
            };
            let stream = poll_fn(|cx| recorded.as_mut().poll_with(cx, F::poll, look)).await?;
            let recording = recorded.take_recording().expect("it is taken once");
            Ok(RecordedStream::new(stream, recording, Some(read_item)))
        }
    }

    fn begin(&self) -> Recording {
        Recording::begin(RecordedKind::Call(Box::new(PendingCall::new(self))))
    }
}

fn read_item<T: CallItem<Kind>, Kind>(
    item: &T,
    call: &mut PendingCall,
    began: Instant,
) -> Option<ErrorDetail<'static>> {
    if let Some(answer) = item.answer() {
        call.read(&answer, began);
    }
    // A client may repeat the provider's error in its own words.
    item.error().filter(|_| !call.is_answered_by_error())
}
