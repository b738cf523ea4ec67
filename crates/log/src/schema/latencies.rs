//! A histogram of latencies, and its form in a line.

use hdrhistogram::Histogram;

/// Buckets of equal width up to twice this number of microseconds, and in every doubling after that.
const BUCKETS_OF_DOUBLING: u64 = 1 << 10;
/// The longest latency that is told apart from longer ones, in microseconds: some 19 hours.
const MICROS_MAX: u64 = (1 << 36) - 1;

/// A histogram of latencies.
///
/// A percentile is within 0.1 % of the exact one, and within 1 µs below 2 ms. Latencies over 19 hours count as
/// 19 hours. It is an HDR histogram with three significant digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies(Histogram<u64>);

/// The number of buckets.
pub const LATENCY_BUCKETS: usize = latency_bucket(MICROS_MAX) + 1;

/// Returns the bucket of a latency in microseconds.
#[inline]
pub const fn latency_bucket(micros: u64) -> usize {
    let micros = if micros > MICROS_MAX { MICROS_MAX } else { micros };
    // In every doubling the buckets are twice as wide as in the one before. The first two are alike.
    let shift = (BUCKETS_OF_DOUBLING.leading_zeros()
        - (micros | BUCKETS_OF_DOUBLING).leading_zeros()) as u64;
    (shift * BUCKETS_OF_DOUBLING + (micros >> shift)) as usize
}

/// Returns the shortest latency of a bucket, in microseconds.
const fn micros_of_bucket(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / BUCKETS_OF_DOUBLING).saturating_sub(1);
    (bucket - shift * BUCKETS_OF_DOUBLING) << shift
}

impl Default for Latencies {
    fn default() -> Self {
        const DIGITS: u8 = 3;
        let counts = Histogram::new_with_bounds(1, MICROS_MAX, DIGITS);
        Self(counts.expect("the bounds are constants that are accepted"))
    }
}

impl Latencies {
    /// Adds latencies of one bucket.
    pub fn add_to_bucket(&mut self, bucket: usize, count: u64) {
        if count > 0 {
            self.0.saturating_record_n(micros_of_bucket(bucket), count);
        }
    }

    /// Adds the latencies of another histogram.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so there is room.
        let _ = self.0.add(&other.0);
    }

    /// Returns the number of latencies.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns how many latencies are not longer than these milliseconds.
    pub fn count_to_ms(&self, milliseconds: f64) -> u64 {
        if self.0.is_empty() || milliseconds < 0.0 {
            return 0;
        }
        self.0.count_between(0, (milliseconds * 1_000.0) as u64)
    }

    /// Returns the latency in milliseconds that this share of all latencies does not exceed: `0.95` is the
    /// 95th percentile. Returns `None` if there are none.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64 / 1_000.0)
    }

    /// Returns the buckets that are not empty, each with its number and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.0
            .iter_recorded()
            .map(|at| (latency_bucket(at.value_iterated_to()), at.count_since_last_iteration()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_begins_where_the_one_before_it_ends() {
        for bucket in 0..LATENCY_BUCKETS {
            let micros = micros_of_bucket(bucket);
            assert_eq!(latency_bucket(micros), bucket, "{micros}");
            if bucket > 0 {
                assert_eq!(latency_bucket(micros - 1), bucket - 1, "{micros}");
            }
        }
        assert_eq!(latency_bucket(u64::MAX), LATENCY_BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut draws = fastrand::Rng::with_seed(7);
        let mut exact: Vec<u64> =
            (0..100_000).map(|_| (draws.f64() * 18.0).exp2() as u64 + draws.u64(..900)).collect();
        let mut found = Latencies::default();
        for micros in &exact {
            found.add_to_bucket(latency_bucket(*micros), 1);
        }
        exact.sort_unstable();
        for share in [0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let rank = ((exact.len() as f64 * share).ceil() as usize).max(1) - 1;
            let expected = exact[rank] as f64 / 1_000.0;
            let seen = found.quantile_ms(share).unwrap();
            assert!(
                (seen - expected).abs() <= expected * 0.001 + 0.001,
                "{share}: {seen}, {expected}"
            );
        }
        assert_eq!(found.count(), 100_000);
    }

    #[test]
    fn the_buckets_make_the_same_histogram() {
        let mut first = Latencies::default();
        for micros in [0, 1, 1_023, 2_047, 2_048, 5_000_001, MICROS_MAX, u64::MAX] {
            first.add_to_bucket(latency_bucket(micros), 3);
        }
        let mut second = Latencies::default();
        for (bucket, count) in first.buckets() {
            second.add_to_bucket(bucket, count);
        }
        assert_eq!(first, second);
    }

    #[test]
    fn the_shorter_ones_are_counted() {
        let mut latencies = Latencies::default();
        for ms in [1, 10, 100] {
            latencies.add_to_bucket(latency_bucket(ms * 1_000), 1);
        }
        assert_eq!([0.5, 10.0, 1e9].map(|ms| latencies.count_to_ms(ms)), [0, 2, 3]);
    }
}
