//! Random draws, for ids and for sampling.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use llm_audit_process::fork::Process;

thread_local! {
    /// The generator of this thread, apart from fastrand's own.
    ///
    /// An application may seed fastrand's generator with a constant. Without its `getrandom`,
    /// fastrand seeds from the clock. Ids must differ everywhere, also between a forked child and
    /// its parent.
    static DRAWS: RandomDraws = const { RandomDraws { process: Cell::new(0), state: Cell::new(0) } };
}

/// The state of a generator, and the number of the process that seeded it; zero if none has.
struct RandomDraws {
    process: Cell<u64>,
    state: Cell<u64>,
}

impl RandomDraws {
    fn draw<R>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> R) -> R {
        let process = Process::current().number();
        if self.process.replace(process) != process {
            self.state.set(random_seed());
        }
        let mut rng = fastrand::Rng::with_seed(self.state.get());
        let drawn = draw(&mut rng);
        self.state.set(rng.get_seed());
        drawn
    }
}

/// Asks the operating system for a seed.
///
/// The `RandomState` of std is not one: after a fork, the child continues the parent's sequence.
#[cold]
fn random_seed() -> u64 {
    let mut seed = [0; 8];
    match getrandom::fill(&mut seed) {
        Ok(()) => u64::from_le_bytes(seed),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40
        }
    }
}

/// Draws a trace id, never zero.
pub(crate) fn random_trace_id() -> u128 {
    draw_random(|rng| rng.u128(1..))
}

/// Draws a span id, never zero.
pub(crate) fn random_span_id() -> u64 {
    draw_random(|rng| rng.u64(1..))
}

/// Draws a share, at least 0 and less than 1.
pub(crate) fn random_share() -> f64 {
    draw_random(fastrand::Rng::f64)
}

fn draw_random<R>(draw: impl Fn(&mut fastrand::Rng) -> R) -> R {
    let drawn = DRAWS.try_with(|draws| draws.draw(&draw));
    drawn.unwrap_or_else(|_| draw(&mut fastrand::Rng::with_seed(random_seed())))
}

/// Makes the draws of this thread repeat.
#[cfg(test)]
pub(crate) fn seed_draws(seed: u64) {
    DRAWS.with(|draws| {
        draws.process.set(Process::current().number());
        draws.state.set(seed);
    });
}
