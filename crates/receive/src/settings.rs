//! Settings of a receiver, and its limits.

use std::net::SocketAddr;
use std::time::Duration;

/// The connections that are served at the same time. Further ones wait.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// How long a client may take for the head of a request. A connection without requests is closed after it.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may take for the body of a request.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may read nothing of an answer. Its connection is closed after it.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long a request waits for its events to be written before it is answered with 503.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long one flush may take.
pub(crate) const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// How long the requests under way may take after the signal to stop.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long the threads may take to end after that.
pub(crate) const THREADS_WITHIN: Duration = Duration::from_secs(1);
/// When a client may try again.
pub(crate) const RETRY_AFTER_SECONDS: u32 = 2;
/// Requests that are decoded or recorded at the same time. Further ones wait as bodies.
pub(crate) const DECODED_MAX: usize = 3;
/// The memory that one decoded request may take, estimated before it is decoded.
pub(crate) const DECODED_BYTES_MAX: usize = 96 << 20;
/// The log records or spans of one request.
pub(crate) const RECORDS_MAX: usize = 65_536;
/// The attributes of one log record or span.
pub(crate) const ATTRIBUTES_MAX: usize = 1_024;
/// The bodies of all requests together, as a multiple of the largest one.
pub(crate) const BODIES_MAX: usize = 8;

/// What a [`Receiver`](crate::Receiver) is asked to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Whether other machines are served, which includes a proxy on this one: any address and any `Host`. A token is
    /// required then.
    pub allow_remote: bool,
    /// What clients send as `Authorization: Bearer TOKEN`.
    pub token: Option<String>,
    /// The largest body, compressed and decompressed, in bytes.
    pub body_bytes_max: usize,
    /// Whether an acknowledgement means that the events are on the disk. Otherwise the kernel has them.
    pub durable: bool,
    /// Is called with a line for the first request of each kind that is turned away, such as one with a wrong token.
    pub on_refusal: Option<fn(&str)>,
}

impl Settings {
    /// Returns settings for this address: no token, 8 MiB a body, not durable, nothing
    /// reported.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            allow_remote: false,
            token: None,
            body_bytes_max: 8 << 20,
            durable: false,
            on_refusal: None,
        }
    }
}
