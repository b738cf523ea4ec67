//! The rows of a collector by their labels: a table that only grows, without a lock.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::fast::FixedState;
use llm_audit_log::{EventType, Status};
use llm_audit_process::cell::OnceCell;

use super::cells::Cells;
use crate::context::random_span_id;
use crate::metrics::accounting::add_to_counter;
use crate::record::with_event_type_name;
use crate::sanitize::{Redactions, Sanitizer};

/// Sets of labels that are counted apart. Further ones are counted in the row of the same type and status
/// whose other labels are [`OTHER`].
pub(super) const LABEL_SETS_MAX: usize = 1_000;
/// The value of labels that are not told apart.
pub(super) const OTHER: &str = "other";
/// More than three quarters stay free, also with a row of [`OTHER`] for every type and status.
const PLACES: usize = 8_192;
/// How many places are looked at for a row. If there is none, it counts as one of the others.
const PROBES_MAX: usize = 64;

/// What events are counted by. An empty text means that there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels<'a> {
    pub(crate) event_type: EventType<'a>,
    pub(crate) status: Status,
    pub(crate) agent: &'a str,
    pub(crate) action: &'a str,
    pub(crate) model: &'a str,
    pub(crate) tenant: &'a str,
}

/// The labels of a row, redacted.
#[derive(Debug)]
pub(super) struct RowLabels {
    code: u8,
    pub(super) event_type: String,
    pub(super) status: Status,
    pub(super) agent: String,
    pub(super) action: String,
    pub(super) model: String,
    pub(super) tenant: String,
}

pub(super) struct Row {
    pub(super) labels: RowLabels,
    pub(super) cells: Cells,
}

pub(super) struct Table {
    places: Box<[OnceCell<Row>]>,
    rows: AtomicUsize,
    /// Events whose labels are not told apart.
    others: AtomicU64,
    /// With a seed of its own, so that nobody can choose labels that have the same hash.
    hashes: FixedState,
    sanitizer: Sanitizer,
}

impl Table {
    pub(super) fn new(sanitizer: Sanitizer) -> Self {
        Self {
            places: (0..PLACES).map(|_| OnceCell::new()).collect(),
            rows: AtomicUsize::new(0),
            others: AtomicU64::new(0),
            hashes: FixedState::with_seed(random_span_id()),
            sanitizer,
        }
    }

    /// Returns the cells of these labels, or those of the others.
    #[inline]
    pub(super) fn cells(&self, labels: &Labels<'_>) -> Option<&Cells> {
        match self.find(labels) {
            Ok(row) => Some(&row.cells),
            Err(_) => self.add(labels),
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.places.iter().filter_map(OnceCell::get)
    }

    pub(super) fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    /// Returns the row, or the free place for it if it has not been looked for too long.
    #[inline]
    fn find(&self, labels: &Labels<'_>) -> Result<&Row, Option<&OnceCell<Row>>> {
        let first = self.hash(labels) as usize;
        for probe in 0..PROBES_MAX {
            let place = &self.places[first.wrapping_add(probe) % PLACES];
            match place.get() {
                Some(row) if row.labels.are(labels) => return Ok(row),
                Some(_) => {}
                None => return Err(Some(place)),
            }
        }
        Err(None)
    }

    #[inline]
    fn hash(&self, labels: &Labels<'_>) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        // Lengths end the texts, so that no two sets of labels write the same.
        let lengths = [labels.agent, labels.action, labels.model, labels.tenant]
            .iter()
            .fold(0, |lengths: u64, text| lengths.rotate_left(16) ^ text.len() as u64);
        hasher.write_u64(lengths);
        hasher.write_u16(u16::from_le_bytes([labels.event_type.code(), labels.status as u8]));
        if let EventType::Custom(name) = labels.event_type {
            hasher.write(name.as_bytes());
        }
        hasher.write(labels.agent.as_bytes());
        hasher.write(labels.action.as_bytes());
        for text in [labels.model, labels.tenant] {
            if !text.is_empty() {
                hasher.write(text.as_bytes());
            }
        }
        hasher.finish()
    }

    /// Returns the cells of labels that no row has as they are. Only redacted texts enter the table.
    #[cold]
    fn add(&self, labels: &Labels<'_>) -> Option<&Cells> {
        let texts = [labels.agent, labels.action, labels.model, labels.tenant];
        let [agent, action, model, tenant] = texts.map(|text| self.sanitizer.redact_str(text));
        with_event_type_name(
            labels.event_type.name(),
            &self.sanitizer,
            &mut Redactions::default(),
            |event_type| {
                let event_type = EventType::from_name(event_type);
                let status = labels.status;
                let (agent, action) = (&*agent, &*action);
                let (model, tenant) = (&*model, &*tenant);
                let redacted = Labels { event_type, status, agent, action, model, tenant };
                self.add_redacted(&redacted, false).or_else(|| {
                    add_to_counter(&self.others, 1);
                    self.add_redacted(&redacted.of_others(), true)
                })
            },
        )
    }

    /// Returns the cells of a row, which is added if there is none and there may be one more.
    fn add_redacted(&self, labels: &Labels<'_>, is_other: bool) -> Option<&Cells> {
        loop {
            let place = match self.find(labels) {
                Ok(row) => return Some(&row.cells),
                Err(place) => place?,
            };
            if !is_other && self.rows.fetch_add(1, Ordering::Relaxed) >= LABEL_SETS_MAX {
                self.rows.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let row = place.set(Row { labels: RowLabels::from(labels), cells: Cells::default() });
            if row.labels.are(labels) {
                return Some(&row.cells);
            }
            // Another row was put into this place meanwhile.
        }
    }
}

impl Labels<'_> {
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
    #[inline]
    fn are(&self, labels: &Labels<'_>) -> bool {
        self.code == labels.event_type.code()
            && self.status == labels.status
            && self.agent == labels.agent
            && self.action == labels.action
            && self.model == labels.model
            && self.tenant == labels.tenant
            && (self.code != u8::MAX || self.event_type == labels.event_type.name())
    }
}

impl From<&Labels<'_>> for RowLabels {
    fn from(labels: &Labels<'_>) -> Self {
        Self {
            code: labels.event_type.code(),
            event_type: labels.event_type.name().to_owned(),
            status: labels.status,
            agent: labels.agent.to_owned(),
            action: labels.action.to_owned(),
            model: labels.model.to_owned(),
            tenant: labels.tenant.to_owned(),
        }
    }
}
