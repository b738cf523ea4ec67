//! `slo watch`: computes the alert rules each minute, and tells what fires and what is resolved.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use llm_audit_slo::notify::{Dispatcher, Lines, notifiers};
use llm_audit_slo::{Alert, AlertEngine};

use super::ObjectivesArgs;
use crate::arguments::LogDir;
use crate::ui::{CommandExit, CommandFailure, complain_on_stderr};

/// Compute the alert rules every minute, and tell what fires and what is resolved.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SloWatchArgs {
    #[command(flatten)]
    dir: LogDir,
    #[command(flatten)]
    objectives: ObjectivesArgs,
    /// Compute them once, tell what began to fire since the last time, and end
    #[arg(long)]
    once: bool,
}

const AFTER_HELP: &str = "\
Alerts are lines on stdout. These variables name further places:
  AUDIT_ALERT_WEBHOOK     a URL that takes the payload of Alertmanager's webhooks
  AUDIT_ALERTMANAGER_URL  Alertmanagers, divided by commas
  AUDIT_SLACK_WEBHOOK     an incoming webhook of Slack
  AUDIT_PAGERDUTY_KEY     an integration key of PagerDuty
  AUDIT_ALERT_SNS_TOPIC   the ARN of a topic (feature sns)
  AUDIT_ALERT_COMMAND     a command that reads the alert as JSON on stdin
  AUDIT_ALERT_HEARTBEAT   a URL that is called after each evaluation, for a dead man's switch

One evaluator works on a folder at a time. Another one waits until it can take over. The state is in
DIR/.slo, so alerts go on after a restart.

Exit codes: 2 bad input. With --once: 0 nothing fires, 1 an alert fires.

Examples:
  AUDIT_ALERTMANAGER_URL=http://localhost:9093 llm-audit slo watch --dir logs
  llm-audit slo watch --dir logs --once";

const MINUTE: i64 = 60_000_000;
/// How long after a minute its totals are written at the latest, in microseconds.
const SETTLED: i64 = 11_000_000;
/// How long the last attempts of all notifiers may take.
const LAST_ATTEMPTS: Duration = Duration::from_secs(30);

pub(super) fn run_watch(args: &SloWatchArgs) -> Result<CommandExit, CommandFailure> {
    let mut engine = AlertEngine::new(args.dir.path(), args.objectives.read()?);
    let dispatcher = start_dispatcher()?;
    let mut said = BTreeSet::new();
    let mut is_first = true;
    loop {
        let now = Timestamp::now().as_microsecond();
        let alerts = engine.check(now);
        complain(&engine, &mut said);
        if is_first && !engine.is_held_elsewhere() {
            is_first = false;
            dispatcher.resume(&told_before(&alerts, now));
        }
        alerts.iter().for_each(|alert| dispatcher.notify(alert));
        dispatcher.evaluated();
        if args.once {
            let late = dispatcher.shutdown(LAST_ATTEMPTS);
            complain_of_failures(&dispatcher, &late);
            let fires = alerts.iter().any(Alert::is_firing);
            return Ok(if fires { CommandExit::Finding } else { CommandExit::Fine });
        }
        thread::sleep(until_next_evaluation(now));
    }
}

fn start_dispatcher() -> Result<Dispatcher, CommandFailure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let others = notifiers("llm-audit", variable);
    let others = others.map_err(|error| CommandFailure::new(error.to_string()))?;
    let builder = Dispatcher::builder().notifier(Lines::new("stdout", FlushedStdout));
    let builder = builder.notifiers(others).on_trouble(|what| complain_on_stderr(what));
    builder.start().map_err(|error| CommandFailure::new(format!("cannot start a thread: {error}")))
}

/// Returns what the evaluator before this one has told: alerts as they were before the minute that is evaluated now.
fn told_before(alerts: &[Alert], now: i64) -> Vec<Alert> {
    let minute = (now - SETTLED).div_euclid(MINUTE) * MINUTE;
    let older = alerts.iter().filter(|alert| alert.starts_at < minute);
    older
        .cloned()
        .map(|mut alert| {
            alert.ends_at = alert.ends_at.filter(|end| *end < minute);
            alert
        })
        .collect()
}

/// Standard output, from any thread. Each line is there at once, also in a pipe.
struct FlushedStdout;

impl Write for FlushedStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        let written = out.write(bytes)?;
        out.flush().map(|()| written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says each thing once.
fn complain(engine: &AlertEngine, said: &mut BTreeSet<String>) {
    let held = "another evaluator has the folder; this one takes over when it ends".to_owned();
    let held = engine.is_held_elsewhere().then_some(held);
    for what in engine.error().map(ToString::to_string).into_iter().chain(held) {
        if said.insert(what.clone()) {
            complain_on_stderr(&what);
        }
    }
}

fn complain_of_failures(dispatcher: &Dispatcher, late: &[String]) {
    for name in late {
        complain_on_stderr(format_args!("{name} did not answer in time"));
    }
    for failures in dispatcher.failures().iter().filter(|failures| failures.lost > 0) {
        let (name, lost) = (&failures.notifier, failures.lost);
        complain_on_stderr(format_args!("{name} was not told {lost} of the alerts"));
    }
}

/// Returns how long it is until the totals of the next minute are there.
fn until_next_evaluation(now: i64) -> Duration {
    let next = (now - SETTLED).div_euclid(MINUTE) * MINUTE + MINUTE + SETTLED;
    Duration::from_micros((next - now).max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_or_ended_in_an_earlier_minute_was_told() {
        let alert = |starts_at: i64, ends_at: Option<i64>| -> Alert {
            let text = format!(
                r#"{{"rule":"r","objective":"o","service":"s","severity":"page","subject":null,"starts_at":{starts_at},
                "ends_at":{},"summary":"","value":"","target":"","window":"5m","traces":[],"command":""}}"#,
                ends_at.map_or("null".to_owned(), |end| end.to_string())
            );
            serde_json::from_str(&text).unwrap()
        };
        // Eleven seconds after the end of the tenth minute.
        let now = 10 * MINUTE + SETTLED;
        let alerts = [
            alert(8 * MINUTE, None),
            alert(10 * MINUTE, None),
            alert(2 * MINUTE, Some(10 * MINUTE)),
        ];
        let told = told_before(&alerts, now);
        assert_eq!(told, [alert(8 * MINUTE, None), alert(2 * MINUTE, None)]);
    }

    #[test]
    fn an_evaluation_comes_when_the_totals_of_a_minute_are_there() {
        let seconds = |now: i64| until_next_evaluation(now * 1_000_000).as_secs();
        assert_eq!([0, 10, 11, 12, 70].map(seconds), [11, 1, 60, 59, 1]);
    }
}
