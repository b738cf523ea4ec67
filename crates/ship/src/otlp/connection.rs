//! How requests get to a collector: over HTTP or gRPC.

use std::time::Duration;

use super::client::{Answer, Client, Error};
use super::grpc::GrpcClient;
use super::{OtlpProtocol, OtlpSettings};
use crate::shipper::SendError;

/// Sends requests of one kind to a collector.
#[derive(Debug)]
pub(super) enum Connection {
    /// With the time that a request may take.
    Http(Box<Client>, Duration),
    Grpc(Box<GrpcClient>),
}

impl Connection {
    /// Makes a connection. `method` is what gRPC calls; over HTTP the endpoint has a path.
    pub(super) fn new(settings: &OtlpSettings, method: &'static str) -> Result<Self, Error> {
        Ok(match settings.protocol {
            OtlpProtocol::HttpProtobuf => {
                Self::Http(Box::new(Client::new(settings)?), settings.timeout)
            }
            OtlpProtocol::Grpc => Self::Grpc(Box::new(GrpcClient::new(settings, method)?)),
        })
    }

    /// Sends an encoded request once.
    pub(super) fn send(&mut self, request: Vec<u8>) -> Result<Answer, SendError> {
        match self {
            Self::Http(client, timeout) => client.send_once(&request, *timeout),
            Self::Grpc(client) => {
                let body = client.send_once(request)?;
                Ok(Answer { body, ..Answer::default() })
            }
        }
    }
}
