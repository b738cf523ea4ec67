use std::fmt;

use super::*;

fn redacted_text(text: &str) -> String {
    redact_debug_text(text, &Sanitizer::default(), &mut Redactions::default())
}

#[test]
fn the_value_behind_a_sensitive_name_goes() {
    let cases = [
        (r#"P { password: "hunter2", n: 1 }"#, "P { password: [REDACTED], n: 1 }"),
        (r#"P { password: Some("x"), n: 1 }"#, "P { password: [REDACTED], n: 1 }"),
        ("P { token: Token { inner: [1, 2] }, n: 1 }", "P { token: [REDACTED], n: 1 }"),
        ("P { token: Token { inner: [1, 2] } }", "P { token: [REDACTED] }"),
        (r#"{"api_key": "x", "n": 1}"#, r#"{"api_key": [REDACTED], "n": 1}"#),
        ("P {\n    secret: [\n        1,\n    ],\n}", "P {\n    secret: [REDACTED],\n}"),
        ("P { Cookie: a::b::C(1), n: 2 }", "P { Cookie: [REDACTED], n: 2 }"),
        ("P { token: -1.5e3, n: 2 }", "P { token: [REDACTED], n: 2 }"),
        (r#"P { token: "a\"}, b", n: 2 }"#, "P { token: [REDACTED], n: 2 }"),
        (r#"P { token: ['"', '\'', '\\', '\u{1}'], n: 2 }"#, "P { token: [REDACTED], n: 2 }"),
        (r#"P { token: b"\"]", n: 2 }"#, "P { token: [REDACTED], n: 2 }"),
        (r#"{Some("token"): "x", "n": 2}"#, r#"{Some("token"): [REDACTED], "n": 2}"#),
        ("P { to\u{212A}en: 1, n: 2 }", "P { to\u{212A}en: [REDACTED], n: 2 }"),
        ("P { token: None }", "P { token: [REDACTED] }"),
        // The ends of these are unknown.
        (r##"P { token: r#"a"]b"#, n: 2 }"##, "P { token: [REDACTED]"),
        (r#"P { token: "unterminated, n: 2 }"#, "P { token: [REDACTED]"),
        ("P { token: [1, 2, n: 2 }", "P { token: [REDACTED]"),
        ("P { token: some words, n: 2 }", "P { token: [REDACTED]"),
        ("P { token: {)}, n: 2 }", "P { token: [REDACTED]"),
        (r#"P { text: "{\"token\": \"x\", \"n\": 1}" }"#, r#"P { text: "{\"token\": [REDACTED]"#),
        (r#"P { text: "password: hunter2" }"#, r#"P { text: "password: [REDACTED]"#),
        // These are not fields.
        ("token::Kind { n: 1 }", "token::Kind { n: 1 }"),
        ("P { tokens: 1, monkey: 2 }", "P { tokens: 1, monkey: 2 }"),
        ("P { token:", "P { token:"),
        ("", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(redacted_text(text), expected, "{text}");
        assert_eq!(redacted_text(expected), expected, "twice: {text}");
    }
}

/// A value whose `Debug` is made with the standard library's builders.
enum Tree {
    Text(String),
    Character(char),
    Number(f64),
    Nothing,
    Some(Box<Tree>),
    List(Vec<Tree>),
    Pair(Vec<Tree>),
    Map(Vec<(String, Tree)>),
    Struct(Vec<(&'static str, Tree)>),
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => fmt::Debug::fmt(text, f),
            Self::Character(c) => fmt::Debug::fmt(c, f),
            Self::Number(number) => fmt::Debug::fmt(number, f),
            Self::Nothing => f.write_str("None"),
            Self::Some(inner) => f.debug_tuple("Some").field(inner).finish(),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Pair(items) if items.is_empty() => f.write_str("()"),
            Self::Pair(items) => {
                let mut tuple = f.debug_tuple("");
                items.iter().for_each(|item| {
                    tuple.field(item);
                });
                tuple.finish()
            }
            Self::Map(members) => {
                f.debug_map().entries(members.iter().map(|(key, value)| (key, value))).finish()
            }
            Self::Struct(members) => {
                let mut object = f.debug_struct("Inner");
                for (name, value) in members {
                    object.field(name, value);
                }
                object.finish_non_exhaustive()
            }
        }
    }
}

const PLANTED: &str = "PLANTED";
const KEPT: &str = "KEPT";

/// Makes a tree whose texts contain `mark`, between characters that can mislead a reader.
fn tree(rng: &mut fastrand::Rng, depth: u32, mark: &str) -> Tree {
    const NOISE: &[char] =
        &['"', '\'', '\\', '{', '}', '[', ']', '(', ')', ',', ':', ' ', '\n', '#', 'r', 'é', '\0'];
    let noise = |rng: &mut fastrand::Rng| -> String {
        (0..rng.usize(..5)).map(|_| NOISE[rng.usize(..NOISE.len())]).collect()
    };
    let choice = if depth == 0 { rng.u32(..4) } else { rng.u32(..9) };
    let items = |rng: &mut fastrand::Rng| -> Vec<Tree> {
        (0..rng.usize(..4)).map(|_| tree(rng, depth - 1, mark)).collect()
    };
    match choice {
        0 => Tree::Text(format!("{}{mark}{}", noise(rng), noise(rng))),
        1 => Tree::Character(NOISE[rng.usize(..NOISE.len())]),
        2 => Tree::Number(rng.f64() - 0.5),
        3 => Tree::Nothing,
        4 => Tree::Some(Box::new(tree(rng, depth - 1, mark))),
        5 => Tree::List(items(rng)),
        6 => Tree::Pair(items(rng)),
        7 => Tree::Map(items(rng).into_iter().map(|item| (noise(rng), item)).collect()),
        _ => Tree::Struct(items(rng).into_iter().map(|item| ("field", item)).collect()),
    }
}

/// Makes a tree in which some members have sensitive names. `PLANTED` is only below these.
fn planted(rng: &mut fastrand::Rng, depth: u32) -> Tree {
    const NAMES: [&str; 6] = ["password", "Secret", "TOKEN", "api_key", "authorization", "cookie"];
    let member = |rng: &mut fastrand::Rng| match rng.u32(..3) {
        0 => (NAMES[rng.usize(..NAMES.len())], tree(rng, 3, PLANTED)),
        1 if depth > 0 => ("inner", planted(rng, depth - 1)),
        _ => ("plain", Tree::Text(KEPT.to_owned())),
    };
    let members: Vec<_> = (0..rng.usize(1..5)).map(|_| member(rng)).collect();
    match rng.u32(..4) {
        0 => Tree::Map(members.into_iter().map(|(name, tree)| (name.to_owned(), tree)).collect()),
        1 => Tree::Some(Box::new(Tree::Struct(members))),
        2 => Tree::List(vec![Tree::Struct(members)]),
        _ => Tree::Struct(members),
    }
}

#[test]
fn nothing_planted_behind_a_sensitive_name_survives() {
    let mut rng = fastrand::Rng::with_seed(11);
    let (mut hidden, mut kept) = (0, 0);
    for _ in 0..20_000 {
        let value = planted(&mut rng, 3);
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            let once = redacted_text(&text);
            assert!(!once.contains(PLANTED), "{text}\n{once}");
            assert_eq!(redacted_text(&once), once, "{text}");
            // If the text is as the builders write it, what is beside a secret is not lost.
            assert_eq!(once.matches(KEPT).count(), text.matches(KEPT).count(), "{text}\n{once}");
            hidden += text.matches(PLANTED).count();
            kept += once.matches(KEPT).count();
        }
    }
    assert!(hidden > 10_000 && kept > 10_000, "{hidden} {kept}");
}

#[test]
fn a_rendering_inside_a_string_hides_what_is_planted() {
    let mut rng = fastrand::Rng::with_seed(12);
    for _ in 0..5_000 {
        let inner = format!("{:?}", planted(&mut rng, 2));
        let text = format!("{:?}", Tree::Struct(vec![("text", Tree::Text(inner))]));
        let once = redacted_text(&text);
        assert!(!once.contains(PLANTED), "{text}\n{once}");
    }
}

#[test]
fn any_text_is_read() {
    let parts = ["token", ":", " ", "\"", "'", "\\", "{", "}", "[", "]", "é", "r#\"", ",", "::"];
    let mut rng = fastrand::Rng::with_seed(13);
    for _ in 0..50_000 {
        let text: String = (0..rng.usize(..12)).map(|_| parts[rng.usize(..parts.len())]).collect();
        redacted_text(&text);
    }
}

#[test]
fn a_long_text_is_stopped() {
    struct Endless;
    impl fmt::Debug for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Endless { password: \"")?;
            loop {
                f.write_str("é")?;
            }
        }
    }
    let text = redacted(&Endless, &Sanitizer::default(), &mut Redactions::default());
    assert_eq!(text.as_deref(), Some("Endless { password:[TRUNCATED]"));
}

#[test]
fn a_debug_that_fails_gives_no_text() {
    struct Fails;
    impl fmt::Debug for Fails {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    assert_eq!(redacted(&Fails, &Sanitizer::default(), &mut Redactions::default()), None);
}
