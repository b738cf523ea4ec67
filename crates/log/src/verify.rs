//! Whether a log is whole: its lines by the schema, its numbers by the losses it tells of.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use crate::error::Error;
use crate::folder::{Ending, Entry, Folder, Lines};
use crate::json::Json;
use crate::line::Line;
use crate::schema::ids::is_instance;
use crate::schema::is_event_type_name;

/// How many findings are kept with their text; all are counted.
const FINDINGS_MAX: usize = 1_000;
/// How many gaps of one instance are told one by one.
const GAPS_MAX: usize = 20;
/// How often a folder is read from which files go away meanwhile.
const TRIES_MAX: u32 = 5;
/// Lines between two calls of the progress function.
const PROGRESS_LINES: u64 = 1_000;

/// What [`verify`] found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lines of any kind, bad ones included.
    pub lines: u64,
    /// Event lines, of any instance or none.
    pub events: u64,
    /// Files that retention removed, by the `audit.retired` lines.
    pub retired: u64,
    /// Every instance that wrote to these files, in the order of its first line.
    pub instances: Vec<Instance>,
    /// What is wrong, up to 1,000 of it: what a line shows in the order of the lines, then what an
    /// instance shows as a whole.
    pub findings: Vec<Finding>,
    /// All of it.
    pub findings_total: u64,
}

/// What one logger left behind.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its 16 hex digits.
    pub id: String,
    /// Its event lines.
    pub events: u64,
    /// The first and the last number that a line of it holds.
    pub seq: Option<(u64, u64)>,
    /// Overwritten in the queue, by its `audit.loss` lines.
    pub overwritten: u64,
    /// Lost by the disk, by its `audit.loss` lines.
    pub io_lost: u64,
    /// Numbers that neither a line holds nor an `audit.loss` line explains.
    pub unexplained: u64,
    /// How it ended.
    pub state: State,
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// With `audit.stop`.
    Closed,
    /// Not yet: it holds its file.
    Open,
    /// Without a word. What lay in its queue is unknown.
    Killed,
}

/// One thing that is wrong. It never quotes what a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's name and the number of the line, where it is one line's.
    pub place: Option<(String, u64)>,
    /// The instance, where it is one's.
    pub instance: Option<String>,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line)) = &self.place {
            write!(f, "{file}:{line}: ")?;
        }
        if let Some(instance) = &self.instance {
            write!(f, "instance {instance}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl Verification {
    /// Whether nothing is wrong: no loss, no gap, no bad line, nobody killed.
    pub fn is_clean(&self) -> bool {
        self.findings_total == 0
    }

    fn find(&mut self, place: Option<(&str, u64)>, instance: Option<&str>, what: String) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            let place = place.map(|(file, line)| (file.to_owned(), line));
            let instance = instance.map(str::to_owned);
            self.findings.push(Finding { place, instance, what });
        }
    }
}

/// Checks the log files of a folder.
///
/// Memory grows with the number of instances and of gaps in their numbers, not with the lines.
/// Numbers that an `audit.retired` line names went with a file that retention removed, and are no
/// gap. Nor, in a folder with retention, are those before the first one that an instance's lines hold or
/// tell of, since the line that told of them may have been removed, too; but where its first
/// `audit.start` is there, or nobody in the folder has retention, its numbers begin at 1. They end
/// where its `audit.stop` says, if it has one.
/// A file that retention removed without being able to read it is a finding, and so is one that is
/// damaged.
/// Where a file goes away while the folder is read, it is read again.
///
/// # Errors
///
/// Where the folder or a file cannot be read.
pub fn verify(dir: impl AsRef<Path>) -> Result<Verification, Error> {
    verify_with(dir, |_, _| {})
}

/// [`verify`], telling from time to time how many bytes of how many are read.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_with(
    dir: impl AsRef<Path>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verification, Error> {
    let mut tries_left = TRIES_MAX;
    loop {
        tries_left -= 1;
        let folder = Folder::open(dir.as_ref())?;
        match read(&folder, &mut progress) {
            // Retention removed a file meanwhile, and a line at the end tells of it.
            Err(_) if tries_left > 0 && has_lost_a_file(&folder) => {}
            outcome => return outcome,
        }
    }
}

