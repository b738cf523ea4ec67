//! The prices of one model, and the cost of a usage at these prices.

use super::Usd;
use crate::pricing::{ServiceTier, Usage};

/// The kind of token that a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
    AudioInput,
    AudioCacheRead,
    AudioOutput,
}

impl TokenKind {
    /// Returns the kind whose price applies if this kind has none.
    fn fallback_kind(self) -> Option<Self> {
        match self {
            Self::Input | Self::Output => None,
            Self::CacheRead | Self::CacheWrite | Self::AudioInput => Some(Self::Input),
            Self::CacheWrite1h => Some(Self::CacheWrite),
            Self::AudioCacheRead => Some(Self::CacheRead),
            Self::Reasoning | Self::AudioOutput => Some(Self::Output),
        }
    }
}

/// One price, and the calls to which it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) kind: TokenKind,
    /// The price applies to calls with more input tokens than this. If it is 0, it applies to all.
    pub(super) above: u64,
    pub(super) tier: ServiceTier,
    /// The price in dollars per token.
    pub(super) price: Usd,
}

/// All prices of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates(Vec<Rate>);

impl Rates {
    /// Adds a price. It replaces one for the same thing.
    pub(super) fn set(&mut self, rate: Rate) {
        let same = |r: &&mut Rate| (r.kind, r.above, r.tier) == (rate.kind, rate.above, rate.tier);
        match self.0.iter_mut().find(same) {
            Some(known) => known.price = rate.price,
            None => self.0.push(rate),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what this usage costs.
    ///
    /// Returns `None` if the usage has tokens or a tier without a known price, or is partial.
    pub(super) fn cost(&self, usage: Usage) -> Option<Usd> {
        if usage.is_partial() || usage.modifier.is_some() || !self.has_tier(usage.service_tier) {
            return None;
        }
        let usage = usage.with_fitted_parts();
        let paid = tokens_by_kind(usage).into_iter().filter(|(_, tokens)| *tokens > 0);
        let price = |kind| self.price(kind, usage.input, usage.service_tier);
        paid.map(|(kind, tokens)| Some(price(kind)? * tokens)).sum()
    }

    /// Reports whether the model has a price of this tier. If it has none, its usual prices would be
    /// too high or too low.
    fn has_tier(&self, tier: ServiceTier) -> bool {
        tier == ServiceTier::Standard || self.0.iter().any(|rate| rate.tier == tier)
    }

    /// Returns the price of the highest step that `input` is above. Within a step, the price of the
    /// tier comes before the usual one.
    fn price(&self, kind: TokenKind, input: u64, tier: ServiceTier) -> Option<Usd> {
        let holds = |rate: &&Rate| {
            rate.kind == kind
                && (rate.above == 0 || input > rate.above)
                && (rate.tier == tier || rate.tier == ServiceTier::Standard)
        };
        let best = self.0.iter().filter(holds).max_by_key(|rate| (rate.above, rate.tier == tier));
        match best {
            Some(rate) => Some(rate.price),
            None => self.price(kind.fallback_kind()?, input, tier),
        }
    }
}

/// Splits a usage into what is paid at one price each. The parts of the usage have to fit.
fn tokens_by_kind(u: Usage) -> [(TokenKind, u64); 9] {
    let fresh_audio = u.audio_input - u.audio_cache_read;
    let cached = u.cache_read + u.cache_write + u.cache_write_1h;
    [
        (TokenKind::Input, u.input - cached - fresh_audio),
        (TokenKind::CacheRead, u.cache_read - u.audio_cache_read),
        (TokenKind::CacheWrite, u.cache_write),
        (TokenKind::CacheWrite1h, u.cache_write_1h),
        (TokenKind::AudioInput, fresh_audio),
        (TokenKind::AudioCacheRead, u.audio_cache_read),
        (TokenKind::Output, u.output - u.reasoning - u.audio_output),
        (TokenKind::Reasoning, u.reasoning),
        (TokenKind::AudioOutput, u.audio_output),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(prices: &[(TokenKind, u64, ServiceTier, &str)]) -> Rates {
        let mut rates = Rates::default();
        for (kind, above, tier, price) in prices {
            rates.set(Rate {
                kind: *kind,
                above: *above,
                tier: *tier,
                price: price.parse().unwrap(),
            });
        }
        rates
    }

    use ServiceTier::{Batch, Flex, Priority, Standard};
    use TokenKind::*;

    /// Returns rates in which every price is another power of ten, so that a sum shows its parts.
    fn full() -> Rates {
        rates(&[
            (Input, 0, Standard, "1"),
            (CacheRead, 0, Standard, "0.1"),
            (CacheWrite, 0, Standard, "0.01"),
            (CacheWrite1h, 0, Standard, "0.001"),
            (AudioInput, 0, Standard, "0.0001"),
            (AudioCacheRead, 0, Standard, "0.00001"),
            (Output, 0, Standard, "0.000001"),
            (Reasoning, 0, Standard, "0.0000001"),
            (AudioOutput, 0, Standard, "0.00000001"),
        ])
    }

    fn all_parts() -> Usage {
        Usage {
            cache_read: 5,
            cache_write: 2,
            cache_write_1h: 3,
            audio_input: 8,
            audio_cache_read: 1,
            reasoning: 4,
            audio_output: 6,
            ..Usage::new(25, 19)
        }
    }

    #[test]
    fn every_token_is_paid_once() {
        // Input: 25 = 8 plain + 4 cached + 2 + 3 written + 7 audio + 1 cached audio. Output: 19 = 9
        // + 4 + 6.
        assert_eq!(full().cost(all_parts()).unwrap().to_string(), "8.42371946");
        assert_eq!(full().cost(Usage::new(0, 0)), Some(Usd::ZERO));
    }

    #[test]
    fn what_has_no_price_takes_the_next() {
        let few = rates(&[(Input, 0, Standard, "1"), (Output, 0, Standard, "0.01")]);
        assert_eq!(few.cost(all_parts()).unwrap().to_string(), "25.19");
        let some = rates(&[
            (Input, 0, Standard, "1"),
            (CacheRead, 0, Standard, "0.1"),
            (CacheWrite, 0, Standard, "0.01"),
            (Output, 0, Standard, "0"),
        ]);
        // 15 plain and audio, 5 cached, 5 written.
        assert_eq!(some.cost(all_parts()).unwrap().to_string(), "15.55");
    }

    #[test]
    fn no_price_is_none_and_not_nothing() {
        let embedding = rates(&[(Input, 0, Standard, "1")]);
        assert_eq!(embedding.cost(Usage::new(3, 0)).unwrap().to_string(), "3");
        assert_eq!(embedding.cost(Usage::new(3, 1)), None);
        assert_eq!(rates(&[(Output, 0, Standard, "1")]).cost(Usage::new(1, 1)), None);
    }

    #[test]
    fn steps_and_tiers() {
        let rates = rates(&[
            (Input, 0, Standard, "1"),
            (Input, 200_000, Standard, "2"),
            (Input, 400_000, Standard, "4"),
            (Input, 0, Batch, "0.5"),
            (Input, 0, Priority, "10"),
            (Input, 200_000, Priority, "20"),
            (Output, 0, Standard, "0"),
            (Output, 200_000, Standard, "1000000"),
        ]);
        let cases = [
            (199_999, Standard, "199999"),
            (200_000, Standard, "200000"),
            (200_001, Standard, "400002"),
            (400_000, Standard, "800000"),
            (400_001, Standard, "1600004"),
            (200_000, Batch, "100000"),
            (200_001, Batch, "400002"),
            (200_000, Priority, "2000000"),
            (200_001, Priority, "4000020"),
            (400_001, Priority, "1600004"),
            (0, Standard, "0"),
        ];
        for (input, tier, expected) in cases {
            let usage = Usage { service_tier: tier, ..Usage::new(input, 0) };
            assert_eq!(rates.cost(usage).unwrap().to_string(), expected, "{input} {tier:?}");
        }
        let flex = Usage { service_tier: Flex, ..Usage::new(100, 0) };
        assert_eq!(rates.cost(flex), None, "the model has no price of this tier");
        // The whole call costs more, not only what is above. Cached tokens count towards the step.
        let cached = Usage { cache_read: 200_000, ..Usage::new(200_001, 1) };
        assert_eq!(rates.cost(cached).unwrap().to_string(), "1400002");
    }

    #[test]
    fn the_largest_usage_stays_in_range() {
        let usage =
            Usage { reasoning: u64::MAX, cache_read: u64::MAX, ..Usage::new(u64::MAX, u64::MAX) };
        assert!(full().cost(usage).unwrap() > Usd::ZERO);
        let garbage = Usage { audio_input: u64::MAX, cache_write: u64::MAX, ..Usage::new(3, 0) };
        assert_eq!(full().cost(garbage).unwrap().to_string(), "0.03", "three tokens were written");
    }

    #[test]
    fn more_tokens_never_cost_less() {
        let (rates, mut rng) = (full(), fastrand::Rng::with_seed(8));
        for _ in 0..20_000 {
            let mut n = || rng.u64(..1_000);
            let usage = Usage {
                cache_read: n(),
                cache_write: n(),
                reasoning: n(),
                audio_input: n(),
                ..Usage::new(n(), n())
            };
            let more = Usage { input: usage.input + n(), output: usage.output + n(), ..usage };
            assert!(rates.cost(usage) <= rates.cost(more), "{usage:?} {more:?}");
        }
    }
}
