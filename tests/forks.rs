//! Forks, and several processes in one folder: every process has a log of its own. Nobody waits for
//! what a thread of the parent held.
#![cfg(all(unix, not(loom)))]
#![allow(unsafe_code, reason = "fork and waitpid")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::alone::{self, Alone, wait_for};
use common::{DEADLINE, data, gate, lines, logger, memory};
use llm_audit::export::Exporter;
use llm_audit::reader;
use llm_audit::{AuditEvent, AuditLogger, EventType, Sanitizer, TraceContext};
use serde_json::Value;

/// Events of one process of a test.
const MANY: u64 = 200;
/// What a child ends with when something in it panicked.
const FAILED: i32 = 101;

fn emit_into(audit: &AuditLogger, n: u64) {
    audit.emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
}

fn emit(n: u64) {
    llm_audit::emit(&AuditEvent::new(EventType::CacheHit, "a", "b").data(&data(n)));
}

fn log(folder: &Path) -> PathBuf {
    folder.join("logs")
}

/// A child that was forked off.
struct Forked(i32);

/// Forks; the child runs `body` and then ends by `_exit`, unless `body` ends it otherwise.
fn fork(body: impl FnOnce()) -> Forked {
    // SAFETY: what the child does is what the tests are about.
    match unsafe { libc::fork() } {
        0 => {
            let outcome = catch_unwind(AssertUnwindSafe(body));
            let code = if outcome.is_ok() { 0 } else { FAILED };
            // SAFETY: it ends the process.
            unsafe { libc::_exit(code) }
        }
        child => {
            assert!(child > 0, "{}", io::Error::last_os_error());
            Forked(child)
        }
    }
}

impl Forked {
    /// The status of the child, as `waitpid` gives it; one that hangs is killed, and the test fails.
    fn status(self) -> i32 {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut status = 0;
            // SAFETY: the place is that of an int.
            match unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) } {
                0 if Instant::now() >= until => {
                    // SAFETY: a signal to a child that was not waited for.
                    unsafe { libc::kill(self.0, libc::SIGKILL) };
                    panic!("child {} hung", self.0);
                }
                0 => thread::sleep(Duration::from_micros(200)),
                waited => {
                    assert_eq!(waited, self.0);
                    return status;
                }
            }
        }
    }

    fn end(self) {
        let status = self.status();
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status:x}");
    }
}

/// Ends the process as `std::process::exit` does, handlers and all.
fn exit() -> ! {
    std::process::exit(0)
}

/// The `n` of the events of every instance, in order of the lines.
fn numbers(lines: &[Value]) -> BTreeMap<String, Vec<u64>> {
    let mut by_instance = BTreeMap::<String, Vec<u64>>::new();
    for line in lines {
        let of = by_instance.entry(line["instance"].as_str().unwrap().to_owned()).or_default();
        of.extend(line["data"]["n"].as_u64().filter(|_| line.get("seq").is_some()));
    }
    by_instance
}

/// The data of the last line of an instance.
fn stop(lines: &[Value], instance: &str) -> Value {
    let stops: Vec<_> = lines
        .iter()
        .filter(|line| line["event_type"] == "audit.stop" && line["instance"] == instance)
        .collect();
    assert_eq!(stops.len(), 1, "{instance} has one end");
    stops[0]["data"].clone()
}

/// `verify` finds nothing in the folder.
fn assert_whole(folder: &Path) {
    let verification = reader::verify(folder).unwrap();
    assert!(verification.is_clean(), "{verification:#?}");
}

/// Runs the test of this name in a process of its own, which `body` is for, and then looks at the
/// folder of its log.
fn alone(name: &str, body: impl FnOnce(&Path), after: impl FnOnce(&[Value])) {
    if let Some(folder) = alone::folder() {
        return body(&log(&folder));
    }
    let mut alone = Alone::new(name);
    let ended = alone.run();
    assert!(ended.status.success() && ended.out.contains("1 passed"), "{}{}", ended.out, ended.err);
    after(&lines(&log(alone.path())));
}

