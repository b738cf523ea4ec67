//! Runs a shipper in the command: progress, trouble, signals, and what was sent at the end.

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use llm_audit::environment::Environment;
use llm_audit::shipping::{AnyShipper, LogShipping, ShipTo};
use llm_audit::{AuditLogger, Builder};
use llm_audit_log::{REFUSED_FOLDER, SHIP_FOLDER};
use llm_audit_process::exit::{WriterExitGuard, signal_asks_to_close};
use llm_audit_ship::shipper::{Driver, Trouble, Waiting, run};
use serde_json::{Value, json};

use super::send::{ShipDestination, ShipSendArgs};
use crate::ui::{
    CommandExit, CommandFailure, Progress, close_log_on_signals, complain_on_stderr, format_count,
    format_duration,
};

/// How long a signal may wait until it is seen.
const SLICE: Duration = Duration::from_millis(100);

pub(super) fn send(
    args: &ShipSendArgs,
    to: ShipDestination,
) -> Result<CommandExit, CommandFailure> {
    let to = match to {
        ShipDestination::Otlp => ShipTo::Otlp,
        ShipDestination::Cloudwatch => ShipTo::CloudWatch,
    };
    let shipping = LogShipping::new(builder(args), to)?;
    Environment::read().unknown.iter().for_each(complain_on_stderr);
    if args.follow {
        args.dir.wait_for_log()?;
    } else if args.dir.open()?.is_none() {
        return Ok(CommandExit::NoData);
    }
    close_log_on_signals()?;
    // A signal ends the process when it is dropped.
    let _exiting = WriterExitGuard::begin();
    let mut driver = CommandDriver::new(to.name(), args);
    run(|| shipping.open(), &mut driver);
    driver.report(args.json)
}

/// What the flags say, over the environment.
fn builder(args: &ShipSendArgs) -> Builder {
    let mut builder = AuditLogger::builder().directory(args.dir.path());
    if let Some(url) = &args.endpoint {
        builder = builder.otlp_collector(url);
    }
    if let Some(group) = &args.group {
        builder = builder.cloudwatch_group(group);
    }
    if let Some(stream) = &args.stream {
        builder = builder.cloudwatch_stream(stream);
    }
    builder
}

/// Waits in the command, and shows what happens.
struct CommandDriver {
    destination: String,
    dir: PathBuf,
    follows: bool,
    /// How long a destination may not take a batch.
    timeout: Option<Duration>,
    /// Since when it does not take this one.
    waits_since: Option<Instant>,
    started: Instant,
    progress: Progress,
    /// Sent and refused before this run. `None` until the position is open.
    before: Option<(u64, u64)>,
    /// Sent and refused until now.
    done: (u64, u64),
    trouble: Trouble,
    /// How much was sent when the log could not be read.
    sent_at_failure: Option<u64>,
    /// The last one, which is reported after what was sent.
    failure: Option<String>,
}

impl CommandDriver {
    fn new(destination: &str, args: &ShipSendArgs) -> Self {
        Self {
            destination: destination.to_owned(),
            dir: args.dir.path(),
            follows: args.follow,
            timeout: args.timeout,
            waits_since: None,
            started: Instant::now(),
            progress: Progress::new(),
            before: None,
            done: (0, 0),
            trouble: Trouble::default(),
            sent_at_failure: None,
            failure: None,
        }
    }

    /// Sent and refused by this run.
    fn own(&self) -> (u64, u64) {
        let before = self.before.unwrap_or_default();
        (self.done.0.saturating_sub(before.0), self.done.1.saturating_sub(before.1))
    }

    /// Says what is wrong when it begins, and then at most once a minute.
    fn say(&mut self, trouble: &str) {
        if self.trouble.is_news(trouble, Instant::now(), true) {
            self.progress.clear();
            complain_on_stderr(trouble);
        }
    }

    fn say_that_it_goes_on(&mut self) {
        self.waits_since = None;
        if self.trouble.end() {
            self.progress.clear();
            complain_on_stderr(format_args!("shipping to {} goes on", self.destination));
        }
    }

    /// Returns whether to go on after a failure of the machine itself. Without `--follow` that is so as long as
    /// something is sent.
    fn goes_on_after(&mut self, error: String) -> bool {
        self.waits_since = None;
        if self.follows {
            self.say(&error);
            return true;
        }
        if let Some(earlier) = self.failure.replace(error.clone()).filter(|of| *of != error) {
            complain_on_stderr(earlier);
        }
        self.sent_at_failure.replace(self.done.0) != Some(self.done.0)
    }

    /// Returns whether to try again a destination that does not take events.
    fn waits_for_destination(&mut self, why: &str) -> bool {
        let destination = &self.destination;
        let trouble = format!("{destination} does not take events: {why}");
        let waits = self.waits_since.get_or_insert_with(Instant::now).elapsed();
        if self.timeout.is_some_and(|timeout| waits >= timeout) {
            self.failure = Some(format!("{trouble}; --timeout is over"));
            return false;
        }
        self.say(&format!("{trouble}; it is tried again"));
        true
    }

