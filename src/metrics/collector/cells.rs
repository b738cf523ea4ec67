//! The counters of one row, which any thread increments without a lock.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crossbeam_utils::CachePadded;
use llm_audit_log::schema::{MetricsRow, TOKEN_BUCKETS, TokenHistogram, TokenKinds, token_bucket};
use llm_audit_log::{EventType, Usd};
use llm_audit_process::cell::OnceCell;

use crate::metrics::accounting::add_to_counter;
use crate::metrics::latency_cells::{LatencyCells, get_or_make};
use crate::record::event::AuditEvent;

/// The number of shards of a row's counters.
pub(super) const SHARDS: usize = 8;

/// No event has more tokens. A sum over all events then does not wrap.
const TOKENS_MAX: u64 = 1 << 40;

/// What events of one set of labels add up to.
#[derive(Default)]
pub(super) struct Cells {
    shards: [CachePadded<Shard>; SHARDS],
    latencies: LatencyCells,
    /// Only rows of calls that stream have some.
    first_tokens: OnceCell<LatencyCells>,
    /// Only rows of model calls have some.
    token_sizes: OnceCell<TokenSizes>,
}

/// Model calls by the tokens that each read, and by those that each wrote.
#[derive(Default)]
struct TokenSizes([[AtomicU64; TOKEN_BUCKETS]; 2]);

/// The counters of a few threads.
#[derive(Default)]
struct Shard {
    events: AtomicU64,
    latency_micros: AtomicU64,
    first_token_micros: AtomicU64,
    /// Those that models read, and those that they wrote.
    tokens: [AtomicU64; 2],
    usage: [AtomicU64; TokenKinds::NAMES.len()],
    cost: CostCell,
}

impl Cells {
    #[inline(always)]
    pub(super) fn add(&self, event: &AuditEvent<'_>, shard: usize) {
        let shard = &self.shards[shard % SHARDS];
        add_to_counter(&shard.events, 1);
        if let Some(ms) = event.latency_ms {
            self.latencies.add(ms, &shard.latency_micros);
        }
        if event.has_amounts {
            self.add_amounts(event, shard);
        }
    }

    #[inline(never)]
    fn add_amounts(&self, event: &AuditEvent<'_>, shard: &Shard) {
        let is_call = matches!(event.event_type, EventType::LlmInvoke | EventType::LlmError);
        let sizes = is_call.then(|| get_or_make(&self.token_sizes));
        shard.add_tokens(0, event.tokens_input, sizes);
        shard.add_tokens(1, event.tokens_output, sizes);
        if let Some(usage) = event.usage {
            shard.add_usage(usage.kinds());
        }
        if let Some(cost) = event.cost_usd.filter(|cost| !cost.is_negative()) {
            shard.cost.add(cost);
        }
        if !event.first_token_ms.is_nan() {
            let first_tokens = get_or_make(&self.first_tokens);
            first_tokens.add(event.first_token_ms, &shard.first_token_micros);
        }
    }

    /// Returns what was counted so far, as a row without labels.
    pub(super) fn figures(&self) -> MetricsRow {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sum = |of: fn(&Shard) -> &AtomicU64| {
            self.shards.iter().map(|shard| load(of(shard))).fold(0, u64::saturating_add)
        };
        let usage = array::from_fn(|kind| {
            self.shards.iter().map(|shard| load(&shard.usage[kind])).fold(0, u64::saturating_add)
        });
        let mut row = MetricsRow::default();
        row.events = sum(|shard| &shard.events);
        row.tokens_input = sum(|shard| &shard.tokens[0]);
        row.tokens_output = sum(|shard| &shard.tokens[1]);
        if let Some(TokenSizes(sizes)) = self.token_sizes.get() {
            let [input, output] = sizes.each_ref().map(|calls| calls.each_ref().map(load));
            row.calls_by_input = TokenHistogram::from_counts(input);
            row.calls_by_output = TokenHistogram::from_counts(output);
        }
        row.usage = TokenKinds::from_counts(usage);
        for (cost, count) in self.shards.iter().map(|shard| shard.cost.read()) {
            row.cost_usd += cost;
            row.priced += count;
        }
        row.latency_ms_sum = sum(|shard| &shard.latency_micros) as f64 / 1_000.0;
        row.latencies = self.latencies.read();
        row.first_token_ms_sum = sum(|shard| &shard.first_token_micros) as f64 / 1_000.0;
        row.first_tokens = self.first_tokens.get().map(LatencyCells::read).unwrap_or_default();
        row
    }
}

impl Shard {
    #[inline(always)]
    fn add_tokens(&self, direction: usize, tokens: Option<u64>, sizes: Option<&TokenSizes>) {
        let Some(tokens) = tokens else { return };
        add_to_counter(&self.tokens[direction], tokens.min(TOKENS_MAX));
        if let Some(TokenSizes(sizes)) = sizes {
            add_to_counter(&sizes[direction][token_bucket(tokens)], 1);
        }
    }

    #[inline(always)]
    fn add_usage(&self, kinds: TokenKinds) {
        for (sum, count) in self.usage.iter().zip(kinds.counts()) {
            if count > 0 {
                add_to_counter(sum, count.min(TOKENS_MAX));
            }
        }
    }
}

/// An exact sum of money: the two halves of its 128 bits.
#[derive(Default)]
struct CostCell {
    low: AtomicU64,
    high: AtomicU64,
    /// Additions that have begun, and those that have ended.
    begun: AtomicU64,
    ended: AtomicU64,
}

impl CostCell {
    fn add(&self, cost: Usd) {
        let bits = u128::from_le_bytes(cost.to_le_bytes());
        let (low, high) = (bits as u64, (bits >> 64) as u64);
        self.begun.fetch_add(1, Ordering::Relaxed);
        // Whoever sees one of the halves change sees the beginning, too.
        fence(Ordering::Release);
        let before = self.low.fetch_add(low, Ordering::Relaxed);
        let carry = u64::from(before.checked_add(low).is_none());
        self.high.fetch_add(high.wrapping_add(carry), Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// A sum that is read never falls, because a reader would take that for a restart. So this waits a little
    /// for additions that have begun. After many of them it may lack 2⁶⁴ units: 2 cents of a millionth dollar.
    ///
    /// Also returns the number of additions.
    fn read(&self) -> (Usd, u64) {
        const TRIES_MAX: u32 = 1_000;
        for tries in 1.. {
            let ended = self.ended.load(Ordering::Acquire);
            let low = self.low.load(Ordering::Relaxed);
            let high = self.high.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if self.begun.load(Ordering::Relaxed) == ended || tries == TRIES_MAX {
                let bits = (u128::from(high) << 64) | u128::from(low);
                return (Usd::from_le_bytes(bits.to_le_bytes()), ended);
            }
            std::hint::spin_loop();
        }
        unreachable!("the last try returns")
    }
}
