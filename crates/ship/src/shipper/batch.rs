//! Lines that were read and not yet acknowledged, and what is sent of them.

use std::mem;
use std::ops::Range;

use llm_audit_log::Position;

use super::destination::{BatchLimits, Rejected, Shipped};

/// How much of a buffer stays for the next lines after a long one.
pub(super) const BUFFER_BYTES_KEPT: usize = 8 << 20;

/// Lines that were read and not yet acknowledged.
#[derive(Debug)]
pub(super) struct Batch<T> {
    text: Vec<u8>,
    lines: Vec<Range<usize>>,
    parts: Vec<Vec<Shipped<T>>>,
    /// How many items of each part are in shipments or were sent.
    arranged: Vec<usize>,
    /// How many shipments of each part the destination has taken something of.
    accepted: Vec<u64>,
    /// What is still to be sent; the next one is the last.
    shipments: Vec<Shipment>,
    /// Lines and bytes when the batch was closed first.
    closed: (usize, usize),
    /// After the lines.
    pub(super) positions: Vec<Position>,
    /// The time of the last line that has one.
    pub(super) until: Option<i64>,
    /// What was refused of the next shipment and could not be kept yet.
    pub(super) refused: Option<Rejected>,
}

/// Items of one part that one request sends.
#[derive(Clone, Debug)]
pub(super) struct Shipment {
    pub(super) part: usize,
    items: Range<usize>,
    /// [`Batch::accepted`] of the part when the destination first did not take these items.
    accepted_before: Option<u64>,
}

impl Shipment {
    /// Whether the destination did not take these items earlier, alone or among others.
    pub(super) fn has_failed(&self) -> bool {
        self.accepted_before.is_some()
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            lines: Vec::new(),
            parts: Vec::new(),
            arranged: Vec::new(),
            accepted: Vec::new(),
            shipments: Vec::new(),
            closed: (0, 0),
            positions: Vec::new(),
            until: None,
            refused: None,
        }
    }
}

impl<T> Batch<T> {
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The bytes of the lines.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// A batch that was closed takes as much again.
    pub(super) fn is_full(&self, limits: &BatchLimits) -> bool {
        let (lines, bytes) = self.closed;
        self.lines.len() - lines >= limits.lines || self.text.len() - bytes >= limits.bytes
    }

    pub(super) fn add(&mut self, part: usize, item: T, timestamp: Option<i64>, line: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(line);
        let shipped = Shipped { item, line: self.lines.len() };
        self.lines.push(start..self.text.len());
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, Vec::new);
            self.arranged.resize(part + 1, 0);
            self.accepted.resize(part + 1, 0);
        }
        self.parts[part].push(shipped);
        self.until = timestamp.or(self.until);
    }

    /// Says that all lines are read. `arrange` returns the items of each request of a part. They are sent before what
    /// is still to be sent.
    pub(super) fn close(
        &mut self,
        positions: Vec<Position>,
        arrange: impl Fn(&mut [Shipped<T>]) -> Vec<Range<usize>>,
    ) {
        self.positions = positions;
        let mut shipments = Vec::new();
        for (part, items) in self.parts.iter_mut().enumerate() {
            let first = mem::replace(&mut self.arranged[part], items.len());
            if first == items.len() {
                continue;
            }
            for Range { start, end } in arrange(&mut items[first..]) {
                let items = first + start..first + end;
                shipments.push(Shipment { part, items, accepted_before: None });
            }
        }
        self.shipments.extend(shipments.into_iter().rev());
        if self.closed == (0, 0) {
            self.closed = (self.lines.len(), self.text.len());
        }
    }

    pub(super) fn next_shipment(&self) -> Option<Shipment> {
        self.shipments.last().cloned()
    }

    pub(super) fn items(&self, shipment: &Shipment) -> &[Shipped<T>] {
        &self.parts[shipment.part][shipment.items.clone()]
    }

    /// Removes the next shipment: every item was acknowledged or refused, and some were accepted if it says so.
    pub(super) fn finish_shipment(&mut self, has_accepted: bool) {
        if let Some(shipment) = self.shipments.pop() {
            self.accepted[shipment.part] += u64::from(has_accepted);
        }
    }

    /// Whether the destination has accepted others of the part since it first did not take this shipment.
    pub(super) fn has_accepted_since(&self, shipment: &Shipment) -> bool {
        shipment.accepted_before.is_some_and(|before| self.accepted[shipment.part] > before)
    }

    /// Moves the next shipment behind all others.
    pub(super) fn put_last(&mut self) {
        if let Some(mut shipment) = self.shipments.pop() {
            shipment.accepted_before.get_or_insert(self.accepted[shipment.part]);
            self.shipments.insert(0, shipment);
        }
    }

    /// Makes two of the next shipment. Returns `false` if it is a single item.
    pub(super) fn split_shipment(&mut self) -> bool {
        let Some(mut first) = self.shipments.pop_if(|last| last.items.len() > 1) else {
            return false;
        };
        first.accepted_before.get_or_insert(self.accepted[first.part]);
        let middle = first.items.start + first.items.len() / 2;
        let second = Shipment { items: middle..first.items.end, ..first.clone() };
        first.items.end = middle;
        self.shipments.extend([second, first]);
        true
    }

    /// The lines of the items that were refused; those of all items if the destination names none.
    pub(super) fn refused_lines(&self, shipment: &Shipment, rejected: &Rejected) -> Vec<&[u8]> {
        let items = self.items(shipment);
        let line = |item: &Shipped<T>| &self.text[self.lines[item.line].clone()];
        match &rejected.places {
            Some(places) => places.iter().filter_map(|at| items.get(*at)).map(line).collect(),
            None => items.iter().map(line).collect(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(BUFFER_BYTES_KEPT);
        self.lines.clear();
        self.parts.iter_mut().for_each(Vec::clear);
        self.arranged.fill(0);
        self.closed = (0, 0);
        (self.until, self.positions) = (None, Vec::new());
    }
}
