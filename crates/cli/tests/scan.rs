//! `scan`: places and counts, never the text, and every exit code.

mod common;

use std::fs;

use common::{command, folder, run, run_on, run_with, write};
use serde_json::json;

#[test]
fn what_lies_in_files_is_counted_and_not_told() {
    let (_keep, dir) = folder();
    write(&dir, "a.log", "fine\nto kim@post.example, 5500 0000 0000 0004\nfine\n");
    write(&format!("{dir}/inner"), "b.jsonl", "{\"password\":\"hunter2\",\"a\":[\"x@y.example\"]}");
    write(&dir, "c.log", "[REDACTED_email] \"password\": \"[REDACTED]\"\n");
    let run = run(&["scan", &dir]);
    let expected = format!(
        "{dir}/a.log:2  email 1, card 1\n{dir}/inner/b.jsonl:1  email 1, key 1\n\
         2 of 5 lines of 3 files: email 2, card 1, key 1\n"
    );
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (1, expected.as_str(), ""));
    let run = common::run(&["scan", "--json", "--limit", "1", &dir]);
    assert_eq!(run.code, 1);
    let expected = json!({
        "files": 3, "bytes": run.json()["bytes"], "lines": 5, "lines_found": 2,
        "found": {"email": 2, "card": 1, "key": 1},
        "findings": [{"file": format!("{dir}/a.log"), "line": 2, "found": {"email": 1, "card": 1}}],
    });
    assert_eq!(run.json(), expected);
    let run = common::run(&["scan", "--limit", "0", &format!("{dir}/a.log")]);
    assert_eq!(run.stdout, "… and 1 line more\n1 of 3 lines of 1 file: email 1, card 1\n");
}

#[test]
fn stdin_and_the_rules_of_redact() {
    let clean = run_on(&["scan"], b"fine\nfine");
    assert_eq!((clean.code, clean.stdout.as_str()), (0, "nothing found in 2 lines\n"));
    assert_eq!(run_on(&["scan", "-"], b"fine\nfine").stdout, clean.stdout);
    let given = b"call +44 20 7946 0018, M-17\n{\"memberId\":1}\nbWFpbCBraW1AcG9zdC5leGFtcGxl\n";
    assert_eq!(run_on(&["scan"], given).code, 0);
    let args =
        ["--also", "phone", "--also", "encoded", "--key", "member_id", "--pattern", "M-[0-9]+"];
    let found = run_on(&[&["scan"], &args[..]].concat(), given);
    let expected = "1  custom 1, phone 1\n2  key 1\n3  email 1\n\
        3 of 3 lines: email 1, key 1, custom 1, phone 1\n";
    assert_eq!((found.code, found.stdout.as_str()), (1, expected));
    let redacted = run_on(&[&["redact"], &args[..]].concat(), given);
    let expected = "call [REDACTED_phone], [REDACTED_custom]\n{\"memberId\":\"[REDACTED]\"}\n\
        [REDACTED_email]\n";
    assert_eq!(redacted.stdout, expected);
    let mut protected = command(&["scan"]);
    protected.env("AUDIT_REDACT_ENV", "DESK").env("DESK", "brass gate");
    let run = run_with(protected, |to| to.write_all(b"the brass%20gate\n"));
    assert_eq!(run.stdout, "1  known 1\n1 of 1 line: known 1\n");
}

#[test]
fn what_cannot_be_read_or_is_not_accepted() {
    let (_keep, dir) = folder();
    fs::create_dir_all(&dir).unwrap();
    assert_eq!(run(&["scan", &dir]).code, 3);
    assert_eq!(run_on(&["scan"], b"").code, 3);
    let missing = format!("{dir}/none.log");
    let run = run(&["scan", &missing]);
    assert!(run.code == 2 && run.stderr.contains(&missing), "{run:?}");
    write(&dir, "a.log", "kim@post.example\n");
    let run = common::run(&["scan", &missing, &format!("{dir}/a.log")]);
    assert!(run.code == 2 && run.stderr.contains(&missing), "{run:?}");
    assert!(run.stdout.contains("email 1") && run.stderr.contains("1 path left out"), "{run:?}");
    for (args, said) in [
        (
            ["--also", "email"],
            "the kinds are phone, ip_address, crypto_wallet, high_entropy and encoded",
        ),
        (["--pattern", "("], "does not compile"),
        (["--pattern", "a*"], "matches an empty text"),
        (["--key", "--"], "a sensitive key needs"),
        (["--profile", "loose"], "the profiles are full and precise"),
    ] {
        for name in ["scan", "redact"] {
            let args = [name, &[args[0], "=", args[1]].concat()];
            let run = run_on(&args, b"x\n");
            assert!(run.code == 2 && run.stdout.is_empty(), "{run:?}");
            assert!(run.stderr.contains(said), "{args:?}: {run:?}");
        }
    }
}

#[test]
fn what_is_packed_is_refused_with_the_way_to_unpack_it() {
    let (_keep, dir) = folder();
    fs::create_dir_all(&dir).unwrap();
    let packed: [(&str, &[u8], &str); 2] = [
        ("a.log.bz2", b"BZh91AY&SY", "bzcat FILE | llm-audit scan -"),
        ("b.log.xz", b"\xfd7zXZ\0\0\x04", "xzcat FILE"),
    ];
    for (name, bytes, how) in packed {
        let path = format!("{dir}/{name}");
        fs::write(&path, bytes).unwrap();
        let refused = run(&["scan", &path]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(&path) && refused.stderr.contains(how), "{refused:?}");
        let piped = run_on(&["scan", "-"], bytes);
        assert!(piped.code == 2 && piped.stderr.contains(how), "{piped:?}");
    }
    write(&dir, "d.log", "to kim@post.example\n");
    let run = run(&["scan", &dir]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stdout.contains("d.log:1  email 1"), "{run:?}");
}

#[test]
fn many_lines_are_counted_in_their_order() {
    let begin = ["-----BEGIN RSA PRIVATE", " KEY-----\nMIIEpAIBAAKCAQEA\nand then\n"].concat();
    let (mut given, mut expected, mut lines) = (Vec::new(), Vec::new(), 0);
    for number in 0..40_000 {
        lines += 1;
        match number {
            _ if number % 1_000 == 7 => {
                given.extend(b"{\"to\":\"kim@post.example\"}\n");
                expected.push(json!([lines, {"email": 1}]));
            }
            _ if number % 10_000 == 9 => {
                given.extend(begin.bytes());
                let key = json!({"private_key": 1});
                expected.extend([json!([lines, key]), json!([lines + 1, key])]);
                lines += 2;
            }
            _ if number % 10_000 == 11 => given.extend(b"a \xff\n"),
            _ => given.extend(b"{\"a\":\"b c d\"}\n"),
        }
    }
    let run = run_on(&["scan", "--json", "--limit", "1000"], &given);
    assert_eq!(run.code, 1, "{run:?}");
    let found = run.json();
    let told: Vec<_> = found["findings"].as_array().unwrap().iter().collect();
    let told: Vec<_> = told.iter().map(|found| json!([found["line"], found["found"]])).collect();
    assert_eq!(told, expected);
    assert_eq!((&found["lines"], &found["bytes"]), (&json!(lines), &json!(given.len())));
}
