//! A small cache of what was found before, oldest out first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use llm_audit::{AuditEvent, EventType};
use serde_json::{Value, json};

use crate::step::step_ms_since;

/// So many entries are held.
const ENTRIES_MAX: usize = 256;

#[derive(Default)]
pub(crate) struct Cache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    values: HashMap<String, Value>,
    /// The keys, oldest first.
    order: VecDeque<String>,
}

impl Cache {
    /// What is under `key`; `agent` asks.
    pub(crate) fn get(&self, agent: &str, key: &str) -> Option<Value> {
        let begin = Instant::now();
        let found = self.with_entries(|entries| entries.values.get(key).cloned());
        let event_type = if found.is_some() { EventType::CacheHit } else { EventType::CacheMiss };
        llm_audit::emit(
            &AuditEvent::new(event_type, agent, "cache.get")
                .latency_ms(step_ms_since(begin))
                .data(&json!({"key": key})),
        );
        found
    }

    pub(crate) fn put(&self, key: String, value: Value) {
        self.with_entries(|entries| {
            if entries.values.insert(key.clone(), value).is_none() {
                entries.order.push_back(key);
            }
            if entries.order.len() > ENTRIES_MAX
                && let Some(oldest) = entries.order.pop_front()
            {
                entries.values.remove(&oldest);
            }
        });
    }

    fn with_entries<R>(&self, work: impl FnOnce(&mut Entries) -> R) -> R {
        // No panic leaves an entry half made.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let cache = Cache::default();
        for n in 0..=ENTRIES_MAX {
            cache.put(n.to_string(), n.into());
        }
        let seen = llm_audit::testing::capture();
        assert_eq!(cache.get("a", "0"), None);
        assert_eq!(cache.get("a", "1"), Some(1.into()));
        let lines = seen.lines();
        assert!(lines[0].contains("cache.miss") && lines[1].contains("cache.hit"), "{lines:?}");
    }
}
