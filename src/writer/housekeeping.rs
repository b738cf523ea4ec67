//! The housekeeping thread: makes files durable, compresses and removes old ones, so that no slow
//! disk ever stalls the writer.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::civil::Date;

use super::control::Waited;
use super::files::DurableFile;
use super::retention::Retention;
use crate::config::Fsync;
use crate::error::{Error, Kind};
use llm_audit_log::schema::notices::Retired;
use llm_audit_process::lock::{Condvar, Mutex, MutexGuard};

/// Files left behind that wait for a sync where nobody asks for one ([`Fsync::Never`]): with more
/// they are synced all the same, so that they do not use up the process's file handles.
const UNASKED_MAX: usize = 16;

/// How long what is written waits for its sync after one that failed, also where somebody asks for it;
/// doubled with each in a row. Every failure has the writer begin another file.
const FAILED_WAIT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Files removed of which the log does not tell yet; with so many no more are removed.
const RETIRED_MAX: usize = 64;

/// How long the last lines wait for a file that is being removed.
const REMOVING: Duration = Duration::from_millis(100);

/// The writer's side of the housekeeping thread.
pub(super) struct Housekeeping {
    inner: Arc<Inner>,
    /// Whether there is something to tidy by.
    has_retention: bool,
    thread: Option<JoinHandle<()>>,
}

/// The side of callers who wait until what was written is durable.
pub(super) struct Syncs(Arc<Inner>);

struct Inner {
    when: Fsync,
    state: Mutex<State>,
    changed: Condvar,
    /// A round is over.
    synced: Condvar,
    /// A file was removed, or not.
    retired: Condvar,
}

#[derive(Default)]
struct State {
    /// Written to since they were last synced.
    files: Vec<Unsynced>,
    /// Since when there are any.
    since: Option<Instant>,
    failed: Vec<Arc<DurableFile>>,
    /// Rounds in a row in which a sync failed.
    failed_in_a_row: u32,
    /// Rounds that callers asked for, and that are over: a round syncs all files that were waiting
    /// when it began.
    asked: u64,
    over: u64,
    /// Events in the files of the round that is under way.
    syncing: u64,
    /// Whether it will never be known of some lines whether they are durable, and of how many events.
    is_doubtful: bool,
    lost_track: u64,
    /// The folder is to be tidied, of this day.
    retention_for: Option<Date>,
    retired: Vec<Retired>,
    /// A file is being removed at the moment.
    is_retiring: bool,
    /// Nobody is left to tell of a file that is removed.
    is_last_reported: bool,
    is_stopping: bool,
    has_stopped: bool,
}

/// A file, and the events written to it since it was last synced.
struct Unsynced {
    file: Arc<DurableFile>,
    events: u64,
}

impl Housekeeping {
    /// Starts the thread. It syncs files as `when` says, and has_retention the folder when asked to, where
    /// there is something to tidy by.
    pub(super) fn start(when: Fsync, retention: Option<Retention>) -> Result<Self, Error> {
        let (state, changed, synced, retired) = Default::default();
        let inner = Arc::new(Inner { when, state, changed, synced, retired });
        let has_retention = retention.is_some();
        let thread = std::thread::Builder::new()
            .name("llm-audit-house".to_owned())
            .spawn({
                let inner = inner.clone();
                move || inner.run_guarded(retention.as_ref())
            })
            .map_err(|error| Error::new(Kind::Thread(error)))?;
        Ok(Self { inner, has_retention, thread: Some(thread) })
    }

    /// For the callers.
    pub(super) fn syncs(&self) -> Syncs {
        Syncs(self.inner.clone())
    }

    /// Has a file synced in its time, to which these events were written.
    pub(super) fn add(&self, file: Arc<DurableFile>, events: u64) {
        let mut state = self.inner.state.lock();
        if state.has_stopped {
            return state.lose_track(events);
        }
        match state.files.iter_mut().find(|known| Arc::ptr_eq(&known.file, &file)) {
            Some(known) => known.events += events,
            None => {
                state.files.push(Unsynced { file, events });
                state.since.get_or_insert_with(Instant::now);
                self.inner.changed.notify_one();
            }
        }
    }

    /// A file of which a sync failed: what it holds may never be durable.
    pub(super) fn failed(&self) -> Option<Arc<DurableFile>> {
        self.inner.state.lock().failed.pop()
    }

    /// Has the folder tidied, after a sync of what was added, where there is something to tidy by.
    pub(super) fn request_retention(&self, today: Date) {
        if self.has_retention {
            self.inner.state.lock().retention_for = Some(today);
            self.inner.changed.notify_one();
        }
    }

    /// The files removed since this was last asked.
    pub(super) fn retired(&self) -> Vec<Retired> {
        let mut state = self.inner.state.lock();
        if !state.retired.is_empty() {
            // It may be waiting for this.
            self.inner.changed.notify_one();
        }
        std::mem::take(&mut state.retired)
    }

    /// The files removed, for the last time: from now on none is. One that a disk takes long to
    /// remove is not told of.
    pub(super) fn retired_last(&self) -> Vec<Retired> {
        let mut state = self.inner.state.lock();
        state.is_last_reported = true;
        let is_retiring = |state: &mut State| state.is_retiring;
        self.inner.retired.wait_while_for(&mut state, is_retiring, REMOVING);
        std::mem::take(&mut state.retired)
    }
}

impl Drop for Housekeeping {
    /// Breaks off tidying, syncs what is left unless it never does, and waits for it.
    fn drop(&mut self) {
        self.inner.state.lock().is_stopping = true;
        self.inner.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // Its panic, which would be a defect of this crate, was told to those who wait.
            let _panicked = thread.join();
        }
    }
}

