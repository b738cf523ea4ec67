//! Redacts line after line, and those that belong together as one.

use std::borrow::Cow;
use std::io::{self, Write};

use llm_audit::Sanitizer;
use llm_audit::sanitize::{Finding, Kind, LineKind, PrivateKeyLines, Redactions};
use serde_json::json;

use super::RedactArgs;
use super::blocks::{Block, Continues};
use crate::commands::chunks::first_line_length;
use crate::ui::{SpreadJson, complain_on_stderr, escape_json_for_terminal, format_count};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

const NOT_QUITE_JSON: &str = "not quite JSON, redacted as text";

/// The most bytes of a JSON value over several lines that are held.
const JSON_BYTES_MAX: usize = 16 << 20;
/// The most bytes of any other block that are held.
const BLOCK_BYTES_MAX: usize = 256 << 10;

/// Redacts lines that have nothing to do with those beside them.
#[derive(Clone)]
pub(super) struct LineRedactor {
    sanitizer: Sanitizer,
    text: bool,
}

/// Lines that were redacted each alone.
#[derive(Default)]
pub(super) struct RedactedLines {
    /// The bytes and the lines that were read.
    bytes: usize,
    lines: u64,
    redacted: String,
    /// The numbers of those that are not quite JSON, from 0 on.
    not_quite_json: Vec<u64>,
}

/// The state that goes from line to line.
pub(super) struct RedactFilter {
    redactor: LineRedactor,
    explain: Option<Explanation>,
    number: u64,
    /// Sequences of bytes that are not UTF-8.
    invalid: u64,
    redacted: String,
    /// Scratch for lines that are redacted alone.
    alone: String,
    counts: Redactions,
    keys: PrivateKeyLines,
    spread: SpreadJson,
    held: Option<HeldLines>,
}

/// Lines that belong together, until their last one.
struct HeldLines {
    /// `None` if they are JSON.
    block: Option<Block>,
    /// The number of the first one.
    number: u64,
    given: Vec<u8>,
    /// The same, decoded.
    text: String,
    /// Each line redacted alone.
    redacted: String,
}

impl LineRedactor {
    /// Redacts the first lines, up to one that may belong to the next line or is not UTF-8.
    /// The text is appended to `redacted`, which is empty.
    pub(super) fn redact_lines(&self, lines: &[u8], redacted: String) -> RedactedLines {
        let mut all = RedactedLines { redacted, ..RedactedLines::default() };
        let mut counts = Redactions::default();
        while all.bytes < lines.len() {
            let line = &lines[all.bytes..][..first_line_length(&lines[all.bytes..])];
            let (given, end) = split_line_end(line);
            let Some(text) = simdutf8::basic::from_utf8(given).ok().filter(|text| is_alone(text))
            else {
                break;
            };
            if self.redact_line(text, &mut all.redacted, &mut counts) == LineKind::NotQuiteJson {
                all.not_quite_json.push(all.lines);
            }
            // Line ends are ASCII.
            all.redacted.push_str(str::from_utf8(end).unwrap_or_default());
            (all.bytes, all.lines) = (all.bytes + line.len(), all.lines + 1);
        }
        all
    }

    fn redact_line(&self, line: &str, out: &mut String, counts: &mut Redactions) -> LineKind {
        if self.text {
            self.sanitizer.redact_text(line, out, counts);
            return LineKind::Text;
        }
        self.sanitizer.redact_line(line, out, counts)
    }
}

/// Returns whether a line has nothing to do with those after it.
fn is_alone(line: &str) -> bool {
    !SpreadJson::begins_with(line.as_bytes())
        && Block::beginning_with(line).is_none()
        && !PrivateKeyLines::may_begin_in(line)
}

impl RedactFilter {
    pub(super) fn new(args: &RedactArgs, sanitizer: Sanitizer) -> Self {
        Self {
            redactor: LineRedactor { sanitizer, text: args.text },
            explain: args.explain.then_some(match args.json {
                true => Explanation::Json,
                false => Explanation::Text,
            }),
            number: 0,
            invalid: 0,
            redacted: String::new(),
            alone: String::new(),
            counts: Redactions::default(),
            keys: PrivateKeyLines::default(),
            spread: SpreadJson::default(),
            held: None,
        }
    }

    /// Returns whether no line was read yet.
    pub(super) fn is_at_start(&self) -> bool {
        self.number == 0
    }

    pub(super) fn holds_lines(&self) -> bool {
        self.held.is_some()
    }

    /// Returns what redacts most lines, unless each is explained.
    pub(super) fn line_redactor(&self) -> Option<LineRedactor> {
        self.explain.is_none().then(|| self.redactor.clone())
    }

    /// Whether the next line has nothing to do with those before it.
    fn is_between_blocks(&self) -> bool {
        self.held.is_none() && !self.spread.is_inside() && !self.keys.is_open()
    }

