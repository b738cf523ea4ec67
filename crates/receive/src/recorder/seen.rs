//! The requests that were acknowledged or are being recorded, so that a retried one is not recorded twice.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};
use tokio::sync::oneshot;

use super::Outcome;
use crate::answer::{Accepted, Encoding, Signal};

/// The acknowledged requests that are remembered.
const REQUESTS_MAX: usize = 4_096;

/// Identifies a request by its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BodyKey([u64; 2]);

/// Hashes bodies with a key that no client knows, so that nobody can make two bodies that count as one.
#[derive(Debug)]
pub(crate) struct BodyHasher {
    /// Has its key, and nothing to hash yet.
    keyed: SipHasher13,
    unique: AtomicU64,
}

impl Default for BodyHasher {
    fn default() -> Self {
        let random = RandomState::new();
        let keyed = SipHasher13::new_with_keys(random.hash_one(0), random.hash_one(1));
        Self { keyed, unique: AtomicU64::default() }
    }
}

impl BodyHasher {
    pub(crate) fn key_of(&self, signal: Signal, encoding: Encoding, body: &[u8]) -> BodyKey {
        self.hash((signal, encoding == Encoding::Json, body))
    }

    /// Returns the key of a body that another one may be equal to without being the same request.
    pub(crate) fn unique_key(&self) -> BodyKey {
        self.hash(self.unique.fetch_add(1, Ordering::Relaxed))
    }

    fn hash(&self, value: impl Hash) -> BodyKey {
        let mut hasher = self.keyed;
        value.hash(&mut hasher);
        let Hash128 { h1, h2 } = hasher.finish128();
        BodyKey([h1, h2])
    }
}

/// What is known of a request.
enum SeenRequest {
    /// It is being recorded, and these wait for the outcome.
    Recording(Vec<oneshot::Sender<Outcome>>),
    Acknowledged(Accepted),
}

/// The requests of a bounded window.
#[derive(Default)]
pub(super) struct Seen {
    window: Mutex<Window>,
    repeated: AtomicU64,
}

#[derive(Default)]
struct Window {
    requests: HashMap<BodyKey, SeenRequest>,
    /// The acknowledged ones, the oldest first.
    acknowledged: VecDeque<BodyKey>,
}

impl Seen {
    /// Returns what will get the outcome of the request, and whether the caller has to record it.
    pub(super) fn begin(&self, key: BodyKey) -> (oneshot::Receiver<Outcome>, bool) {
        let (sender, receiver) = oneshot::channel();
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        match window.requests.get_mut(&key) {
            Some(SeenRequest::Recording(waiting)) => waiting.push(sender),
            // The receiver is at hand, so this cannot fail.
            Some(SeenRequest::Acknowledged(accepted)) => drop(sender.send(Ok(accepted.clone()))),
            None => {
                window.requests.insert(key, SeenRequest::Recording(vec![sender]));
                return (receiver, true);
            }
        }
        self.repeated.fetch_add(1, Ordering::Relaxed);
        (receiver, false)
    }

    /// Tells the outcome to all who wait. The request is remembered if it is acknowledged.
    pub(super) fn finish(&self, key: BodyKey, outcome: &Outcome) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match outcome {
            Ok(accepted) => window.acknowledge(key, accepted.clone()),
            Err(_) => window.requests.remove(&key),
        };
        drop(window);
        if let Some(SeenRequest::Recording(waiting)) = before {
            // A client that has gone gets no answer.
            waiting.into_iter().for_each(|sender| drop(sender.send(outcome.clone())));
        }
    }

    pub(super) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }
}

impl Window {
    fn acknowledge(&mut self, key: BodyKey, accepted: Accepted) -> Option<SeenRequest> {
        if self.acknowledged.len() == REQUESTS_MAX
            && let Some(oldest) = self.acknowledged.pop_front()
        {
            self.requests.remove(&oldest);
        }
        self.acknowledged.push_back(key);
        self.requests.insert(key, SeenRequest::Acknowledged(accepted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Refusal;

    fn accepted(rejected: u64) -> Accepted {
        Accepted { rejected, why: None }
    }

    #[test]
    fn a_retried_request_gets_the_outcome_of_the_first() {
        let (seen, hasher) = (Seen::default(), BodyHasher::default());
        let key = hasher.key_of(Signal::Logs, Encoding::Json, b"{}");
        let (mut first, is_new) = seen.begin(key);
        assert!(is_new && first.try_recv().is_err());
        let (mut second, is_new) = seen.begin(key);
        assert!(!is_new);
        seen.finish(key, &Ok(accepted(3)));
        let (mut third, is_new) = seen.begin(key);
        assert!(!is_new);
        for receiver in [&mut first, &mut second, &mut third] {
            assert_eq!(receiver.try_recv().unwrap().unwrap(), accepted(3));
        }
        assert_eq!(seen.repeated(), 2);
    }

    #[test]
    fn a_failed_request_and_an_old_one_are_forgotten() {
        let (seen, hasher) = (Seen::default(), BodyHasher::default());
        let key =
            |number: usize| hasher.key_of(Signal::Traces, Encoding::Json, &number.to_le_bytes());
        assert!(seen.begin(key(0)).1);
        seen.finish(key(0), &Err(Refusal::unavailable("full")));
        for number in 0..=REQUESTS_MAX {
            assert!(seen.begin(key(number)).1, "{number}");
            seen.finish(key(number), &Ok(accepted(0)));
        }
        assert!(!seen.begin(key(1)).1);
        assert!(seen.begin(key(0)).1, "the oldest has made room");
    }

    #[test]
    fn equal_bodies_may_have_keys_of_their_own() {
        let hasher = BodyHasher::default();
        assert_ne!(hasher.unique_key(), hasher.unique_key());
    }

    #[test]
    fn a_key_depends_on_the_path_and_the_encoding() {
        let hasher = BodyHasher::default();
        let keys = [
            hasher.key_of(Signal::Logs, Encoding::Protobuf, b""),
            hasher.key_of(Signal::Logs, Encoding::Json, b""),
            hasher.key_of(Signal::Traces, Encoding::Protobuf, b""),
            hasher.key_of(Signal::Logs, Encoding::Protobuf, b"\0"),
        ];
        let distinct: std::collections::HashSet<_> = keys.into_iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
