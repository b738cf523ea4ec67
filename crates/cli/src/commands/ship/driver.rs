//! Runs a shipper in the command: progress, trouble, signals, and what was sent at the end.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use llm_audit::environment::Environment;
use llm_audit::shipping::{AnyShipper, LogShipping, ShipTo};
use llm_audit::{AuditLogger, Builder};
use llm_audit_process::exit::{WriterExitGuard, signal_asks_to_close};
use llm_audit_ship::shipper::{Driver, Waiting, run};
use serde_json::json;

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
    let mut driver = CommandDriver::new(to.name(), args.follow);
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
    follows: bool,
    started: Instant,
    progress: Progress,
    /// Sent and refused before this run. `None` until the position is open.
    before: Option<(u64, u64)>,
    /// Sent and refused until now.
    done: (u64, u64),
    /// What is wrong now, and was said.
    trouble: Option<String>,
    /// How much was sent when the log could not be read.
    sent_at_failure: Option<u64>,
    failure: Option<CommandFailure>,
}

impl CommandDriver {
    fn new(destination: &str, follows: bool) -> Self {
        Self {
            destination: destination.to_owned(),
            follows,
            started: Instant::now(),
            progress: Progress::new(),
            before: None,
            done: (0, 0),
            trouble: None,
            sent_at_failure: None,
            failure: None,
        }
    }

    /// Sent and refused by this run.
    fn own(&self) -> (u64, u64) {
        let before = self.before.unwrap_or_default();
        (self.done.0.saturating_sub(before.0), self.done.1.saturating_sub(before.1))
    }

    /// Says what is wrong when it begins, and when it has ended.
    fn say(&mut self, trouble: Option<String>) {
        if self.trouble.is_some() == trouble.is_some() {
            return;
        }
        self.progress.clear();
        match &trouble {
            Some(trouble) => complain_on_stderr(trouble),
            None => complain_on_stderr(format_args!("shipping to {} goes on", self.destination)),
        }
        self.trouble = trouble;
    }

    /// Returns whether to go on after a failure of the machine itself. Without `--follow` that is so as long as
    /// something is sent.
    fn goes_on_after(&mut self, error: String) -> bool {
        let goes_on =
            self.follows || self.sent_at_failure.replace(self.done.0) != Some(self.done.0);
        if !goes_on {
            self.failure = Some(CommandFailure::new(error));
        } else {
            self.say(Some(error));
        }
        goes_on
    }

    fn is_to_go_on(&mut self, why: Waiting<'_>) -> bool {
        let destination = &self.destination;
        match why {
            Waiting::Sent => self.say(None),
            Waiting::UpToDate => {
                self.say(None);
                self.progress.clear();
                return self.follows;
            }
            Waiting::Destination(why) => {
                self.say(Some(format!(
                    "{destination} does not take events: {why}; it is tried again"
                )));
            }
            Waiting::HeldElsewhere if self.follows => {
                let held = "another process ships this log there; this one takes over when it ends";
                self.say(Some(format!("{destination}: {held}")));
            }
            Waiting::HeldElsewhere => {
                let held = format!("another process ships this log to {destination} now");
                self.failure = Some(CommandFailure::new(held));
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
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let ((sent, refused), took) = (self.own(), self.started.elapsed());
        let mut out = io::stdout().lock();
        let written = match as_json {
            true => {
                let seconds = took.as_secs_f64();
                let destination = &self.destination;
                writeln!(
                    out,
                    "{}",
                    json!({"destination": destination, "sent": sent, "refused": refused, "seconds": seconds})
                )
            }
            false => writeln!(
                out,
                "{} sent to {} in {}, {refused} of them refused",
                format_count(sent, "event"),
                self.destination,
                format_duration(took.as_secs_f64() * 1e3),
            ),
        };
        CommandFailure::from_report(written.and_then(|()| out.flush()))?;
        Ok(if refused > 0 { CommandExit::Finding } else { CommandExit::Fine })
    }
}

impl Driver for CommandDriver {
    fn wait(&mut self, pause: Duration, why: Waiting<'_>) -> bool {
        if !self.is_to_go_on(why) {
            return false;
        }
        let until = Instant::now() + pause;
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
        self.before.get_or_insert(self.done);
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
