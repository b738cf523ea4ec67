//! Warns if a filter disables the spans that `layer::tracing` is there for.
//!
//! A layer does not learn what a filter of the whole subscriber disables. `tracing` knows the most
//! verbose level that is enabled, and only after the subscriber is installed. So the writers look
//! when they have nothing to do, and when they close.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tracing_core::LevelFilter;

use super::print_to_stderr;

// Relaxed everywhere: each is a fact of its own and guards no other memory.

/// The layers that are part of a subscriber.
static LAYERS: AtomicUsize = AtomicUsize::new(0);
/// Whether the program came to a span with GenAI fields, as far as the layers are told.
static WAS_REACHED: AtomicBool = AtomicBool::new(false);
/// Whether one was enabled.
static WAS_ENABLED: AtomicBool = AtomicBool::new(false);
/// Whether the last look found that nothing is enabled. The subscriber may have been about to be
/// installed.
static IS_SUSPECTED: AtomicBool = AtomicBool::new(false);
static TOLD: AtomicBool = AtomicBool::new(false);

/// A layer that is part of a subscriber, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct InstalledLayer(AtomicBool);

impl InstalledLayer {
    pub(crate) fn note_installed(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            LAYERS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for InstalledLayer {
    fn drop(&mut self) {
        if self.0.load(Ordering::Relaxed) {
            LAYERS.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Takes note that the program came to a span with GenAI fields, which may be disabled.
pub(crate) fn note_reached() {
    WAS_REACHED.store(true, Ordering::Relaxed);
}

/// Takes note that one was enabled.
#[inline]
pub(crate) fn note_enabled() {
    if !WAS_ENABLED.load(Ordering::Relaxed) {
        WAS_ENABLED.store(true, Ordering::Relaxed);
    }
}

/// Warns once if no span with GenAI fields can be enabled. While the program runs, two looks in a
/// row have to find it.
pub(crate) fn look_for_disabled_spans(is_last_look: bool) {
    let is_off = LAYERS.load(Ordering::Relaxed) > 0
        && !WAS_ENABLED.load(Ordering::Relaxed)
        && (WAS_REACHED.load(Ordering::Relaxed) || LevelFilter::current() < LevelFilter::INFO);
    let was_suspected = IS_SUSPECTED.swap(is_off, Ordering::Relaxed);
    if is_off && (was_suspected || is_last_look) && !TOLD.swap(true, Ordering::Relaxed) {
        print_to_stderr(&format!(
            "llm-audit: a filter disables the spans with gen_ai fields (the most verbose level \
             enabled is {}), so the tracing layer records nothing; set RUST_LOG=info, or attach the \
             filter to the fmt layer alone, by with_filter (AUDIT_NOTICES=none silences this)\n",
            LevelFilter::current()
        ));
    }
}
