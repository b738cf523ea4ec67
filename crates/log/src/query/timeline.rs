//! How many events there are over time.

use std::ops::Range;

/// The most steps that are held.
const STEPS_MAX: usize = 64;
/// In microseconds.
pub(super) const MINUTE: i64 = 60_000_000;
/// How often the shortest step, of about a millisecond, is doubled to be a minute.
const DOUBLINGS_OF_MINUTE: u32 = 16;

/// Counts of events over time, in at most 64 steps that hold any. The steps are of the same length,
/// which grows as it must. Totals are of minutes, so a minute is one of the lengths.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// How often the shortest step is doubled.
    doublings: u32,
    /// The number of each step since the Unix epoch and its count, in the order of time.
    counts: Vec<(i64, f64)>,
    /// The place of the last step that was counted, and its times.
    last: (usize, Range<i64>),
    /// The first time and the last one.
    ends: Option<(i64, i64)>,
}

impl Timeline {
    /// Adds so many events at a time, in microseconds since the Unix epoch.
    pub fn add(&mut self, time: i64, count: f64) {
        let (first, last) = self.ends.unwrap_or((time, time));
        self.ends = Some((first.min(time), last.max(time)));
        // Nearly always it is the same step, and nothing is divided.
        if !self.last.1.contains(&time) {
            self.find_step(time);
        }
        self.counts[self.last.0].1 += count;
        while self.counts.len() > STEPS_MAX {
            self.double_steps();
        }
    }

    /// Adds so many events of these times, which are in a minute.
    pub(super) fn add_within(&mut self, times: Range<i64>, count: f64) {
        self.widen_steps(DOUBLINGS_OF_MINUTE);
        self.add(times.start, count);
        self.ends = self.ends.map(|(first, last)| (first, last.max(times.end)));
    }

    /// Adds the events of another one.
    pub(super) fn merge(&mut self, other: &Self) {
        let ends = [self.ends, other.ends].into_iter().flatten();
        self.widen_steps(other.doublings);
        for (step, count) in &other.counts {
            self.add(other.start_of(*step), *count);
        }
        self.ends = ends.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    }

    fn widen_steps(&mut self, doublings: u32) {
        while self.doublings < doublings {
            self.double_steps();
        }
    }

    /// The number of the step of a time.
    fn step_of(&self, time: i64) -> i64 {
        let parts = i128::from(time) << DOUBLINGS_OF_MINUTE;
        // It is less than the time.
        parts.div_euclid(i128::from(MINUTE) << self.doublings) as i64
    }

