//! Cuts the body of an answer into its chunks, however the network has cut it.
//!
//! | body | a chunk |
//! |---|---|
//! | `text/event-stream` | an event, up to its empty line |
//! | `application/vnd.amazon.eventstream` | a message |
//! | JSON values, each on its own line, or in one list | a value |
//! | any other | the whole body |
//!
//! At most one chunk is held, of at most [`CHUNK_BYTES_MAX`] bytes. A longer one is skipped and counted.

use std::mem;

use http::HeaderMap;
use memchr::{memchr2, memmem};

use super::aws::AwsMessages;
use crate::layer::tower::streams::has_content_type;
use crate::pricing::{CHUNK_BYTES_MAX, split_chunks};

/// The chunks of one body.
#[derive(Debug)]
pub(super) enum Chunks {
    Events(EventLines),
    Aws(AwsMessages),
    Values(JsonValues),
    Whole(HeldChunk),
}

impl Chunks {
    /// Begins a body with these headers. `is_list` tells that it may be a list of JSON values.
    pub(super) fn new(headers: &HeaderMap, is_list: bool) -> Self {
        if has_content_type(headers, b"text/event-stream") {
            Self::Events(EventLines::default())
        } else if has_content_type(headers, b"application/vnd.amazon.eventstream") {
            Self::Aws(AwsMessages::default())
        } else if is_list || has_content_type(headers, b"application/x-ndjson") {
            Self::Values(JsonValues::default())
        } else {
            Self::Whole(HeldChunk::default())
        }
    }

    /// Reports whether the body is a stream of chunks.
    pub(super) fn is_stream(&self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// Reads the next bytes, and calls `found` with each chunk that they complete.
    pub(super) fn add(&mut self, bytes: &[u8], found: &mut impl FnMut(&mut Vec<u8>)) {
        match self {
            Self::Events(lines) => lines.add(bytes, found),
            Self::Aws(messages) => messages.add(bytes, found),
            Self::Values(values) => values.add(bytes, found),
            Self::Whole(held) => held.add(bytes),
        }
    }

    /// Calls `found` with the chunk that only the end of the body completes.
    pub(super) fn end(&mut self, found: &mut impl FnMut(&mut Vec<u8>)) {
        match self {
            Self::Events(lines) => lines.end_event(found),
            Self::Whole(held) => held.take(found),
            Self::Aws(_) | Self::Values(_) => {}
        }
    }

    /// Returns how many chunks were not read: they were too long, or what follows them is malformed.
    pub(super) fn skipped(&self) -> u64 {
        self.held().skipped
    }

    /// Reports whether the last chunk was not read, so that it may have been the end marker.
    pub(super) fn may_hide_end(&self) -> bool {
        self.held().is_last_skipped
    }

    fn held(&self) -> &HeldChunk {
        let (Self::Events(EventLines { held, .. })
        | Self::Aws(AwsMessages { held, .. })
        | Self::Values(JsonValues { held, .. })
        | Self::Whole(held)) = self;
        held
    }
}

/// Reports whether a chunk after the first token only continues the answer, so that it need not be parsed: it has
/// no usage, no end and no error.
///
/// Its beginning shows whose chunk it is. Other chunks may have such members in the arguments of a tool, which
/// the model wrote. Inside of a JSON text every quote is escaped, so none of these members is found there.
pub(super) fn only_continues(chunk: &[u8]) -> bool {
    const DELTAS: [&[u8]; 4] = [
        b"{\"type\":\"content_block_delta\"",
        b"{\"type\":\"response.output_text.delta\"",
        b"{\"type\":\"content-delta\"",
        b"{\"contentBlockDelta\":",
    ];
    if DELTAS.iter().any(|delta| chunk.starts_with(delta)) {
        return true;
    }
    let members = chunk.get(1..).unwrap_or_default();
    let first_list = memchr2(b'[', b'{', members).unwrap_or_default();
    if !members[..first_list].ends_with(b"\"choices\":") {
        return false;
    }
    let has = |member: &[u8]| memmem::find(chunk, member).is_some();
    // Of several choices, each shows by its own chunks that it exists.
    has(b"\"finish_reason\":null")
        && has(b"\"index\":0")
        && !has(b"\"finish_reason\":\"")
        && !has(b"\"usage\":{")
        && !has(b"\"error\":")
}

/// The chunk that is being read.
#[derive(Debug, Default)]
pub(super) struct HeldChunk {
    pub(super) bytes: Vec<u8>,
    is_too_long: bool,
    skipped: u64,
    is_last_skipped: bool,
}

impl HeldChunk {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.bytes.len() + bytes.len() > CHUNK_BYTES_MAX;
        match self.is_too_long {
            true => self.bytes = Vec::new(),
            false => self.bytes.extend_from_slice(bytes),
        }
    }

