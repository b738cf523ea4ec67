//! `redact`: what a user of filters expects of it, and that secrets do not get through.

mod common;

use common::{command, run, run_on, run_with};

fn redacted(args: &[&str], input: &[u8]) -> common::Run {
    let run = run_on(&[&["redact"], args].concat(), input);
    assert_eq!(run.code, 0, "{run:?}");
    run
}

#[test]
fn lines() {
    let cases = [
        ("mail a@example.com now\n", "mail [REDACTED_email] now\n"),
        ("no secret é 😀\n", "no secret é 😀\n"),
        (
            "{\"password\": \"hunter2\", \"n\": 1.50}\n",
            "{\"password\": \"[REDACTED]\", \"n\": 1.50}\n",
        ),
        ("\u{feff}{\"password\":\"hunter2\"}\n", "\u{feff}{\"password\":\"[REDACTED]\"}\n"),
        ("a@example.com\r\nb\r\n", "[REDACTED_email]\r\nb\r\n"),
        ("a@example.com", "[REDACTED_email]"),
        ("\n\nx\n", "\n\nx\n"),
        ("", ""),
    ];
    for (given, expected) in cases {
        let run = redacted(&[], given.as_bytes());
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (expected, ""), "{given:?}");
    }
}

#[test]
fn what_nearly_parses_is_redacted_and_reported() {
    let deep = format!("{}{{\"password\":\"hunter2\"}}", "[".repeat(5_000));
    let cases =
        ["{\"password\": \"hunter2\",}", "{\"a\":\"\\ud800\",\"secret\":\"hunter2\"", &deep];
    for case in cases {
        let run = redacted(&[], format!("fine\n{case}\nfine\n").as_bytes());
        assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"), "{run:?}");
        assert!(run.stderr.contains("line 2"), "{run:?}");
        assert_eq!(run.stdout.lines().count(), 3);
    }
}

#[test]
fn invalid_utf8_is_replaced_and_counted() {
    let run = redacted(&[], b"a\xff\xfeb a@example.com\nok\n");
    assert_eq!(run.stdout, "a\u{fffd}\u{fffd}b [REDACTED_email]\nok\n");
    assert!(run.stderr.contains("2 invalid UTF-8 sequences"), "{run:?}");
}

#[test]
fn text_takes_json_for_text() {
    let run = redacted(&["--text"], b"{\"a\":\"a@example.com\",}\n");
    assert_eq!(run.stdout, "{\"a\":\"[REDACTED_email]\",}\n");
    assert!(run.stderr.is_empty(), "{run:?}");
}

