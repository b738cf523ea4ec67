//! Patterns of the caller's own with the feature `regex`, and none without it.

#[cfg(not(feature = "regex"))]
mod absent;
#[cfg(feature = "regex")]
mod present;

#[cfg(not(feature = "regex"))]
pub(super) use absent::CustomPatterns;
#[cfg(feature = "regex")]
pub(super) use present::CustomPatterns;
