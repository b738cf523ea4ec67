//! The HTTP client: packs requests, sends them, and tries again if that may help.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ureq::Agent;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::OtlpSettings;
use crate::shipper::SendError;

/// The pause before the first retry. Each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// No longer pause that a collector asks for is kept.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
pub(super) const USER_AGENT: &str = concat!("llm-audit/", env!("CARGO_PKG_VERSION"));
/// The longest part of an answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The longest part of a collector's message that is shown.
const MESSAGE_CHARS_MAX: usize = 200;

/// A collector did not take figures, or cannot be asked.
#[derive(Debug)]
pub struct Error(Cause);

#[derive(Debug)]
enum Cause {
    Certificate(String),
    Header(String),
    /// It asked not to be asked yet.
    Busy,
    Packing(io::Error),
    #[cfg(not(feature = "otlp-grpc"))]
    WithoutGrpc,
    /// The runtime of gRPC cannot start.
    #[cfg(feature = "otlp-grpc")]
    Runtime(io::Error),
    Unreachable(ureq::Error),
    /// With the path of the URL, without what may follow it.
    Status(StatusCode, String),
    Partial {
        points: i64,
        message: String,
    },
}

impl Error {
    pub(super) fn partial(points: i64, message: &str) -> Self {
        Self(Cause::Partial { points, message: shown(message) })
    }

    #[cfg(not(feature = "otlp-grpc"))]
    pub(super) fn without_grpc() -> Self {
        Self(Cause::WithoutGrpc)
    }

    #[cfg(feature = "otlp-grpc")]
    pub(super) fn runtime(error: io::Error) -> Self {
        Self(Cause::Runtime(error))
    }

    /// The endpoint cannot be used. It is not shown, since it may contain a password.
    #[cfg(feature = "otlp-grpc")]
    pub(super) fn bad_uri() -> Self {
        Self(Cause::Unreachable(ureq::Error::BadUri(String::new())))
    }

    #[cfg(feature = "otlp-grpc")]
    pub(super) fn certificate(why: impl fmt::Display) -> Self {
        Self(Cause::Certificate(why.to_string()))
    }

    /// A file of certificates or keys cannot be used.
    fn in_file(file: &Path, why: impl fmt::Display) -> Self {
        Self(Cause::Certificate(format!("{}: {why}", file.display())))
    }
}

/// Returns what is shown of a collector's message.
pub(super) fn shown(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Certificate(what) => write!(f, "certificates for the collector: {what}"),
            Cause::Header(name) => write!(f, "the header {name:?} cannot be sent"),
            Cause::Busy => f.write_str("the collector asked for a pause"),
            Cause::Packing(error) => write!(f, "cannot pack a request: {error}"),
            #[cfg(not(feature = "otlp-grpc"))]
            Cause::WithoutGrpc => f.write_str("gRPC needs the feature otlp-grpc"),
            #[cfg(feature = "otlp-grpc")]
            Cause::Runtime(error) => write!(f, "cannot start the runtime of gRPC: {error}"),
            // It would show the whole URL, which may contain a password.
            Cause::Unreachable(ureq::Error::BadUri(_)) => {
                f.write_str("the address of the collector is not a URL")
            }
            Cause::Unreachable(error) => write!(f, "cannot reach the collector: {error}"),
            Cause::Status(status, path) if is_about_path(*status) => {
                write!(f, "the collector answered {status} to {path:?}")
            }
            Cause::Status(status, _) => write!(f, "the collector answered {status}"),
            Cause::Partial { points, message } => {
                write!(f, "the collector refused {points} data points: {message:?}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::Packing(error) => Some(error),
            Cause::Unreachable(error) => Some(error),
            _ => None,
        }
    }
}

/// What a collector answers to a request that it took.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// As the collector names it.
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_json(&self) -> bool {
        self.has_type("application/json")
    }

    /// Whether it is longer than what is read of it, and not a page of something else.
    pub(super) fn is_cut(&self) -> bool {
        let is_of_collector = self.is_json() || self.has_type("application/x-protobuf");
        self.body.len() > ANSWER_BYTES_MAX && is_of_collector
    }

    fn has_type(&self, expected: &str) -> bool {
        let essence = self.content_type.as_deref().and_then(|of| of.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected))
    }
}