/// Checks the files of a folder as it was read.
fn read(folder: &Folder, progress: &mut impl FnMut(u64, u64)) -> Result<Verification, Error> {
    let mut check = Check::default();
    check.report.bytes = folder.bytes();
    for file in folder.files() {
        check.report.files += 1;
        check.last_writer.push(None);
        let read = check.report.bytes.min(check.bytes_read);
        let mut lines = Lines::of(std::slice::from_ref(file));
        let mut number = 0;
        loop {
            let entry = match lines.next_line() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) if is_damage(&error) => {
                    let what = format!("{error}; what follows is not checked");
                    check.report.find(Some((file.name(), number + 1)), None, what);
                    break;
                }
                Err(error) => return Err(error),
            };
            number = entry.number;
            // What a living writer is in the middle of is not torn.
            if entry.ending == Ending::Torn && file.is_in_use() {
                continue;
            }
            check.entry(entry);
            if check.report.lines.is_multiple_of(PROGRESS_LINES) {
                progress(read + lines.bytes_read(), folder.bytes());
            }
        }
        check.bytes_read += file.bytes();
    }
    let ends = check.tallies.iter().map(|tally| state(tally, &check, folder)).collect();
    Ok(check.settle(ends))
}

/// Whether a file is there, and its content is not what it was or cannot be had: a compressed file
/// that was cut, a disk that fails.
fn is_damage(error: &Error) -> bool {
    use std::io::ErrorKind::{NotFound, PermissionDenied, Unsupported};
    error.io_kind().is_some_and(|kind| ![NotFound, PermissionDenied, Unsupported].contains(&kind))
}

/// Whether a file is there no longer, under neither of its names.
fn has_lost_a_file(folder: &Folder) -> bool {
    folder.again().is_ok_and(|now| {
        let is_there = |name| now.files().iter().any(|file| file.plain_name() == name);
        !folder.files().iter().all(|file| is_there(file.plain_name()))
    })
}

/// How the instance of `tally` ended.
fn state(tally: &Tally, check: &Check, folder: &Folder) -> State {
    if tally.stop.is_some() {
        return State::Closed;
    }
    let last = &folder.files()[tally.last_file];
    let holds = check.last_writer[tally.last_file].as_deref() == Some(&tally.id);
    if (holds && last.is_in_use()) || moved_on(folder, &tally.id) {
        State::Open
    } else {
        State::Killed
    }
}

/// Whether the instance has begun a new file since the folder was listed.
fn moved_on(folder: &Folder, id: &str) -> bool {
    let Ok(now) = folder.again() else { return false };
    now.files()
        .iter()
        .filter(|file| folder.files().iter().all(|old| old.plain_name() != file.plain_name()))
        .any(|file| {
            let mut lines = Lines::of(std::slice::from_ref(file));
            let first = lines.next_line().ok().flatten();
            first.is_some_and(|mut entry| {
                entry.parse().is_ok_and(|line| line.instance() == Some(id))
            })
        })
}

/// What is gathered while the lines go by.
#[derive(Default)]
struct Check {
    report: Verification,
    tallies: Vec<Tally>,
    by_id: HashMap<String, usize>,
    /// For each file the instance of its last line so far.
    last_writer: Vec<Option<String>>,
    bytes_read: u64,
    /// What went with files that retention removed, by instance.
    removed: HashMap<String, Removed>,
    /// Whether any logger here removes files.
    has_retention: bool,
}

/// What `audit.retired` lines say of one instance.
#[derive(Default)]
struct Removed {
    ranges: Vec<(u64, u64)>,
    events: u64,
    overwritten: u64,
    io_lost: u64,
}

/// What is known of one instance.
#[derive(Default)]
struct Tally {
    id: String,
    /// Its first file is here, so that its numbers begin at 1.
    from_the_start: bool,
    events: u64,
    held: Ranges,
    lost: Vec<(u64, u64)>,
    overwritten: u64,
    io_lost: u64,
    stop: Option<Stop>,
    last_file: usize,
}

/// The accounting of an `audit.stop` line.
struct Stop {
    file: String,
    line: u64,
    counts: Option<Counts>,
}

#[derive(Clone, Copy)]
struct Counts {
    emitted: u64,
    written: u64,
    overwritten: u64,
    sampled_out: u64,
    rejected: u64,
    io_lost: u64,
    queued: u64,
    /// Emits that other threads had begun and not ended; 0 where the line does not say.
    in_flight: u64,
}

