//! Logs that are read from files and pipes, and the lines of one service among several.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{FILE, TRACE, command, event, folder, log_of_service, run, run_on, whole, write};

const NEXT: &str = "audit-2026-01-02.1.jsonl";

/// Two services in one folder, a file each, with one trace.
fn two_services(dir: &str) {
    write(dir, FILE, &log_of_service("billing", "00000000000000b1", TRACE, "0000000000000001"));
    let search = log_of_service("search", "00000000000000c2", TRACE, "0000000000000002");
    write(dir, NEXT, &search.replace("planner", "finder"));
}

#[test]
fn every_reader_takes_files_and_pipes() {
    let (_keep, dir) = folder();
    let log = whole(3);
    // The name that somebody gave to what a program wrote to stdout.
    write(&dir, "out.txt", &log);
    let file = format!("{dir}/out.txt");
    let cases: [(&[&str], &str); 4] = [
        (&["tail"], "llm.invoke"),
        (&["tail", "--json"], "\"seq\":3"),
        (&["trace", TRACE], "3 spans, 3 events"),
        (&["verify"], "nothing is missing"),
    ];
    for (args, expected) in cases {
        let of_file = run(&[args, &[&file]].concat());
        let of_pipe = run_on(&[args, &["-"]].concat(), log.as_bytes());
        for run in [&of_file, &of_pipe] {
            assert_eq!((run.code, &*run.stderr), (0, ""), "{args:?} {run:?}");
            assert!(run.stdout.contains(expected), "{args:?} {run:?}");
        }
        assert_eq!(of_file.stdout, of_pipe.stdout, "{args:?}");
    }
    #[cfg(unix)]
    {
        // As a shell names the pipe of `<(command)`.
        let run = run_on(&["verify", "/dev/stdin"], log.as_bytes());
        assert!(run.stdout.contains("3 events"), "{run:?}");
    }
}

#[test]
fn files_of_a_log_are_read_in_its_order() {
    let (_keep, dir) = folder();
    let log = whole(4);
    let (first, second) = log.split_at(
        log.find("{\"event_version\":\"3.0\",\"instance\":\"00000000000000aa\",\"seq\":3").unwrap(),
    );
    write(&dir, FILE, first);
    write(&dir, NEXT, second);
    // A shell sorts them like this.
    let (next, file) = (format!("{dir}/{NEXT}"), format!("{dir}/{FILE}"));
    let run = run(&["verify", &next, &file]);
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn findings_of_a_pipe_are_named_by_it() {
    let (_keep, dir) = folder();
    let run = run_on(&["verify", "-"], (whole(2) + "Listening on port 80\n").as_bytes());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("stdin:5: not a valid log line"), "{run:?}");
    let cases: [&[&str]; 3] = [
        &["verify", "no-such-file"],
        &["verify", "x", "--dir", &dir],
        &["verify", env!("CARGO_MANIFEST_DIR")],
    ];
    for args in cases {
        let run = common::run(args);
        assert_eq!(run.code, 2, "{args:?} {run:?}");
        assert!(!run.stderr.is_empty(), "{args:?} {run:?}");
    }
}

#[cfg(unix)]
#[test]
fn who_pipes_a_log_without_a_file_is_told_of_the_dash() {
    let (_keep, dir) = folder();
    for args in [&["tail"][..], &["trace", TRACE], &["verify"]] {
        let args = [args, &["--dir", &dir]].concat();
        let piped = run_on(&args, whole(3).as_bytes());
        assert_eq!(piped.code, 3, "{args:?} {piped:?}");
        assert!(piped.stderr.contains("stdin is read if FILE is -"), "{args:?} {piped:?}");
        // Nobody feeds it.
        let output = command(&args).output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("stdin"), "{output:?}");
    }
}