#[test]
fn a_child_that_emits_has_a_log_of_its_own() {
    fn process(folder: &Path) {
        // The writer is held with the first event; the others are in the queue.
        let (gate, held) = gate();
        let audit = logger(folder).exporter(gate).build().unwrap();
        emit_into(&audit, 0);
        held.wait_until_held();
        (1..MANY).for_each(|n| emit_into(&audit, n));
        let before = audit.accounting();
        let own = fork(|| {
            assert_eq!(audit.accounting(), Default::default());
            (1000..1000 + MANY).for_each(|n| emit_into(&audit, n));
            let flushed = audit.flush(DEADLINE).unwrap();
            assert_eq!((flushed.written, flushed.overwritten, flushed.io_lost), (MANY, 0, 0));
            assert!(audit.path().unwrap().starts_with(folder));
            audit.flush_durable(DEADLINE).unwrap();
            let accounting = audit.accounting();
            assert_eq!((accounting.emitted, accounting.written), (MANY, MANY));
            let _path = audit.path().unwrap();
            audit.shutdown(DEADLINE).unwrap();
            emit_into(&audit, 0);
            assert_eq!(audit.accounting().rejected, 1);
        });
        own.end();
        assert_eq!(audit.accounting(), before, "the parent's is as it was");
        held.release();
        let flushed = audit.shutdown(DEADLINE).unwrap();
        assert_eq!((flushed.written, flushed.overwritten), (MANY, 0));
    }
    alone("a_child_that_emits_has_a_log_of_its_own", process, |lines| {
        let by_instance = numbers(lines);
        let mut all: Vec<_> = by_instance.values().cloned().collect();
        all.sort();
        assert_eq!(all, [(0..MANY).collect::<Vec<_>>(), (1000..1000 + MANY).collect()]);
        for instance in by_instance.keys() {
            let stop = stop(lines, instance);
            assert_eq!((&stop["emitted"], &stop["written"]), (&MANY.into(), &MANY.into()));
        }
        let starts = lines.iter().filter(|line| line["event_type"] == "audit.start");
        assert_eq!(starts.filter(|line| line["data"]["first"] == true).count(), 2);
        let seqs: BTreeSet<_> = lines
            .iter()
            .filter_map(|line| Some((line["instance"].as_str()?, line["seq"].as_u64()?)))
            .collect();
        assert_eq!(seqs.len() as u64, 2 * MANY);
    });
}

#[test]
fn a_child_that_never_emits_does_nothing() {
    fn process(folder: &Path) {
        let (gate, held) = gate();
        let guard = llm_audit::init_with(logger(folder).exporter(gate)).unwrap();
        let audit = guard.logger().clone();
        emit(0);
        held.wait_until_held();
        let files = || fs::read_dir(folder).unwrap().count();
        let before = files();
        // With a parent whose writer is still, each of these would wait forever.
        let forever = Duration::MAX;
        fork(|| {
            assert_eq!(audit.flush(forever).unwrap(), Default::default());
            assert_eq!(llm_audit::flush(forever).unwrap(), Default::default());
            assert_eq!(llm_audit::flush_durable(forever).unwrap(), Default::default());
            assert_eq!(audit.shutdown(forever).unwrap(), Default::default());
            assert_eq!((audit.accounting(), audit.path()), (Default::default(), None));
            assert!(audit.sampling().debug && !audit.captures_content());
            assert!(format!("{audit:?}").contains("None"));
        })
        .end();
        fork(|| exit()).end();
        fork(|| {
            // SAFETY: this copy is the child's; the parent drops its own guard.
            drop(unsafe { std::ptr::read(&guard) });
            exit()
        })
        .end();
        assert_eq!(files(), before);
        held.release();
    }
    alone("a_child_that_never_emits_does_nothing", process, |lines| {
        let by_instance = numbers(lines);
        assert_eq!(by_instance.into_values().collect::<Vec<_>>(), [vec![0]]);
    });
}

