//! The housekeeping thread. It syncs, compresses and removes files, so that a slow disk never
//! stalls the writer.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::civil::Date;

use super::control::WaitOutcome;
use super::files::DurableFile;
use super::retention::Retention;
use crate::config::Fsync;
use crate::error::{Error, ErrorCause};
use crate::metrics::TimingCells;
use llm_audit_log::schema::notices::Retired;
use llm_audit_process::lock::{Condvar, Mutex, MutexGuard};

/// If nobody asks for a sync ([`Fsync::Never`]), this many closed files may wait for one. With more
/// they are synced anyway, so that they do not use up the process's file handles.
const UNASKED_MAX: usize = 16;

/// How long written bytes wait for a sync after one that failed, even if a caller asks: at first,
/// and at most. Each failure in a row doubles it. The wait limits how many files are begun, because
/// every failure begins another one.
const FAILED_WAIT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// If this many removed files are not reported in the log yet, no more are removed.
const RETIRED_MAX: usize = 64;

/// How long the last lines wait for a file that is being removed.
const REMOVING: Duration = Duration::from_millis(100);

/// The writer's side of the housekeeping thread.
pub(super) struct Housekeeping {
    inner: Arc<HousekeepingInner>,
    /// Whether there is a retention rule.
    has_retention: bool,
    thread: Option<JoinHandle<()>>,
}

/// The side of callers that wait until written lines are durable.
pub(super) struct FileSyncs(Arc<HousekeepingInner>);

struct HousekeepingInner {
    when: Fsync,
    timings: Arc<TimingCells>,
    state: Mutex<HousekeepingState>,
    changed: Condvar,
    /// Notified after every round.
    synced: Condvar,
    /// Notified after a file was removed, or could not be.
    retired: Condvar,
}

#[derive(Default)]
struct HousekeepingState {
    /// Files written to since their last sync.
    files: Vec<UnsyncedFile>,
    /// The time of the oldest unsynced write.
    since: Option<Instant>,
    failed: Vec<Arc<DurableFile>>,
    /// Rounds in a row in which a sync failed.
    failed_in_a_row: u32,
    /// The number of rounds that callers asked for, and of those that are over. A round syncs all
    /// files that were waiting when it began.
    asked: u64,
    over: u64,
    /// Events in the files of the current round.
    syncing: u64,
    /// Whether the durability of some lines is unknown, and of how many events. It stays unknown.
    is_doubtful: bool,
    lost_track: u64,
    /// The day for which retention is requested.
    retention_for: Option<Date>,
    retired: Vec<Retired>,
    /// Whether a file is being removed now.
    is_retiring: bool,
    /// Whether the writer has taken the last report of removed files.
    is_last_reported: bool,
    is_stopping: bool,
    has_stopped: bool,
}

/// A file, and the number of events written to it since its last sync.
struct UnsyncedFile {
    file: Arc<DurableFile>,
    events: u64,
}

impl Housekeeping {
    /// Starts the thread. It syncs files as `when` says. If there is a retention rule, it applies
    /// that on request.
    pub(super) fn start(
        when: Fsync,
        timings: Arc<TimingCells>,
        retention: Option<Retention>,
    ) -> Result<Self, Error> {
        let (state, changed, synced, retired) = Default::default();
        let inner = HousekeepingInner { when, timings, state, changed, synced, retired };
        let inner = Arc::new(inner);
        let has_retention = retention.is_some();
        let thread = std::thread::Builder::new()
            .name("llm-audit-house".to_owned())
            .spawn({
                let inner = inner.clone();
                move || inner.run_guarded(retention.as_ref())
            })
            .map_err(|error| Error::new(ErrorCause::Thread(error)))?;
        Ok(Self { inner, has_retention, thread: Some(thread) })
    }

    /// Returns the side of the callers.
    pub(super) fn syncs(&self) -> FileSyncs {
        FileSyncs(self.inner.clone())
    }

