//! `redact`: a filter that takes personal data and secrets out of lines.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use llm_audit::Sanitizer;
use llm_audit::sanitize::{Kind, LineKind, PrivateKeyLines, Redactions};

use crate::arguments::RuleArgs;
use crate::ui::{CommandExit, CommandFailure, complain_on_stderr, format_count};

/// Lines on stdin, redacted lines on stdout.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RedactArgs {
    /// Take every line for text, also those that look like JSON
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    rules: RuleArgs,
}

const AFTER_HELP: &str = "\
A line that begins with {, [ or \" is JSON: strings are redacted, and whole values below
sensitive keys. Where it does not parse it is redacted as text, the values behind quoted
sensitive keys too, and reported by its number. Invalid UTF-8 becomes U+FFFD. Line ends stay.

AUDIT_REDACT_ENV names variables, with commas between them, whose values become [REDACTED_known].

Exit codes: 0 whether or not anything was redacted, 2 when stdin or stdout fails, or an option or a
named variable is not accepted.

Examples:
  llm-audit redact < app.log > app.redacted.log
  kubectl logs -f agent | llm-audit redact";

const BLOCK_BYTES: usize = 64 << 10;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(crate) fn run_redact(args: &RedactArgs) -> Result<CommandExit, CommandFailure> {
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
        complain_on_stderr(format_args!("{sequences} replaced by U+FFFD"));
    }
    outcome
}

/// The state that goes from line to line.
struct RedactFilter {
    sanitizer: Sanitizer,
    text: bool,
    number: u64,
    /// Sequences of bytes that are not UTF-8.
    invalid: u64,
    redacted: String,
    counts: Redactions,
    keys: PrivateKeyLines,
}

impl RedactFilter {
    fn new(args: &RedactArgs, sanitizer: Sanitizer) -> Self {
        Self {
            sanitizer,
            text: args.text,
            number: 0,
            invalid: 0,
            redacted: String::new(),
            counts: Redactions::default(),
            keys: PrivateKeyLines::default(),
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
        let line = self.decode_utf8(line);
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
            complain_on_stderr(format_args!(
                "line {}: not quite JSON, redacted as text",
                self.number
            ));
        }
        out.write_all(mark)?;
        out.write_all(self.redacted.as_bytes())?;
        out.write_all(end)
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
    use super::split_line_end;

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
