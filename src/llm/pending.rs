//! A model call whose answer is still to come.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::RawValue;

use super::LlmCall;
use crate::context::TraceContext;
use crate::pricing::{ProviderAnswer, Usage, Usd};
use crate::record::event::{ErrorDetail, Status, milliseconds};
use crate::recorder::Outlet;
use crate::timeout::is_timeout_message;

/// A call that owns what an [`LlmCall`] borrows, and what is known of its answer.
pub(crate) struct PendingCall {
    agent: String,
    action: String,
    provider: String,
    model: String,
    user: String,
    tenant: String,
    conversation: String,
    attempt: Option<u64>,
    usage: Option<Usage>,
    cost: Option<Option<Usd>>,
    /// As JSON. It is redacted when it is recorded.
    prompt: Option<Box<RawValue>>,
    context: Option<TraceContext>,
    answer: Option<ProviderAnswer>,
    first_token: Option<Duration>,
    /// The number of chunks that were read, if the answer is streamed.
    chunks: Option<u64>,
    /// The number of chunks that are too long to be read.
    chunks_skipped: u64,
}

/// How a call ended.
pub(crate) struct CallEnd<'a> {
    pub(crate) context: &'a TraceContext,
    pub(crate) latency: Duration,
    pub(crate) error: Option<&'a ErrorDetail<'a>>,
}

impl PendingCall {
    pub(crate) fn new(call: &LlmCall<'_>) -> Self {
        Self {
            agent: call.agent.to_owned(),
            action: call.action.to_owned(),
            provider: call.provider.to_owned(),
            model: call.model.to_owned(),
            user: call.user.to_owned(),
            tenant: call.tenant.to_owned(),
            conversation: call.conversation.to_owned(),
            attempt: call.attempt,
            usage: call.usage,
            cost: call.cost,
            prompt: call.prompt.and_then(|prompt| prompt.to_json()),
            context: call.span.cloned(),
            answer: None,
            first_token: None,
            chunks: None,
            chunks_skipped: 0,
        }
    }

    /// Returns the span that the caller chose.
    pub(crate) fn context(&self) -> Option<&TraceContext> {
        self.context.as_ref()
    }

    pub(crate) fn begin_stream(&mut self) {
        self.answer = Some(ProviderAnswer::streamed());
        self.chunks = Some(0);
    }

    /// Reads a whole answer, or the next chunk of a stream.
    pub(crate) fn read<T: Serialize>(&mut self, item: &T, began: Instant) {
        let (Some(answer), Some(chunks)) = (&mut self.answer, &mut self.chunks) else {
            self.answer = Some(ProviderAnswer::from_serialized(item).unwrap_or_default());
            return;
        };
        match answer.read_chunk(item) {
            true => *chunks += 1,
            false => self.chunks_skipped += 1,
        }
        if answer.progress.has_content {
            self.first_token.get_or_insert_with(|| began.elapsed());
        }
    }

    /// Returns the error of a call that is dropped now, unless its answer is whole or an error.
    pub(crate) fn drop_error(&self) -> Option<ErrorDetail<'static>> {
        let Some(chunks) = self.chunks else {
            return Some(ErrorDetail::new("cancelled", "the call was dropped before its answer"));
        };
        let message = || format!("the stream was dropped after {}", count_chunks(chunks));
        (!self.has_ended() && !self.is_answered_by_error())
            .then(|| ErrorDetail::new("cancelled", message()))
    }

    /// Returns the error of a stream that ends now, if it has a known end that did not come, and no
    /// error came either.
    pub(crate) fn end_error(&self) -> Option<ErrorDetail<'static>> {
        let chunks = self.chunks?;
        let has_known_end =
            self.answer.as_ref().is_some_and(|answer| answer.progress.has_known_end);
        let is_cut = (chunks == 0 || has_known_end) && !self.has_ended();
        let message =
            || format!("the stream ended after {}, before its end marker", count_chunks(chunks));
        (is_cut && !self.is_answered_by_error()).then(|| ErrorDetail::new("incomplete", message()))
    }

    /// Reports whether the provider has answered with an error, which says more than how the call ended.
    pub(crate) fn is_answered_by_error(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.error.is_some())
    }

    /// Reports whether the answer is whole, or may be so by a chunk that was not read.
    fn has_ended(&self) -> bool {
        self.chunks_skipped > 0
            || self.answer.as_ref().is_some_and(|answer| answer.progress.has_ended())
    }

    pub(crate) fn emit(&mut self, outlet: &Outlet, end: &CallEnd<'_>) {
        if let Some(answer) = self.answer.as_mut().filter(|_| self.chunks.is_some()) {
            answer.finish();
        }
        let call = LlmCall {
            user: &self.user,
            tenant: &self.tenant,
            conversation: &self.conversation,
            first_token_ms: self.first_token.map(milliseconds),
            usage: self.usage,
            cost: self.cost,
            latency_ms: Some(milliseconds(end.latency)),
            status: end.error.filter(|error| is_timeout(error)).map(|_| Status::Timeout),
            attempt: self.attempt,
            chunks: self.chunks,
            chunks_skipped: Some(self.chunks_skipped).filter(|skipped| *skipped > 0),
            prompt: self.prompt.as_ref().map(|prompt| prompt as _),
            error: end.error,
            span: Some(end.context),
            ..LlmCall::new(&self.agent, &self.action, &self.provider, &self.model)
        };
        call.record_answer(outlet, self.answer.as_ref());
    }
}

fn count_chunks(chunks: u64) -> String {
    format!("{chunks} {}", if chunks == 1 { "chunk" } else { "chunks" })
}

/// Reports whether an error, or one of its causes, is a timeout.
fn is_timeout(error: &ErrorDetail<'_>) -> bool {
    is_timeout_message(&error.message) || error.traceback.as_deref().is_some_and(is_timeout_message)
}
