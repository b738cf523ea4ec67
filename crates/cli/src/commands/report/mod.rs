//! `report`: one page about a period.

mod collect;
mod html;
mod json;
mod judgements;
mod page;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::arguments::{FilterArgs, LogInput};
use crate::ui::{CommandExit, CommandFailure, Style, terminal_columns, write_page};

pub(crate) use collect::{Collected, Report};

/// Show one page about a period: traffic, failures, the slowest, cost, what was redacted and lost.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    input: LogInput,
    /// Write the page as HTML to a file, for a mail or an archive; it loads nothing
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

const AFTER_HELP: &str = "\
The figures are those of all events, by the audit.totals lines. If there are none, a ~ is before what is
estimated: sampling left events out, and those that are left count for them, by the rates in
audit.start. Failures and what was redacted come from lines. What caching saved is by the prices of
this version. Losses and what was sampled out are of the whole life of a logger, not of the period.

Exit codes: 0 there are events, 1 there are and a file cannot be read to its end, 2 bad input, 3 there
are none.

Examples:
  llm-audit report --since today
  llm-audit report --since 7d --html week.html
  llm-audit report --json | jq '.failures[0]'";

pub(crate) fn run_report(args: &ReportArgs) -> Result<CommandExit, CommandFailure> {
    args.html.iter().try_for_each(|path| args.input.refuse_as_output(path))?;
    let mut collected = Collected::new(&args.filter.to_filter())?;
    let (counting, seen) = collected.parts();
    let read = args.input.count(&args.filter, counting, |counting, line, weight| match weight {
        None => seen.note(line),
        Some(weight) => seen.add(counting, line, weight),
    })?;
    if read.events == 0 {
        return Ok(read.exit);
    }
    let report = Report { damage: read.damage, ..collected.finish() };
    let log = args.input.words();
    if let Some(path) = &args.html {
        write_page(path, &html::page_as_html(&report.page(usize::MAX, log.as_deref())))?;
        return Ok(read.exit);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => report.print_json(&mut out),
        false => report.print(log.as_deref(), &mut out),
    };
    written.and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(read.exit)
}

impl Report {
    /// Reads what one logger wrote into a folder, for `demo`.
    #[cfg(feature = "demo")]
    pub(crate) fn of_logger(
        folder: &std::path::Path,
        instance: &str,
    ) -> Result<Self, CommandFailure> {
        use llm_audit::reader::{Filter, Folder, Scan};

        use crate::arguments::complain_of_damage;

        let mut collected = Collected::new(&Filter::default())?;
        let (counting, seen) = collected.parts();
        let folder = Folder::open(folder)?;
        let scan = Scan::of(&folder).totals(counting.totals());
        // Bad lines are of other loggers, which are not part of the report.
        let scanned = scan.for_each_line(
            |line, weight| match weight {
                _ if line.instance() != Some(instance) => {}
                None => {
                    counting.note(line);
                    seen.note(line);
                }
                Some(weight) => seen.add(counting, line, weight),
            },
            |_| {},
        );
        complain_of_damage(&scanned.damage);
        Ok(collected.finish())
    }

    /// Prints the page as text. `log` is what a further command needs to read the same log.
    pub(crate) fn print(&self, log: Option<&str>, out: &mut impl Write) -> io::Result<()> {
        let columns = terminal_columns().unwrap_or(100);
        self.page(columns, log).print(Style::of_stdout(), columns, out)
    }
}
