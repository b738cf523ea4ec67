//! Requests over gRPC, as bytes that are encoded already.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use prost::bytes::{Buf, BufMut};
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use ureq::http::uri::PathAndQuery;

use super::super::OtlpSettings;
use super::super::client::{
    Error, RETRY_AFTER_MAX, USER_AGENT, client_files, headers_of, read_pem, shown,
};
use crate::shipper::SendError;

/// Calls one method of a collector, on a runtime of its own.
pub(in crate::otlp) struct GrpcClient {
    runtime: Runtime,
    grpc: Grpc<Channel>,
    method: PathAndQuery,
    headers: MetadataMap,
    timeout: Duration,
}

impl fmt::Debug for GrpcClient {
    /// Leaves out what may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClient").field("method", &self.method).finish_non_exhaustive()
    }
}

impl GrpcClient {
    /// Makes a client that calls `method`. It connects with the first call.
    pub(in crate::otlp) fn new(
        settings: &OtlpSettings,
        method: &'static str,
    ) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::runtime)?;
        let endpoint = endpoint_of(settings)?;
        let channel = {
            let _entered = runtime.enter();
            endpoint.connect_lazy()
        };
        let mut grpc = Grpc::new(channel).accept_compressed(CompressionEncoding::Gzip);
        if settings.gzip {
            grpc = grpc.send_compressed(CompressionEncoding::Gzip);
        }
        Ok(Self {
            runtime,
            grpc,
            method: PathAndQuery::from_static(method),
            headers: MetadataMap::from_headers(headers_of(&settings.headers)?),
            timeout: settings.timeout,
        })
    }

    /// Sends an encoded request once. Returns the encoded answer.
    pub(in crate::otlp) fn send_once(&mut self, request: Vec<u8>) -> Result<Vec<u8>, SendError> {
        let Self { runtime, grpc, method, headers, timeout: limit } = self;
        let mut request = Request::new(request);
        *request.metadata_mut() = headers.clone();
        request.set_timeout(*limit);
        let call = async {
            let ready = grpc.ready().await;
            ready.map_err(|error| Status::from_error(error.into()))?;
            grpc.unary(request, method.clone(), Encoded).await
        };
        // The collector may not keep to the deadline.
        let answer = runtime.block_on(async { timeout(*limit, call).await });
        let late = |_| Err(Status::deadline_exceeded("no answer in time"));
        answer
            .unwrap_or_else(late)
            .map(tonic::Response::into_inner)
            .map_err(|status| failure(&status))
    }
}

fn endpoint_of(settings: &OtlpSettings) -> Result<Endpoint, Error> {
    let endpoint =
        Endpoint::from_shared(settings.endpoint.clone()).map_err(|_| Error::bad_uri())?;
    let endpoint = endpoint.user_agent(USER_AGENT).map_err(|_| Error::bad_uri())?;
    if !settings.endpoint.starts_with("https:") {
        return Ok(endpoint);
    }
    let mut tls = match &settings.certificate {
        Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read_pem(file)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some((certificate, key)) = client_files(settings)? {
        tls = tls.identity(Identity::from_pem(read_pem(certificate)?, read_pem(key)?));
    }
    endpoint.tls_config(tls).map_err(Error::certificate)
}

/// What becomes of a failed call, by the
/// [specification](https://opentelemetry.io/docs/specs/otlp/#failures). Codes that are about settings can be mended.
fn failure(status: &Status) -> SendError {
    let after = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
    let after = after.map(|after| after.min(RETRY_AFTER_MAX));
    // With a source it did not come from the collector.
    let (is_answer, message) = (status.source().is_none(), shown(status.message()));
    let why = match is_answer {
        true => format!("the collector answered {:?}: {message:?}", status.code()),
        false => format!("cannot reach the collector: {message}"),
    };
    match status.code() {
        Code::InvalidArgument => SendError::Refused { why },
        Code::ResourceExhausted if after.is_none() => SendError::Failed { why, after },
        Code::Aborted | Code::DataLoss | Code::Internal | Code::OutOfRange | Code::Unknown
            if is_answer =>
        {
            SendError::Failed { why, after }
        }
        Code::DeadlineExceeded => SendError::Unanswered { why },
        _ => SendError::Later { why, after },
    }
}

/// Messages that are encoded already.
#[derive(Clone, Copy)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Encoded {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}
