//! `receive`: what it answers, and what it records. Without the feature it says how to get it.

mod common;

#[cfg(not(feature = "receive"))]
#[test]
fn without_the_feature_it_says_how_to_install_it() {
    for args in [&["receive"][..], &["receive", "--listen", "127.0.0.1:0"]] {
        let run = common::run(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(
            run.stderr.contains("cargo install --path crates/cli --features receive"),
            "{run:?}"
        );
    }
}

#[cfg(all(feature = "receive", unix))]
mod served {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::process::{Child, Command, Stdio};

    use serde_json::{Value, json};

    use super::common::{command, events, folder, run};

    /// A running `receive`.
    struct Receiver {
        child: Child,
        address: String,
        stderr: BufReader<std::process::ChildStderr>,
    }

    impl Receiver {
        fn start(dir: &str, more: &[&str]) -> Self {
            let args = ["receive", "--listen", "127.0.0.1:0", "--dir", dir, "--json"];
            Self::start_as(command(&[&args, more].concat()))
        }

        fn start_as(mut receive: Command) -> Self {
            receive.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = receive.spawn().unwrap();
            let mut stderr = BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            stderr.read_line(&mut line).unwrap();
            let address = line.trim().rsplit_once("http://").expect(&line).1.to_owned();
            Self { child, address, stderr }
        }

        /// Sends bytes, and returns the status and the whole answer.
        fn send(&self, request: &[u8]) -> (u16, String) {
            let mut stream = TcpStream::connect(&self.address).unwrap();
            stream.write_all(request).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
            (status.unwrap_or_else(|| panic!("{answer}")), answer)
        }

        fn request(&self, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
            let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
            let length = body.len();
            let mut request = format!(
                "{line} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            )
            .into_bytes();
            request.extend(body);
            self.send(&request)
        }

        fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
            let json = "Content-Type: application/json\r\n";
            let (status, answer) =
                self.request(&format!("POST {path}"), json, body.to_string().as_bytes());
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            (status, serde_json::from_str(body).unwrap())
        }

        /// Ends it by SIGTERM, and returns the exit code and the accounting. Nothing may be on stderr.
        fn stop(self) -> (i32, Value) {
            let (code, accounting, said) = self.end();
            assert_eq!(said, "");
            (code, accounting)
        }

        fn signal(&self) {
            let id = self.child.id().to_string();
            assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        }

        fn end(mut self) -> (i32, Value, String) {
            self.signal();
            let (mut said, mut accounting) = (String::new(), String::new());
            self.stderr.read_to_string(&mut said).unwrap();
            self.child.stdout.take().unwrap().read_to_string(&mut accounting).unwrap();
            let code = self.child.wait().unwrap().code().unwrap();
            (code, serde_json::from_str(&accounting).unwrap(), said)
        }
    }

    fn log_record(name: &str, text: &str) -> Value {
        json!({"timeUnixNano": "1767323045000006000", "eventName": name,
            "attributes": [{"key": "text", "value": {"stringValue": text}}]})
    }

    fn logs(records: &[Value]) -> Value {
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
    }

    #[test]
    fn each_fault_has_the_status_of_the_protocol() {
        let (_keep, dir) = folder();
        let receiver = Receiver::start(&dir, &["--max-body", "1000"]);
        let (json, protobuf) =
            ("Content-Type: application/json\r\n", "Content-Type: application/x-protobuf\r\n");
        let with = |headers: &str, more: &str| format!("{headers}{more}\r\n");
        let gzip = with(protobuf, "Content-Encoding: gzip");
        let cases: Vec<(u16, &str, String, Vec<u8>)> = vec![
            (200, "GET /health", String::new(), vec![]),
            (200, "POST /v1/logs", json.into(), b"{}".to_vec()),
            (200, "POST /v1/traces", protobuf.into(), vec![]),
            (
                200,
                "POST /v1/logs",
                "content-type: Application/JSON; charset=utf-8\r\n".into(),
                b"{}".into(),
            ),
            (400, "POST /v1/logs", json.into(), b"{\"resourceLogs\":".to_vec()),
            (400, "POST /v1/logs", protobuf.into(), vec![0x0A, 0x7F]),
            (400, "POST /v1/metrics", protobuf.into(), vec![0x0A, 0x7F]),
            (400, "POST /v1/logs", gzip.clone(), b"not gzip".to_vec()),
            (403, "GET /health", "Host: evil.example\r\n".into(), vec![]),
            (403, "POST /v1/logs", with(json, "Host: localhost.evil.example:4318"), b"{}".to_vec()),
            (404, "POST /v1/profiles", json.into(), b"{}".to_vec()),
            (405, "GET /v1/logs", String::new(), vec![]),
            (405, "OPTIONS /v1/logs", String::new(), vec![]),
            (413, "POST /v1/logs", protobuf.into(), vec![0; 1_001]),
            (415, "POST /v1/logs", String::new(), b"{}".to_vec()),
            (415, "POST /v1/logs", "Content-Type: text/plain\r\n".into(), b"{}".to_vec()),
            (415, "POST /v1/logs", with(json, "Content-Encoding: br"), b"{}".to_vec()),
        ];
        for (expected, line, headers, body) in cases {
            let (status, answer) = receiver.request(line, &headers, &body);
            assert_eq!(status, expected, "{line} {headers} {answer}");
            assert_eq!(answer.contains("\r\nallow: POST\r\n"), status == 405, "{answer}");
        }
        for (path, body) in [
            ("/v1/logs", json!({"resourceSpans": []})),
            ("/v1/traces", json!({"resourceSpans": [], "resourceMetrics": []})),
            ("/v1/metrics", logs(&[])),
        ] {
            let (status, answer) = receiver.post_json(path, &body);
            assert_eq!(status, 400, "{path} {answer}");
            assert!(answer["message"].as_str().unwrap().contains(", which belongs to /v1/"));
        }
        for hello in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01"] {
            let mut stream = TcpStream::connect(&receiver.address).unwrap();
            stream.write_all(hello).unwrap();
            // It is closed, with an answer or without.
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let (code, accounting, said) = receiver.end();
        assert_eq!((code, accounting["requests"].as_u64()), (0, Some(3)), "{accounting}");
        let counts: [(&str, u64); 7] = [
            ("refused_400", 7),
            ("refused_403", 2),
            ("refused_404", 1),
            ("refused_405", 2),
            ("refused_413", 1),
            ("refused_415", 3),
            ("refused_connections", 2),
        ];
        for (kind, count) in counts {
            assert_eq!(accounting[kind], count, "{kind} {accounting}");
            let named = said.matches(&format!("further ones are counted as {kind}\n")).count();
            assert_eq!(named, 1, "{kind} {said}");
        }
        assert_eq!(said.lines().count(), counts.len(), "{said}");
    }

    #[test]
    fn an_acknowledged_event_is_in_the_log_once_and_redacted() {
        let (_keep, dir) = folder();
        let receiver = Receiver::start(&dir, &[]);
        let request = logs(&[log_record("my.event", "ask ana@example.com")]);
        for _ in 0..3 {
            assert_eq!(receiver.post_json("/v1/logs", &request), (200, json!({})));
            let lines = events(&dir);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!(lines[0]["timestamp"], "2026-01-02T03:04:05.000006Z");
            assert!(lines[0].to_string().contains("[REDACTED_email]"), "{lines:?}");
        }
        let (code, accounting) = receiver.stop();
        assert_eq!((code, &accounting["written"]), (0, &json!(1)), "{accounting}");
        assert_eq!(accounting["repeated_requests"], 2, "{accounting}");
        assert_eq!(run(&["verify", "--dir", &dir]).code, 0);
    }

    #[test]
    fn equal_records_without_a_time_are_all_recorded() {
        let (_keep, dir) = folder();
        let receiver = Receiver::start(&dir, &[]);
        let request = logs(&[json!({"eventName": "my.event"})]);
        for count in 1..=3 {
            assert_eq!(receiver.post_json("/v1/logs", &request), (200, json!({})));
            assert_eq!(events(&dir).len(), count);
        }
        assert_eq!(receiver.stop().1["repeated_requests"], 0);
    }

    #[test]
    fn what_is_not_recorded_is_a_partial_success() {
        let (_keep, dir) = folder();
        let receiver = Receiver::start(&dir, &[]);
        let names = ["audit.stop", "alert.fired", "my.event"];
        let records: Vec<_> = names.iter().map(|name| log_record(name, "x")).collect();
        let (status, answer) = receiver.post_json("/v1/logs", &logs(&records));
        assert_eq!((status, &answer["partialSuccess"]["rejectedLogRecords"]), (200, &json!("2")));

        let many: Vec<_> = (0..1_025)
            .map(|at| json!({"key": format!("a{at}"), "value": {"intValue": at}}))
            .collect();
        let record = json!({"eventName": "my.event", "attributes": many});
        let (status, answer) = receiver.post_json("/v1/logs", &logs(&[record]));
        assert_eq!((status, &answer["partialSuccess"]["rejectedLogRecords"]), (200, &json!("1")));

        let metrics = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "a", "sum": {"dataPoints": [{"asInt": "1"}, {"asInt": "2"}]}},
        ]}]}]});
        let (status, answer) = receiver.post_json("/v1/metrics", &metrics);
        assert_eq!((status, &answer["partialSuccess"]["rejectedDataPoints"]), (200, &json!("2")));
        assert_eq!(answer["partialSuccess"]["errorMessage"], "metrics are not recorded");

        assert_eq!(events(&dir).len(), 1);
        let (code, accounting) = receiver.stop();
        assert_eq!((code, &accounting["rejected_records"]), (0, &json!(5)), "{accounting}");
    }

    #[test]
    fn a_token_is_required_if_there_is_one() {
        let (_keep, dir) = folder();
        let mut receive =
            command(&["receive", "--listen", "127.0.0.1:0", "--dir", &dir, "--json", "--durable"]);
        receive.env("AUDIT_RECEIVE_TOKEN", "tok");
        let receiver = Receiver::start_as(receive);
        let json = "Content-Type: application/json\r\n";
        let cases = [
            (401, ""),
            (401, "Authorization: Bearer tok2\r\n"),
            (401, "Authorization: Basic tok\r\n"),
            (200, "Authorization: Bearer tok\r\n"),
        ];
        for (expected, header) in cases {
            let body = logs(&[log_record("my.event", "durable")]).to_string();
            let headers = format!("{json}{header}");
            let (status, answer) = receiver.request("POST /v1/logs", &headers, body.as_bytes());
            assert_eq!(status, expected, "{answer}");
        }
        assert_eq!(receiver.request("GET /health", "", b"").0, 200);
        assert_eq!(events(&dir).len(), 1);
        let (code, accounting, said) = receiver.end();
        assert_eq!((code, &accounting["refused_401"]), (0, &json!(3)), "{accounting}");
        assert!(said.contains("a token is missing or wrong"), "{said}");
    }

    #[test]
    fn a_run_that_rejected_everything_is_a_finding() {
        let (_keep, dir) = folder();
        let receiver = Receiver::start(&dir, &[]);
        assert_eq!(receiver.post_json("/v1/logs", &logs(&[log_record("audit.stop", "x")])).0, 200);
        assert_eq!(receiver.stop().0, 1);
    }

    #[test]
    fn a_type_is_redacted_before_it_becomes_a_name() {
        let (_keep, dir) = folder();
        let receiver = Receiver::start(&dir, &[]);
        let records: Vec<_> = ["mail.ana@example.com", "Chat.Over"]
            .map(|name| {
                let value = json!({"stringValue": name});
                json!({"attributes": [{"key": "llm_audit.event_type", "value": value}]})
            })
            .into();
        let request = json!({"resourceLogs": [{"scopeLogs": [
            {"scope": {"name": "llm-audit"}, "logRecords": records},
        ]}]});
        assert_eq!(receiver.post_json("/v1/logs", &request), (200, json!({})));
        let types: Vec<_> = events(&dir).iter().map(|line| line["event_type"].clone()).collect();
        assert_eq!(types, ["redacted", "chat.over"]);
        assert!(!super::common::text(&dir).contains("ana"));
        assert_eq!(receiver.stop().0, 0);
    }

    #[test]
    fn other_machines_are_served_only_if_asked_and_with_a_token() {
        let (_keep, dir) = folder();
        let cases: [(&[&str], &str); 4] = [
            (&["--listen", "0.0.0.0:0"], "not a loopback address"),
            (&["--listen", "0.0.0.0:0", "--allow-remote"], "a token is required"),
            (&["--listen", "127.0.0.1:0", "--allow-remote"], "a token is required"),
            (&["--token-file", "/does/not/exist"], "cannot read the token"),
        ];
        for (args, expected) in cases {
            let run = run(&[&["receive", "--dir", &dir][..], args].concat());
            assert!(run.code == 2 && run.stderr.contains(expected), "{run:?}");
        }
        // Without a record, or with events that wait in memory, nothing could be acknowledged.
        for (name, value) in [("AUDIT_ENABLED", "false"), ("AUDIT_CAPTURE_CONTENT", "failed")] {
            let mut receive = command(&["receive", "--listen", "127.0.0.1:0", "--dir", &dir]);
            let output = receive.env(name, value).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(name), "{output:?}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused() {
        use std::os::unix::ffi::OsStrExt;

        let (_keep, dir) = folder();
        let cases: [(&[u8], &str); 3] =
            [(b"", "is empty"), (b" ", "is empty"), (b"\xFF", "AUDIT_RECEIVE_TOKEN is not UTF-8")];
        for (token, expected) in cases {
            let mut receive = command(&["receive", "--listen", "127.0.0.1:0", "--dir", &dir]);
            let token = std::ffi::OsStr::from_bytes(token);
            let output = receive.env("AUDIT_RECEIVE_TOKEN", token).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{output:?}");
        }
    }

    #[test]
    fn a_second_signal_ends_it_while_a_request_is_under_way() {
        let (_keep, dir) = folder();
        let mut receiver = Receiver::start(&dir, &[]);
        let mut slow = TcpStream::connect(&receiver.address).unwrap();
        let head =
            "POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        let expected = "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n";
        slow.write_all(format!("{head}{expected}").as_bytes()).unwrap();
        // The body is awaited from here on.
        let mut line = String::new();
        BufReader::new(&slow).read_line(&mut line).unwrap();
        assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
        receiver.signal();
        while TcpStream::connect(&receiver.address).is_ok() {}
        receiver.signal();
        assert_eq!(receiver.child.wait().unwrap().code(), Some(130));
    }

    #[test]
    fn what_could_not_be_written_is_not_acknowledged() {
        let (_keep, dir) = folder();
        let mut limited = Command::new("sh");
        // Writes past 64 KiB fail. The signal that comes with it is ignored.
        limited.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "sh"]);
        limited.arg(env!("CARGO_BIN_EXE_llm-audit"));
        limited.args(["receive", "--listen", "127.0.0.1:0", "--dir", &dir, "--json"]).env_clear();
        // Long texts are kept.
        limited.env("AUDIT_CAPTURE_CONTENT", "true");
        let receiver = Receiver::start_as(limited);
        let text = "x".repeat(1_000);
        let statuses: Vec<_> = (0..200)
            .map(|number| {
                let record = log_record(&format!("my.event{number}"), &text);
                receiver.post_json("/v1/logs", &logs(&[record])).0
            })
            .collect();
        let lines = super::common::text(&dir);
        let is_written = |number| lines.contains(&format!("\"my.event{number}\""));
        for (number, status) in statuses.iter().enumerate() {
            assert!(*status == 503 || (*status == 200 && is_written(number)), "{number} {status}");
        }
        assert!(statuses.starts_with(&[200]) && statuses.contains(&503), "{statuses:?}");
        let (code, accounting, _) = receiver.end();
        assert!(code == 1 && accounting["io_lost"].as_u64() > Some(0), "{accounting}");
    }
}
