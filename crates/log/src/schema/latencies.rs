//! A histogram of latencies.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::json::Json;

/// Buckets of equal width up to twice this number of microseconds, and in every doubling after that.
const BUCKETS_OF_DOUBLING: u64 = 1 << 10;
/// The longest latency that is told apart from longer ones, in microseconds: some 19 hours.
pub const LATENCY_MICROS_MAX: u64 = (1 << 36) - 1;

/// A histogram of latencies.
///
/// A percentile is within 0.1 % of the exact one, and within 1 µs below 2 ms. Latencies over 19 hours count as
/// 19 hours. The buckets are those of an [HDR histogram](http://hdrhistogram.org/) with three significant
/// digits. Only those that are not empty take memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies {
    buckets: BTreeMap<usize, u64>,
    count: u64,
}

/// The number of buckets.
pub const LATENCY_BUCKETS: usize = latency_bucket(LATENCY_MICROS_MAX) + 1;

/// Returns the bucket of a latency in microseconds.
#[inline]
pub const fn latency_bucket(micros: u64) -> usize {
    let micros = if micros > LATENCY_MICROS_MAX { LATENCY_MICROS_MAX } else { micros };
    // In every doubling the buckets are twice as wide as in the one before. The first two are alike.
    let shift = (BUCKETS_OF_DOUBLING.leading_zeros()
        - (micros | BUCKETS_OF_DOUBLING).leading_zeros()) as u64;
    (shift * BUCKETS_OF_DOUBLING + (micros >> shift)) as usize
}

/// Returns a latency in whole microseconds, and its bucket. Takes milliseconds. Returns `None` for what a line does not
/// contain either: a latency that is negative or not finite.
#[inline(always)]
pub fn latency_of_ms(milliseconds: f64) -> Option<(u64, usize)> {
    /// The bits of a number after those that tell its bucket, if its bucket is not one of the first.
    const BITS_WITHIN: u32 = f64::MANTISSA_DIGITS - 1 - BUCKETS_OF_DOUBLING.ilog2();
    /// The number of the bucket that the bits of zero would have.
    const FIRST: u64 =
        ((BUCKETS_OF_DOUBLING as f64).to_bits() >> BITS_WITHIN) - BUCKETS_OF_DOUBLING;
    /// What is added to it is rounded to a whole number, in its last bits.
    const ROUNDER: f64 = (1_u64 << (f64::MANTISSA_DIGITS - 1)) as f64;
    let micros = milliseconds * 1_000.0;
    let bucket = (micros.to_bits() >> BITS_WITHIN).wrapping_sub(FIRST);
    if (BUCKETS_OF_DOUBLING..LATENCY_BUCKETS as u64).contains(&bucket) {
        return Some(((micros + ROUNDER).to_bits() - ROUNDER.to_bits(), bucket as usize));
    }
    short_or_long_latency(milliseconds)
}

/// Returns the same for a latency of the first buckets, or of none.
fn short_or_long_latency(milliseconds: f64) -> Option<(u64, usize)> {
    if !(0.0..f64::INFINITY).contains(&milliseconds) {
        return None;
    }
    let micros = ((milliseconds * 1_000.0) as u64).min(LATENCY_MICROS_MAX);
    Some((micros, latency_bucket(micros)))
}

/// Returns the shortest latency of a bucket, in microseconds.
const fn micros_of_bucket(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / BUCKETS_OF_DOUBLING).saturating_sub(1);
    (bucket - shift * BUCKETS_OF_DOUBLING) << shift
}

/// Returns the longest latency of a bucket, in microseconds.
const fn micros_at_end_of_bucket(bucket: usize) -> u64 {
    micros_of_bucket(bucket + 1) - 1
}

/// Returns the longest latency of the bucket that a latency is in, in microseconds. Takes milliseconds.
pub(crate) fn bucket_micros_of_ms(milliseconds: f64) -> u64 {
    // The cast rounds down, as the recorder does.
    micros_at_end_of_bucket(latency_bucket((milliseconds * 1_000.0) as u64))
}

impl Latencies {
    /// Adds latencies of one bucket.
    pub fn add_to_bucket(&mut self, bucket: usize, count: u64) {
        if count > 0 {
            let sum = self.buckets.entry(bucket.min(LATENCY_BUCKETS - 1)).or_default();
            *sum = sum.saturating_add(count);
            self.count = self.count.saturating_add(count);
        }
    }

