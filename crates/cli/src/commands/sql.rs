//! `sql`: a view of the log for a database.

use std::io::{self, Write};

use crate::arguments::LogDir;
use crate::ui::{CommandExit, CommandFailure};

/// Print a view of the log's files for DuckDB or ClickHouse.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct SqlArgs {
    #[command(flatten)]
    dir: LogDir,
    /// The database
    #[arg(long, value_name = "DATABASE", default_value = "duckdb")]
    database: Database,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Database {
    Duckdb,
    /// For clickhouse-local, which reads files of any folder
    Clickhouse,
}

const AFTER_HELP: &str = "\
The view is named audit and reads the files, compressed ones too, each time that it is asked. data and
error are JSON. docs/queries.md has queries for both databases.

Examples:
  llm-audit sql > audit.sql && duckdb -init audit.sql
  clickhouse local --multiquery \"$(llm-audit sql --database clickhouse) SELECT count() FROM audit\"";

/// The columns in the order of a line, with their types in DuckDB and in ClickHouse.
const COLUMNS: [(&str, &str, &str); 18] = [
    ("event_version", "VARCHAR", "Nullable(String)"),
    ("instance", "VARCHAR", "Nullable(String)"),
    ("seq", "UBIGINT", "Nullable(UInt64)"),
    ("trace_id", "VARCHAR", "Nullable(String)"),
    ("span_id", "VARCHAR", "Nullable(String)"),
    ("parent_span_id", "VARCHAR", "Nullable(String)"),
    ("timestamp", "TIMESTAMPTZ", "DateTime64(6, \\'UTC\\')"),
    ("event_type", "VARCHAR", "String"),
    ("agent", "VARCHAR", "Nullable(String)"),
    ("action", "VARCHAR", "Nullable(String)"),
    ("status", "VARCHAR", "Nullable(String)"),
    ("latency_ms", "DOUBLE", "Nullable(Float64)"),
    ("tokens_input", "UBIGINT", "Nullable(UInt64)"),
    ("tokens_output", "UBIGINT", "Nullable(UInt64)"),
    ("cost_usd", "DECIMAL(38,18)", "Nullable(Decimal(38, 18))"),
    ("kept", "VARCHAR", "Nullable(String)"),
    ("data", "JSON", "Nullable(String)"),
    ("error", "JSON", "Nullable(String)"),
];

pub(crate) fn run_sql(args: &SqlArgs) -> Result<CommandExit, CommandFailure> {
    // The view is for a folder that may come later. If there is none yet, this says so.
    let _ = args.dir.open()?;
    let dir = std::path::absolute(args.dir.path())
        .map_err(|error| CommandFailure::new(format!("the folder of the log: {error}")))?;
    let dir = dir.to_str().ok_or_else(|| CommandFailure::new("the folder's name is not UTF-8"))?;
    let view = match args.database {
        Database::Duckdb => duckdb_view(dir),
        Database::Clickhouse => clickhouse_view(dir),
    };
    let mut out = io::stdout().lock();
    out.write_all(view.as_bytes()).and_then(|()| out.flush()).map_err(CommandFailure::writing)?;
    Ok(CommandExit::Fine)
}

fn duckdb_view(dir: &str) -> String {
    let columns = COLUMNS.map(|(name, duckdb, _)| format!("        {name}: '{duckdb}'"));
    // A line of any length that this library writes, six times the largest event.
    format!(
        "CREATE OR REPLACE VIEW audit AS\nSELECT * FROM read_json('{}/audit-*.jsonl*',\n    \
         format = 'newline_delimited', ignore_errors = true, maximum_object_size = 402653184,\n    \
         columns = {{\n{}\n    }})\nWHERE event_type IS NOT NULL AND event_type NOT LIKE 'audit.%'\n    AND event_type NOT LIKE 'alert.%';\n",
        dir.replace('\'', "''"),
        columns.join(",\n")
    )
}

fn clickhouse_view(dir: &str) -> String {
    let columns = COLUMNS.map(|(name, _, clickhouse)| format!("{name} {clickhouse}"));
    format!(
        "CREATE VIEW audit AS\nSELECT * FROM file('{}/audit-*.jsonl*', 'JSONEachRow',\n    '{}')\n\
         WHERE event_type NOT LIKE 'audit.%' AND event_type NOT LIKE 'alert.%'\nSETTINGS date_time_input_format = 'best_effort',\n    \
         input_format_skip_unknown_fields = 1, input_format_json_read_objects_as_strings = 1;\n",
        dir.replace('\\', "\\\\").replace('\'', "\\'"),
        columns.join(",\n    ")
    )
}

#[cfg(test)]
mod tests {
    use llm_audit_log::schema::event_fields;

    use super::*;

    #[test]
    fn the_columns_are_the_fields_of_the_schema() {
        let fields: Vec<_> = event_fields().map(|field| field.name).collect();
        assert_eq!(COLUMNS.map(|(name, ..)| name), *fields);
    }

    #[test]
    fn a_folder_s_name_is_text() {
        assert!(duckdb_view("/it's").contains("read_json('/it''s/audit-*.jsonl*'"));
        assert!(clickhouse_view(r"/it's \").contains(r"file('/it\'s \\/audit-*.jsonl*'"));
    }
}
