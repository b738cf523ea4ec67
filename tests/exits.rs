//! The end of the process: what was accepted is in the log, however it ends.
#![cfg(all(unix, not(loom)))]
#![allow(unsafe_code, reason = "atexit and signals")]

mod common;

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::exit;
use std::ptr;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::alone::{self, Alone, Ended, wait_for};
use common::{DEADLINE, data, lines, logger};
use llm_audit::export::Exporter;
use llm_audit::{AuditEvent, AuditLogger, EventType};
use serde_json::Value;

/// Events of a test: more than the writer takes at once.
const MANY: u64 = 3_000;
const CODE: i32 = 7;

fn emit(n: u64) {
    llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
}

fn emit_into(audit: &AuditLogger, n: u64) {
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
}

fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["data"]["n"].as_u64()).collect()
}

/// The log in `folder` has events `0..many` and one end, and says how many were rejected.
fn assert_closed(folder: &Path, many: u64, rejected: u64) {
    let lines = lines(folder);
    assert_eq!(numbers(&lines), (0..many).collect::<Vec<_>>());
    let stops = lines.iter().filter(|line| line["event_type"] == "audit.stop");
    assert_eq!(stops.count(), 1);
    let stop = lines.last().unwrap();
    assert_eq!(stop["event_type"], "audit.stop", "it is the last line");
    assert_eq!(
        (&stop["data"]["written"], &stop["data"]["rejected"]),
        (&many.into(), &rejected.into())
    );
}

fn log(folder: &Path) -> std::path::PathBuf {
    folder.join("logs")
}

fn assert_code(ended: &Ended, code: i32) {
    assert_eq!(ended.status.code(), Some(code), "{}{}", ended.out, ended.err);
}

#[test]
fn exit_loses_nothing() {
    if let Some(folder) = alone::folder() {
        let _guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        (0..MANY).for_each(emit);
        exit(CODE);
    }
    let mut alone = Alone::new("exit_loses_nothing");
    assert_code(&alone.run(), CODE);
    assert_closed(&log(alone.path()), MANY, 0);
}

#[test]
fn exit_in_another_thread_loses_nothing() {
    if let Some(folder) = alone::folder() {
        let _guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        (0..MANY).for_each(emit);
        let _never = thread::spawn(|| exit(CODE)).join();
    }
    let mut alone = Alone::new("exit_in_another_thread_loses_nothing");
    assert_code(&alone.run(), CODE);
    assert_closed(&log(alone.path()), MANY, 0);
}

#[test]
fn main_may_return_without_dropping_the_guard() {
    if let Some(folder) = alone::folder() {
        std::mem::forget(llm_audit::init_with(logger(&log(&folder))).unwrap());
        return (0..MANY).for_each(emit);
    }
    let mut alone = Alone::new("main_may_return_without_dropping_the_guard");
    assert_code(&alone.run(), 0);
    assert_closed(&log(alone.path()), MANY, 0);
}

#[test]
fn a_logger_of_the_program_s_own_is_closed_too() {
    static OWN: OnceLock<AuditLogger> = OnceLock::new();
    if let Some(folder) = alone::folder() {
        let audit = OWN.get_or_init(|| logger(&log(&folder)).build().unwrap());
        (0..MANY).for_each(|n| emit_into(audit, n));
        exit(CODE);
    }
    let mut alone = Alone::new("a_logger_of_the_program_s_own_is_closed_too");
    assert_code(&alone.run(), CODE);
    assert_closed(&log(alone.path()), MANY, 0);
}

#[test]
fn a_panic_in_any_thread_loses_nothing() {
    if let Some(folder) = alone::folder() {
        let _guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        let panicked = thread::spawn(|| {
            (0..MANY / 2).for_each(emit);
            panic!("a thread that is not main");
        });
        panicked.join().unwrap_err();
        (MANY / 2..MANY).for_each(emit);
        panic!("main");
    }
    let mut alone = Alone::new("a_panic_in_any_thread_loses_nothing");
    assert_code(&alone.run(), 101);
    assert_closed(&log(alone.path()), MANY, 0);
}

