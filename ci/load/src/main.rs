//! Emits from some threads until it is told to stop, while `ci/faults/` and `ci/soak.sh` do harm.
//! Prints one JSON line: what became of every event, and what it took.
//!
//! The log's settings are the variables of the library. The exit code is 0 if the log was closed,
//! and 1 if it was not. It is 2 if the log could not be begun or the usage is wrong.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use llm_audit::export::Exporter;
use llm_audit::{AuditEvent, AuditLogger, EventType, Status, init_with};
use serde_json::{Value, json};

const USAGE: &str =
    "usage: llm-audit-load [--threads N] [--rate EVENTS_PER_SECOND] [--bytes N] [--wait]
    [--events N] [--seconds S] [--stop FILE]    ends at the first of these; N is of all threads
    [--status FILE]     the accounting, a line every 20 ms
    [--result FILE]     the last line goes there, not to standard output
    [--deadline S]      for flush and close
    [--exporter panics|fails|hangs=S]
    [--children]        starts and awaits one process after the other";

/// How often it is looked whether to stop, and at memory, threads and descriptors.
const LOOK: Duration = Duration::from_millis(20);
const PANIC_ON_PURPOSE: &str = "an exporter that panics";

static STOPPED: AtomicBool = AtomicBool::new(false);
static PANICS: AtomicU64 = AtomicU64::new(0);
static LONGEST_EMIT_MICROS: AtomicU64 = AtomicU64::new(0);

struct Args {
    threads: u64,
    rate: u64,
    bytes: usize,
    waits: bool,
    events: u64,
    seconds: f64,
    stop: Option<PathBuf>,
    status: Option<PathBuf>,
    result: Option<PathBuf>,
    deadline: Duration,
    exporter: Option<Harm>,
    children: bool,
}

impl Args {
    fn parse() -> Result<Self, String> {
        let mut args = Self {
            threads: 2,
            rate: 0,
            bytes: 100,
            waits: false,
            events: u64::MAX,
            seconds: f64::INFINITY,
            stop: None,
            status: None,
            result: None,
            deadline: Duration::from_secs(20),
            exporter: None,
            children: false,
        };
        let mut given = std::env::args().skip(1);
        while let Some(flag) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{flag}: a value is missing"));
            match &*flag {
                "--threads" => args.threads = number(&value()?)?,
                "--rate" => args.rate = number(&value()?)?,
                "--bytes" => args.bytes = number(&value()?)?,
                "--wait" => args.waits = true,
                "--events" => args.events = number(&value()?)?,
                "--seconds" => args.seconds = number(&value()?)?,
                "--stop" => args.stop = Some(value()?.into()),
                "--status" => args.status = Some(value()?.into()),
                "--result" => args.result = Some(value()?.into()),
                "--deadline" => args.deadline = Duration::from_secs(number(&value()?)?),
                "--exporter" => args.exporter = Some(Harm::parse(&value()?)?),
                "--children" => args.children = true,
                _ => return Err(format!("{flag}: no such flag")),
            }
        }
        Ok(args)
    }

    fn is_over(&self, begun: Instant) -> bool {
        begun.elapsed().as_secs_f64() >= self.seconds
            || self.stop.as_deref().is_some_and(|path| path.exists())
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text}: no such number"))
}

/// An exporter that does what it should not.
#[derive(Clone, Copy)]
enum Harm {
    Panics,
    Fails,
    /// Once, so many seconds.
    Hangs(f64),
}

impl Harm {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "panics" => Ok(Self::Panics),
            None if text == "fails" => Ok(Self::Fails),
            Some(("hangs", seconds)) => Ok(Self::Hangs(number(seconds)?)),
            _ => Err(format!("{text}: no such exporter")),
        }
    }
}

impl Exporter for Harm {
    fn export(&mut self, _: &[u8]) -> std::io::Result<()> {
        match *self {
            Self::Panics => std::panic::panic_any(PANIC_ON_PURPOSE),
            Self::Fails => Err(std::io::Error::other("an exporter that fails")),
            Self::Hangs(seconds) => {
                *self = Self::Hangs(0.0);
                thread::sleep(Duration::from_secs_f64(seconds));
                Ok(())
            }
        }
    }
}

