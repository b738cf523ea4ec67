//! `demo`: runs the bundled agent through the real pipeline, then shows what was recorded.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use benefits_agent::{Options, Report};
use llm_audit::{Accounting, AuditLogger, Error};
use serde_json::{Map, Value, json};

/// The variables that decide what is sampled out. Where none of them is set, `demo` keeps all.
const SAMPLING: [&str; 5] = [
    "AUDIT_DEBUG",
    "TRACE_SAMPLE_RATE",
    "SUCCESS_SAMPLE_RATE",
    "ERROR_SAMPLE_RATE",
    "SLOW_REQUEST_THRESHOLD_MS",
];
/// How long the log may take to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);
/// The shares of emits that are shown, as percentiles.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

/// Runs the bundled agent and shows what was recorded.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the log [default: AUDIT_LOG_DIR, else logs]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Requests that the agent answers
    #[arg(long, default_value_t = Options::default().requests)]
    requests: usize,
    /// Threads that answer them
    #[arg(long, default_value_t = Options::default().threads, value_parser = threads)]
    threads: usize,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// More threads than anybody means to start are a slip of the finger.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("accepted: 1 to 1024".to_owned()),
    }
}

/// Exit codes: 0 when all is recorded, 1 when events were lost or the accounting does not add up,
/// 2 for settings that are not accepted, 3 when nothing was emitted.
pub(crate) fn run(args: &Args) -> ExitCode {
    let demo = match record(args) {
        Ok(demo) => demo,
        Err(error) => return fail(&error),
    };
    let out = &mut io::stdout().lock();
    match if args.json { demo.print_json(out) } else { demo.print(out) } {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => demo.exit_code(),
        Err(error) => fail(&error),
        Ok(()) => demo.exit_code(),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    // Nobody is left to tell when stderr is gone too.
    let _ = writeln!(io::stderr(), "llm-audit: {error}");
    ExitCode::from(2)
}

/// What was recorded.
struct Demo {
    /// The file, where there is one: `AUDIT_EXPORTER` may say otherwise.
    path: Option<PathBuf>,
    /// The sampling variables that are set, with their values.
    sampling: Vec<(&'static str, String)>,
    report: Report,
    counts: Accounting,
}

fn record(args: &Args) -> Result<Demo, Error> {
    let sampling: Vec<_> =
        SAMPLING.into_iter().filter_map(|name| Some((name, env::var(name).ok()?))).collect();
    let mut builder = AuditLogger::builder();
    if let Some(dir) = &args.dir {
        builder = builder.directory(dir);
    }
    if sampling.is_empty() {
        builder = builder.debug(true);
    }
    let logger = builder.build()?;
    let options = Options { requests: args.requests, threads: args.threads };
    let report = benefits_agent::run(&logger, &options);
    let path = logger.path();
    logger.shutdown(CLOSE_WITHIN)?;
    Ok(Demo { path, sampling, report, counts: logger.accounting() })
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

    /// What one emit took, in nanoseconds.
    fn emit_ns(&self) -> impl Iterator<Item = (String, u64)> {
        let emit_ns = &self.report.emit_ns;
        let share = |p: f64| (format!("p{p}"), emit_ns.value_at_quantile(p / 100.0));
        PERCENTILES.into_iter().map(share).chain([("max".to_owned(), emit_ns.max())])
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.path {
            Some(path) => writeln!(out, "Recorded in {}", path.display())?,
            None => writeln!(out, "Recorded in no file: AUDIT_EXPORTER or AUDIT_ENABLED says so")?,
        }
        self.print_trace(out)?;
        self.print_accounting(out)?;
        self.print_sampling(out)?;
        writeln!(out, "\nRedacted")?;
        for (kind, count) in self.counts.redactions.iter().filter(|(_, count)| *count > 0) {
            writeln!(out, "  {count:>8}  {}", kind.placeholder())?;
        }
        writeln!(out, "\nOne emit on the caller's thread, two readings of the clock included")?;
        for (share, ns) in self.emit_ns() {
            writeln!(out, "  {share:<5} {:>9.2} us", ns as f64 / 1e3)?;
        }
        Ok(())
    }

    fn print_trace(&self, out: &mut impl Write) -> io::Result<()> {
        let folder = self.path.as_deref().and_then(|path| path.parent());
        let (Some(folder), Some(trace_id)) = (folder, self.report.example_trace) else {
            return Ok(());
        };
        writeln!(out, "\nOne of its traces: llm-audit trace {trace_id:032x}\n")?;
        match crate::trace::print(folder, trace_id, out) {
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
        let emit_ns: Map<_, _> = self.emit_ns().map(|(share, ns)| (share, ns.into())).collect();
        let object = json!({
            "path": self.path.as_deref().map(|path| path.to_string_lossy()),
            "trace_id": self.report.example_trace.map(|id| format!("{id:032x}")),
            "events": self.report.events,
            "accounting": accounting,
            "sampling": self.sampling.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "redactions": redactions,
            "emit_ns": emit_ns,
        });
        writeln!(out, "{object}")
    }
}
