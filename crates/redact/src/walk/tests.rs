//! Tests of what stays and what goes under sensitive keys, in JSON and in values.

use serde_json::Value;

use crate::{LineKind, Redactions, Sanitizer, sanitize};

/// The line after its redaction, which must be the same for its value and the second time.
fn redact_json(line: &str) -> String {
    let (mut once, mut again, mut counts) = (String::new(), String::new(), Redactions::default());
    let kind = Sanitizer::default().redact_line(line, &mut once, &mut counts);
    assert_eq!(kind, LineKind::Json, "{line}");
    let mut counts = Redactions::default();
    Sanitizer::default().redact_line(&once, &mut again, &mut counts);
    assert_eq!((&again, counts.total()), (&once, 0), "{line}");
    if let (Ok(value), Ok(redacted)) =
        (serde_json::from_str::<Value>(line), serde_json::from_str::<Value>(&once))
    {
        assert_eq!(sanitize(&value), redacted, "{line}");
    }
    // A value under a sensitive key goes alike inside a string.
    let nested = Value::from(line).to_string();
    let mut out = String::new();
    Sanitizer::default().redact_line(&nested, &mut out, &mut Redactions::default());
    assert_eq!(serde_json::from_str::<String>(&out).expect("a string"), once, "{nested}");
    once
}

fn assert_stay(lines: &[&str]) {
    for line in lines {
        assert_eq!(redact_json(line), *line);
    }
}

/// In every line the text `SECRET` is one, and is redacted whole.
fn assert_go(lines: &[&str]) {
    for line in lines {
        let expected = line.replace("\"SECRET\"", "\"[REDACTED]\"");
        assert!(expected != **line, "{line}");
        assert_eq!(redact_json(&line.replace("SECRET", "hunter2hunter2")), expected);
    }
}

#[test]
fn schemas_under_sensitive_keys_stay() {
    assert_stay(&[
        r#"{"properties":{"passphrase":{"type":"string","minLength":8}}}"#,
        r##"{"$defs":{"Secret":{"$ref":"#/$defs/Key2"},"Cookie":{"type":["string","null"]}}}"##,
        r#"{"secret":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null}}"#,
        r#"{"credentials":{"type":"object","properties":{"value":{"type":"string"},"port":{"type":"integer","default":22}}}}"#,
        r#"{"client_secret":{"type":"STRING","nullable":true}}"#,
        r#"{"auth_token":{"type":"string","enum":["willow","refresh_token","ANY"]}}"#,
        r#"{"api_key":{"type":"apiKey","name":"X-Key-2","in":"query"}}"#,
        r#"{"password":{"title":"Password","description":"At least 8 characters, 1 digit"}}"#,
        r#"{"token":{"type":"string","pattern":"^[A-Za-z0-9]{32}$","x-order":1}}"#,
        r#"{"token":{"items":{"type":"string"},"type":"array","required":["token"]}}"#,
        r#"{"secrets":{"additionalProperties":{"type":"string"},"type":"object"}}"#,
        r#"{"password":{"not":{"const":"password"},"if":true}}"#,
    ]);
}