    /// Writes lines redacted, of which the first ones may have been redacted before.
    pub(super) fn write_redacted_lines(
        &mut self,
        mut lines: &[u8],
        mut first: Option<RedactedLines>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let can_be_alone = self.explain.is_none() && !self.is_at_start();
        while !lines.is_empty() {
            if can_be_alone && self.is_between_blocks() {
                let scratch = std::mem::take(&mut self.alone);
                let alone = first.take();
                let alone = alone.unwrap_or_else(|| self.redactor.redact_lines(lines, scratch));
                lines = &lines[alone.bytes..];
                self.write_lines_alone(alone, out)?;
            }
            first = None;
            let (line, rest) = lines.split_at(first_line_length(lines));
            if !line.is_empty() {
                self.write_redacted_line(line, out)?;
            }
            lines = rest;
        }
        Ok(())
    }

    fn write_lines_alone(&mut self, alone: RedactedLines, out: &mut impl Write) -> io::Result<()> {
        for number in alone.not_quite_json {
            self.complain(Some(self.number + 1 + number), NOT_QUITE_JSON);
        }
        self.number += alone.lines;
        out.write_all(alone.redacted.as_bytes())?;
        self.alone = alone.redacted;
        self.alone.clear();
        Ok(())
    }

    /// Writes `line` redacted, with the line end it has, or holds it back until the lines that belong to
    /// it were read.
    pub(super) fn write_redacted_line(
        &mut self,
        line: &[u8],
        out: &mut impl Write,
    ) -> io::Result<()> {
        self.number += 1;
        let (line, end) = split_line_end(line);
        // The mark would hide that the first line is JSON.
        let (mark, given) = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if self.number == 1 => (BYTE_ORDER_MARK, rest),
            _ => (&b""[..], line),
        };
        out.write_all(mark)?;
        let is_part = self.spread.is_part(given) && !self.redactor.text;
        let line = self.decode_utf8(given);
        let block = Block::beginning_with(&line).filter(|_| !is_part);
        self.redact_alone(&line, is_part || block == Some(Block::Section));
        let continues = self.held.as_ref().map_or(Continues::No, |held| match held.block {
            Some(block) => block.continues_with(&line),
            None if !is_part || given.starts_with(b"{") || given.starts_with(b"[") => Continues::No,
            None if self.spread.is_inside() => Continues::Yes,
            None => Continues::AndEnds,
        });
        if continues == Continues::No {
            self.release(out)?;
            if block.is_none() && !(is_part && self.spread.is_inside()) {
                self.explain(self.number, mark.len(), given, &line, &self.redacted);
                out.write_all(self.redacted.as_bytes())?;
                return out.write_all(end);
            }
            self.held = Some(HeldLines::new(block, self.number));
        }
        let held = self.held.as_mut().expect("it was just made, or continues");
        held.push(given, &line, &self.redacted, end);
        let is_full = held.given.len() > held.bytes_max();
        if continues == Continues::AndEnds || is_full { self.release(out) } else { Ok(()) }
    }

    /// Redacts a line without those beside it. Says that it is not quite JSON, unless that is expected.
    fn redact_alone(&mut self, line: &str, is_expected: bool) {
        self.redacted.clear();
        let (redacted, counts) = (&mut self.redacted, &mut self.counts);
        if self.keys.is_inside(line) {
            redacted.push_str(Kind::PrivateKey.placeholder());
        } else {
            let kind = self.redactor.redact_line(line, redacted, counts);
            if matches!(kind, LineKind::NotQuiteJson) && !is_expected {
                self.complain(Some(self.number), NOT_QUITE_JSON);
            }
        }
    }

    /// Writes the lines that are held, redacted as one.
    pub(super) fn release(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let mut whole = String::new();
        let is_whole = match held.block {
            None => {
                let kind =
                    self.redactor.sanitizer.redact_line(&held.text, &mut whole, &mut self.counts);
                matches!(kind, LineKind::Json)
            }
            Some(_) => {
                self.redactor.sanitizer.redact_text(&held.redacted, &mut whole, &mut self.counts);
                whole.matches('\n').count() == held.redacted.matches('\n').count()
            }
        };
        if held.block.is_none() && !is_whole {
            self.spread.notice("redact").into_iter().for_each(|notice| {
                self.complain(Some(held.number), &notice);
            });
        }
        let redacted = if is_whole { &whole } else { &held.redacted };
        match held.block {
            None if is_whole => self.explain(held.number, 0, &held.given, &held.text, redacted),
            _ => {
                let lines =
                    held.text.lines().zip(redacted.lines()).zip(held.given.split(is_newline));
                for (number, ((line, redacted), given)) in (held.number..).zip(lines) {
                    self.explain(number, 0, given, line, redacted);
                }
            }
        }
        out.write_all(redacted.as_bytes())
    }

    /// Prints why there are placeholders in what became of `line`, which is `given`, decoded. It begins
    /// so many bytes after the beginning of the line with this number, and may be several lines.
    fn explain(&self, number: u64, at: usize, given: &[u8], line: &str, redacted: &str) {
        let Some(form) = self.explain else { return };
        for finding in self.redactor.sanitizer.explain_line(line, redacted) {
            let offset = offset_before_decoding(given, finding.offset);
            let before = &given[..offset.min(given.len())];
            let lines = before.iter().filter(|byte| is_newline(byte)).count() as u64;
            let start = before.iter().rposition(is_newline).map_or(0, |newline| newline + 1);
            form.print(number + lines, at + offset - start, &finding);
        }
    }

    /// Prints how much of the input was not UTF-8.
    pub(super) fn complain_of_invalid_utf8(&self) {
        if self.invalid > 0 {
            let sequences = format_count(self.invalid, "invalid UTF-8 sequence");
            self.complain(None, &format!("{sequences} replaced by U+FFFD"));
        }
    }

    /// Prints a notice on stderr, in the form of the explanations.
    fn complain(&self, line: Option<u64>, notice: &str) {
        match (self.explain, line) {
            (Some(Explanation::Json), _) => {
                print_json_on_stderr(&json!({"line": line, "notice": notice}));
            }
            (_, Some(line)) => complain_on_stderr(format_args!("line {line}: {notice}")),
            (_, None) => complain_on_stderr(notice),
        }
    }

    fn decode_utf8<'l>(&mut self, line: &'l [u8]) -> Cow<'l, str> {
        // It is several times faster than to look for what is invalid.
        if let Ok(text) = str::from_utf8(line) {
            return Cow::Borrowed(text);
        }
        let invalid = line.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
        self.invalid += invalid as u64;
        String::from_utf8_lossy(line)
    }
}