    /// Calls `found` with the whole chunk, unless it is empty or was too long, and begins the next.
    pub(super) fn take(&mut self, found: &mut impl FnMut(&mut Vec<u8>)) {
        if mem::take(&mut self.is_too_long) {
            self.skip();
        } else if !self.bytes.is_empty() {
            self.is_last_skipped = false;
            found(&mut self.bytes);
        }
        self.bytes.clear();
    }

    /// Counts a chunk that cannot be read.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
        self.is_last_skipped = true;
    }
}

/// The lines of an event stream (HTML standard, section 9.2, "Server-sent events").
#[derive(Debug, Default)]
pub(super) struct EventLines {
    held: HeldChunk,
    /// The line so far has bytes.
    is_in_line: bool,
    /// The last byte ended a line, and a line feed after it belongs to that end.
    is_after_return: bool,
}

impl EventLines {
    fn add(&mut self, mut bytes: &[u8], found: &mut impl FnMut(&mut Vec<u8>)) {
        while !bytes.is_empty() {
            if mem::take(&mut self.is_after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr2(b'\n', b'\r', bytes);
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.held.add(line);
            self.is_in_line |= !line.is_empty();
            let Some((&end, rest)) = rest.split_first() else { return };
            self.is_after_return = end == b'\r';
            match mem::take(&mut self.is_in_line) {
                true => self.held.add(b"\n"),
                false => self.end_event(found),
            }
            bytes = rest;
        }
    }

    fn end_event(&mut self, found: &mut impl FnMut(&mut Vec<u8>)) {
        self.held.take(&mut |event| {
            let chunks = std::str::from_utf8(event).map(split_chunks).unwrap_or_default();
            chunks.into_iter().for_each(|chunk| found(&mut chunk.into_bytes()));
        });
    }
}

/// JSON objects, with anything between them: line ends, or the brackets and commas of a list.
#[derive(Debug, Default)]
pub(super) struct JsonValues {
    held: HeldChunk,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl JsonValues {
    fn add(&mut self, bytes: &[u8], found: &mut impl FnMut(&mut Vec<u8>)) {
        let mut begin = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let was_outside = self.depth == 0;
            self.read(byte);
            match (was_outside, self.depth == 0) {
                (true, _) => begin = at,
                (false, true) => {
                    self.held.add(&bytes[begin..=at]);
                    self.held.take(found);
                }
                (false, false) => {}
            }
        }
        if self.depth > 0 {
            self.held.add(&bytes[begin..]);
        }
    }

