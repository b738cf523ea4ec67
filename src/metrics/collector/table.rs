//! The rows of a collector by their labels: a table that only grows, without a lock.

use std::array;
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use llm_audit_log::{EventType, Status};
use llm_audit_process::cell::OnceCell;

use super::cells::{Cells, SHARDS};
use super::texts::KnownText;
use crate::metrics::accounting::add_to_counter;
use crate::record::Ends;
use crate::record::event::AuditEvent;
use crate::record::with_event_type_name;
use crate::sanitize::{Redactions, Sanitizer};

/// Sets of labels that are told apart.
pub(super) const LABEL_SETS_MAX: usize = 1_000;
/// Further rows, in which the model and the tenant are [`OTHER`]. So a new agent or action still shows.
const FOLDED_SETS_MAX: usize = 500;
/// The value of labels that are not told apart. In the last rows all but the type and the status are.
pub(super) const OTHER: &str = "other";
/// Longer labels are not told apart.
pub(super) const LABEL_BYTES_MAX: usize = 256;
/// Three quarters stay free, also with a row of [`OTHER`] for every type and status.
const PLACES: usize = 8_192;
/// Labels that are found without a search, in each shard.
const RECENT: usize = 256;

/// What events are counted by. An empty text means that there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels<'a> {
    pub(super) event_type: EventType<'a>,
    pub(super) status: Status,
    pub(super) agent: &'a str,
    pub(super) action: &'a str,
    pub(super) model: &'a str,
    pub(super) tenant: &'a str,
}

/// The labels of a row, redacted.
#[derive(Debug)]
pub(super) struct RowLabels {
    /// The type's code and the status.
    kind: u16,
    pub(super) event_type: String,
    pub(super) status: Status,
    /// Whether there is neither a model nor a tenant, the type is not the caller's own, and the texts are short.
    is_plain: bool,
    /// Whether the ends of all texts are all of them.
    is_short: bool,
    pub(super) agent: KnownText,
    pub(super) action: KnownText,
    pub(super) model: KnownText,
    pub(super) tenant: KnownText,
}

/// What the labels of an event are found by.
#[derive(Clone, Copy)]
struct Glance {
    /// The type's code and the status.
    kind: u16,
    agent: Ends,
    action: Ends,
    /// A number for the model and the tenant.
    members: u64,
}

pub(super) struct Row {
    pub(super) labels: RowLabels,
    pub(super) cells: Cells,
}

pub(super) struct Table {
    places: Box<[OnceCell<Row>; PLACES]>,
    rows: AtomicUsize,
    /// Events whose labels are not told apart.
    others: AtomicU64,
    /// Where rows were found lately, by a glance at the labels. Each thread asks its own shard.
    recent: [CachePadded<[AtomicU16; RECENT]>; SHARDS],
    /// Its own, so that nobody knows which labels have places near each other.
    hashes: RandomState,
    sanitizer: Sanitizer,
}

impl Table {
    pub(super) fn new(sanitizer: Sanitizer) -> Self {
        Self {
            places: Box::new(array::from_fn(|_| OnceCell::new())),
            rows: AtomicUsize::new(0),
            others: AtomicU64::new(0),
            recent: array::from_fn(|_| CachePadded::new(array::from_fn(|_| AtomicU16::new(0)))),
            hashes: RandomState::new(),
            sanitizer,
        }
    }

