//! The `tower` layers over real sockets: one start and one end for every request, one event for
//! every call, in the right trace, whatever happens.
#![cfg(feature = "axum")]

mod client;
mod content;
mod grpc;
mod model_calls;
mod open_call;
#[cfg(feature = "reqwest")]
mod reqwest;
mod server;
mod support;
mod tasks;