#[test]
fn values_in_schemas_go() {
    assert_go(&[
        r#"{"password":{"type":"string","default":"SECRET"}}"#,
        r#"{"api_key":{"example":"SECRET"}}"#,
        r#"{"token":{"type":"string","examples":["SECRET",null,["SECRET"]]}}"#,
        r#"{"secret":{"enum":["plain","SECRET"],"const":"SECRET"}}"#,
        r#"{"secret":{"type":"string","x-hint":"SECRET"}}"#,
        r#"{"token":{"anyOf":[{"type":"string","default":"SECRET"},{"type":"null"}]}}"#,
        r#"{"credentials":{"type":"object","properties":{"user":{"default":"SECRET"}}}}"#,
        r#"{"credentials":{"properties":{"user":"SECRET"}}}"#,
        r#"{"credentials":{"anyOf":["SECRET"]}}"#,
        r#"{"credentials":{"$defs":"SECRET"}}"#,
    ]);
    let whole = [
        r#"{"password":{"type":"string","value":"hunter2"}}"#,
        r#"{"password":{"type":"plain"}}"#,
        r#"{"password":{"type":["string","secret"]}}"#,
        r#"{"password":{"type":{"a":"string"}}}"#,
        r#"{"password":{"name":"hunter2"}}"#,
        r#"{"password":{"type":"string","name":"hunter2"}}"#,
        r#"{"password":{"x-a":"hunter2"}}"#,
        r#"{"password":{"a":{"type":"string"}}}"#,
        r#"{"password":[{"type":"string"}]}"#,
        r#"{"password":[""]}"#,
    ];
    for line in whole {
        assert_eq!(redact_json(line), r#"{"password":"[REDACTED]"}"#, "{line}");
    }
    // A pair has no schema.
    let pair = r#"{"name":"password","value":{"type":"string"}}"#;
    assert_eq!(redact_json(pair), r#"{"name":"password","value":"[REDACTED]"}"#);
}

#[test]
fn words_of_models_stay() {
    assert_stay(&[
        r#"{"token":{"id":5,"text":" ocean","logprob":-0.5,"special":false}}"#,
        r#"{"token":{"id":5,"text":"ocean"},"top":[{"token":"[CLS]","logprob":-1}]}"#,
        r#"{"logprobsResult":{"chosen":[{"token":"x9ZkQ2m4Lp8R"}]}}"#,
        r#"{"lemma":"go","pos":"VERB","token":"going"}"#,
        r#"{"token":"gehst","entity":"B-X"}"#,
        r#"{"token":"Hal","type":"token"}"#,
        r#"[{"token":"2024","word":"2024"},{"token":"a","chunk":null}]"#,
        r#"{"id":1,"text":"Hal","token":"Hal"}"#,
    ]);
    assert_go(&[
        r#"{"token":"SECRET","id":5}"#,
        r#"{"token":"SECRET","text":"x"}"#,
        r#"{"Token":"SECRET","logprob":1}"#,
        r#"{"access_token":"SECRET","logprob":1}"#,
        r#"{"password":"SECRET","type":"token","token":"x"}"#,
        r#"{"type":"Token","token":"SECRET"}"#,
        r#"{"type":["token"],"token":"SECRET"}"#,
        r#"{"token":{"id":1,"text":"x","password":"SECRET"}}"#,
    ]);
    let random = r#"{"type":"token","token":"q7RmT2xWc9"}"#;
    assert_eq!(redact_json(random), r#"{"type":"token","token":"[REDACTED]"}"#);
    let random = r#"{"token":{"id":1,"text":"q7RmT2xWc9","more":["q7RmT2xWc9"]}}"#;
    let expected = r#"{"token":{"id":1,"text":"[REDACTED]","more":["[REDACTED]"]}}"#;
    assert_eq!(redact_json(random), expected);
}

#[test]
fn counters_and_empty_values_stay() {
    assert_stay(&[
        r#"{"password":"","token":[],"api_key":{},"cookie":"","secret":[ ]}"#,
        r#"{"secret":0.25,"password":1.5e-3,"token":1.0,"cookie":0.0}"#,
        r#"{"session_tokens":99,"refreshTokens":3}"#,
        r#"{"tag_counts":{"password":3,"deep":{"secret":17}},"scores":{"token":1}}"#,
        r#"{"id-token":"write","credentials":"include"}"#,
        r#"{"pageToken":"x1y2z3","resume_token":"q7RmT2xWc9","usage_token":5}"#,
        r#"{"secret":{"secretName":"db-2024","items":[{"key":"token","path":"t"}]}}"#,
        r#"{"password":{"valueFrom":{"secretKeyRef":{"name":"db","key":"pg-password"}}}}"#,
        r#"{"headers":[["Authorization",""],["Cookie",[]]],"a":{"name":"pin","value":""}}"#,
    ]);
    assert_go(&[r#"{"session_tokens":"SECRET"}"#, r#"{"tag_counts":{"password":"SECRET"}}"#]);
    let whole = [
        "12345678",
        "17.0",
        "1e9",
        r#""read""#,
        r#"{"a":""}"#,
        "[null]",
        r#"{"name":"a"}"#,
        r#"{"secretName":"a","password":"b"}"#,
    ];
    for value in whole {
        let line = format!("{{\"password\":{value}}}");
        assert_eq!(redact_json(&line), r#"{"password":"[REDACTED]"}"#, "{line}");
    }
}

#[test]
fn arguments_after_secret_options_go() {
    assert_stay(&[
        r#"{"args":["--token","--verbose","x","-p","80"]}"#,
        r#"["--no-password","db"]"#,
        r#"["--max-tokens","9","--token-file","f","-"]"#,
        r#"["a --token","b"]"#,
    ]);
    assert_go(&[
        r#"{"args":["-y","some-mcp","--api-key","SECRET"]}"#,
        r#"["run","--token","SECRET","x"]"#,
        r#"{"cmd":[["--password","SECRET","-v"]]}"#,
        r#"["-password","SECRET"]"#,
        r#"["--auth_token","SECRET"]"#,
    ]);
}

#[test]
fn half_a_surrogate_pair_hides_nothing() {
    assert_go(&[
        r#"{"x":"cut \ud83d","h":{"name":"Authorization","value":"SECRET"}}"#,
        r#"{"\udc00":1,"token":"SECRET","y":"\uD83D"}"#,
        r#"["\ud83d",["Cookie","SECRET"]]"#,
    ]);
    let found = redact_json(r#"{"a":"\ud83d ana@example.org\ud83d","card":5500000000000004}"#);
    assert_eq!(found, r#"{"a":"\ud83d [REDACTED_email]\ud83d","card":"[REDACTED_card]"}"#);
}