    /// Returns the cells of these labels, or those of the others. `shard` is that of the thread.
    #[inline(always)]
    pub(super) fn cells(&self, event: &AuditEvent<'_>, shard: usize) -> Option<&Cells> {
        let glance = Glance::at(event);
        let recent = &self.recent[shard % SHARDS][glance.mix() % RECENT];
        match self.places[usize::from(recent.load(Ordering::Relaxed)) % PLACES].get() {
            Some(row) if row.labels.are(event, glance) => Some(&row.cells),
            _ => self.look_further(event, recent),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_further(&self, event: &AuditEvent<'_>, recent: &AtomicU16) -> Option<&Cells> {
        let labels = &Labels::of(event);
        let (place, found) = self.find(labels)?;
        match found {
            Some(row) => {
                recent.store(place as u16, Ordering::Relaxed);
                Some(&row.cells)
            }
            None => self.add(labels),
        }
    }

    /// Returns the rows, each with its place, which never changes.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &Row)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(place, row)| Some((place, row.get()?)))
    }

    /// Returns how many places in a row are taken at most.
    #[cfg(test)]
    pub(super) fn longest_run(&self) -> usize {
        let runs = self.places.split(|place| place.get().is_none());
        runs.map(<[_]>::len).max().unwrap_or(0)
    }

    pub(super) fn sanitizer(&self) -> &Sanitizer {
        &self.sanitizer
    }

    pub(super) fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    /// Returns the place of the row and the row, or the free place for it. There are always free places.
    fn find(&self, labels: &Labels<'_>) -> Option<(usize, Option<&Row>)> {
        let first = self.hashes.hash_one(labels.texts()) as usize;
        (0..PLACES).find_map(|probe| {
            let place = first.wrapping_add(probe) % PLACES;
            match self.places[place].get() {
                Some(row) if row.labels.are_in_full(labels) => Some((place, Some(row))),
                Some(_) => None,
                None => Some((place, None)),
            }
        })
    }

    /// Returns the cells of labels that no row has as they are. Only redacted texts enter the table.
    fn add(&self, labels: &Labels<'_>) -> Option<&Cells> {
        let redacted = |text| match text {
            long if str::len(long) > LABEL_BYTES_MAX => Cow::Borrowed(OTHER),
            text => self.sanitizer.redact_str(text),
        };
        let texts = [labels.agent, labels.action, labels.model, labels.tenant];
        let [agent, action, model, tenant] = texts.map(redacted);
        with_event_type_name(
            labels.event_type.name(),
            &self.sanitizer,
            &mut Redactions::default(),
            |event_type| {
                let event_type = EventType::from_name(event_type);
                let status = labels.status;
                let (agent, action) = (&*agent, &*action);
                let (model, tenant) = (&*model, &*tenant);
                let whole = Labels { event_type, status, agent, action, model, tenant };
                self.add_redacted(&whole, LABEL_SETS_MAX).or_else(|| {
                    add_to_counter(&self.others, 1);
                    let folded = whole.without_model();
                    self.add_redacted(&folded, LABEL_SETS_MAX + FOLDED_SETS_MAX)
                        .or_else(|| self.add_redacted(&whole.of_others(), usize::MAX))
                })
            },
        )
    }

    /// Returns the cells of a row, which is added if there are fewer rows than `rows_max`.
    fn add_redacted(&self, labels: &Labels<'_>, rows_max: usize) -> Option<&Cells> {
        loop {
            let (place, found) = self.find(labels)?;
            if let Some(row) = found {
                return Some(&row.cells);
            }
            // Several threads may be here at once, so there may be a few rows more. Acquire: who sees the number
            // of a row also finds it.
            if self.rows.load(Ordering::Acquire) >= rows_max {
                return self.find(labels)?.1.map(|row| &row.cells);
            }
            let row = Row { labels: RowLabels::new(labels), cells: Cells::default() };
            // If it fails, another thread put a row into this place meanwhile, perhaps the same one.
            if let Ok(row) = self.places[place].try_set(row) {
                self.rows.fetch_add(1, Ordering::Release);
                return Some(&row.cells);
            }
        }
    }
}

/// Returns the type's code and the status as one number. Types of the callers' own have one code.
#[inline(always)]
fn kind(event_type: EventType<'_>, status: Status) -> u16 {
    u16::from_le_bytes([event_type.code(), status as u8])
}

impl Glance {
    #[inline(always)]
    fn at(event: &AuditEvent<'_>) -> Self {
        // First, so that a call of this function finds the registers free.
        let members = if event.has_members { mix_members(event) } else { 0 };
        Self {
            members,
            kind: kind(event.event_type, event.status),
            agent: Ends::of(event.agent),
            action: Ends::of(event.action),
        }
    }

