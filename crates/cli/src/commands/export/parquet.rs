//! Parquet for databases: a column for each field of the schema.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::parser::parse_message_type;
use llm_audit::reader::{Json, Line};
use llm_audit_log::schema::event_fields;

use super::Exporter;

/// The rows that are held before they are written as a group.
const ROWS_MAX: usize = 16_384;
/// The bytes of texts that are held before they are written as a group.
const BYTES_MAX: usize = 16 << 20;

/// Writes groups of rows.
pub(super) struct ParquetExporter<W: Write + Send> {
    /// `None` after the end was written.
    writer: Option<SerializedFileWriter<W>>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

/// The values of a field in the rows that are held. Absent ones are only in the levels.
struct Column {
    name: &'static str,
    /// 1 for each value that is there, else 0.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl Column {
    fn new(name: &'static str) -> Self {
        let values = match name {
            "seq" | "tokens_input" | "tokens_output" | "timestamp" => Values::Integers(Vec::new()),
            "latency_ms" => Values::Numbers(Vec::new()),
            _ => Values::Texts(Vec::new()),
        };
        Self { name, levels: Vec::new(), values }
    }

    /// The column in the language of `parse_message_type`.
    fn definition(&self) -> String {
        let name = self.name;
        match self.values {
            _ if name == "timestamp" => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
            Values::Integers(_) => format!("optional int64 {name};"),
            Values::Numbers(_) => format!("optional double {name};"),
            // JSON is a kind of text.
            Values::Texts(_) if ["data", "error"].contains(&name) => {
                format!("optional binary {name} (JSON);")
            }
            Values::Texts(_) => format!("optional binary {name} (STRING);"),
        }
    }

    /// Adds the value of a line, and returns how many bytes of text it has.
    fn push(&mut self, line: &Line<'_>) -> usize {
        let json = line.json().get(self.name).filter(|json| !json.is_null());
        let (is_there, bytes) = match &mut self.values {
            Values::Integers(integers) => {
                let integer = match self.name {
                    "timestamp" => line.timestamp(),
                    _ => json.and_then(Json::as_u64).and_then(|n| i64::try_from(n).ok()),
                };
                integers.extend(integer);
                (integer.is_some(), 0)
            }
            Values::Numbers(numbers) => {
                let number = json.and_then(Json::as_f64);
                numbers.extend(number);
                (number.is_some(), 0)
            }
            Values::Texts(texts) => {
                let text = match self.name {
                    "cost_usd" => line.cost_usd().map(|cost| cost.to_string()),
                    name => json.map(|json| text_of(name, json)),
                };
                let bytes = text.as_ref().map_or(0, String::len);
                texts.extend(text.as_deref().map(ByteArray::from));
                (text.is_some(), bytes)
            }
        };
        self.levels.push(i16::from(is_there));
        bytes
    }

    fn write(&mut self, mut to: SerializedColumnWriter<'_>) -> Result<()> {
        let levels = Some(mem::take(&mut self.levels));
        let levels = levels.as_deref();
        match &mut self.values {
            Values::Integers(values) => {
                to.typed::<Int64Type>().write_batch(&mem::take(values), levels, None)?
            }
            Values::Numbers(values) => {
                to.typed::<DoubleType>().write_batch(&mem::take(values), levels, None)?
            }
            Values::Texts(values) => {
                to.typed::<ByteArrayType>().write_batch(&mem::take(values), levels, None)?
            }
        };
        to.close()
    }
}

/// A text as it is, and JSON for anything else; `data` and `error` are always JSON.
fn text_of(name: &str, json: Json<'_>) -> String {
    let is_json = ["data", "error"].contains(&name);
    match json.as_str().filter(|_| !is_json) {
        Some(text) => text.to_owned(),
        None => serde_json::to_string(&json).unwrap_or_default(),
    }
}

impl<W: Write + Send> ParquetExporter<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let columns: Vec<_> = event_fields().map(|field| Column::new(field.name)).collect();
        let definitions: String = columns.iter().map(Column::definition).collect();
        let schema = parse_message_type(&format!("message audit {{ {definitions} }}"));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = schema.and_then(|schema| {
            SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))
        });
        Ok(Self { writer: Some(writer.map_err(io_error)?), columns, rows: 0, bytes: 0 })
    }

    fn write_rows(&mut self) -> Result<()> {
        let Some(writer) = self.writer.as_mut().filter(|_| self.rows > 0) else { return Ok(()) };
        let mut group = writer.next_row_group()?;
        for column in &mut self.columns {
            let Some(to) = group.next_column()? else { break };
            column.write(to)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl<W: Write + Send> Exporter for ParquetExporter<W> {
    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.rows += 1;
        self.bytes += self.columns.iter_mut().map(|column| column.push(line)).sum::<usize>();
        let is_full = self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX;
        if is_full { self.write_rows().map_err(io_error) } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_rows().map_err(io_error)?;
        let Some(writer) = self.writer.take() else { return Ok(()) };
        writer.into_inner().map_err(io_error)?.flush()
    }
}

/// The error of the output itself, so that a closed pipe is known as one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn rows_are_read_back_over_several_groups() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.parquet");
        let mut exporter = ParquetExporter::new(std::fs::File::create(&path).unwrap()).unwrap();
        let rows = ROWS_MAX + 3;
        for seq in 0..rows {
            let cost = if seq % 2 == 0 { r#","cost_usd":0.000000123"# } else { "" };
            let mut text = format!(
                r#"{{"seq":{seq},"timestamp":"1970-01-01T00:00:01Z","agent":"a","data":[1]{cost}}}"#
            )
            .into_bytes();
            exporter.write(&llm_audit::reader::parse(&mut text).unwrap()).unwrap();
        }
        exporter.finish().unwrap();
        let reader = SerializedFileReader::try_from(path.as_path()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let column = |name: &str| event_fields().position(|field| field.name == name).unwrap();
        let mut read = 0;
        for (seq, row) in reader.get_row_iter(None).unwrap().enumerate() {
            let row = row.unwrap();
            assert_eq!(row.get_long(column("seq")).unwrap(), seq as i64);
            assert_eq!(row.get_timestamp_micros(column("timestamp")).unwrap(), 1_000_000);
            assert_eq!(row.get_string(column("data")).unwrap(), "[1]");
            let cost = row.get_string(column("cost_usd")).ok().map(String::as_str);
            assert_eq!(cost, (seq % 2 == 0).then_some("0.000000123"));
            assert!(row.get_double(column("latency_ms")).is_err(), "it is absent");
            read += 1;
        }
        assert_eq!(read, rows);
    }
}
