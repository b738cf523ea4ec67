//! slog with slog-async and slog-json.

use std::fs::File;
use std::path::Path;

use slog::{Drain, Logger as Root, info, o};
use slog_async::{Async, AsyncGuard};

use super::{Logger, QUEUE};
use crate::event::Event;

struct Slog {
    root: Root,
    worker: AsyncGuard,
}

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let file = File::create(folder.join("slog.jsonl")).expect("a file");
    let (queue, worker) =
        Async::new(slog_json::Json::default(file).fuse()).chan_size(QUEUE).build_with_guard();
    Box::new(Slog { root: Root::root(queue.fuse(), o!()), worker })
}

impl Logger for Slog {
    fn log(&self, event: &Event<'_>) {
        // The thread of slog-async gets the text, so it must be owned.
        info!(self.root, "tool.call"; "tool" => event.tool, "text" => event.text.to_owned(),
            "latency_ms" => event.latency_ms, "cached" => event.cached);
    }

    fn close(self: Box<Self>) -> u64 {
        drop(self.worker);
        0
    }
}
