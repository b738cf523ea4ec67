//! The same without a feature that ships: nothing leaves the machine.

use std::time::Instant;

use crate::config::Settings;
use crate::error::Error;
use crate::metrics::ShippingHealth;

#[derive(Default)]
pub(crate) struct ShippingThreads(());

pub(crate) fn check_shipping(_: &Settings) -> Result<(), Error> {
    Ok(())
}

impl ShippingThreads {
    pub(crate) fn start(&self, _: &Settings) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn close(&self) {}

    pub(crate) fn wait_for_end(&self, _: Option<Instant>) {}

    pub(crate) fn health(&self) -> Vec<ShippingHealth> {
        Vec::new()
    }
}