    /// Registers a file for its next sync, and the number of events written to it.
    pub(super) fn add_unsynced(&self, file: Arc<DurableFile>, events: u64) {
        let mut state = self.inner.state.lock();
        if state.has_stopped {
            return state.lose_track(events);
        }
        match state.files.iter_mut().find(|known| Arc::ptr_eq(&known.file, &file)) {
            Some(known) => known.events += events,
            None => {
                state.files.push(UnsyncedFile { file, events });
                state.since.get_or_insert_with(Instant::now);
                self.inner.changed.notify_one();
            }
        }
    }

    /// Returns a file that failed to sync. Its bytes may never be durable.
    pub(super) fn take_failed_sync(&self) -> Option<Arc<DurableFile>> {
        self.inner.state.lock().failed.pop()
    }

    /// Requests retention after the next sync, if there is a rule.
    pub(super) fn request_retention(&self, today: Date) {
        if self.has_retention {
            self.inner.state.lock().retention_for = Some(today);
            self.inner.changed.notify_one();
        }
    }

    /// Returns the files removed since the last call.
    pub(super) fn take_retired(&self) -> Vec<Retired> {
        let mut state = self.inner.state.lock();
        if !state.retired.is_empty() {
            // The thread may wait for room in this list.
            self.inner.changed.notify_one();
        }
        std::mem::take(&mut state.retired)
    }

    /// Returns the removed files for the last time. From now on no file is removed. If the disk
    /// takes long to remove a file, that one is not reported.
    pub(super) fn take_last_retired(&self) -> Vec<Retired> {
        let mut state = self.inner.state.lock();
        state.is_last_reported = true;
        let is_retiring = |state: &mut HousekeepingState| state.is_retiring;
        self.inner.retired.wait_while_for(&mut state, is_retiring, REMOVING);
        std::mem::take(&mut state.retired)
    }
}

impl Drop for Housekeeping {
    /// Stops retention, syncs the remaining files unless syncs are off, and waits for the thread.
    fn drop(&mut self) {
        self.inner.state.lock().is_stopping = true;
        self.inner.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic would be a defect of this crate. Waiting callers already got an error.
            let _panicked = thread.join();
        }
    }
}

impl FileSyncs {
    /// Waits until everything added before is durable.
    ///
    /// # Errors
    ///
    /// Returns the number of events, these or earlier ones, whose durability is unknown.
    pub(super) fn wait_until_synced(&self, until: Option<Instant>) -> Result<WaitOutcome, u64> {
        let HousekeepingInner { state, changed, synced, .. } = &*self.0;
        let mut state = state.lock();
        state.asked += 1;
        let asked = state.asked;
        changed.notify_one();
        while state.over < asked && !state.has_stopped {
            match until {
                None => synced.wait(&mut state),
                Some(until) if Instant::now() >= until => return Ok(WaitOutcome::Late),
                Some(until) => synced.wait_until(&mut state, until),
            }
        }
        if state.is_doubtful { Err(state.lost_track) } else { Ok(WaitOutcome::Met) }
    }

    /// Returns the number of added events that are not known to be durable.
    pub(super) fn unsynced_events(&self) -> u64 {
        let state = self.0.state.lock();
        let waiting: u64 = state.files.iter().map(|file| file.events).sum();
        waiting + state.syncing + state.lost_track
    }
}

impl HousekeepingState {
    /// Returns how long files wait for a sync, or `None` if they wait without limit.
    fn sync_patience(&self, when: Fsync) -> Option<Duration> {
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

    /// Counts events whose durability is unknown from now on.
    fn lose_track(&mut self, events: u64) {
        self.is_doubtful |= events > 0;
        self.lost_track += events;
    }

    fn may_retire(&self) -> bool {
        !self.is_stopping && !self.is_last_reported && self.retired.len() < RETIRED_MAX
    }
}

impl HousekeepingInner {
    /// Runs to the end. After a panic no further file becomes durable, and no caller is left
    /// waiting.
    fn run_guarded(&self, retention: Option<&Retention>) {
        if catch_unwind(AssertUnwindSafe(|| self.run_loop(retention))).is_err() {
            self.stop(&mut self.state.lock());
        }
    }

