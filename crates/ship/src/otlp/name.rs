//! The name of a destination of events, by its collectors.

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::shipper::{destination_name, name_hash};

const KIND: &str = "otlp";
/// A longer step of a path, or one that mixes letters and digits, may be a key.
const STEP_BYTES_MAX: usize = 24;
const MIXED_BYTES_MAX: usize = 12;

/// Returns the name of the collectors that take log records and spans. It contains no password and no query, and
/// the collectors' own paths only if they are not the usual ones. Steps of them that may be keys are hashed.
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
    let steps = path.split('/').filter(|step| !step.is_empty()).map(shown_step);
    [scheme.to_owned(), host, port].into_iter().chain(steps).collect()
}

/// Returns a step of a path as the name contains it.
fn shown_step(step: &str) -> String {
    let has = |is_kind: fn(&u8) -> bool| step.bytes().any(|byte| is_kind(&byte));
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let bytes_max = if is_mixed { MIXED_BYTES_MAX } else { STEP_BYTES_MAX };
    if step.len() > bytes_max { name_hash(step) } else { step.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_path_is_hashed() {
        for (step, is_shown) in [
            ("v1", true),
            ("opentelemetry", true),
            ("abcdefghijklmnopqrstuvwx", true),
            ("abcdefghijklmnopqrstuvwxy", false),
            ("a1b2c3d4e5f6", true),
            ("a1b2c3d4e5f67", false),
            ("550e8400-e29b-41d4-a716-446655440000", false),
            ("123456789012345", true),
        ] {
            let parts = url_parts(&format!("https://a.example/x/{step}/v1/logs"), "/v1/logs");
            assert_eq!(parts[..4], ["https", "a.example", "443", "x"]);
            assert_eq!((parts.len(), parts[4] == step), (5, is_shown), "{parts:?}");
        }
        assert_ne!(shown_step("Key0123456789abcde"), shown_step("Key0123456789abcdf"));
    }

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
