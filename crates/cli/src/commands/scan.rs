//! `scan`: counts what redaction would find in existing files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;

use llm_audit::Sanitizer;
use llm_audit::reader::Input;
use llm_audit::sanitize::{Kind, PrivateKeyLines, Redactions};
use serde_json::{Map, Value, json};

use super::chunks::{ChunkThreads, LineChunks, first_line_length};
use crate::arguments::RuleArgs;
use crate::ui::{
    CommandExit, CommandFailure, Progress, Style, complain_on_stderr, escape_for_terminal,
    escape_json_for_terminal, format_count, wrap_to_terminal,
};

/// Find what redaction would have taken out of files that are there already.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ScanArgs {
    /// Files (.zst and .gz too), and folders with all files below them; - is stdin [default: stdin]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    rules: RuleArgs,
    /// Lines that are listed, of all that have something
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It says in which line how many of each kind are, and never what. Symbolic links below a folder
are not followed. Files of bzip2 and xz are refused: xzcat FILE | llm-audit scan - reads one.
AUDIT_REDACT_ENV names variables, with commas between them, whose values are
looked for too.

Exit codes: 0 nothing was found, 1 something was, 2 a path cannot be read (the others are), or an
option or a named variable is not accepted, 3 there are no lines.

Examples:
  llm-audit scan /var/log/agents
  journalctl -u agent | llm-audit scan --also phone --json";

pub(crate) fn run_scan(args: &ScanArgs) -> Result<CommandExit, CommandFailure> {
    let (sanitizer, _protected) = args.rules.build_sanitizer()?;
    let (mut files, mut unreadable) = (Vec::new(), 0);
    let mut refuse = |path: &Path, error: io::Error| {
        unreadable += 1;
        complain_on_stderr(format_args!("cannot read {}: {error}", path.display()));
    };
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    for path in args.paths.iter().filter(|path| !is_stdin(path)) {
        add_files_to_scan(path, &mut files, &mut refuse);
    }
    let mut scan = Scan {
        sanitizer,
        limit: args.limit,
        progress: Progress::new(),
        bytes: 0,
        lines: 0,
        counts: Redactions::default(),
        findings: Vec::new(),
        lines_found: 0,
    };
    if args.paths.is_empty() || args.paths.iter().any(is_stdin) {
        let stdin = Input::stdin().and_then(|input| scan.scan_lines(None, input));
        stdin.map_err(CommandFailure::stdin)?;
    }
    for path in &files {
        if let Err(error) = Input::open(path).and_then(|input| scan.scan_lines(Some(path), input)) {
            refuse(path, error);
        }
    }
    scan.progress.clear();
    if scan.lines == 0 {
        if unreadable > 0 {
            return Err(CommandFailure::new("nothing could be read"));
        }
        complain_on_stderr("no data: there is no line");
        return Ok(CommandExit::NoData);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => {
            writeln!(out, "{}", escape_json_for_terminal(&scan.to_json(files.len()).to_string()))
        }
        false => scan.print(files.len(), Style::of_stdout(), &mut out),
    };
    CommandFailure::from_report(written.and_then(|()| out.flush()))?;
    if unreadable > 0 {
        return Err(CommandFailure::new(format!("{} left out", format_count(unreadable, "path"))));
    }
    Ok(if scan.lines_found == 0 { CommandExit::Fine } else { CommandExit::Finding })
}

/// The file, or those of the folder and of the folders in it, by name. What cannot be read is refused.
fn add_files_to_scan(
    path: &Path,
    files: &mut Vec<PathBuf>,
    refuse: &mut impl FnMut(&Path, io::Error),
) {
    let entries = fs::metadata(path).and_then(|metadata| match metadata.is_dir() {
        true => fs::read_dir(path)?.collect::<io::Result<Vec<_>>>().map(Some),
        false => Ok(None),
    });
    let mut entries = match entries {
        Ok(Some(entries)) => entries,
        Ok(None) => return files.push(path.to_owned()),
        Err(error) => return refuse(path, error),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => add_files_to_scan(&entry.path(), files, refuse),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            Ok(_) => {}
            Err(error) => refuse(&entry.path(), error),
        }
    }
}

