//! Writes lines to standard output or standard error: exactly as in the file, or coloured for a person
//! at a terminal.

#[cfg(unix)]
mod descriptor;
#[cfg(not(unix))]
#[path = "other.rs"]
mod descriptor;
#[cfg(test)]
mod tests;

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};

use descriptor::Descriptor;
use llm_audit_log::Status;

use super::Exporter;
use llm_audit_process::cell::Lazy;

const RESET: &[u8] = b"\x1b[0m";
/// The bytes kept for a reader that is slower than the log, besides the next batch.
const PENDING_BYTES_MAX: usize = 1 << 20;

/// Defines an exporter to one of the two streams, which differ in nothing else.
macro_rules! standard_stream {
    ($(#[$doc:meta])* $name:ident: $stream:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(StreamBuffer<Descriptor>);

        impl $name {
            /// Returns an exporter to the process's own stream. Whether that is a terminal is
            /// determined once.
            pub fn new() -> Self {
                // Determined once, because a child must not read variables: a thread of its parent
                // may have held their lock.
                static RENDERING: Lazy<Rendering> =
                    Lazy::new(|| Rendering::from_environment(io::$stream().is_terminal()));
                Self(StreamBuffer::new(Descriptor::$stream(), *RENDERING))
            }

            /// Makes each write wait for the reader. This is cheaper than repeated calls of
            /// `resume`, and is used if the stream is the only output.
            pub(crate) fn waiting(mut self) -> Self {
                self.0.out.make_writes_wait();
                self
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl Exporter for $name {
            fn export(&mut self, lines: &[u8]) -> io::Result<()> {
                self.0.export(lines)
            }

            fn resume(&mut self) -> io::Result<usize> {
                self.0.write_pending()?;
                Ok(self.0.pending_bytes().len())
            }
        }
    };
}

standard_stream! {
    /// Writes every line to standard output.
    ///
    /// A file or a pipe receives exactly the lines of the log. On a terminal each line is coloured by
    /// its status: `ok` green, `error` red, `timeout` magenta, `retry` yellow. There is no colour if
    /// `NO_COLOR` is set or `TERM` is `dumb`. JSON does not escape the control characters DEL and
    /// U+0080 to U+009F. On a terminal they are written as `\u` escapes, so that the text of an event
    /// cannot control the terminal.
    ///
    /// A slow reader never blocks the log. If a pipe or terminal has no room, up to a mebibyte and one
    /// batch are kept. If more is waiting, whole batches are refused. When there is room again,
    /// unfinished lines are written first, so the reader finds whole lines in order. The writes bypass
    /// the lock and the buffer of [`std::io::stdout`].
    ///
    /// The writer waits for the reader if it writes to nothing else, or if the operating system is not
    /// a Unix.
    ///
    /// The program's own output is written between batches or between pieces of them. A line of at most
    /// `PIPE_BUF` bytes (4,096 on Linux) is one piece, so every reader gets it whole. If a line is
    /// longer, a slow reader may get the program's own output in the middle of it. Programs that print
    /// should therefore print to standard error. If standard output is a protocol, as of an MCP server,
    /// use [`Stderr`].
    ///
    /// # Errors
    ///
    /// [`export`](Exporter::export) returns `WouldBlock` if a batch is refused because nobody reads.
    /// Otherwise it returns the error of the write, for example `BrokenPipe` if the reader has closed
    /// the pipe. What was kept is then lost, too. A reader may have received the first of these lines.
    /// If a line was torn, it is ended before the next batch.
    Stdout: stdout
}

standard_stream! {
    /// Writes every line to standard error, for programs whose standard output is a protocol.
    ///
    /// The rules and the errors are those of [`Stdout`].
    Stderr: stderr
}

#[cfg(all(test, unix))]
impl Stdout {
    /// Returns an exporter to another descriptor, which it treats as a pipe.
    pub(crate) fn to(out: impl Into<std::os::fd::OwnedFd>) -> Self {
        Self(StreamBuffer::new(Descriptor::from_owned_fd(out.into()), Rendering::Exact))
    }
}

/// The form of the lines, which depends on the reader.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rendering {
    Exact,
    Terminal { colour: bool },
}

impl Rendering {
    fn from_environment(is_terminal: bool) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        match is_terminal {
            true => Self::Terminal { colour: !is_set("NO_COLOR") && !is_dumb },
            false => Self::Exact,
        }
    }
}

/// Whole lines on their way to an output that may have no room for them.
#[derive(Debug)]
struct StreamBuffer<W> {
    out: W,
    look: Rendering,
    /// The batches that were taken. The first `written` bytes of them are written.
    taken: Vec<u8>,
    written: usize,
    /// Whether the last byte written was in the middle of a line.
    torn: bool,
}

impl<W: Write> StreamBuffer<W> {
    fn new(out: W, look: Rendering) -> Self {
        Self { out, look, taken: Vec::new(), written: 0, torn: false }
    }

    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.pending_bytes().is_empty() && self.torn {
            self.taken.push(b'\n');
        }
        self.write_pending()?;
        let pending = self.pending_bytes().len();
        if pending > 0 && pending + lines.len() > PENDING_BYTES_MAX {
            let why = "the reader does not read";
            return Err(io::Error::new(ErrorKind::WouldBlock, why));
        }
        match self.look {
            Rendering::Exact => self.taken.extend_from_slice(lines),
            Rendering::Terminal { colour } => render_for_terminal(lines, colour, &mut self.taken),
        }
        self.write_pending()
    }

    /// Returns the bytes that were taken and are not written yet.
    fn pending_bytes(&self) -> &[u8] {
        &self.taken[self.written..]
    }

    /// Writes what is pending, as far as there is room. After an error nothing is pending any more.
    fn write_pending(&mut self) -> io::Result<()> {
        let sent = loop {
            if self.pending_bytes().is_empty() {
                break self.out.flush();
            }
            match self.out.write(&self.taken[self.written..]) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.written += written;
                    self.torn = self.taken[self.written - 1] != b'\n';
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // Written bytes make room for new ones.
                    self.taken.drain(..self.written);
                    self.written = 0;
                    return Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        self.taken.clear();
        self.written = 0;
        sent
    }
}

fn render_for_terminal(lines: &[u8], colour: bool, text: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let colour = colour.then(|| Status::of_line(line)).flatten().map(Status::colour);
        if let Some(colour) = colour {
            text.extend_from_slice(format!("\x1b[{colour}m").as_bytes());
        }
        escape_terminal_controls(line, text);
        text.extend_from_slice(if colour.is_some() { RESET } else { b"" });
        text.push(b'\n');
    }
}

/// Copies a line with its control characters as JSON escapes. They occur only inside strings.
fn escape_terminal_controls(line: &[u8], text: &mut Vec<u8>) {
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
