//! How long to wait before another attempt.

use std::time::Duration;

/// The first pause. Each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// No pause is longer, unless the destination asks for it.
const LONGEST: Duration = Duration::from_secs(60);

/// Exponential backoff. A part of each pause is left out at random, so that many processes do not come back at once.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// Returns the next pause. `after` is the one that the destination asks for.
    pub(super) fn next(&mut self, after: Option<Duration>) -> Duration {
        let pause = self.0.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.0 = (self.0 * 2).min(LONGEST);
        pause.max(after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let mut backoffs: Vec<_> = (0..50).map(|_| Backoff::default()).collect();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pauses: Vec<_> = backoffs.iter_mut().map(|backoff| backoff.next(None)).collect();
            let longest = Duration::from_secs(seconds);
            assert!(
                pauses.iter().all(|pause| (longest / 2..=longest).contains(pause)),
                "{pauses:?}"
            );
            assert!(
                pauses.iter().any(|pause| *pause != pauses[0]),
                "they do not come back at once"
            );
        }
    }

    #[test]
    fn no_pause_is_shorter_than_what_the_destination_asks_for() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(Backoff::default().next(Some(hour)), hour);
        let mut backoff = Backoff::default();
        (0..6).for_each(|_| _ = backoff.next(None));
        assert!(backoff.next(Some(Duration::from_secs(1))) > Duration::from_secs(1));
    }
}