#[test]
fn the_recorder_of_the_process_in_a_child_that_exits() {
    fn process(folder: &Path) {
        let _guard = llm_audit::init_with(logger(folder)).unwrap();
        emit(0);
        // `exit` writes what is queued; `_exit` only what was flushed.
        fork(|| {
            (1000..1000 + MANY).for_each(emit);
            exit()
        })
        .end();
        fork(|| {
            (2000..2000 + MANY).for_each(emit);
            llm_audit::flush(DEADLINE).unwrap();
        })
        .end();
        // A child of a child.
        fork(|| {
            emit(3000);
            fork(|| {
                emit(4000);
                exit()
            })
            .end();
            emit(3001);
            exit()
        })
        .end();
        assert!(llm_audit::init().is_err(), "there is one");
        fork(|| assert!(llm_audit::init().is_err(), "in a child too")).end();
        emit(1);
    }
    alone("the_recorder_of_the_process_in_a_child_that_exits", process, |lines| {
        let mut all: Vec<_> = numbers(lines).into_values().collect();
        all.sort();
        let many = |from: u64| (from..from + MANY).collect::<Vec<_>>();
        assert_eq!(all, [vec![0, 1], many(1000), many(2000), vec![3000, 3001], vec![4000]]);
        let stops = lines.iter().filter(|line| line["event_type"] == "audit.stop").count();
        assert_eq!(stops, 4, "all but the one that called _exit");
    });
}

#[test]
fn what_was_rejected_before_init_is_the_parent_s() {
    fn process(folder: &Path) {
        emit(0);
        emit(1);
        fork(|| {
            emit(2);
            let guard = llm_audit::init_with(logger(folder)).unwrap();
            let accounting = guard.logger().accounting();
            assert_eq!((accounting.emitted, accounting.rejected), (1, 1));
            exit()
        })
        .end();
        let guard = llm_audit::init_with(logger(folder)).unwrap();
        assert_eq!(guard.logger().accounting().rejected, 2);
    }
    alone("what_was_rejected_before_init_is_the_parent_s", process, |_| {});
}

/// What a process says to its parent, a line each.
fn said(say: impl FnOnce(&mut dyn Write)) -> Vec<String> {
    let (mut from, mut to) = io::pipe().unwrap();
    let child = fork(|| say(&mut to));
    drop(to);
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    child.end();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn no_id_is_handed_out_twice() {
    fn draw() -> Vec<String> {
        let id = |_| {
            let trace = TraceContext::new_trace();
            [format!("{:032x}", trace.trace_id()), format!("{:016x}", trace.new_span().span_id())]
        };
        (0..1000).flat_map(id).collect()
    }
    fn say(to: &mut dyn Write) {
        draw().iter().for_each(|id| writeln!(to, "{id}").unwrap());
    }
    fn process(_: &Path) {
        // The generator of this thread is warm when the children inherit it.
        let mut ids = draw();
        ids.extend(said(say));
        ids.extend(said(say));
        ids.extend(said(|to| {
            say(to);
            said(say).iter().for_each(|id| writeln!(to, "{id}").unwrap());
        }));
        ids.extend(draw());
        let drawn = ids.len();
        assert_eq!(drawn, 12_000);
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), drawn);
    }
    if let Some(folder) = alone::folder() {
        return process(&folder);
    }
    let ended = Alone::new("no_id_is_handed_out_twice").run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
}

/// The parent's lock is neither used nor held by a child, nor let go by it.
#[test]
fn a_child_keeps_no_descriptor_of_the_parent_s() {
    fn process(folder: &Path) {
        let audit = logger(folder).build().unwrap();
        emit_into(&audit, 0);
        audit.flush(DEADLINE).unwrap();
        let path = audit.path().unwrap();
        let (emitted, closed) = (folder.with_file_name("emitted"), folder.with_file_name("closed"));
        let child = fork(|| {
            emit_into(&audit, 1000);
            audit.flush(DEADLINE).unwrap();
            assert_ne!(audit.path().unwrap(), path);
            fs::write(&emitted, "").unwrap();
            wait_for(&closed);
            audit.shutdown(DEADLINE).unwrap();
        });
        wait_for(&emitted);
        let file = File::open(&path).unwrap();
        assert!(file.try_lock().is_err(), "the parent holds it");
        audit.shutdown(DEADLINE).unwrap();
        file.try_lock().expect("nobody holds it, though the child lives");
        drop(file);
        fs::write(&closed, "").unwrap();
        child.end();
        assert_whole(folder);
    }
    alone("a_child_keeps_no_descriptor_of_the_parent_s", process, |_| {});
}