#[test]
fn a_pipe_is_followed_as_it_comes() {
    let mut tail = command(&["tail", "-f", "--json", "-"]);
    let mut child = tail.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for seq in 1..=3 {
        stdin.write_all(event(seq, TRACE, "01", "").as_bytes()).unwrap();
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(&format!("\"seq\":{seq}")), "{line}");
    }
    drop(stdin);
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_file_is_followed() {
    let (_keep, dir) = folder();
    write(&dir, "out.txt", &event(1, TRACE, "01", ""));
    let path = format!("{dir}/out.txt");
    let mut tail = command(&["tail", "-f", "--json", &path]);
    let mut child = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().contains("\"seq\":1"));
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(event(2, TRACE, "02", "").as_bytes()).unwrap();
    assert!(next().contains("\"seq\":2"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn each_line_of_several_services_is_told_apart() {
    let (_keep, dir) = folder();
    two_services(&dir);
    let tail = run(&["tail", "--dir", &dir]);
    let mut lines = tail.stdout.lines();
    assert!(lines.next().unwrap().contains("  billing  planner  chat"), "{tail:?}");
    assert!(lines.next().unwrap().contains("  search  finder  chat"), "{tail:?}");
    let verify = run(&["verify", "--dir", &dir]);
    assert!(
        verify.stdout.contains("00000000000000b1  billing on web-3, pid 4242  1 event"),
        "{verify:?}"
    );
    let json = run(&["verify", "--json", "--dir", &dir]).json();
    let search = &json["instances"][1];
    assert_eq!((&search["service"], &search["pid"]), (&"search".into(), &4242.into()));
    let trace = run(&["trace", TRACE, "--dir", &dir]);
    assert!(trace.stdout.contains("(search finder)"), "{trace:?}");
    // One service needs no name.
    let one = run(&["tail", &format!("{dir}/{FILE}")]);
    assert!(!one.stdout.contains("billing"), "{one:?}");
}

/// The line that names the second service is far before the lines that are shown.
#[test]
fn services_of_one_file_are_told_apart_at_its_end() {
    let (_keep, dir) = folder();
    let (one, other) = ("00000000000000b1", "00000000000000c2");
    let event =
        |seq: u64, instance| event(seq, TRACE, "01", "").replace("00000000000000aa", instance);
    let events = (3..1_500).map(|seq| event(seq, if seq % 2 == 0 { one } else { other }));
    let log = log_of_service("billing", one, TRACE, "01")
        + &log_of_service("search", other, TRACE, "02")
        + &events.collect::<String>();
    write(&dir, FILE, &log);
    let shown = run(&["tail", "-n", "2", "--dir", &dir]).stdout;
    assert!(shown.contains("billing  planner") && shown.contains("search  planner"), "{shown}");
}

#[test]
fn one_service_is_read_alone() {
    let (_keep, dir) = folder();
    two_services(&dir);
    let of = |args: &[&str], service: &str| {
        run(&[args, &["--service", service, "--dir", &dir]].concat())
    };
    let tail = of(&["tail"], "search");
    assert_eq!((tail.code, tail.stdout.lines().count()), (0, 1), "{tail:?}");
    assert!(tail.stdout.contains("finder"), "{tail:?}");
    let trace = of(&["trace", TRACE], "billing");
    assert!(trace.stdout.contains("1 span, 1 event"), "{trace:?}");
    for args in [&["tail"][..], &["trace", TRACE], &["verify"]] {
        let run = of(args, "shipping");
        assert_eq!((run.code, run.stderr.is_empty()), (3, false), "{args:?} {run:?}");
    }
    // What was asked for and what there is.
    for args in [&["tail"][..], &["trace", TRACE], &["verify"], &["errors"], &["stats"]] {
        let run = of(args, "shipping");
        let named = "the service shipping; services that are named: billing, search";
        assert!(run.stderr.contains(named), "{args:?} {run:?}");
    }
    let known = of(&["tail", "--type", "cache"], "search");
    assert!(known.code == 3 && !known.stderr.contains("named"), "{known:?}");
    // A loss of one service is not a finding of another.
    let log = std::fs::read_to_string(format!("{dir}/{FILE}")).unwrap();
    write(&dir, FILE, &log.replace("\"written\":1", "\"written\":2"));
    assert_eq!(of(&["verify"], "billing").code, 1);
    let search = of(&["verify"], "search");
    assert_eq!(search.code, 0, "{search:?}");
    assert!(!search.stdout.contains("billing"), "{search:?}");
}
