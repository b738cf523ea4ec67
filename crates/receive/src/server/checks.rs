//! Checks a request before its body is read.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, CONTENT_ENCODING, HOST};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode};
use subtle::ConstantTimeEq;

use crate::answer::{Encoding, Refusal, Signal};
use crate::settings::Settings;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
}

/// Refuses requests that a browser was tricked into. A page of another site can resolve its own name to a loopback
/// address, but then `Host` has that name.
///
/// If other machines are served, the receiver may have any name. It has a token then, which protects from that.
pub(super) fn check_host(headers: &HeaderMap, settings: &Settings) -> Result<(), Refusal> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    match host {
        _ if settings.allow_remote => Ok(()),
        Some(host) if is_own_host(host.host(), settings.listen) => Ok(()),
        _ => {
            Err(Refusal::new(StatusCode::FORBIDDEN, "the header Host does not name this receiver"))
        }
    }
}

fn is_own_host(host: &str, listen: SocketAddr) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == listen.ip(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

/// Returns what the request contains, from its path and its method.
pub(super) fn signal_of(head: &Parts) -> Result<Signal, Refusal> {
    let signal = Signal::from_path(head.uri.path()).ok_or_else(|| {
        let why = "paths are /v1/logs, /v1/traces, /v1/metrics and /health";
        Refusal::new(StatusCode::NOT_FOUND, why)
    })?;
    if head.method != Method::POST {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "use POST"));
    }
    Ok(signal)
}

pub(super) fn check_token(headers: &HeaderMap, settings: &Settings) -> Result<(), Refusal> {
    let Some(token) = &settings.token else { return Ok(()) };
    let given = headers.get(AUTHORIZATION).and_then(|value| bearer_token(value.as_bytes()));
    match given.is_some_and(|given| given.ct_eq(token.as_bytes()).into()) {
        true => Ok(()),
        false => Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "the header Authorization does not have the token of this receiver",
        )),
    }
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Returns how the body is encoded and packed.
pub(super) fn body_form_of(headers: &HeaderMap) -> Result<(Encoding, Packing), Refusal> {
    let unsupported = |why| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    let encoding = Encoding::of_request(headers).ok_or_else(|| {
        unsupported("Content-Type has to be application/x-protobuf or application/json")
    })?;
    let packing = match headers.get(CONTENT_ENCODING).map(|name| name.as_bytes()) {
        None => Packing::Plain,
        Some(name) if name.eq_ignore_ascii_case(b"identity") => Packing::Plain,
        Some(name) if name.eq_ignore_ascii_case(b"gzip") => Packing::Gzip,
        Some(_) => return Err(unsupported("Content-Encoding has to be gzip or identity")),
    };
    Ok((encoding, packing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_loopback_names_and_the_address() {
        let listen = "127.0.0.9:4318".parse().unwrap();
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]", "127.0.0.9"] {
            assert!(is_own_host(host, listen), "{host}");
        }
        for host in
            ["localhost.evil.example", "evil.example", "10.0.0.1", "[::2]", "", "127.0.0.1.nip.io"]
        {
            assert!(!is_own_host(host, listen), "{host}");
        }
        assert!(is_own_host("10.0.0.1", "10.0.0.1:1".parse().unwrap()));
    }

    #[test]
    fn tokens_follow_the_scheme() {
        let cases: [(&[u8], Option<&[u8]>); 5] = [
            (b"Bearer abc", Some(b"abc")),
            (b"bearer  abc ", Some(b"abc")),
            (b"Basic abc", None),
            (b"Bearer", None),
            (b"Bearer ", Some(b"")),
        ];
        for (value, token) in cases {
            assert_eq!(bearer_token(value), token, "{value:?}");
        }
    }
}
