//! `record`: JSON lines on stdin, through the whole pipeline, into the log.

mod event;
mod given;
pub(super) mod raw;

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::thread;
use std::time::Duration;

use llm_audit::reader::{Ending, LINE_BYTES_MAX, read_line};
use llm_audit::sanitize::PrivateKeyLines;
use llm_audit::{Accounting, AuditLogger, Sanitizer};
use llm_audit_log::schema::parse_whole;

use self::event::{InputEvent, Refusal};
use self::given::MendedLine;
use self::raw::LineSource;
use super::chunks::{ChunkThreads, THREAD_BYTES_MIN, Turns, first_line_length};
use crate::arguments::{LogDir, help_with_environment};
use crate::ui::{
    CommandExit, CommandFailure, Progress, SpreadJson, close_log_on_signals, complain_on_stderr,
    escape_for_terminal, format_count, print_counts,
};

/// Record JSON lines from stdin as events.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, after_long_help = help_with_environment(AFTER_HELP, &["Alerts"]))]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    dir: LogDir,
    /// Keep only the share of events that TRACE_SAMPLE_RATE and the like say
    #[arg(long)]
    sample: bool,
    /// What is done anyway, unless --sample is given
    #[arg(long, hide = true, conflicts_with = "sample")]
    debug: bool,
    /// Keep the lines of other programs too, as events of the type log.line
    #[arg(long)]
    raw: bool,
    /// The accounting as one JSON object
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
A line is an object with event_type, agent, action and status (ok, error, timeout, retry), and as
far as known trace_id, span_id, parent_span_id, timestamp, latency_ms, tokens_input,
tokens_output, cost_usd, data and error. A line without a trace_id is below the span that TRACEPARENT
names, or in a new trace; a missing timestamp is now; instance and seq are replaced. Other members move into data. A bad line, or one over 64 MiB, is
reported by its number; the rest is recorded.

Accepted too: a status in any case; a timestamp without an offset, which is UTC, or as a number
since 1970 in s, ms, us or ns, by its size; counts like 5.0; NaN and Infinity, integers past 64
bits and numbers past f64, which become texts in data and count as absent elsewhere; half a
surrogate pair, which becomes U+FFFD. The tokens and the cost of an llm.invoke are read from the
provider's answer in data or data.response, if there is one.

