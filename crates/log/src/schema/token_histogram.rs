//! A histogram of the tokens of model calls.

use std::array;

/// The upper bounds of the buckets: those that OpenTelemetry advises for
/// [`gen_ai.client.token.usage`](https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/).
pub const TOKEN_BOUNDS: [u64; TOKEN_BUCKETS - 1] = {
    let (mut bounds, mut at) = ([1; TOKEN_BUCKETS - 1], 1);
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 4;
        at += 1;
    }
    bounds
};

/// The number of buckets. The last one has no upper bound.
pub const TOKEN_BUCKETS: usize = 15;

/// Returns the bucket of a number of tokens.
#[inline]
pub const fn token_bucket(tokens: u64) -> usize {
    // The bounds are the powers of 4.
    let bits = u64::BITS - tokens.saturating_sub(1).leading_zeros();
    let bucket = bits.div_ceil(2) as usize;
    if bucket < TOKEN_BUCKETS { bucket } else { TOKEN_BUCKETS - 1 }
}

/// How many model calls had how many tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenHistogram([u64; TOKEN_BUCKETS]);

impl TokenHistogram {
    /// Makes one of the number of calls in each bucket.
    pub fn from_counts(counts: [u64; TOKEN_BUCKETS]) -> Self {
        Self(counts)
    }

    /// Returns the number of calls in each bucket.
    pub fn counts(self) -> [u64; TOKEN_BUCKETS] {
        self.0
    }

    /// Returns the number of calls.
    pub fn count(self) -> u64 {
        self.0.into_iter().fold(0, u64::saturating_add)
    }

    pub(super) fn change(&mut self, other: Self, change: fn(u64, u64) -> u64) {
        self.0 = array::from_fn(|bucket| change(self.0[bucket], other.0[bucket]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_its_bound() {
        for tokens in (0..=70_000).chain((8..40).map(|bits| (1 << bits) + 1)).chain([u64::MAX]) {
            let expected = TOKEN_BOUNDS.iter().filter(|bound| tokens > **bound).count();
            assert_eq!(token_bucket(tokens), expected, "{tokens}");
        }
        assert_eq!(TOKEN_BOUNDS[13], 67_108_864);
    }
}