/// Children of a process whose threads hold every lock there is, again and again. `FORKS` says how
/// many, by default 50.
#[test]
fn forks_under_load() {
    /// Events of a child.
    const EVENTS: u64 = 20;
    const SECRET: &str = "the word of the house";
    fn forks() -> u64 {
        std::env::var("FORKS").map_or(50, |count| count.parse().expect("a number"))
    }
    /// Does what takes locks, until it is told to stop; says how many events it emitted.
    fn load(audit: &AuditLogger, stop: &AtomicBool, thread: u64) -> u64 {
        let mut emitted = 0;
        while !stop.load(Ordering::Relaxed) {
            let value = format!("a value of thread {thread}, {emitted}");
            let protected = llm_audit::protect_value(&value).unwrap();
            let payload = serde_json::json!({"said": SECRET, "own": value});
            let event = AuditEvent::new(EventType::ToolCall, "a", "b").data(&payload);
            if emitted % 2 == 0 {
                audit.emit(&event)
            } else {
                audit.emit_wait(&event)
            }
            emitted += 1;
            audit.calculate_cost(&format!("unknown-{}", emitted % 5), (1, 1));
            match emitted % 16 {
                0 => drop(audit.flush(DEADLINE).unwrap()),
                8 => drop(audit.flush_durable(DEADLINE).unwrap()),
                _ => {}
            }
            drop(protected);
        }
        emitted
    }
    fn child(audit: &AuditLogger, n: u64) {
        let sanitizer = Sanitizer::default();
        assert_eq!(sanitizer.redact_str(SECRET), "[REDACTED_known]", "what the parent protects");
        let own = llm_audit::protect_value("a value of the child").unwrap();
        assert_eq!(sanitizer.redact_str("a value of the child"), "[REDACTED_known]");
        for event in 0..EVENTS {
            emit_into(audit, n * EVENTS + event);
        }
        audit.calculate_cost("unknown", (1, 1));
        // Three ways to end.
        match n % 3 {
            0 => drop(audit.flush_durable(DEADLINE).unwrap()),
            1 => drop(audit.flush(DEADLINE).unwrap()),
            _ => {}
        }
        drop(own);
        audit.shutdown(DEADLINE).unwrap();
        let accounting = audit.accounting();
        assert_eq!((accounting.emitted, accounting.written), (EVENTS, EVENTS));
        if n.is_multiple_of(2) {
            exit();
        }
    }
    fn process(folder: &Path) {
        let _house = llm_audit::protect_value(SECRET).unwrap();
        let prices = folder.with_file_name("prices.json");
        fs::write(&prices, "{}").unwrap();
        let audit = logger(folder).max_file_bytes(1 << 20).queue_capacity(64).queue_bytes(1 << 20);
        let audit = audit.pricing_file(prices).build().unwrap();
        let (stop, emitted, slowest) =
            (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..3 {
                let (audit, stop, emitted) = (&audit, &stop, &emitted);
                scope
                    .spawn(move || emitted.fetch_add(load(audit, stop, thread), Ordering::Relaxed));
            }
            let forked = catch_unwind(AssertUnwindSafe(|| {
                for n in 0..forks() {
                    let began = Instant::now();
                    fork(|| child(&audit, n)).end();
                    slowest.fetch_max(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                }
            }));
            stop.store(true, Ordering::Relaxed);
            forked.unwrap();
        });
        audit.shutdown(DEADLINE).unwrap();
        let accounting = audit.accounting();
        assert!(accounting.adds_up() && accounting.io_lost == 0);
        assert_eq!(accounting.emitted, emitted.into_inner());
        tell(&format!(
            "{} forks; {} events of the parent, {} of them overwritten; the slowest child took {} us",
            forks(),
            accounting.emitted,
            accounting.overwritten,
            slowest.into_inner(),
        ));
        assert_whole(folder);
        // The counts of a process that forked are read from its lines once more.
        let lines = lines(folder);
        let own = audit.instance();
        let written = lines
            .iter()
            .filter(|line| line["instance"] == own && line.get("seq").is_some())
            .count() as u64;
        assert_eq!(written, accounting.written);
    }
    if let Some(folder) = alone::folder() {
        return process(&log(&folder));
    }
    let mut alone = Alone::new("forks_under_load");
    // Forks of this many take their time.
    let ended = alone.run_within(DEADLINE + Duration::from_millis(500) * forks() as u32);
    assert!(ended.status.success() && ended.out.contains("1 passed"), "{}{}", ended.out, ended.err);
    tell(ended.out.lines().find(|line| line.contains("forks;")).unwrap_or_default());
    let lines = lines(&log(alone.path()));
    let seqs = lines.iter().filter(|line| line.get("seq").is_some());
    let seqs: Vec<_> = seqs.map(|line| (line["instance"].as_str(), line["seq"].as_u64())).collect();
    assert_eq!(seqs.iter().collect::<BTreeSet<_>>().len(), seqs.len(), "no line is doubled");
    let text = serde_json::to_string(&lines).unwrap();
    assert!(!text.contains(SECRET) && !text.contains("a value of"), "nothing is left in the clear");
    // By number: an instance that began another file has its lines in two, in no order of names.
    let mut children: Vec<_> = numbers(&lines).into_values().filter(|of| !of.is_empty()).collect();
    children.iter_mut().for_each(|of| of.sort_unstable());
    children.sort();
    assert_eq!(children.len() as u64, forks());
    for (n, of_child) in (0..).zip(children) {
        let expected: Vec<_> = (n * EVENTS..(n + 1) * EVENTS).collect();
        assert_eq!(of_child, expected, "every event of child {n}, once");
    }
}