With --raw a line of another program becomes a log.line event, redacted as every event: the object
of a logging library (pino, Python's logging) as its data, any other text as data.text. An object is
of another program if it lacks agent, action or status and its event_type is not one of the
schema's. The logger's name is the agent. A level of error or above is the status error. A time is taken if it has an
offset or counts from 1970.

audit.stop counts the lines that are refused by reason: not_json, missing_field, wrong_field,
wrong_type and too_long.

Exit codes: 0 all is recorded, 1 bad lines or losses, 2 stdin or the folder cannot be used,
3 nothing on stdin. Ctrl-C and SIGTERM end it after the log is closed, within 5 seconds.

Examples:
  my-agent | llm-audit record --dir logs
  my-agent 2>&1 | llm-audit record --raw
  echo '{\"event_type\":\"cache.hit\",\"agent\":\"a\",\"action\":\"get\",\"status\":\"ok\"}' |
    llm-audit record --json";

/// How long the last events may take to be written.
const CLOSE_WITHIN: Duration = Duration::from_secs(300);
const BLOCK_BYTES: usize = 64 << 10;
/// How many names of unknown members are remembered, so that each is reported once.
const NAMES_MAX: usize = 256;

/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

pub(crate) fn run_record(args: &RecordArgs) -> Result<CommandExit, CommandFailure> {
    // The accounting is what stdout is for, and messages what stderr is for, whatever
    // AUDIT_EXPORTER says.
    let builder = AuditLogger::builder().directory(args.dir.path()).files(true);
    // The events may be of any time, and the totals of a minute are of the time of the emit.
    let builder = builder.stdout(false).stderr(false).totals(false).alerts(false);
    let logger = if args.sample { builder } else { builder.debug(true) }.build()?;
    close_log_on_signals()?;
    let mut recording = StdinRecording::new(&logger, args.raw);
    let read = recording.read_stdin();
    // What was recorded is accounted for whatever became of stdin.
    let closed = logger.shutdown(CLOSE_WITHIN);
    let (bad_lines, good_lines) = (recording.bad_lines, recording.good_lines);
    let raw_lines = args.raw.then_some(recording.raw_lines);
    let counts = logger.accounting();
    if let Err(error) = &closed {
        complain_on_stderr(format_args!("the log was not closed in time: {error}"));
    }
    if let Err(error) = print_record_accounting(&counts, bad_lines, raw_lines, args.json) {
        complain_on_stderr(format_args!("the accounting cannot be printed: {error}"));
    }
    explain_record_losses(&counts, good_lines, &logger.sampling().decided_by());
    read?;
    let missing = good_lines.saturating_sub(counts.emitted);
    let lost = [counts.overwritten, counts.rejected, counts.io_lost, counts.queued, missing];
    Ok(match (good_lines, bad_lines) {
        (0, 0) => {
            complain_on_stderr("no data: nothing on stdin");
            CommandExit::NoData
        }
        (_, 0) if lost == [0; 5] && closed.is_ok() => CommandExit::Fine,
        _ => CommandExit::Finding,
    })
}

/// The state that goes from line to line.
struct StdinRecording<'l> {
    logger: &'l AuditLogger,
    /// Names are printed on stderr, and nothing else redacts them.
    sanitizer: Sanitizer,
    moved: HashSet<String>,
    lines: u64,
    good_lines: u64,
    bad_lines: u64,
    /// Whether lines of other programs are recorded, and how many were. They are good lines.
    keeps_raw: bool,
    raw_lines: u64,
    keys: PrivateKeyLines,
    spread: SpreadJson,
    progress: Progress,
}

/// A line, and what was made of it before its turn.
#[allow(clippy::large_enum_variant, reason = "most lines are of the large one")]
enum LineAhead<'l> {
    Given(&'l mut [u8]),
    /// It begins and ends like an object.
    Read(Result<InputEvent<'l>, Refusal>),
}

/// Reads lines as far as that does not depend on those before them. `given` is a copy of them, because parsing
/// unescapes in place.
fn read_ahead<'l>(
    lines: &'l mut [u8],
    given: &'l mut [u8],
    logger: &AuditLogger,
) -> Vec<LineAhead<'l>> {
    let price = |model: &str, usage| logger.calculate_cost(model, usage);
    let read = |(line, given): (&'l mut [u8], &'l mut [u8])| {
        let is_object = given.starts_with(b"{") && given.trim_ascii_end().ends_with(b"}");
        match if is_object { parse_whole(line).ok() } else { None } {
            // It has no number that would be mended.
            Some(line) if !line.has_huge_number() => {
                LineAhead::Read(InputEvent::read(line, &price))
            }
            _ => LineAhead::Given(given),
        }
    };
    each_line(lines).zip(each_line(given)).map(read).collect()
}

/// Returns the lines without their newlines.
fn each_line(mut lines: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    std::iter::from_fn(move || {
        let length = Some(first_line_length(lines)).filter(|length| *length > 0)?;
        let (line, rest) = std::mem::take(&mut lines).split_at_mut(length);
        lines = rest;
        let length = line.len() - usize::from(line.ends_with(b"\n"));
        Some(&mut line[..length])
    })
}

/// Reads the next line, and as many whole ones after it as are there. Returns how the first one ended.
fn read_lines(input: &mut BufReader<impl Read>, lines: &mut Vec<u8>) -> io::Result<Option<Ending>> {
    let ending = read_line(input, lines)?;
    if let Some(Ending::Newline) = ending {
        lines.push(b'\n');
        let whole = memchr::memrchr(b'\n', input.buffer()).map_or(0, |newline| newline + 1);
        lines.extend_from_slice(&input.buffer()[..whole]);
        input.consume(whole);
    }
    Ok(ending)
}