impl Counts {
    fn of(data: Json<'_>) -> Option<Self> {
        let count = |name| data.get(name)?.as_u64();
        Some(Self {
            emitted: count("emitted")?,
            written: count("written")?,
            overwritten: count("overwritten")?,
            sampled_out: count("sampled_out")?,
            rejected: count("rejected")?,
            io_lost: count("io_lost")?,
            queued: count("queued")?,
            in_flight: count("in_flight").unwrap_or(0),
        })
    }

    /// The last number given: one to each event that was written or lost behind the sampling.
    fn last_seq(&self) -> u64 {
        self.written.saturating_add(self.overwritten).saturating_add(self.io_lost)
    }

    fn ends(&self) -> u64 {
        let ends = [
            self.written,
            self.overwritten,
            self.sampled_out,
            self.rejected,
            self.io_lost,
            self.queued,
            self.in_flight,
        ];
        ends.into_iter().fold(0, u64::saturating_add)
    }
}

impl Check {
    fn entry(&mut self, mut entry: Entry<'_>) {
        self.report.lines += 1;
        let (file, number, ending) = (entry.file, entry.number, entry.ending);
        if ending == Ending::Torn {
            let what = "torn: the line has no newline".to_owned();
            return self.report.find(Some((file, number)), None, what);
        }
        match entry.parse() {
            Ok(line) => self.line(&line, (file, number)),
            Err(error) => self.report.find(Some((file, number)), None, error.to_string()),
        }
    }

    fn line(&mut self, line: &Line<'_>, place: (&str, u64)) {
        self.report.events += u64::from(!line.is_own());
        let Some(id) = line.instance().filter(|id| is_instance(id)) else {
            // Written by another program, or of the time before instances: the readers' rules.
            if let Err(error) = line.check() {
                self.report.find(Some(place), None, error.to_string());
            }
            return;
        };
        for (name, fault) in line.strict_faults() {
            self.report.find(Some(place), None, format!("{name} {fault}"));
        }
        if line.event_type().is_some_and(|name| !line.is_own() && !is_event_type_name(name)) {
            let what = "event_type is no dotted lower-case name".to_owned();
            self.report.find(Some(place), None, what);
        }
        match line.event_type() {
            Some("audit.start") => self.has_retention |= has_retention(line),
            Some("audit.retired") => self.retired(line, place),
            _ => {}
        }
        let tally = self.tally(id);
        let what = match line.event_type() {
            Some("audit.start") => tally.start(line),
            Some("audit.loss") => tally.loss(line),
            Some("audit.stop") => tally.stop(line, place),
            Some(name) if name.starts_with("audit.") => None,
            _ => tally.event(line),
        };
        if let Some(what) = what {
            self.report.find(Some(place), Some(id), what);
        }
    }

    /// Takes note of a file that retention removed.
    fn retired(&mut self, line: &Line<'_>, place: (&str, u64)) {
        self.report.retired += 1;
        self.has_retention = true;
        let instances = line.data().and_then(|data| data.get("instances"));
        if instances.is_some_and(Json::is_null) {
            let what = "retention removed a file that it could not read: which numbers went with it \
                        is unknown";
            self.report.find(Some(place), None, what.to_owned());
        }
        for instance in instances.map(Json::items).into_iter().flatten() {
            let count = |name| instance.get(name)?.as_u64();
            let (Some(id), Some(first), Some(last)) = (
                instance.get("instance").and_then(Json::as_str),
                count("first_seq"),
                count("last_seq"),
            ) else {
                continue;
            };
            let add =
                |to: &mut u64, count: Option<u64>| *to = to.saturating_add(count.unwrap_or(0));
            let removed = self.removed.entry(id.to_owned()).or_default();
            removed.ranges.push((first, last));
            add(&mut removed.events, count("events"));
            add(&mut removed.overwritten, count("overwritten"));
            add(&mut removed.io_lost, count("io_lost"));
        }
    }

    /// The tally of this instance, which is now the last to have written to the current file.
    fn tally(&mut self, id: &str) -> &mut Tally {
        let file = self.last_writer.len() - 1;
        if self.last_writer[file].as_deref() != Some(id) {
            self.last_writer[file] = Some(id.to_owned());
        }
        let at = self.by_id.get(id).copied().unwrap_or_else(|| {
            self.by_id.insert(id.to_owned(), self.tallies.len());
            self.tallies.push(Tally { id: id.to_owned(), ..Tally::default() });
            self.tallies.len() - 1
        });
        let tally = &mut self.tallies[at];
        tally.last_file = file;
        tally
    }

