//! Lines that were read and not yet acknowledged, and what is sent of them.

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
    /// What is still to be sent; the next one is the last.
    shipments: Vec<Shipment>,
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
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            lines: Vec::new(),
            parts: Vec::new(),
            shipments: Vec::new(),
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

    pub(super) fn is_full(&self, limits: &BatchLimits) -> bool {
        self.lines.len() >= limits.lines || self.text.len() >= limits.bytes
    }

    pub(super) fn add(&mut self, part: usize, item: T, timestamp: Option<i64>, line: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(line);
        let shipped = Shipped { item, line: self.lines.len() };
        self.lines.push(start..self.text.len());
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, Vec::new);
        }
        self.parts[part].push(shipped);
        self.until = timestamp.or(self.until);
    }

    /// Says that all lines are read. `arrange` returns the items of each request of a part.
    pub(super) fn close(
        &mut self,
        positions: Vec<Position>,
        arrange: impl Fn(&mut [Shipped<T>]) -> Vec<Range<usize>>,
    ) {
        self.positions = positions;
        for (part, items) in self.parts.iter_mut().enumerate().filter(|(_, of)| !of.is_empty()) {
            self.shipments.extend(arrange(items).into_iter().map(|items| Shipment { part, items }));
        }
        self.shipments.reverse();
    }

    pub(super) fn next_shipment(&self) -> Option<Shipment> {
        self.shipments.last().cloned()
    }

    pub(super) fn items(&self, shipment: &Shipment) -> &[Shipped<T>] {
        &self.parts[shipment.part][shipment.items.clone()]
    }

    /// Removes the next shipment: every item was acknowledged or refused.
    pub(super) fn finish_shipment(&mut self) {
        self.shipments.pop();
    }

    /// Makes two of the next shipment. Returns `false` if it is a single item.
    pub(super) fn split_shipment(&mut self) -> bool {
        let Some(Shipment { part, items }) = self.shipments.pop_if(|last| last.items.len() > 1)
        else {
            return false;
        };
        let middle = items.start + items.len() / 2;
        self.shipments.push(Shipment { part, items: middle..items.end });
        self.shipments.push(Shipment { part, items: items.start..middle });
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
        (self.until, self.positions) = (None, Vec::new());
    }
}