impl HeldLines {
    fn new(block: Option<Block>, number: u64) -> Self {
        let (text, redacted) = (String::new(), String::new());
        Self { block, number, given: Vec::new(), text, redacted }
    }

    fn bytes_max(&self) -> usize {
        if self.block.is_some() { BLOCK_BYTES_MAX } else { JSON_BYTES_MAX }
    }

    fn push(&mut self, given: &[u8], line: &str, redacted: &str, end: &[u8]) {
        self.given.extend_from_slice(given);
        self.given.extend_from_slice(end);
        // Line ends are ASCII.
        let end = String::from_utf8_lossy(end);
        self.text.extend([line, &end]);
        self.redacted.extend([redacted, &end]);
    }
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

/// The form in which placeholders are explained.
#[derive(Clone, Copy, Debug)]
enum Explanation {
    Text,
    Json,
}

impl Explanation {
    /// Prints one explanation on stderr in one write. An error is ignored, because redaction must go
    /// on.
    fn print(self, line: u64, offset: usize, finding: &Finding) {
        let (rule, name) = (finding.rule, finding.name.as_deref());
        match (self, name) {
            (Self::Text, None) => {
                complain_on_stderr(format_args!("line {line}, offset {offset}: {rule}"));
            }
            (Self::Text, Some(name)) => complain_on_stderr(format_args!(
                "line {line}, offset {offset}: {rule}, by the name {name:?}"
            )),
            (Self::Json, _) => {
                let all = json!({"line": line, "offset": offset, "rule": rule, "name": name});
                print_json_on_stderr(&all);
            }
        }
    }
}

fn print_json_on_stderr(object: &serde_json::Value) {
    let line = format!("{}\n", escape_json_for_terminal(&object.to_string()));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Returns the offset in a line of an offset in its decoded text, in which each invalid sequence is
/// a U+FFFD.
fn offset_before_decoding(line: &[u8], decoded: usize) -> usize {
    let (mut given, mut rest) = (0, decoded);
    for chunk in line.utf8_chunks() {
        if rest <= chunk.valid().len() {
            break;
        }
        rest = (rest - chunk.valid().len()).saturating_sub(char::REPLACEMENT_CHARACTER.len_utf8());
        given += chunk.valid().len() + chunk.invalid().len();
    }
    given + rest
}

/// A line and its end: `\n`, `\r\n` or nothing.
fn split_line_end(line: &[u8]) -> (&[u8], &[u8]) {
    let content = match line.strip_suffix(b"\n") {
        Some(content) => content.strip_suffix(b"\r").unwrap_or(content),
        None => line,
    };
    line.split_at(content.len())
}

#[cfg(test)]
mod tests {
    use super::{offset_before_decoding, split_line_end};

    #[test]
    fn offsets_are_those_of_the_bytes_that_were_read() {
        let line = b"a\xff\xfe b \xe2\x82 c";
        let decoded = String::from_utf8_lossy(line);
        for (byte, place) in [("a", 0), (" b", 3), ("b", 4), (" c", 8), ("c", 9)] {
            let at = decoded.find(byte).unwrap();
            assert_eq!(offset_before_decoding(line, at), place, "{byte}");
        }
        assert_eq!(offset_before_decoding("é b".as_bytes(), 3), 3);
    }

    #[test]
    fn line_ends() {
        let cases = [
            ("a\n", ("a", "\n")),
            ("a\r\n", ("a", "\r\n")),
            ("a\r", ("a\r", "")),
            ("\n", ("", "\n")),
            ("a", ("a", "")),
            ("\r\r\n", ("\r", "\r\n")),
        ];
        for (line, expected) in cases {
            assert_eq!(
                split_line_end(line.as_bytes()),
                (expected.0.as_bytes(), expected.1.as_bytes())
            );
        }
    }
}
