//! `tower` layers for the requests that a server answers, and for the calls that a client makes.
//!
//! [`ServerLayer`] wraps any service of HTTP requests (axum, tonic, hyper). For each request it
//! records a `request.start` and exactly one `request.end`. [`ClientLayer`] wraps any HTTP client that
//! is a service, and records one `api.call` for each call, or what a model was asked
//! ([`ClientLayer::model_calls`]). Both carry the trace in the headers of
//! [W3C Trace Context](https://www.w3.org/TR/trace-context/).
//!
//! Both layers keep these rules:
//!
//! - The end is recorded when the last byte of the response's body is handed over. Streamed and
//!   server-sent bodies count in full. The end is recorded once, also if there is an error or a panic,
//!   or if the body or the future is dropped.
//! - The span is the current one of the thread during `call`, during each poll of the future and of
//!   the body, and during their drop. So the events of the service are below it. If the service spawns
//!   a task, [`in_span`](crate::InSpan::in_span) carries the span into it.
//! - No header, query or body is recorded unless you ask for it. A server's raw path is never
//!   recorded.
//! - If nothing is recorded (`AUDIT_ENABLED=false`), a request costs one load and passes unchanged. No
//!   header is read or written, so a trace does not continue through a process that records none of
//!   it.
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
//! | any other `grpc-status` except 0 | `ok` | `error` | its name |
//! | the future, or a body before its end, is dropped | `error` | `error` | `cancelled` |
//! | … an event stream after a whole event, its code being 2xx | `error` | `ok` | `cancelled` |
//! | the service or its body panics | `error` | `error` | `panic` |
//! | the service or its body returns an error | `error` | `error` | its Rust type; `error` if it is boxed |
//! | … with a timeout among its sources | `timeout` | `timeout` | its Rust type; `timeout` if it is boxed |
//!
//! A 4xx is the caller's fault, so it is not an error of a server. OpenTelemetry's
//! [conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/) define which codes of gRPC are
//! errors.
//!
//! gRPC-Web has its `grpc-status` in the last frame of the body, in the binary and in the text form.
//! Clients of event streams stop at the last event that they expect, and drop the body. The end of an
//! event stream has `stream: true`.
//!
//! An error counts as a timeout if it, or one of its sources, is an [`std::io::Error`] of the kind
//! `TimedOut`. It also counts if its text contains `timed out`, `deadline has elapsed` or
//! `timeout expired`. These are the texts of the timeouts of tower, tokio, reqwest and tonic.

mod attempts;
mod body;
mod client;
mod content;
mod exchange;
mod failure;
mod headers;
mod identity;
mod mcp;
#[cfg(feature = "reqwest")]
mod middleware;
mod model;
mod open_call;
mod pending;
mod replay;
mod server;
mod settings;
mod streams;

pub use attempts::Attempt;
pub use body::{AsIs, Captured, Intake, RequestBody, ResponseBody};
pub use client::{Client, ClientFuture, ClientLayer};
pub use open_call::OpenCall;
#[cfg(feature = "axum")]
pub use server::RouterWithRoutes;
pub use server::{Server, ServerFuture, ServerLayer};