/// The handler is registered once, and does nothing if nothing is left to do.
#[test]
fn what_is_closed_already_stays_as_it_is() {
    if let Some(folder) = alone::folder() {
        let guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        (0..MANY).for_each(emit);
        guard.logger().shutdown(DEADLINE).unwrap();
        drop(guard);
        exit(CODE);
    }
    let mut alone = Alone::new("what_is_closed_already_stays_as_it_is");
    assert_code(&alone.run(), CODE);
    assert_closed(&log(alone.path()), MANY, 0);
}

#[test]
fn what_comes_after_the_close_is_counted() {
    static AUDIT: OnceLock<AuditLogger> = OnceLock::new();
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    extern "C" fn last() {
        let audit = AUDIT.get().unwrap();
        emit(MANY);
        // A shutdown after the handler works, and finds everything done.
        audit.shutdown(Duration::ZERO).unwrap();
        let accounting = audit.accounting();
        assert!(accounting.adds_up());
        let text = format!("{} {}", accounting.written, accounting.rejected);
        std::fs::write(FOLDER.get().unwrap().join("counts"), text).unwrap();
    }
    if let Some(folder) = alone::folder() {
        FOLDER.get_or_init(|| folder.clone());
        // SAFETY: a function of this type. Registered first, it runs last.
        assert_eq!(unsafe { libc::atexit(last) }, 0);
        let guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        AUDIT.get_or_init(|| guard.logger().clone());
        (0..MANY).for_each(emit);
        exit(CODE);
    }
    let mut alone = Alone::new("what_comes_after_the_close_is_counted");
    assert_code(&alone.run(), CODE);
    assert_closed(&log(alone.path()), MANY, 0);
    let counts = std::fs::read_to_string(alone.path().join("counts")).unwrap();
    assert_eq!(counts, format!("{MANY} 1"));
}

/// Never comes back from its first event.
struct Dead;

impl Exporter for Dead {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.windows(6).any(|part| part == br#""seq":"#) {
            loop {
                thread::park();
            }
        }
        Ok(())
    }
}

#[test]
fn a_dead_sink_holds_up_no_exit() {
    if let Some(folder) = alone::folder() {
        let dead = logger(&folder).files(false).exporter(Dead).build().unwrap();
        // With time of its own, it would be closed after the dead one's is over.
        let _guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        emit_into(&dead, 0);
        (0..MANY).for_each(emit);
        std::mem::forget(dead);
        exit(CODE);
    }
    let began = Instant::now();
    let mut alone = Alone::new("a_dead_sink_holds_up_no_exit");
    assert_code(&alone.run(), CODE);
    assert_closed(&log(alone.path()), MANY, 0);
    tell(began, "an exit beside a dead sink");
}

/// Adds the last handler of `exit`: it ends the process otherwise if all closes together took twice
/// the time of one. They do if a dead sink gets that time more than once.
fn watch_closes() {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    extern "C" fn last() {
        if BEGAN.get().unwrap().elapsed() >= 2 * Duration::from_secs(5) {
            // SAFETY: it ends the process.
            unsafe { libc::_exit(CODE + 1) };
        }
    }
    BEGAN.get_or_init(Instant::now);
    // SAFETY: a function of this type. Registered first, it runs last.
    assert_eq!(unsafe { libc::atexit(last) }, 0);
}

#[test]
fn the_guard_and_the_exit_wait_for_a_dead_sink_once() {
    if let Some(folder) = alone::folder() {
        watch_closes();
        let guard = llm_audit::init_with(logger(&folder).files(false).exporter(Dead)).unwrap();
        emit(0);
        drop(guard);
        exit(CODE);
    }
    let began = Instant::now();
    let mut alone = Alone::new("the_guard_and_the_exit_wait_for_a_dead_sink_once");
    assert_code(&alone.run(), CODE);
    tell(began, "a guard and an exit with a dead sink");
}

#[test]
fn dead_sinks_have_their_time_together() {
    if let Some(folder) = alone::folder() {
        watch_closes();
        for _ in 0..3 {
            let dead = logger(&folder).files(false).exporter(Dead).build().unwrap();
            emit_into(&dead, 0);
            std::mem::forget(dead);
        }
        exit(CODE);
    }
    let began = Instant::now();
    let mut alone = Alone::new("dead_sinks_have_their_time_together");
    assert_code(&alone.run(), CODE);
    tell(began, "an exit with three dead sinks");
}

#[allow(clippy::print_stdout, reason = "times are told, not asserted")]
fn tell(began: Instant, what: &str) {
    println!("{what}: {:?}", began.elapsed());
}

