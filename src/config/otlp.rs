//! Settings of what goes to OpenTelemetry collectors, and the kinds of their values.

use std::path::PathBuf;
#[cfg(feature = "otlp")]
use std::time::Duration;

#[cfg(feature = "otlp")]
use llm_audit_ship::otlp::{OtlpProtocol, OtlpSettings};

use super::settings::Settings;
use super::values::{SECRET, ValueKind};

/// What goes to OpenTelemetry collectors, and how. The names of the variables are those of OpenTelemetry.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "`check` shows them in every build"))]
pub(crate) struct Otlp {
    pub(crate) metrics: Collector,
    pub(crate) logs: Collector,
    pub(crate) traces: Collector,
    pub(crate) interval_ms: u64,
    pub(crate) is_delta: bool,
    pub(crate) semconv: Semconv,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) is_disabled: bool,
}

/// The collector that takes one signal.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "`check` shows them in every build"))]
pub(crate) struct Collector {
    pub(crate) endpoint: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout_ms: u64,
    pub(crate) gzip: bool,
    pub(crate) protocol: String,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) is_sent: bool,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            metrics: Collector::default(),
            logs: Collector::default(),
            traces: Collector::default(),
            interval_ms: 60_000,
            is_delta: false,
            semconv: Semconv::Stable,
            resource: Vec::new(),
            is_disabled: false,
        }
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: Vec::new(),
            timeout_ms: 10_000,
            gzip: true,
            protocol: HTTP.to_owned(),
            certificate: None,
            client_certificate: None,
            client_key: None,
            is_sent: true,
        }
    }
}

impl Otlp {
    /// Removes the paths that gRPC does not have. The variable of all signals adds them before the protocol is known.
    pub(super) fn fit_paths_to_protocols(&mut self) {
        for (collector, path) in [(&mut self.logs, "/v1/logs"), (&mut self.traces, "/v1/traces")] {
            let endpoint = collector.endpoint.as_mut().filter(|_| collector.protocol == GRPC);
            if let Some(endpoint) = endpoint
                && endpoint.ends_with(path)
            {
                endpoint.truncate(endpoint.len() - path.len());
            }
        }
    }

    /// Returns whether metrics are sent, in a build that can send them.
    pub(crate) fn sends_metrics(&self) -> bool {
        self.metrics.endpoint.is_some() && self.metrics.is_sent && !self.is_disabled
    }
}

#[cfg(feature = "otlp")]
impl Collector {
    /// Returns the same in the words of the crate that sends.
    pub(crate) fn to_ship_settings(&self, default_endpoint: &str) -> OtlpSettings {
        let Self { headers, timeout_ms, gzip, .. } = self.clone();
        let Self { certificate, client_certificate, client_key, .. } = self.clone();
        let protocol = match &*self.protocol {
            GRPC => OtlpProtocol::Grpc,
            _ => OtlpProtocol::HttpProtobuf,
        };
        OtlpSettings {
            endpoint: self.endpoint.clone().unwrap_or_else(|| default_endpoint.to_owned()),
            protocol,
            headers,
            timeout: Duration::from_millis(timeout_ms),
            gzip,
            certificate,
            client_certificate,
            client_key,
            ..OtlpSettings::default()
        }
    }
}

impl Settings {
    /// Returns whether the lines of the files are shipped to a collector.
    pub(crate) fn ships_to_collector(&self) -> bool {
        let Otlp { logs, traces, is_disabled, .. } = &self.otlp;
        self.outputs.otlp && (logs.is_sent || traces.is_sent) && !is_disabled
    }
}

/// The names of the protocols.
const HTTP: &str = "http/protobuf";
pub(crate) const GRPC: &str = "grpc";

pub(super) fn check_protocol_of_metrics(settings: &Settings) -> Result<(), String> {
    match settings.otlp.sends_metrics() && settings.otlp.metrics.protocol != HTTP {
        true => Err(format!("{HTTP}; with OTEL_METRICS_EXPORTER=none no metrics are sent")),
        false => Ok(()),
    }
}

pub(super) fn check_protocol_of_logs(settings: &Settings) -> Result<(), String> {
    check_protocol_of_events(settings, &settings.otlp.logs)
}

