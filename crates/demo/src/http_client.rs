//! The one HTTP client: plain for the load, recorded for the service.

use std::error::Error as StdError;
use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use http::request::Builder;
use http::response::Parts;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use llm_audit::layer::tower::{Attempt, ClientLayer};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

/// The header that gives the stand-ins the number of earlier attempts, so that what they do depends
/// on the request alone. Other services ignore it.
pub(crate) const RETRY_COUNT: &str = "x-retry-count";
/// A larger answer is an error.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A longer body is not recorded, even if content is captured.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 10;

pub(crate) type HttpRequest = http::Request<Full<Bytes>>;
type BoxError = Box<dyn StdError + Send + Sync>;

/// A client with its pool of connections; clones share it.
#[derive(Clone)]
pub(crate) struct HttpClient(BoxCloneSyncService<HttpRequest, http::Response<Body>, BoxError>);

impl HttpClient {
    /// Records nothing and adds nothing to a request.
    pub(crate) fn plain() -> Self {
        let client = http_connections().map_response(|response| response.map(Body::new));
        Self(BoxCloneSyncService::new(client.map_err(Into::into)))
    }

    /// Every call is an `api.call` of the benefits agent's, and carries its `traceparent`.
    pub(crate) fn recorded() -> Self {
        let layer = ClientLayer::new("benefits")
            .capture_headers(["retry-after", "retry-after-ms"])
            .capture_bodies(BODY_BYTES_MAX);
        let client = layer.layer(http_connections());
        let client = client.map_response(|response| response.map(Body::new));
        Self(BoxCloneSyncService::new(client.map_err(Into::into)))
    }

    /// The answer's head; its body is still to come.
    pub(crate) async fn send(
        &self,
        request: HttpRequest,
    ) -> Result<http::Response<Body>, Unreachable> {
        self.0.clone().oneshot(request).await.map_err(Unreachable)
    }

    /// The whole answer.
    pub(crate) async fn fetch(&self, request: HttpRequest) -> Result<(Parts, Bytes), Unreachable> {
        let (head, body) = self.send(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(Unreachable)?;
        Ok((head, body.to_bytes()))
    }
}

fn http_connections() -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build(connector())
}

#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

#[cfg(not(feature = "tls"))]
fn connector() -> Connector {
    HttpConnector::new()
}

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;

#[cfg(feature = "tls")]
fn connector() -> Connector {
    use hyper_rustls::HttpsConnectorBuilder;
    use rustls::crypto::ring;
    use rustls::{ClientConfig, RootCertStore};

    // Named here, because another package of the build may bring rustls a second one.
    let crypto = || ring::default_provider();
    let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(crypto());
    let builder = builder.unwrap_or_else(|_| {
        // A machine without root certificates reaches plain HTTP, and nobody else.
        let config = ClientConfig::builder_with_provider(crypto().into())
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        HttpsConnectorBuilder::new().with_tls_config(config)
    });
    builder.https_or_http().enable_http1().build()
}

/// Adds the number of earlier attempts to a request, for the stand-ins and for the log.
pub(crate) fn with_retry_count(request: Builder, retries: u32) -> Builder {
    request.header(RETRY_COUNT, retries).extension(Attempt(retries + 1))
}

/// No answer came, or not all of it.
#[derive(Debug)]
pub(crate) struct Unreachable(BoxError);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no whole answer came")
    }
}

impl StdError for Unreachable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
