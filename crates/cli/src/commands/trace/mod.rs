//! `trace`: one trace as a tree with a waterfall.

mod draw;
mod html;
mod recent;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use llm_audit::reader::{Choice, Error, Event, Folder, Found, LogFile, Trace};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::arguments::{FilterArgs, LogInput, complain_of_damage};
use crate::ui::{
    CommandExit, CommandFailure, Progress, Style, complain_on_stderr, escape_json_for_terminal,
    format_exact_cost, terminal_columns, write_page,
};

/// Show one trace: its spans as a tree, when each ran, tokens, cost, errors.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, group = ArgGroup::new(CHOICE).args(["last", "failed", "slowest"]))]
pub(crate) struct TraceArgs {
    /// The trace id, or its first digits (4 or more)
    id: Option<String>,
    #[command(flatten)]
    input: LogInput,
    /// The trace with the newest event, instead of an ID; the filters say of which events
    #[arg(long)]
    last: bool,
    /// The trace with the newest event that failed or timed out
    #[arg(long)]
    failed: bool,
    /// The trace with the event that took longest
    #[arg(long)]
    slowest: bool,
    /// Write the trace as HTML to a file, with the lines of each span; it loads nothing
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// One JSON object: the spans in the order of the tree, each with its lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// The options in place of an ID.
const CHOICE: &str = "choice";

const AFTER_HELP: &str = "\
Bars are by the times of a span's events, while stats takes latency_ms, so they may differ a little.
Tokens and cost of the whole trace are those of llm.invoke and llm.error, whose sum others repeat.
A span whose parent is not in the log is at the top, with a mark. If the trace has spans of several
services, each is named by its service too. Evaluations and feedback are notes below their span, and do
not count as events or time of the trace.

Exit codes: 0 found, 1 found and a file cannot be read to its end, 2 bad input, or several traces begin
so, 3 no such trace.

Examples:
  llm-audit trace 2a8f65dd
  llm-audit trace --failed --since 1h
  llm-audit trace --slowest --type llm
  llm-audit trace --failed --html trace.html
  llm-audit trace 2a8f65dd billing/*.jsonl search/*.jsonl
  llm-audit trace 2a8f65dd --json | jq '.spans[].events[] | select(.status == \"error\")'";

/// Where the terminal does not say how wide it is.
const WIDTH: usize = 80;

pub(crate) fn run_trace(args: &TraceArgs) -> Result<CommandExit, CommandFailure> {
    let (choice, mut input) = (args.choice(), args.input.clone());
    if choice.is_none() && args.filter.are_given() {
        return Err(CommandFailure::new("filters choose a trace with --last, --failed, --slowest"));
    }
    if choice.is_some()
        && let Some(id) = args.id.as_deref()
        && is_id_and_no_file(id)
    {
        return Err(CommandFailure::new(format!(
            "an ID and --last, --failed or --slowest exclude each other, and no file is named {id}"
        )));
    }
    // Without an ID the first of several words is a file.
    input.files.splice(..0, args.id.iter().filter(|_| choice.is_some()).map(PathBuf::from));
    args.html.iter().try_for_each(|path| input.refuse_as_output(path))?;
    // A name of a file is not an ID.
    let file = args.id.as_deref().filter(|id| !is_id(id) && Path::new(id).exists());
    let lacks_id = choice.is_none() && (args.id.is_none() || file.is_some());
    input.files.splice(..0, file.filter(|_| lacks_id).map(PathBuf::from));
    let folder = input.open()?;
    if lacks_id {
        return Err(CommandFailure::new(recent::ask_for_id(folder.as_ref(), &input)));
    }
    let Some(folder) = folder else { return Ok(CommandExit::NoData) };
    let mut damage = Vec::new();
    let found = match choice {
        Some(choice) => choose_trace(args, &folder, choice, &mut damage)?,
        None => find_trace(args, &folder, args.id.as_deref().unwrap_or_default(), &mut damage)?,
    };
    let exit = if damage.is_empty() { CommandExit::Fine } else { CommandExit::Finding };
    if let (Found::Nothing, Some(_)) = (&found, damage.last()) {
        let last = damage.pop().map(CommandFailure::from);
        complain_of_damage(&damage);
        return last.map_or(Ok(CommandExit::NoData), Err);
    }
    complain_of_damage(&damage);
    let trace = match found {
        Found::One(trace) => trace,
        Found::Nothing => {
            complain_on_stderr("no data: no such trace");
            args.input.complain_of_unknown_values(&folder, &args.filter);
            return Ok(CommandExit::NoData);
        }
        Found::Several(ids) => {
            let ids = ids.join("\n  ");
            return Err(CommandFailure::new(format!(
                "several traces begin so, among them\n  {ids}"
            )));
        }
        found => return Err(CommandFailure::new(format!("this version does not know: {found:?}"))),
    };
    if let Some(path) = &args.html {
        write_page(path, &html::trace_as_html(&trace))?;
        return Ok(exit);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => print_trace_json(&trace, &mut out),
        false => draw::draw_trace(
            &trace,
            terminal_columns().unwrap_or(WIDTH),
            Style::of_stdout(),
            &mut out,
        ),
    };
    written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(exit)
}

fn is_id(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_id_and_no_file(word: &str) -> bool {
    is_id(word) && !Path::new(word).exists()
}

impl TraceArgs {
    fn choice(&self) -> Option<Choice> {
        let choices = [
            (self.last, Choice::Last),
            (self.failed, Choice::Failed),
            (self.slowest, Choice::Slowest),
        ];
        choices.into_iter().find_map(|(is_asked, choice)| is_asked.then_some(choice))
    }
}

fn find_trace(
    args: &TraceArgs,
    folder: &Folder,
    id: &str,
    damage: &mut Vec<Error>,
) -> Result<Found, CommandFailure> {
    let mut progress = Progress::new();
    let (of, service) = (folder.bytes(), args.input.service.as_deref());
    let show = |done| progress.show_share(done, of);
    let found = Trace::find_despite(folder, id, service, damage, show)?;
    progress.clear();
    Ok(found)
}

fn choose_trace(
    args: &TraceArgs,
    folder: &Folder,
    choice: Choice,
    damage: &mut Vec<Error>,
) -> Result<Found, CommandFailure> {
    if folder.files().iter().any(LogFile::is_stream) {
        return Err(CommandFailure::new("a pipe is read only once; a file or an ID is needed"));
    }
    let mut progress = Progress::new();
    let (of, service) = (folder.bytes(), args.input.service.as_deref());
    let (filter, show) = (args.filter.to_filter(), |done| progress.show_share(done, of));
    let id = Trace::choose(folder, choice, &filter, service, damage, show);
    progress.clear();
    let Some(id) = id else { return Ok(Found::Nothing) };
    // The search meets the same damage again.
    damage.clear();
    find_trace(args, folder, &id, damage)
}

/// Draws the trace of this id, for `demo`.
#[cfg(feature = "demo")]
pub(crate) fn print_trace_for_demo(
    dir: &Path,
    trace_id: u128,
    out: &mut impl Write,
) -> Result<(), CommandFailure> {
    let folder = Folder::open(dir)?;
    let (id, mut damage) = (format!("{trace_id:032x}"), Vec::new());
    match Trace::find_despite(&folder, &id, None, &mut damage, |_| {})? {
        Found::One(trace) => {
            draw::draw_trace(&trace, terminal_columns().unwrap_or(WIDTH), Style::of_stdout(), out)
                .map_err(CommandFailure::writing)
        }
        _ => Err(CommandFailure::new("the trace is not in the log")),
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct TraceObject<'t> {
    trace_id: &'t str,
    started_us: Option<i64>,
    duration_ms: Option<f64>,
    tokens_input: u64,
    tokens_output: u64,
    cost_usd: Option<Box<RawValue>>,
    /// Events beyond those that are held.
    left_out: u64,
    spans: Vec<SpanObject<'t>>,
}

#[derive(Serialize)]
struct SpanObject<'t> {
    span_id: &'t str,
    parent_span_id: Option<&'t str>,
    depth: usize,
    orphan: bool,
    circular: bool,
    started_us: Option<i64>,
    duration_ms: Option<f64>,
    events: Vec<&'t RawValue>,
    /// Evaluations and feedback of what happened in it.
    judgements: Vec<&'t RawValue>,
}

fn print_trace_json<'t>(trace: &'t Trace, out: &mut impl Write) -> io::Result<()> {
    let length = |(start, end): (i64, i64)| end.abs_diff(start) as f64 / 1e3;
    let spans = trace.walk().into_iter().map(|step| {
        let span = &trace.spans[step.span];
        // Lines are JSON by another parser's word; one that serde_json refuses is left out.
        let lines = |events: &'t [Event]| {
            events.iter().filter_map(|event| serde_json::from_str(&event.line).ok()).collect()
        };
        SpanObject {
            span_id: &span.id,
            parent_span_id: span.parent.as_deref(),
            depth: step.depth,
            orphan: span.is_orphan,
            circular: span.is_circular,
            started_us: span.interval().map(|interval| interval.0),
            duration_ms: span.interval().map(length),
            events: lines(&span.events),
            judgements: lines(&span.judgements),
        }
    });
    let (tokens_input, tokens_output) = trace.tokens();
    let object = TraceObject {
        trace_id: &trace.id,
        started_us: trace.interval().map(|interval| interval.0),
        duration_ms: trace.interval().map(length),
        tokens_input,
        tokens_output,
        cost_usd: trace.cost_usd().and_then(format_exact_cost),
        left_out: trace.left_out,
        spans: spans.collect(),
    };
    writeln!(out, "{}", escape_json_for_terminal(&serde_json::to_string(&object)?))
}