/// Returns how to unpack what begins with these bytes, if it is compressed in a way that is not read.
fn unpacking_of(head: &[u8]) -> Option<String> {
    const FORMATS: [(&[u8], &str, &str); 2] =
        [(b"BZh", "bzip2", "bzcat"), (b"\xFD7zX", "xz", "xzcat")];
    let (_, format, tool) = FORMATS.iter().find(|(magic, ..)| head.starts_with(magic))?;
    Some(format!("it is {format}; unpack it: {tool} FILE | llm-audit scan -"))
}

struct Scan {
    sanitizer: Sanitizer,
    limit: usize,
    progress: Progress,
    bytes: u64,
    lines: u64,
    counts: Redactions,
    findings: Vec<ScanFinding>,
    /// Lines in which something is, listed or not.
    lines_found: u64,
}

/// A line in which something is.
struct ScanFinding {
    file: Option<String>,
    line: u64,
    counts: Redactions,
}

/// The place in a file up to which lines were added.
struct LinePlace<'p> {
    path: Option<&'p Path>,
    number: u64,
    keys: PrivateKeyLines,
}

/// What is found in lines that no private key goes through.
struct CountedLines {
    bytes: usize,
    lines: u64,
    /// The lines in which something is, from 1 on.
    found: Vec<(u64, Redactions)>,
}

/// Counts what is found in the first lines, up to one that is not UTF-8 or in which a private key may begin.
fn count_in_lines(sanitizer: &Sanitizer, lines: &[u8]) -> CountedLines {
    let mut all = CountedLines { bytes: 0, lines: 0, found: Vec::new() };
    let (mut redacted, mut counts) = (String::new(), Redactions::default());
    while all.bytes < lines.len() {
        let line = &lines[all.bytes..][..first_line_length(&lines[all.bytes..])];
        let text = simdutf8::basic::from_utf8(line.trim_ascii_end()).ok();
        let Some(text) = text.filter(|text| !PrivateKeyLines::may_begin_in(text)) else { break };
        redacted.clear();
        sanitizer.redact_line(text, &mut redacted, &mut counts);
        (all.bytes, all.lines) = (all.bytes + line.len(), all.lines + 1);
        if counts.total() > 0 {
            all.found.push((all.lines, std::mem::take(&mut counts)));
        }
    }
    all
}