    /// Adds the latencies of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            self.add_to_bucket(*bucket, *count);
        }
    }

    /// Returns the latencies that came since `earlier`, a copy of this histogram from an earlier time.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = Self::default();
        for (bucket, count) in &self.buckets {
            let before = earlier.buckets.get(bucket).copied().unwrap_or_default();
            since.add_to_bucket(*bucket, count.saturating_sub(before));
        }
        since
    }

    /// Reads a histogram as it is serialized.
    pub(super) fn read(json: Json<'_>) -> Self {
        let mut read = Self::default();
        let mut numbers = json.items().map(|number| number.as_u64().unwrap_or_default());
        while let (Some(bucket), Some(count)) = (numbers.next(), numbers.next()) {
            read.add_to_bucket(bucket as usize, count);
        }
        read
    }

    /// Returns the buckets, each by its longest latency in microseconds, and the number of latencies in it.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|(bucket, count)| (micros_at_end_of_bucket(*bucket), *count))
    }

    /// Returns the number of latencies.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns how many latencies are not longer than these milliseconds, to within 0.1 % of the latency.
    pub fn count_to_ms(&self, milliseconds: f64) -> u64 {
        if milliseconds.is_nan() || milliseconds < 0.0 {
            return 0;
        }
        let last = latency_bucket((milliseconds * 1_000.0) as u64);
        // Whoever can write to the log can write any counts.
        self.buckets.range(..=last).fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    /// Returns the latency in milliseconds that this share of all latencies does not exceed: `0.95` is the
    /// 95th percentile. Returns `None` if there are none.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut below = 0_u64;
        let reaches = |(_, count): &(&usize, &u64)| {
            below = below.saturating_add(**count);
            below >= rank
        };
        // Rounding may make the rank larger than the count.
        let (bucket, _) = self.buckets.iter().find(reaches).or(self.buckets.last_key_value())?;
        Some(micros_at_end_of_bucket(*bucket) as f64 / 1_000.0)
    }
}

/// A list of the numbers of buckets that are not empty, each before its count.
impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_seq(self.buckets.iter().flat_map(|(bucket, count)| [*bucket as u64, *count]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_nobody_counted_end_no_reader() {
        let mut latencies = Latencies::default();
        latencies.add_to_bucket(0, u64::MAX);
        latencies.add_to_bucket(1, u64::MAX);
        assert_eq!(latencies.count_to_ms(1e9), u64::MAX);
        assert!(latencies.quantile_ms(1.0).is_some());
    }

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
    fn a_latency_is_in_the_bucket_of_its_whole_microseconds() {
        let edges = (0..LATENCY_BUCKETS).map(|bucket| micros_of_bucket(bucket) as f64);
        let mut draws = fastrand::Rng::with_seed(7);
        let drawn = (0..100_000).map(|_| (draws.f64() * 36.0).exp2());
        for micros in edges.chain(drawn).flat_map(|edge| [edge.next_down(), edge, edge + 0.5]) {
            let ms = micros / 1_000.0;
            let whole = (ms * 1_000.0) as u64;
            match latency_of_ms(ms) {
                Some((found, bucket)) => {
                    assert_eq!(bucket, latency_bucket(whole), "{micros}");
                    let most = LATENCY_MICROS_MAX as f64;
                    assert!((found as f64 - micros.min(most)).abs() <= 1.0, "{found}, {micros}");
                }
                None => assert!(micros < 0.0, "{micros}"),
            }
        }
        let last = Some((LATENCY_MICROS_MAX, LATENCY_BUCKETS - 1));
        assert_eq!([1e9, f64::MAX].map(latency_of_ms), [last; 2]);
        for none in [-1.0, -1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(latency_of_ms(none), None, "{none}");
        }
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
            let difference = (seen - expected).abs();
            assert!(difference <= expected * 0.001 + 0.001, "{share}: {seen}, {expected}");
        }
        assert_eq!(found.count(), 100_000);
    }

    #[test]
    fn the_shorter_ones_are_counted() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_ms(0.5), None);
        for ms in [1, 10, 100] {
            latencies.add_to_bucket(latency_bucket(ms * 1_000), 1);
        }
        let mut twice = latencies.clone();
        twice.merge(&latencies);
        assert_eq!(twice.count(), 6);
        let limits = [-1.0, 0.5, 10.0, 1e9, f64::INFINITY, f64::NAN];
        assert_eq!(limits.map(|ms| twice.count_to_ms(ms)), [0, 0, 4, 6, 6, 0]);
        assert_eq!(twice.quantile_ms(0.0), Some(1.0));
    }
}
