//! Progress on stderr, for work that takes longer than two seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const AFTER: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(200);

/// A line on stderr that is overwritten, and wiped at the end.
pub(crate) struct Progress {
    wanted: bool,
    next: Instant,
    said: bool,
}

impl Progress {
    /// Prints nothing if stderr is not a terminal.
    pub(crate) fn new() -> Self {
        let wanted = io::stderr().is_terminal();
        Self { wanted, next: Instant::now() + AFTER, said: false }
    }

    /// Prints `what` if it is time to.
    pub(crate) fn show(&mut self, what: impl FnOnce() -> String) {
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

    /// Prints bytes done as a share of all, if it is time to.
    pub(crate) fn show_share(&mut self, done: u64, of: u64) {
        self.show(|| {
            // A pipe does not say how much comes.
            if of == 0 {
                return format!("{} MB", done / 1_000_000);
            }
            let percent = done.saturating_mul(100) / of;
            format!("{percent}% of {} MB", of / 1_000_000)
        });
    }

    /// Wipes the line, so that the next output begins a line of its own.
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
