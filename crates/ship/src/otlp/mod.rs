//! Figures, spans and log records to an OpenTelemetry collector, over HTTP with protobuf. Spans and log records also
//! over gRPC, with the feature `otlp-grpc`.

mod client;
mod connection;
mod conventions;
mod events;
mod grpc;
mod name;
mod request;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;

pub use crate::figures::{Counter, Figures, Timing};
use client::Client;
pub use client::Error;
pub use conventions::Conventions;
pub use events::{EncodedRecord, OtlpEvents};
use request::{Period, request_of};

/// How messages are sent, by the values of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// `http/protobuf`. Collectors take it at port 4318.
    #[default]
    HttpProtobuf,
    /// `grpc`. Collectors take it at port 4317. Needs the feature `otlp-grpc`.
    Grpc,
}

/// The collector that messages go to, and how.
#[derive(Clone, PartialEq)]
pub struct OtlpSettings {
    /// The URL that requests are sent to, with its path. gRPC has no path.
    pub endpoint: String,
    /// How spans and log records are sent. Figures go over HTTP.
    pub protocol: OtlpProtocol,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// How long one export may take, with its retries.
    pub timeout: Duration,
    /// Whether requests are packed with gzip.
    pub gzip: bool,
    /// Certificates in PEM that are trusted instead of those of the machine.
    pub certificate: Option<PathBuf>,
    /// In PEM, what this program shows to the collector, and the private key of it. Neither goes without the other.
    pub client_certificate: Option<PathBuf>,
    /// The private key.
    pub client_key: Option<PathBuf>,
    /// Whether an export contains only what came since the last one that the collector took. Otherwise it
    /// contains everything since the start.
    pub is_delta: bool,
    /// The names of the metrics.
    pub conventions: Conventions,
    /// Attributes of the resource, such as `service.name`.
    pub resource: Vec<(String, String)>,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            endpoint: "http://localhost:4318/v1/metrics".to_owned(),
            protocol: OtlpProtocol::default(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            gzip: true,
            certificate: None,
            client_certificate: None,
            client_key: None,
            is_delta: false,
            conventions: Conventions::default(),
            resource: Vec::new(),
        }
    }
}

impl fmt::Debug for OtlpSettings {
    /// Leaves out what may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpSettings").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Sends the figures of one recorder to a collector.
///
/// A failed export loses nothing, because the next one contains the same figures. So no more than the last
/// figures that the collector took are kept.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use llm_audit_ship::otlp::{Figures, OtlpExporter, OtlpSettings};
///
/// # fn figures() -> Figures { Figures::default() }
/// let mut exporter = OtlpExporter::new(OtlpSettings::default())?;
/// let wait = |pause: Duration| {
///     std::thread::sleep(pause);
///     true
/// };
/// exporter.export(figures(), Duration::from_secs(10), wait)?;
/// # Ok::<(), llm_audit_ship::otlp::Error>(())
/// ```
#[derive(Debug)]
pub struct OtlpExporter {
    client: Client,
    settings: OtlpSettings,
    started: SystemTime,
    /// For deltas: what the collector has, and since when.
    sent: (Figures, SystemTime),
}

impl OtlpExporter {
    /// Makes an exporter of figures that are counted from now on. It connects with the first export.
    ///
    /// # Errors
    ///
    /// Returns an error if the certificates cannot be read, or if a header is not one.
    pub fn new(settings: OtlpSettings) -> Result<Self, Error> {
        let started = SystemTime::now();
        Ok(Self {
            client: Client::new(&settings)?,
            settings,
            started,
            sent: (Figures::default(), started),
        })
    }

    /// Sends the figures. It waits at most the timeout of the settings, and at most `limit`.
    ///
    /// If the collector is busy or cannot be reached, it is tried again after a pause. `wait` waits so long, and
    /// returns whether to go on.
    ///
    /// # Errors
    ///
    /// Returns an error if the collector did not take the figures, or only a part of them.
    pub fn export(
        &mut self,
        figures: Figures,
        limit: Duration,
        wait: impl FnMut(Duration) -> bool,
    ) -> Result<(), Error> {
        let now = SystemTime::now();
        let request = self.request(&figures, now);
        if request.resource_metrics[0].scope_metrics[0].metrics.is_empty() {
            return Ok(());
        }
        let limit = limit.min(self.settings.timeout);
        let answer = self.client.send(&request.encode_to_vec(), limit, wait)?;
        // Also if the collector refused a part: it must not get that again.
        self.sent = (figures, now);
        // An answer that cannot be read says nothing about a part.
        let answer =
            ExportMetricsServiceResponse::decode(answer.body.as_slice()).unwrap_or_default();
        match answer.partial_success.filter(|part| part.rejected_data_points > 0) {
            Some(part) => Err(Error::partial(part.rejected_data_points, &part.error_message)),
            None => Ok(()),
        }
    }

    fn request(&self, figures: &Figures, to: SystemTime) -> ExportMetricsServiceRequest {
        let OtlpSettings { is_delta, conventions, resource, .. } = &self.settings;
        let period = |from| Period { from, to, is_delta: *is_delta };
        match is_delta {
            false => request_of(figures, period(self.started), *conventions, resource),
            true => {
                let (sent, until) = &self.sent;
                request_of(&figures.since(sent), period(*until), *conventions, resource)
            }
        }
    }
}
