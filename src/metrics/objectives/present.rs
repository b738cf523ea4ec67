//! The objectives whose events the page of metrics counts.

use std::path::Path;
use std::sync::Arc;

use llm_audit_slo::Objectives;

use crate::error::{Error, ErrorCause};
use crate::metrics::{MetricsRow, ObjectiveEvents};

#[derive(Clone)]
pub(crate) struct CountedObjectives(Arc<Objectives>);

impl CountedObjectives {
    /// Reads a file of objectives, or takes those that are built in.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let read = path.map(Objectives::read).transpose();
        let read = read.map_err(|error| Error::new(ErrorCause::Objectives(error)))?;
        Ok(Self(Arc::new(read.unwrap_or_else(Objectives::built_in))))
    }

    /// Returns the objectives.
    #[cfg(feature = "alerts")]
    pub(crate) fn objectives(&self) -> &Objectives {
        &self.0
    }

    /// Returns the events of each objective in these rows, also of those without an event.
    pub(crate) fn events(&self, rows: &[MetricsRow]) -> Vec<ObjectiveEvents> {
        let counts = self.0.counts(rows).into_iter();
        counts
            .map(|of| ObjectiveEvents { slo: of.slo.to_owned(), good: of.good, bad: of.bad })
            .collect()
    }
}
