//! Ranges of numbers, both ends included.

/// A set of numbers as sorted ranges that do not touch, both ends included.
#[derive(Default)]
pub(super) struct SeqRanges(pub(super) Vec<(u64, u64)>);

impl SeqRanges {
    /// Adds `n`; `false` if it was there.
    pub(super) fn insert(&mut self, n: u64) -> bool {
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
    /// The ranges, sorted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    pub(super) fn first_and_last(&self) -> Option<(u64, u64)> {
        Some((self.0.first()?.0, self.0.last()?.1))
    }
}

/// The parts of a range that none of `ranges` has.
pub(super) fn subtract_seq_ranges(
    (first, last): (u64, u64),
    ranges: &[(u64, u64)],
) -> Vec<(u64, u64)> {
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

pub(super) fn seq_range_text(first: u64, last: u64) -> String {
    if first == last { format!("seq {first}") } else { format!("seq {first} to {last}") }
}
