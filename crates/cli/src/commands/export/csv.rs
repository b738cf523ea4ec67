//! Rows for spreadsheets and databases.

use std::io::{self, Write};

use llm_audit::reader::{Json, Line};
use llm_audit_log::schema::event_fields;

use super::Exporter;

/// Writes a header with the fields of the schema, and a row for each event.
pub(super) struct CsvExporter<W: Write>(::csv::Writer<W>);

impl<W: Write> CsvExporter<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut writer = ::csv::Writer::from_writer(out);
        writer.write_record(event_fields().map(|field| field.name)).map_err(io_error)?;
        Ok(Self(writer))
    }
}

impl<W: Write> Exporter for CsvExporter<W> {
    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let cells = event_fields().map(|field| match field.name {
            // As it is spelled, with all of its digits.
            "cost_usd" => line.cost_usd().map_or(String::new(), |cost| cost.to_string()),
            name => line.json().get(name).map_or(String::new(), cell),
        });
        self.0.write_record(cells).map_err(io_error)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The error of the output itself, so that a closed pipe is known as one.
fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// A text as it is, nothing for `null`, and JSON for anything else.
fn cell(json: Json<'_>) -> String {
    match json.as_str() {
        Some(text) => text.to_owned(),
        None if json.is_null() => String::new(),
        None => serde_json::to_string(&json).unwrap_or_default(),
    }
}