pub(super) fn check_protocol_of_traces(settings: &Settings) -> Result<(), String> {
    check_protocol_of_events(settings, &settings.otlp.traces)
}

/// Refuses a protocol that cannot be spoken, if anything is sent.
fn check_protocol_of_events(settings: &Settings, collector: &Collector) -> Result<(), String> {
    match &*collector.protocol {
        HTTP => Ok(()),
        GRPC if cfg!(feature = "otlp-grpc") => Ok(()),
        _ if !settings.ships_to_collector() || !collector.is_sent => Ok(()),
        _ => Err(ProtocolValue { has_grpc: true }.accepted()),
    }
}

/// The names of metrics (`AUDIT_SEMCONV`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Semconv {
    Stable,
    GenAi01,
}

pub(super) struct SemconvValue;

impl ValueKind for SemconvValue {
    type Value = Semconv;

    fn accepted(&self) -> String {
        "stable or genai-0.1".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Semconv> {
        match text {
            "stable" => Some(Semconv::Stable),
            "genai-0.1" => Some(Semconv::GenAi01),
            _ => None,
        }
    }

    fn show(&self, value: &Semconv) -> String {
        match value {
            Semconv::Stable => "stable",
            Semconv::GenAi01 => "genai-0.1",
        }
        .to_owned()
    }
}

/// URLs of collectors. `path` is added to what is given.
pub(super) struct CollectorValue {
    pub(super) path: &'static str,
}

impl ValueKind for CollectorValue {
    type Value = String;

    fn accepted(&self) -> String {
        let without = if self.path.is_empty() { "" } else { ", without a query" };
        format!("a URL that begins with http:// or https://{without}")
    }

    fn parse(&self, text: &str) -> Option<String> {
        let (scheme, rest) = text.split_once("://")?;
        let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let has_host = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic());
        // A path is added to its end.
        let has_end = self.path.is_empty() || !rest.contains(['?', '#']);
        let rest = if self.path.is_empty() { rest } else { rest.trim_end_matches('/') };
        let scheme = scheme.to_ascii_lowercase();
        (is_http && has_host && is_plain && has_end)
            .then(|| format!("{scheme}://{rest}{}", self.path))
    }

    fn accepts(&self, value: &String) -> bool {
        CollectorValue { path: "" }.parse(value).is_some()
    }

    /// Hides a user's name and password, and the query.
    fn show(&self, value: &String) -> String {
        let Some((scheme, rest)) = value.split_once("://") else { return SECRET.to_owned() };
        let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?[set]"));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        match host.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://{SECRET}@{host}{path}{query}"),
            None => format!("{scheme}://{host}{path}{query}"),
        }
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// Headers of requests. They often are credentials, so no value is shown.
pub(super) struct HeadersValue;

impl ValueKind for HeadersValue {
    type Value = Vec<(String, String)>;

    fn accepted(&self) -> String {
        "headers as name=value, separated by commas".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Self::Value> {
        let is_name = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        let is_value = |c: u8| c == b'\t' || (b' '..=b'~').contains(&c);
        let is_header = |(name, value): &(String, String)| {
            !name.is_empty() && name.bytes().all(is_name) && value.bytes().all(is_value)
        };
        parse_pairs(text).filter(|headers| headers.iter().all(is_header))
    }

    fn show(&self, value: &Self::Value) -> String {
        if value.is_empty() { "none".to_owned() } else { SECRET.to_owned() }
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// Attributes of the resource.
pub(super) struct AttributesValue;

impl ValueKind for AttributesValue {
    type Value = Vec<(String, String)>;

    fn accepted(&self) -> String {
        "attributes as name=value, separated by commas".to_owned()
    }

    fn parse(&self, text: &str) -> Option<Self::Value> {
        parse_pairs(text)
    }

    fn show(&self, value: &Self::Value) -> String {
        let pairs = value.iter().map(|(name, value)| format!("{name}={value}"));
        if value.is_empty() { "none".to_owned() } else { pairs.collect::<Vec<_>>().join(",") }
    }
}

/// Reads `name=value,name=value`. Values are percent-encoded.
fn parse_pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some(())?;
        Some((name.to_owned(), percent_decoded(value.trim())?))
    };
    pairs.map(pair).collect()
}

/// Decodes `%41` to `A`. What is not two hexadecimal digits stays.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let hex = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

/// Protocols, by name. Which of them can be spoken is checked if anything is sent.
pub(super) struct ProtocolValue {
    pub(super) has_grpc: bool,
}

impl ValueKind for ProtocolValue {
    type Value = String;

