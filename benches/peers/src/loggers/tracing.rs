//! tracing with the JSON of tracing-subscriber and the thread of tracing-appender.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use super::{Logger, QUEUE, wide};
use crate::event::Event;

struct Tracing {
    file: PathBuf,
    worker: WorkerGuard,
}

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let file = tracing_appender::rolling::never(folder, "tracing.jsonl");
    let (writer, worker) = NonBlockingBuilder::default().buffered_lines_limit(QUEUE).finish(file);
    tracing_subscriber::fmt().json().with_writer(writer).init();
    Box::new(Tracing { file: folder.join("tracing.jsonl"), worker })
}

impl Tracing {
    /// Waits until the file no longer grows: the worker gives up after a second, so it could lose
    /// lines that it still has.
    fn settle(&self) {
        let len = || fs::metadata(&self.file).map_or(0, |file| file.len());
        let mut before = None;
        while before != Some(len()) {
            before = Some(len());
            sleep(Duration::from_millis(50));
        }
    }
}

impl Logger for Tracing {
    fn log(&self, event: &Event<'_>) {
        let Event { tool, text, latency_ms, cached } = *event;
        tracing::info!(tool, text, latency_ms, cached, "tool.call");
    }

    fn log_fields(&self, fields: usize, text: &str) {
        wide::trace(fields, text);
    }

    fn close(self: Box<Self>) -> u64 {
        self.settle();
        drop(self.worker);
        0
    }
}
