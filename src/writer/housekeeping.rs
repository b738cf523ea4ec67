//! The housekeeping thread: makes files durable, compresses and removes old ones, so that no slow
//! disk ever stalls the writer.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::fs::LogFile;
use super::own::Retired;
use super::tidy::Tidy;
use crate::error::{Error, Kind};

/// Files removed of which the log does not tell yet; with so many no more are removed.
const RETIRED_MAX: usize = 64;

/// How long the last lines wait for a file that is being removed.
const REMOVING: Duration = Duration::from_millis(100);

/// The writer's side of the housekeeping thread.
pub(super) struct Housekeeping {
    shared: Arc<Shared>,
    /// Whether there is something to tidy by.
    tidies: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// A file was removed, or not.
    retired: Condvar,
    /// A file is synced at most this long after it was added; `None`: at once.
    interval: Option<Duration>,
}

#[derive(Default)]
struct State {
    /// Written to since they were last synced.
    files: Vec<Arc<dyn LogFile>>,
    /// Since when there are any.
    since: Option<Instant>,
    failed: Vec<Arc<dyn LogFile>>,
    /// The folder is to be tidied, of this day.
    tidy_for: Option<Date>,
    retired: Vec<Retired>,
    /// A file is being removed at the moment.
    is_retiring: bool,
    /// Nobody is left to tell of a file that is removed.
    is_last_told: bool,
    is_stopping: bool,
}

impl Housekeeping {
    /// Starts the thread. It syncs a file at most `interval` after it was added, and tidies the
    /// folder when asked to, where there is something to tidy by.
    pub(super) fn start(interval: Option<Duration>, tidy: Option<Tidy>) -> Result<Self, Error> {
        let shared = Arc::new(Shared { interval, ..Shared::default() });
        let tidies = tidy.is_some();
        let thread = std::thread::Builder::new()
            .name("llm-audit-house".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.run(tidy.as_ref())
            })
            .map_err(|error| Error::new(Kind::Thread(error)))?;
        Ok(Self { shared, tidies, thread: Some(thread) })
    }

    /// Has a file synced in its time.
    pub(super) fn add(&self, file: Arc<dyn LogFile>) {
        let mut state = self.shared.state.lock();
        if !state.files.iter().any(|known| Arc::ptr_eq(known, &file)) {
            state.files.push(file);
            state.since.get_or_insert_with(Instant::now);
            self.shared.changed.notify_one();
        }
    }

    /// A file of which a sync failed: what it holds may never be durable.
    pub(super) fn failed(&self) -> Option<Arc<dyn LogFile>> {
        self.shared.state.lock().failed.pop()
    }

    /// Has the folder tidied, after a sync of what was added, where there is something to tidy by.
    pub(super) fn tidy(&self, today: Date) {
        if self.tidies {
            self.shared.state.lock().tidy_for = Some(today);
            self.shared.changed.notify_one();
        }
    }

    /// The files removed since this was last asked.
    pub(super) fn retired(&self) -> Vec<Retired> {
        let mut state = self.shared.state.lock();
        if !state.retired.is_empty() {
            // It may be waiting for this.
            self.shared.changed.notify_one();
        }
        std::mem::take(&mut state.retired)
    }

    /// The files removed, for the last time: from now on none is. One that a disk takes long to
    /// remove is not told of.
    pub(super) fn retired_last(&self) -> Vec<Retired> {
        let mut state = self.shared.state.lock();
        state.is_last_told = true;
        let is_retiring = |state: &mut State| state.is_retiring;
        self.shared.retired.wait_while_for(&mut state, is_retiring, REMOVING);
        std::mem::take(&mut state.retired)
    }
}

impl Drop for Housekeeping {
    /// Breaks off tidying, syncs what is left, and waits for it.
    fn drop(&mut self) {
        self.shared.state.lock().is_stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has no panic of its own; if a file system's seam had one, there is nothing to add.
            let _panicked = thread.join();
        }
    }
}

impl State {
    fn may_tidy(&self) -> bool {
        !self.is_stopping && !self.is_last_told && self.retired.len() < RETIRED_MAX
    }
}

impl Shared {
    fn run(&self, tidy: Option<&Tidy>) {
        let mut state = self.state.lock();
        loop {
            let may_tidy = state.may_tidy();
            let today = state.tidy_for.take_if(|_| may_tidy);
            // Files left behind are locked until they are synced, so that comes first.
            if state.is_stopping || today.is_some() || self.is_due(&state) {
                self.sync(&mut state);
            }
            if let (Some(today), Some(tidy)) = (today, tidy) {
                let is_done = MutexGuard::unlocked(&mut state, || {
                    tidy.run(today, &|| self.goes_on(), &|remove| self.retire(remove))
                });
                if !is_done {
                    state.tidy_for.get_or_insert(today);
                }
            } else if state.is_stopping && state.files.is_empty() {
                return;
            } else if !state.is_stopping && !self.is_due(&state) {
                self.wait(&mut state);
            }
        }
    }

    /// Waits for something to be due.
    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        if state.tidy_for.is_some() && state.may_tidy() {
            return;
        }
        let due = state.since.zip(self.interval).and_then(|(since, wait)| since.checked_add(wait));
        match due {
            Some(due) => drop(self.changed.wait_until(state, due)),
            None => self.changed.wait(state),
        }
    }

    fn is_due(&self, state: &State) -> bool {
        state.since.is_some_and(|since| self.interval.is_none_or(|wait| since.elapsed() >= wait))
    }

    fn sync(&self, state: &mut MutexGuard<'_, State>) {
        state.since = None;
        let files = std::mem::take(&mut state.files);
        let failed = MutexGuard::unlocked(state, || {
            files.into_iter().filter(|file| file.sync_data().is_err()).collect::<Vec<_>>()
        });
        state.failed.extend(failed);
    }

    /// Removes a file, as long as somebody is there to tell of it.
    fn retire(&self, remove: &mut dyn FnMut() -> io::Result<Retired>) -> io::Result<bool> {
        {
            let mut state = self.state.lock();
            if !state.may_tidy() {
                return Ok(false);
            }
            state.is_retiring = true;
        }
        let retired = remove();
        let mut state = self.state.lock();
        state.is_retiring = false;
        self.retired.notify_one();
        state.retired.push(retired?);
        Ok(true)
    }

    /// Between two pieces of tidying: syncs what is due. Whether to go on.
    fn goes_on(&self) -> bool {
        let mut state = self.state.lock();
        if self.is_due(&state) {
            self.sync(&mut state);
        }
        state.may_tidy()
    }
}
