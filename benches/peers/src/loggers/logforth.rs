//! logforth with its JSON, its file and its thread.

use std::path::Path;

use logforth::append::asynchronous::AsyncBuilder;
use logforth::append::file::FileBuilder;
use logforth::bridge::log::LogBridge;
use logforth::layout::JsonLayout;

use super::{Logger, QUEUE};
use crate::event::Event;

struct Logforth;

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let file = FileBuilder::new(folder, "logforth")
        .filename_suffix("jsonl")
        .layout(JsonLayout::default())
        .build()
        .expect("a file");
    let queue =
        AsyncBuilder::new("logforth").buffered_lines_limit(Some(QUEUE)).append(file).build();
    let logger = logforth::core::builder().dispatch(|dispatch| dispatch.append(queue)).build();
    log::set_boxed_logger(Box::new(LogBridge::new(logger))).expect("the only logger");
    log::set_max_level(log::LevelFilter::Info);
    Box::new(Logforth)
}

impl Logger for Logforth {
    fn log(&self, event: &Event<'_>) {
        let Event { tool, text, latency_ms, cached } = *event;
        log::info!(tool, text, latency_ms, cached; "tool.call");
    }

    fn close(self: Box<Self>) -> u64 {
        log::logger().flush();
        0
    }
}
