//! The writer's thread: takes events out of the ring in batches, makes lines of them, and hands
//! each batch to the file with one write.
//!
//! It never wakes more than once a second when there is nothing to do (ten times where a signal may
//! ask it to close), and is woken by a system call only when it sleeps, which it does after fifty
//! milliseconds without an event.

mod batch;
mod control;
mod exports;
pub(crate) mod fs;
mod housekeeping;
pub(crate) mod jsonl;
mod notices;
pub(crate) mod rotate;
mod shared;
#[cfg(all(test, not(loom)))]
mod stalls;
#[cfg(all(test, not(loom)))]
mod tests;
mod tidy;

use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use batch::{Batch, Held, Patience};
use control::Ended;
pub(crate) use control::{Control, Waited};
use exports::{export, export_all};
use fs::{Clock, Fs, OsFs, SystemClock};
use housekeeping::Housekeeping;
use llm_audit_log::schema::notices::{Loss, Notice, Retired};
use notices::FileStart;
use rotate::{FileOptions, LogFiles, Urgency, utc_date};
pub(crate) use shared::Shared;
use tidy::Tidy;

use crate::config::{Compress, Settings};
use crate::error::{Error, Kind};
use crate::export::{Exporter, Stdout};
use crate::metrics::add;
use crate::ring::{Drainer, Lanes};
use llm_audit_process::exit::{self, Writing};

/// With nothing to do, looks this far apart …
const LINGER: Duration = Duration::from_millis(1);
/// … so often, before sleeping: a wake costs a caller four to five microseconds, which sparse
/// events must not each pay.
const LINGERS_MAX: u32 = 50;
/// A sleeping writer looks around this often all the same; where a signal may leave a note for it,
/// more often.
const SLEEP: Duration = Duration::from_secs(1);
const SLEEP_LISTENING: Duration = Duration::from_millis(100);
/// How often a loss that could not be said is tried again without an event.
const RETRY_MICROS: u64 = 500_000;
/// A disk that stays full is told of at once, and then after so long, doubled each time: the
/// reserve is to last.
const TOLD_AGAIN_MICROS: u64 = 1_000_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// How long the last line waits for emits of other threads to come to their end.
const IN_FLIGHT: Duration = Duration::from_millis(10);

/// What the writer stands on: where tests put a file system that fails and a clock they set.
pub(crate) struct Ground {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Ground {
    /// The operating system's.
    fn default() -> Self {
        Self { fs: Arc::new(OsFs), clock: Arc::new(SystemClock) }
    }
}

/// Opens the files and starts the thread.
///
/// # Errors
///
/// A folder that cannot be written to, a thread that cannot be started.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    mut exporters: Vec<Box<dyn Exporter>>,
    Ground { fs, clock }: Ground,
) -> Result<(), Error> {
    exporters.splice(0..0, stdout(shared));
    let now = clock.now_micros();
    let files =
        file_options(shared).map(|options| LogFiles::open(fs.clone(), options, now)).transpose()?;
    if let Some(files) = &files {
        shared.control.set_path(files.path());
    }
    start(shared, exporters, files, Ground { fs, clock })
}

/// Starts the thread of a forked child, which opens its files when it first writes: who emits waits
/// for no disk. The exporters of the parent's logger stay with the parent.
///
/// Where it cannot be started the logger is closed; where there is nowhere to write to it already is.
pub(crate) fn spawn_in_child(shared: &Arc<Shared>) {
    let Ground { fs, clock } = Ground::default();
    let exporters: Vec<_> = stdout(shared).into_iter().collect();
    let now = clock.now_micros();
    let files = file_options(shared).map(|options| LogFiles::unopened(fs.clone(), options, now));
    if files.is_none() && exporters.is_empty() {
        // It was closed before anybody could emit into it.
        return shared.control.ended(Ended::Done);
    }
    if start(shared, exporters, files, Ground { fs, clock }).is_err() {
        shared.close();
        shared.control.ended(Ended::NotStarted);
    }
}

/// Standard output, where a logger writes to it.
fn stdout(shared: &Shared) -> Option<Box<dyn Exporter>> {
    let settings = &shared.settings;
    settings.to_stdout.then(|| {
        let stdout = Stdout::new();
        // Where it is the only output, what it takes is what is written.
        Box::new(if settings.to_files { stdout } else { stdout.waiting() }) as Box<dyn Exporter>
    })
}

/// Where a logger that writes files has them.
fn file_options(shared: &Shared) -> Option<FileOptions> {
    let settings = &shared.settings;
    settings.to_files.then(|| FileOptions {
        dir: settings.directory.clone(),
        max_file_bytes: settings.max_file_bytes,
        file_mode: settings.file_mode,
    })
}

