//! `ship` sends a log to a collector, and says how far it is.

#[cfg(all(feature = "otlp", unix))]
#[path = "../../../tests/common/collector.rs"]
mod collector;
mod common;

use std::path::Path;

use common::{Run, run};

#[test]
fn a_build_without_the_feature_says_how_to_get_it() {
    let features = [
        ("otlp", "otlp", cfg!(feature = "otlp")),
        ("cloudwatch", "cloudwatch-logs", cfg!(feature = "cloudwatch-logs")),
    ];
    for (to, feature, _) in features.into_iter().filter(|(_, _, is_present)| !is_present) {
        let Run { code, stderr, .. } = run(&["ship", "--to", to]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(&format!("cargo install --path crates/cli --features {feature}")));
    }
}

#[test]
fn bad_usage_is_told() {
    for (args, expected) in [
        (&["ship"][..], "--to"),
        (&["ship", "--to", "kafka"], "otlp, cloudwatch"),
        (&["ship", "--to", "otlp", "--once", "--follow"], "cannot be used with"),
        (&["ship", "--to", "otlp", "--endpoint", "localhost:4318"], "begins with http://"),
        (&["ship", "--to", "otlp", "--endpoint", "http://a/?key=b"], "without a query"),
        (&["ship", "--to", "otlp", "--group", "g"], "--group is for --to cloudwatch"),
        (&["ship", "--to", "cloudwatch", "--endpoint", "http://a"], "--endpoint is for --to otlp"),
        #[cfg(feature = "cloudwatch-logs")]
        (&["ship", "--to", "cloudwatch"], "--stream or AUDIT_CLOUDWATCH_STREAM is needed"),
        (&["ship", "--to", "otlp", "--follow", "--timeout", "1s"], "cannot be used with"),
        (&["ship", "--to", "otlp", "--timeout", "soon"], "accepted: 30s, 10m, 1h"),
        (&["ship", "forget", "../x", "--dir", "."], "known: there is none"),
    ] {
        let Run { code, stderr, .. } = run(args);
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn a_folder_that_nothing_was_shipped_from_has_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let Run { code, stderr, .. } = run(&["ship", "status", "--dir", text(folder.path())]);
    assert_eq!(code, 3);
    assert!(stderr.starts_with("llm-audit: no data: nothing was shipped from "), "{stderr}");
    let missing = folder.path().join("nope");
    let Run { code, stderr, .. } = run(&["ship", "status", "--dir", text(&missing)]);
    assert_eq!(code, 3);
    assert!(stderr.starts_with("llm-audit: no data: there is no folder "), "{stderr}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[cfg(all(feature = "otlp", unix))]
mod sent {
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::ops::Range;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::Receiver;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::collector::{self, has};
    use super::common::{command, run, run_on, run_with};
    use super::{Path, Run, text};

    /// Long enough for a busy machine; no test waits for it to pass.
    const DEADLINE: Duration = Duration::from_secs(60);

    fn action(n: u32) -> String {
        format!("step.{n}.")
    }

    /// Adds events to a log, each with an action of its own.
    fn record(dir: &Path, actions: Range<u32>) {
        let line = |n| {
            format!(
                "{{\"event_type\":\"tool.result\",\"agent\":\"benefits\",\"action\":\"{}\",\"status\":\"ok\",\
                 \"latency_ms\":1}}\n",
                action(n)
            )
        };
        let lines: String = actions.map(line).collect();
        let recorded = run_on(&["record", "--dir", text(dir)], lines.as_bytes());
        assert_eq!(recorded.code, 0, "{recorded:?}");
    }

    fn log(events: u32) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), 0..events);
        folder
    }

    fn ship(dir: &Path, url: &str, more: &[&str]) -> Command {
        let args = ["ship", "--to", "otlp", "--endpoint", url, "--json", "--dir", text(dir)];
        let mut command = command(&[&args, more].concat());
        command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "none");
        command
    }

    fn shipped(dir: &Path, url: &str) -> Run {
        run_with(ship(dir, url, &[]), |_| Ok(()))
    }

    /// How often each action was received.
    fn times(received: &Receiver<(String, Vec<u8>)>, actions: Range<u32>) -> Vec<usize> {
        let bodies: Vec<_> = received.try_iter().map(|(_, body)| body).collect();
        actions.map(|n| bodies.iter().filter(|body| has(body, &action(n))).count()).collect()
    }

    /// The only destination in `ship status`, and the exit code.
    fn status(dir: &Path) -> (serde_json::Value, i32) {
        let status = run(&["ship", "status", "--json", "--dir", text(dir)]);
        let all = &status.json()["destinations"];
        assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
        (all[0].clone(), status.code)
    }

    #[test]
    fn each_run_sends_what_is_new() {
        let (folder, (url, received)) = (log(3), collector::start());
        let dir = folder.path();
        for (new, sent) in [(0..0, 3), (3..5, 2), (5..5, 0)] {
            if !new.is_empty() {
                record(dir, new);
            }
            let run = shipped(dir, &url);
            assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
            assert_eq!(run.json()["sent"], sent);
        }
        assert_eq!(times(&received, 0..5), [1; 5]);
        let (of, code) = status(dir);
        assert_eq!((&of["sent"], &of["lag"]["bytes"], code), (&5.into(), &0.into(), 0));
        let table = run(&["ship", "status", "--dir", text(dir)]).stdout;
        assert!(table.starts_with("destination"), "{table}");
        assert!(table.lines().nth(1).unwrap().starts_with(of["name"].as_str().unwrap()), "{table}");
    }

    #[test]
    fn a_destination_that_is_forgotten_gets_all_again() {
        let (folder, (url, received)) = (log(3), collector::start());
        let dir = folder.path();
        assert_eq!(shipped(dir, &url).json()["sent"], 3);
        assert_eq!(times(&received, 0..3), [1; 3]);
        let name = status(dir).0["name"].as_str().unwrap().to_owned();
        let forgotten = run(&["ship", "forget", &name, "--dir", text(dir)]);
        assert_eq!(forgotten.code, 0, "{forgotten:?}");
        assert_eq!(shipped(dir, &url).json()["sent"], 3);
        assert_eq!(times(&received, 0..3), [1; 3]);
    }

    #[test]
    fn what_is_refused_is_kept_and_counted() {
        // Of all three, of the first, and of the others together and alone.
        let requests = AtomicUsize::new(0);
        let answer = move || match requests.fetch_add(1, Ordering::Relaxed) {
            1 => "200 OK",
            _ => "400 Bad Request",
        };
        let (folder, (url, _received)) = (log(3), collector::start_with(answer));
        let dir = folder.path();
        let run = shipped(dir, &url);
        assert_eq!(run.code, 1, "{run:?}");
        assert_eq!((&run.json()["sent"], &run.json()["refused"]), (&3.into(), &2.into()));
        assert!(run.stderr.contains("refused events: "), "{}", run.stderr);
        let files = fs::read_dir(dir.join(".ship/refused")).unwrap();
        let kept: String =
            files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        assert!(!kept.contains(&action(0)), "{kept}");
        assert!((1..3).all(|n| kept.contains(&action(n))), "{kept}");
        let (of, code) = status(dir);
        assert_eq!((&of["refused"], code), (&2.into(), 1));
    }

    #[test]
    fn a_destination_that_is_down_is_waited_for() {
        let failures = AtomicUsize::new(0);
        let answer = move || match failures.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => "503 Service Unavailable",
            _ => "200 OK",
        };
        let (folder, (url, _received)) = (log(3), collector::start_with(answer));
        let run = shipped(folder.path(), &url);
        assert_eq!((run.code, &run.json()["sent"]), (0, &3.into()), "{run:?}");
        let said: Vec<_> = run.stderr.lines().collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("503") && said[1].ends_with(" goes on"), "{said:?}");
    }

    #[test]
    fn a_dead_destination_is_given_up_after_the_timeout() {
        let folder = log(3);
        let dead = "http://127.0.0.1:1";
        let run = run_with(ship(folder.path(), dead, &["--timeout", "0s"]), |_| Ok(()));
        assert_eq!((run.code, &run.json()["sent"]), (2, &0.into()), "{run:?}");
        assert!(run.stderr.contains("does not take events: "), "{}", run.stderr);
        assert!(run.stderr.ends_with("; --timeout is over\n"), "{}", run.stderr);
    }

    #[test]
    fn a_file_that_cannot_be_read_keeps_no_other_one() {
        let (folder, (url, received)) = (log(3), collector::start());
        fs::write(folder.path().join("audit-2020-01-01.jsonl.zst"), "damaged").unwrap();
        let run = shipped(folder.path(), &url);
        assert_eq!((run.code, &run.json()["sent"]), (2, &3.into()), "{run:?}");
        assert!(run.stderr.contains("audit-2020-01-01.jsonl.zst"), "{}", run.stderr);
        assert_eq!(times(&received, 0..3), [1; 3]);
    }

    #[test]
    fn no_log_is_no_data() {
        let (folder, (url, _received)) = (tempfile::tempdir().unwrap(), collector::start());
        let run = shipped(folder.path(), &url);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert!(!folder.path().join(".ship").exists());
    }

    struct Following(Child);

    impl Following {
        fn start(dir: &Path, url: &str) -> Self {
            let mut command = ship(dir, url, &["--follow"]);
            Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        }

        /// Ends it by a signal. Returns what it printed at the end.
        fn end(mut self) -> serde_json::Value {
            let pid = self.0.id().try_into().unwrap();
            #[allow(unsafe_code, reason = "std sends only SIGKILL")]
            // SAFETY: it has no precondition, and the child was not waited for.
            unsafe {
                assert_eq!(libc::kill(pid, libc::SIGTERM), 0);
            }
            let mut line = String::new();
            BufReader::new(self.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(self.0.wait().unwrap().signal(), Some(libc::SIGTERM));
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
        }
    }

    #[test]
    fn a_log_is_followed_until_a_signal() {
        let (folder, (url, received)) = (log(1), collector::start());
        let following = Following::start(folder.path(), &url);
        let next = || received.recv_timeout(DEADLINE).unwrap().1;
        assert!(has(&next(), &action(0)));
        record(folder.path(), 1..2);
        assert!(has(&next(), &action(1)));
        // It has the lock until it ends.
        let other = shipped(folder.path(), &url);
        assert_eq!(other.code, 2);
        assert!(other.stderr.contains("another process ships this log to "), "{other:?}");
        let ended = following.end();
        assert_eq!((&ended["sent"], &ended["refused"]), (&2.into(), &0.into()), "{ended}");
        assert_eq!(shipped(folder.path(), &url).json()["sent"], 0);
    }

    #[test]
    fn the_variables_decide_without_flags() {
        let (folder, (url, received)) = (log(1), collector::start());
        let mut command = command(&["ship", "--to", "otlp"]);
        command.env("AUDIT_LOG_DIR", folder.path()).env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a");
        let run = run_with(command, |_| Ok(()));
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.starts_with("1 event sent to otlp"), "{}", run.stdout);
        let (head, _) = received.recv_timeout(DEADLINE).unwrap();
        assert!(head.starts_with("post /v1/traces ") && head.contains("\r\napi-key: a\r\n"));
        let mut command = self::command(&["ship", "--to", "otlp", "--dir", text(folder.path())]);
        command.env("OTEL_SDK_DISABLED", "true");
        let run = run_with(command, |_| Ok(()));
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains("OTEL_SDK_DISABLED is true"), "{}", run.stderr);
    }
}
