//! The one door to atomics and threads: std, or loom under `cfg(loom)`; and the points at which a
//! test stops a thread.

#[cfg(any(feature = "alerts", feature = "cloudwatch-logs", feature = "otlp"))]
pub(crate) mod closing;
#[cfg(all(test, not(loom)))]
pub(crate) mod pause;

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64};

pub(crate) use std::sync::atomic::Ordering;

/// Whether the model checker asked for this deliberate defect. A build without loom has none: the
/// call is a constant `false`.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn is_mutant_asked(_name: &str) -> bool {
    false
}

/// Whether `LLM_AUDIT_MUTANT` names this deliberate defect. The models must fail under every one
/// of them (`ci/loom-mutants.sh`): a number of interleavings proves nothing if nothing could fail.
#[cfg(loom)]
pub(crate) fn is_mutant_asked(name: &str) -> bool {
    static ASKED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ASKED.get_or_init(|| std::env::var("LLM_AUDIT_MUTANT").unwrap_or_default()) == name
}

/// `ordering`, or `Relaxed` where the defect `name` is asked for.
#[inline(always)]
pub(crate) fn ordering_weakened_by(name: &str, ordering: Ordering) -> Ordering {
    if is_mutant_asked(name) { Ordering::Relaxed } else { ordering }
}

#[cfg(all(test, not(loom)))]
pub(crate) use pause::pause;

/// Where a test may stop the calling thread: nothing in any other build.
#[cfg(not(all(test, not(loom))))]
#[inline(always)]
pub(crate) const fn pause(_point: &str) {}
