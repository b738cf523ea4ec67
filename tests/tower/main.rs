//! The `tower` layers over real sockets: every request has one start and one end, every call one
//! event, in the right trace, whatever happens to it.
#![cfg(feature = "axum")]

mod client;
mod content;
mod grpc;
mod server;
mod support;
mod tasks;
