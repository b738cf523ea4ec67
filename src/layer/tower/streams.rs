//! Bodies whose bytes say how the call ended: event streams and gRPC-Web.

use std::io::IoSlice;

use bytes::Buf;
use http::{HeaderMap, HeaderValue};

/// Reports whether the content type begins with this text.
pub(super) fn has_content_type(headers: &HeaderMap, name: &[u8]) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let begin = content_type.and_then(|content_type| content_type.get(..name.len()));
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(name))
}

/// Calls `read` with the pieces of a buffer, which stay in it.
pub(super) fn for_each_piece(data: &impl Buf, read: impl FnMut(&[u8])) {
    const PIECES_MAX: usize = 16;
    let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
    let count = data.chunks_vectored(&mut pieces);
    pieces[..count].iter().map(|piece| &**piece).for_each(read);
}

/// What is read of a response's body while it passes.
#[derive(Debug)]
pub(super) enum StreamWatch {
    Nothing,
    Events(EventStreamTail),
    GrpcWeb(GrpcWebBody),
}

impl StreamWatch {
    /// Begins a body with these headers.
    pub(super) fn new(headers: &HeaderMap) -> Self {
        if has_content_type(headers, b"text/event-stream") {
            Self::Events(EventStreamTail::default())
        } else if has_content_type(headers, b"application/grpc-web") {
            let is_text = has_content_type(headers, b"application/grpc-web-text");
            Self::GrpcWeb(GrpcWebBody { is_text, ..GrpcWebBody::default() })
        } else {
            Self::Nothing
        }
    }

    /// Reads the next bytes of the body, which stay in the buffer.
    pub(super) fn add_data(&mut self, data: &impl Buf) {
        match self {
            Self::Nothing => {}
            Self::Events(tail) => for_each_piece(data, |piece| tail.add(piece)),
            Self::GrpcWeb(body) => for_each_piece(data, |piece| body.add(piece)),
        }
    }

    pub(super) fn is_event_stream(&self) -> bool {
        matches!(self, Self::Events(_))
    }

    /// Returns whether a reader may stop here: after a whole event, or after gRPC-Web's trailers.
    pub(super) fn may_end_here(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Events(tail) => tail.ends_event(),
            Self::GrpcWeb(body) => body.grpc_status().is_some(),
        }
    }

    /// Returns the `grpc-status` in the trailers of gRPC-Web.
    pub(super) fn grpc_status(&self) -> Option<u32> {
        match self {
            Self::GrpcWeb(body) => body.grpc_status(),
            _ => None,
        }
    }
}

/// The last bytes of an event stream (HTML standard, section 9.2, "Server-sent events").
#[derive(Debug, Default)]
pub(super) struct EventStreamTail {
    /// The newest byte is last; zeros are before the first one.
    tail: [u8; Self::BYTES],
}

impl EventStreamTail {
    const BYTES: usize = 16;

    fn add(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(Self::BYTES)..];
        self.tail.rotate_left(bytes.len());
        self.tail[Self::BYTES - bytes.len()..].copy_from_slice(bytes);
    }

    /// Returns whether an event was over with the last byte. An empty line ends it. Clients of OpenAI's
    /// protocol stop at the line `data: [DONE]`, before the empty one.
    fn ends_event(&self) -> bool {
        let ends = |end: &[u8]| self.tail.ends_with(end);
        let has_empty_line = ends(b"\n\n") || ends(b"\r\r") || ends(b"\r\n\r\n");
        has_empty_line || self.tail.trim_ascii_end().ends_with(b"[DONE]")
    }
}

/// The frames of a gRPC-Web body: a byte of flags, four bytes of length (big endian), and that many
/// bytes. If the highest flag is set, they are the trailers, as lines of HTTP/1.1. The text form is
/// base64 (gRPC's `PROTOCOL-WEB.md`).
#[derive(Debug, Default)]
pub(super) struct GrpcWebBody {
    is_text: bool,
    digits: Base64Digits,
    is_begun: bool,
    head: Vec<u8>,
    /// The bytes that the frame still has.
    rest: usize,
    trailers: Vec<u8>,
}

const FRAME_HEAD_BYTES: usize = 5;
const TRAILERS_FLAG: u8 = 0x80;
/// Longer trailers are not read.
const TRAILERS_BYTES_MAX: usize = 8 << 10;

impl GrpcWebBody {
    fn add(&mut self, bytes: &[u8]) {
        // Some servers claim the text form and send the binary one, which begins with flags.
        if let (false, Some(first)) = (self.is_begun, bytes.first()) {
            self.is_begun = true;
            self.is_text &= first.is_ascii_graphic();
        }
        match self.is_text {
            true => {
                let bytes = self.digits.decode(bytes);
                self.add_frames(&bytes);
            }
            false => self.add_frames(bytes),
        }
    }