    /// What every instance shows as a whole.
    fn settle(mut self, states: Vec<State>) -> Verification {
        let nothing = Removed::default();
        for (tally, state) in self.tallies.iter_mut().zip(states) {
            tally.from_the_start |= !self.has_retention;
            let removed = self.removed.get(&tally.id).unwrap_or(&nothing);
            let unexplained = tally.settle_numbers(removed, &mut self.report);
            tally.settle_counts(removed, &mut self.report);
            if state == State::Killed {
                let what = "killed: no audit.stop; what lay in its queue is unknown".to_owned();
                self.report.find(None, Some(&tally.id), what);
            }
            self.report.instances.push(Instance {
                id: tally.id.clone(),
                events: tally.events,
                seq: tally.held.ends(),
                overwritten: tally.overwritten,
                io_lost: tally.io_lost,
                unexplained,
                state,
            });
        }
        self.report
    }
}

impl Tally {
    fn start(&mut self, line: &Line<'_>) -> Option<String> {
        let first = line.data().and_then(|data| data.get("first")?.as_bool()) == Some(true);
        self.from_the_start |= first && self.events == 0;
        None
    }

    fn event(&mut self, line: &Line<'_>) -> Option<String> {
        self.events += 1;
        let seq = line.seq()?;
        if seq == 0 {
            return Some("seq is 0; numbers begin at 1".to_owned());
        }
        let last = self.held.ends().map_or(0, |(_, last)| last);
        if !self.held.insert(seq) {
            return Some(format!("seq {seq} stands in two lines"));
        }
        if seq < last {
            return Some(format!("seq {seq} comes after {last}"));
        }
        let stop = self.stop.as_ref()?;
        Some(format!("an event behind audit.stop at {}:{}", stop.file, stop.line))
    }

    fn loss(&mut self, line: &Line<'_>) -> Option<String> {
        let count = |name| line.data()?.get(name)?.as_u64();
        let (Some(first), Some(last), Some(overwritten), Some(io_lost)) =
            (count("first_seq"), count("last_seq"), count("overwritten"), count("io_lost"))
        else {
            return Some("audit.loss without first_seq, last_seq, overwritten, io_lost".to_owned());
        };
        self.overwritten = self.overwritten.saturating_add(overwritten);
        self.io_lost = self.io_lost.saturating_add(io_lost);
        if first == 0 || last < first {
            return Some(format!("audit.loss of the numbers {first} to {last}, which is no range"));
        }
        self.lost.push((first, last));
        let (range, told) = (last - first + 1, overwritten.saturating_add(io_lost));
        (range != told).then(|| {
            format!(
                "audit.loss tells of {told} lost events, its range {first} to {last} has {range}"
            )
        })
    }

    fn stop(&mut self, line: &Line<'_>, (file, number): (&str, u64)) -> Option<String> {
        let counts = line.data().and_then(Counts::of);
        self.stop = Some(Stop { file: file.to_owned(), line: number, counts });
        counts.is_none().then(|| "audit.stop without the whole accounting".to_owned())
    }

