//! Callers' code that panics: its texts, and the values of the panics, dropped with care.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops the value of a caught panic. If that panics in turn, the second value is leaked.
pub(crate) fn forget_panic(panic: Box<dyn std::any::Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

/// Returns a caller's text, or a placeholder if its `Display` panics.
pub(crate) fn display_text(value: &(impl Display + ?Sized)) -> String {
    catch_unwind(AssertUnwindSafe(|| value.to_string())).unwrap_or_else(|panic| {
        forget_panic(panic);
        "[UNSERIALIZABLE]".to_owned()
    })
}
