//! The loggers that are measured, each with its default settings and a queue of 10,000 events.

mod audit;
mod clock;
mod emit;
mod fast_log;
mod fastrace;
mod ftlog;
mod logforth;
mod opentelemetry;
mod slog;
mod spdlog;
mod tracing;
pub mod wide;

use std::path::Path;
use std::time::Duration;

use crate::event::Event;

/// The capacity of each queue, in events. It is the default of llm-audit and of emit_file.
const QUEUE: usize = 10_000;
/// How long a logger may take to write what is queued.
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

/// A logger that runs, with the threads that it started.
pub trait Logger: Sync {
    fn log(&self, event: &Event<'_>);

    /// Logs an event with this many fields, each of which has the text.
    fn log_fields(&self, fields: usize, _text: &str) {
        panic!("{fields} fields are measured only with llm-audit and tracing");
    }

    /// Writes what is queued, and ends. Returns how many events the settings told it to leave out.
    fn close(self: Box<Self>) -> u64;
}

/// What a logger does with an event if its queue is full.
#[derive(Clone, Copy, PartialEq)]
pub enum WhenFull {
    DropsNewest,
    OverwritesOldest,
    EmptiesQueue,
    Blocks,
}

impl WhenFull {
    pub fn words(self) -> &'static str {
        match self {
            Self::DropsNewest => "drops the newest event",
            Self::OverwritesOldest => "overwrites the oldest event",
            Self::EmptiesQueue => "drops the whole queue",
            Self::Blocks => "blocks the caller",
        }
    }
}

/// A logger that can be started.
pub struct Peer {
    pub name: &'static str,
    /// `None` if it writes no file, so nothing of it can be counted.
    pub when_full: Option<WhenFull>,
    /// Starts it, with its files in this folder.
    pub start: fn(&Path) -> Box<dyn Logger>,
}

impl Peer {
    /// Reports whether it is llm-audit, which needs no redaction before it.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("llm-audit")
    }
}

/// llm-audit as it is by default. It leaves most events out, so it cannot be checked like the others.
pub const SAMPLING: &str = "llm-audit, sampling";

/// What is left if nothing is logged.
pub const CLOCK: &str = "clock alone";

/// All loggers, in the order of a round.
pub const PEERS: [Peer; 12] = {
    use WhenFull::{Blocks, DropsNewest, EmptiesQueue, OverwritesOldest};
    [
        Peer { name: "llm-audit", when_full: Some(OverwritesOldest), start: audit::start },
        Peer { name: SAMPLING, when_full: Some(OverwritesOldest), start: audit::start_sampling },
        Peer { name: "tracing", when_full: Some(DropsNewest), start: tracing::start },
        Peer { name: "slog-async", when_full: Some(DropsNewest), start: slog::start },
        Peer { name: "spdlog-rs", when_full: Some(Blocks), start: spdlog::start },
        Peer { name: "ftlog", when_full: Some(DropsNewest), start: ftlog::start },
        Peer { name: "fast_log", when_full: Some(Blocks), start: fast_log::start },
        Peer { name: "logforth", when_full: Some(Blocks), start: logforth::start },
        Peer { name: "emit_file", when_full: Some(EmptiesQueue), start: emit::start },
        Peer { name: "OpenTelemetry", when_full: Some(DropsNewest), start: opentelemetry::start },
        Peer { name: "fastrace, in memory", when_full: None, start: fastrace::start },
        Peer { name: CLOCK, when_full: None, start: clock::start },
    ]
};

/// Returns the logger of this name.
pub fn named(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}
