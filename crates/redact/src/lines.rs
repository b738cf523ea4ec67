//! Redacts lines on their way to a writer.

use std::io::{self, Write};

use llm_audit_process::cell::Lazy;
use memchr::memmem::Finder;

use super::{Kind, Redactions, Sanitizer};

/// The longest line that is redacted, in bytes without its newline. If a line is longer, only its
/// length is written.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Follows a private key over the lines of a text, because [`Sanitizer::redact_line`] sees one line
/// at a time. Each line of a key after the first becomes the placeholder of [`Kind::PrivateKey`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PrivateKeyLines {
    is_open: bool,
}

impl PrivateKeyLines {
    /// Returns whether the next line may be inside a private key.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns whether a private key may begin in this line.
    pub fn may_begin_in(line: &str) -> bool {
        static FINDER: Lazy<Finder<'_>> = Lazy::new(|| Finder::new("-----BEGIN "));
        FINDER.find(line.as_bytes()).is_some()
    }

    /// Returns whether this line is inside a private key that began on an earlier line. Pass every
    /// line in order. A key ends with its last line, or before a line that cannot be part of a key.
    pub fn is_inside(&mut self, line: &str) -> bool {
        // Most lines.
        if !self.is_open && !Self::may_begin_in(line) {
            return false;
        }
        let line = line.trim();
        let end = line.rfind("-----END ");
        let begin = line.rfind("-----BEGIN ").filter(|&begin| {
            line[begin..].contains("PRIVATE KEY") && end.is_none_or(|end| end < begin)
        });
        let is_of_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let is_header = || {
            let name = line.split_once(": ").map(|(name, _)| name);
            name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        };
        let is_inside =
            self.is_open && (line.bytes().all(is_of_base64) || end == Some(0) || is_header());
        self.is_open = begin.is_some() || is_inside && end.is_none();
        is_inside && begin.is_none() && !line.is_empty()
    }
}

/// Redacts lines on their way to another writer, each as [`Sanitizer::redact_line`] does, and
/// private keys over several lines. The result does not depend on the pieces in which they are
/// written.
///
/// A line is held until it ends, until [`finish`](Self::finish) is called, or until the writer is
/// dropped. If writing fails during the drop, the error is lost. [`flush`](Write::flush) passes on
/// only whole lines. Invalid UTF-8 becomes U+FFFD, and line ends stay. If a line has more than 64
/// MiB, it becomes `[TRUNCATED:n]`.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// use llm_audit_redact::RedactingWriter;
///
/// let mut writer = RedactingWriter::new(Vec::new(), llm_audit_redact::Sanitizer::default());
/// write!(writer, "to kim@po")?;
/// writeln!(writer, "st.example")?;
/// assert_eq!(writer.redactions().total(), 1);
/// assert_eq!(writer.finish()?, b"to [REDACTED_email]\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RedactingWriter<W: Write> {
    /// `None` after it was returned.
    inner: Option<W>,
    sanitizer: Sanitizer,
    /// The line that has not ended, or nothing if it is too long.
    line: Vec<u8>,
    /// The length of that line.
    length: usize,
    redacted: String,
    counts: Redactions,
    keys: PrivateKeyLines,
}

impl<W: Write> RedactingWriter<W> {
    /// Makes a writer that writes to `inner` what this sanitizer leaves.
    pub fn new(inner: W, sanitizer: Sanitizer) -> Self {
        let (line, redacted, counts, keys) = Default::default();
        Self { inner: Some(inner), sanitizer, line, length: 0, redacted, counts, keys }
    }

    /// Returns the number of redacted parts so far, by kind.
    pub fn redactions(&self) -> &Redactions {
        &self.counts
    }

