//! The recorder.

use std::time::Duration;

use crate::config::Builder;
use crate::error::Error;
use crate::event::AuditEvent;

/// A recorder. Clones are the same recorder; it closes when the last one is dropped.
#[derive(Clone, Debug)]
pub struct AuditLogger {}

impl AuditLogger {
    /// Settings, from defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }
    /// Records; never waits.
    pub fn emit(&self, _event: &AuditEvent<'_>) {
        todo!()
    }
    /// Records, waiting for room.
    pub fn emit_wait(&self, _event: &AuditEvent<'_>) {
        todo!()
    }
    /// Waits until everything emitted before is in the kernel or counted as lost.
    pub fn flush(&self, _deadline: Duration) -> Result<Flushed, Error> {
        todo!()
    }
    /// Closes: everything emitted before is written.
    pub fn shutdown(&self, _deadline: Duration) -> Result<Flushed, Error> {
        todo!()
    }
    /// The ends of all events so far.
    pub fn accounting(&self) -> Accounting {
        todo!()
    }
}

/// What became of the events since the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Lines in the kernel.
    pub written: u64,
    /// Overwritten in the ring.
    pub overwritten: u64,
    /// Lost by the disk.
    pub io_lost: u64,
}

/// Every event has exactly one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// All.
    pub emitted: u64,
    /// Lines.
    pub written: u64,
    /// Overwritten.
    pub overwritten: u64,
    /// Sampled out.
    pub sampled_out: u64,
    /// Before init or after close.
    pub rejected: u64,
    /// Disk.
    pub io_lost: u64,
    /// In the queue.
    pub queued: u64,
}

/// Flushes and closes on drop.
#[derive(Debug)]
pub struct Guard {}

/// Builds the recorder of the process from the environment.
pub fn init() -> Result<Guard, Error> {
    todo!()
}
/// Records into the recorder of the process.
pub fn emit(_event: &AuditEvent<'_>) {
    todo!()
}
/// Records into the recorder of the process, waiting for room.
pub fn emit_wait(_event: &AuditEvent<'_>) {
    todo!()
}
