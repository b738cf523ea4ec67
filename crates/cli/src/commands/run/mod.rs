//! `run`: starts a program in a span of its own, and records how it ended.

mod output;
mod program;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use llm_audit::{AuditEvent, AuditLogger, ErrorDetail, EventType, Guard, TraceContext};
use llm_audit_log::shell_word;
use serde_json::json;

use self::output::OutputSource;
use self::program::{Program, ProgramEnd};
use crate::arguments::{LogDir, help_with_environment};
use crate::ui::complain_on_stderr;

/// Run a program within a trace, and record its start, its end and its exit code.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, after_long_help = help_with_environment(AFTER_HELP, &["Alerts"]))]
pub(crate) struct RunArgs {
    #[command(flatten)]
    dir: LogDir,
    /// Record the lines of the program's stdout and stderr, too
    #[arg(long)]
    output: bool,
    /// Agent of the events
    #[arg(long, value_name = "NAME", default_value = "run")]
    agent: String,
    /// Action of the events [default: the program's name]
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const AFTER_HELP: &str = "\
The program gets TRACEPARENT and TRACESTATE. So what it records is in the same trace, if it uses the
library, llm-audit record, another llm-audit run, or anything else that reads them. If they are set
already, that trace goes on. All events of the trace are kept, by the program too.

The run is a request.start and a request.end, whose latency is that of the program. The command is
recorded as a line of a shell, redacted. The environment and the input are not. An exit code other
than 0, a signal that ends the program, and a program that cannot be started are errors.

With --output each line is a log.line event below the run, redacted. The action is stdout or stderr.
The bytes are passed on as they come, unchanged, but the program sees pipes instead of a terminal.
A line over 1 MiB is recorded without its text. The command ends when the output is closed, too, as
a pipeline does. An output that cannot be written, as on a full disk, is still recorded, and stderr
says so.

SIGINT, SIGTERM, SIGHUP and SIGQUIT go on to the program, and so do SIGUSR1, SIGUSR2, SIGALRM,
SIGVTALRM, SIGPROF, SIGIO, SIGCONT and SIGWINCH. Ctrl-C reaches it anyway. After a signal that ended
the program, the next one ends the wait for its output at once. A signal to the whole process group
reaches the program twice: use timeout --foreground, and KillMode=mixed in a unit of systemd. Without
a log that can be written, the program runs all the same, and stderr says so.

Exit codes: that of the program, 128 and the number of the signal that ended it, 126 if it cannot be
started, 127 if it is not found.

Examples:
  llm-audit run -- python3 agent.py
  llm-audit run --output --agent nightly -- sh -c 'make report && ./agent'
  llm-audit trace --last";

/// How long the last events may take to be written.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

pub(crate) fn run_program(args: &RunArgs) -> ExitCode {
    let log = open_log(&args.dir);
    let name = program_name(&args.command[0]);
    let run = Run {
        agent: &args.agent,
        action: args.action.as_deref().unwrap_or(&name),
        span: TraceContext::new_root(),
        began: Instant::now(),
    };
    run.record_start(&args.command);
    let end = match Program::start(args, &run) {
        Ok(program) => program.follow(|end| run.record_end(&name, end)),
        Err(error) => {
            let end = ProgramEnd::NotStarted(error);
            run.record_end(&name, &end);
            complain_on_stderr(end.message(&name));
            end
        }
    };
    let closed = log.map_or(Ok(()), |log| log.logger().shutdown(CLOSE_WITHIN).map(drop));
    if let Err(error) = closed {
        complain_on_stderr(format_args!("the log was not closed in time: {error}"));
    }
    ExitCode::from(end.exit_code())
}

/// Starts the recorder of the process. Without one the program runs, too.
fn open_log(dir: &LogDir) -> Option<Guard> {
    // Standard output and standard error belong to the program, whatever AUDIT_EXPORTER says.
    let builder = AuditLogger::builder().directory(dir.path()).stdout(false).stderr(false);
    let opened = llm_audit::init_with(builder.alerts(false).debug(true));
    opened.inspect_err(|error| complain_on_stderr(format_args!("not recorded: {error}"))).ok()
}

fn program_name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// The run, as its events show it.
struct Run<'a> {
    agent: &'a str,
    action: &'a str,
    span: TraceContext,
    began: Instant,
}

impl Run<'_> {
    fn record_start(&self, command: &[OsString]) {
        // One text, as in a shell: the rules for commands see which program and which option a word belongs to.
        let words: Vec<_> = command.iter().map(|word| shell_word(Path::new(word))).collect();
        let data = json!({ "command": words.join(" ") });
        llm_audit::emit(&self.event(EventType::RequestStart).data(&data));
    }

    fn record_end(&self, name: &str, end: &ProgramEnd) {
        let mut data = json!({ "exit_code": end.exit_code() });
        if let Some(signal) = end.signal_name() {
            data["signal"] = signal.into();
        }
        let error = end.error_type().map(|kind| ErrorDetail::new(kind, end.message(name)));
        let event = self.event(EventType::RequestEnd).latency(self.began.elapsed()).data(&data);
        llm_audit::emit(&error.as_ref().map_or(event, |error| event.error(error)));
    }

    /// Returns where the lines of an output are recorded.
    fn output(&self, stream: &'static str) -> OutputSource {
        OutputSource { agent: self.agent.to_owned(), stream, span: self.span.clone() }
    }

    fn event(&self, event_type: EventType<'static>) -> AuditEvent<'_> {
        AuditEvent::new(event_type, self.agent, self.action).span(&self.span)
    }
}
