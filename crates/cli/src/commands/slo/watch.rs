//! `slo watch`: computes the alert rules each minute, and tells what fires and what is resolved.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use llm_audit::environment::Environment;
use llm_audit_slo::notify::{Dispatcher, Lines, Watch, notifiers};
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
  AUDIT_PAGERDUTY_URL     another address of PagerDuty, such as the one in the EU
  AUDIT_ALERT_SNS_TOPIC   the ARN of a topic (feature sns)
  AUDIT_ALERT_COMMAND     a command that reads the alert as JSON on stdin
  AUDIT_ALERT_HEARTBEAT   a URL that is called after each evaluation, for a dead man's switch

One evaluator works on a folder at a time. Another one waits until it can take over. The state is in
DIR/.slo, so alerts go on after a restart.

Exit codes: 2 bad input. With --once: 0 nothing fires, 1 an alert fires, 3 nothing was evaluated, because there
is no log or another evaluator has the folder.

Examples:
  AUDIT_ALERTMANAGER_URL=http://localhost:9093 llm-audit slo watch --dir logs
  llm-audit slo watch --dir logs --once";

/// How long the last attempts of all notifiers may take.
const LAST_ATTEMPTS: Duration = Duration::from_secs(30);

pub(super) fn run_watch(args: &SloWatchArgs) -> Result<CommandExit, CommandFailure> {
    let objectives = args.objectives.read()?;
    let dispatcher = start_dispatcher()?;
    Environment::read().unknown.iter().for_each(complain_on_stderr);
    let engine = AlertEngine::new(args.dir.path(), objectives);
    let mut watch = Watch::new(engine, dispatcher);
    if args.once {
        return run_once(watch, &args.dir);
    }
    args.dir.wait_for_log()?;
    let mut said = BTreeSet::new();
    loop {
        let now = Timestamp::now().as_microsecond();
        watch.evaluate(now);
        complain(watch.engine(), &mut said);
        thread::sleep(watch.until_next(now));
    }
}

/// Evaluates a folder with a log, so that no other folder gets a state.
fn run_once(mut watch: Watch, dir: &LogDir) -> Result<CommandExit, CommandFailure> {
    let path = dir.path();
    if !path.exists() {
        // A mistyped name must not look like a quiet log.
        return Err(CommandFailure::new(format!("there is no folder {}", path.display())));
    }
    let Some(folder) = dir.open()? else { return Ok(CommandExit::NoData) };
    if folder.bytes() == 0 {
        complain_on_stderr(format_args!("no data: no line in {}", path.display()));
        return Ok(CommandExit::NoData);
    }
    let fires = watch.evaluate(Timestamp::now().as_microsecond()).iter().any(Alert::is_firing);
    let engine = watch.engine();
    if engine.is_held_elsewhere() {
        complain_on_stderr("another evaluator has the folder, so nothing was evaluated here");
        return Ok(CommandExit::NoData);
    }
    match engine.error().map(ToString::to_string) {
        Some(error) if !engine.has_folder() => return Err(CommandFailure::new(error)),
        error => error.iter().for_each(complain_on_stderr),
    }
    let late = watch.shutdown(LAST_ATTEMPTS);
    complain_of_failures(watch.dispatcher(), &late);
    Ok(if fires { CommandExit::Finding } else { CommandExit::Fine })
}

fn start_dispatcher() -> Result<Dispatcher, CommandFailure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let others = notifiers("llm-audit", variable);
    let others = others.map_err(|error| CommandFailure::new(error.to_string()))?;
    let builder = Dispatcher::builder().notifier(Lines::new("stdout", FlushedStdout));
    let builder = builder.notifiers(others).on_trouble(|what| complain_on_stderr(what));
    builder.start().map_err(|error| CommandFailure::new(format!("cannot start a thread: {error}")))
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
