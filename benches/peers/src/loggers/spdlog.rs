//! spdlog-rs with its JSON, on a pool of one thread.

use std::path::Path;
use std::sync::Arc;

use spdlog::formatter::JsonFormatter;
use spdlog::sink::{AsyncPoolSink, FileSink};
use spdlog::{Logger as Spdlogger, ThreadPool};

use super::{Logger, QUEUE};
use crate::event::Event;

struct Spdlog(Spdlogger);

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let file = FileSink::builder()
        .path(folder.join("spdlog.jsonl"))
        .formatter(JsonFormatter::new())
        .build_arc()
        .expect("a file");
    let capacity = QUEUE.try_into().expect("not zero");
    let pool = ThreadPool::builder().capacity(capacity).build_arc().expect("a thread");
    let queue = AsyncPoolSink::builder().sink(file).thread_pool(pool).build().expect("a queue");
    Box::new(Spdlog(Spdlogger::builder().sink(Arc::new(queue)).build().expect("a logger")))
}

impl Logger for Spdlog {
    fn log(&self, event: &Event<'_>) {
        let Event { tool, text, latency_ms, cached } = *event;
        spdlog::info!(logger: self.0, "tool.call", kv: { tool, text, latency_ms, cached });
    }

    fn close(self: Box<Self>) -> u64 {
        self.0.flush();
        0 // Dropping the logger ends its thread, which writes what is queued.
    }
}