#[allow(clippy::print_stdout, reason = "counts and times are told")]
fn tell(text: &str) {
    println!("{text}");
}

#[test]
fn exporters_stay_with_the_parent() {
    fn process(folder: &Path) {
        let (exporter, seen) = memory();
        let audit = logger(folder).files(false).exporter(exporter).build().unwrap();
        emit_into(&audit, 0);
        fork(|| {
            emit_into(&audit, 1);
            assert_eq!(audit.flush(Duration::MAX).unwrap(), Default::default());
            let accounting = audit.accounting();
            assert_eq!((accounting.emitted, accounting.rejected), (1, 1));
        })
        .end();
        audit.shutdown(DEADLINE).unwrap();
        assert_eq!(numbers(&seen.lines()).into_values().collect::<Vec<_>>(), [vec![0]]);
        fs::create_dir(folder).unwrap();
    }
    alone("exporters_stay_with_the_parent", process, |_| {});
}

/// Whatever of it forks.
#[test]
fn an_exporter_that_forks_doubles_nothing() {
    /// The status of the first child, and of that of the end; -1: there was none yet.
    static STATUS: [AtomicI32; 2] = [const { AtomicI32::new(-1) }; 2];
    /// Forks at the first event and when it is dropped, and waits for the child, which just returns.
    struct Forking;

    impl Exporter for Forking {
        fn export(&mut self, lines: &[u8]) -> io::Result<()> {
            let has_event = lines.windows(6).any(|part| part == br#""seq":"#);
            if has_event && STATUS[0].load(Ordering::Relaxed) == -1 {
                fork_into(&STATUS[0]);
            }
            Ok(())
        }
    }

    impl Drop for Forking {
        fn drop(&mut self) {
            fork_into(&STATUS[1]);
        }
    }

    fn fork_into(status: &AtomicI32) {
        // SAFETY: what the child does is what the test is about.
        let child = unsafe { libc::fork() };
        if child != 0 {
            status.store(Forked(child).status(), Ordering::Relaxed);
        }
    }

    fn process(folder: &Path) {
        let audit = logger(folder).exporter(Forking).build().unwrap();
        (0..MANY).for_each(|n| emit_into(&audit, n));
        audit.shutdown(DEADLINE).unwrap();
        assert_eq!(audit.accounting().written, MANY);
        let until = Instant::now() + DEADLINE;
        for status in &STATUS {
            let status = loop {
                match status.load(Ordering::Relaxed) {
                    -1 => assert!(Instant::now() < until, "no child, or one that hangs"),
                    status => break status,
                }
                thread::yield_now();
            };
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1, "{status:x}");
        }
        assert_whole(folder);
    }
    alone("an_exporter_that_forks_doubles_nothing", process, |lines| {
        let numbers: Vec<_> = numbers(lines).into_values().collect();
        assert_eq!(numbers, [(0..MANY).collect::<Vec<_>>()]);
    });
}

