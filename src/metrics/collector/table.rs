//! The rows of a collector by their labels: a table that only grows, without a lock.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use llm_audit_log::{EventType, Status};
use llm_audit_process::cell::OnceCell;

use super::cells::Cells;
use super::label_key::LabelKey;
use crate::context::random_span_id;
use crate::metrics::accounting::add_to_counter;
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
const LABEL_BYTES_MAX: usize = 256;
/// Three quarters stay free, also with a row of [`OTHER`] for every type and status.
const PLACES: usize = 8_192;

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
    key: LabelKey,
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
    /// Its own, so that nobody knows which labels have places near each other.
    seed: u64,
    sanitizer: Sanitizer,
}

impl Table {
    pub(super) fn new(sanitizer: Sanitizer) -> Self {
        Self {
            places: (0..PLACES).map(|_| OnceCell::new()).collect(),
            rows: AtomicUsize::new(0),
            others: AtomicU64::new(0),
            seed: random_span_id(),
            sanitizer,
        }
    }

    /// Returns the cells of these labels, or those of the others.
    #[inline(always)]
    pub(super) fn cells(&self, event: &AuditEvent<'_>) -> Option<&Cells> {
        let key = LabelKey::new(&Labels::of(event), self.seed);
        // The row is mostly at its first place.
        let place = self.places[key.hash(self.seed) as usize % PLACES].get();
        match place {
            Some(row) if row.labels.are(&key, event) => Some(&row.cells),
            _ => self.look_further(event),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_further(&self, event: &AuditEvent<'_>) -> Option<&Cells> {
        let labels = &Labels::of(event);
        match self.find(labels)? {
            Ok(row) => Some(&row.cells),
            Err(_) => self.add(labels),
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

    /// Returns the row, or the free place for it. There are always free places.
    fn find(&self, labels: &Labels<'_>) -> Option<Result<&Row, &OnceCell<Row>>> {
        let key = LabelKey::new(labels, self.seed);
        let first = key.hash(self.seed) as usize;
        (0..PLACES).find_map(|probe| {
            let place = &self.places[first.wrapping_add(probe) % PLACES];
            match place.get() {
                Some(row) if row.labels.key.is(&key) && row.labels.are_in_full(labels) => {
                    Some(Ok(row))
                }
                Some(_) => None,
                None => Some(Err(place)),
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
            let place = match self.find(labels)? {
                Ok(row) => return Some(&row.cells),
                Err(place) => place,
            };
            // Several threads may be here at once, so there may be a few rows more. Acquire: who sees the number
            // of a row also finds it.
            if self.rows.load(Ordering::Acquire) >= rows_max {
                return self.find(labels)?.ok().map(|row| &row.cells);
            }
            let labels_of_row = RowLabels::new(labels, self.seed);
            let row = Row { labels: labels_of_row, cells: Cells::default() };
            // If it fails, another thread put a row into this place meanwhile, perhaps the same one.
            if let Ok(row) = place.try_set(row) {
                self.rows.fetch_add(1, Ordering::Release);
                return Some(&row.cells);
            }
        }
    }
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
    fn new(labels: &Labels<'_>, seed: u64) -> Self {
        Self {
            key: LabelKey::new(labels, seed),
            event_type: labels.event_type.name().to_owned(),
            status: labels.status,
            agent: labels.agent.to_owned(),
            action: labels.action.to_owned(),
            model: labels.model.to_owned(),
            tenant: labels.tenant.to_owned(),
        }
    }

    #[inline(always)]
    fn are(&self, key: &LabelKey, event: &AuditEvent<'_>) -> bool {
        let is_known = !matches!(event.event_type, EventType::Custom(_));
        self.key.is(key) && (key.is_whole && is_known || self.are_in_full(&Labels::of(event)))
    }

    fn are_in_full(&self, labels: &Labels<'_>) -> bool {
        self.status == labels.status
            && self.agent == labels.agent
            && self.action == labels.action
            && self.model == labels.model
            && self.tenant == labels.tenant
            && self.event_type == labels.event_type.name()
    }
}