    /// Returns a number that mostly differs between labels.
    #[inline(always)]
    fn mix(self) -> usize {
        // An odd number with bits in all places, from the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let seen = self.agent.mix() ^ self.action.mix().rotate_left(23) ^ u64::from(self.kind);
        ((seen ^ self.members).wrapping_mul(FACTOR) >> 40) as usize
    }
}

#[inline(never)]
fn mix_members(event: &AuditEvent<'_>) -> u64 {
    Ends::of(event.model).mix().rotate_left(37) ^ Ends::of(event.tenant).mix().rotate_left(51)
}

impl<'a> Labels<'a> {
    #[inline(always)]
    fn of(event: &AuditEvent<'a>) -> Self {
        Self {
            event_type: event.event_type,
            status: event.status,
            agent: event.agent,
            action: event.action,
            model: event.model,
            tenant: event.tenant,
        }
    }

    /// Returns all that tells labels apart, to hash it.
    fn texts(&self) -> (&str, Status, [&str; 4]) {
        let texts = [self.agent, self.action, self.model, self.tenant];
        (self.event_type.name(), self.status, texts)
    }

    /// Returns the labels of all events that differ in the model and the tenant alone.
    fn without_model(&self) -> Self {
        let folded = |text: &'a str| if text.is_empty() { text } else { OTHER };
        Self { model: folded(self.model), tenant: folded(self.tenant), ..*self }
    }

    /// Returns the labels of all events that are not told apart from these.
    fn of_others(&self) -> Labels<'static> {
        let known = EventType::ALL.get(usize::from(self.event_type.code()));
        Labels {
            event_type: known.copied().unwrap_or(EventType::Custom(OTHER)),
            status: self.status,
            agent: OTHER,
            action: OTHER,
            model: OTHER,
            tenant: OTHER,
        }
    }
}

impl RowLabels {
    fn new(labels: &Labels<'_>) -> Self {
        let texts = [labels.agent, labels.action, labels.model, labels.tenant];
        let is_short = texts.iter().all(|text| text.len() <= Ends::BYTES);
        let has_members = labels.model.len() | labels.tenant.len() != 0;
        let is_own = matches!(labels.event_type, EventType::Custom(_));
        Self {
            kind: kind(labels.event_type, labels.status),
            event_type: labels.event_type.name().to_owned(),
            status: labels.status,
            is_plain: is_short && !has_members && !is_own,
            is_short,
            agent: KnownText::new(labels.agent),
            action: KnownText::new(labels.action),
            model: KnownText::new(labels.model),
            tenant: KnownText::new(labels.tenant),
        }
    }

    #[inline(always)]
    fn are(&self, event: &AuditEvent<'_>, glance: Glance) -> bool {
        self.kind == glance.kind
            && self.agent.has_ends(event.agent.len(), glance.agent)
            && self.action.has_ends(event.action.len(), glance.action)
            && ((self.is_plain && !event.has_members) || self.are_the_rest(event))
    }

    /// Compares what the plain ones do not have.
    #[inline(never)]
    fn are_the_rest(&self, event: &AuditEvent<'_>) -> bool {
        self.model.has_ends(event.model.len(), Ends::of(event.model))
            && self.tenant.has_ends(event.tenant.len(), Ends::of(event.tenant))
            && (self.is_short || self.have_middles(event))
            && (!matches!(event.event_type, EventType::Custom(_))
                || self.event_type == event.event_type.name())
    }

    fn have_middles(&self, event: &AuditEvent<'_>) -> bool {
        self.agent.text == event.agent
            && self.action.text == event.action
            && self.model.text == event.model
            && self.tenant.text == event.tenant
    }

    fn are_in_full(&self, labels: &Labels<'_>) -> bool {
        self.status == labels.status
            && self.agent.text == labels.agent
            && self.action.text == labels.action
            && self.model.text == labels.model
            && self.tenant.text == labels.tenant
            && self.event_type == labels.event_type.name()
    }
}