    /// Writes the line that has not ended, and returns the other writer.
    ///
    /// # Errors
    ///
    /// Returns the errors of the other writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_line(b"")?;
        let mut inner = self.inner.take().expect("it is taken here alone");
        inner.flush()?;
        Ok(inner)
    }

    fn hold_piece(&mut self, piece: &[u8]) {
        self.length += piece.len();
        match self.length <= LINE_BYTES_MAX {
            true => self.line.extend_from_slice(piece),
            false => self.line = Vec::new(),
        }
    }

    /// Passes on the held line and its line end.
    fn end_line(&mut self, end: &[u8]) -> io::Result<()> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let (line, length) = (std::mem::take(&mut self.line), std::mem::take(&mut self.length));
        if length > LINE_BYTES_MAX {
            write!(inner, "[TRUNCATED:{length}]")?;
            return inner.write_all(end);
        }
        let (text, carriage) = match line.strip_suffix(b"\r") {
            Some(text) if !end.is_empty() => (text, &b"\r"[..]),
            _ => (&line[..], &b""[..]),
        };
        self.redacted.clear();
        let text = String::from_utf8_lossy(text);
        if self.keys.is_inside(&text) {
            self.counts.add(Kind::PrivateKey);
            self.redacted.push_str(Kind::PrivateKey.placeholder());
        } else {
            self.sanitizer.redact_line(&text, &mut self.redacted, &mut self.counts);
        }
        inner.write_all(self.redacted.as_bytes())?;
        inner.write_all(carriage)?;
        inner.write_all(end)
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    /// Takes all of the bytes. If the other writer fails, it is unknown how much of a line was
    /// taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.hold_piece(&rest[..end]);
            self.end_line(b"\n")?;
            rest = &rest[end + 1..];
        }
        self.hold_piece(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        let _ = self.end_line(b"").and_then(|()| self.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"to kim@post.example\r\n{\"password\":\"x\",\"a\":[1.50]}\n\n\xFF kim\n\
        {\"token\": broken\nlast kim@post.example\r";

    fn whole() -> String {
        let text = String::from_utf8_lossy(TEXT);
        let lines: Vec<_> = text.split('\n').collect();
        let mut out = String::new();
        for (at, line) in lines.iter().enumerate() {
            let (line, end) = match line.strip_suffix('\r') {
                Some(line) if at + 1 < lines.len() => (line, "\r"),
                _ => (*line, ""),
            };
            Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
            out.push_str(end);
            out.push_str(if at + 1 < lines.len() { "\n" } else { "" });
        }
        out
    }

    #[test]
    fn pieces_make_no_difference() {
        let whole = whole();
        assert!(whole.contains("\"a\":[1.50]") && !whole.contains("kim@"), "{whole}");
        for first in 0..TEXT.len() {
            for step in [1, 2, 7, TEXT.len()] {
                let mut writer = RedactingWriter::new(Vec::new(), Sanitizer::default());
                writer.write_all(&TEXT[..first]).unwrap();
                for piece in TEXT[first..].chunks(step) {
                    writer.write_all(piece).unwrap();
                    writer.flush().unwrap();
                }
                // The last line has not ended.
                assert_eq!(writer.redactions().total(), 3);
                assert_eq!(String::from_utf8(writer.finish().unwrap()).unwrap(), whole);
            }
        }
    }

    #[test]
    fn a_private_key_goes_to_its_end() {
        let begin = ["-----BEGIN RSA PRIVATE", " KEY-----"].concat();
        let end = begin.replace("BEGIN", "END");
        let body = "MIIEpAIBAAKCAQEA".repeat(4);
        let gone = "[REDACTED_private_key]";
        let cases = [
            (
                format!("a\n{begin}\n{body}\n{body}\n{end}\nb"),
                format!("a\n{gone}\n{gone}\n{gone}\n{gone}\nb"),
            ),
            (
                format!("{begin}\nProc-Type: 4,ENCRYPTED\n\n  {body}\nand then\n{body}"),
                format!("{gone}\n{gone}\n\n{gone}\nand then\n{body}"),
            ),
            (format!("{body}\n{end}\n"), format!("{body}\n{end}\n")),
        ];
        for (text, expected) in cases {
            let mut writer = RedactingWriter::new(Vec::new(), Sanitizer::default());
            writer.write_all(text.as_bytes()).unwrap();
            let once = String::from_utf8(writer.finish().unwrap()).unwrap();
            assert_eq!(once, expected);
        }
    }

    #[test]
    fn a_dropped_writer_has_written_all() {
        let mut out = Vec::new();
        let mut writer = RedactingWriter::new(&mut out, Sanitizer::default());
        writer.write_all(b"a\nkim@post.example").unwrap();
        drop(writer);
        assert_eq!(out, b"a\n[REDACTED_email]");
    }

    #[test]
    fn a_line_that_is_too_long_does_not_pass() {
        let mut writer = RedactingWriter::new(Vec::new(), Sanitizer::default());
        let piece = vec![b'x'; LINE_BYTES_MAX / 2];
        for _ in 0..3 {
            writer.write_all(&piece).unwrap();
        }
        writer.write_all(b"\nnext\n").unwrap();
        let expected = format!("[TRUNCATED:{}]\nnext\n", 3 * piece.len());
        assert_eq!(writer.finish().unwrap(), expected.as_bytes());
    }
}
