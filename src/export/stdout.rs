//! Lines to standard output: exactly as in the file, or coloured for a person at a terminal.

use std::env;
#[cfg(unix)]
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};

use memchr::memmem;

use super::Exporter;
use crate::fork::cell::Lazy;

const RESET: &[u8] = b"\x1b[0m";

/// Writes every line to standard output.
///
/// Into a file or a pipe go exactly the lines of the log. On a terminal each is coloured by its
/// status (`ok` green, `error` red, `timeout` magenta, `retry` yellow; not where `NO_COLOR` is set
/// or `TERM` is `dumb`), and control characters which JSON leaves as they are (DEL and U+0080 to
/// U+009F) are written as `\u` escapes, so that no text of an event can steer the terminal.
///
/// # Errors
///
/// [`export`](Exporter::export) returns what the write returned, `BrokenPipe` where the reader has
/// left. A reader may have got the first of those lines; one that was torn is ended before the
/// next batch.
#[derive(Debug)]
pub struct Stdout<W = io::Stdout> {
    out: W,
    look: Look,
    rendered: Vec<u8>,
    /// The last byte written was in the middle of a line.
    torn: bool,
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    Exact,
    Terminal { colour: bool },
}

impl Stdout {
    /// The process's standard output, which is looked at once: a terminal or not.
    pub fn new() -> Self {
        Self::over(io::stdout(), *LOOK)
    }

    /// Of a forked child: a descriptor beside `io::stdout`, whose lock a thread of the parent may
    /// have held at the fork, and beside its buffer. `None` where standard output is closed.
    #[cfg(unix)]
    pub(crate) fn in_child() -> Option<Stdout<File>> {
        use std::os::fd::AsFd;
        let out = io::stdout().as_fd().try_clone_to_owned().ok()?;
        Some(Stdout::over(out.into(), *LOOK))
    }

    #[cfg(not(unix))]
    pub(crate) fn in_child() -> Option<Self> {
        None
    }
}

/// Looked at once: a child reads no variables, which a thread of its parent may have held.
static LOOK: Lazy<Look> = Lazy::new(|| {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    match io::stdout().is_terminal() {
        true => Look::Terminal { colour: !is_set("NO_COLOR") && !is_dumb },
        false => Look::Exact,
    }
});

impl Default for Stdout {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Write> Stdout<W> {
    fn over(out: W, look: Look) -> Self {
        Self { out, look, rendered: Vec::new(), torn: false }
    }

    /// As `write_all`, but knows afterwards whether a line was torn.
    fn write_lines(out: &mut W, torn: &mut bool, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            match out.write(lines) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    *torn = lines[taken - 1] != b'\n';
                    lines = &lines[taken..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.flush()
    }
}

impl<W: Write + Send> Exporter for Stdout<W> {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            Self::write_lines(&mut self.out, &mut self.torn, b"\n")?;
        }
        let text = match self.look {
            Look::Exact => lines,
            Look::Terminal { colour } => {
                self.rendered.clear();
                render(lines, colour, &mut self.rendered);
                &self.rendered
            }
        };
        Self::write_lines(&mut self.out, &mut self.torn, text)
    }
}

fn render(lines: &[u8], colour: bool, text: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let colour = if colour { colour_of(line) } else { None };
        text.extend_from_slice(colour.unwrap_or_default());
        escape_controls(line, text);
        text.extend_from_slice(if colour.is_some() { RESET } else { b"" });
        text.push(b'\n');
    }
}

/// The colour of the line's status. It is looked for as text: in no JSON string can these bytes
/// stand, for the quotes would be escaped, and `data` comes after it.
fn colour_of(line: &[u8]) -> Option<&'static [u8]> {
    const FIELD: &[u8] = br#""status":""#;
    let value = &line[memmem::find(line, FIELD)? + FIELD.len()..];
    match value.split(|byte| *byte == b'"').next()? {
        b"ok" => Some(b"\x1b[32m"),
        b"error" => Some(b"\x1b[31m"),
        b"timeout" => Some(b"\x1b[35m"),
        b"retry" => Some(b"\x1b[33m"),
        _ => None,
    }
}

