//! What is turned away, counted by its kind. The first of each kind is reported.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// What can be turned away.
struct Kind {
    /// In an accounting.
    name: &'static str,
    status: u16,
    /// What is reported. Nothing of it is the client's own text, which may have to be redacted.
    why: &'static str,
}

const KINDS: [Kind; 10] = [
    kind("refused_400", 400, "a body is not OTLP, not gzip, or cut short"),
    kind("refused_401", 401, "a token is missing or wrong"),
    kind("refused_403", 403, "a header Host does not name this receiver"),
    kind("refused_404", 404, "a path is not one of OTLP"),
    kind("refused_405", 405, "a method is not POST"),
    kind("refused_413", 413, "a request is too large"),
    kind("refused_415", 415, "a body is neither protobuf nor JSON, plain or in gzip"),
    kind("refused_503", 503, "events are not written; their request can be sent again"),
    kind("refused_500", 500, "a request cannot be decoded or mapped"),
    kind("refused_connections", 0, "a client does not speak HTTP/1.1; gRPC and TLS are not served"),
];
/// A connection without a request.
const CONNECTION: usize = KINDS.len() - 1;
/// A fault of the receiver.
const OTHER: usize = KINDS.len() - 2;

const fn kind(name: &'static str, status: u16, why: &'static str) -> Kind {
    Kind { name, status, why }
}

/// Counts what is turned away.
#[derive(Debug)]
pub(super) struct Refusals {
    counts: [AtomicU64; KINDS.len()],
    report: Option<fn(&str)>,
}

impl Refusals {
    pub(super) fn new(report: Option<fn(&str)>) -> Self {
        Self { counts: Default::default(), report }
    }

    pub(super) fn note_request(&self, status: StatusCode) {
        let kind = KINDS.iter().position(|kind| kind.status == status.as_u16());
        self.note(kind.unwrap_or(OTHER));
    }

    pub(super) fn note_connection(&self) {
        self.note(CONNECTION);
    }

    fn note(&self, kind: usize) {
        let is_first = self.counts[kind].fetch_add(1, Ordering::Relaxed) == 0;
        if let Some(report) = self.report.filter(|_| is_first) {
            let Kind { name, why, .. } = &KINDS[kind];
            report(&format!("{why}; further ones are counted as {name}"));
        }
    }

    /// Returns the kinds that there were, by their names.
    pub(super) fn by_kind(&self) -> Vec<(&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let named = KINDS.iter().map(|kind| kind.name).zip(counts);
        named.filter(|(_, count)| *count > 0).collect()
    }
}
