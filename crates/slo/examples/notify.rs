//! Sends alerts to where the variables say. Each line of the standard input is an alert as JSON, and the end of an
//! evaluation.
//!
//! ```sh
//! AUDIT_ALERTMANAGER_URL=http://127.0.0.1:9093 cargo run -p llm-audit-slo --features notify --example notify
//! ```
#![allow(clippy::print_stderr, reason = "an example")]

use std::error::Error;
use std::io;
use std::time::Duration;

use llm_audit_slo::Alert;
use llm_audit_slo::notify::{Dispatcher, Lines, notifiers};

fn main() -> Result<(), Box<dyn Error>> {
    let dispatcher = Dispatcher::builder()
        .notifiers(notifiers("benefits", |name| std::env::var(name).ok())?)
        .notifier(Lines::new("stderr", io::stderr()))
        .on_trouble(|text| eprintln!("{text}"))
        .start()?;
    for line in io::stdin().lines() {
        let alert: Alert = serde_json::from_str(&line?)?;
        dispatcher.notify(&alert);
        dispatcher.evaluated();
    }
    let hanging = dispatcher.shutdown(Duration::from_secs(20));
    let failures: Vec<_> =
        dispatcher.failures().into_iter().filter(|counts| counts.failed > 0).collect();
    if hanging.is_empty() && failures.is_empty() {
        Ok(())
    } else {
        Err(format!("{hanging:?}, {failures:?}").into())
    }
}
