//! The same without the feature `alerts`: no rule is evaluated.

use std::time::Instant;

use llm_audit_log::schema::notices::AlertChange;

use crate::config::{Notifiers, Settings};
use crate::error::Error;
use crate::metrics::{AlertsHealth, CountedObjectives};
use crate::sanitize::Sanitizer;

#[derive(Default)]
pub(crate) struct AlertThread(());

impl AlertThread {
    pub(crate) fn start(
        &self,
        _: &Settings,
        _: &CountedObjectives,
        _: &Sanitizer,
        (): Notifiers,
    ) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn close(&self) {}

    pub(crate) fn wait_for_end(&self, _: Option<Instant>) {}

    pub(crate) fn take_changes(&self, _is_last: bool) -> Vec<AlertChange> {
        Vec::new()
    }

    pub(crate) fn health(&self) -> Option<AlertsHealth> {
        None
    }
}
