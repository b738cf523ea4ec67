//! `llm_audit::alerts`.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use llm_audit::Builder;
use llm_audit::alerts::{Alert, Evaluation, Lines, Notifier, NotifyError, Severity};

use crate::{fields, implement, variants};

fn notifier(builder: Builder, notifier: impl Notifier + 'static) -> Builder {
    builder.notifier(notifier)
}

struct Own;

impl Notifier for Own {
    fn name(&self) -> &str {
        "own"
    }

    fn notify(&mut self, _: &Alert) -> Result<(), NotifyError> {
        Ok(())
    }

    fn evaluated(&mut self, _: &Evaluation) -> Result<(), NotifyError> {
        Ok(())
    }
}

fn lines<W: Write + Send>(name: String, output: W) -> impl Notifier {
    Lines::new(name, output)
}

fn methods() {
    let _: fn(&Alert) -> bool = Alert::is_firing;
    let _: fn(Severity) -> &'static str = Severity::name;
    let _: fn(String) -> NotifyError = NotifyError::temporary;
    let _: fn(String) -> NotifyError = NotifyError::permanent;
    let _: fn(NotifyError, Duration) -> NotifyError = NotifyError::with_retry_after;
    let _: fn(&NotifyError) -> bool = NotifyError::is_temporary;
}

fields!(Alert {
    rule: String,
    objective: String,
    service: String,
    severity: Severity,
    subject: Option<(String, String)>,
    starts_at: i64,
    ends_at: Option<i64>,
    summary: String,
    value: String,
    target: String,
    window: String,
    traces: Vec<String>,
    command: String,
});

fields!(Evaluation { at: i64, alerts: Vec<Arc<Alert>> });

variants!(Severity { Ticket, Page });

implement! {
    Alert: Clone, std::fmt::Debug, PartialEq;
    Severity: Clone, Copy, std::fmt::Debug, PartialEq, Eq;
    NotifyError: std::error::Error, Send, Sync;
}
