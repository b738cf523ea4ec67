//! The program that `run` starts: its signals, its output and its end.

use std::io::{self, PipeWriter};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use llm_audit_process::exit::is_signal_ignored;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
    SIGVTALRM, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;
use signal_hook::low_level::signal_name;

use super::output::pass_on;
use super::{Run, RunArgs};

/// Signals that ask a program to end.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];
/// Timers, which the kernel sends to this process alone. `alarm` lasts over an `exec`.
const TIMERS: [i32; 3] = [SIGALRM, SIGPROF, SIGVTALRM];
/// Signals that mean what the program makes of them.
const OTHERS: [i32; 5] = [SIGCONT, SIGIO, SIGUSR1, SIGUSR2, SIGWINCH];

/// How a program ended.
#[derive(Debug)]
pub(super) enum ProgramEnd {
    Exited(u8),
    /// A signal ended it.
    Killed(i32),
    NotStarted(io::Error),
}

/// What happens while a program runs.
enum Happening {
    Signal {
        signal: i32,
        /// A terminal sends its signals to the program, too.
        is_from_terminal: bool,
    },
    Ended,
    OutputClosed,
}

/// A program that runs.
pub(super) struct Program {
    child: Child,
    happenings: Receiver<Happening>,
    /// The outputs that are passed on and not closed.
    outputs: usize,
    /// If it is dropped, they end as soon as they have passed on what there is.
    keeps_outputs: Option<PipeWriter>,
    /// A signal asked it to end.
    is_asked_to_end: bool,
}

impl Program {
    /// Starts the program in the span of the run.
    pub(super) fn start(args: &RunArgs, run: &Run<'_>) -> io::Result<Self> {
        let (sender, happenings) = channel();
        // Handled before there is a program, so that none of them ends this process alone.
        watch_signals(sender.clone())?;
        let mut command = Command::new(&args.command[0]);
        command.args(&args.command[1..]).envs(run.span.to_env());
        if args.output {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (stop, keeps_outputs) = io::pipe()?;
        let outputs = if args.output { 2 } else { 0 };
        let closed = || {
            let sender = sender.clone();
            move || drop(sender.send(Happening::OutputClosed))
        };
        if let (Some(out), Some(err)) = (out, err) {
            pass_on((out, stop.try_clone()?), io::stdout(), run.output("stdout"), closed());
            pass_on((err, stop), io::stderr(), run.output("stderr"), closed());
        }
        watch_end(&child, sender);
        let keeps_outputs = Some(keeps_outputs);
        Ok(Self { child, happenings, outputs, keeps_outputs, is_asked_to_end: false })
    }

    /// Waits for the end of the program, and then for the end of its output. `ended` is called in between.
    pub(super) fn follow(mut self, ended: impl FnOnce(&ProgramEnd)) -> ProgramEnd {
        let end = self.wait_for_end();
        ended(&end);
        while self.outputs > 0 {
            match self.happenings.recv() {
                Ok(Happening::OutputClosed) => self.outputs -= 1,
                Ok(Happening::Signal { signal, .. }) if OTHERS.contains(&signal) => {}
                // Something that the program started has its output, and a signal ends the wait. A second one does
                // not even wait for what is still passed on. It is the second, too, if the first ended the program.
                _ if self.keeps_outputs.take().is_none() || self.is_asked_to_end => break,
                _ => {}
            }
        }
        end
    }

    fn wait_for_end(&mut self) -> ProgramEnd {
        loop {
            match self.happenings.recv() {
                Ok(Happening::Signal { signal, is_from_terminal }) => {
                    self.is_asked_to_end |= !OTHERS.contains(&signal);
                    if !is_from_terminal {
                        self.signal(signal);
                    }
                }
                Ok(Happening::OutputClosed) => self.outputs -= 1,
                Ok(Happening::Ended) | Err(_) => break,
            }
        }
        self.child.wait().map_or_else(ProgramEnd::NotStarted, ProgramEnd::from)
    }

    /// Its id is not that of another program: it is reaped by this thread.
    fn signal(&self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal) {
            let _has_ended = kill_process(Pid::from_child(&self.child), signal);
        }
    }
}

impl From<ExitStatus> for ProgramEnd {
    fn from(status: ExitStatus) -> Self {
        match status.code() {
            // The system keeps the lowest eight bits.
            Some(code) => Self::Exited(code as u8),
            None => Self::Killed(status.signal().unwrap_or_default()),
        }
    }
}

impl ProgramEnd {
    /// Returns the exit code that a shell gives for this end.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Exited(code) => *code,
            Self::Killed(signal) => 128 + *signal as u8,
            Self::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => 127,
            Self::NotStarted(_) => 126,
        }
    }

    /// Returns the name of the signal that ended the program.
    pub(super) fn signal_name(&self) -> Option<String> {
        let Self::Killed(signal) = self else { return None };
        Some(signal_name(*signal).map_or_else(|| format!("signal {signal}"), str::to_owned))
    }

    /// Returns the type of the error, or `None` if all went well.
    pub(super) fn error_type(&self) -> Option<&'static str> {
        match self {
            Self::Exited(0) => None,
            Self::Exited(_) => Some("ExitCode"),
            Self::Killed(_) => Some("Killed"),
            Self::NotStarted(_) if self.exit_code() == 127 => Some("NotFound"),
            Self::NotStarted(_) => Some("NotStarted"),
        }
    }

    pub(super) fn message(&self, name: &str) -> String {
        match self {
            Self::NotStarted(error) => format!("cannot start {name}: {error}"),
            Self::Killed(_) => {
                format!("{name} was ended by {}", self.signal_name().unwrap_or_default())
            }
            Self::Exited(code) => format!("{name} ended with exit code {code}"),
        }
    }
}

/// Sends the signals that go on to the program. One that is ignored stays so, also in the program.
fn watch_signals(sender: Sender<Happening>) -> io::Result<()> {
    let known = ENDING.into_iter().chain(TIMERS).chain(OTHERS);
    let mut signals = SignalsInfo::<WithRawSiginfo>::new(known.filter(|s| !is_signal_ignored(*s)))?;
    thread::spawn(move || {
        for info in signals.forever() {
            let signal = info.si_signo;
            // A code above 0 means that the kernel sent it.
            let is_from_terminal = info.si_code > 0 && !TIMERS.contains(&signal);
            let _is_over = sender.send(Happening::Signal { signal, is_from_terminal });
        }
    });
    Ok(())
}

/// Waits for the end, and leaves the program to be reaped: until then its id is that of no other.
fn watch_end(child: &Child, sender: Sender<Happening>) {
    let pid = Pid::from_child(child);
    thread::spawn(move || {
        let _ended = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let _is_over = sender.send(Happening::Ended);
    });
}