#[allow(clippy::print_stderr, clippy::print_stdout, reason = "its output")]
fn main() -> ExitCode {
    let args = match Args::parse() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok((line, is_closed)) => {
            match &args.result {
                Some(path) => fs::write(path, format!("{line}\n")).expect("the result is written"),
                None => println!("{line}"),
            }
            ExitCode::from(u8::from(!is_closed))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// The last line, and whether the log was closed.
fn run(args: &Args) -> Result<(Value, bool), llm_audit::Error> {
    count_panics();
    llm_audit::close_on_signals()?;
    let mut taken = Taken::default();
    let mut status = args.status.as_ref().map(|path| File::create(path).expect("a status file"));
    let at_start = Use::of_process();
    let mut builder = AuditLogger::builder();
    if let Some(harm) = args.exporter {
        builder = builder.exporter(harm);
    }
    let guard = init_with(builder)?;
    let audit = guard.logger();
    let begun = Instant::now();
    let children = thread::scope(|scope| {
        let emitters: Vec<_> =
            (0..args.threads).map(|n| scope.spawn(move || emit_all(audit, args, n))).collect();
        let children = args.children.then(|| scope.spawn(run_children));
        while !emitters.iter().all(|emitter| emitter.is_finished()) {
            if args.is_over(begun) {
                STOPPED.store(true, Ordering::Relaxed);
            }
            taken.look();
            status.iter_mut().for_each(|file| tell(audit, file));
            thread::sleep(LOOK);
        }
        STOPPED.store(true, Ordering::Relaxed);
        children.map_or(0, |children| children.join().unwrap_or(0))
    });
    let seconds = begun.elapsed().as_secs_f64();
    let flushed = audit.flush(args.deadline);
    audit.emit(&AuditEvent::new(EventType::CacheHit, "load", "last"));
    // Alone since the flush before.
    let last = audit.flush(args.deadline);
    let goes_on = flushed.is_ok() && last.is_ok_and(|flushed| flushed.written == 1);
    let closed = audit.shutdown(args.deadline).map(drop);
    let line = line(
        audit,
        &taken,
        at_start,
        json!({
            "seconds": seconds,
            "children": children,
            "goes_on": goes_on,
            "closed": closed.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned()),
        }),
    );
    Ok((line, closed.is_ok()))
}

fn line(audit: &AuditLogger, taken: &Taken, at_start: Use, rest: Value) -> Value {
    let accounting = audit.accounting();
    let at_end = Use::after(at_start);
    let mut line = json!({
        "instance": audit.instance(),
        "emitted": accounting.emitted,
        "adds_up": accounting.adds_up(),
        "export_errors": accounting.export_errors,
        "longest_emit_us": LONGEST_EMIT_MICROS.load(Ordering::Relaxed),
        "panics": PANICS.load(Ordering::Relaxed),
        "peak_memory_kib": peak_memory_kib().unwrap_or(taken.peak_memory_kib),
        "threads_start": at_start.threads,
        "threads_peak": taken.peak.threads,
        "threads_end": at_end.threads,
        "descriptors_start": at_start.descriptors,
        "descriptors_peak": taken.peak.descriptors,
        "descriptors_end": at_end.descriptors,
    });
    for (name, count) in accounting.ends() {
        line[name] = count.into();
    }
    if let (Value::Object(line), Value::Object(rest)) = (&mut line, rest) {
        line.extend(rest);
    }
    line
}

/// Emits this thread's share, at its share of the rate.
fn emit_all(audit: &AuditLogger, args: &Args, thread: u64) {
    let share = args.events / args.threads + u64::from(thread < args.events % args.threads);
    let text = "x".repeat(args.bytes);
    let begun = Instant::now();
    let mut n = 0;
    while n < share && !STOPPED.load(Ordering::Relaxed) {
        let due = match args.rate {
            0 => n + 100,
            rate => (begun.elapsed().as_secs_f64() * rate as f64 / args.threads as f64) as u64,
        };
        let due = due.min(share);
        (n..due).for_each(|n| emit(audit, args.waits, thread, n, &text));
        n = due;
        if args.rate > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[derive(serde::Serialize)]
struct Payload<'a> {
    thread: u64,
    n: u64,
    text: &'a str,
}

fn emit(audit: &AuditLogger, waits: bool, thread: u64, n: u64, text: &str) {
    let data = Payload { thread, n, text };
    let status = if n % 100 == 99 { Status::Error } else { Status::Ok };
    let event = AuditEvent::new(EventType::ToolCall, "load", "emit").status(status).data(&data);
    let begun = Instant::now();
    if waits {
        audit.emit_wait(&event);
    } else {
        audit.emit(&event);
    }
    LONGEST_EMIT_MICROS.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
}

/// Starts one process after the other; how many.
fn run_children() -> u64 {
    let mut count = 0;
    while !STOPPED.load(Ordering::Relaxed) {
        count += u64::from(Command::new("true").status().is_ok_and(|status| status.success()));
    }
    count
}

fn tell(audit: &AuditLogger, file: &mut File) {
    let accounting = audit.accounting();
    let mut line = json!({ "emitted": accounting.emitted });
    for (name, count) in accounting.ends() {
        line[name] = count.into();
    }
    // What does harm may keep it from being written.
    let _lost = file.write_all(format!("{line}\n").as_bytes());
}

fn count_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref() != Some(&PANIC_ON_PURPOSE) {
            PANICS.fetch_add(1, Ordering::Relaxed);
            usual(info);
        }
    }));
}

/// What the process has of what is finite.
#[derive(Clone, Copy, Default)]
struct Use {
    threads: usize,
    descriptors: usize,
}

impl Use {
    /// 0 if it cannot be known, as without a descriptor left.
    fn of_process() -> Self {
        let count = |path| fs::read_dir(path).map_or(0, Iterator::count);
        // One is that of the folder that is read.
        Self {
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd").saturating_sub(1),
        }
    }

    /// As it is now, or as soon as no thread is left that came since; ten seconds at most.
    fn after(before: Self) -> Self {
        let begun = Instant::now();
        loop {
            let now = Self::of_process();
            if now.threads <= before.threads || begun.elapsed().as_secs() >= 10 {
                return now;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[derive(Default)]
struct Taken {
    peak: Use,
    peak_memory_kib: u64,
}

impl Taken {
    fn look(&mut self) {
        let now = Use::of_process();
        self.peak.threads = self.peak.threads.max(now.threads);
        self.peak.descriptors = self.peak.descriptors.max(now.descriptors);
        self.peak_memory_kib = peak_memory_kib().unwrap_or(self.peak_memory_kib);
    }
}

fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
