//! The same without the feature: it cannot be asked for.

use super::super::OtlpSettings;
use super::super::client::Error;
use crate::shipper::SendError;

/// There is none.
#[derive(Debug)]
pub(in crate::otlp) enum GrpcClient {}

impl GrpcClient {
    pub(in crate::otlp) fn new(_: &OtlpSettings, _: &'static str) -> Result<Self, Error> {
        Err(Error::without_grpc())
    }

    pub(in crate::otlp) fn send_once(&mut self, _: Vec<u8>) -> Result<Vec<u8>, SendError> {
        match *self {}
    }
}
