//! The housekeeping thread: makes files durable, so that a slow disk never stalls the writer.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use super::control::Waited;
use super::fs::LogFile;
use crate::config::Fsync;
use crate::error::{Error, Kind};
use crate::fork::lock::{Condvar, Mutex, MutexGuard};

/// Files left behind that wait for a sync where nobody asks for one ([`Fsync::Never`]): with more
/// they are synced all the same, so that they do not use up the process's file handles.
const UNASKED_MAX: usize = 16;

/// The writer's side of the housekeeping thread.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The callers' side.
pub(super) struct Syncs(Arc<Shared>);

struct Shared {
    when: Fsync,
    state: Mutex<State>,
    changed: Condvar,
    /// A round is over.
    synced: Condvar,
}

#[derive(Default)]
struct State {
    /// Written to since they were last synced.
    files: Vec<Unsynced>,
    failed: Vec<Arc<dyn LogFile>>,
    /// Rounds that callers asked for, and that are over: a round syncs all files that were waiting
    /// when it began.
    asked: u64,
    over: u64,
    /// Events in the files of the round that is under way.
    syncing: u64,
    /// Events of which it will never be known whether they are durable.
    lost_track: u64,
    is_stopping: bool,
    has_stopped: bool,
}

/// A file, and the events written to it since it was last synced.
struct Unsynced {
    file: Arc<dyn LogFile>,
    events: u64,
}

impl Syncer {
    /// Starts the thread.
    pub(super) fn start(when: Fsync) -> Result<Self, Error> {
        let (state, changed, synced) = Default::default();
        let shared = Arc::new(Shared { when, state, changed, synced });
        let thread = std::thread::Builder::new()
            .name("llm-audit-sync".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.run()
            })
            .map_err(|error| Error::new(Kind::Thread(error)))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// For the callers.
    pub(super) fn syncs(&self) -> Syncs {
        Syncs(self.shared.clone())
    }

    /// Has a file synced in its time, to which these events were written.
    pub(super) fn add(&self, file: Arc<dyn LogFile>, events: u64) {
        let mut state = self.shared.state.lock();
        match state.files.iter_mut().find(|known| Arc::ptr_eq(&known.file, &file)) {
            Some(known) => known.events += events,
            None => {
                state.files.push(Unsynced { file, events });
                self.shared.changed.notify_one();
            }
        }
    }

    /// A file of which a sync failed: what it holds may never be durable.
    pub(super) fn failed(&self) -> Option<Arc<dyn LogFile>> {
        self.shared.state.lock().failed.pop()
    }
}

impl Drop for Syncer {
    /// Syncs what is left, unless it never does, and waits for it.
    fn drop(&mut self) {
        self.shared.state.lock().is_stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has no panic of its own; if a file system's seam had one, there is nothing to add.
            let _panicked = thread.join();
        }
    }
}

impl Syncs {
    /// Waits until all that was added before is durable. `Err`: of so many events, these or earlier
    /// ones, it will never be known.
    pub(super) fn sync(&self, until: Option<Instant>) -> Result<Waited, u64> {
        let Shared { state, changed, synced, .. } = &*self.0;
        let mut state = state.lock();
        state.asked += 1;
        let asked = state.asked;
        changed.notify_one();
        while state.over < asked && !state.has_stopped {
            match until {
                None => synced.wait(&mut state),
                Some(until) if Instant::now() >= until => return Ok(Waited::Late),
                Some(until) => synced.wait_until(&mut state, until),
            }
        }
        match state.lost_track {
            0 => Ok(Waited::Met),
            events => Err(events),
        }
    }

    /// Events that were added and are not known to be durable.
    pub(super) fn unsynced(&self) -> u64 {
        let state = self.0.state.lock();
        let waiting: u64 = state.files.iter().map(|file| file.events).sum();
        waiting + state.syncing + state.lost_track
    }
}

impl State {
    /// Whether there is more to do than the time of day asks for.
    fn is_pressed(&self) -> bool {
        self.is_stopping || self.asked > self.over
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.has_stopped {
            self.wait(&mut state);
            match state.is_stopping && (state.files.is_empty() || self.when == Fsync::Never) {
                true => self.stop(&mut state),
                false => self.round(&mut state),
            }
        }
    }

    /// Waits until files are to be synced, or the end.
    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        let files_enough = if self.when == Fsync::Never { UNASKED_MAX } else { 1 };
        while state.files.len() < files_enough && !state.is_pressed() {
            self.changed.wait(state);
        }
        if let Fsync::Every(interval) = self.when {
            self.changed.wait_while_for(state, |state| !state.is_pressed(), interval);
        }
    }

    /// Syncs the files that are waiting.
    fn round(&self, state: &mut MutexGuard<'_, State>) {
        let (files, asked) = (std::mem::take(&mut state.files), state.asked);
        state.syncing = files.iter().map(|file| file.events).sum();
        let failed: Vec<_> = MutexGuard::unlocked(state, || {
            files.into_iter().filter(|unsynced| unsynced.file.sync_data().is_err()).collect()
        });
        state.lost_track += failed.iter().map(|file| file.events).sum::<u64>();
        state.failed.extend(failed.into_iter().map(|unsynced| unsynced.file));
        (state.syncing, state.over) = (0, asked);
        self.synced.notify_all();
    }

    fn stop(&self, state: &mut MutexGuard<'_, State>) {
        state.lost_track += state.files.drain(..).map(|file| file.events).sum::<u64>();
        state.has_stopped = true;
        self.synced.notify_all();
    }
}