impl Scan {
    fn scan_lines(&mut self, path: Option<&Path>, input: impl io::Read) -> io::Result<()> {
        let mut input = BufReader::with_capacity(64 << 10, input);
        if let Some(how) = unpacking_of(input.fill_buf()?) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, how));
        }
        let sanitizer = self.sanitizer.clone();
        let work = |_, chunk: &mut [u8]| count_in_lines(&sanitizer, chunk);
        thread::scope(|scope| {
            let (mut chunks, mut threads) =
                (LineChunks::new(input), ChunkThreads::new(scope, &work));
            let mut place = LinePlace { path, number: 0, keys: PrivateKeyLines::default() };
            let mut is_end = Ok(false);
            while !matches!(is_end, Ok(true) | Err(_)) || !threads.is_idle() {
                is_end = match is_end {
                    Ok(false) if !threads.is_full() => {
                        let chunk = chunks.next_chunk();
                        let give = |chunk: Vec<u8>| match chunk.is_empty() {
                            true => {}
                            false => threads.give(chunk),
                        };
                        chunk.map(|chunk| chunk.map(give).is_none())
                    }
                    is_end => {
                        if let Some((chunk, counted)) = threads.take() {
                            self.add_chunk(&chunk, counted, &mut place);
                        }
                        is_end
                    }
                };
            }
            is_end.map(drop)
        })
    }

    /// Adds what is found in a chunk, of which the first lines were counted before.
    fn add_chunk(&mut self, chunk: &[u8], counted: CountedLines, place: &mut LinePlace<'_>) {
        let (mut lines, mut counted) = (chunk, Some(counted));
        while !lines.is_empty() {
            if !place.keys.is_open() {
                let first = counted.take();
                let first = first.unwrap_or_else(|| count_in_lines(&self.sanitizer, lines));
                lines = &lines[first.bytes..];
                for (number, counts) in first.found {
                    self.add_finding(place.path, place.number + number, counts);
                }
                place.number += first.lines;
                self.add_lines(first.bytes, first.lines);
            }
            counted = None;
            let (line, rest) = lines.split_at(first_line_length(lines));
            if !line.is_empty() {
                self.add_line(line, place);
            }
            lines = rest;
        }
    }

    /// Adds what is found in a line that may be inside a private key, or not UTF-8.
    fn add_line(&mut self, line: &[u8], place: &mut LinePlace<'_>) {
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        let mut counts = Redactions::default();
        match place.keys.is_inside(&text) {
            true => counts.add(Kind::PrivateKey),
            false => {
                self.sanitizer.redact_line(&text, &mut String::new(), &mut counts);
            }
        }
        place.number += 1;
        self.add_finding(place.path, place.number, counts);
        self.add_lines(line.len(), 1);
    }

    fn add_lines(&mut self, bytes: usize, lines: u64) {
        (self.bytes, self.lines) = (self.bytes + bytes as u64, self.lines + lines);
        self.progress.show(|| format!("{} MB", self.bytes / 1_000_000));
    }

    fn add_finding(&mut self, path: Option<&Path>, line: u64, counts: Redactions) {
        if counts.total() == 0 {
            return;
        }
        self.counts.merge(&counts);
        self.lines_found += 1;
        if self.findings.len() < self.limit {
            let file = path.map(|path| path.display().to_string());
            self.findings.push(ScanFinding { file, line, counts });
        }
    }

    fn print(&self, files: usize, style: Style, out: &mut impl Write) -> io::Result<()> {
        for finding in &self.findings {
            let file = finding.file.as_deref().map_or_else(String::new, |file| format!("{file}:"));
            let place = format!("{}{}", escape_for_terminal(&file), finding.line);
            let text = format!("{place}  {}", redactions_text(&finding.counts));
            let text = wrap_to_terminal(&text);
            writeln!(out, "{}", text.replacen(&place, &style.paint_faint(&place), 1))?;
        }
        let further = self.lines_found - self.findings.len() as u64;
        if further > 0 {
            writeln!(out, "… and {} more", format_count(further, "line"))?;
        }
        let of = match files {
            0 => format_count(self.lines, "line"),
            files => format!(
                "{} of {}",
                format_count(self.lines, "line"),
                format_count(files as u64, "file")
            ),
        };
        match self.lines_found {
            0 => writeln!(out, "nothing found in {of}"),
            lines => {
                let found = format!("{lines} of {of}: {}", redactions_text(&self.counts));
                writeln!(out, "{}", wrap_to_terminal(&found))
            }
        }
    }

    fn to_json(&self, files: usize) -> Value {
        let finding = |finding: &ScanFinding| json!({"file": finding.file, "line": finding.line, "found": redactions_json(&finding.counts)});
        json!({
            "files": files,
            "bytes": self.bytes,
            "lines": self.lines,
            "lines_found": self.lines_found,
            "found": redactions_json(&self.counts),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

/// `email 2, card 1`, the most first.
fn redactions_text(counts: &Redactions) -> String {
    let mut found: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
    found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<_> =
        found.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    told.join(", ")
}

fn redactions_json(counts: &Redactions) -> Value {
    let found = counts.iter().filter(|(_, count)| *count > 0);
    let found: BTreeMap<_, _> =
        found.map(|(kind, count)| (kind.name().to_owned(), count.into())).collect();
    Value::Object(Map::from_iter(found))
}
