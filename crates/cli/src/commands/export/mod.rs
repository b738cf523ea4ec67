//! `export`: the events in the formats of other programs.

mod csv;
mod otlp;
#[cfg(feature = "parquet")]
mod parquet;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use llm_audit::reader::Line;

use crate::arguments::{FilterArgs, LogInput};
use crate::ui::{CommandExit, CommandFailure};

/// Write the events in the format of another program.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ExportArgs {
    /// The format
    format: Format,
    #[command(flatten)]
    input: LogInput,
    /// The file that is written, instead of stdout
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// One row an event, with the fields of the schema; data and error are JSON
    Csv,
    /// OTLP in its JSON encoding: a request of traces or logs on each line, with GenAI attributes
    OtlpJson,
    /// A column for each field of the schema; cost_usd is a text with all of its digits
    #[cfg(feature = "parquet")]
    Parquet,
}

const AFTER_HELP: &str = "\
A span comes from the event that ends it: it began latency_ms before. Events without a latency, and those
of traces that are not known to be kept whole, are log records; the parent of spans below one is the span above it. Both have the attributes of OpenTelemetry's GenAI conventions, and the payload as
JSON in llm_audit.data. The log's own lines are left out unless --type asks for them.
llm-audit sql prints a view for DuckDB or ClickHouse, which need no export. A build with the feature
parquet has that format, too.

Exit codes: 0 there are events, 1 there are and a file cannot be read to its end, 2 bad input, 3 there
are none.

Examples:
  llm-audit export csv --since 1d --out yesterday.csv
  llm-audit export otlp-json --trace 2a8f65dd > trace.json
  llm-audit export otlp-json | while read -r line; do
    curl -sH 'Content-Type: application/json' -d \"$line\" localhost:4318/v1/traces; done";

/// What writes one format.
trait Exporter {
    /// Notes one of the log's own lines.
    fn note(&mut self, _: &Line<'_>) {}

    fn write(&mut self, line: &Line<'_>) -> io::Result<()>;

    /// Writes what is left.
    fn finish(&mut self) -> io::Result<()>;
}

pub(crate) fn run_export(args: &ExportArgs) -> Result<CommandExit, CommandFailure> {
    let failure = |error: io::Error| match &args.out {
        Some(path) => CommandFailure::new(format!("{}: {error}", path.display())),
        None => CommandFailure::writing(error),
    };
    args.out.iter().try_for_each(|path| args.input.refuse_as_output(path))?;
    let out: Box<dyn Write + Send> = match &args.out {
        Some(path) => Box::new(File::create(path).map_err(failure)?),
        None => Box::new(io::stdout()),
    };
    let out = BufWriter::with_capacity(1 << 16, out);
    let exporter: Box<dyn Exporter + Send> = match args.format {
        Format::Csv => Box::new(csv::CsvExporter::new(out).map_err(failure)?),
        Format::OtlpJson => Box::new(otlp::OtlpExporter::new(out)),
        #[cfg(feature = "parquet")]
        Format::Parquet => Box::new(parquet::ParquetExporter::new(out).map_err(failure)?),
    };
    let (mut exporter, mut written) = (exporter, Ok(()));
    let read = args.input.for_each_line(&args.filter, |line, weight| match weight {
        None => exporter.note(line),
        Some(_) if written.is_ok() => written = exporter.write(line),
        Some(_) => {}
    })?;
    written.and_then(|()| exporter.finish()).map_err(failure)?;
    Ok(read.exit)
}