/// Copies a line with its control characters as JSON escapes; they stand in strings only.
fn escape_controls(line: &[u8], text: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        // U+0080 to U+009F are the bytes C2 80 to C2 9F.
        let (control, after) = match (byte, after.split_first()) {
            (0xc2, Some((second @ 0x80..=0x9f, after))) => (Some(second), after),
            (0x00..=0x1f | 0x7f, _) => (Some(byte), after),
            _ => (None, after),
        };
        match control {
            Some(control) => text.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
            None => text.push(*byte),
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOURED: Look = Look::Terminal { colour: true };
    const PLAIN: Look = Look::Terminal { colour: false };

    fn exported(look: Look, lines: &str) -> String {
        let mut stdout = Stdout::over(Vec::new(), look);
        stdout.export(lines.as_bytes()).unwrap();
        String::from_utf8(stdout.out).unwrap()
    }

    #[test]
    fn lines_for_a_pipe_are_those_of_the_file() {
        let lines = "{\"status\":\"error\",\"data\":{\"a\":\"\u{7f}\u{9b}31m ü\"}}\n{}\n";
        assert_eq!(exported(Look::Exact, lines), lines);
    }

    #[test]
    fn colours_by_status() {
        let cases = [
            (r#"{"seq":1,"status":"ok"}"#, "32"),
            (r#"{"status":"error","data":{"status":"ok"}}"#, "31"),
            (r#"{"action":"\"status\":\"ok\"","status":"timeout"}"#, "35"),
            (r#"{"action":"a","status":"retry"}"#, "33"),
            (r#"{"status":"okay"}"#, ""),
            (r#"{"event_type":"audit.stop"}"#, ""),
            (r#"{"status":"#, ""),
            ("", ""),
        ];
        for (line, colour) in cases {
            let lines = format!("{line}\n");
            let expected = match colour {
                "" => lines.clone(),
                colour => format!("\u{1b}[{colour}m{line}\u{1b}[0m\n"),
            };
            assert_eq!(exported(COLOURED, &lines), expected);
            assert_eq!(exported(PLAIN, &lines), lines);
        }
        assert_eq!(exported(PLAIN, "{}\n{}\n"), "{}\n{}\n");
    }

    #[test]
    fn no_text_steers_the_terminal() {
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..500 {
            let text: String = (0..rng.usize(..40))
                .map(|_| rng.choice(['a', 'ü', 'Â', '\u{7f}', '\u{80}', '\u{9b}', '\u{a0}', '\n']))
                .map(Option::unwrap)
                .collect();
            let line = serde_json::json!({ "data": text }).to_string();
            let shown = exported(PLAIN, &format!("{line}\n"));
            let shown = shown.strip_suffix('\n').unwrap();
            assert!(!shown.contains(char::is_control), "{shown:?}");
            let value: serde_json::Value = serde_json::from_str(shown).unwrap();
            assert_eq!(value["data"], text);
        }
        assert_eq!(exported(PLAIN, "\u{1b}[2J\n"), "\\u001b[2J\n");
    }

    /// Takes a few bytes a call; once they are used up, fails until it is filled again.
    struct Pipe {
        taken: Vec<u8>,
        room: usize,
        interrupted: bool,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            let taken = bytes.len().min(3).min(self.room);
            match (self.interrupted, taken) {
                (true, _) => Err(ErrorKind::Interrupted.into()),
                (false, 0) => Err(ErrorKind::BrokenPipe.into()),
                (false, _) => {
                    self.room -= taken;
                    self.taken.extend_from_slice(&bytes[..taken]);
                    Ok(taken)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_leaves_is_an_error_and_a_torn_line_is_ended() {
        let cases = [(0, ""), (2, "aa\n"), (4, "aaa\n"), (6, "aaa\nbb\n")];
        for (room, before) in cases {
            let pipe = Pipe { taken: Vec::new(), room, interrupted: false };
            let mut stdout = Stdout::over(pipe, Look::Exact);
            let error = stdout.export(b"aaa\nbbb\n").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            stdout.out.room = 100;
            stdout.export(b"ccc\n").unwrap();
            stdout.export(b"ddd\n").unwrap();
            let text = String::from_utf8(stdout.out.taken).unwrap();
            assert_eq!(text, format!("{before}ccc\nddd\n"));
        }
    }
}
