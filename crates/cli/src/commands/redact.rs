//! `redact`: a filter that takes personal data and secrets out of lines.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use llm_audit::Sanitizer;
use llm_audit::sanitize::{Finding, Kind, LineKind, PrivateKeyLines, Redactions};
use serde_json::json;

use crate::arguments::RuleArgs;
use crate::ui::{
    CommandExit, CommandFailure, SpreadJson, complain_on_stderr, escape_json_for_terminal,
    format_count,
};

/// Lines on stdin, redacted lines on stdout.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RedactArgs {
    /// Take every line for text, also those that look like JSON
    #[arg(long)]
    text: bool,
    /// Print why each placeholder is there, on stderr: line, offset, rule and name, never the text
    #[arg(long)]
    explain: bool,
    /// With --explain: print JSON objects, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: RuleArgs,
}

const AFTER_HELP: &str = "\
A line that begins with {, [ or \" is JSON: strings are redacted, and whole values below
sensitive keys. If it does not parse, it is redacted as text, with the values after quoted
sensitive keys, and reported by its number. Invalid UTF-8 becomes U+FFFD. Line ends stay.
Lines are redacted one by one: print JSON on one line each first, as by jq -c .

--explain counts lines from 1, and the bytes before the replaced text from 0. A rule is the name of
a kind, as scan prints it. The name is the key, header or variable that led to it, if one did.
With --json, reports are objects as well, with a notice in place of the rule. An error that ends the
command is text.

AUDIT_REDACT_ENV names variables, with commas between them, whose values become [REDACTED_known].

Exit codes: 0 whether or not anything was redacted, 2 if stdin or stdout fails, or an option or a
named variable is not accepted.

Examples:
  llm-audit redact < app.log > app.redacted.log
  llm-audit redact --explain < app.log > /dev/null
  jq -c . state.json | llm-audit redact
  kubectl logs -f agent | llm-audit redact";

const BLOCK_BYTES: usize = 64 << 10;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(crate) fn run_redact(args: &RedactArgs) -> Result<CommandExit, CommandFailure> {
    if args.json && !args.explain {
        return Err(CommandFailure::new(
            "--json is the form of explanations: add --explain, as in llm-audit redact --explain --json",
        ));
    }
    let mut input = BufReader::with_capacity(BLOCK_BYTES, io::stdin().lock());
    let mut out = BufWriter::with_capacity(BLOCK_BYTES, io::stdout().lock());
    let (sanitizer, _protected) = args.rules.build_sanitizer()?;
    let mut filter = RedactFilter::new(args, sanitizer);
    let mut line = Vec::new();
    let outcome = loop {
        // Whoever types, or follows a log, sees each line before the next one is waited for.
        if input.buffer().is_empty()
            && let Err(error) = out.flush()
        {
            break Err(CommandFailure::writing(error));
        }
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => break Ok(CommandExit::Fine),
            // Its secrets would pass.
            Ok(_) if filter.number == 0 && looks_like_utf_16(&line) => {
                break Err(CommandFailure::new(
                    "stdin looks like UTF-16: convert it first, such as iconv -f UTF-16 -t UTF-8",
                ));
            }
            Ok(_) => {
                if let Err(error) = filter.write_redacted_line(&line, &mut out) {
                    break Err(CommandFailure::writing(error));
                }
            }
            // What was read of the line is redacted and passed on like a last line.
            Err(error) => {
                let written =
                    filter.write_redacted_line(&line, &mut out).and_then(|()| out.flush());
                break Err(
                    written.map_or_else(CommandFailure::writing, |()| CommandFailure::stdin(error))
                );
            }
        }
    };
    if filter.invalid > 0 {
        let sequences = format_count(filter.invalid, "invalid UTF-8 sequence");
        filter.complain(None, &format!("{sequences} replaced by U+FFFD"));
    }
    outcome
}

/// The state that goes from line to line.
struct RedactFilter {
    sanitizer: Sanitizer,
    text: bool,
    explain: Option<Explanation>,
    number: u64,
    /// Sequences of bytes that are not UTF-8.
    invalid: u64,
    redacted: String,
    counts: Redactions,
    keys: PrivateKeyLines,
    spread: SpreadJson,
}

impl RedactFilter {
    fn new(args: &RedactArgs, sanitizer: Sanitizer) -> Self {
        Self {
            sanitizer,
            text: args.text,
            explain: args.explain.then_some(match args.json {
                true => Explanation::Json,
                false => Explanation::Text,
            }),
            number: 0,
            invalid: 0,
            redacted: String::new(),
            counts: Redactions::default(),
            keys: PrivateKeyLines::default(),
            spread: SpreadJson::default(),
        }
    }

    /// Writes `line` redacted, with the line end it has.
    fn write_redacted_line(&mut self, line: &[u8], out: &mut impl Write) -> io::Result<()> {
        self.number += 1;
        let (line, end) = split_line_end(line);
        // The mark would hide that the first line is JSON.
        let (mark, line) = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if self.number == 1 => (BYTE_ORDER_MARK, rest),
            _ => (&b""[..], line),
        };
        let is_part = self.spread.is_part(line);
        let (given, line) = (line, self.decode_utf8(line));
        self.redacted.clear();
        let (redacted, counts) = (&mut self.redacted, &mut self.counts);
        if self.keys.is_inside(&line) {
            redacted.push_str(Kind::PrivateKey.placeholder());
        } else if self.text {
            self.sanitizer.redact_text(&line, redacted, counts);
        } else if matches!(
            self.sanitizer.redact_line(&line, redacted, counts),
            LineKind::NotQuiteJson
        ) {
            let notice = match is_part {
                true => self.spread.notice("redact"),
                false => Some("not quite JSON, redacted as text".to_owned()),
            };
            if let Some(notice) = notice {
                self.complain(Some(self.number), &notice);
            }
        }
        if let Some(form) = self.explain {
            for finding in self.sanitizer.explain_line(&line, &self.redacted) {
                let offset = mark.len() + offset_before_decoding(given, finding.offset);
                form.print(self.number, offset, &finding);
            }
        }
        out.write_all(mark)?;
        out.write_all(self.redacted.as_bytes())?;
        out.write_all(end)
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
        let text = String::from_utf8_lossy(line);
        if let Cow::Owned(_) = text {
            let invalid = line.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
            self.invalid += invalid as u64;
        }
        text
    }
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

/// Whether a first line begins with the mark of UTF-16, or every second byte of it is zero.
fn looks_like_utf_16(line: &[u8]) -> bool {
    let is_zero = |at: usize| line.len() >= 4 && line.iter().skip(at).step_by(2).all(|b| *b == 0);
    line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") || is_zero(0) || is_zero(1)
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
    use super::{looks_like_utf_16, offset_before_decoding, split_line_end};

    #[test]
    fn utf_16_is_known_by_its_mark_or_its_zeros() {
        for line in [&b"\xff\xfea\0\n"[..], b"\xfe\xff\0a\0\n", b"a\0b\0\n", b"\0a\0b\0\n"] {
            assert!(looks_like_utf_16(line), "{line:?}");
        }
        for line in [&b"\n"[..], b"abc\n", b"a\0bc\0\n", b"\0\n", "\u{feff}a\n".as_bytes()] {
            assert!(!looks_like_utf_16(line), "{line:?}");
        }
    }

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