    /// When a step begins: its first microsecond.
    fn start_of(&self, step: i64) -> i64 {
        let parts = i128::from(step) * (i128::from(MINUTE) << self.doublings);
        let start = (parts + (1 << DOUBLINGS_OF_MINUTE) - 1) >> DOUBLINGS_OF_MINUTE;
        start.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// The length of a step in microseconds.
    fn step_micros(&self) -> f64 {
        MINUTE as f64 * (f64::from(self.doublings) - f64::from(DOUBLINGS_OF_MINUTE)).exp2()
    }

    /// Makes the step of a time the last one.
    fn find_step(&mut self, time: i64) {
        let step = self.step_of(time);
        let found = self.counts.binary_search_by_key(&step, |(step, _)| *step);
        let at = found.unwrap_or_else(|at| {
            self.counts.insert(at, (step, 0.0));
            at
        });
        self.last = (at, self.start_of(step)..self.start_of(step + 1));
    }

    fn double_steps(&mut self) {
        self.doublings += 1;
        for (step, _) in &mut self.counts {
            *step = step.div_euclid(2);
        }
        self.counts.dedup_by(|(step, count), (before, sum)| {
            let is_same = step == before;
            *sum += if is_same { *count } else { 0.0 };
            is_same
        });
        self.last = (0, 0..0);
    }

    /// The first time and the last one, in microseconds since the Unix epoch. `None` without any event.
    pub fn range(&self) -> Option<(i64, i64)> {
        self.ends
    }

    /// The counts in so many equal parts of a range. What a step holds is spread over the parts that it
    /// overlaps; what is outside of the range is in the first part or the last.
    pub fn parts<const N: usize>(&self, (from, to): (i64, i64)) -> [f64; N] {
        const { assert!(N > 0, "a range has at least one part") };
        let mut parts = [0.0; N];
        let length = (to as f64 - from as f64).max(1.0) / N as f64;
        for (step, count) in &self.counts {
            let begin = (*step as f64 * self.step_micros() - from as f64) / length;
            let end = begin + self.step_micros() / length;
            let (begin, end) = (begin.clamp(0.0, N as f64), end.clamp(0.0, N as f64));
            // The casts round down.
            let (first, last) = ((begin as usize).min(N - 1), (end as usize).min(N - 1));
            for (at, part) in parts.iter_mut().enumerate().take(last + 1).skip(first) {
                let overlap = (end.min(at as f64 + 1.0) - begin.max(at as f64)).max(0.0);
                let is_whole = first == last || end <= begin;
                *part += if is_whole { *count } else { count * overlap / (end - begin) };
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_traffic_is_even_in_every_part() {
        let mut times = Timeline::default();
        assert_eq!(times.range(), None);
        for second in 0..3_000 {
            times.add(second * 1_000_000, 0.5);
        }
        assert!((32..=STEPS_MAX).contains(&times.counts.len()), "{times:?}");
        let range = times.range().unwrap();
        assert_eq!(range, (0, 2_999_000_000));
        let parts = times.parts::<60>(range);
        assert!((parts.iter().sum::<f64>() - 1_500.0).abs() < 1e-6, "{parts:?}");
        // The last step may not be full.
        assert!(parts[..59].iter().all(|part| (23.0..27.0).contains(part)), "{parts:?}");
    }

    #[test]
    fn counts_are_those_of_every_time_by_itself() {
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..200 {
            let (mut times, mut all, mut time) = (Timeline::default(), Vec::new(), 0);
            for _ in 0..rng.usize(1..400) {
                let most = 1 << 20 >> rng.u8(..12);
                time += rng.i64(-2_000..most);
                times.add(time, 1.0);
                all.push(time);
            }
            let mut expected = std::collections::BTreeMap::new();
            for time in all {
                *expected.entry(times.step_of(time)).or_insert(0.0) += 1.0;
            }
            assert_eq!(times.counts, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn merged_counts_are_those_of_all_times() {
        let (mut short, mut long, mut all) =
            (Timeline::default(), Timeline::default(), Timeline::default());
        for time in 0..300 {
            short.add(time * 10_000, 1.0);
            long.add(time * 10_000_000, 2.0);
            all.add(time * 10_000, 1.0);
            all.add(time * 10_000_000, 2.0);
        }
        for (mut one, other) in [(short.clone(), &long), (long.clone(), &short)] {
            one.merge(other);
            assert_eq!((one.range(), &one.counts), (all.range(), &all.counts));
            assert_eq!(one.doublings, all.doublings);
        }
        short.merge(&Timeline::default());
        assert_eq!(short.range(), Some((0, 2_990_000)));
    }

    #[test]
    fn a_step_begins_with_its_first_microsecond() {
        let mut rng = fastrand::Rng::with_seed(8);
        for doublings in 0..40 {
            let times = Timeline { doublings, ..Timeline::default() };
            for _ in 0..50 {
                let step = times.step_of(rng.i64(-4_000_000_000_000_000..4_000_000_000_000_000));
                let start = times.start_of(step);
                assert_eq!((times.step_of(start - 1), times.step_of(start)), (step - 1, step));
            }
        }
        let minutes = Timeline { doublings: DOUBLINGS_OF_MINUTE, ..Timeline::default() };
        assert_eq!((minutes.start_of(7), minutes.step_micros()), (7 * MINUTE, MINUTE as f64));
    }

    #[test]
    fn even_totals_are_even_in_every_part() {
        let mut times = Timeline::default();
        for minute in 0..24 {
            times.add_within(minute * MINUTE..(minute + 1) * MINUTE, 3.0);
        }
        assert_eq!(times.range(), Some((0, 24 * MINUTE)));
        assert_eq!(times.parts::<12>((0, 24 * MINUTE)), [6.0; 12]);
        // A minute that was not over.
        let mut short = Timeline::default();
        short.add_within(70_000_000..75_000_000, 4.0);
        assert_eq!(short.parts::<4>(short.range().unwrap()), [1.0; 4]);
    }

    #[test]
    fn times_far_apart_and_before_the_epoch_are_in_their_parts() {
        let mut times = Timeline::default();
        for time in [-5_000_000, 0, 10_000_000_000_000] {
            times.add(time, 1.0);
        }
        let range = times.range().unwrap();
        assert_eq!(range, (-5_000_000, 10_000_000_000_000));
        assert_eq!(times.parts::<4>(range), [2.0, 0.0, 0.0, 1.0]);
        times.add(i64::MAX, 1.0);
        times.add(i64::MIN, 1.0);
        let all = times.parts::<2>(times.range().unwrap()).iter().sum::<f64>();
        assert!((all - 5.0).abs() < 1e-9, "{all}");
        let mut one = Timeline::default();
        one.add(7, 2.0);
        assert_eq!(one.parts::<3>((7, 7)).iter().sum::<f64>(), 2.0);
    }
}
