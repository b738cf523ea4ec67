//! Which events one request of `PutLogEvents` has, by the
//! [limits of the service](https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html).

use std::ops::Range;

/// The most bytes of one request, in which each event counts for 26 bytes more than its message.
pub(super) const REQUEST_BYTES_MAX: usize = 1_048_576;
pub(super) const EVENT_BYTES: usize = 26;
/// The most events of one request.
const EVENTS_MAX: usize = 10_000;
/// The most milliseconds from the first to the last event of a request.
const SPAN_MAX: i64 = 24 * 60 * 60 * 1_000;

/// Cuts events into requests. Each is given by its time and the bytes of its message, in the order of time.
pub(super) fn chunks(events: impl IntoIterator<Item = (i64, usize)>) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut bytes, mut first) = (0..0, 0, 0);
    for (timestamp, message_bytes) in events {
        let event_bytes = message_bytes + EVENT_BYTES;
        let has_room = chunk.len() < EVENTS_MAX
            && bytes + event_bytes <= REQUEST_BYTES_MAX
            && timestamp - first < SPAN_MAX;
        if !has_room && !chunk.is_empty() {
            chunks.push(chunk.clone());
            chunk.start = chunk.end;
        }
        if chunk.is_empty() {
            (bytes, first) = (0, timestamp);
        }
        chunk.end += 1;
        bytes += event_bytes;
    }
    chunks.push(chunk);
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_within_the_limits() {
        let half = REQUEST_BYTES_MAX / 2 - EVENT_BYTES;
        let cases = [
            (vec![(0, 1); 20_001], vec![0..10_000, 10_000..20_000, 20_000..20_001]),
            (vec![(0, half), (0, half), (0, 1)], vec![0..2, 2..3]),
            (vec![(0, half + 1), (0, half)], vec![0..1, 1..2]),
            ([-1, 0, SPAN_MAX - 2, SPAN_MAX - 1].map(|at| (at, 1)).into(), vec![0..3, 3..4]),
            ([0, 3 * SPAN_MAX, 5 * SPAN_MAX].map(|at| (at, 1)).into(), vec![0..1, 1..2, 2..3]),
        ];
        for (events, expected) in cases {
            assert_eq!(chunks(events.clone()), expected, "{:?}", &events[..2]);
        }
    }
}
