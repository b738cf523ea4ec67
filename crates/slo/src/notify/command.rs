//! Alerts to a command, as JSON on its standard input.

use std::io::Write;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, process};

use super::notifier::{Notifier, NotifyError};
use super::payload::WebhookPayload;
use crate::Alert;

/// The time that the command may take.
const COMMAND_SECONDS_MAX: u64 = 30;
/// The error of a wait for a child that is not there any more. It is the same on every Unix.
const ECHILD: i32 = 10;
/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs a command for each alert, without a shell. Its standard input is the JSON that
/// [`Webhook`](super::Webhook) would post. Its output is discarded. An exit code other than 0 is a failure, and the
/// command runs again later. After 30 seconds it is killed, which is a failure, too. If the application ignores
/// SIGCHLD, the exit code is not known and the command counts as successful.
///
/// The text is divided into words at spaces. `'…'` and `"…"` keep spaces in a word, and `\` keeps the next
/// character, as in a POSIX shell. Nothing else is special: `$HOME`, `*`, `|` and `~` stay as they are.
pub struct Command {
    program: String,
    arguments: Vec<String>,
    limit: Duration,
}

impl Command {
    /// Returns `None` if the text has no word, or quotes that are not closed.
    pub fn new(text: &str) -> Option<Self> {
        let mut words = shlex::split(text)?.into_iter();
        let program = words.next().filter(|program| !program.is_empty())?;
        Some(Self {
            program,
            arguments: words.collect(),
            limit: Duration::from_secs(COMMAND_SECONDS_MAX),
        })
    }

    /// Replaces the limit of 30 seconds.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn()
    }
}

impl Notifier for Command {
    fn name(&self) -> &str {
        "command"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        let failed = |error: io::Error| NotifyError::temporary(error.to_string());
        let mut child = self.start().map_err(failed)?;
        feed(&mut child, WebhookPayload::new(alert).to_json());
        match wait(&mut child, self.limit) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(NotifyError::temporary(status.to_string())),
            Ok(None) => Err(NotifyError::temporary(format!("killed after {:?}", self.limit))),
            // The system discards the exit codes of children if SIGCHLD is ignored.
            Err(error) if cfg!(unix) && error.raw_os_error() == Some(ECHILD) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Writes on another thread, since a command that reads nothing can fill the pipe. The result does not matter: a
/// command need not read.
fn feed(child: &mut Child, json: String) {
    let input = child.stdin.take();
    thread::spawn(move || input.map(|mut input| input.write_all(json.as_bytes())));
}

/// Waits for the end, or kills the command at the limit and returns `None`.
///
/// std has no wait with a limit. The crates that do take over the handler of SIGCHLD, which belongs to the
/// application.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() >= limit {
            child.kill()?;
            // Its exit code does not matter.
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}
