//! `tower` layers: requests that a server answers, and calls that a client makes.
//!
//! [`ServerLayer`] goes around any service of HTTP requests (axum, tonic, hyper) and records a
//! `request.start` and exactly one `request.end` for each. [`ClientLayer`] goes around any HTTP
//! client that is a service and records one `api.call` for each call. Both carry the trace over the
//! wire in the headers of [W3C Trace Context](https://www.w3.org/TR/trace-context/).
//!
//! What both hold to:
//!
//! - The end comes with the last byte of the answer's body, as it is handed over: streamed and
//!   server-sent bodies count in full. It is recorded once, whatever happens: an answer, an error, a
//!   body that fails or is dropped, a future that is dropped, a panic.
//! - Its span is the current one of the thread during `call`, each poll of the future and of the
//!   body, and while these are dropped: what the service emits lies below it. Tasks that the service
//!   spawns take it along with [`in_span`](crate::InSpan::in_span).
//! - No header, query or body is recorded unless asked for, and no raw path of a server's.
//! - Where nothing is recorded (`AUDIT_ENABLED=false`), a request costs one load and goes through as
//!   it is: no header is read or written, so that no trace goes on through a process that records
//!   none of it.
//!
//! # Status of an end
//!
//! | what happened | server | client | `error.type` |
//! |---|---|---|---|
//! | 408, 504 | `timeout` | `timeout` | the code |
//! | other 5xx | `error` | `error` | the code |
//! | other 4xx | `ok` | `error` | the code |
//! | all other codes | `ok` | `ok` | |
//! | `grpc-status` 4 | `timeout` | `timeout` | `DEADLINE_EXCEEDED` |
//! | `grpc-status` 2, 12, 13, 14, 15 | `error` | `error` | its name |
//! | other `grpc-status` but 0 | `ok` | `error` | its name |
//! | the future, or a body before its end, is dropped | `error` | `error` | `cancelled` |
//! | the service or its body panics | `error` | `error` | `panic` |
//! | the service or its body returns an error | `error` | `error` | its Rust type; `error` of a box |
//! | … one with a timeout among its sources | `timeout` | `timeout` | its Rust type; `timeout` of a box |
//!
//! A 4xx is the caller's fault, so it is no error of a server; which codes of gRPC are is said by
//! OpenTelemetry's [conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/). An error
//! counts as a timeout where it, or one of its sources, is an [`std::io::Error`] of the kind
//! `TimedOut` or reads `… timed out`, `deadline has elapsed` or `timeout expired`, which are the
//! texts of tower's, tokio's, reqwest's and tonic's.

mod body;
mod client;
mod content;
mod exchange;
mod failure;
mod headers;
mod pending;
mod server;
mod settings;

pub use body::{AsIs, Captured, Intake, RequestBody, ResponseBody};
pub use client::{Attempt, Client, ClientFuture, ClientLayer};
pub use server::{Server, ServerFuture, ServerLayer};
