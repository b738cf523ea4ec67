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

/// Draws a trace id, never zero. Its hexadecimal digits contain a letter.
pub(crate) fn random_trace_id() -> u128 {
    draw_random(|rng| draw_with_letter(|| rng.u128(1..)))
}

/// Draws a span id, never zero. Its hexadecimal digits contain a letter.
pub(crate) fn random_span_id() -> u64 {
    draw_random(|rng| draw_with_letter(|| rng.u64(1..)))
}

/// Draws until a hexadecimal digit of the id is a letter. An id of decimal digits looks like a number
/// of a card or an account, and a log may be redacted again by other programs. The whole id is drawn
/// again, so that all such ids stay equally likely.
fn draw_with_letter<T: Copy + Into<u128>>(mut draw: impl FnMut() -> T) -> T {
    loop {
        let id = draw();
        if has_hex_letter(id.into()) {
            return id;
        }
    }
}

/// Returns whether a hexadecimal digit of the number is 10 or more.
pub(super) fn has_hex_letter(id: u128) -> bool {
    const ONES: u128 = u128::MAX / 15;
    (id >> 3) & (id >> 2 | id >> 1) & ONES != 0
}

/// Draws a share, at least 0 and less than 1.
pub(crate) fn random_share() -> f64 {
    draw_random(fastrand::Rng::f64)
}

/// Returns the share of a span, at least 0 and less than 1. It depends on nothing but the ids, so every
/// event of the span draws the same one. Spans that count up from 1 draw as evenly as random ones.
pub(crate) fn share_of_span(trace_id: u128, span_id: u64) -> f64 {
    // The last step of SplitMix64, after a step as long as the trace's number.
    let mut hash = span_id.wrapping_add((trace_id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    (hash >> 11) as f64 / (1_u64 << 53) as f64
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_a_letter() {
        for id in 0..0x10_000_u128 {
            let has_letter = format!("{id:x}").contains(|c: char| c.is_ascii_lowercase());
            assert_eq!(has_hex_letter(id), has_letter, "{id:x}");
            assert_eq!(has_hex_letter(id << 112), has_letter, "{id:x}");
        }
        // One span id in 1,800 would have none.
        for _ in 0..20_000 {
            assert!(has_hex_letter(random_span_id().into()) && has_hex_letter(random_trace_id()));
        }
    }
}