/// Returns whether an answer says that something else is at the path.
fn is_about_path(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 404 | 405)
}

pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    headers: HeaderMap,
    gzip: bool,
    /// Until when the collector asked not to be asked.
    busy_until: Option<Instant>,
}

impl fmt::Debug for Client {
    /// Leaves out what may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("gzip", &self.gzip).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, Error> {
        let mut headers = headers_of(&settings.headers)?;
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, protobuf);
        if settings.gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let is_tls = settings.endpoint.starts_with("https:");
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT);
        if is_tls {
            config = config.tls_config(tls_config(settings)?);
        }
        Ok(Self {
            agent: config.build().into(),
            endpoint: settings.endpoint.clone(),
            headers,
            gzip: settings.gzip,
            busy_until: None,
        })
    }

    /// Sends a request, and tries again until the time is over.
    pub(super) fn send(
        &mut self,
        request: &[u8],
        limit: Duration,
        mut wait: impl FnMut(Duration) -> bool,
    ) -> Result<Answer, Error> {
        let body = self.packed(request).map_err(|error| Error(Cause::Packing(error)))?;
        let until = Instant::now() + limit;
        let busy = self.busy_until.take_if(|busy| *busy < until);
        let busy = busy.map(|busy| busy.saturating_duration_since(Instant::now()));
        if self.busy_until.is_some() || !busy.is_none_or(&mut wait) {
            return Err(Error(Cause::Busy));
        }
        let mut pause = PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let cause = match self.post(&body, left) {
                Ok(answer) => return Ok(answer),
                Err(cause) => cause,
            };
            // A part of it at random, so that many processes do not come back at once.
            let spread = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            let now = Instant::now();
            let again = self.busy_until.map_or(now + spread, |busy| busy.max(now));
            if !cause.may_pass() || again >= until || !wait(again - now) {
                return Err(Error(cause));
            }
            self.busy_until = None;
            pause *= 2;
        }
    }

    /// Sends a request once.
    pub(super) fn send_once(
        &mut self,
        request: &[u8],
        limit: Duration,
    ) -> Result<Answer, SendError> {
        let sent = self.packed(request).map_err(Cause::Packing);
        let sent = sent.and_then(|body| self.post(&body, limit));
        sent.map_err(|cause| {
            let (is_final, is_failure) = (cause.is_final(), cause.is_failure());
            let is_unanswered = cause.is_unanswered();
            let why = Error(cause).to_string();
            let after = self.busy_until.take().map(|until| until - Instant::now());
            match is_final {
                true => SendError::Refused { why },
                false if is_failure => SendError::Failed { why, after },
                false if is_unanswered => SendError::Unanswered { why },
                false => SendError::Later { why, after },
            }
        })
    }

    fn post(&mut self, body: &[u8], limit: Duration) -> Result<Answer, Cause> {
        let mut request = self.agent.post(&self.endpoint);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
        }
        let request = request.config().timeout_global(Some(limit)).build();
        let mut answer = request.send(body).map_err(Cause::Unreachable)?;
        if !answer.status().is_success() {
            self.busy_until = retry_after(&answer).map(|after| Instant::now() + after);
            let path =
                self.endpoint.parse::<Uri>().map_or(String::new(), |uri| uri.path().to_owned());
            return Err(Cause::Status(answer.status(), path));
        }
        // Whatever becomes of the answer, the collector has taken the request.
        let content_type = answer.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|of| of.to_str().ok()).map(shown);
        let (mut body, bytes) = (Vec::new(), ANSWER_BYTES_MAX as u64 + 1);
        let _cut = answer.body_mut().as_reader().take(bytes).read_to_end(&mut body);
        Ok(Answer { content_type, body })
    }

    fn packed(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        if !self.gzip {
            return Ok(request.to_vec());
        }
        // A better level takes several times as long, and most of a shipper's time.
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(request)?;
        packer.finish()
    }
}

