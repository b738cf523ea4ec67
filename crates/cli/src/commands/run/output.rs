//! The output of the program that `run` starts: passed on as it comes, and recorded line by line.

use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::AsFd;
use std::thread;

use llm_audit::TraceContext;
use llm_audit::sanitize::PrivateKeyLines;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr, write};

use crate::commands::record::raw::{LineSource, with_raw_event, with_text_event};
use crate::ui::complain_on_stderr;

const BLOCK_BYTES: usize = 64 << 10;
/// The longest line whose text is recorded. A part of one might begin or end within a secret.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Where the lines of one output are recorded.
pub(super) struct OutputSource {
    pub(super) agent: String,
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
    /// The span that they are below.
    pub(super) span: TraceContext,
}

/// Passes an output on and records its lines, on a thread of its own. `closed` is called at its end, or when there is no more
/// of it and the writer of the pipe beside it is gone.
pub(super) fn pass_on(
    from: (impl Read + AsFd + Send + 'static, PipeReader),
    to: impl AsFd + Send + 'static,
    source: OutputSource,
    closed: impl FnOnce() + Send + 'static,
) {
    thread::spawn(move || {
        let _scope = source.span.enter();
        let mut lines = OutputLines::new(&source);
        let _nobody_reads = copy(from, to, &mut lines);
        lines.end_line();
        closed();
    });
}

/// Records each block before it is passed on: that may wait for a reader, or fail.
fn copy(
    (mut from, stop): (impl Read + AsFd, PipeReader),
    to: impl AsFd,
    lines: &mut OutputLines<'_>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut is_passed_on = true;
    while has_output(&from, &stop)? {
        let bytes = match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(bytes) => &block[..bytes],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        lines.record(bytes);
        match if is_passed_on { write_all(&to, bytes) } else { Ok(()) } {
            Ok(()) => {}
            // The program finds its output closed, too, as it would without this command.
            Err(Errno::PIPE) => return Err(Errno::PIPE.into()),
            Err(error) => {
                let stream = lines.source.action;
                complain_on_stderr(format_args!("{stream} is not passed on any more: {error}"));
                is_passed_on = false;
            }
        }
    }
    Ok(())
}

/// Writes all of it. Another process may have set the output to not block, and then this waits, too.
fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match retry_on_intr(|| write(to, bytes)) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::AGAIN) => {
                let mut polled = [PollFd::new(to, PollFlags::OUT)];
                retry_on_intr(|| poll(&mut polled, None))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until there is output or its end. Returns `false` if there is none and the wait was stopped.
fn has_output(from: &impl AsFd, stop: &PipeReader) -> io::Result<bool> {
    let mut polled =
        [from.as_fd(), stop.as_fd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    retry_on_intr(|| poll(&mut polled, None))?;
    Ok(!polled[0].revents().is_empty())
}

/// The lines of an output.
struct OutputLines<'a> {
    source: LineSource<'a>,
    /// What came of the line, if all of it is recorded.
    line: Vec<u8>,
    bytes: usize,
    keys: PrivateKeyLines,
}

impl<'a> OutputLines<'a> {
    fn new(source: &'a OutputSource) -> Self {
        let source = LineSource { agent: &source.agent, action: source.stream };
        Self { source, line: Vec::new(), bytes: 0, keys: PrivateKeyLines::default() }
    }

    fn record(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.bytes += piece.len();
            if self.bytes <= LINE_BYTES_MAX {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        if self.bytes > LINE_BYTES_MAX {
            let text = format!("[TRUNCATED:{}]", self.bytes);
            with_text_event(&text, self.source, llm_audit::emit);
        } else if !self.line.trim_ascii().is_empty() {
            with_raw_event(&mut self.line, self.source, &mut self.keys, llm_audit::emit);
        }
        self.line.clear();
        self.bytes = 0;
    }
}
