//! Requests to one address: with a time limit, without redirects, and without credentials in what is shown.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, RequestBuilder};

use super::notifier::NotifyError;

/// The time for one request, from the look-up of the host's name to the end of the answer.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// An address that requests go to.
pub(super) struct Endpoint {
    agent: Agent,
    uri: Uri,
}

impl Endpoint {
    /// Parses an address that begins with `http://` or `https://` and contains a host; `None` if it does not.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        (is_http && has_host).then(|| Self { agent: agent(&uri, REQUEST_MAX), uri })
    }

    /// Returns scheme, host and port. Credentials can be in every other part.
    pub(super) fn origin(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}")
    }

    /// Sends a value as JSON.
    pub(super) fn post(&self, body: &impl Serialize) -> Result<(), NotifyError> {
        let body = serde_json::to_vec(body).expect("texts, numbers and maps of texts");
        let request = self.agent.post(&self.uri).header(CONTENT_TYPE, "application/json");
        accepted(self.authorized(request).send(&body[..]))
    }

    pub(super) fn get(&self) -> Result<(), NotifyError> {
        accepted(self.authorized(self.agent.get(&self.uri)).call())
    }

    fn authorized<T>(&self, request: RequestBuilder<T>) -> RequestBuilder<T> {
        match basic_authorization(&self.uri) {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }
}

/// Returns user and password of an address as a header. ureq would leave their `%40` as it is.
fn basic_authorization(uri: &Uri) -> Option<String> {
    let (credentials, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let colon = if credentials.contains(':') { "" } else { ":" };
    let decoded: Vec<u8> = percent_decode_str(credentials).chain(colon.bytes()).collect();
    Some(format!("Basic {}", BASE64_STANDARD.encode(decoded)))
}

fn agent(uri: &Uri, limit: Duration) -> Agent {
    let mut config = Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("llm-audit/", env!("CARGO_PKG_VERSION")));
    if uri.scheme_str() == Some("https") {
        config = config.tls_config(tls());
    }
    config.build().new_agent()
}

/// Trusts what the operating system trusts, so that a company's own authorities count. `SSL_CERT_FILE` names others.
fn tls() -> TlsConfig {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// Judges an answer. The body stays unread: a server may repeat the path in it, which can be a secret.
fn accepted(answer: Result<Response<Body>, ureq::Error>) -> Result<(), NotifyError> {
    let answer = answer.map_err(|error| NotifyError::temporary(reason(error)))?;
    let status = answer.status();
    let text = format!("the answer is {status}");
    if status.is_success() {
        return Ok(());
    }
    if !status.is_server_error() && !matches!(status.as_u16(), 408 | 425 | 429) {
        return Err(NotifyError::permanent(text));
    }
    let wait =
        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Err(NotifyError::temporary(text).with_retry_after(Duration::from_secs(wait.unwrap_or(0))))
}

fn reason(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_never_answers_is_a_temporary_failure() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}/", silent.local_addr().expect("its address"));
        let uri: Uri = address.parse().expect("an address");
        let endpoint = Endpoint { agent: agent(&uri, Duration::from_millis(20)), uri };
        let error = endpoint.get().expect_err("nobody answers");
        assert!(error.is_temporary(), "{error}");
        assert_eq!(error.to_string(), "no answer in time");
    }

    #[test]
    fn an_address_is_one_of_http_with_a_host() {
        for address in [
            "",
            "hooks.example",
            "ftp://hooks.example",
            "http://",
            "http:///x",
            "https://a b",
            "/x",
        ] {
            assert!(Endpoint::parse(address).is_none(), "{address:?}");
        }
    }

    #[test]
    fn what_is_shown_is_scheme_host_and_port() {
        for (address, expected) in [
            ("https://user:secret@hooks.example/T0/secret?key=secret", "https://hooks.example"),
            ("http://[::1]:9093", "http://[::1]:9093"),
        ] {
            assert_eq!(Endpoint::parse(address).expect("an address").origin(), expected);
        }
    }
}
