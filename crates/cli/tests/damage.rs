//! A folder with every kind of damage: each good event is found, and each damage is reported once.
#![cfg(all(unix, feature = "gzip", feature = "zstd"))]

mod common;

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::{env, thread};

use common::{Run, TRACE, command, event, folder, run, run_on, run_with, write};
use serde_json::Value;

/// The lines of three writers: as a few lines of Python write them, an older version, and this one.
const MIXED: &str = r#"{"event_version": "2.0", "trace_id": "a1b2c3d4e5f6", "span_id": "0a1b2c3d", "parent_span_id": null, "timestamp": "2026-01-02T03:04:05.678901+00:00", "event_type": "tool.error", "agent": "old", "action": "search", "status": "error", "latency_ms": null, "tokens_input": null, "tokens_output": null, "cost_usd": null, "data": null, "error": {"type": "TimeoutError", "message": "no answer", "recoverable": true}}
{"event_version":"2.1","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000f1","timestamp":"2026-01-02T03:04:06Z","event_type":"llm.invoke","agent":"old","action":"chat","status":"ok","latency_ms":12,"tokens_input":10,"tokens_output":2,"data":{"model":"gpt-4o"}}
"#;

/// What has to be reported, by a part of its name or its text.
struct Damaged {
    events: u64,
    named: Vec<String>,
}

