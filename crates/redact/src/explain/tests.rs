use super::Finding;
use crate::{Kind, Redactions, Replacement, Sanitizer};

/// Returns what is found in a line: the rule, the replaced text from its offset on, the name.
fn explained(sanitizer: &Sanitizer, line: &str) -> Vec<(&'static str, String, Option<String>)> {
    let mut redacted = String::new();
    sanitizer.redact_line(line, &mut redacted, &mut Redactions::default());
    let findings = sanitizer.explain_line(line, &redacted);
    let shown = |finding: Finding| {
        (finding.rule, line[finding.offset..].chars().take(6).collect(), finding.name)
    };
    findings.into_iter().map(shown).collect()
}

type Explained<'a> = (&'a str, &'a str, Option<&'a str>);

fn check(sanitizer: &Sanitizer, cases: &[(&str, &[Explained<'_>])]) {
    for (line, expected) in cases {
        let found = explained(sanitizer, line);
        let found: Vec<_> =
            found.iter().map(|(rule, text, name)| (*rule, &text[..], name.as_deref())).collect();
        assert_eq!(found, *expected, "{line}");
    }
}

#[test]
fn a_finding_in_text_names_its_rule_and_its_name() {
    check(
        &Sanitizer::default(),
        &[
            ("nothing here", &[]),
            ("mail kim@post.example now", &[("email", "kim@po", None)]),
            ("DB_PASSWORD=gull-4711-x", &[("credential", "gull-4", Some("DB_PASSWORD"))]),
            (
                "Authorization: Bearer abcdef0123456789",
                &[("authorization", "abcdef", Some("Authorization"))],
            ),
            ("api_key=[REDACTED_credential] to kim@post.example", &[("email", "kim@po", None)]),
            (
                "password=Gull-4711-x, user=kim, secret=Tern-0815-y",
                &[
                    ("credential", "Gull-4", Some("password")),
                    ("credential", "Tern-0", Some("secret")),
                ],
            ),
            ("curl -u app:Gull-4711-x https://a.example", &[("credential", "Gull-4", Some("-u"))]),
            ("IDENTIFIED BY 'Gull-4711-x'", &[("credential", "Gull-4", Some("IDENTIFIED BY"))]),
            (
                r#".header("Authorization", "Bearer abcdef0123456789")"#,
                &[("authorization", "abcdef", Some("Authorization"))],
            ),
            (
                r#"<add key="ApiKey" value="Gull-4711-x"/>"#,
                &[("credential", "Gull-4", Some("ApiKey"))],
            ),
            ("5500000000000004", &[("card", "550000", None)]),
        ],
    );
}

#[test]
fn a_finding_in_json_names_its_key() {
    check(
        &Sanitizer::default(),
        &[
            (r#"{"a":1,"clientSecret":"hunter2"}"#, &[("key", "\"hunte", Some("clientSecret"))]),
            (
                r#"{"password":{"a":["x"]},"b":"kim@post.example"}"#,
                &[("key", "{\"a\":[", Some("password")), ("email", "kim@po", None)],
            ),
            (
                r#"[{"name":"Authorization","value":"x1"}]"#,
                &[("key", "\"x1\"}]", Some("Authorization"))],
            ),
            (r#"[{"value":"x1","name":"Cookie"}]"#, &[("key", "\"x1\",\"", Some("Cookie"))]),
            (r#"[["Cookie","x1"],["Host","y"]]"#, &[("key", "\"x1\"],", Some("Cookie"))]),
            (r#"{"card_number":5500000000000004}"#, &[("card", "550000", Some("card_number"))]),
            (r#"{"arguments":"{\"api_key\":\"x1y2\"}"}"#, &[("key", "\\\"x1y2", Some("api_key"))]),
            (
                r#"{"log":"a\nDB_PASSWORD=gull-4711-x\n"}"#,
                &[("credential", "gull-4", Some("DB_PASSWORD"))],
            ),
            (
                r#"{"kim@post.example":1,"ana@post.example":2}"#,
                &[("email", "kim@po", None), ("email", "ana@po", None)],
            ),
            (
                r#"{"[REDACTED_email]":1,"[REDACTED_email]":2,"kim@post.example":3}"#,
                &[("email", "kim@po", None)],
            ),
            ("\u{feff}{\"token\":\"x1\"}", &[("key", "\"x1\"}", Some("token"))]),
        ],
    );
}

#[test]
fn a_finding_in_malformed_json_has_the_closest_place() {
    check(
        &Sanitizer::default(),
        &[
            (
                r#"{"password": "hunter2", "to": "kim@post.example","#,
                &[("key", "\"hunte", Some("password")), ("email", "kim@po", None)],
            ),
            ("{'secret': 'hunter2', 'n': 1}", &[("key", "hunter", Some("secret"))]),
        ],
    );
}

#[test]
fn names_and_replacements_are_redacted_too() {
    let sanitizer = Sanitizer::builder().replace(Kind::Email, Replacement::LastFour);
    let sanitizer = sanitizer.build().expect("it is accepted");
    check(
        &sanitizer,
        &[
            ("to kim@post.example", &[("email", "kim@po", None)]),
            (r#"{"to":"kim@post.example"}"#, &[("email", "kim@po", None)]),
            (
                r#"{"kim@post.example/password":"x1"}"#,
                &[
                    ("email", "kim@po", None),
                    ("key", "\"x1\"}", Some("[REDACTED_email:mple]/password")),
                ],
            ),
        ],
    );
}

#[cfg(feature = "regex")]
#[test]
fn a_pattern_of_the_caller_s_own_is_the_name() {
    let sanitizer = Sanitizer::builder().pattern(r"M-\d+").pattern(r"\bK\d+");
    let sanitizer = sanitizer.build().expect("it is accepted");
    check(
        &sanitizer,
        &[(
            "for M-17 and K4",
            &[("custom", "M-17 a", Some(r"M-\d+")), ("custom", "K4", Some(r"\bK\d+"))],
        )],
    );
}

#[test]
fn no_explanation_contains_what_was_replaced() {
    let secrets = crate::samples::sample_secrets();
    let forms = [
        "key § end",
        "password=§",
        "§ §",
        r#"{"a":"§","token":["§"]}"#,
        r#"{"a":"{\"secret\":\"§\"}","b":["Cookie","§"]}"#,
        r#"{"password":"§","#,
        "Authorization: Bearer §; next=§",
    ];
    let sanitizer = Sanitizer::default();
    for (kind, secret) in &secrets {
        for form in forms {
            let line = form.replace('§', &secret.escape_default().to_string());
            let mut redacted = String::new();
            let mut counts = Redactions::default();
            sanitizer.redact_line(&line, &mut redacted, &mut counts);
            let findings = sanitizer.explain_line(&line, &redacted);
            assert_eq!(findings.len() as u64, counts.total(), "{kind:?} in {form}");
            for name in findings.iter().filter_map(|finding| finding.name.as_deref()) {
                assert!(redacted.contains(name), "{name} of {kind:?} in {form}");
            }
        }
    }
}

#[test]
fn every_placeholder_is_explained_once_and_in_order() {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        ":",
        ",",
        " ",
        "\\",
        "\\\"",
        "\\u00e9",
        "é",
        "name",
        "value",
        "\"password\":",
        "\"token\":\"",
        "api_key=",
        "Authorization: Bearer ",
        "kim@post.example",
        "5500000000000004",
        "AKIA0123456789ABCDEF",
        "hunter2-x",
        "[REDACTED]",
        "\"[REDACTED_card]\"",
        "[REDACTED_email_2]",
        "ＡＫＩＡ0123456789ABCDEF",
        "\u{200b}",
        "-",
        "4711",
        "true",
    ];
    let mut rng = fastrand::Rng::with_seed(11);
    let sanitizer = Sanitizer::default();
    for _ in 0..20_000 {
        let mut line: String =
            (0..rng.usize(..14)).map(|_| pieces[rng.usize(..pieces.len())]).collect();
        if rng.bool() {
            line = format!("{{\"a\":{},\"Cookie\":1}}", serde_json::Value::from(line));
        }
        let (mut redacted, mut counts) = (String::new(), Redactions::default());
        sanitizer.redact_line(&line, &mut redacted, &mut counts);
        let findings = sanitizer.explain_line(&line, &redacted);
        assert!(findings.is_sorted_by(|a, b| a.offset < b.offset), "{line:?}: {findings:?}");
        assert!(findings.iter().all(|finding| line.is_char_boundary(finding.offset)), "{line:?}");
        assert_eq!(findings.is_empty(), counts.total() == 0, "{line:?} became {redacted:?}");
    }
}