    fn accepted(&self) -> String {
        match self.has_grpc {
            true => format!("{HTTP}, or {GRPC} with the feature otlp-grpc"),
            false => HTTP.to_owned(),
        }
    }

    fn parse(&self, text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }
}

/// Whether requests are packed.
pub(super) struct CompressionValue;

impl ValueKind for CompressionValue {
    type Value = bool;

    fn accepted(&self) -> String {
        "gzip or none".to_owned()
    }

    fn parse(&self, text: &str) -> Option<bool> {
        match text {
            "gzip" => Some(true),
            "none" => Some(false),
            _ => None,
        }
    }

    fn show(&self, value: &bool) -> String {
        if *value { "gzip" } else { "none" }.to_owned()
    }
}

/// Whether an export contains only what is new. For counters and histograms `lowmemory` means the same.
pub(super) struct TemporalityValue;

impl ValueKind for TemporalityValue {
    type Value = bool;

    fn accepted(&self) -> String {
        "cumulative, delta or lowmemory".to_owned()
    }

    fn parse(&self, text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "cumulative" => Some(false),
            "delta" | "lowmemory" => Some(true),
            _ => None,
        }
    }

    fn show(&self, value: &bool) -> String {
        if *value { "delta" } else { "cumulative" }.to_owned()
    }
}

/// Whether a signal is sent. Other exporters than `none` are for other libraries in the same process.
pub(super) struct ExporterValue;

impl ValueKind for ExporterValue {
    type Value = bool;

    fn accepted(&self) -> String {
        "otlp or none".to_owned()
    }

    fn parse(&self, text: &str) -> Option<bool> {
        Some(!text.eq_ignore_ascii_case("none"))
    }

    fn show(&self, value: &bool) -> String {
        if *value { "otlp" } else { "none" }.to_owned()
    }
}

/// A switch of OpenTelemetry: everything other than `true` is `false`.
pub(super) struct OtelSwitchValue;

impl ValueKind for OtelSwitchValue {
    type Value = bool;

    fn accepted(&self) -> String {
        "true or false".to_owned()
    }

    fn parse(&self, text: &str) -> Option<bool> {
        Some(text.eq_ignore_ascii_case("true"))
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_shown() {
        for (path, given, shown) in [
            ("/v1/metrics", "http://localhost:4318", "http://localhost:4318/v1/metrics"),
            ("/v1/metrics", "HTTPS://u:p@host/base/", "https://[set]@host/base/v1/metrics"),
            ("", "http://host/?api-key=1", "http://host/?[set]"),
        ] {
            let kind = CollectorValue { path };
            assert_eq!(kind.show(&kind.parse(given).unwrap()), shown);
        }
        let headers = HeadersValue.parse("api-key=abc").unwrap();
        assert_eq!(HeadersValue.show(&headers), "[set]");
    }

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        for given in ["localhost:4318", "grpc://host", "http://", "http:///v1", "http://a b", ""] {
            assert_eq!(CollectorValue { path: "" }.parse(given), None, "{given}");
        }
        for given in ["http://h/?key=a", "http://h/x#y"] {
            assert_eq!(CollectorValue { path: "/v1/logs" }.parse(given), None, "{given}");
        }
        let own = CollectorValue { path: "" }.parse("http://h:1/x/").unwrap();
        assert_eq!(own, "http://h:1/x/");
    }

    #[test]
    fn pairs_are_percent_encoded() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("authorization", "Basic a=b"), pair("x", "é,100%"), pair("y", "")];
        let given = " authorization = Basic%20a=b ,x=%C3%A9%2C100%,,y=";
        assert_eq!(parse_pairs(given).unwrap(), expected);
        for given in ["x", "=1", "x=%FF"] {
            assert_eq!(parse_pairs(given), None, "{given}");
        }
        for given in ["a b=1", "x=%0A", "é=1"] {
            assert_eq!(HeadersValue.parse(given), None, "{given}");
        }
    }
}