    /// Holds the numbers that lines have against those that `audit.loss` and `audit.retired` lines
    /// name. Returns how many are neither.
    fn settle_numbers(&self, removed: &Removed, report: &mut Verification) -> u64 {
        if self.overwritten > 0 || self.io_lost > 0 {
            let (overwritten, io_lost) = (self.overwritten, self.io_lost);
            let lost = overwritten.saturating_add(io_lost);
            let events = if lost == 1 { "event" } else { "events" };
            let what =
                format!("{lost} {events} lost: {overwritten} overwritten, {io_lost} io_lost");
            report.find(None, Some(&self.id), what);
        }
        let mut ranges: Vec<(u64, u64)> = self.held.0.iter().chain(&self.lost).copied().collect();
        ranges.sort_unstable();
        let gone = removed.ranges.iter().map(|range| range.0).min();
        let first = ranges.first().map(|range| range.0).or(gone).unwrap_or(1);
        let mut expected = if self.from_the_start { 1 } else { first };
        let (mut unexplained, mut gaps) = (0_u64, 0);
        let mut gap = |between: (u64, u64), report: &mut Verification| {
            for (first, last) in without(between, &removed.ranges) {
                unexplained += last - first + 1;
                gaps += 1;
                if gaps <= GAPS_MAX {
                    let what = format!("{} in no line and in no audit.loss", span(first, last));
                    report.find(None, Some(&self.id), what);
                }
            }
        };
        for &(first, last) in &ranges {
            if first > expected {
                gap((expected, first - 1), report);
            } else if first < expected {
                let numbers = span(first, last.min(expected - 1));
                let what = format!("{numbers} told as lost, and there or told twice");
                report.find(None, Some(&self.id), what);
            }
            expected = expected.max(last.saturating_add(1));
        }
        // Where retention took all that this instance ever said of its numbers, the lines that told of the
        // last of them may have gone with other files, too.
        let says_some = self.from_the_start || !ranges.is_empty();
        let counts = self.stop.as_ref().and_then(|stop| stop.counts);
        if let Some(last) = counts.map(|counts| counts.last_seq()).filter(|_| says_some)
            && last >= expected
        {
            gap((expected, last), report);
        }
        if gaps > GAPS_MAX {
            let what = format!("{gaps} gaps; {unexplained} numbers in no line and no audit.loss");
            report.find(None, Some(&self.id), what);
        }
        unexplained
    }

    /// Holds the accounting of `audit.stop` against itself and against the lines.
    fn settle_counts(&self, removed: &Removed, report: &mut Verification) {
        let Some(Stop { file, line, counts: Some(counts) }) = &self.stop else { return };
        let mut find = |what| report.find(Some((file, *line)), Some(&self.id), what);
        let (emitted, ends) = (counts.emitted, counts.ends());
        if emitted != ends {
            find(format!("audit.stop does not add up: {emitted} emitted, {ends} ends"));
        }
        if counts.queued != 0 {
            find(format!("audit.stop leaves {} events queued", counts.queued));
        }
        let compare = [
            ("written", counts.written, self.events, removed.events),
            ("overwritten", counts.overwritten, self.overwritten, removed.overwritten),
            ("io_lost", counts.io_lost, self.io_lost, removed.io_lost),
        ];
        for (name, told, found, removed) in compare {
            // Files that were removed took lines with them, but added none.
            let is_all = told == found || told == found.saturating_add(removed);
            if told < found || (self.from_the_start && !is_all) {
                find(format!("audit.stop says {told} {name}; the files hold {found}"));
            }
        }
    }
}

/// Whether an `audit.start` tells of retention.
fn has_retention(start: &Line<'_>) -> bool {
    let is_set = |name| start.data().and_then(|data| data.get(name)).is_some_and(|v| !v.is_null());
    is_set("retention_days") || is_set("max_total_bytes")
}

/// What of a range is in none of these.
fn without((first, last): (u64, u64), ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let (mut left, mut expected) = (Vec::new(), first);
    for (from, to) in ranges.into_iter().filter(|range| range.1 >= first && range.0 <= last) {
        if from > expected {
            left.push((expected, from - 1));
        }
        expected = expected.max(to.saturating_add(1));
    }
    if expected <= last {
        left.push((expected, last));
    }
    left
}

fn span(first: u64, last: u64) -> String {
    if first == last { format!("seq {first}") } else { format!("seq {first} to {last}") }
}

/// A set of numbers as sorted ranges that do not touch, both ends included.
#[derive(Default)]
struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds `n`; `false` if it was there.
    fn insert(&mut self, n: u64) -> bool {
        let at = match self.0.last() {
            // The usual case: files are in order.
            Some(&(_, last)) if last < n => self.0.len(),
            _ => self.0.partition_point(|&(first, _)| first <= n),
        };
        if at > 0 && n <= self.0[at - 1].1 {
            return false;
        }
        let joins_before = at > 0 && self.0[at - 1].1 + 1 == n;
        let joins_after = self.0.get(at).is_some_and(|&(first, _)| n + 1 == first);
        match (joins_before, joins_after) {
            (true, true) => self.0[at - 1].1 = self.0.remove(at).1,
            (true, false) => self.0[at - 1].1 = n,
            (false, true) => self.0[at].0 = n,
            (false, false) => self.0.insert(at, (n, n)),
        }
        true
    }

    /// The least and the greatest.
    fn ends(&self) -> Option<(u64, u64)> {
        Some((self.0.first()?.0, self.0.last()?.1))
    }
}

#[cfg(test)]
mod tests;
