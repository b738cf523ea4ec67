//! The logs SDK of OpenTelemetry, from events of tracing, with an exporter that writes JSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use opentelemetry::logs::AnyValue;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLogRecord, SdkLoggerProvider,
};
use serde_json::{Map, Value, json};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Logger, QUEUE};
use crate::event::Event;

struct OpenTelemetry(SdkLoggerProvider);

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let file = File::create(folder.join("opentelemetry.jsonl")).expect("a file");
    let processor = BatchLogProcessor::builder(Exporter(Mutex::new(BufWriter::new(file))))
        .with_batch_config(BatchConfigBuilder::default().with_max_queue_size(QUEUE).build());
    let provider = SdkLoggerProvider::builder().with_log_processor(processor.build()).build();
    tracing_subscriber::registry().with(OpenTelemetryTracingBridge::new(&provider)).init();
    Box::new(OpenTelemetry(provider))
}

/// Writes each record as a line.
#[derive(Debug)]
struct Exporter(Mutex<BufWriter<File>>);

impl Exporter {
    fn write(&self, batch: &LogBatch<'_>) -> Result<(), std::io::Error> {
        let mut file = self.0.lock().expect("no export panics");
        for (record, _) in batch.iter() {
            serde_json::to_writer(&mut *file, &line(record))?;
            file.write_all(b"\n")?;
        }
        file.flush()
    }
}

impl LogExporter for Exporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.write(&batch).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }
}

fn line(record: &SdkLogRecord) -> Value {
    let time = record.observed_timestamp().and_then(|time| Timestamp::try_from(time).ok());
    let attributes =
        record.attributes_iter().map(|(key, any)| (key.as_str().to_owned(), value(any)));
    json!({
        "time": time.map(|time| time.to_string()),
        "level": record.severity_text(),
        "body": record.body().map(value),
        "attributes": attributes.collect::<Map<_, _>>(),
    })
}

fn value(any: &AnyValue) -> Value {
    match any {
        AnyValue::Int(number) => json!(number),
        AnyValue::Double(number) => json!(number),
        AnyValue::Boolean(flag) => json!(flag),
        AnyValue::String(text) => json!(text.as_str()),
        other => json!(format!("{other:?}")),
    }
}

impl Logger for OpenTelemetry {
    fn log(&self, event: &Event<'_>) {
        let Event { tool, text, latency_ms, cached } = *event;
        tracing::info!(tool, text, latency_ms, cached, "tool.call");
    }

    fn close(self: Box<Self>) -> u64 {
        self.0.shutdown().expect("the batches are written");
        0
    }
}