impl<'l> StdinRecording<'l> {
    fn new(logger: &'l AuditLogger, keeps_raw: bool) -> Self {
        Self {
            logger,
            sanitizer: Sanitizer::default(),
            moved: HashSet::new(),
            lines: 0,
            good_lines: 0,
            bad_lines: 0,
            keeps_raw,
            raw_lines: 0,
            keys: PrivateKeyLines::default(),
            spread: SpreadJson::default(),
            progress: Progress::new(),
        }
    }

    fn read_stdin(&mut self) -> Result<(), CommandFailure> {
        let mut input = BufReader::with_capacity(BLOCK_BYTES, io::stdin().lock());
        let (logger, keeps_raw) = (self.logger, self.keeps_raw);
        let turns = Turns::new(self);
        let work = |number, lines: &mut [u8]| {
            let mut given = lines.to_vec();
            let ahead = turns.or_abandon(|| read_ahead(lines, &mut given, logger));
            turns.take_turn(number, |recording| recording.record_lines(ahead));
        };
        thread::scope(|scope| {
            let mut threads = ChunkThreads::new(scope, &work);
            let mut is_at_start = true;
            loop {
                let mut lines = Vec::new();
                let ending = read_lines(&mut input, &mut lines);
                let is_start = std::mem::take(&mut is_at_start);
                if is_start && lines.starts_with(&GZIP) {
                    return Err(CommandFailure::new(
                        "stdin is gzip, not JSON lines: unpack it first (zcat)",
                    ));
                }
                if is_start && lines.starts_with("\u{feff}".as_bytes()) {
                    // Blanks, so that the bytes named in messages are those of the line.
                    lines[..3].fill(b' ');
                }
                let is_worth = matches!(ending, Ok(Some(Ending::Newline)))
                    && lines.len() >= THREAD_BYTES_MIN
                    && !keeps_raw;
                if is_worth {
                    if threads.is_full() {
                        threads.take();
                    }
                    threads.give(lines);
                    continue;
                }
                while threads.take().is_some() {}
                match ending.map_err(CommandFailure::stdin)? {
                    None => return Ok(()),
                    Some(Ending::TooLong(bytes)) => {
                        turns.lock(|recording| recording.report_long_line(bytes));
                    }
                    Some(_) => {
                        let alone = each_line(&mut lines).map(LineAhead::Given).collect();
                        turns.lock(|recording| recording.record_lines(alone));
                    }
                }
            }
        })?;
        turns.lock(|recording| recording.progress.clear());
        Ok(())
    }

    /// Records the next lines.
    fn record_lines(&mut self, lines: Vec<LineAhead<'_>>) {
        for line in lines {
            self.lines += 1;
            match line {
                LineAhead::Given(line) if line.trim_ascii().is_empty() => {}
                LineAhead::Given(line) => self.record_line(line),
                LineAhead::Read(event) => {
                    // It begins and ends like an object.
                    self.spread.is_part(b"{}");
                    match event {
                        Ok(event) => self.record_event(&event),
                        Err(refusal) => {
                            self.report_bad_line(refusal.reason, Some(&refusal.message))
                        }
                    }
                }
            }
        }
        let lines = self.good_lines;
        self.progress.show(|| format!("{lines} events"));
    }

