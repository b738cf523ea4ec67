//! The bytes that a reader of standard output finds, whether it reads, pauses or leaves.

use super::*;
#[cfg(unix)]
use std::io::{PipeReader, Read};

const COLOURED: Rendering = Rendering::Terminal { colour: true };
const PLAIN: Rendering = Rendering::Terminal { colour: false };

fn exported(look: Rendering, lines: &str) -> String {
    let mut out = StreamBuffer::new(Vec::new(), look);
    out.export(lines.as_bytes()).unwrap();
    String::from_utf8(out.out).unwrap()
}

#[test]
fn lines_for_a_pipe_are_those_of_the_file() {
    let lines = "{\"status\":\"error\",\"data\":{\"a\":\"\u{7f}\u{9b}31m ü\"}}\n{}\n";
    assert_eq!(exported(Rendering::Exact, lines), lines);
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

/// Takes a few bytes a call. If there is no room left, it fails until it gets some again.
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
        let mut stdout = StreamBuffer::new(pipe, Rendering::Exact);
        let error = stdout.export(b"aaa\nbbb\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        stdout.out.room = 100;
        stdout.export(b"ccc\n").unwrap();
        stdout.export(b"ddd\n").unwrap();
        let text = String::from_utf8(stdout.out.taken).unwrap();
        assert_eq!(text, format!("{before}ccc\nddd\n"));
    }
}

/// A pipe that the test reads. It reads only what it knows to be there.
#[cfg(unix)]
struct Piped {
    stdout: Stdout,
    reader: PipeReader,
    /// The number of bytes taken so far.
    taken: usize,
    text: Vec<u8>,
}

#[cfg(unix)]
impl Piped {
    fn new() -> Self {
        let (reader, writer) = io::pipe().unwrap();
        Self { stdout: Stdout::to(writer), reader, taken: 0, text: Vec::new() }
    }

    fn export(&mut self, batch: &[u8]) -> bool {
        let is_taken = match self.stdout.export(batch) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        };
        self.taken += if is_taken { batch.len() } else { 0 };
        is_taken
    }

    /// Reads everything that is in the pipe.
    fn read(&mut self) {
        let begun = self.text.len();
        self.text.resize(self.taken - self.stdout.0.pending_bytes().len(), 0);
        self.reader.read_exact(&mut self.text[begun..]).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_stops_and_goes_on_gets_whole_batches_in_order() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut piped = Piped::new();
    let mut expected = Vec::new();
    let mut refused = 0;
    for n in 0..2_000 {
        // Lines of up to three pieces, batches of up to four pipes.
        let lines = rng.usize(1..30);
        let mut batch = Vec::new();
        for _ in 0..lines {
            batch.extend_from_slice(n.to_string().as_bytes());
            batch.resize(batch.len() + rng.usize(..10_000), b'x');
            batch.push(b'\n');
        }
        match piped.export(&batch) {
            true => expected.extend_from_slice(&batch),
            false => refused += 1,
        }
        let pending = piped.stdout.0.taken.len();
        assert!(pending <= PENDING_BYTES_MAX + 300_000, "{pending} bytes kept");
        match rng.u32(..100) {
            0..5 => piped.read(),
            5..20 => {
                piped.read();
                let kept = piped.stdout.resume().unwrap();
                assert_eq!(kept, piped.stdout.0.pending_bytes().len());
            }
            _ => {}
        }
    }
    assert!(refused > 100, "{refused} refused");
    while piped.stdout.resume().unwrap() > 0 {
        piped.read();
    }
    piped.read();
    assert!(piped.text == expected, "every batch that was taken, and nothing else");
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_takes_what_was_kept_with_it() {
    let mut piped = Piped::new();
    let batch = [b'x'; 200_000];
    assert!(piped.export(&batch));
    assert!(piped.stdout.resume().unwrap() > 0);
    drop(piped.reader);
    assert_eq!(piped.stdout.resume().unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(piped.stdout.resume().unwrap(), 0);
}