impl Cause {
    /// Returns whether the collector will never take a request: the answer is about the request itself. Others, such
    /// as 401, 404 and 415, are about settings or the collector, and these can be changed.
    fn is_final(&self) -> bool {
        matches!(self, Self::Status(status, _) if matches!(status.as_u16(), 400 | 413 | 422))
    }

    /// Returns whether the collector itself failed, and not because it is busy: it may do so with every attempt.
    fn is_failure(&self) -> bool {
        match self {
            Self::Status(status, _) => status.is_server_error() && !self.may_pass(),
            _ => false,
        }
    }

    /// Returns whether the connection ended without an answer, or no answer came in time.
    fn is_unanswered(&self) -> bool {
        match self {
            Self::Unreachable(ureq::Error::Timeout(_)) => true,
            Self::Unreachable(ureq::Error::Io(error)) => matches!(
                error.kind(),
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            ),
            _ => false,
        }
    }

    /// Returns whether the same request may be taken later, by the specification of OTLP.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(status.as_u16(), 429 | 502..=504),
            Self::Unreachable(error) => matches!(
                error,
                ureq::Error::Io(_)
                    | ureq::Error::Timeout(_)
                    | ureq::Error::ConnectionFailed
                    | ureq::Error::HostNotFound
                    | ureq::Error::Protocol(_)
            ),
            _ => false,
        }
    }
}

/// Returns how long the collector asks to wait: a number of seconds, or a date.
fn retry_after(answer: &Response<ureq::Body>) -> Option<Duration> {
    let given = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = given.parse() {
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let until = rfc2822::DateTimeParser::new().parse_timestamp(given).ok()?;
    let after = Duration::try_from(until.duration_since(Timestamp::now())).ok()?;
    Some(after.min(RETRY_AFTER_MAX))
}

pub(super) fn headers_of(given: &[(String, String)]) -> Result<HeaderMap, Error> {
    let header = |(name, value): &(String, String)| {
        let value = HeaderValue::from_str(value).ok()?;
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    let headers = given
        .iter()
        .map(|given| header(given).ok_or_else(|| Error(Cause::Header(given.0.clone()))));
    headers.collect()
}

/// Returns how certificates are checked, by those of the file or of the machine, and which one the client shows.
fn tls_config(settings: &OtlpSettings) -> Result<TlsConfig, Error> {
    let roots = match &settings.certificate {
        Some(file) => certificates_in(file, &read_pem(file)?)?,
        None => rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect(),
    };
    if roots.is_empty() {
        return Err(Error(Cause::Certificate("there are none".to_owned())));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .client_cert(client_cert(settings)?)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

fn client_cert(settings: &OtlpSettings) -> Result<Option<ClientCert>, Error> {
    let Some((certificate, key)) = client_files(settings)? else { return Ok(None) };
    let chain = certificates_in(certificate, &read_pem(certificate)?)?;
    let private = PrivateKey::from_pem(&read_pem(key)?);
    let private = private.map_err(|error| Error::in_file(key, error))?;
    Ok(Some(ClientCert::new_with_certs(&chain, private)))
}

/// Returns the files of the client's certificate and of its key.
pub(super) fn client_files(settings: &OtlpSettings) -> Result<Option<(&PathBuf, &PathBuf)>, Error> {
    match (&settings.client_certificate, &settings.client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        _ => Err(Error(Cause::Certificate(
            "a client has either both a certificate and a key, or none of them".to_owned(),
        ))),
    }
}

pub(super) fn read_pem(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::in_file(file, error))
}

fn certificates_in(file: &Path, pem: &[u8]) -> Result<Vec<Certificate<'static>>, Error> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| Error::in_file(file, error))?
        {
            certificates.push(certificate);
        }
    }
    match certificates.is_empty() {
        true => Err(Error::in_file(file, "no certificate is in it")),
        false => Ok(certificates),
    }
}
