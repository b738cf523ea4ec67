//! Text that only looks like a secret is not redacted.

use llm_audit_redact::{Kind, Match, Profile, Redactions, Sanitizer};
use serde_json::json;

/// Under `full` the floor's card matches by its looks alone: sixteen digits are a card.
fn is_of_the_floor(found: &Match, text: &str) -> bool {
    found.kind == Kind::Card && found.of(text).chars().filter(char::is_ascii_digit).count() == 16
}

#[test]
fn nothing_is_taken_for_what_it_is_not() {
    let lines = include_str!("lookalikes.txt");
    assert!(lines.lines().count() > 300);
    let (full, precise) = (Sanitizer::default(), Sanitizer::with_profile(Profile::Precise));
    let mut of_the_floor = 0;
    for line in lines.lines() {
        assert_eq!(precise.redact_str(line), line);
        let mut out = String::new();
        precise.redact_line(line, &mut out, &mut Redactions::default());
        assert_eq!(out, line);
        let quoted = json!({ "a": line }).to_string();
        out.clear();
        precise.redact_line(&quoted, &mut out, &mut Redactions::default());
        assert_eq!(out, quoted);
        for found in full.matches(line) {
            assert!(is_of_the_floor(&found, line), "{found:?} in {line}");
            of_the_floor += 1;
        }
    }
    assert_eq!(of_the_floor, 1, "the floor's own under the full profile");
}

/// The code of this crate, without its test files, contains samples of some kinds. Nothing else in
/// it is taken for one.
#[test]
fn the_code_of_this_crate_stays() {
    fn add(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => add(&path, files),
                false => files.push(path),
            }
        }
    }
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut files = vec![root.join("Cargo.lock"), root.join("Cargo.toml")];
    for folder in
        ["src", "crates/macros/src", "crates/cli/src", "crates/process/src", "crates/redact/src"]
    {
        add(&root.join(folder), &mut files);
    }
    let sanitizer = Sanitizer::with_profile(Profile::Precise);
    let mut lines = 0;
    let is_code = |file: &std::path::Path| {
        let path = file.strip_prefix(root).unwrap_or(file);
        !path.to_string_lossy().contains("tests") && file.exists()
    };
    for file in files.iter().filter(|file| is_code(file)) {
        let text = std::fs::read_to_string(file).unwrap();
        // Tests hold samples of what is found.
        let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&text);
        for line in code.lines() {
            lines += 1;
            // Other tests protect values meanwhile.
            for found in sanitizer.matches(line).filter(|found| found.kind != Kind::Known) {
                let text = found.of(line);
                let is = |sample: &&str| {
                    text.ends_with(*sample) || sample.len() > 5 && text.contains(*sample)
                };
                let is_sample = SAMPLES.iter().any(is);
                assert!(is_sample, "{}: {found:?}, {text:?} in {line}", file.display());
            }
        }
    }
    assert!(lines > 12_000, "{lines}");
}

/// The secrets in the tests of this crate, or the ends of them.
#[rustfmt::skip]
const SAMPLES: &[&str] = &[
    "example", "7424", "post.exa", "ｅｘａｍｐｌｅ", "b.cd", "c.de", "d.ef", "l.mn", "-.mn", "l..mn", "..bc",
    "i.jk", "p.qr", "0000 0004", "0000-0004", "00000004", "3782 822463 10005", "4111111111111111", "eyJa.eyJb", "eyJeyJ.eyJa", "eyJa_-.eyJb", "eyJx.eyJy",
    "eyJhIjoxfQ", "0123456789ABCDEF", "9876543210ZYXWVU", "ZZZZZZZZZZZZZZZZ", "key-0123456789abcdef", "hunter2",
    "QWxhZGRpbjpvcGVu", "a=", "a=1; b=2", "sid=9", "sid=9; Secure", "abc", "blue-7-moon", "correct horse", r"p\\u0041", r"p\u0041", "DE89 3704",
    "gb29nwbk60161331926819", "gull-4711-x", "pypi-AgEIcHlwaS5vcmc", "EAACEdEose0cBA", "eyJhcGlfYWRkcmVzcyI6", "IQoJb3JpZ2luX2Vj", "eyJ0eXAiOiAiVENWMiJ9.", "-----BEGIN", "xoxb-123456789012-", "ana:p", "ana:pw", "536-90-4399", "1234567890123456",
];
