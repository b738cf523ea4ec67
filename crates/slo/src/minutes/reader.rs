//! Reads a log into minutes.
//!
//! Loggers that write `audit.totals` are counted by these lines, which have every event. Those that write none, such
//! as `llm-audit record`, are counted by their events. If a logger was killed, the events after its last totals
//! are counted by their lines. Those that sampling left out are unknown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use llm_audit_log::schema::Prefix;
use llm_audit_log::schema::notices::{EventTotals, Loss, ReadNotice, Started};
use llm_audit_log::{CaptureContent, Entry, Folder, Line, Lines, LogFile};
use serde::{Deserialize, Serialize};

use super::Minutes;
use super::instance::{FilePlace, Instance};
use crate::error::Error;
use crate::objectives::Objectives;
use crate::span::{MINUTE, floor};

/// What was read so far, to go on from later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReaderState {
    services: BTreeMap<String, Minutes>,
    instances: BTreeMap<String, Instance>,
    /// The instance that wrote the last line of each file.
    last_writers: BTreeMap<String, String>,
    /// Events whose totals were lost, until they are counted.
    #[serde(default)]
    uncounted: Vec<Uncounted>,
}

/// Reads a log into minutes, for each service.
#[derive(Debug)]
pub(crate) struct LogReader {
    objectives: Arc<Objectives>,
    pub(crate) state: ReaderState,
    /// Lines that cannot be read.
    pub(crate) bad_lines: u64,
    /// Whether a line was counted as another number of events than one.
    pub(crate) has_weighed: bool,
}

/// Events of one logger that no totals have counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Uncounted {
    instance: String,
    /// The first of them is after this place.
    place: FilePlace,
    /// They have numbers above the first and up to the second one.
    seqs: (u64, u64),
    /// The end of the totals before them, and when these were written.
    counted: (i64, i64),
    /// They happened before this time.
    before: i64,
}

impl Uncounted {
    /// Reports whether the totals before it have an event although its line comes later: it was held, or was emitted
    /// after the end of their minute and before they were written.
    fn is_counted(&self, time: i64, may_be_held: bool) -> bool {
        let (end, written) = self.counted;
        time < written && (may_be_held || time >= end)
    }
}

impl LogReader {
    pub(crate) fn new(objectives: Arc<Objectives>, state: ReaderState) -> Self {
        Self { objectives, state, bad_lines: 0, has_weighed: false }
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, entry: &mut Entry<'_>) {
        let file = plain_name(entry.file);
        if let Some(Prefix { instance, seq: Some(seq), .. }) = Prefix::of(entry.bytes)
            && let Some(known) = self.state.instances.get_mut(instance)
            && known.has_totals
        {
            // Totals count it.
            known.pass_event(seq, file);
            self.state.note_writer(file, instance);
            return;
        }
        let place = FilePlace { file: file.to_owned(), offset: entry.offset };
        match entry.parse() {
            Ok(line) => self.add_line(&line, place),
            Err(_) => self.bad_lines += 1,
        }
    }

    fn add_line(&mut self, line: &Line<'_>, place: FilePlace) {
        let id = line.instance().unwrap_or_default().to_owned();
        let notice_before = self.state.instances.get(&id).map_or(0, |known| known.last_notice);
        if !id.is_empty() {
            let known = self.state.instances.entry(id.clone()).or_default();
            if !known.is_new(line) {
                return;
            }
            known.revive(&place.file);
            self.state.note_writer(&place.file, &id);
        }
        let is_next = notice_before == 0 || line.notice() == Some(notice_before + 1);
        match ReadNotice::of(line) {
            Some(ReadNotice::Start(start)) => self.state.instance(&id).begin(start, place),
            Some(ReadNotice::Totals(Some(totals))) => {
                self.add_totals(&id, &totals, line.timestamp(), place, is_next);
            }
            // As if the line was lost, which the next totals show.
            Some(ReadNotice::Totals(None)) => self.state.instance(&id).last_notice = notice_before,
            Some(ReadNotice::Loss(Some(loss))) => self.add_loss(&id, loss, line),
            Some(ReadNotice::Stop(_)) => self.state.instance(&id).has_stopped = true,
            Some(_) => {}
            None => self.add_event(&id, line),
        }
        let service = self.state.service_of(&id);
        let last_write = &mut self.state.minutes(&service).last_write;
        *last_write = line.timestamp().unwrap_or(0).max(*last_write);
    }