    fn record_line(&mut self, line: &mut [u8]) {
        let (logger, mut mended) = (self.logger, MendedLine::new(line));
        let is_part = self.spread.is_part(line);
        let line = mended.as_mut().map_or(line, |mended| &mut mended.bytes);
        // Parsing unescapes in place.
        let mut given = self.keeps_raw.then(|| line.to_vec());
        let price = |model: &str, usage| logger.calculate_cost(model, usage);
        match InputEvent::parse(line, &price) {
            Ok(event) => self.record_event(&event),
            Err(Refusal { is_foreign: true, .. }) if self.keeps_raw => {
                let given = given.as_mut().expect("copied above");
                let source = LineSource::UNKNOWN;
                raw::with_raw_event(given, source, &mut self.keys, |event| logger.emit_wait(event));
                self.good_lines += 1;
                self.raw_lines += 1;
            }
            Err(Refusal { reason: reason @ "not_json", .. }) if is_part => {
                let notice = self.spread.notice("record");
                self.report_bad_line(reason, notice.as_deref());
            }
            Err(Refusal { reason, message, .. }) => {
                let for_given = mended.and_then(|mended| mended.message_for_given(&message));
                self.report_bad_line(reason, Some(&for_given.unwrap_or(message)));
            }
        }
    }

    fn record_event(&mut self, event: &InputEvent<'_>) {
        let mut moved = Vec::new();
        event.record(&mut moved, |event| self.logger.emit_wait(event));
        self.good_lines += 1;
        for name in moved {
            self.report_moved_field(name);
        }
    }

    fn report_long_line(&mut self, bytes: u64) {
        self.lines += 1;
        let limit = LINE_BYTES_MAX >> 20;
        let message = format!("{bytes} bytes long; the limit is {limit} MiB");
        self.report_bad_line("too_long", Some(&message));
    }

    /// Reports the last line.
    fn report_bad_line(&mut self, reason: &'static str, why: Option<&str>) {
        self.bad_lines += 1;
        self.logger.count_refused(reason);
        if let Some(why) = why {
            self.progress.clear();
            complain_on_stderr(format_args!("line {}: {why}", self.lines));
        }
    }

    fn report_moved_field(&mut self, name: String) {
        if self.moved.len() == NAMES_MAX || self.moved.contains(&name) {
            return;
        }
        self.progress.clear();
        let redacted = self.sanitizer.redact_str(&name);
        let brief: String = redacted.chars().take(80).collect();
        complain_on_stderr(format_args!(
            "unknown field {:?} is moved into data",
            escape_for_terminal(&brief)
        ));
        self.moved.insert(name);
        if self.moved.len() == NAMES_MAX {
            complain_on_stderr("further unknown fields are moved without saying so");
        }
    }
}

fn print_record_accounting(
    counts: &Accounting,
    bad_lines: u64,
    raw_lines: Option<u64>,
    as_json: bool,
) -> io::Result<()> {
    let rows: Vec<_> = [("emitted", counts.emitted)]
        .into_iter()
        .chain(counts.ends())
        .chain([("bad_lines", bad_lines)])
        .chain(raw_lines.map(|lines| ("raw_lines", lines)))
        .collect();
    print_counts(&rows, 12, as_json)
}

/// Says which events are not in the log, or not whole, and what decided so.
fn explain_record_losses(counts: &Accounting, good_lines: u64, decided_by: &str) {
    if counts.sampled_out > 0 {
        let events = format_count(counts.sampled_out, "event");
        complain_on_stderr(format_args!(
            "{events} sampled out, decided by {decided_by}; without --sample all are kept"
        ));
    }
    let lost = counts.overwritten.saturating_add(counts.io_lost);
    if lost > 0 {
        complain_on_stderr(format_args!(
            "{} lost: {} overwritten, {} io_lost",
            format_count(lost, "event"),
            counts.overwritten,
            counts.io_lost
        ));
    }
    if counts.truncated > 0 {
        let events = format_count(counts.truncated, "event");
        complain_on_stderr(format_args!("{events} cut to fit AUDIT_MAX_EVENT_BYTES"));
    }
    let missing = good_lines.saturating_sub(counts.emitted);
    if missing > 0 {
        complain_on_stderr(format_args!(
            "{} not recorded: AUDIT_ENABLED is false",
            format_count(missing, "event")
        ));
    }
}
