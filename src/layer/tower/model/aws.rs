//! Messages of `application/vnd.amazon.eventstream`, the framing of Bedrock's streams.
//!
//! A message has its length (4 bytes, big endian), the length of its headers (4), a checksum (4), the
//! headers, the payload, and a checksum (4). The client checks the checksums.

use llm_audit_log::json::JsonObject;
use serde_json::json;

use super::chunks::HeldChunk;
use crate::layer::tower::streams::Base64Digits;

const LENGTH_BYTES: usize = 4;
/// What follows the length of a message without headers and payload.
const REST_BYTES_MIN: usize = 12;

/// The messages of one body.
#[derive(Debug, Default)]
pub(super) struct AwsMessages {
    length: Vec<u8>,
    /// The bytes that the message still has.
    rest: usize,
    pub(super) held: HeldChunk,
    is_malformed: bool,
}

impl AwsMessages {
    /// Reads the next bytes, and calls `found` with the JSON that each message means.
    pub(super) fn add(&mut self, mut bytes: &[u8], found: &mut impl FnMut(&mut Vec<u8>)) {
        while !bytes.is_empty() && !self.is_malformed {
            let is_in_length = self.length.len() < LENGTH_BYTES;
            let rest = if is_in_length { LENGTH_BYTES - self.length.len() } else { self.rest };
            let (taken, others) = bytes.split_at(bytes.len().min(rest));
            bytes = others;
            if is_in_length {
                self.length.extend_from_slice(taken);
                self.begin_message();
                continue;
            }
            self.held.add(taken);
            self.rest -= taken.len();
            if self.rest == 0 {
                self.length.clear();
                self.held.take(&mut |message| {
                    if let Some(mut chunk) = chunk_of_message(message) {
                        found(&mut chunk);
                    }
                });
            }
        }
    }

    fn begin_message(&mut self) {
        let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(&*self.length) else { return };
        self.rest = (u32::from_be_bytes(length) as usize).saturating_sub(LENGTH_BYTES);
        if self.rest < REST_BYTES_MIN {
            self.is_malformed = true;
            self.held.skip();
        }
    }
}

/// Returns the event or the exception as the AWS SDKs show it: its name, and its payload below that.
fn chunk_of_message(message: &[u8]) -> Option<Vec<u8>> {
    let (headers_length, _) = message.split_first_chunk::<4>()?;
    let payload = message.get(8..message.len().checked_sub(4)?)?;
    let (headers, payload) =
        payload.split_at_checked(u32::from_be_bytes(*headers_length) as usize)?;
    let header = |wanted: &str| {
        let mut headers = Headers(headers);
        headers.find(|(name, _)| *name == wanted.as_bytes()).map(|(_, value)| value)
    };
    let text = |name: &str| std::str::from_utf8(header(name)?).ok();
    match text(":event-type").or_else(|| text(":exception-type")) {
        // A model's own chunk.
        Some("chunk") => {
            let mut payload = payload.to_vec();
            let payload = JsonObject::parse(&mut payload, "chunk").ok()?;
            let digits = payload.json().get("bytes")?.as_str()?;
            Some(Base64Digits::default().decode(digits.as_bytes()))
        }
        Some(name) => Some([b"{\"", name.as_bytes(), b"\":", payload, b"}"].concat()),
        None => {
            let error = json!({"type": text(":error-code")?, "message": text(":error-message")});
            Some(json!({ "error": error }).to_string().into_bytes())
        }
    }
}

/// The names and the values of a message's headers. Values that are not text are skipped over.
struct Headers<'a>(&'a [u8]);

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&name_length, rest) = self.0.split_first()?;
        let (name, rest) = rest.split_at_checked(name_length.into())?;
        let (&value_type, rest) = rest.split_first()?;
        let (length, rest) = match value_type {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            6 | 7 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (u16::from_be_bytes(*length).into(), rest)
            }
            9 => (16, rest),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((name, value))
    }
}
