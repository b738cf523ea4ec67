//! A body's bytes, counted and, where that is asked for, kept for the log.

use bytes::Buf;
use http::HeaderMap;
use serde::ser::{Serialize, Serializer};

use crate::sanitize::Sanitizer;

/// What was seen of one body.
///
/// It is recorded whole or not at all: a secret cut in two is one that no rule finds.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Its length so far.
    pub(super) bytes: u64,
    /// All of it; `None` where it is not, or no longer, to be recorded.
    text: Option<Vec<u8>>,
    bytes_max: usize,
    sanitizer: Sanitizer,
    /// Whether it came to its end.
    pub(super) is_whole: bool,
}

impl Content {
    /// Of a body with these headers; kept up to so many bytes, `None` to keep nothing.
    pub(super) fn new(headers: &HeaderMap, captured: Option<(usize, Sanitizer)>) -> Self {
        let Some((bytes_max, sanitizer)) = captured else { return Self::default() };
        let text = (!is_form(headers)).then(Vec::new);
        Self { text, bytes_max, sanitizer, ..Self::default() }
    }

    pub(super) fn saw(&mut self, data: &impl Buf) {
        let length = data.remaining();
        self.bytes += length as u64;
        let Some(text) = &mut self.text else { return };
        // A buffer of several pieces cannot be read without using it up.
        let is_one_piece = data.chunk().len() == length;
        if is_one_piece && text.len() + length <= self.bytes_max {
            text.extend_from_slice(data.chunk());
        } else {
            self.text = None;
        }
    }

    fn as_text(&self) -> Option<&str> {
        let text = self.text.as_deref().filter(|_| self.is_whole)?;
        std::str::from_utf8(text).ok()
    }
}

/// The values of a form are behind no key that redaction knows, and its characters are encoded.
fn is_form(headers: &HeaderMap) -> bool {
    let is_form = |value: &http::HeaderValue| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.starts_with(b"application/x-www-form-urlencoded") || value.starts_with(b"multipart/")
    };
    headers.get(http::header::CONTENT_TYPE).is_some_and(is_form)
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(text) = self.as_text() else {
            return serializer.collect_str(&format_args!("[TRUNCATED:{}]", self.bytes));
        };
        // As a value, so that the rules for keys hold inside.
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
            return value.serialize(serializer);
        }
        let mut redacted = String::with_capacity(text.len());
        self.sanitizer.redact_malformed(text, &mut redacted);
        serializer.serialize_str(&redacted)
    }
}