/// The lock of `io::stdout` is held by a thread of the parent when the child is forked.
#[test]
fn a_child_s_lines_go_to_standard_output_too() {
    if let Some(folder) = alone::folder() {
        let audit = logger(&folder).files(false).stdout(true).build().unwrap();
        emit_into(&audit, 0);
        audit.flush(DEADLINE).unwrap();
        let held = io::stdout().lock();
        let (mut until_told, tell) = io::pipe().unwrap();
        thread::scope(|scope| {
            // The parent's writer waits for the lock, this thread holds it in another one's name.
            scope.spawn(|| {
                let audit = audit.clone();
                let child = fork(|| {
                    emit_into(&audit, 1);
                    audit.shutdown(DEADLINE).unwrap();
                });
                child.end();
                drop(tell);
            });
            until_told.read_to_end(&mut Vec::new()).unwrap();
            drop(held);
        });
        return audit.shutdown(DEADLINE).map(drop).unwrap();
    }
    let ended = Alone::new("a_child_s_lines_go_to_standard_output_too").run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    let lines = ended.out.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut all: Vec<_> = numbers(&lines).into_values().collect();
    all.sort();
    assert_eq!(all, [vec![0], vec![1]]);
}

#[test]
fn a_signal_closes_a_child_s_log_and_ends_the_child() {
    fn process(folder: &Path) {
        let _guard = llm_audit::init_with(logger(folder)).unwrap();
        llm_audit::close_on_signals().unwrap();
        emit(0);
        for emits in [true, false] {
            let ready = folder.with_file_name(format!("ready-{emits}"));
            let child = fork(|| {
                if emits {
                    (1000..1000 + MANY).for_each(emit);
                }
                fs::write(&ready, "").unwrap();
                loop {
                    thread::park();
                }
            });
            wait_for(&ready);
            // SAFETY: a signal to a child that was not waited for.
            assert_eq!(unsafe { libc::kill(child.0, libc::SIGTERM) }, 0);
            let status = child.status();
            assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM);
        }
        emit(1);
    }
    alone("a_signal_closes_a_child_s_log_and_ends_the_child", process, |lines| {
        let mut all: Vec<_> = numbers(lines).into_values().collect();
        all.sort();
        assert_eq!(all, [vec![0, 1], (1000..1000 + MANY).collect()]);
        let stops = lines.iter().filter(|line| line["event_type"] == "audit.stop").count();
        assert_eq!(stops, 2);
    });
}

/// Four processes of two threads each, all into one folder.
#[test]
fn several_processes_share_a_folder() {
    const PROCESSES: u64 = 4;
    const THREADS: u64 = 2;
    const PROCESS: &str = "SHARED_FOLDER_PROCESS";
    if let Ok(process) = std::env::var(PROCESS) {
        let process: u64 = process.parse().unwrap();
        let folder = std::env::var("SHARED_FOLDER").unwrap();
        let _guard =
            llm_audit::init_with(logger(folder.as_ref()).max_file_bytes(64 << 10)).unwrap();
        return thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let from = (process * THREADS + thread) * 10 * MANY;
                    let event = AuditEvent::new(EventType::CacheHit, "a", "b");
                    (from..from + 10 * MANY)
                        .for_each(|n| llm_audit::emit_wait(&event.data(&data(n))));
                });
            }
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..PROCESSES)
        .map(|process| {
            let mut alone = Alone::new("several_processes_share_a_folder");
            alone
                .command
                .env(PROCESS, process.to_string())
                .env("SHARED_FOLDER", log(folder.path()));
            (alone.spawn(), alone)
        })
        .collect();
    for (running, _alone) in children {
        let ended = running.end();
        assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    }
    assert_whole(&log(folder.path()));
    let mut all = Vec::new();
    for file in fs::read_dir(log(folder.path())).unwrap().map(|file| file.unwrap().path()) {
        if file.ends_with(".key") {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // Processes may follow each other in a file, but never take turns.
        let mut instances: Vec<_> = lines.iter().map(|line| &line["instance"]).collect();
        instances.dedup();
        let starts = lines.iter().filter(|line| line["event_type"] == "audit.start").count();
        assert_eq!(instances.len(), starts);
        all.extend(lines);
    }
    let by_instance = numbers(&all);
    assert_eq!(by_instance.len() as u64, PROCESSES);
    let mut numbers: Vec<_> = by_instance.into_values().flatten().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..PROCESSES * THREADS * 10 * MANY).collect::<Vec<_>>());
}

