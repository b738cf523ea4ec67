//! The housekeeping thread: makes files durable, so that a slow disk never stalls the writer.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::fs::LogFile;
use crate::error::{Error, Kind};

/// The writer's side of the housekeeping thread.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Written to since they were last synced.
    files: Vec<Arc<dyn LogFile>>,
    failed: Vec<Arc<dyn LogFile>>,
    is_stopping: bool,
}

impl Syncer {
    /// Starts the thread. It syncs at most this long after a write; `None`: at once.
    pub(super) fn start(interval: Option<Duration>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("llm-audit-sync".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.run(interval)
            })
            .map_err(|error| Error::new(Kind::Thread(error)))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has a file synced in its time.
    pub(super) fn add(&self, file: Arc<dyn LogFile>) {
        let mut state = self.shared.state.lock();
        if !state.files.iter().any(|known| Arc::ptr_eq(known, &file)) {
            state.files.push(file);
            self.shared.changed.notify_one();
        }
    }

    /// A file of which a sync failed: what it holds may never be durable.
    pub(super) fn failed(&self) -> Option<Arc<dyn LogFile>> {
        self.shared.state.lock().failed.pop()
    }
}

impl Drop for Syncer {
    /// Syncs what is left, and waits for it.
    fn drop(&mut self) {
        self.shared.state.lock().is_stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has no panic of its own; if a file system's seam had one, there is nothing to add.
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, interval: Option<Duration>) {
        let mut state = self.state.lock();
        loop {
            while state.files.is_empty() && !state.is_stopping {
                self.changed.wait(&mut state);
            }
            if let Some(interval) = interval.filter(|_| !state.is_stopping) {
                let stopping = |state: &mut State| !state.is_stopping;
                self.changed.wait_while_for(&mut state, stopping, interval);
            }
            let files = std::mem::take(&mut state.files);
            if files.is_empty() && state.is_stopping {
                return;
            }
            let failed = parking_lot::MutexGuard::unlocked(&mut state, || {
                files.into_iter().filter(|file| file.sync_data().is_err()).collect::<Vec<_>>()
            });
            state.failed.extend(failed);
        }
    }
}
