//! llm-audit, with its default settings. The first of its two rows keeps every event.

use std::path::Path;

use llm_audit::{AuditEvent, AuditLogger, EventType};
use serde::Serialize;

use super::{CLOSE_WITHIN, Logger, wide};
use crate::event::Event;

struct Audit(AuditLogger);

/// Starts it with sampling switched off, because no other logger samples.
pub fn start(folder: &Path) -> Box<dyn Logger> {
    logger(folder, true)
}

/// Starts it as it is by default: of events that are `ok` it keeps a share.
pub fn start_sampling(folder: &Path) -> Box<dyn Logger> {
    logger(folder, false)
}

fn logger(folder: &Path, keep_all: bool) -> Box<dyn Logger> {
    let builder = AuditLogger::builder().without_environment().directory(folder);
    Box::new(Audit(builder.debug(keep_all).build().expect("the settings are valid")))
}

/// Emits an event with this payload.
pub fn emit(logger: &AuditLogger, data: &impl Serialize) {
    let event = AuditEvent::new(EventType::ToolCall, "benefits", "plan.search");
    logger.emit(&event.data(data));
}

impl Logger for Audit {
    fn log(&self, event: &Event<'_>) {
        emit(&self.0, event);
    }

    fn log_fields(&self, fields: usize, text: &str) {
        wide::audit(&self.0, fields, text);
    }

    fn close(self: Box<Self>) -> u64 {
        self.0.shutdown(CLOSE_WITHIN).expect("the log closes");
        let counts = self.0.accounting();
        assert_eq!(
            counts.emitted,
            counts.written + counts.overwritten + counts.sampled_out,
            "every event has one end"
        );
        counts.sampled_out
    }
}
