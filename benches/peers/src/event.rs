//! The event that every logger writes.

use serde::Serialize;

/// The start of the text of every measured event, by which its line is found in a file.
pub const MARK: &str = "The plan covers";

/// Four fields: two strings, a number and a flag.
#[derive(Serialize)]
pub struct Event<'t> {
    pub tool: &'static str,
    pub text: &'t str,
    pub latency_ms: f64,
    pub cached: bool,
}

impl<'t> Event<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { tool: "plan.search", text, latency_ms: 12.5, cached: true }
    }

    /// Returns the object, for a logger that makes no JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("an event is an object")
    }
}