    fn run_loop(&self, retention: Option<&Retention>) {
        let mut state = self.state.lock();
        while !state.has_stopped {
            let may_retire = state.may_retire();
            let today = state.retention_for.take_if(|_| may_retire);
            let is_asked = state.asked > state.over;
            let syncs = !state.files.is_empty() && (self.when != Fsync::Never || is_asked);
            if state.is_stopping && !syncs {
                self.stop(&mut state);
            } else if today.is_some() || self.is_sync_due(&state) {
                // Closed files are locked until they are synced, so the sync comes before
                // retention.
                self.sync_waiting_files(&mut state);
            }
            if let (Some(today), Some(retention)) = (today, retention) {
                let is_done = MutexGuard::unlocked(&mut state, || {
                    retention.apply_rules(today, &|| self.may_retention_continue(), &|remove| {
                        self.retire_if_reportable(remove)
                    })
                });
                if !is_done {
                    state.retention_for.get_or_insert(today);
                }
            } else {
                self.wait_for_work(&mut state);
            }
        }
    }

    /// Waits until there may be something to do.
    fn wait_for_work(&self, state: &mut MutexGuard<'_, HousekeepingState>) {
        let has_retention = state.retention_for.is_some() && state.may_retire();
        if has_retention || state.is_stopping || self.is_sync_due(state) {
            return;
        }
        let due = |since: Instant| since.checked_add(state.sync_patience(self.when)?);
        match state.since.and_then(due) {
            Some(due) => self.changed.wait_until(state, due),
            None => self.changed.wait(state),
        }
    }

    /// Returns whether a round is due.
    fn is_sync_due(&self, state: &HousekeepingState) -> bool {
        let in_time = match state.sync_patience(self.when) {
            None => state.files.len() >= UNASKED_MAX,
            Some(patience) => state.since.is_some_and(|since| since.elapsed() >= patience),
        };
        let has_nothing_to_sync = state.asked > state.over && state.files.is_empty();
        in_time || state.is_stopping || has_nothing_to_sync
    }

    /// Syncs the files that are waiting.
    fn sync_waiting_files(&self, state: &mut MutexGuard<'_, HousekeepingState>) {
        let (files, asked) = (std::mem::take(&mut state.files), state.asked);
        let has_files = !files.is_empty();
        state.since = None;
        state.syncing = files.iter().map(|file| file.events).sum();
        let failed: Vec<_> = MutexGuard::unlocked(state, || {
            files.into_iter().filter(|unsynced| !self.sync_file(&unsynced.file)).collect()
        });
        if has_files {
            state.failed_in_a_row = if failed.is_empty() { 0 } else { state.failed_in_a_row + 1 };
        }
        for UnsyncedFile { file, events } in failed {
            // Events written since the round began may be affected too. They are counted here, and
            // only once.
            let since = state.files.iter_mut().find(|known| Arc::ptr_eq(&known.file, &file));
            let since = since.map_or(0, |known| std::mem::take(&mut known.events));
            state.is_doubtful = true;
            state.lose_track(events + since);
            state.failed.push(file);
        }
        (state.syncing, state.over) = (0, asked);
        self.synced.notify_all();
    }

    fn sync_file(&self, file: &DurableFile) -> bool {
        let begun = Instant::now();
        let synced = file.sync_data();
        self.timings.add(begun.elapsed());
        synced.is_ok()
    }

    fn stop(&self, state: &mut MutexGuard<'_, HousekeepingState>) {
        let unsynced: u64 = state.files.drain(..).map(|file| file.events).sum();
        let syncing = std::mem::take(&mut state.syncing);
        state.lose_track(unsynced + syncing);
        state.has_stopped = true;
        self.synced.notify_all();
    }

    /// Removes a file if the writer can still report it.
    fn retire_if_reportable(
        &self,
        remove: &mut dyn FnMut() -> io::Result<Retired>,
    ) -> io::Result<bool> {
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

    /// Syncs what is due between two steps of retention. Returns whether retention may continue.
    fn may_retention_continue(&self) -> bool {
        let mut state = self.state.lock();
        if self.is_sync_due(&state) && !state.is_stopping {
            self.sync_waiting_files(&mut state);
        }
        state.may_retire()
    }
}