    fn add_event(&mut self, id: &str, line: &Line<'_>) {
        let known = self.state.instances.get(id);
        let weight = known.map_or(1.0, |known| known.weight_of(line));
        let is_counted = known.is_some_and(|known| known.has_totals);
        if !is_counted && weight > 0.0 {
            self.has_weighed |= weight != 1.0;
            let service = self.state.service_of(id);
            self.state.minutes(&service).add_line(line, weight, &self.objectives.objectives);
        }
    }

    fn add_loss(&mut self, id: &str, loss: Loss, line: &Line<'_>) {
        let lost = loss.overwritten.saturating_add(loss.io_lost);
        let is_counted = self.state.instances.get(id).is_some_and(|known| known.has_totals);
        if let Some(time) = line.timestamp() {
            let service = self.state.service_of(id);
            let objectives = &self.objectives.objectives;
            self.state.minutes(&service).add_lost(time, lost, is_counted, objectives);
        }
    }

    fn add_totals(
        &mut self,
        id: &str,
        totals: &EventTotals,
        written: Option<i64>,
        place: FilePlace,
        is_next: bool,
    ) {
        let service = self.state.service_of(id);
        let rows = (&*totals.rows, &totals.users);
        self.state.minutes(&service).add_totals(totals.minute(), rows, &self.objectives.objectives);
        let known = self.state.instance(id);
        // A line between was lost. If it had totals, the events in it are before these.
        let uncounted = (!is_next).then(|| Uncounted {
            instance: id.to_owned(),
            place: known.totals_before.clone(),
            seqs: (known.through_seq, totals.through_seq),
            counted: known.counted,
            before: floor(totals.from, MINUTE),
        });
        known.has_totals = true;
        known.through_seq = totals.through_seq;
        known.counted = (totals.to, written.unwrap_or(totals.to));
        known.totals_before = std::mem::replace(&mut known.totals_last, place);
        self.state.uncounted.extend(uncounted);
    }

    /// Counts the events that no totals have counted. It has to be called after all lines of the folder were
    /// added.
    ///
    /// A logger that seems to be dead may be about to begin another file. It is taken for killed when it seems
    /// dead for the second time without a new line.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub(crate) fn settle(&mut self, folder: &Folder) -> Result<(), Error> {
        while let Some(uncounted) = self.state.uncounted.last() {
            let service = self.state.service_of(&uncounted.instance);
            let counted = self.count_lines(uncounted, folder)?;
            self.state.minutes(&service).merge(&counted);
            self.state.uncounted.pop();
        }
        let locked: Vec<_> = folder
            .files()
            .iter()
            .filter(|file| file.is_locked())
            .map(|file| plain_name(file.name()))
            .collect();
        self.state.services.values_mut().for_each(|minutes| minutes.has_writer = false);
        let mut killed = Vec::new();
        for (id, known) in &mut self.state.instances {
            let is_last = self.state.last_writers.get(&known.file) == Some(id);
            let is_open = is_last && locked.contains(&&*known.file);
            if known.is_killed(is_open) {
                killed.push((id.clone(), known.lines_after_totals(id)));
            }
            if is_open && let Some(minutes) = self.state.services.get_mut(&known.service) {
                minutes.has_writer = true;
            }
        }
        for (id, uncounted) in killed {
            let counted = self.count_lines(&uncounted, folder)?;
            self.state.instance(&id).uncounted = Some(counted);
        }
        Ok(())
    }

    /// Counts events by their lines.
    fn count_lines(&self, uncounted: &Uncounted, folder: &Folder) -> Result<Minutes, Error> {
        let Uncounted { instance, place, seqs, before, .. } = uncounted;
        let known = self.state.instances.get(instance).cloned().unwrap_or_default();
        let files = folder.files();
        let first = files.iter().position(|file| plain_name(file.name()) == place.file);
        let mut counted = Minutes::default();
        for (at, file) in files.iter().enumerate().skip(first.unwrap_or(0)) {
            let start = if Some(at) == first { place.offset } else { 0 };
            for_each_event_of(file, start, instance, *seqs, |line| {
                let may_be_held = line.may_be_held(known.holds_content);
                let is_meant = |time| time < *before && !uncounted.is_counted(time, may_be_held);
                if line.timestamp().is_some_and(is_meant) {
                    let weight = known.weight_of(line);
                    counted.add_uncounted_line(line, weight, &self.objectives.objectives);
                }
            })?;
        }
        Ok(counted)
    }

    /// Forgets what is too old, and instances whose files are not there any more.
    pub(crate) fn fold(&mut self, now: i64, folder: &Folder) {
        let state = &mut self.state;
        for minutes in state.services.values_mut() {
            // A line of the future, because the clock was set back, must not hide that nothing comes any more.
            minutes.last_write = minutes.last_write.min(now);
        }
        // A clock that is set far ahead for a while, and its events, must not make everything old.
        let now =
            state.services.values().filter_map(Minutes::before_last).max().map(|at| at.min(now));
        let fold = |minutes: &mut Minutes| now.into_iter().for_each(|now| minutes.fold(now));
        state.services.values_mut().for_each(fold);
        let is_there =
            |name: &str| folder.files().iter().any(|file| plain_name(file.name()) == name);
        state.last_writers.retain(|file, _| is_there(file));
        state.instances.retain(|_, known| {
            known.uncounted.iter_mut().for_each(fold);
            is_there(&known.file)
                || known.uncounted.as_ref().is_some_and(|minutes| minutes.range().is_some())
        });
    }

    /// Returns the services that were seen.
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        self.state.services.keys().map(String::as_str)
    }

    /// Returns the minutes of a service, with the last events of its killed loggers.
    pub(crate) fn minutes_of(&self, service: &str) -> Cow<'_, Minutes> {
        let mut minutes = match self.state.services.get(service) {
            Some(minutes) => Cow::Borrowed(minutes),
            None => Cow::Owned(Minutes::default()),
        };
        let instances = self.state.instances.values().filter(|known| known.service == service);
        for uncounted in instances.filter_map(|known| known.uncounted.as_ref()) {
            minutes.to_mut().merge(uncounted);
        }
        minutes
    }
}