/// What is instrumented goes on in a child.
#[cfg(all(feature = "macros", feature = "tower", feature = "tracing"))]
mod instrumented {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use tower::{Layer, Service};
    use tracing_subscriber::prelude::*;

    use super::*;

    #[llm_audit::audit_span(agent = "desk", action = "plan.search", capture_args)]
    fn search(question: &str) -> usize {
        question.len()
    }

    /// A future that waits for nothing.
    fn ready<F: Future>(future: F) -> F::Output {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits for nothing"),
        }
    }

    fn work() {
        search("plan 17");
        tracing::info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = "m")
            .in_scope(|| {});
        let answer = |_: http::Request<String>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        };
        let layer = llm_audit::layer::tower::ServerLayer::new("desk");
        let mut service = layer.layer(tower::service_fn(answer));
        drop(ready(service.call(http::Request::new(String::new()))).unwrap());
    }

    #[test]
    fn parts_work_in_a_child() {
        fn process(folder: &Path) {
            let _guard = llm_audit::init_with(logger(folder).capture_content(true)).unwrap();
            let layer = llm_audit::layer::tracing::AuditLayer::new("desk");
            tracing_subscriber::registry().with(layer).init();
            work();
            fork(|| {
                work();
                exit()
            })
            .end();
        }
        alone("instrumented::parts_work_in_a_child", process, |lines| {
            let mut kinds = BTreeMap::<&str, Vec<&str>>::new();
            for line in lines.iter().filter(|line| line.get("seq").is_some()) {
                let of = kinds.entry(line["instance"].as_str().unwrap()).or_default();
                of.push(line["event_type"].as_str().unwrap());
            }
            let mut kinds: Vec<_> = kinds.into_values().collect();
            kinds.iter_mut().for_each(|kinds| kinds.sort_unstable());
            assert_eq!(kinds.len(), 2);
            assert_eq!(kinds[0], kinds[1], "the same in parent and child");
            assert!(kinds[0].len() >= 5, "{kinds:?}");
            let traces = |n: usize| -> BTreeSet<&str> {
                let instance = lines.iter().filter_map(|line| line["instance"].as_str());
                let instances: BTreeSet<_> = instance.collect();
                let own = instances.into_iter().nth(n).unwrap();
                let of_own = lines.iter().filter(|line| line["instance"] == own);
                of_own.filter_map(|line| line["trace_id"].as_str()).collect()
            };
            assert!(traces(0).is_disjoint(&traces(1)), "no trace id is handed out twice");
        });
    }
}

#[test]
#[cfg(feature = "otlp")]
fn a_child_exports_metrics_of_its_own() {
    use common::collector::{self, has};

    if alone::folder().is_some() {
        let audit = AuditLogger::builder().build().unwrap();
        let emit = |agent| {
            audit.emit(
                &AuditEvent::new(EventType::CacheHit, agent, "b").status(llm_audit::Status::Retry),
            )
        };
        emit("of-parent");
        let child = || {
            emit("of-child");
            audit.shutdown(DEADLINE).unwrap();
        };
        fork(child).end();
        audit.shutdown(DEADLINE).unwrap();
        return;
    }
    let (url, received) = collector::start();
    let mut alone = Alone::new("a_child_exports_metrics_of_its_own");
    alone.command.envs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
    ]);
    let ended = alone.run();
    assert!(ended.status.success(), "{}{}", ended.out, ended.err);
    for (own, other) in [("of-child", "of-parent"), ("of-parent", "of-child")] {
        let (_, body) = received.recv().unwrap();
        assert!(has(&body, own) && !has(&body, other), "{own}");
    }
}
