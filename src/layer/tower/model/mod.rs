//! Model calls, read from the requests and the answers of an HTTP client while they pass.

mod aws;
mod chunks;
mod requests;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Buf;
use http::header::{CONTENT_ENCODING, HeaderMap};
use http::request::Parts;
use llm_audit_log::json::{Json, JsonObject};
use serde::ser::SerializeMap;

use self::chunks::{Chunks, only_continues};
use self::requests::ModelRequest;
use super::exchange::write_optional_entry;
use super::streams::for_each_piece;
use crate::pricing::{ProviderAnswer, Usage, Usd};
use crate::record::event::{AuditEvent, ErrorDetail, Status, milliseconds};
use crate::recorder::Outlet;

/// One call of a model while it runs.
#[derive(Debug)]
pub(super) struct ModelCall {
    request: ModelRequest,
    answer: ProviderAnswer,
    /// `None` before the answer begins, and if its body cannot be read.
    chunks: Option<Chunks>,
    is_compressed: bool,
    is_request_compressed: bool,
    of_headers: OfHeaders,
    chunks_read: u64,
    first_token: Option<Duration>,
}

/// What Bedrock says in the headers of an answer, and for some models not in its body.
#[derive(Debug, Default)]
struct OfHeaders {
    usage: Option<Usage>,
    error_type: Option<String>,
}

impl ModelCall {
    /// Recognizes a request by its head.
    pub(super) fn recognize(head: &Parts) -> Option<Box<Self>> {
        let request = ModelRequest::recognize(&head.method, &head.uri)?;
        Some(Box::new(Self {
            request,
            answer: ProviderAnswer::streamed(),
            chunks: None,
            is_compressed: false,
            is_request_compressed: is_compressed(&head.headers),
            of_headers: OfHeaders::default(),
            chunks_read: 0,
            first_token: None,
        }))
    }

    pub(super) fn operation(&self) -> &'static str {
        self.request.operation
    }

    /// Takes the request for one of a model without its body, as if its host were known.
    pub(super) fn trust_head(&mut self) {
        self.request.is_host_known = true;
    }

    pub(super) fn read_head(&mut self, headers: &HeaderMap) {
        self.is_compressed = is_compressed(headers);
        self.chunks = (!self.is_compressed).then(|| Chunks::new(headers, self.request.is_list));
        self.of_headers = OfHeaders::read(headers);
    }

    /// Reads the next bytes of the answer. `elapsed` is the time since the request.
    pub(super) fn add_data(&mut self, data: &impl Buf, elapsed: impl Fn() -> Duration) {
        let Some(chunks) = &mut self.chunks else { return };
        for_each_piece(data, |piece| {
            chunks.add(piece, &mut |chunk| {
                self.chunks_read += 1;
                if !self.answer.progress.has_content || !only_continues(chunk) {
                    self.answer.read_chunk_text(chunk);
                }
            });
        });
        if self.first_token.is_none() && self.answer.progress.has_content {
            self.first_token = Some(elapsed());
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        self.chunks.as_ref().is_some_and(Chunks::is_stream)
    }

    /// Reports whether the provider has said that the answer is whole, or may have said so in what is
    /// not read.
    pub(super) fn has_ended(&self) -> bool {
        self.chunks.as_ref().is_none_or(Chunks::may_hide_end) || self.answer.progress.has_ended()
    }

    /// Ends the call. Returns `None` if the body of the request shows that no model was asked. If that body
    /// was not read, a known host shows that one was, or the answer.
    pub(super) fn finish(mut self, request_body: Option<&[u8]>) -> Option<EndedModelCall> {
        let asked = self.asked_model(request_body.filter(|_| !self.is_request_compressed));
        let message = self.read_rest();
        self.answer.finish();
        let usage = self.answer.usage.or(self.of_headers.usage);
        let is_answered = usage.is_some() || self.answer.progress.has_content;
        let asked = match asked {
            Asked::Model(model) => model,
            Asked::Unread if self.request.is_host_known || is_answered => None,
            Asked::Unread | Asked::Other => return None,
        };
        let request_model = asked.or(self.request.model.take());
        Some(EndedModelCall { call: self, request_model, usage, message })
    }

    fn asked_model(&self, body: Option<&[u8]>) -> Asked {
        let Some(body) = body else { return Asked::Unread };
        match JsonObject::parse(&mut body.to_vec(), "request") {
            Ok(body) if self.request.fits(body.json()) => {
                Asked::Model(text_of(body.json(), "model"))
            }
            Err(_) if self.request.is_host_known => Asked::Unread,
            _ => Asked::Other,
        }
    }

    /// Reads what only the end of the body completes. Returns the message of a whole answer.
    fn read_rest(&mut self) -> Option<String> {
        let (is_stream, mut message) = (self.is_stream(), None);
        self.chunks.as_mut()?.end(&mut |chunk| match is_stream {
            true => self.answer.read_chunk_text(chunk),
            false => {
                self.answer = ProviderAnswer::parse(chunk.clone()).unwrap_or_default();
                message = JsonObject::parse(chunk, "answer").ok().and_then(|answer| {
                    ["message", "detail"].iter().find_map(|name| text_of(answer.json(), name))
                });
            }
        });
        message
    }
}