    fn add_frames(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.head.len() < FRAME_HEAD_BYTES {
                let (taken, others) =
                    bytes.split_at(bytes.len().min(FRAME_HEAD_BYTES - self.head.len()));
                self.head.extend_from_slice(taken);
                bytes = others;
                if let [_, a, b, c, d] = self.head[..] {
                    self.rest = u32::from_be_bytes([a, b, c, d]) as usize;
                }
            } else {
                let (taken, others) = bytes.split_at(bytes.len().min(self.rest));
                if self.is_in_trailers() && self.trailers.len() + taken.len() <= TRAILERS_BYTES_MAX
                {
                    self.trailers.extend_from_slice(taken);
                }
                self.rest -= taken.len();
                bytes = others;
            }
            if self.head.len() == FRAME_HEAD_BYTES && self.rest == 0 && !self.is_in_trailers() {
                self.head.clear();
            }
            if self.is_in_trailers() && self.rest == 0 && self.head.len() == FRAME_HEAD_BYTES {
                return; // nothing follows trailers
            }
        }
    }

    fn is_in_trailers(&self) -> bool {
        self.head.first().is_some_and(|flags| flags & TRAILERS_FLAG != 0)
    }

    fn grpc_status(&self) -> Option<u32> {
        let is_whole =
            self.is_in_trailers() && self.head.len() == FRAME_HEAD_BYTES && self.rest == 0;
        let text = str::from_utf8(&self.trailers).ok().filter(|_| is_whole)?;
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("grpc-status").then(|| value.trim().parse().ok())?
        })
    }
}

/// Digits of base64, in either alphabet, which may come in pieces.
#[derive(Debug, Default)]
pub(super) struct Base64Digits {
    /// The bits that are not a byte yet, and the number of digits that they came from.
    bits: u32,
    count: u8,
}

impl Base64Digits {
    /// Returns the bytes that these digits complete.
    pub(super) fn decode(&mut self, digits: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 3);
        digits.iter().for_each(|&digit| self.add(digit, &mut bytes));
        bytes
    }

    fn add(&mut self, digit: u8, bytes: &mut Vec<u8>) {
        let Self { bits, count } = *self;
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            // Padding may also stand between texts that were encoded apart.
            b'=' => {
                *self = Self::default();
                return match count {
                    2 => bytes.push((bits >> 4) as u8),
                    3 => bytes.extend([(bits >> 10) as u8, (bits >> 2) as u8]),
                    _ => {}
                };
            }
            _ => return,
        };
        let bits = bits << 6 | u32::from(value);
        *self = Self { bits, count: count + 1 };
        if count == 3 {
            *self = Self::default();
            bytes.extend(&bits.to_be_bytes()[1..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(content_type: &str, pieces: &[&[u8]]) -> StreamWatch {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        let mut watch = StreamWatch::new(&headers);
        pieces.iter().for_each(|piece| watch.add_data(piece));
        watch
    }

    #[test]
    fn an_event_stream_may_end_after_a_whole_event() {
        let cases: [(&[&[u8]], bool); 8] = [
            (&[b"data: 1\n\n"], true),
            (&[b"data: 1\n", b"\n"], true),
            (&[b"data: 1\r\n\r", b"\n"], true),
            (&[b"data: 1\r\r"], true),
            (&[b"data: {}\n\ndata: [DO", b"NE]\n"], true),
            (&[b"data: 1\n\ndata: 2\n"], false),
            (&[b"data: 1\n\nda"], false),
            (&[], false),
        ];
        for (pieces, expected) in cases {
            let watch = watch("text/event-stream; charset=utf-8", pieces);
            assert!(watch.is_event_stream());
            assert_eq!(watch.may_end_here(), expected, "{pieces:?}");
        }
        assert!(!watch("text/plain", &[b"data: 1\n\n"]).may_end_here());
    }

    #[test]
    fn the_status_of_grpc_web_is_in_its_trailers_however_they_are_cut() {
        let body = b"\0\0\0\0\x02hi\0\0\0\0\0\x80\0\0\0\x1fGrpc-Status: 5\r\ngrpc-message:\r\n";
        let text = "AAAAAAJoaQ==AAAAAAA=gAAAAB9HcnBjLVN0YXR1czogNQ0KZ3JwYy1tZXNzYWdlOg0K";
        for (content_type, body) in [
            ("application/grpc-web+proto", &body[..]),
            ("application/grpc-web", body),
            ("application/grpc-web-text", text.as_bytes()),
            ("application/grpc-web-text+proto", body),
        ] {
            for at in 0..body.len() {
                let (begin, end) = body.split_at(at);
                assert_eq!(watch(content_type, &[begin]).grpc_status(), None, "{at}");
                assert_eq!(watch(content_type, &[begin, end]).grpc_status(), Some(5), "{at}");
            }
            let bytes: Vec<_> = body.chunks(1).collect();
            assert_eq!(watch(content_type, &bytes).grpc_status(), Some(5));
        }
        assert_eq!(watch("application/grpc", &[body]).grpc_status(), None);
    }
}
