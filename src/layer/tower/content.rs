//! The bytes of a body: counted, and kept for the log if that is asked for.

use bytes::Buf;
use http::HeaderMap;
use memchr::memmem;
use serde::ser::{Serialize, Serializer};

use super::streams::{StreamWatch, has_content_type};
use crate::sanitize::{Redactions, Sanitizer, mend_lone_surrogates};

/// The bytes of one body so far.
///
/// A body is recorded whole or not at all. If a secret is cut in two, no rule finds it. Of an event stream that
/// broke, the whole events are recorded.
#[derive(Debug, Default)]
pub(super) struct BodyContent {
    /// The length so far.
    pub(super) bytes: u64,
    /// All bytes so far; `None` if the body is not kept, or no longer.
    text: Option<Vec<u8>>,
    bytes_kept_max: usize,
    bytes_recorded_max: usize,
    sanitizer: Sanitizer,
    is_event_stream: bool,
    /// The body reached its end.
    pub(super) is_whole: bool,
}

impl BodyContent {
    /// Begins a body with these headers.
    ///
    /// `captured` limits the bytes that are recorded; if it is `None`, no byte is recorded. Up to
    /// `bytes_read` are kept in any case, to be read before the end is recorded.
    pub(super) fn new(
        headers: &HeaderMap,
        captured: Option<(usize, Sanitizer)>,
        bytes_read: usize,
    ) -> Self {
        let (bytes_recorded_max, sanitizer) = captured.unwrap_or_default();
        let bytes_kept_max = bytes_recorded_max.max(bytes_read);
        let text = (bytes_kept_max > 0 && !is_form_body(headers)).then(Vec::new);
        let is_event_stream = StreamWatch::new(headers).is_event_stream();
        let limits = Self { bytes_kept_max, bytes_recorded_max, ..Self::default() };
        Self { text, sanitizer, is_event_stream, ..limits }
    }

    pub(super) fn add_data(&mut self, data: &impl Buf) {
        let length = data.remaining();
        self.bytes += length as u64;
        let Some(text) = &mut self.text else { return };
        // A buffer of several pieces cannot be read without consuming it.
        let is_one_piece = data.chunk().len() == length;
        if is_one_piece && text.len() + length <= self.bytes_kept_max {
            text.extend_from_slice(data.chunk());
        } else {
            self.text = None;
        }
    }

    /// Adds a body that is in memory.
    pub(super) fn add_whole(&mut self, data: &impl Buf) {
        self.add_data(data);
        self.is_whole = true;
    }

    /// The whole events of a stream that broke.
    fn whole_events(&self) -> &str {
        let text = self.text.as_deref().filter(|_| self.is_event_stream).unwrap_or_default();
        let end = |blank_line: &[u8]| Some(memmem::rfind(text, blank_line)? + blank_line.len());
        let end = end(b"\n\n").max(end(b"\r\n\r\n")).unwrap_or(0);
        std::str::from_utf8(&text[..end]).unwrap_or_default()
    }

    /// Returns the body, if all of it came and was kept.
    pub(super) fn whole_bytes(&self) -> Option<&[u8]> {
        self.text.as_deref().filter(|_| self.is_whole)
    }

    fn whole_text(&self) -> Option<&str> {
        let text = self.whole_bytes()?;
        std::str::from_utf8(text).ok().filter(|text| text.len() <= self.bytes_recorded_max)
    }
}

/// Reports whether a body is a form.
///
/// Redaction does not know the keys of a form, and its characters are encoded.
fn is_form_body(headers: &HeaderMap) -> bool {
    let forms: [&[u8]; 2] = [b"application/x-www-form-urlencoded", b"multipart/"];
    forms.iter().any(|form| has_content_type(headers, form))
}

impl Serialize for BodyContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(text) = self.whole_text() else {
            let mut redacted = String::new();
            self.sanitizer.redact_malformed(self.whole_events(), &mut redacted);
            return serializer.collect_str(&format_args!("{redacted}[TRUNCATED:{}]", self.bytes));
        };
        // JSON is written as a value, so that the rules for keys apply inside it. A string stays in its quotes,
        // or it would look like a text that is not JSON. It is redacted without them, because a placeholder in
        // its spelling could end it.
        let mended = mend_lone_surrogates(text);
        match serde_json::from_str::<serde_json::Value>(&mended) {
            Ok(value) if value.is_string() => {
                let redacted = self.sanitizer.sanitize(&value, &mut Redactions::default());
                return serializer.collect_str(&redacted);
            }
            Ok(value) => return value.serialize(serializer),
            Err(_) => {}
        }
        let mut redacted = String::with_capacity(text.len());
        self.sanitizer.redact_malformed(text, &mut redacted);
        serializer.serialize_str(&redacted)
    }
}