/// What the body of a request shows.
enum Asked {
    /// A request of a model, and the model that it names.
    Model(Option<String>),
    Other,
    /// Nothing: it was not kept, or cannot be read.
    Unread,
}

fn is_compressed(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

impl OfHeaders {
    fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let tokens = |name: &str| text(name)?.parse::<u64>().ok();
        let input = tokens("x-amzn-bedrock-input-token-count");
        let output = tokens("x-amzn-bedrock-output-token-count");
        // `ThrottlingException:http://…`
        let error_type = text("x-amzn-errortype").and_then(|name| name.split(':').next());
        Self {
            usage: input.zip(output).map(Usage::from),
            error_type: error_type.map(str::to_owned),
        }
    }
}

fn text_of(json: Json<'_>, name: &str) -> Option<String> {
    json.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A call of a model that is over, for its event.
pub(super) struct EndedModelCall {
    call: ModelCall,
    request_model: Option<String>,
    usage: Option<Usage>,
    /// The message of an error that the provider writes without a type.
    message: Option<String>,
}

impl EndedModelCall {
    fn model(&self) -> &str {
        let answered = self.call.answer.model.as_deref();
        answered.or(self.request_model.as_deref()).unwrap_or_default()
    }

    pub(super) fn operation(&self) -> &'static str {
        self.call.request.operation
    }

    pub(super) fn is_stream(&self) -> bool {
        self.call.is_stream()
    }

    /// Returns the end of the call, if HTTP shows this one.
    ///
    /// The provider's own error says more than the status code.
    pub(super) fn end_status(
        &self,
        status: Status,
        error: Option<ErrorDetail<'static>>,
    ) -> (Status, Option<ErrorDetail<'static>>) {
        let answer = &self.call.answer;
        let failed = if status.is_failure() { status } else { Status::Error };
        let replaced = |error_type: &str, message: &str| {
            Some(ErrorDetail::new(error_type.to_owned(), message.to_owned()))
        };
        match (&answer.error, error) {
            (Some((error_type, message)), _) => (failed, replaced(error_type, message)),
            (None, Some(mut error)) => {
                if let Some(error_type) = &self.call.of_headers.error_type {
                    error.error_type = Cow::Owned(error_type.clone());
                }
                if let Some(message) = &self.message {
                    error.message = Cow::Owned(message.clone());
                }
                (status, Some(error))
            }
            (None, None) if self.is_stream() && !self.call.has_ended() => {
                (failed, replaced("incomplete", "the stream ended before its end marker"))
            }
            (None, None) => (status, None),
        }
    }

    /// Returns the cost. If the answer is good and without whole usage, it counts as unmetered.
    pub(super) fn cost(&self, outlet: &Outlet, has_failed: bool) -> Option<Usd> {
        let usage = self.usage.filter(|usage| !usage.is_partial());
        if usage.is_none() && !has_failed {
            outlet.count_unmetered(self.model());
        }
        let models = [self.call.answer.model.as_deref(), self.request_model.as_deref()];
        let mut models: Vec<_> = models.into_iter().flatten().collect();
        models.dedup();
        outlet.cost_with_provider(self.call.request.provider, &models, usage?)
    }

    /// Sets the fields of the event that are not in its data.
    pub(super) fn fill<'e>(&'e self, event: AuditEvent<'e>) -> AuditEvent<'e> {
        let event = event.model(self.model());
        let event = self.usage.iter().fold(event, AuditEvent::usage);
        match self.call.first_token {
            Some(time) => event.first_token_ms(milliseconds(time)),
            None => event,
        }
    }

    /// Writes what is in the data.
    pub(super) fn write_entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let answer = &self.call.answer;
        let model = Some(self.model()).filter(|model| !model.is_empty());
        write_optional_entry(map, "model", model)?;
        let asked = self.request_model.as_deref().filter(|asked| Some(*asked) != model);
        write_optional_entry(map, "request_model", asked)?;
        map.serialize_entry("provider", self.call.request.provider)?;
        write_optional_entry(map, "usage", self.usage.filter(Usage::has_parts))?;
        write_optional_entry(map, "first_token_ms", self.call.first_token.map(milliseconds))?;
        let reasons = answer.progress.finish_reasons();
        write_optional_entry(map, "finish_reasons", Some(reasons).filter(|r| !r.is_empty()))?;
        let read = Some(self.call.chunks_read).filter(|read| *read > 0);
        write_optional_entry(map, "chunks", read)?;
        let skipped = self.call.chunks.as_ref().map_or(0, Chunks::skipped);
        write_optional_entry(map, "chunks_skipped", Some(skipped).filter(|skipped| *skipped > 0))?;
        let note = self.call.is_compressed.then_some("compressed, so not read");
        write_optional_entry(map, "note", note)
    }
}
