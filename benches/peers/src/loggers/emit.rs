//! emit with emit_file, which writes JSON.

use std::path::Path;

use super::{CLOSE_WITHIN, Logger};
use crate::event::Event;

struct Emit(Box<dyn Fn() -> bool + Sync>);

pub fn start(folder: &Path) -> Box<dyn Logger> {
    let emitter = emit_file::set(folder.join("emit.jsonl")).spawn();
    let guard = emit::setup().emit_to(emitter).init();
    Box::new(Emit(Box::new(move || guard.blocking_flush(CLOSE_WITHIN))))
}

impl Logger for Emit {
    fn log(&self, event: &Event<'_>) {
        emit::info!(
            "tool.call",
            tool: event.tool,
            text: event.text,
            latency_ms: event.latency_ms,
            cached: event.cached,
        );
    }

    fn close(self: Box<Self>) -> u64 {
        assert!((self.0)(), "emit_file writes what is queued");
        0
    }
}