/// Exits at its first event, on the writer's own thread.
struct Exiting;

impl Exporter for Exiting {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.windows(6).any(|part| part == br#""seq":"#) {
            exit(CODE);
        }
        Ok(())
    }
}

#[test]
fn the_writer_s_own_thread_does_not_wait_for_itself() {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    extern "C" fn last() {
        let began = BEGAN.get().unwrap();
        tell(*began, "an exit on the writer's thread");
        if began.elapsed() >= Duration::from_secs(5) {
            // SAFETY: it ends the process.
            unsafe { libc::_exit(CODE + 1) };
        }
    }
    if let Some(folder) = alone::folder() {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::atexit(last) }, 0);
        let audit = logger(&log(&folder)).exporter(Exiting).build().unwrap();
        BEGAN.get_or_init(Instant::now);
        emit_into(&audit, 0);
        loop {
            thread::park();
        }
    }
    let mut alone = Alone::new("the_writer_s_own_thread_does_not_wait_for_itself");
    assert_code(&alone.run(), CODE);
    assert_eq!(numbers(&lines(&log(alone.path()))), [0]);
}

/// Says that the process is ready for a signal, and waits for it.
fn wait_for_signal(folder: &Path) -> ! {
    std::fs::write(folder.join("ready"), "").unwrap();
    loop {
        thread::park();
    }
}

/// Says that the first signal was taken, which sets an alarm. Of two that are there at once the
/// later one may be taken first.
fn tell_of_first_signal(folder: &Path) {
    let taken = || {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: no action is given, and the place for the present one is as large as one.
        assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, ptr::null(), action.as_mut_ptr()) }, 0);
        // SAFETY: it was filled.
        unsafe { action.assume_init() }.sa_sigaction != libc::SIG_DFL
    };
    let said = folder.join("taken");
    thread::spawn(move || {
        while !taken() {
            thread::yield_now();
        }
        std::fs::write(said, "").unwrap();
    });
}

/// Runs the test and sends it these signals once it is ready, each once the one before was taken.
fn signalled(name: &str, signals: &[i32]) -> (Alone, Ended) {
    let mut alone = Alone::new(name);
    let running = alone.spawn();
    wait_for(&alone.path().join("ready"));
    for (n, signal) in signals.iter().enumerate() {
        if n > 0 {
            wait_for(&alone.path().join("taken"));
        }
        // SAFETY: a signal to a child that was not waited for.
        assert_eq!(unsafe { libc::kill(running.child.id() as i32, *signal) }, 0);
    }
    let ended = running.end();
    (alone, ended)
}

#[test]
fn a_signal_closes_the_log_and_then_ends_the_process() {
    if let Some(folder) = alone::folder() {
        let guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        llm_audit::close_on_signals().unwrap();
        llm_audit::close_on_signals().unwrap();
        (0..MANY).for_each(emit);
        // Emits go on meanwhile, as far as they overwrite nothing.
        let audit = guard.logger().clone();
        thread::spawn(move || {
            loop {
                if audit.accounting().queued < 2 * MANY {
                    emit(MANY);
                }
                thread::yield_now();
            }
        });
        wait_for_signal(&folder);
    }
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let name = "a_signal_closes_the_log_and_then_ends_the_process";
        let (alone, ended) = signalled(name, &[signal]);
        assert_eq!(ended.status.signal(), Some(signal), "{}{}", ended.out, ended.err);
        let lines = lines(&log(alone.path()));
        let mut seen = numbers(&lines);
        seen.retain(|n| *n != MANY);
        assert_eq!(seen, (0..MANY).collect::<Vec<_>>());
        assert_eq!(lines.last().unwrap()["event_type"], "audit.stop");
    }
}

#[test]
fn a_signal_closes_every_logger() {
    if let Some(folder) = alone::folder() {
        llm_audit::close_on_signals().unwrap();
        let loggers: Vec<_> = (0..3).map(|_| logger(&log(&folder)).build().unwrap()).collect();
        loggers.iter().for_each(|audit| emit_into(audit, 0));
        wait_for_signal(&folder);
    }
    let (alone, ended) = signalled("a_signal_closes_every_logger", &[libc::SIGTERM]);
    assert_eq!(ended.status.signal(), Some(libc::SIGTERM));
    let lines = lines(&log(alone.path()));
    let stops = lines.iter().filter(|line| line["event_type"] == "audit.stop").count();
    assert_eq!((numbers(&lines).len(), stops), (3, 3));
}