impl LogReader {
    /// Returns the minutes of all services together.
    pub(crate) fn minutes_of_all(&self) -> Minutes {
        let mut all = Minutes::default();
        self.services().for_each(|service| all.merge(&self.minutes_of(service)));
        all
    }
}

impl ReaderState {
    fn instance(&mut self, id: &str) -> &mut Instance {
        self.instances.entry(id.to_owned()).or_default()
    }

    fn service_of(&self, id: &str) -> String {
        self.instances.get(id).map_or(String::new(), |known| known.service.clone())
    }

    fn minutes(&mut self, service: &str) -> &mut Minutes {
        self.services.entry(service.to_owned()).or_default()
    }

    fn note_writer(&mut self, file: &str, instance: &str) {
        match self.last_writers.get_mut(file) {
            Some(last) if last == instance => {}
            Some(last) => instance.clone_into(last),
            None => drop(self.last_writers.insert(file.to_owned(), instance.to_owned())),
        }
    }
}

impl Instance {
    fn begin(&mut self, start: Started, place: FilePlace) {
        self.service = start.service.unwrap_or_default();
        self.has_totals = start.totals;
        self.rates = start.rates;
        self.holds_content = start.capture_content == Some(CaptureContent::Failed);
        if self.totals_last.file.is_empty() {
            (self.totals_before, self.totals_last) = (place.clone(), place);
        }
    }

    fn pass_event(&mut self, seq: u64, file: &str) {
        if seq > self.last_seq {
            self.last_seq = seq;
            self.revive(file);
        }
    }

    /// Notes that there is a new line, in this file.
    fn revive(&mut self, file: &str) {
        if self.file != file {
            file.clone_into(&mut self.file);
        }
        (self.uncounted, self.suspected_at) = (None, None);
    }

    /// Whether it has to be taken for killed now.
    fn is_killed(&mut self, is_open: bool) -> bool {
        if is_open || self.has_stopped || !self.has_totals || self.uncounted.is_some() {
            return false;
        }
        let last = Some(self.last_numbers());
        std::mem::replace(&mut self.suspected_at, last) == last
    }

    fn lines_after_totals(&self, id: &str) -> Uncounted {
        let (instance, place) = (id.to_owned(), self.totals_before.clone());
        let seqs = (self.through_seq, u64::MAX);
        Uncounted { instance, place, seqs, counted: self.counted, before: i64::MAX }
    }
}

/// Returns the name of a file as it is, or was, without compression.
fn plain_name(name: &str) -> &str {
    name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(name)
}

/// Gives each event of an instance with a number above the first and up to the second one to `each`.
fn for_each_event_of(
    file: &LogFile,
    start: u64,
    instance: &str,
    seqs: (u64, u64),
    mut each: impl FnMut(&Line<'_>),
) -> Result<(), Error> {
    // What can be read once was read.
    if file.is_stream() {
        return Ok(());
    }
    let mut lines = Lines::of_part(file, start..u64::MAX);
    while let Some(mut entry) = lines.next_line()? {
        let prefix = Prefix::of(entry.bytes).filter(|prefix| prefix.instance == instance);
        let seq = prefix.and_then(|prefix| prefix.seq);
        if seq.is_some_and(|seq| seq > seqs.0 && seq <= seqs.1)
            && let Ok(line) = entry.parse()
        {
            each(&line);
        }
    }
    Ok(())
}