impl Syncs {
    /// Waits until all that was added before is durable. `Err`: of so many events, these or earlier
    /// ones, it will never be known.
    pub(super) fn sync(&self, until: Option<Instant>) -> Result<Waited, u64> {
        let Inner { state, changed, synced, .. } = &*self.0;
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
        if state.is_doubtful { Err(state.lost_track) } else { Ok(Waited::Met) }
    }

    /// Events that were added and are not known to be durable.
    pub(super) fn unsynced(&self) -> u64 {
        let state = self.0.state.lock();
        let waiting: u64 = state.files.iter().map(|file| file.events).sum();
        waiting + state.syncing + state.lost_track
    }
}

impl State {
    /// How long files wait for a sync; `None`: for ever.
    fn patience(&self, when: Fsync) -> Option<Duration> {
        let after_failures = match self.failed_in_a_row {
            0 => Duration::ZERO,
            failed => FAILED_WAIT.0.saturating_mul(1 << failed.min(16)).min(FAILED_WAIT.1),
        };
        match when {
            _ if self.asked > self.over => Some(after_failures),
            Fsync::Never => None,
            Fsync::Every(interval) => Some(interval.max(after_failures)),
            Fsync::Batch => Some(after_failures),
        }
    }

    /// Of so many events more it will never be known whether they are durable.
    fn lose_track(&mut self, events: u64) {
        self.is_doubtful |= events > 0;
        self.lost_track += events;
    }

    fn may_retire(&self) -> bool {
        !self.is_stopping && !self.is_last_reported && self.retired.len() < RETIRED_MAX
    }
}

impl Inner {
    /// Runs to the end. After a panic nothing is durable any longer, and nobody is left waiting.
    fn run_guarded(&self, retention: Option<&Retention>) {
        if catch_unwind(AssertUnwindSafe(|| self.run(retention))).is_err() {
            self.stop(&mut self.state.lock());
        }
    }

    fn run(&self, retention: Option<&Retention>) {
        let mut state = self.state.lock();
        while !state.has_stopped {
            let may_retire = state.may_retire();
            let today = state.retention_for.take_if(|_| may_retire);
            let is_asked = state.asked > state.over;
            let syncs = !state.files.is_empty() && (self.when != Fsync::Never || is_asked);
            if state.is_stopping && !syncs {
                self.stop(&mut state);
            } else if today.is_some() || self.is_due(&state) {
                // Files left behind are locked until they are synced, so that comes before tidying.
                self.round(&mut state);
            }
            if let (Some(today), Some(retention)) = (today, retention) {
                let is_done = MutexGuard::unlocked(&mut state, || {
                    retention.run(today, &|| self.goes_on(), &|remove| self.retire(remove))
                });
                if !is_done {
                    state.retention_for.get_or_insert(today);
                }
            } else {
                self.wait(&mut state);
            }
        }
    }

    /// Waits until there may be something to do.
    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        let has_retention = state.retention_for.is_some() && state.may_retire();
        if has_retention || state.is_stopping || self.is_due(state) {
            return;
        }
        let due = |since: Instant| since.checked_add(state.patience(self.when)?);
        match state.since.and_then(due) {
            Some(due) => self.changed.wait_until(state, due),
            None => self.changed.wait(state),
        }
    }

    /// Whether a round is.
    fn is_due(&self, state: &State) -> bool {
        let in_time = match state.patience(self.when) {
            None => state.files.len() >= UNASKED_MAX,
            Some(patience) => state.since.is_some_and(|since| since.elapsed() >= patience),
        };
        let has_nothing_to_sync = state.asked > state.over && state.files.is_empty();
        in_time || state.is_stopping || has_nothing_to_sync
    }

    /// Syncs the files that are waiting.
    fn round(&self, state: &mut MutexGuard<'_, State>) {
        let (files, asked) = (std::mem::take(&mut state.files), state.asked);
        let has_files = !files.is_empty();
        state.since = None;
        state.syncing = files.iter().map(|file| file.events).sum();
        let failed: Vec<_> = MutexGuard::unlocked(state, || {
            files.into_iter().filter(|unsynced| unsynced.file.sync_data().is_err()).collect()
        });
        if has_files {
            state.failed_in_a_row = if failed.is_empty() { 0 } else { state.failed_in_a_row + 1 };
        }
        for Unsynced { file, events } in failed {
            // What was written to it meanwhile may be among what failed, which is told once only.
            let since = state.files.iter_mut().find(|known| Arc::ptr_eq(&known.file, &file));
            let since = since.map_or(0, |known| std::mem::take(&mut known.events));
            state.is_doubtful = true;
            state.lose_track(events + since);
            state.failed.push(file);
        }
        (state.syncing, state.over) = (0, asked);
        self.synced.notify_all();
    }

    fn stop(&self, state: &mut MutexGuard<'_, State>) {
        let unsynced: u64 = state.files.drain(..).map(|file| file.events).sum();
        let syncing = std::mem::take(&mut state.syncing);
        state.lose_track(unsynced + syncing);
        state.has_stopped = true;
        self.synced.notify_all();
    }

    /// Removes a file, as long as somebody is there to tell of it.
    fn retire(&self, remove: &mut dyn FnMut() -> io::Result<Retired>) -> io::Result<bool> {
        {
            let mut state = self.state.lock();
            if !state.may_retire() {
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
        if self.is_due(&state) && !state.is_stopping {
            self.round(&mut state);
        }
        state.may_retire()
    }
}