#[test]
fn a_signal_ends_a_process_that_records_nothing() {
    if let Some(folder) = alone::folder() {
        llm_audit::close_on_signals().unwrap();
        let audit = logger(&log(&folder)).build().unwrap();
        audit.shutdown(DEADLINE).unwrap();
        wait_for_signal(&folder);
    }
    let (_, ended) = signalled("a_signal_ends_a_process_that_records_nothing", &[libc::SIGINT]);
    assert_eq!(ended.status.signal(), Some(libc::SIGINT));
}

#[test]
fn a_dead_sink_holds_up_no_signal() {
    if let Some(folder) = alone::folder() {
        let dead = logger(&folder).files(false).exporter(Dead).build().unwrap();
        let _guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        llm_audit::close_on_signals().unwrap();
        emit_into(&dead, 0);
        (0..MANY).for_each(emit);
        tell_of_first_signal(&folder);
        wait_for_signal(&folder);
    }
    // One signal, and two of them.
    for signals in [&[libc::SIGTERM][..], &[libc::SIGTERM, libc::SIGINT]] {
        let began = Instant::now();
        let (alone, ended) = signalled("a_dead_sink_holds_up_no_signal", signals);
        assert_eq!(ended.status.signal(), signals.last().copied());
        if let [_] = signals {
            assert_closed(&log(alone.path()), MANY, 0);
        }
        tell(began, &format!("{} signals beside a dead sink", signals.len()));
    }
}

/// Reports its first event, and never comes back from it.
struct Stuck(mpsc::Sender<()>);

impl Exporter for Stuck {
    fn export(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.windows(6).any(|part| part == br#""seq":"#) {
            self.0.send(()).unwrap();
        }
        Dead.export(lines)
    }
}

/// Nobody has to look for a signal: a logger is closed while its writer cannot.
#[test]
fn a_signal_closes_a_logger_whose_writer_is_stuck() {
    if alone::folder().is_some() {
        let (reached, stuck) = mpsc::channel();
        let audit = AuditLogger::builder().without_environment().files(false).debug(true);
        let audit = audit.exporter(Stuck(reached)).build().unwrap();
        llm_audit::close_on_signals().unwrap();
        emit_into(&audit, 0);
        stuck.recv().unwrap();
        // SAFETY: the signal is handled.
        unsafe { libc::raise(libc::SIGTERM) };
        // If it is never closed, the time of the writers ends the process by the signal.
        while audit.accounting().rejected == 0 {
            emit_into(&audit, 1);
        }
        // SAFETY: the log is of no interest.
        unsafe { libc::_exit(CODE) };
    }
    assert_code(&Alone::new("a_signal_closes_a_logger_whose_writer_is_stuck").run(), CODE);
}

#[test]
fn a_signal_that_is_ignored_or_taken_stays_so() {
    extern "C" fn theirs(_: i32) {}
    if alone::folder().is_some() {
        // SAFETY: SIG_IGN is a disposition.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
        llm_audit::close_on_signals().unwrap();
        // SAFETY: an ignored signal ends nothing.
        unsafe { libc::raise(libc::SIGINT) };
        // SAFETY: a handler of this type.
        unsafe { libc::signal(libc::SIGTERM, theirs as *const () as usize) };
        let error = llm_audit::close_on_signals().unwrap_err();
        assert_eq!(error.to_string(), "SIGTERM or SIGINT has another handler already");
        exit(CODE);
    }
    assert_code(&Alone::new("a_signal_that_is_ignored_or_taken_stays_so").run(), CODE);
}

#[test]
fn without_the_handler_a_signal_kills() {
    if let Some(folder) = alone::folder() {
        let guard = llm_audit::init_with(logger(&log(&folder))).unwrap();
        emit(0);
        guard.logger().flush(DEADLINE).unwrap();
        wait_for_signal(&folder);
    }
    let (alone, ended) = signalled("without_the_handler_a_signal_kills", &[libc::SIGTERM]);
    assert_eq!(ended.status.signal(), Some(libc::SIGTERM));
    let lines = lines(&log(alone.path()));
    assert_eq!(
        (numbers(&lines), &lines.last().unwrap()["event_type"]),
        (vec![0], &"cache.hit".into())
    );
}
