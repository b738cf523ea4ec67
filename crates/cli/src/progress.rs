//! What is said on stderr while something takes longer than two seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const AFTER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(200);

/// A line on stderr that is written over and over, and is gone at the end.
pub(crate) struct Progress {
    wanted: bool,
    next: Instant,
    said: bool,
}

impl Progress {
    /// Says nothing where stderr is no terminal.
    pub(crate) fn new() -> Self {
        let wanted = io::stderr().is_terminal();
        Self { wanted, next: Instant::now() + AFTER, said: false }
    }

    /// Says how far it is, if it is time to.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if !self.wanted {
            return;
        }
        let now = Instant::now();
        if now >= self.next {
            self.next = now + EVERY;
            self.said = true;
            let _ = io::stderr().write_all(format!("\r\x1b[K{}", what()).as_bytes());
        }
    }

    /// [`tell`](Self::tell) of bytes, as a share.
    pub(crate) fn share(&mut self, done: u64, of: u64) {
        self.tell(|| {
            let percent = done.saturating_mul(100) / of.max(1);
            format!("{percent}% of {} MB", of / 1_000_000)
        });
    }

    /// Wipes the line, so that what is said next stands alone.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.said) {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
