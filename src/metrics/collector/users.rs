//! Who spent most, in bounded memory.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use llm_audit_log::schema::notices::{UserRow, UserTotals};
use llm_audit_log::{EventType, Usd};
use llm_audit_process::lock::Mutex;

use crate::metrics::accounting::add_to_counter;
use crate::record::event::AuditEvent;

const SHARDS: usize = 8;
/// The users of a shard. When there are more, the half that spent least is forgotten.
const USERS_MAX: usize = 4_096;
/// The users that are shown.
const TOP: usize = 256;

/// What users have spent since it was last taken.
///
/// A [space-saving](https://doi.org/10.1007/978-3-540-30570-5_27) sketch in each shard: whoever is not in it has
/// spent at most as much as the largest that was forgotten.
#[derive(Default)]
pub(super) struct Users {
    shards: [CachePadded<Mutex<Sketch>>; SHARDS],
    /// Events that found all shards taken.
    missed: AtomicU64,
}

#[derive(Default)]
struct Sketch {
    users: HashMap<Box<str>, Spent>,
    /// What any user has at most who is not in `users`.
    forgotten: Spent,
}

/// Ordered by the cost first.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Spent {
    cost: Usd,
    events: u64,
    tokens: u64,
    /// What was forgotten when this user came.
    cost_error: Usd,
    events_error: u64,
}

impl Users {
    /// Counts an event of a user. No thread waits: if another one is in the `first` shard, the next one is taken.
    pub(super) fn add(&self, user: &str, event: &AuditEvent<'_>, first: usize) {
        let free = (0..SHARDS).find_map(|shard| self.shards[(first + shard) % SHARDS].try_lock());
        let Some(mut sketch) = free else { return add_to_counter(&self.missed, 1) };
        let is_call = matches!(event.event_type, EventType::LlmInvoke | EventType::LlmError);
        let spent = sketch.of(user);
        spent.events += 1;
        if is_call {
            let tokens =
                event.tokens_input.unwrap_or(0).saturating_add(event.tokens_output.unwrap_or(0));
            spent.tokens = spent.tokens.saturating_add(tokens);
            spent.cost += event.cost_usd.filter(|cost| !cost.is_negative()).unwrap_or_default();
        }
    }

    /// Takes what was counted so far.
    pub(super) fn take(&self) -> UserTotals {
        // A thread is in a shard for less than a microsecond, unless it is stopped there. Then its figures come the
        // next time.
        let taken = self.shards.iter().filter_map(|shard| shard.try_lock());
        let shards: Vec<_> = taken.map(|mut shard| std::mem::take(&mut *shard)).collect();
        let mut all = Sketch::merge(&shards);
        all.forgotten.events += self.missed.swap(0, Ordering::Relaxed);
        all.into_totals()
    }
}

impl Sketch {
    fn of(&mut self, user: &str) -> &mut Spent {
        if !self.users.contains_key(user) {
            if self.users.len() >= USERS_MAX {
                self.forget_half();
            }
            let forgotten = self.forgotten;
            let new = Spent {
                cost_error: forgotten.cost,
                events_error: forgotten.events,
                ..Spent::default()
            };
            self.users.insert(user.into(), new);
        }
        self.users.get_mut(user).expect("it was added")
    }

    fn forget_half(&mut self) {
        let mut all: Vec<_> = self.users.values().copied().collect();
        let (_, middle, _) = all.select_nth_unstable(USERS_MAX / 2);
        let middle = *middle;
        let forgotten = &mut self.forgotten;
        self.users.retain(|_, spent| {
            let stays = *spent > middle;
            if !stays {
                forgotten.cost = forgotten.cost.max(spent.cost + spent.cost_error);
                forgotten.events = forgotten.events.max(spent.events + spent.events_error);
            }
            stays
        });
    }

    /// Adds up the shards. Whoever is missing in one may have been forgotten there.
    fn merge(shards: &[Self]) -> Self {
        let mut all = Self::default();
        for name in shards.iter().flat_map(|shard| shard.users.keys()) {
            if all.users.contains_key(name) {
                continue;
            }
            let mut sum = Spent::default();
            for shard in shards {
                let forgotten = &shard.forgotten;
                let spent = shard.users.get(name).copied().unwrap_or(Spent {
                    cost_error: forgotten.cost,
                    events_error: forgotten.events,
                    ..Spent::default()
                });
                sum.cost += spent.cost;
                sum.events += spent.events;
                sum.tokens = sum.tokens.saturating_add(spent.tokens);
                sum.cost_error += spent.cost_error;
                sum.events_error += spent.events_error;
            }
            all.users.insert(name.clone(), sum);
        }
        all.forgotten.cost = shards.iter().map(|shard| shard.forgotten.cost).sum();
        all.forgotten.events = shards.iter().map(|shard| shard.forgotten.events).sum();
        all
    }

    fn into_totals(self) -> UserTotals {
        let mut users: Vec<_> = self.users.into_iter().collect();
        users.sort_unstable_by(|(a_name, a), (b_name, b)| {
            (Reverse(a), a_name).cmp(&(Reverse(b), b_name))
        });
        let rest = users.split_off(users.len().min(TOP));
        let most =
            |of: fn(&Spent) -> u64| rest.iter().map(|(_, spent)| of(spent)).max().unwrap_or(0);
        let events = most(|spent| spent.events + spent.events_error).max(self.forgotten.events);
        let costs = rest.iter().map(|(_, spent)| spent.cost + spent.cost_error);
        let cost = costs.fold(self.forgotten.cost, Usd::max);
        let row = |(user, spent): (Box<str>, Spent)| UserRow {
            user: user.into(),
            events: spent.events,
            tokens: spent.tokens,
            cost_usd: spent.cost,
            events_error: spent.events_error,
            cost_usd_error: spent.cost_error,
        };
        UserTotals { top: users.into_iter().map(row).collect(), rest_max: (events, cost) }
    }
}
