//! Alerts reach the places that the environment names: in the documented forms, once, in order, and again after a
//! failure.

mod command;
mod delivery;
mod environment;
mod payloads;
mod server;

use llm_audit_slo::Alert;
use serde_json::json;

/// An alert that fires since 2026-03-01 12:00 UTC.
fn alert() -> Alert {
    let alert = json!({
        "rule": "error-rate",
        "objective": "errors",
        "service": "benefits",
        "severity": "page",
        "subject": null,
        "starts_at": 1_772_366_400_000_000_i64,
        "ends_at": null,
        "summary": "6.2 % of 480 requests failed in 1h, and at most 5 % may.",
        "value": "6.2 %",
        "target": "5 %",
        "window": "1h",
        "traces": ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"],
        "command": "llm-audit fixture 4bf92f3577b34da6a3ce929d0e0e4736 --test",
    });
    serde_json::from_value(alert).expect("an alert")
}

/// The same alert, resolved 90.5 seconds later.
fn resolved() -> Alert {
    let mut alert = alert();
    alert.ends_at = Some(alert.starts_at + 90_500_000);
    alert
}
