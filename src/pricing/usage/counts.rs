//! The counts as a provider writes them, and the usage that they mean.

use super::Usage;
use super::object::TOKENS_MAX;

/// What a provider counts. A part may be inside of its total or beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProviderCounts {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    /// The sum, if it is given.
    pub(crate) total: Option<u64>,
    /// Input tokens that are neither cached nor written to a cache, if they are given apart.
    pub(crate) uncached: Option<u64>,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    pub(crate) cache_write_1h: u64,
    pub(crate) reasoning: u64,
    pub(crate) audio_input: u64,
    pub(crate) audio_cache_read: u64,
    pub(crate) audio_output: u64,
    /// By the provider's documents cached tokens are beside the input.
    pub(crate) is_cached_beside: bool,
    /// By the provider's documents reasoning is beside the output, and the sum leaves it out.
    pub(crate) is_reasoning_beside: bool,
}

impl ProviderCounts {
    /// Returns the usage, in which every part is inside of its total.
    ///
    /// Returns `None` if there is no total at all, or an absurd one.
    pub(crate) fn into_usage(mut self) -> Option<Usage> {
        let least = self.uncached.map(|uncached| add_counts(uncached, self.cached()));
        self.input = self.input.or(least);
        let (input, output) = self.totals_by_sum()?;
        let (cached_beside, reasoning_beside) = self.beside_totals();
        let whole_input =
            input.map(|input| add_counts(input, cached_beside).max(least.unwrap_or(0)));
        let whole_output = output.map(|output| add_counts(output, reasoning_beside));
        if whole_input.max(whole_output).is_some_and(|most| most > TOKENS_MAX) {
            return None;
        }
        let usage = Usage {
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning.max(reasoning_beside),
            audio_input: self.audio_input,
            audio_cache_read: self.audio_cache_read,
            audio_output: self.audio_output,
            lacks_input: whole_input.is_none(),
            lacks_output: whole_output.is_none(),
            ..Usage::new(whole_input.unwrap_or(0), whole_output.unwrap_or(0))
        };
        Some(usage.with_fitted_parts())
    }

    fn cached(&self) -> u64 {
        add_counts(add_counts(self.cache_read, self.cache_write), self.cache_write_1h)
    }

    /// Returns both totals. If one is missing, the sum tells it.
    ///
    /// A sum alone is that of an embedding, whose model writes nothing.
    fn totals_by_sum(&self) -> Option<(Option<u64>, Option<u64>)> {
        let cached_beside = if self.is_cached_beside { self.cached() } else { 0 };
        match (self.input, self.output, self.total) {
            (None, None, None) => None,
            (None, None, Some(total)) => Some((Some(total), Some(0))),
            (None, Some(output), Some(total)) => {
                Some((Some(total.saturating_sub(add_counts(output, cached_beside))), Some(output)))
            }
            (Some(input), None, Some(total)) => {
                Some((Some(input), Some(total.saturating_sub(add_counts(input, cached_beside)))))
            }
            (input, output, _) => Some((input, output)),
        }
    }

    /// Returns the cached tokens that are in no total, and the reasoning that is in none.
    ///
    /// The sum decides, if it is given. A part that is larger than its total is not in it either.
    fn beside_totals(&self) -> (u64, u64) {
        let (input, output) = (self.input.unwrap_or(0), self.output.unwrap_or(0));
        let (cached, reasoning) = (self.cached(), self.reasoning);
        let written = add_counts(self.cache_write, self.cache_write_1h);
        let is_whole = self.input.is_some() && self.output.is_some();
        let beside = self.total.filter(|total| is_whole && *total > 0);
        let beside = beside.map(|total| total.saturating_sub(add_counts(input, output)));
        let is_too_large = self.cache_read > input || written > input;
        let is_cached_beside = match beside {
            None => self.is_cached_beside || cached > input,
            Some(0) => is_too_large,
            Some(beside) => {
                beside == cached
                    || beside == add_counts(cached, reasoning)
                    || self.is_cached_beside
                    || is_too_large
            }
        };
        let cached_beside = if is_cached_beside { cached } else { 0 };
        let rest = beside.unwrap_or(0).saturating_sub(cached_beside);
        let is_reasoning_beside = self.is_reasoning_beside || reasoning > output;
        // Tokens that only the sum has are reasoning, reported apart or not at all.
        let reasoning_beside = if is_reasoning_beside { reasoning.max(rest) } else { rest };
        (cached_beside, reasoning_beside)
    }
}

/// Returns the tokens written to a cache with the default lifetime, and those for an hour.
///
/// `whole` is all of them, if it is given. Its tokens that are not for an hour have the default
/// lifetime.
pub(super) fn split_cache_writes(whole: u64, short: u64, hour: u64) -> (u64, u64) {
    (whole.saturating_sub(hour).max(short), hour)
}

pub(super) fn add_counts(a: u64, b: u64) -> u64 {
    a.saturating_add(b)
}