#[test]
fn a_line_is_seen_before_the_next_is_waited_for() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let mut command = command(&["redact"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for text in ["first", "second"] {
        writeln!(stdin, "{text}").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), text);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn whole_lines_are_seen_while_the_next_has_not_ended() {
    use std::io::{Read, Write};
    use std::process::Stdio;

    let lines = "a@example.com, and what is after it\n".repeat(10_000);
    let mut command = command(&["redact"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let given = lines.clone() + "b@example.com";
    let feeding = std::thread::spawn(move || to.write_all(given.as_bytes()).map(|()| to));
    let mut read = vec![0; lines.replace("a@example.com", "[REDACTED_email]").len()];
    from.read_exact(&mut read).unwrap();
    assert!(read.ends_with(b"\n"));
    drop(feeding.join().unwrap().unwrap());
    let mut rest = String::new();
    from.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "[REDACTED_email]");
    assert!(child.wait().unwrap().success());
}

/// The end of a connection that is reset is an error of the read, after all that was sent.
#[cfg(unix)]
#[test]
fn what_was_read_before_an_error_is_passed_on() {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::process::Stdio;

    for (lines, partial) in [(10, 10), (1_000, 10), (10, 20_000), (1_000, 20_000)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stdin = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // It is never read, so the close is a reset.
        stdin.write_all(b"x").unwrap();
        let (mut to, _) = listener.accept().unwrap();
        to.peek(&mut [0]).unwrap();
        let given = "no secret in here\n".repeat(lines) + &"x".repeat(partial);
        to.write_all(given.as_bytes()).unwrap();
        drop(to);
        let mut command = command(&["redact"]);
        command.stdin(OwnedFd::from(stdin)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("cannot read stdin"), "{stderr}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), given);
    }
}

#[test]
fn utf_16_is_refused_before_its_secrets_pass() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let text = "{\"mail\":\"ana@example.org\"}\r\n";
    for given in [wide(text), wide(&format!("\u{feff}{text}"))] {
        let run = run_on(&["redact"], &given);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains("iconv -f UTF-16 -t UTF-8"), "{run:?}");
    }
}

#[test]
fn json_over_several_lines_is_one_value() {
    let pretty = "{\n  \"db_url\": {\n    \"name\": \"DB_PASSWORD\",\r\n    \"type\": \"string\",\n    \
                  \"value\": \"walnut-7\",\n    \"pass_phrase\": 4711\n  }\n}\n";
    let run = run_on(&["redact"], (pretty.repeat(2) + "{\"a\":1}\n").as_bytes());
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    let expected = pretty.replace("walnut-7", "[REDACTED]");
    let expected = expected.replace("4711", "\"[REDACTED]\"");
    assert_eq!(run.stdout, expected.repeat(2) + "{\"a\":1}\n");
}

#[test]
fn what_only_looks_like_json_over_several_lines_is_told_once() {
    let torn = "{\n  \"a\": 1,\n  \"password\": \"walnut-7\"\n]\n";
    let run = run_on(&["redact"], (torn.repeat(2) + "{\"torn\n").as_bytes());
    assert_eq!(
        run.stderr,
        "llm-audit: line 1: looks like JSON over several lines: jq -c . FILE | llm-audit redact\n\
         llm-audit: line 9: not quite JSON, redacted as text\n"
    );
    assert!(!run.stdout.contains("walnut"), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 9, "{run:?}");
}

#[test]
fn lines_that_belong_together_are_redacted_as_one() {
    for text in [
        "env:\n  - name: DB_PASSWORD\n    value: q7Xk2Lm9-tr\nnext: 1\n",
        "variable \"db_password\" {\r\n  type    = string\r\n  default = \"q7Xk2Lm9-tr\"\r\n}\r\n",
        "[[settings]]\nname = \"db_password\"\nvalue = \"q7Xk2Lm9-tr\"\n\nnext",
        "password:\n  q7Xk2Lm9-tr\nnext\n",
    ] {
        let run = run_on(&["redact"], text.as_bytes());
        assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
        assert!(!run.stdout.contains("q7Xk2Lm9"), "{run:?}");
        assert_eq!(run.stdout.lines().count(), text.lines().count(), "{run:?}");
        let again = run_on(&["redact"], run.stdout.as_bytes());
        assert_eq!(again.stdout, run.stdout);
        let explained = run_on(&["redact", "--explain", "--json"], text.as_bytes()).stderr;
        let line = text.lines().position(|line| line.contains("q7Xk2Lm9")).unwrap() + 1;
        assert!(explained.contains(&format!("\"line\":{line},")), "{explained}");
    }
}

#[test]
fn lines_that_may_belong_together_are_not_held_for_ever() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let mut command = command(&["redact"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for text in ["listening on:", "{", "  - name: x"] {
        writeln!(stdin, "{text}").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), text);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn nothing_in_is_nothing_out() {
    let run = run(&["redact"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
}

#[test]
fn values_of_named_variables_go_in_every_form() {
    let redact = |named: &str, text: &str| {
        let mut command = command(&["redact"]);
        command.env("AUDIT_REDACT_ENV", named).env("DESK_CODE", "brass \"gate\"/4").env("X", "abc");
        run_with(command, |to| to.write_all(text.as_bytes()))
    };
    let text =
        "{\"a\":\"brass \\\"gate\\\"/4\",\"b\":\"brass%20%22gate%22%2F4\"} YnJhc3MgImdhdGUiLzQ=\n";
    let run = redact("DESK_CODE, HOME_OF_NONE", text);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    assert!(run.stderr.contains("HOME_OF_NONE") && !run.stderr.contains("brass"), "{run:?}");
    let run = redact("X", text);
    assert!(
        run.code == 2 && run.stderr.contains("\"X\"") && !run.stderr.contains("abc"),
        "{run:?}"
    );
    for secret in ["brass-gate-four", "brassgatefour", "DESK_CODE,Brass7gate"] {
        let run = redact(secret, text);
        let position = secret.split(',').count();
        assert!(run.stderr.contains(&format!("entry {position} is no ")), "{run:?}");
        assert!(run.code == 2 && !run.stderr.to_lowercase().contains("brass"), "{run:?}");
    }
    let known = "{\"a\":\"[REDACTED_known]\",\"b\":\"[REDACTED_known]\"} [REDACTED_known]\n";
    assert_eq!(redact(" DESK_CODE", text).stdout, known);
    for none in ["", "none"] {
        assert_eq!(redact(none, text).stdout, text);
    }
}

#[test]
fn a_private_key_goes_over_all_its_lines() {
    let begin = ["-----BEGIN PRIVATE", " KEY-----"].concat();
    let body = "MIIEpAIBAAKCAQEA".repeat(4);
    let given = format!("a\n{begin}\r\n{body}\r\n{}\r\nb\n", begin.replace("BEGIN", "END"));
    let gone = "[REDACTED_private_key]\r\n".repeat(3);
    for args in [&[][..], &["--text"]] {
        assert_eq!(redacted(args, given.as_bytes()).stdout, format!("a\n{gone}b\n"));
    }
}

#[test]
fn a_profile_says_what_is_a_card() {
    let line = "0.1234567890123456, 1234567890123456 and 5500 0000 0000 0004\n";
    let full = "0.1234567890123456, [REDACTED_card] and [REDACTED_card]\n";
    let precise = "0.1234567890123456, 1234567890123456 and [REDACTED_card]\n";
    for (args, expected) in
        [(&[][..], full), (&["--profile", "full"], full), (&["--profile", "precise"], precise)]
    {
        assert_eq!(redacted(args, line.as_bytes()).stdout, expected, "{args:?}");
    }
    for (named, code) in [("precise", 0), ("loose", 2)] {
        let mut command = command(&["redact"]);
        command.env("AUDIT_REDACT_PROFILE", named);
        let run = run_with(command, |to| to.write_all(line.as_bytes()));
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stdout == precise || run.stderr.contains("AUDIT_REDACT_PROFILE is \"loose\""));
    }
    let refused = run(&["redact", "--profile", "loose"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("loose"), "{refused:?}");
    assert!(refused.stderr.contains("full and precise"), "{refused:?}");
}

#[test]
fn explain_says_why_and_never_what() {
    let input = b"\xef\xbb\xbf{\"apiKey\":\"hunter2\"}\nto \xff kim@post.example\n\nDB_PASSWORD=gull-4711-x\n";
    let run = redacted(&["--explain"], input);
    let expected = "llm-audit: line 1, offset 13: key, by the name \"apiKey\"\n\
                    llm-audit: line 2, offset 5: email\n\
                    llm-audit: line 4, offset 12: credential, by the name \"DB_PASSWORD\"\n";
    assert!(run.stderr.starts_with(expected), "{run:?}");
    assert_eq!(run.stdout, redacted(&[], input).stdout);
    let run = redacted(&["--explain", "--json"], input);
    let first = "{\"line\":1,\"name\":\"apiKey\",\"offset\":13,\"rule\":\"key\"}\n\
                 {\"line\":2,\"name\":null,\"offset\":5,\"rule\":\"email\"}\n";
    assert!(run.stderr.starts_with(first), "{run:?}");
    for text in ["hunter2", "kim@", "gull"] {
        assert!(!run.stderr.contains(text), "{run:?}");
    }
    let refused = common::run(&["redact", "--json"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("add --explain"), "{refused:?}");
}

#[test]
fn every_line_that_json_explains_with_is_json() {
    let input = b"{\"apiKey\": \"hunter2\",}\nto \xff kim@post.example\n";
    let run = redacted(&["--explain", "--json"], input);
    let lines: Vec<serde_json::Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let notices: Vec<_> = lines.iter().filter(|line| line.get("notice").is_some()).collect();
    assert_eq!(notices.len(), 2, "{run:?}");
    assert_eq!((&notices[0]["line"], &notices[1]["line"]), (&1.into(), &serde_json::Value::Null));
    assert_eq!(lines.len(), 4, "{run:?}");
}

/// With `--explain` lines are redacted one after the other, without it by several threads.
#[test]
fn many_lines_come_out_as_one_after_the_other() {
    let begin = ["-----BEGIN RSA PRIVATE", " KEY-----"].concat();
    let kinds: [&[u8]; 10] = [
        b"{\"name\":\"a\",\"mail\":\"kim@post.example\",\"n\":[1.50]}\n",
        b"to kim@post.example\r\n",
        b"{\"a\": 1, \"a\": \"two words\"}\n",
        b"{\"password\": \"hunter2\",}\n",
        b"{\n  \"password\": \"hunter2\"\n}\n",
        b"env:\n  - name: DB_PASSWORD\n    value: otter\n",
        b"kim\xff@post.example\n",
        b"[settings]\npassword = otter\n\n",
        &[begin.as_bytes(), b"\nMIIEpAIBAAKCAQEA\n", b"and then\n"].concat(),
        b"\n",
    ];
    let mut rng = fastrand::Rng::with_seed(5);
    for rare in [1, 50] {
        let mut given = Vec::new();
        while given.len() < 1 << 20 {
            let kind = if rng.usize(..rare) == 0 { rng.usize(..kinds.len()) } else { 0 };
            given.extend_from_slice(kinds[kind]);
        }
        let (fast, slow) = (redacted(&[], &given), redacted(&["--explain"], &given));
        assert!(fast.stdout == slow.stdout);
        let notices = |run: &common::Run| -> Vec<String> {
            run.stderr.lines().filter(|line| !line.contains("offset")).map(str::to_owned).collect()
        };
        assert_eq!(notices(&fast), notices(&slow));
    }
}
