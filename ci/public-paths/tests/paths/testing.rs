//! `testing`: what a piece of code recorded.

use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};

use llm_audit::testing::{Attached, Capture, capture, capture_with};
use llm_audit::{AuditLogger, Builder};

use crate::{implement, must_be_used, not_implement};

fn captures(change: impl FnOnce(Builder) -> Builder) -> Capture {
    let _: fn() -> Capture = capture;
    let _: fn(&Capture) -> Vec<String> = Capture::lines;
    let _: fn(&Capture) -> &AuditLogger = Capture::logger;
    let _: fn(&Capture) -> Attached = Capture::attach;
    capture_with(change)
}

implement! {
    Capture: Sync, Unpin, Debug;
    Attached: Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug;
}

// A thread's part in a capture ends on that thread.
not_implement! {
    Capture: Send;
    Attached: Send;
}

must_be_used! {
    Attached,
}

const _: () = assert!(std::mem::needs_drop::<Attached>());
