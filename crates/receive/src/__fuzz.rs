//! What the fuzz targets reach.

use crate::answer::{Encoding, Signal};
use crate::decode::{Decoded, decode_body, unpack};
use crate::mapping::Mapper;

/// Decodes a body as the server does, and returns how many events it becomes.
pub fn events_of(path: &str, is_json: bool, body: &[u8]) -> Option<usize> {
    let encoding = if is_json { Encoding::Json } else { Encoding::Protobuf };
    let (decoded, _) = decode_body(Signal::from_path(path)?, encoding, body).ok()?;
    let (mapper, mut events) = (Mapper::new(true), 0);
    match decoded {
        Decoded::Logs(request) => drop(mapper.logs(request, &mut |_| events += 1)),
        Decoded::Traces(request) => drop(mapper.spans(request, &mut |_| events += 1)),
        Decoded::Metrics(_) => {}
    }
    Some(events)
}

/// Unpacks a body in gzip, and returns its length. It never has more bytes than the limit.
pub fn unpacked_length(packed: &[u8], limit: usize) -> Option<usize> {
    unpack(packed, limit).ok().map(|body| body.len())
}
