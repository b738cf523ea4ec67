//! Lines to standard output: exactly as in the file, or coloured for a person at a terminal.

#[cfg(unix)]
mod descriptor;
#[cfg(not(unix))]
#[path = "stdout/other.rs"]
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
/// Lines kept for a reader that is slower than the log at the moment, beside the batch that comes.
const PENDING_BYTES_MAX: usize = 1 << 20;

/// Writes every line to standard output.
///
/// Into a file or a pipe go exactly the lines of the log. On a terminal each is coloured by its
/// status (`ok` green, `error` red, `timeout` magenta, `retry` yellow; not where `NO_COLOR` is set
/// or `TERM` is `dumb`), and control characters which JSON leaves as they are (DEL and U+0080 to
/// U+009F) are written as `\u` escapes, so that no text of an event can steer the terminal.
///
/// A reader that does not read holds up nobody: what a pipe or terminal does not take at once is
/// kept, up to a mebibyte and one batch; while more waits, whole batches are not taken. What was
/// begun is finished first when there is room again, so that the reader finds whole lines in order.
/// It is written past the lock and the buffer of [`std::io::stdout`]. Where nothing else is written
/// to, and where the operating system is no Unix, its reader is waited for.
///
/// What the program itself prints is written between batches or between pieces of them. A line of at
/// most `PIPE_BUF` bytes (4,096 on Linux) is one piece and whole for every reader; of a longer one a
/// slow reader may get the program's own output in the middle, so who prints to the same pipe had
/// better print to standard error.
///
/// # Errors
///
/// [`export`](Exporter::export) returns `WouldBlock` for a batch that is not taken because nobody
/// reads, and otherwise what the write returned, `BrokenPipe` where the reader has left: then what
/// was kept is gone, too. A reader may have got the first of those lines; one that was torn is
/// ended before the next batch.
#[derive(Debug)]
pub struct Stdout(Output<Descriptor>);

impl Stdout {
    /// The process's standard output, which is looked at once: a terminal or not.
    pub fn new() -> Self {
        Self(Output::over(Descriptor::stdout(), *RENDERING))
    }

    /// Waits for its reader within each write, which is cheaper than to be asked to go on: for where
    /// nothing else is written to.
    pub(crate) fn waiting(mut self) -> Self {
        self.0.out.wait();
        self
    }

    /// Over another descriptor, as if it were a pipe.
    #[cfg(all(test, unix))]
    pub(crate) fn to(out: impl Into<std::os::fd::OwnedFd>) -> Self {
        Self(Output::over(Descriptor::over(out.into()), Rendering::Exact))
    }
}

/// Looked at once: a child reads no variables, which a thread of its parent may have held.
static RENDERING: Lazy<Rendering> = Lazy::new(|| {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    match io::stdout().is_terminal() {
        true => Rendering::Terminal { colour: !is_set("NO_COLOR") && !is_dumb },
        false => Rendering::Exact,
    }
});

impl Default for Stdout {
    fn default() -> Self {
        Self::new()
    }
}

impl Exporter for Stdout {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.export(lines)
    }

    fn resume(&mut self) -> io::Result<usize> {
        self.0.send()?;
        Ok(self.0.pending().len())
    }
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rendering {
    Exact,
    Terminal { colour: bool },
}

/// Whole lines on their way to an output that may have no room for them.
#[derive(Debug)]
struct Output<W> {
    out: W,
    look: Rendering,
    /// Batches that were taken; of these bytes the first are written.
    taken: Vec<u8>,
    written: usize,
    /// The last byte written was in the middle of a line.
    torn: bool,
}

impl<W: Write> Output<W> {
    fn over(out: W, look: Rendering) -> Self {
        Self { out, look, taken: Vec::new(), written: 0, torn: false }
    }

    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.pending().is_empty() && self.torn {
            self.taken.push(b'\n');
        }
        self.send()?;
        let pending = self.pending().len();
        if pending > 0 && pending + lines.len() > PENDING_BYTES_MAX {
            let why = "nobody reads standard output";
            return Err(io::Error::new(ErrorKind::WouldBlock, why));
        }
        match self.look {
            Rendering::Exact => self.taken.extend_from_slice(lines),
            Rendering::Terminal { colour } => render(lines, colour, &mut self.taken),
        }
        self.send()
    }

    /// What was taken and is not written yet.
    fn pending(&self) -> &[u8] {
        &self.taken[self.written..]
    }

    /// Writes what is pending, as far as there is room. On an error none of it is pending any more.
    fn send(&mut self) -> io::Result<()> {
        let sent = loop {
            if self.pending().is_empty() {
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
                    // What is written gives its room to what comes.
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

fn render(lines: &[u8], colour: bool, text: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let colour = colour.then(|| Status::of_line(line)).flatten().map(Status::colour);
        if let Some(colour) = colour {
            text.extend_from_slice(format!("\x1b[{colour}m").as_bytes());
        }
        escape_controls(line, text);
        text.extend_from_slice(if colour.is_some() { RESET } else { b"" });
        text.push(b'\n');
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
