//! Drops the values of caught panics with care.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops the value of a caught panic. If that panics in turn, the second value is leaked.
pub(crate) fn forget_panic(panic: Box<dyn std::any::Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}