    fn read(&mut self, byte: u8) {
        match (self.is_in_string, byte) {
            (true, _) if mem::take(&mut self.is_escaped) => {}
            (true, b'\\') => self.is_escaped = true,
            (true, b'"') => self.is_in_string = false,
            (true, _) => {}
            (false, b'{') => self.depth += 1,
            (false, b'}') => self.depth = self.depth.saturating_sub(1),
            (false, b'"') => self.is_in_string = self.depth > 0,
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWS: &str = "application/vnd.amazon.eventstream";

    fn read(content_type: &str, pieces: impl IntoIterator<Item = Vec<u8>>) -> (Vec<String>, u64) {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        let (mut chunks, mut found) = (Chunks::new(&headers, false), Vec::new());
        let mut add = |chunk: &mut Vec<u8>| found.push(String::from_utf8_lossy(chunk).into_owned());
        pieces.into_iter().for_each(|piece| chunks.add(&piece, &mut add));
        chunks.end(&mut add);
        let skipped = chunks.skipped();
        (found, skipped)
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// A message with a header of each type before those that count.
    fn aws_message(name: &str, value: &str, payload: &str) -> Vec<u8> {
        let mut headers = b"\x01a\x00\x01b\x02.\x01c\x03..\x01d\x04....\x01e\x08........".to_vec();
        headers.extend(b"\x01f\x09................\x01g\x06\x00\x01.");
        headers.push(name.len() as u8);
        headers.extend(
            [name.as_bytes(), b"\x07\x00", &[value.len() as u8], value.as_bytes()].concat(),
        );
        let length = (16 + headers.len() + payload.len()) as u32;
        let lengths = [length.to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
        [&lengths, &b"csum"[..], &headers, payload.as_bytes(), b"csum"].concat()
    }

    #[test]
    fn chunks_are_the_same_however_a_body_is_cut() {
        let list = "[{\"a\": \"}{\\\"\"},\n {\"b\": {}}]\n{\"c\":1}";
        let events = ": hi\n\ndata: {\"a\":1}\r\n\r\nevent: x\rdata: 1\rdata: 2\r\rdata: [DONE]\n";
        let aws = [
            aws_message(":event-type", "messageStop", r#"{"stopReason":"end_turn"}"#),
            aws_message(":event-type", "chunk", r#"{"bytes":"eyJhIjoxfQ==","p":"ab"}"#),
            aws_message(":exception-type", "throttlingException", r#"{"message":"slow"}"#),
            aws_message(":error-code", "InternalError", ""),
        ];
        let cases: [(&str, Vec<u8>, &[&str]); 4] = [
            (
                "application/x-ndjson",
                list.into(),
                &[r#"{"a": "}{\""}"#, r#"{"b": {}}"#, r#"{"c":1}"#],
            ),
            ("text/event-stream", events.into(), &[r#"{"a":1}"#, "1\n2", "[DONE]"]),
            (
                AWS,
                aws.concat(),
                &[
                    r#"{"messageStop":{"stopReason":"end_turn"}}"#,
                    r#"{"a":1}"#,
                    r#"{"throttlingException":{"message":"slow"}}"#,
                    r#"{"error":{"message":null,"type":"InternalError"}}"#,
                ],
            ),
            ("application/json", list.into(), &[list]),
        ];
        for (content_type, body, expected) in cases {
            for at in 0..body.len() {
                let (begin, end) = body.split_at(at);
                let (found, skipped) = read(content_type, [begin.to_vec(), end.to_vec()]);
                assert_eq!((found, skipped), (owned(expected), 0), "{content_type} {at}");
            }
            let bytes = body.iter().map(|byte| vec![*byte]);
            assert_eq!(read(content_type, bytes).0, owned(expected));
        }
    }

    #[test]
    fn a_chunk_that_only_continues_has_no_usage_end_or_error() {
        let cases = [
            (r#"{"type":"content_block_delta","index":0,"delta":{"text":"a"}}"#, true),
            (r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{}}"#, false),
            (r#"{"type":"x","text":"\"type\":\"content_block_delta\""}"#, false),
            (r#"{"candidates":[{"args":{"type":"content-delta"},"index":0}]}"#, false),
            (r#"{"candidates":[{"args":{"finish_reason":null},"index":0}]}"#, false),
            (r#"{"contentBlockDelta":{"delta":{"text":"a"}}}"#, true),
            (r#"{"choices":[{"index":0,"delta":{},"finish_reason":null}],"usage":null}"#, true),
            (r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":null}]}"#, true),
            ("", false),
            (r#"{"choices":[{"index":1,"delta":{},"finish_reason":null}]}"#, false),
            (
                r#"{"choices":[{"index":0,"finish_reason":null},{"index":1,"finish_reason":"stop"}]}"#,
                false,
            ),
            (
                r#"{"choices":[{"index":0,"finish_reason":null}],"usage":{"prompt_tokens":1}}"#,
                false,
            ),
            (r#"{"choices":[{"index":0,"finish_reason":null}],"error":{"code":1}}"#, false),
        ];
        for (chunk, expected) in cases {
            assert_eq!(only_continues(chunk.as_bytes()), expected, "{chunk}");
        }
    }

    #[test]
    fn what_is_not_a_message_is_counted_and_the_rest_left_alone() {
        let good = aws_message(":event-type", "a", "{}");
        let (found, skipped) = read(AWS, [good.clone(), vec![0, 0, 0, 3], good]);
        assert_eq!((found.len(), skipped), (1, 1));
    }

    #[test]
    fn any_bytes_at_all_are_read_alike_in_pieces() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let signs = b"{}[]\"\\\n\r:, \0\x10data";
            let body: Vec<u8> =
                (0..random.usize(0..80)).map(|_| *random.choice(signs).unwrap()).collect();
            for content_type in ["text/event-stream", AWS, "application/x-ndjson", "text/plain"] {
                let pieces = body.chunks(random.usize(1..9)).map(<[u8]>::to_vec);
                assert_eq!(
                    read(content_type, pieces),
                    read(content_type, [body.clone()]),
                    "{body:?}"
                );
            }
        }
    }
}
