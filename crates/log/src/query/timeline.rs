//! How many events there are over time.

use std::collections::BTreeMap;

/// The most steps that are held.
const STEPS_MAX: usize = 64;
/// The shortest step, in microseconds.
const STEP_MIN: i64 = 1_000;

/// Counts of events over time, in at most 64 steps that hold any. The steps are of the same length,
/// which grows as it must.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// In microseconds.
    step: i64,
    /// By the number of the step since the Unix epoch.
    counts: BTreeMap<i64, f64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { step: STEP_MIN, counts: BTreeMap::new() }
    }
}

impl Timeline {
    /// Adds so many events at a time, in microseconds since the Unix epoch.
    pub fn add(&mut self, time: i64, count: f64) {
        *self.counts.entry(time.div_euclid(self.step)).or_default() += count;
        while self.counts.len() > STEPS_MAX {
            self.step *= 2;
            let counts = std::mem::take(&mut self.counts);
            for (step, count) in counts {
                *self.counts.entry(step.div_euclid(2)).or_default() += count;
            }
        }
    }

    /// The beginning of the first step and the end of the last one, in microseconds since the Unix
    /// epoch. `None` without any event.
    pub fn range(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.counts.first_key_value()?.0, self.counts.last_key_value()?.0);
        Some((first.saturating_mul(self.step), last.saturating_add(1).saturating_mul(self.step)))
    }

    /// The counts in so many equal parts of a range. What a step holds is in the part of the step's
    /// middle; what is outside of the range is in the first part or the last.
    pub fn parts<const N: usize>(&self, (from, to): (i64, i64)) -> [f64; N] {
        const { assert!(N > 0, "a range has at least one part") };
        let mut parts = [0.0; N];
        for (step, count) in &self.counts {
            let middle = (*step as f64 + 0.5) * self.step as f64;
            let share = (middle - from as f64) / (to as f64 - from as f64);
            // The cast takes what is before the range to 0.
            parts[((share * N as f64) as usize).min(N - 1)] += count;
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_with_the_time() {
        let mut times = Timeline::default();
        assert_eq!(times.range(), None);
        for second in 0..1_000 {
            times.add(second * 1_000_000, 0.5);
        }
        assert!((32..=STEPS_MAX).contains(&times.counts.len()), "{times:?}");
        let (from, to) = times.range().unwrap();
        assert_eq!(from, 0);
        assert!((999_000_000..1_032_000_000).contains(&to), "{to}");
        let parts = times.parts::<8>((from, to));
        assert_eq!(parts.iter().sum::<f64>(), 500.0);
        assert!(parts.iter().all(|part| (45.0..80.0).contains(part)), "{parts:?}");
    }

    #[test]
    fn times_far_apart_and_before_the_epoch_are_in_their_parts() {
        let mut times = Timeline::default();
        for time in [-5_000_000, 0, 10_000_000_000_000] {
            times.add(time, 1.0);
        }
        let range = times.range().unwrap();
        assert_eq!(times.parts::<4>(range), [2.0, 0.0, 0.0, 1.0]);
        times.add(i64::MAX, 1.0);
        times.add(i64::MIN, 1.0);
        assert_eq!(times.parts::<2>(times.range().unwrap()).iter().sum::<f64>(), 5.0);
    }
}
