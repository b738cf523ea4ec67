//! `demo`: runs the bundled agent service under load, then shows what was recorded.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use llm_audit::reader::{Figures, Filter, Groups};
use llm_audit::{Accounting, AuditLogger, CaptureContent};
use llm_audit_demo::load::{Options, Report};
use llm_audit_log::shell_word;
use serde_json::{Map, Value, json};

use super::report::{Collected, Report as LogReport};
use crate::arguments::help_with_environment;
use crate::ui::{CommandFailure, close_log_on_signals, complain_on_stderr};

/// The variables that decide what is sampled out. If none of them is set, `demo` keeps all.
const SAMPLING: [&str; 5] = [
    "AUDIT_DEBUG",
    "TRACE_SAMPLE_RATE",
    "SUCCESS_SAMPLE_RATE",
    "ERROR_SAMPLE_RATE",
    "SLOW_REQUEST_THRESHOLD_MS",
];
/// The variables that decide whether content is captured. If none of them is set, `demo` does.
const CONTENT: [&str; 2] =
    ["AUDIT_CAPTURE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"];
/// How long the log may take to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

/// Run the bundled agent service under load, then show what was recorded.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help_with_environment("", &[]))]
pub(crate) struct DemoArgs {
    /// Folder of the log [default: AUDIT_LOG_DIR, else logs]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Requests that the service answers
    #[arg(long, default_value_t = Options::default().requests)]
    requests: u64,
    /// Requests under way at once
    #[arg(long, default_value_t = Options::default().concurrency, value_parser = parse_concurrency)]
    concurrency: usize,
    /// Decides who asks what, and what goes wrong
    #[arg(long, default_value_t = Options::default().seed)]
    seed: u64,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// More sockets than anybody means to open are a slip of the finger.
fn parse_concurrency(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=256) => Ok(count),
        _ => Err("accepted: 1 to 256".to_owned()),
    }
}

/// Returns 0 if all is recorded, and 1 if events were lost or the accounting does not add up. Returns
/// 2 if settings are not accepted, and 3 if nothing was emitted.
pub(crate) fn run_demo(args: &DemoArgs) -> ExitCode {
    let demo = match record_demo(args) {
        Ok(demo) => demo,
        Err(failure) => return fail_demo(&failure),
    };
    let out = &mut io::stdout().lock();
    match if args.json { demo.print_json(out) } else { demo.print(out) } {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => demo.exit_code(),
        Err(error) => fail_demo(&CommandFailure::writing(error)),
        Ok(()) => demo.exit_code(),
    }
}

fn fail_demo(failure: &CommandFailure) -> ExitCode {
    complain_on_stderr(failure);
    ExitCode::from(2)
}

