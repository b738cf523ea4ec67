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
use memchr::memchr2;

use super::CHUNK_BYTES_MAX;
use super::aws::AwsMessages;
use crate::layer::tower::streams::has_content_type;
use crate::pricing::split_chunks;

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
        let (Self::Events(EventLines { held, .. })
        | Self::Aws(AwsMessages { held, .. })
        | Self::Values(JsonValues { held, .. })
        | Self::Whole(held)) = self;
        held.skipped
    }
}

/// The chunk that is being read.
#[derive(Debug, Default)]
pub(super) struct HeldChunk {
    pub(super) bytes: Vec<u8>,
    is_too_long: bool,
    skipped: u64,
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
            found(&mut self.bytes);
        }
        self.bytes.clear();
    }

    /// Counts a chunk that cannot be read.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
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