/// An event of the trace in a span of its own.
fn good(seq: u64) -> String {
    event(seq, TRACE, &format!("{seq:016x}"), r#","tokens_input":10,"tokens_output":1"#)
}

fn events(seqs: std::ops::Range<u64>) -> String {
    seqs.map(good).collect()
}

/// The length of the long line. More than 64 MiB is too much for one line.
fn long_megabytes() -> usize {
    env::var("LLM_AUDIT_LONG_LINE_MB").map_or(3, |megabytes| megabytes.parse().unwrap())
}

fn compressed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

/// gzip as other programs write it.
fn gzipped(text: &str) -> Vec<u8> {
    let path = tempfile::NamedTempFile::new().unwrap();
    fs::write(path.path(), text).unwrap();
    Command::new("gzip").arg("-c").arg(path.path()).output().unwrap().stdout
}

fn make_pipe(path: impl AsRef<Path>) {
    let path = CString::new(path.as_ref().as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a text that ends in NUL.
    #[allow(unsafe_code, reason = "std makes no named pipe")]
    let made = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    assert_eq!(made, 0);
}

/// Makes the folder. Text that does not compress fills more than one block of a frame.
fn damaged(dir: &str) -> Damaged {
    let name = |at: usize, end: &str| format!("audit-2026-01-{at:02}.jsonl{end}");
    let noise = |seq: u64| {
        let mut random = fastrand::Rng::with_seed(seq);
        let text: String = std::iter::repeat_with(|| random.alphanumeric()).take(100_000).collect();
        event(seq, TRACE, &format!("{seq:016x}"), &format!(r#","data":{{"text":"{text}"}}"#))
    };
    let (mut found, mut named) = (0, Vec::new());
    let mut add = |at: usize, end: &str, bytes: &[u8], events: u64, is_damaged: bool| {
        fs::create_dir_all(dir).unwrap();
        fs::write(Path::new(dir).join(name(at, end)), bytes).unwrap();
        found += events;
        named.extend(is_damaged.then(|| name(at, end)));
    };
    add(1, "", (events(1..4) + &good(4)[..40]).as_bytes(), 3, true);
    add(2, "", (events(5..7) + &"\0".repeat(4_096)).as_bytes(), 2, true);
    add(3, "", (events(7..9) + "\0\0\0\n" + &good(9)).as_bytes(), 3, true);
    let frame = compressed(&(10..20).map(noise).collect::<String>());
    add(4, ".zst", &frame[..frame.len() / 2], 0, true);
    let member = gzipped(&(20..30).map(noise).collect::<String>());
    add(5, ".gz", &member[..member.len() / 2], 0, true);
    let long = "x".repeat(long_megabytes() * 1_000_000);
    let long = event(31, TRACE, "000000000000001f", &format!(r#","data":{{"x":"{long}"}}"#));
    let is_held = long_megabytes() < 64;
    add(6, "", (good(30) + &long + &good(32)).as_bytes(), 2 + u64::from(is_held), !is_held);
    add(7, "", (MIXED.to_owned() + &good(33)).as_bytes(), 3, false);
    add(
        8,
        "",
        ("{\"level\":\"info\",\"msg\":\"up\"}\n".to_owned() + &good(34)).as_bytes(),
        1,
        true,
    );
    add(9, ".zst", &compressed(&events(35..40)), 5, false);
    add(10, ".gz", &[gzipped(&good(40)), gzipped(&good(41))].concat(), 2, false);
    fs::create_dir(format!("{dir}/{}", name(11, ""))).unwrap();
    symlink("nowhere", format!("{dir}/{}", name(12, ""))).unwrap();
    make_pipe(format!("{dir}/{}", name(13, "")));
    named.extend([11, 12, 13].map(|at| name(at, "")));
    // The rest is whole, with indexes that are not.
    for at in 14..18 {
        fs::write(format!("{dir}/{}", name(at, "")), good(at as u64 + 100)).unwrap();
        found += 1;
    }
    Damaged { events: found, named }
}

/// Makes the indexes of four files a stale, a damaged and another file's one, and one of somebody else.
fn spoil_indexes(dir: &str) {
    let at = |day: u64| format!("{dir}/.index/audit-2026-01-{day}.jsonl.idx");
    let mut log = File::options().append(true).open(format!("{dir}/audit-2026-01-14.jsonl"));
    log.as_mut().unwrap().write_all(good(200).as_bytes()).unwrap();
    let mut index = fs::read(at(15)).unwrap();
    index[20] ^= 1;
    fs::write(at(15), &index).unwrap();
    fs::copy(at(17), at(16)).unwrap();
    // Without the right to it, the index stays one that fits.
    let _ = chown(at(17), Some(65_534), None);
}

/// How many lines of a text name this file.
fn mentions(text: &str, name: &str) -> usize {
    text.lines().filter(|line| line.contains(name)).count()
}

/// The good events that a subcommand found, in its own way.
fn events_of(args: &[&str], run: &Run) -> u64 {
    let lines = || run.stdout.lines().count() as u64;
    match args[0] {
        "tail" => lines(),
        "export" if args[1] == "csv" => lines() - 1,
        "export" => run.stdout.matches("\"llm_audit.event_type\"").count() as u64,
        "trace" => {
            let spans = run.json()["spans"].as_array().unwrap().clone();
            spans.iter().map(|span| span["events"].as_array().unwrap().len() as u64).sum()
        }
        "stats" | "cost" | "report" => run.json()["total"]["events"].as_u64().unwrap(),
        _ => run.json()["events"].as_u64().unwrap(),
    }
}

#[test]
fn every_good_event_is_found_and_each_damage_reported_once() {
    let (_keep, dir) = folder();
    let mut damaged = damaged(&dir);
    // As much of the cut files as can be unpacked, and all indexes are built.
    let first = run(&["stats", "--json", "--dir", &dir]).json();
    let unpacked = first["total"]["events"].as_u64().unwrap() - damaged.events;
    assert!((2..20).contains(&unpacked), "{unpacked}");
    spoil_indexes(&dir);
    damaged.events += unpacked + 1;
    let all = damaged.events;
    let readers: [(&[&str], u64); 9] = [
        (&["stats", "--json"], all),
        (&["errors", "--json"], all),
        (&["report", "--json"], all),
        // What has no tokens: the noise, the long line and the error.
        (&["cost", "--json"], all - unpacked - u64::from(long_megabytes() < 64) - 1),
        (&["tail", "-n", "1000", "--json"], all),
        (&["export", "csv"], all),
        (&["export", "otlp-json"], all),
        // All but the error of the other trace.
        (&["trace", TRACE, "--json"], all - 1),
        (&["verify", "--json"], all),
    ];
    for (args, expected) in readers {
        let run = run(&[args, &["--dir", &dir]].concat());
        assert_eq!(run.code, 1, "{args:?} {}", run.stderr);
        assert_eq!(events_of(args, &run), expected, "{args:?} {}", run.stderr);
        let findings = (args[0] == "verify").then(|| run.json()["findings"].clone());
        let is_line = |name: &&String| {
            !["-01.", "-02.", "-03.", "-06.", "-08."].iter().any(|l| name.contains(l))
        };
        for name in &damaged.named {
            // The search for a trace looks at its lines alone.
            let expected = usize::from(args[0] != "trace" || is_line(&name));
            let count = match &findings {
                Some(Value::Array(all)) => all.iter().filter(|f| f["file"] == **name).count(),
                _ => mentions(&run.stderr, name),
            };
            assert_eq!(count, expected, "{args:?} {name} {} {findings:?}", run.stderr);
        }
        for day in [14, 15, 16, 17] {
            assert_eq!(mentions(&run.stderr, &format!("audit-2026-01-{day}")), 0, "{args:?}");
        }
    }
    // A report that is sent to somebody says so, too.
    let damage = run(&["report", "--json", "--dir", &dir]).json()["damage"].clone();
    let files = damage["files"].as_array().unwrap();
    let page = format!("{dir}/page.html");
    assert_eq!(run(&["report", "--html", &page, "--dir", &dir]).code, 1);
    let page = fs::read_to_string(page).unwrap();
    assert!(files.len() > 2 && damage["bad_lines"].as_u64().unwrap() > 2, "{damage}");
    assert!(page.contains("<h2>Not read</h2>") && page.contains("lines cannot be read"), "{page}");
    for file in files {
        let is_named = |name: &&String| file.as_str().unwrap().contains(&***name);
        assert_eq!(damaged.named.iter().filter(is_named).count(), 1, "{file}");
    }
    // A trace is shown, and a fixture is made of it.
    let last = run(&["trace", "--last", "--dir", &dir]);
    assert_eq!(last.code, 1, "{}", last.stderr);
    let fixture = run(&["fixture", TRACE, "--dir", &dir]);
    assert!(fixture.code <= 1 && fixture.json().is_object(), "{}", fixture.stderr);
    let live = run(&["verify", "--dir", &dir]);
    assert!(live.stdout.contains("-02.jsonl:3: not a valid log line: it has 4096 NUL bytes"));
    assert!(live.stdout.contains("-03.jsonl:3: not a valid log line: it has 3 NUL bytes"));
    assert!(live.stdout.contains("-08.jsonl:1: not a valid event: it has neither"), "{live:?}");
    assert!(live.stdout.contains("audit-2026-01-11.jsonl:1: cannot read"), "{live:?}");
}

/// Root reads everything, so the readers run as somebody else.
#[test]
fn a_file_without_rights_is_one_finding_among_others() {
    let (keep, dir) = folder();
    write(&dir, "audit-2026-01-01.jsonl", &good(1));
    write(&dir, "audit-2026-01-02.jsonl", &good(2));
    let locked = format!("{dir}/audit-2026-01-01.jsonl");
    for path in [keep.path(), Path::new(&dir)] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(format!("{dir}/audit-2026-01-02.jsonl"), Permissions::from_mode(0o644))
        .unwrap();
    fs::set_permissions(&locked, Permissions::from_mode(0o000)).unwrap();
    // SAFETY: it changes nothing.
    #[allow(unsafe_code, reason = "std does not say who runs this")]
    let is_root = unsafe { libc::geteuid() } == 0;
    // A copy that anybody may run.
    let path = format!("{}/llm-audit", keep.path().display());
    fs::copy(env!("CARGO_BIN_EXE_llm-audit"), &path).unwrap();
    for args in
        [&["verify"][..], &["stats"], &["errors"], &["tail"], &["trace", TRACE], &["export", "csv"]]
    {
        let of = |files: &[&str]| {
            let mut command = Command::new(&path);
            command.args(args).args(files).env_clear();
            if is_root {
                command.uid(65_534).gid(65_534);
            }
            run_with(command, |_| Ok(()))
        };
        let run = of(&["--dir", &dir]);
        assert_eq!(run.code, 1, "{args:?} {run:?}");
        let said = run.stdout.clone() + &run.stderr;
        assert_eq!(mentions(&said, "audit-2026-01-01.jsonl"), 1, "{args:?} {run:?}");
        assert!(said.contains("ermission denied"), "{args:?} {run:?}");
        let alone = of(&[&locked]);
        assert_eq!(alone.code, 2, "{args:?} {alone:?}");
    }
}

/// The readers list all files, and then wait for the pipe between them.
#[test]
fn files_that_are_cut_or_removed_while_they_are_read_are_reported() {
    for args in [
        &["stats", "--json"][..],
        &["errors", "--json"],
        &["verify", "--json"],
        &["export", "csv"],
        &["tail", "-n", "100", "--json"],
    ] {
        let (_keep, dir) = folder();
        let at = |name: &str| format!("{dir}/{name}");
        let names = ["cut-1", "gone-1", "pipe", "cut-2", "gone-2"].map(at);
        for name in &names {
            write(&dir, Path::new(name).file_name().unwrap().to_str().unwrap(), &events(1..5));
        }
        fs::remove_file(at("pipe")).unwrap();
        make_pipe(at("pipe"));
        let change = || {
            let mut pipe = File::options().write(true).open(at("pipe")).unwrap();
            for name in ["cut-1", "cut-2"] {
                let log = File::options().write(true).open(at(name)).unwrap();
                log.set_len(good(1).len() as u64).unwrap();
                fs::remove_file(at(&name.replace("cut", "gone"))).unwrap();
            }
            pipe.write_all(good(5).as_bytes()).unwrap();
        };
        let run = thread::scope(|scope| {
            let changed = scope.spawn(change);
            let run =
                run_with(command(&[args, &names.each_ref().map(|n| &**n)].concat()), |_| Ok(()));
            changed.join().unwrap();
            run
        });
        assert_eq!((run.code, events_of(args, &run)), (1, 4 + 4 + 1 + 1), "{args:?} {run:?}");
        let said = if args[0] == "verify" {
            run.json()["findings"].to_string()
        } else {
            run.stderr.clone()
        };
        let side = if args[0] == "tail" { 1 } else { 2 };
        assert_eq!(
            said.matches(&at(&format!("cut-{side}: it was cut to"))).count(),
            1,
            "{args:?} {run:?}"
        );
        assert_eq!(
            said.matches(&at(&format!("gone-{side}: No such file"))).count(),
            1,
            "{args:?} {run:?}"
        );
    }
}

#[test]
fn packed_input_is_known_by_its_first_bytes() {
    let (_keep, dir) = folder();
    let log = common::whole(3);
    let (first, second) = log.split_at(log.find('\n').unwrap() + 1);
    let several = [gzipped(first), gzipped(second)].concat();
    fs::create_dir_all(&dir).unwrap();
    for (name, bytes) in [("gz", gzipped(&log)), ("members", several), ("zst", compressed(&log))] {
        let (plain, named) = (format!("{dir}/{name}-of-it"), format!("{dir}/out.jsonl.{name}"));
        fs::write(&plain, &bytes).unwrap();
        fs::write(&named, &bytes).unwrap();
        for args in [&["verify"][..], &["stats"], &["tail"], &["trace", TRACE], &["scan"]] {
            let of = |file: &str| run(&[args, &[file]].concat());
            let piped = run_on(&[args, &["-"]].concat(), &bytes);
            for run in [of(&plain), of(&named), piped] {
                assert_eq!((run.code, &*run.stderr), (0, ""), "{name} {args:?} {run:?}");
            }
        }
    }
    // What is cut is damage, and what is before is shown.
    let lines = events(1..2_000);
    for bytes in [gzipped(&lines), compressed(&lines)] {
        let bytes = &bytes[..bytes.len() - 6];
        let run = run_on(&["stats", "--json", "-"], bytes);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.json()["total"]["events"].as_u64() > Some(100), "{run:?}");
        assert_eq!(mentions(&run.stderr, "cannot read -"), 1, "{run:?}");
    }
    // Of a file and its copy by gzip one is read.
    let (_keep, both) = folder();
    write(&both, common::FILE, &log);
    fs::write(format!("{both}/{}.gz", common::FILE), &gzipped(&log)[..50]).unwrap();
    let verify = run(&["verify", "--dir", &both]);
    assert!(verify.code == 0 && verify.stdout.contains("1 file, 5 lines"), "{verify:?}");
}
