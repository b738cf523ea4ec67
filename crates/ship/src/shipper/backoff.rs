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
