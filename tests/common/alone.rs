//! Tests in a process of their own: one that exits, is killed or forks, or has the process's
//! recorder.
#![allow(unsafe_code, reason = "what a child does before it is another program")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::DEADLINE;

/// Names the folder of the test that the process was started for.
const FOLDER: &str = "LLM_AUDIT_TEST_FOLDER";
const LOOK: Duration = Duration::from_millis(2);

/// The folder, in the process that [`Alone::new`] starts.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// A test that is to run in a process of its own.
pub struct Alone {
    pub folder: TempDir,
    pub command: Command,
}

impl Alone {
    /// The test of this name and file, with no variable of the recorder's.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, folder.path()).current_dir(&folder);
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if ["AUDIT_", "OTEL_", "SLOW_", "TRACE"].iter().any(|start| text.starts_with(start))
                || text.ends_with("_SAMPLE_RATE")
            {
                command.env_remove(&variable);
            }
        }
        Self { folder, command }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn spawn(&mut self) -> Running {
        let piped = || Stdio::piped();
        not_ignoring_interrupts(&mut self.command);
        let mut child =
            self.command.stdin(Stdio::null()).stdout(piped()).stderr(piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Running { child, out: drain(out), err: drain(err) }
    }

    /// Runs to the end, and says how it ended.
    pub fn run(&mut self) -> Ended {
        self.spawn().end()
    }

    /// As [`run`](Self::run), if it may take longer.
    pub fn run_within(&mut self, most: Duration) -> Ended {
        self.spawn().end_within(most)
    }
}

/// A shell has what it runs in the background ignore SIGINT, and so all that is run from there.
fn not_ignoring_interrupts(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let reset = || {
        // SAFETY: the default action has no handler.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: between fork and exec it makes a system call and nothing else.
    unsafe { command.pre_exec(reset) };
}

/// What a process says is read as it comes, so that it never waits for this.
fn drain(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}

pub struct Running {
    pub child: Child,
    out: JoinHandle<String>,
    err: JoinHandle<String>,
}

#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Running {
    /// Waits; one that hangs is killed, and the test fails.
    pub fn end(self) -> Ended {
        self.end_within(DEADLINE)
    }

    fn end_within(mut self, most: Duration) -> Ended {
        let until = Instant::now() + most;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() >= until => {
                    self.child.kill().unwrap();
                    break self.child.wait().unwrap();
                }
                None => thread::sleep(LOOK),
            }
        };
        assert!(Instant::now() < until, "it hung");
        Ended { status, out: self.out.join().unwrap(), err: self.err.join().unwrap() }
    }
}

/// Waits until there is a file of this name, which a process says something by.
pub fn wait_for(path: &Path) {
    let until = Instant::now() + DEADLINE;
    while !path.exists() {
        assert!(Instant::now() < until, "{} never came", path.display());
        thread::sleep(LOOK);
    }
}
