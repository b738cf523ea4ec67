//! `llm_audit::shipping`.

use std::path::Path;
use std::time::Duration;

use llm_audit::shipping::{AnyShipper, Lag, LogShipping, Progress, ShipTo};
use llm_audit::{Builder, Error};

use crate::{fields, implement, variants};

type Opened = Result<Option<Box<dyn AnyShipper>>, Error>;

fn methods() {
    let _: fn(Builder, ShipTo) -> Result<LogShipping, Error> = LogShipping::new;
    let _: fn(&LogShipping) -> &Path = LogShipping::directory;
    let _: fn(&LogShipping) -> Opened = LogShipping::open;
    let _: fn(ShipTo) -> &'static str = ShipTo::name;
}

fn shipper(shipper: &mut dyn AnyShipper, wait: &mut dyn FnMut(Duration, &str) -> bool) {
    let _: &str = shipper.name();
    let _: Option<Progress> = shipper.ship(wait).ok();
    let _: Option<Lag> = shipper.lag(0).ok();
    let _: (u64, u64) = (shipper.sent(), shipper.refused());
    let _: Option<String> = shipper.take_refusal();
}

fields!(Lag {
    bytes: u64,
    lines: Option<u64>,
    seconds: Option<f64>,
});

variants!(ShipTo { Otlp, CloudWatch });

implement! {
    LogShipping: Send, Sync, std::fmt::Debug;
    ShipTo: Clone, Copy, std::fmt::Debug, PartialEq, Eq;
}
