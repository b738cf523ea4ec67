//! Stand-ins on loopback for what the service calls, and the script of every case they play.

pub(crate) mod model;
pub(crate) mod push;
pub(crate) mod search;

use std::time::Duration;

use fastrand::Rng;
use http::HeaderMap;

use crate::http_client::RETRY_COUNT;

/// What goes wrong in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaseScript {
    /// Nothing; the model answers at once.
    Plain,
    /// Nothing; the model calls for two tools.
    Tools,
    /// The model refuses the first request with 429.
    RateLimited,
    /// The model does not answer the first request.
    Slow,
    /// The first model refuses every request with 429; the other answers.
    Overloaded,
    /// No model answers.
    Down,
    /// The model calls for a tool with arguments that are not JSON.
    BadArguments,
    /// The model calls for a tool that does not exist.
    UnknownTool,
    /// The model's first answer is not JSON.
    NoJson,
    /// The claims service fails once.
    ClaimsDown,
    /// The claims service does not answer the first request.
    ClaimsSlow,
    /// The model refuses once, talks nonsense once, and the claims service fails once.
    Storm,
}

/// Each case plays one of these; `Storm` is always the first one's.
const SCRIPTS: [CaseScript; 20] = [
    CaseScript::Storm,
    CaseScript::RateLimited,
    CaseScript::Slow,
    CaseScript::Overloaded,
    CaseScript::Down,
    CaseScript::BadArguments,
    CaseScript::UnknownTool,
    CaseScript::NoJson,
    CaseScript::ClaimsDown,
    CaseScript::ClaimsSlow,
    CaseScript::Tools,
    CaseScript::Tools,
    CaseScript::Tools,
    CaseScript::Tools,
    CaseScript::Tools,
    CaseScript::Plain,
    CaseScript::Plain,
    CaseScript::Plain,
    CaseScript::Plain,
    CaseScript::Plain,
];

impl CaseScript {
    /// What is played in this case: any 20 cases in a row play all, in an order of the seed's.
    pub(crate) fn for_case(seed: u64, case: u64) -> Self {
        let mut scripts = SCRIPTS;
        Rng::with_seed(seed).shuffle(&mut scripts[1..]);
        scripts[(case % SCRIPTS.len() as u64) as usize]
    }
}

/// How often the caller made this request before.
fn retries_from_headers(headers: &HeaderMap) -> u32 {
    let count = headers.get(RETRY_COUNT).and_then(|count| count.to_str().ok()?.parse().ok());
    count.unwrap_or(0)
}

/// The time that work takes: of the seed's and the case's choosing.
async fn simulate_work(seed: u64, case: u64, ms_min: u64, ms_max: u64) {
    let ms = Rng::with_seed(seed ^ case.rotate_left(32)).u64(ms_min..=ms_max);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Longer than anybody waits; the caller hangs up before.
async fn hang_without_answer() {
    tokio::time::sleep(Duration::from_secs(30)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_cases_in_a_row_play_everything() {
        for seed in [0, 1, 99] {
            assert_eq!(CaseScript::for_case(seed, 0), CaseScript::Storm);
            let played: Vec<_> = (7..27).map(|case| CaseScript::for_case(seed, case)).collect();
            assert!(SCRIPTS.iter().all(|script| played.contains(script)), "{played:?}");
        }
        assert!((0..20).any(|case| CaseScript::for_case(1, case) != CaseScript::for_case(2, case)));
    }
}
