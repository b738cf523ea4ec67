//! Requests over gRPC: present or absent.

#[cfg(not(feature = "otlp-grpc"))]
mod absent;
#[cfg(feature = "otlp-grpc")]
mod present;
#[cfg(all(test, feature = "otlp-grpc"))]
mod tests;

#[cfg(not(feature = "otlp-grpc"))]
pub(super) use absent::GrpcClient;
#[cfg(feature = "otlp-grpc")]
pub(super) use present::GrpcClient;
