//! `redact`: a filter that takes personal data and secrets out of lines.

mod blocks;
mod filter;

use std::io::{self, BufWriter, Read, Write};
use std::thread;
use std::time::Duration;

use self::filter::{RedactFilter, RedactedLines};
use super::chunks::{ChunkThreads, LineChunks, THREAD_BYTES_MIN, first_line_length};
use crate::arguments::RuleArgs;
use crate::ui::{CommandExit, CommandFailure};

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
JSON over several lines is read as one value, and so are lines that belong together: settings, YAML
manifests, blocks in brackets. They are held until the block ends, or for 200 ms if nothing comes.

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
  terraform output -json | llm-audit redact
  kubectl logs -f agent | llm-audit redact";

const BLOCK_BYTES: usize = 64 << 10;
/// How long lines that may belong to the next ones are held back if nothing comes.
const HOLD: Duration = Duration::from_millis(200);

pub(crate) fn run_redact(args: &RedactArgs) -> Result<CommandExit, CommandFailure> {
    if args.json && !args.explain {
        return Err(CommandFailure::new(
            "--json is the form of explanations: add --explain, as in llm-audit redact --explain --json",
        ));
    }
    let mut out = BufWriter::with_capacity(BLOCK_BYTES, io::stdout().lock());
    let (sanitizer, _protected) = args.rules.build_sanitizer()?;
    let mut filter = RedactFilter::new(args, sanitizer);
    let outcome = filter_lines(&mut filter, io::stdin().lock(), &mut out);
    filter.complain_of_invalid_utf8();
    outcome.map(|()| CommandExit::Fine)
}

fn filter_lines(
    filter: &mut RedactFilter,
    input: impl Read,
    out: &mut impl Write,
) -> Result<(), CommandFailure> {
    let (mut chunks, redactor) = (LineChunks::new(input), filter.line_redactor());
    let work = |_, chunk: &mut [u8]| {
        // Few bytes are added.
        let redacted = String::with_capacity(chunk.len() + chunk.len() / 16);
        redactor.as_ref().map(|redactor| redactor.redact_lines(chunk, redacted))
    };
    thread::scope(|scope| {
        let mut threads = ChunkThreads::new(scope, &work);
        loop {
            // Whoever types, or follows a log, sees each line before the next one is waited for.
            if threads.is_full() || !threads.is_idle() && !is_stdin_ready(Duration::ZERO) {
                write_oldest_chunk(filter, &mut threads, out)?;
                continue;
            }
            if threads.is_idle() {
                if filter.holds_lines() && !is_stdin_ready(HOLD) {
                    filter.release(out).map_err(CommandFailure::writing)?;
                }
                out.flush().map_err(CommandFailure::writing)?;
            }
            let read = chunks.next_chunk();
            // What was read of a line before an error is redacted and passed on like a last line.
            let (chunk, end) = match read {
                Ok(Some(chunk)) => (chunk, None),
                Ok(None) => (Vec::new(), Some(Ok(()))),
                Err(error) => (chunks.take_rest(), Some(Err(CommandFailure::stdin(error)))),
            };
            if chunk.is_empty() && end.is_none() {
                continue;
            }
            let first = if filter.is_at_start() { first_line_length(&chunk) } else { 0 };
            // Its secrets would pass.
            if looks_like_utf_16(&chunk[..first]) {
                return Err(CommandFailure::new(
                    "stdin looks like UTF-16: convert it first, such as iconv -f UTF-16 -t UTF-8",
                ));
            }
            // Without unix nothing says whether more is there, so each chunk would be waited for.
            let is_for_threads = cfg!(unix) && redactor.is_some() && end.is_none() && first == 0;
            if is_for_threads && chunk.len() >= THREAD_BYTES_MIN {
                threads.give(chunk);
            } else {
                while !threads.is_idle() {
                    write_oldest_chunk(filter, &mut threads, out)?;
                }
                for lines in [&chunk[..first], &chunk[first..]] {
                    let written = filter.write_redacted_lines(lines, None, out);
                    written.map_err(CommandFailure::writing)?;
                }
            }
            if let Some(end) = end {
                let written = filter.release(out).and_then(|()| out.flush());
                return written.map_err(CommandFailure::writing).and(end);
            }
        }
    })
}

/// Waits for the oldest chunk that threads work on, and writes it.
fn write_oldest_chunk(
    filter: &mut RedactFilter,
    threads: &mut ChunkThreads<'_, '_, Option<RedactedLines>>,
    out: &mut impl Write,
) -> Result<(), CommandFailure> {
    let Some((chunk, redacted)) = threads.take() else { return Ok(()) };
    filter.write_redacted_lines(&chunk, redacted, out).map_err(CommandFailure::writing)
}

/// Waits so long for more on stdin. Returns whether a read would not wait.
#[cfg(unix)]
fn is_stdin_ready(within: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};

    let stdin = io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    let within = within.try_into().ok();
    // If it cannot be polled, the read decides.
    !matches!(poll(&mut polled, within.as_ref()), Ok(0))
}

#[cfg(not(unix))]
fn is_stdin_ready(_: Duration) -> bool {
    false
}

/// Whether a first line begins with the mark of UTF-16, or every second byte of it is zero.
fn looks_like_utf_16(line: &[u8]) -> bool {
    let is_zero = |at: usize| line.len() >= 4 && line.iter().skip(at).step_by(2).all(|b| *b == 0);
    line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") || is_zero(0) || is_zero(1)
}

#[cfg(test)]
mod tests {
    use super::looks_like_utf_16;

    #[test]
    fn utf_16_is_known_by_its_mark_or_its_zeros() {
        for line in [&b"\xff\xfea\0\n"[..], b"\xfe\xff\0a\0\n", b"a\0b\0\n", b"\0a\0b\0\n"] {
            assert!(looks_like_utf_16(line), "{line:?}");
        }
        for line in [&b"\n"[..], b"abc\n", b"a\0bc\0\n", b"\0\n", "\u{feff}a\n".as_bytes()] {
            assert!(!looks_like_utf_16(line), "{line:?}");
        }
    }
}