    fn is_to_go_on(&mut self, why: Waiting<'_>) -> bool {
        let destination = &self.destination;
        match why {
            Waiting::Sent => self.say_that_it_goes_on(),
            Waiting::UpToDate => {
                self.say_that_it_goes_on();
                self.progress.clear();
                return self.follows;
            }
            Waiting::Destination(why) => return self.waits_for_destination(why),
            Waiting::HeldElsewhere if self.follows => {
                let held = "another process ships this log there; this one takes over when it ends";
                self.say(&format!("{destination}: {held}"));
            }
            Waiting::HeldElsewhere => {
                let held = format!("another process ships this log to {destination} now");
                self.failure = Some(held);
                return false;
            }
            Waiting::Log(error) => return self.goes_on_after(error.to_string()),
            _ => {}
        }
        true
    }

    /// Prints what was sent.
    fn report(mut self, as_json: bool) -> Result<CommandExit, CommandFailure> {
        self.progress.clear();
        let failure = self.failure.take();
        if failure.is_none() || self.before.is_some() {
            let mut out = io::stdout().lock();
            let account = if as_json { self.account_json().to_string() } else { self.account() };
            let written = writeln!(out, "{account}");
            CommandFailure::from_report(written.and_then(|()| out.flush()))?;
        }
        match failure {
            Some(failure) => Err(CommandFailure::new(failure)),
            None if self.own().1 > 0 => Ok(CommandExit::Finding),
            None => Ok(CommandExit::Fine),
        }
    }

    fn account_json(&self) -> Value {
        let ((sent, refused), seconds) = (self.own(), self.started.elapsed().as_secs_f64());
        let destination = &self.destination;
        json!({"destination": destination, "sent": sent, "refused": refused, "seconds": seconds})
    }

    fn account(&self) -> String {
        let ((sent, refused), took) = (self.own(), self.started.elapsed());
        let taken = format_count(sent.saturating_sub(refused), "event");
        let took = format_duration(took.as_secs_f64() * 1e3);
        let account = format!("{taken} sent to {} in {took}, {refused} refused", self.destination);
        match refused {
            0 => account,
            _ => format!("{account}; the refused ones are in {}", self.refused_folder().display()),
        }
    }

    fn refused_folder(&self) -> PathBuf {
        self.dir.join(SHIP_FOLDER).join(REFUSED_FOLDER)
    }

    fn say_start(&self, shipper: &dyn AnyShipper) {
        let lag = shipper.lag(Timestamp::now().as_microsecond());
        let waiting = lag.ok().and_then(|lag| lag.lines).unwrap_or(0);
        let (dir, destination) = (self.dir.display(), &self.destination);
        complain_on_stderr(format_args!(
            "shipping {dir} to {destination}; about {} to send",
            format_count(waiting, "event")
        ));
    }
}

impl Driver for CommandDriver {
    fn wait(&mut self, pause: Duration, why: Waiting<'_>) -> bool {
        if !self.is_to_go_on(why) {
            return false;
        }
        let give_up =
            self.waits_since.zip(self.timeout).and_then(|(at, limit)| at.checked_add(limit));
        let until = Instant::now() + pause;
        let until = give_up.map_or(until, |give_up| until.min(give_up));
        while !signal_asks_to_close() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(SLICE));
        }
        false
    }

    fn note(&mut self, shipper: &mut dyn AnyShipper) {
        shipper.name().clone_into(&mut self.destination);
        self.done = (shipper.sent(), shipper.refused());
        if self.before.replace(self.before.unwrap_or(self.done)).is_none() && self.follows {
            self.say_start(shipper);
        }
        if let Some(why) = shipper.take_refusal() {
            self.progress.clear();
            complain_on_stderr(format_args!("{} refused events: {why}", self.destination));
        }
        let (sent, seconds) = (self.own().0, self.started.elapsed().as_secs_f64());
        self.progress.show(|| {
            let lag = shipper.lag(Timestamp::now().as_microsecond());
            shown_progress(sent, lag.ok().and_then(|lag| lag.lines).unwrap_or(0), seconds)
        });
    }
}

fn shown_progress(sent: u64, left: u64, seconds: f64) -> String {
    let rate = sent as f64 / seconds;
    let remaining = format_duration(left as f64 / rate * 1e3);
    format!("{sent} of {} events, {rate:.0} a second, {remaining} left", sent + left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_far_how_fast_and_how_long() {
        assert_eq!(
            shown_progress(50_000, 150_000, 10.0),
            "50000 of 200000 events, 5000 a second, 30.00s left"
        );
        assert_eq!(shown_progress(0, 7, 3.0), "0 of 7 events, 0 a second, ? left");
    }
}