/// Starts the threads.
fn start(
    shared: &Arc<Shared>,
    exporters: Vec<Box<dyn Exporter>>,
    files: Option<LogFiles>,
    Ground { fs, clock }: Ground,
) -> Result<(), Error> {
    let house = files.is_some().then(|| keep_house(&shared.settings, fs)).transpose()?;
    if let Some(house) = &house {
        shared.control.set_syncs(house.syncs());
    }
    let writer = Writer {
        drainers: Lanes::over(&shared.rings),
        patience: Lanes::default(),
        held: Vec::with_capacity(batch::EVENTS_MAX / 2),
        shared: shared.clone(),
        clock,
        host: host_name(),
        files,
        house,
        tidied: (0, i64::MIN),
        exporters,
        kept_bytes: 0,
        has_started: false,
        seq: 0,
        lines: Vec::with_capacity(batch::BYTES * 3),
        scratch: Vec::new(),
        news: Vec::new(),
        unsaid: None,
        outage: Outage::default(),
    };
    #[cfg(all(test, not(loom)))]
    let Some(writer) = tests::by_hand(writer) else { return Ok(()) };
    let (mut writer, writing) = (writer, Writing::begin());
    thread::Builder::new()
        .name("llm-audit".to_owned())
        .spawn(move || {
            writer.run_guarded();
            writer.drop_exporters();
            drop(writer);
            drop(writing);
        })
        .map_err(|error| Error::new(Kind::Thread(error)))?;
    Ok(())
}

fn keep_house(settings: &Settings, fs: Arc<dyn Fs>) -> Result<Housekeeping, Error> {
    let tidy = Tidy {
        fs,
        dir: settings.directory.clone(),
        retention_days: settings.retention_days,
        max_total_bytes: settings.max_total_bytes,
        compress: settings.compress == Compress::Zstd,
    };
    let tidy = tidy.is_needed().then_some(tidy);
    Housekeeping::start(settings.fsync, tidy)
}

struct Writer {
    shared: Arc<Shared>,
    drainers: Lanes<Drainer>,
    patience: Lanes<Patience>,
    /// Errors of the batch that is being made.
    held: Vec<Held>,
    clock: Arc<dyn Clock>,
    host: String,
    files: Option<LogFiles>,
    house: Option<Housekeeping>,
    /// How many files had been begun, and which day it was, when the folder was last tidied.
    tidied: (u64, i64),
    exporters: Vec<Box<dyn Exporter>>,
    /// What exporters kept back when they were last asked.
    kept_bytes: usize,
    /// Whether an `audit.start` was written anywhere.
    has_started: bool,
    /// The last number given.
    seq: u64,
    lines: Vec<u8>,
    scratch: Vec<u8>,
    /// Lines of the log's own that wait to be written with the next batch.
    news: Vec<u8>,
    /// Numbers lost with batches that could not be written, to be said as soon as one can.
    unsaid: Option<Loss>,
    outage: Outage,
}

/// How long nothing could be written, on the writer's clock.
#[derive(Default)]
struct Outage {
    /// When it was last tried.
    tried_micros: i64,
    /// When the reserve last took a loss, and how long it is then left alone.
    told_micros: i64,
    wait_micros: u64,
}

/// What a turn of the writer came to.
enum Turn {
    /// Something was done; there may be more.
    Busy,
    /// There was nothing to do.
    Idle {
        /// A producer was between its steps.
        is_unready: bool,
    },
    /// The last line is written.
    Last,
}

