//! Ships until it is told to end, in a thread of a service or in a process of its own.

use std::fmt;
use std::time::Duration;

use super::{Destination, Error, Lag, Progress, Shipper};

/// How often a log without news is looked at, and a failure of the machine itself is tried again.
const POLL: Duration = Duration::from_secs(1);
/// How often a log that somebody else ships is tried to be taken over.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// A [`Shipper`], whatever its destination.
pub trait AnyShipper {
    /// [`Destination::name`].
    fn name(&self) -> &str;

    /// [`Shipper::ship`].
    ///
    /// # Errors
    ///
    /// Those of that method.
    fn ship(&mut self, wait: &mut dyn FnMut(Duration, &str) -> bool) -> Result<Progress, Error>;

    /// [`Shipper::lag`].
    ///
    /// # Errors
    ///
    /// Those of that method.
    fn lag(&self, now: i64) -> Result<Lag, Error>;

    /// [`Shipper::sent`].
    fn sent(&self) -> u64;

    /// [`Shipper::refused`].
    fn refused(&self) -> u64;

    /// [`Shipper::take_refusal`].
    fn take_refusal(&mut self) -> Option<String>;
}

impl<D: Destination> AnyShipper for Shipper<D> {
    fn name(&self) -> &str {
        self.destination().name()
    }

    fn ship(&mut self, wait: &mut dyn FnMut(Duration, &str) -> bool) -> Result<Progress, Error> {
        self.ship(wait)
    }

    fn lag(&self, now: i64) -> Result<Lag, Error> {
        self.lag(now)
    }

    fn sent(&self) -> u64 {
        self.sent()
    }

    fn refused(&self) -> u64 {
        self.refused()
    }

    fn take_refusal(&mut self) -> Option<String> {
        self.take_refusal()
    }
}

/// Why a shipper waits.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Waiting<'a> {
    /// It does not. A batch was sent, and the next one may be there.
    Sent,
    /// Nothing is new.
    UpToDate,
    /// The destination did not take a batch.
    Destination(&'a str),
    /// The log cannot be read, or the position or refused lines cannot be kept.
    Log(&'a dyn fmt::Display),
    /// Somebody else ships this log to the destination.
    HeldElsewhere,
}

/// What waits for a shipper, and shows how far it is.
pub trait Driver {
    /// Waits. Returns whether to go on.
    fn wait(&mut self, pause: Duration, why: Waiting<'_>) -> bool;

    /// Takes note of what was sent so far. It is called after each batch.
    fn note(&mut self, shipper: &mut dyn AnyShipper);
}

/// Ships until the driver ends it. What the destination has then is kept.
///
/// `open` is called until it returns a shipper, and so takes over from another one that ends.
pub fn run<E: fmt::Display>(
    mut open: impl FnMut() -> Result<Option<Box<dyn AnyShipper>>, E>,
    driver: &mut dyn Driver,
) {
    let mut shipper = loop {
        let goes_on = match open() {
            Ok(Some(shipper)) => break shipper,
            Ok(None) => driver.wait(TAKE_OVER, Waiting::HeldElsewhere),
            Err(error) => driver.wait(TAKE_OVER, Waiting::Log(&error)),
        };
        if !goes_on {
            return;
        }
    };
    driver.note(&mut *shipper);
    loop {
        let shipped = shipper.ship(&mut |pause, why| driver.wait(pause, Waiting::Destination(why)));
        driver.note(&mut *shipper);
        let goes_on = match &shipped {
            Ok(Progress::Sent(_)) => driver.wait(Duration::ZERO, Waiting::Sent),
            Ok(Progress::UpToDate) => driver.wait(POLL, Waiting::UpToDate),
            Ok(Progress::Interrupted) => false,
            Err(error) => driver.wait(POLL, Waiting::Log(error)),
        };
        if !goes_on {
            return;
        }
    }
}
