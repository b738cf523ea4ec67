//! Answers one request: checks it, reads it, decodes it, and waits until it is recorded.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use llm_audit::AuditLogger;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::{BodyMemory, RawBody, drain};
use super::checks::{Packing, body_form_of, check_host, check_token, signal_of};
use super::{Counts, Received};
use crate::answer::{Answer, Encoding, Refusal, Signal, response_of};
use crate::decode::{decode_body, unpack};
use crate::recorder::{BodyHasher, Job, Outcome, Recorder};
use crate::settings::{ANSWER_WITHIN, DECODED_MAX, Settings};

/// What all connections share.
pub(super) struct Service {
    settings: Settings,
    logger: AuditLogger,
    memory: BodyMemory,
    /// Turns to decode: the memory of decoded requests is not counted, so they are few.
    turns: Arc<Semaphore>,
    hasher: BodyHasher,
    recorder: Recorder,
    counts: Counts,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The settings have the token.
        f.debug_struct("Service").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Service {
    pub(super) fn start(settings: Settings, logger: &AuditLogger) -> io::Result<Self> {
        Ok(Self {
            memory: BodyMemory::new(settings.body_bytes_max),
            turns: Arc::new(Semaphore::new(DECODED_MAX)),
            hasher: BodyHasher::default(),
            recorder: Recorder::start(logger, settings.durable)?,
            counts: Counts::new(settings.on_refusal),
            logger: logger.clone(),
            settings,
        })
    }

    /// Waits until everything is recorded or the time is up, and returns what was received.
    pub(super) fn stop(&self, within: Duration) -> Received {
        self.recorder.stop(within);
        self.counts.received(self.recorder.repeated())
    }

    /// Notes a client that does not speak HTTP/1.1.
    pub(super) fn note_connection(&self) {
        self.counts.refusals.note_connection();
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let encoding = Encoding::of_request(&head.headers).unwrap_or(Encoding::Json);
        let outcome = self.outcome_of(&head, &mut body).await;
        match &outcome {
            Ok(Answer::Health(_)) => {}
            Ok(Answer::Accepted(_, accepted)) => {
                self.counts.requests.fetch_add(1, Ordering::Relaxed);
                self.counts.rejected_records.fetch_add(accepted.rejected, Ordering::Relaxed);
            }
            Err(refusal) => {
                self.counts.refusals.note_request(refusal.status);
                drain(body).await;
            }
        }
        response_of(outcome, encoding)
    }

    async fn outcome_of(
        self: &Arc<Self>,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<Answer, Refusal> {
        check_host(&head.headers, &self.settings)?;
        if head.uri.path() == "/health" && head.method == Method::GET {
            return Ok(Answer::Health(self.logger.health()));
        }
        check_token(&head.headers, &self.settings)?;
        let signal = signal_of(head)?;
        let (encoding, packing) = body_form_of(&head.headers)?;
        let raw = self.memory.read(body).await?;
        let recorded = timeout(ANSWER_WITHIN, self.record(signal, encoding, packing, raw)).await;
        let late = || Refusal::unavailable("the events are not written yet");
        recorded.map_err(|_| late())?.map(|accepted| Answer::Accepted(signal, accepted))
    }

    /// Decodes a body and waits until it is recorded.
    async fn record(
        self: &Arc<Self>,
        signal: Signal,
        encoding: Encoding,
        packing: Packing,
        raw: RawBody,
    ) -> Outcome {
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("never closed");
        let service = Arc::clone(self);
        let give = move || {
            let _turn = turn;
            let job = service.job_of(signal, encoding, packing, &raw)?;
            // To record it may take long, and further bodies need the memory.
            drop(raw);
            Ok(service.recorder.record(job))
        };
        // A panic of the decoder is its own request's alone.
        let failed = |_| Refusal::new(http::StatusCode::INTERNAL_SERVER_ERROR, "cannot be decoded");
        let outcome = tokio::task::spawn_blocking(give).await.map_err(failed)??;
        outcome.await.unwrap_or_else(|_| Err(Refusal::unavailable("the receiver is stopping")))
    }

    fn job_of(
        &self,
        signal: Signal,
        encoding: Encoding,
        packing: Packing,
        raw: &RawBody,
    ) -> Result<Job, Refusal> {
        let unpacked;
        let body = match packing {
            Packing::Plain => &raw.bytes[..],
            Packing::Gzip => {
                unpacked = unpack(&raw.bytes, self.settings.body_bytes_max)?;
                &unpacked
            }
        };
        let (request, cut) = decode_body(signal, encoding, body)?;
        let key = match request.tells_records_apart() {
            true => self.hasher.key_of(signal, encoding, body),
            false => self.hasher.unique_key(),
        };
        Ok(Job { key, request, cut })
    }
}