impl Writer {
    /// Runs to the end. A panic, which would be a defect of this crate, ends the log but leaves
    /// nobody waiting: later events are rejected, and flushes say why they fail.
    fn run_guarded(&mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            self.shared.close();
            self.shared.control.ended(Ended::Panicked);
        }
    }

    fn run(&mut self) {
        self.shared.control.enter();
        // Waits in a row with nothing to do.
        let mut lingers = 0;
        loop {
            match self.turn() {
                Turn::Busy => lingers = 0,
                Turn::Idle { is_unready } => {
                    if self.resume_exports() {
                        lingers = 0;
                    }
                    self.wait(&mut lingers, is_unready);
                }
                Turn::Last => return,
            }
        }
    }

    /// Does what there is to do: at most a batch, and what is asked for.
    fn turn(&mut self) -> Turn {
        let shared = self.shared.clone();
        let control = &shared.control;
        if exit::is_closing() {
            shared.close();
        }
        let request = control.request();
        shared.pricing.look(|| self.clock.now_micros());
        if let Some(end) = request.end {
            self.drainers.close(end);
        }
        let batch = self.batch(request);
        let is_idle = batch.events == 0 && batch.overwritten == 0;
        self.tidy();
        // The start of a file without waiting for an event: from now on it is this instance's.
        let has_start = self.files.is_some() && !self.has_started;
        let has_own = self.unsaid.is_some() || !self.news.is_empty() || has_start;
        if !is_idle || has_own && (request.settle.is_some() || self.may_retry()) {
            self.write(&batch);
        }
        match request.settle.filter(|to| self.drainers.are_settled(*to)) {
            Some(_) if request.end.is_some() => {
                self.stop();
                control.ended(Ended::Done);
                return Turn::Last;
            }
            Some(to) => control.settled(to),
            None if is_idle => return Turn::Idle { is_unready: batch.is_unready },
            None => {}
        }
        Turn::Busy
    }

    /// Hands the batch on, losses said, and counts what became of it.
    fn write(&mut self, batch: &Batch) {
        let now = self.clock.now_micros();
        if batch.overwritten > 0 {
            let first_seq = self.seq + 1;
            self.seq += batch.overwritten;
            let loss =
                Loss { first_seq, last_seq: self.seq, overwritten: batch.overwritten, io_lost: 0 };
            self.loss_line(now, loss);
        }
        if self.unsaid.is_some() || !self.news.is_empty() {
            // The lost numbers are lower than those of the batch, so their line goes first.
            let batch = std::mem::take(&mut self.lines);
            self.own_lines(now);
            self.lines.extend_from_slice(&batch);
        }
        let written = self.hand_on(now, Urgency::Events, batch.events);
        self.unsaid = if written {
            None
        } else if batch.events + batch.overwritten == 0 {
            self.unsaid
        } else {
            let before = self.unsaid.unwrap_or(Loss {
                first_seq: batch.first_seq,
                last_seq: self.seq,
                overwritten: 0,
                io_lost: 0,
            });
            Some(Loss {
                first_seq: before.first_seq,
                last_seq: self.seq,
                overwritten: before.overwritten + batch.overwritten,
                io_lost: before.io_lost + batch.events,
            })
        };
        match written {
            true => {
                self.outage = Outage::default();
                self.news.clear();
            }
            false => self.tell_of_outage(now),
        }
    }

    /// Whether what could not be said may be tried again although nothing came.
    fn may_retry(&self) -> bool {
        self.clock.now_micros().abs_diff(self.outage.tried_micros) >= RETRY_MICROS
    }

    /// Says what is lost in the room that is kept for it, so that the log knows even where it is
    /// killed before the disk has room again.
    fn tell_of_outage(&mut self, now: i64) {
        self.outage.tried_micros = now;
        let has_reserve = self.files.as_ref().is_some_and(LogFiles::has_reserve);
        let is_due = now.abs_diff(self.outage.told_micros) >= self.outage.wait_micros;
        let Some(unsaid) = self.unsaid.filter(|_| has_reserve && is_due) else { return };
        self.lines.clear();
        self.loss_line(now, unsaid);
        if self.hand_on(now, Urgency::Loss, 0) {
            self.unsaid = None;
            self.outage.told_micros = now;
            self.outage.wait_micros = TOLD_AGAIN_MICROS.max(self.outage.wait_micros * 2);
        }
    }

    /// What waits to be said.
    fn own_lines(&mut self, now: i64) {
        if let Some(unsaid) = self.unsaid {
            self.loss_line(now, unsaid);
        }
        self.lines.extend_from_slice(&self.news);
    }

    fn loss_line(&mut self, now: i64, loss: Loss) {
        let instance = &self.shared.instance;
        loss.write(&mut self.lines, instance, now);
    }

    /// Gives the lines to the log, counts the events among them, and then gives them to the other
    /// exporters. `false`: they were not taken, and nobody else gets them either, since the log will
    /// say that no line holds them.
    fn hand_on(&mut self, now: i64, what: Urgency, events: u64) -> bool {
        let shared = self.shared.clone();
        let counts = &shared.counts;
        let start = self.write_log(now, what);
        add(if start.is_some() { &counts.written } else { &counts.io_lost }, events);
        counts.in_hand.fetch_sub(events, Ordering::Relaxed);
        self.sync(if start.is_some() { events } else { 0 });
        let Some(start) = start else { return false };
        // Last: an exporter that hangs holds back neither the count of what is written nor its sync.
        for exporter in self.exporters.iter_mut().skip(usize::from(self.files.is_none())) {
            if !(export(&mut **exporter, &start) && export(&mut **exporter, &self.lines)) {
                add(&counts.export_errors, 1);
            }
        }
        true
    }

    /// Gives the lines to the file, or to the first exporter where there is none. Returns what it put
    /// before them, which is empty or a start line; `None`: they were not taken.
    fn write_log(&mut self, now: i64, what: Urgency) -> Option<Vec<u8>> {
        let Self { shared, host, files, exporters, has_started, lines, .. } = self;
        let mut start_text = Vec::new();
        let mut start = |text: &mut Vec<u8>, torn_bytes: u64| {
            let place = FileStart { host, first: !*has_started, torn_bytes };
            notices::write_start(text, now, shared, place);
            start_text.clone_from(text);
        };
        let written = match files {
            Some(files) => {
                let written = files.append(lines, what, now, &mut start).is_ok();
                shared.control.set_path(files.path());
                written
            }
            None => {
                if !*has_started {
                    start(&mut Vec::new(), 0);
                }
                let first = exporters.first_mut().expect("checked: there is an output");
                export(&mut **first, &start_text) && export_all(&mut **first, lines)
            }
        };
        *has_started |= written && !start_text.is_empty();
        written.then_some(start_text)
    }

    /// Has the housekeeping thread make durable what was written.
    fn sync(&mut self, events: u64) {
        let (Some(files), Some(house)) = (&mut self.files, &self.house) else { return };
        while let Some(file) = files.take_for_sync() {
            // One file: what was written to those before was handed out with their last batch.
            house.add(file, events);
        }
        // Behind that, for these lines may have gone into a file of which a sync has failed.
        while let Some(file) = house.failed() {
            files.sync_failed(&file);
        }
    }

    /// Has the housekeeping thread tidy the folder at the start, when a file was begun and when
    /// the day changes, and takes up what it removed.
    fn tidy(&mut self) {
        let (Some(files), Some(house)) = (&self.files, &self.house) else { return };
        let now = self.clock.now_micros();
        let present = (files.files_begun(), now.div_euclid(DAY_MICROS));
        if self.tidied != present {
            self.tidied = present;
            house.tidy(utc_date(now));
        }
        // No more than there is room for; the rest waits there.
        if self.news.is_empty() {
            let retired = house.retired();
            self.retired_lines(now, &retired);
        }
    }

    fn retired_lines(&mut self, now: i64, retired: &[Retired]) {
        let (instance, news) = (&self.shared.instance, &mut self.news);
        for retired in retired {
            retired.write(news, instance, now);
        }
    }

    /// Events for which there was no memory since the last batch.
    fn tell_of_dropped(&mut self) {
        let dropped = self.shared.counts.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            add(&self.shared.counts.overwritten, dropped);
            self.lines.clear();
            self.write(&Batch {
                overwritten: dropped,
                first_seq: self.seq + 1,
                ..Batch::default()
            });
        }
    }

    /// Writes the last line.
    fn stop(&mut self) {
        let until = Instant::now() + IN_FLIGHT;
        let accounting = loop {
            // First, so that what the last line says of them is what the lines before it tell.
            self.tell_of_dropped();
            let accounting = self.shared.accounting();
            let is_told = self.shared.counts.dropped.load(Ordering::Relaxed) == 0;
            if accounting.adds_up() && is_told || Instant::now() >= until {
                break accounting;
            }
            thread::yield_now();
        };
        let now = self.clock.now_micros();
        self.lines.clear();
        let retired = self.house.as_ref().map(Housekeeping::retired_last).unwrap_or_default();
        self.retired_lines(now, &retired);
        if !self.news.is_empty() {
            // Apart, so that on a full disk they leave the end its room. What they cannot tell of
            // then, `verify` finds missing.
            self.own_lines(now);
            if self.hand_on(now, Urgency::Loss, 0) {
                self.unsaid = None;
            }
            self.news.clear();
            self.lines.clear();
        }
        self.own_lines(now);
        notices::write_stop(&mut self.lines, now, &self.shared, &accounting);
        // Where it cannot be written the log shows as killed, which is what it then is.
        let _written = self.hand_on(now, Urgency::Last, 0);
        self.house = None;
        self.files = None;
        self.finish_exports();
    }

    /// Waits as fits how long there has been nothing.
    fn wait(&mut self, lingers: &mut u32, is_unready: bool) {
        if is_unready {
            hint::spin_loop();
        } else if *lingers < LINGERS_MAX {
            *lingers += 1;
            thread::park_timeout(LINGER);
        } else if self.drainers.may_sleep() {
            thread::park_timeout(if exit::listens() { SLEEP_LISTENING } else { SLEEP });
            self.drainers.awake();
        }
    }
}

/// The machine's name, as far as it is known.
fn host_name() -> String {
    hostname::get()
        .map_or_else(|_| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}
