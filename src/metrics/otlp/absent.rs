//! The same without the feature `otlp`: nothing is exported.

use std::time::Instant;

use super::ExportSource;
use crate::config::Settings;
use crate::error::Error;

#[derive(Default)]
pub(crate) struct OtlpExport(());

pub(crate) fn check_export(_: &Settings) -> Result<(), Error> {
    Ok(())
}

impl OtlpExport {
    pub(crate) fn start(&self, _: &Settings, _: &str, _: impl ExportSource) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn close(&self) {}

    pub(crate) fn wait_for_last(&self, _: Option<Instant>) {}
}
