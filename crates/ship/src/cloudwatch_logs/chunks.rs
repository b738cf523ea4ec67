//! Which events one request of `PutLogEvents` has, by the
//! [limits of the service](https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html).

/// The most bytes of one request, in which each event counts for 26 bytes more than its message.
pub(super) const REQUEST_BYTES_MAX: usize = 1_048_576;
pub(super) const EVENT_BYTES: usize = 26;
/// The most events of one request.
const EVENTS_MAX: usize = 10_000;
/// The most milliseconds from the first to the last event of a request.
const SPAN_MAX: i64 = 24 * 60 * 60 * 1_000;

/// Places events in requests, in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunk: usize,
    events: usize,
    bytes: usize,
    /// The first and the last time in the chunk.
    times: Option<(i64, i64)>,
}

impl Chunks {
    /// Returns the request of an event with this time and so many bytes.
    pub(super) fn place(&mut self, timestamp: i64, message_bytes: usize) -> usize {
        let bytes = message_bytes + EVENT_BYTES;
        let (first, last) = self.times.unwrap_or((timestamp, timestamp));
        let times = (first.min(timestamp), last.max(timestamp));
        let has_room = self.events < EVENTS_MAX
            && self.bytes + bytes <= REQUEST_BYTES_MAX
            && times.1 - times.0 < SPAN_MAX;
        if has_room {
            self.events += 1;
            self.bytes += bytes;
            self.times = Some(times);
        } else {
            *self = Self {
                chunk: self.chunk + 1,
                events: 1,
                bytes,
                times: Some((timestamp, timestamp)),
            };
        }
        self.chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_within_the_limits() {
        let mut chunks = Chunks::default();
        let places: Vec<_> = (0..20_001).map(|_| chunks.place(0, 1)).collect();
        let [first, second, third] =
            [0, 1, 2].map(|of| places.iter().filter(|at| **at == of).count());
        assert_eq!((first, second, third), (10_000, 10_000, 1));
        let mut chunks = Chunks::default();
        let half = REQUEST_BYTES_MAX / 2 - EVENT_BYTES;
        assert_eq!([half, half, 1].map(|bytes| chunks.place(0, bytes)), [0, 0, 1]);
        let mut chunks = Chunks::default();
        assert_eq!([0, SPAN_MAX - 1, -1, SPAN_MAX].map(|at| chunks.place(at, 1)), [0, 0, 1, 2]);
    }
}
