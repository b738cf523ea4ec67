//! The name of a destination of events, by its collectors.

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::shipper::destination_name;

const KIND: &str = "otlp";

/// Returns the name of the collectors that take log records and spans. It contains no credentials and no query, and
/// the collectors' own paths only if they are not the usual ones.
pub(super) fn collectors_name(logs: Option<&str>, spans: Option<&str>) -> String {
    let mut parts = logs.map_or(Vec::new(), |url| url_parts(url, "/v1/logs"));
    let of_spans = spans.map_or(Vec::new(), |url| url_parts(url, "/v1/traces"));
    if parts != of_spans {
        parts.extend(of_spans);
    }
    destination_name(KIND, &parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Returns scheme, host, port and the steps of the path, without its usual end.
fn url_parts(url: &str, end: &str) -> Vec<String> {
    // What is not a URL is never sent to. It may contain a password.
    let Ok(url) = url.parse::<Uri>() else { return Vec::new() };
    let scheme = url.scheme_str().unwrap_or("http");
    let default_port = if url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let host = url.host().unwrap_or_default().to_ascii_lowercase();
    let port = url.port_u16().unwrap_or(default_port).to_string();
    let path = url.path();
    let path = path.strip_suffix(end).unwrap_or(path);
    let steps = path.split('/').filter(|step| !step.is_empty()).map(str::to_owned);
    [scheme.to_owned(), host, port].into_iter().chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_where_it_is() {
        for (logs, spans, expected) in [
            (
                "http://localhost:4318/v1/logs",
                "http://localhost:4318/v1/traces",
                "otlp_http_localhost_4318",
            ),
            (
                "https://Otel.Example/v1/logs",
                "https://otel.example:443/v1/traces",
                "otlp_https_otel.example_443",
            ),
            (
                "https://user:pw@api.example/otlp/a_b/v1/logs?key=secret",
                "https://other:pw@api.example/otlp/a_b/v1/traces",
                "otlp_https_api.example_443_otlp_a=5Fb",
            ),
            ("http://a:1/v1/logs", "http://b:2/spans", "otlp_http_a_1_http_b_2_spans"),
            (
                "http://[::1]:4318/v1/logs",
                "http://[::1]:4318/v1/traces",
                "otlp_http_=5B=3A=3A1=5D_4318",
            ),
            ("pw secret", "pw secret", "otlp"),
        ] {
            assert_eq!(collectors_name(Some(logs), Some(spans)), expected);
        }
        let (logs, spans) = ("http://a:1/v1/logs", "http://b:2/v1/traces");
        assert_eq!(collectors_name(Some(logs), None), "otlp_http_a_1");
        assert_eq!(collectors_name(None, Some(spans)), "otlp_http_b_2");
    }
}
