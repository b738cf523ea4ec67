//! Alerts as lines of text, such as on stderr.

use std::io::Write;

use super::notifier::{Notifier, NotifyError};
use super::text::title;
use crate::Alert;

/// Writes a line for each alert:
///
/// ```text
/// llm-audit: [FIRING] error-rate of benefits (page): errors: 6.2 % over 1h (30 of 480), and it should be at most 5 %; llm-audit fixture 4bf92f35 --test
/// ```
pub struct Lines<W> {
    name: String,
    output: W,
}

impl<W: Write + Send> Lines<W> {
    /// Writes to `output`, which the name describes.
    pub fn new(name: impl Into<String>, output: W) -> Self {
        Self { name: name.into(), output }
    }
}

impl<W: Write + Send> Notifier for Lines<W> {
    fn name(&self) -> &str {
        &self.name
    }

    /// Writes the line at once, so that no other text divides it.
    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        let written =
            self.output.write_all(line(alert).as_bytes()).and_then(|()| self.output.flush());
        written.map_err(|error| NotifyError::permanent(error.to_string()))
    }
}

fn line(alert: &Alert) -> String {
    let command =
        if alert.command.is_empty() { String::new() } else { format!("; {}", alert.command) };
    let over = if alert.is_firing() { "" } else { "no longer: " };
    let (title, severity) = (title(alert), alert.severity.name());
    format!("llm-audit: {title} ({severity}): {over}{}{command}\n", alert.summary)
}