/// What was recorded.
struct Demo {
    /// The file, if there is one: `AUDIT_EXPORTER` may say otherwise.
    path: Option<PathBuf>,
    /// What a further command needs to read it.
    log_words: String,
    /// What is in it, read back from the files.
    log: LogReport,
    capture_content: CaptureContent,
    /// The sampling variables that are set, with their values.
    sampling: Vec<(&'static str, String)>,
    report: Report,
    counts: Accounting,
}

/// Those of `names` that are set, with their values.
fn variables_that_are_set<const N: usize>(names: [&'static str; N]) -> Vec<(&'static str, String)> {
    names.into_iter().filter_map(|name| Some((name, env::var(name).ok()?))).collect()
}

fn record_demo(args: &DemoArgs) -> Result<Demo, CommandFailure> {
    let sampling = variables_that_are_set(SAMPLING);
    // What fails here is made up, and wakes nobody.
    let mut builder = AuditLogger::builder().alerts(false);
    if let Some(dir) = &args.dir {
        builder = builder.directory(dir);
    }
    if variables_that_are_set(["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"]).is_empty() {
        builder = builder.service("benefits");
    }
    if sampling.is_empty() {
        builder = builder.debug(true);
    }
    if variables_that_are_set(CONTENT).is_empty() {
        builder = builder.capture_content(true);
    }
    let guard = llm_audit::init_with(builder)?;
    close_log_on_signals()?;
    let logger = guard.logger();
    let DemoArgs { requests, concurrency, seed, .. } = *args;
    let report = llm_audit_demo::demo(&Options { requests, concurrency, seed })
        .map_err(|error| CommandFailure::new(format!("the service does not start: {error}")))?;
    logger.shutdown(CLOSE_WITHIN)?;
    let path = logger.path();
    let log = match path.as_deref().and_then(|path| path.parent()) {
        Some(folder) => LogReport::of_logger(folder, logger.instance())?,
        None => Collected::new(&Filter::default())?.finish(),
    };
    let (capture_content, counts) = (logger.capture_content(), logger.accounting());
    let log_words = args.dir.as_deref().map(|dir| format!(" --dir {}", shell_word(dir)));
    let log_words = log_words.unwrap_or_default();
    Ok(Demo { path, log_words, log, capture_content, sampling, report, counts })
}

impl Demo {
    fn exit_code(&self) -> ExitCode {
        let lost = self.counts.overwritten + self.counts.io_lost + self.counts.rejected;
        ExitCode::from(match self.counts.emitted {
            0 => 3,
            _ if lost == 0 && self.counts.adds_up() => 0,
            _ => 1,
        })
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.path {
            Some(path) => writeln!(out, "Recorded in {}", path.display())?,
            None => writeln!(out, "Recorded in no file: AUDIT_EXPORTER or AUDIT_ENABLED says so")?,
        }
        self.print_content(out)?;
        self.print_load(out)?;
        self.print_trace(out)?;
        if self.path.is_some() {
            writeln!(out)?;
            self.log.print(Some(&self.log_words), out)?;
        }
        self.print_accounting(out)?;
        self.print_sampling(out)
    }

    fn print_content(&self, out: &mut impl Write) -> io::Result<()> {
        let content = "prompts, completions, arguments and results";
        match self.capture_content {
            CaptureContent::Always => writeln!(
                out,
                "With content: {content} are in it, redacted. A service leaves\nthem out unless \
                 {}=true; demo keeps them unless it is false.",
                CONTENT[0]
            ),
            CaptureContent::Failed => {
                writeln!(out, "With content in failed traces alone: {content}, redacted.")
            }
            _ => writeln!(out, "Without content: {content} are left out."),
        }
    }

    fn print_load(&self, out: &mut impl Write) -> io::Result<()> {
        let Report { statuses, streamed, left_early, failed, .. } = &self.report;
        writeln!(out, "\nAsked")?;
        for (status, answers) in statuses {
            writeln!(out, "  {answers:>8}  answered with {status}")?;
        }
        writeln!(out, "  {streamed:>8}  of them as an event stream")?;
        writeln!(out, "  {left_early:>8}  left before the answer")?;
        match failed {
            0 => Ok(()),
            failed => writeln!(out, "  {failed:>8}  not answered"),
        }
    }

    fn print_trace(&self, out: &mut impl Write) -> io::Result<()> {
        let folder = self.path.as_deref().and_then(|path| path.parent());
        let (Some(folder), Some(trace_id)) = (folder, self.report.example_trace) else {
            return Ok(());
        };
        let log = &self.log_words;
        writeln!(out, "\nOne of its traces: llm-audit trace {trace_id:032x}{log}\n")?;
        match super::trace::print_trace_for_demo(folder, trace_id, out) {
            Ok(()) => Ok(()),
            Err(error) => writeln!(out, "  not shown: {error}"),
        }
    }

    fn print_accounting(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nAccounting")?;
        writeln!(out, "  {:>8}  emitted", self.counts.emitted)?;
        for (name, count) in self.counts.ends() {
            writeln!(out, "  {count:>8}  {name}")?;
        }
        let (emitted, accounted) = (self.counts.emitted, self.counts.accounted());
        let verdict = if emitted == accounted { "adds up" } else { "does NOT add up" };
        writeln!(out, "  {verdict}: {accounted} ends of {emitted} events")
    }

    fn print_sampling(&self, out: &mut impl Write) -> io::Result<()> {
        if self.sampling.is_empty() {
            return writeln!(
                out,
                "\nSampling: none. demo keeps every event unless one of these is set: {}",
                SAMPLING.join(", ")
            );
        }
        let set: Vec<_> =
            self.sampling.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(
            out,
            "\nSampling: {} of {} events sampled out, decided by {}",
            self.counts.sampled_out,
            self.counts.emitted,
            set.join(", ")
        )?;
        writeln!(out, "  (what is not set has its default; AUDIT_DEBUG=true keeps every event)")
    }

    fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        let mut accounting: Map<String, Value> = self
            .counts
            .ends()
            .map(|(name, count)| (name.to_owned(), count.into()))
            .into_iter()
            .collect();
        accounting.insert("emitted".to_owned(), self.counts.emitted.into());
        let redactions = self.counts.redactions.iter();
        let redactions: Map<_, _> =
            redactions.map(|(kind, n)| (kind.placeholder().to_owned(), n.into())).collect();
        let names = |groups: &Groups, value: fn(&Figures) -> Value| {
            let groups = groups.iter().map(|(values, figures)| (values[0].clone(), value(figures)));
            groups.collect::<Map<_, _>>()
        };
        let Report { statuses, streamed, left_early, failed, .. } = &self.report;
        let object = json!({
            "path": self.path.as_deref().map(|path| path.to_string_lossy()),
            "captures_content": self.capture_content,
            "trace_id": self.report.example_trace.map(|id| format!("{id:032x}")),
            "load": {"statuses": statuses, "streamed": streamed, "left_early": left_early,
                "failed": failed},
            "events": names(&self.log.sums.types, |figures| figures.events.into()),
            "models": names(&self.log.sums.models, model_json),
            "accounting": accounting,
            "sampling": self.sampling.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "redactions": redactions,
        });
        writeln!(out, "{object}")
    }
}

/// The cost is a string: exact, whatever reads it.
fn model_json(figures: &Figures) -> Value {
    json!({"calls": figures.events, "tokens_input": figures.tokens_input,
        "tokens_output": figures.tokens_output, "cost_usd": figures.cost_usd.to_string(),
        "unpriced": figures.unpriced})
}
