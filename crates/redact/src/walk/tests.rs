//! Tests of what stays and what goes under sensitive keys, in JSON and in values.

use serde_json::Value;

use crate::samples::sample_secrets;
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
        r#"{"password":{"title":"Password","description":"At least 8 characters, 1 digit","minLength":8}}"#,
        r##"{"credentials":{"$ref":"common.json#/$defs/Login","description":"See RFC 7617."}}"##,
        r#"{"credentials":{"type":"object","properties":{"user":{"title":"User"},"any":{"x-a":1,"description":"Any."}}}}"#,
        r#"{"api_key":{"type":"oauth2","flows":{"implicit":{"scopes":{"read":"Reads pets"},"authorizationUrl":"https://id.example.org/v1/a"}}}}"#,
        r#"{"secret":{"type":"string","format":"uuid","pattern":"^(?:[0-9a-f]{8}-){3}\\w+$","maxLength":"36"}}"#,
        r#"{"token":{"type":"string","pattern":"^[A-Za-z0-9]{32}$","x-order":1}}"#,
        r#"{"token":{"items":{"type":"string"},"type":"array","required":["token"]}}"#,
        r#"{"secrets":{"additionalProperties":{"type":"string"},"type":"object"}}"#,
        r#"{"password":{"not":{"minLength":3},"if":true}}"#,
    ]);
}

#[test]
fn values_in_schemas_go() {
    assert_go(&[
        r#"{"password":{"type":"string","default":"SECRET"}}"#,
        r#"{"api_key":{"type":"string","example":"SECRET"}}"#,
        r#"{"token":{"not":{"const":"SECRET"}}}"#,
        r#"{"token":{"enum":"SECRET"}}"#,
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
        r#"{"password":{"title":"hunter2"}}"#,
        r#"{"password":{"description":"hunter2 is mine","format":"password"}}"#,
        r#"{"password":{"default":12345678}}"#,
        r#"{"password":{"pattern":"hunter2","required":true}}"#,
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
fn words_that_a_schema_offers_stay() {
    assert_stay(&[r#"{"token":{"type":"string","enum":["basic","refresh_token","NONE",null]}}"#]);
    assert_go(&[
        r#"{"token":{"type":"string","enum":["basic","SECRET"],"default":"SECRET"}}"#,
        r#"{"token":{"anyOf":[{"const":"SECRET"},{"enum":["basic"]}]}}"#,
    ]);
    for text in ["basic", "bearer"] {
        for keyword in ["const", "default", "example", "x-kind"] {
            let line = format!(r#"{{"token":{{"type":"string","{keyword}":"{text}"}}}}"#);
            let gone = format!(r#"{{"token":{{"type":"string","{keyword}":"[REDACTED]"}}}}"#);
            assert_eq!(redact_json(&line), gone, "{line}");
        }
    }
}

#[test]
fn what_people_write_in_a_schema_stays_without_its_secrets() {
    let random = "q7RmT2xWc9Lk4Zp";
    for (key, text, goes) in [
        ("description", "At least 12 characters, e.g. `v1beta1`, of [A-Za-z0-9].", false),
        (
            "description",
            "Base64 of SHA-256, see https://docs.example.org/v2/oauth2#s3 (RFC4648)",
            false,
        ),
        ("description", "q7RmT2xWc9Lk4Zp", true),
        ("description", "For example \u{201c}q7RmT2xWc9Lk4Zp\u{201d}", true),
        ("description", "Such as 'q7RmT2xWc9Lk4Zp', which works", true),
        ("$comment", "was 5f2a91c07d3e44b1 before", true),
        ("title", "OAuth2 Token", false),
        ("title", "Access_Token", false),
        ("title", "hunter2hunter2!", true),
        ("format", "date-time", false),
        ("format", "Vx#8kQ!2mZ&7tLp", true),
        ("pattern", "^sk-(live|test)-[0-9A-Za-z]{24,64}$", false),
        ("pattern", "^q7RmT2xWc9Lk4Zp$", true),
        ("$ref", "#/definitions/io.k8s.api.core.v1.SecretKeySelector", false),
        ("$ref", "https://example.org/schemas/login-v2.json", false),
        ("$ref", "#/$defs/q7RmT2xWc9Lk4Zp", true),
        ("$ref", "hB9xT2mKz4Qr7sqW", true),
        ("minLength", "12", false),
        ("minLength", "hunter2", true),
        ("readOnly", "hunter2", true),
    ] {
        let line = serde_json::json!({ "secret": { "type": "string", (key): text } }).to_string();
        let expected = match goes {
            true => line.replace(&Value::from(text).to_string(), "\"[REDACTED]\""),
            false => line.clone(),
        };
        assert_eq!(redact_json(&line), expected);
    }
    for line in [
        r#"{"secret":{"type":"object","required":["user","SECRET"]}}"#,
        r#"{"secret":{"type":"object","discriminator":{"propertyName":"kind","mapping":{"a":"SECRET"}}}}"#,
        r#"{"secret":{"type":"object","externalDocs":{"url":"https://a.example","description":"SECRET"}}}"#,
        r#"{"secret":{"type":"object","dependentRequired":{"a":["SECRET"]}}}"#,
        r#"{"secret":{"type":"object","description":{"a":"SECRET"}}}"#,
        r#"{"secret":{"type":"string","title":12345678}}"#,
        r#"{"api_key":{"type":"apiKey","in":"header","name":"SECRET"}}"#,
        r#"{"credentials":{"type":"object","properties":{"user":{"title":"SECRET"}}}}"#,
    ] {
        assert!(!redact_json(&line.replace("SECRET", random)).contains(random), "{line}");
    }
    let mail = r#"{"token":{"type":"string","description":"Ask ana@example.org for one"}}"#;
    let expected = r#"{"token":{"type":"string","description":"Ask [REDACTED_email] for one"}}"#;
    assert_eq!(redact_json(mail), expected);
}

#[test]
fn references_stay_if_they_are_names() {
    assert_stay(&[
        r#"{"secret":{"secretName":"orders-db-v2","defaultMode":420,"optional":false}}"#,
        r#"{"password":{"valueFrom":{"secretKeyRef":{"name":"k8s-pg","key":"POSTGRES_PASSWORD"}}}}"#,
        r#"{"password":{"valueFrom":"arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db"}}"#,
        r#"{"token":{"secretArn":"${TOKEN_ARN}","versionId":"6f0d7f3a-5a0e-4a57-9d1e-2f6a1c0b9e44"}}"#,
        r#"{"token":{"secret_name":"team/apps/api-token","version":"3","mode":"0400"}}"#,
        r#"{"api_key":{"secretName":"{{ .Values.secret }}","key":"tls.crt"}}"#,
        r#"{"secret":{"secretName":"default-token-x7k2p","items":[{"key":"token","path":"my-postgresql"}]}}"#,
    ]);
    assert_go(&[
        r#"{"password":{"valueFrom":"SECRET"}}"#,
        r#"{"secret":{"secretName":"SECRET"}}"#,
        r#"{"password":{"valueFrom":{"secretKeyRef":{"name":"db","key":"SECRET"}}}}"#,
        r#"{"password":{"valueFrom":{"value":"SECRET"}}}"#,
        r#"{"secret":{"secretName":"db","items":["SECRET",{"key":"a","path":"SECRET"}]}}"#,
        r#"{"secret":{"secretName":"db","version":"SECRET","items":[{"password":"SECRET"}]}}"#,
    ]);
    let line = r#"{"password":{"valueFrom":{"value":"lemon"}}}"#;
    let gone = r#"{"password":{"valueFrom":{"value":"[REDACTED]"}}}"#;
    assert_eq!(redact_json(line), gone);
}

#[test]
fn tokens_of_services_go_under_the_names_of_cursors() {
    for (kind, secret) in sample_secrets() {
        for name in ["syncToken", "resume_token", "pagination_token", "idempotency_token"] {
            let line = serde_json::json!({ (name): secret }).to_string();
            assert!(!redact_json(&line).contains(&secret), "{kind:?} {line}");
        }
    }
    assert_stay(&[
        r#"{"syncToken":"q7RmT2xWc9Lk4ZpB","resume_token":"MTIzNDU2Nzg5MDEyMzQ1Ng=="}"#,
        r#"{"progressToken":42,"idempotency_token":"6f0d7f3a-5a0e-4a57-9d1e-2f6a1c0b9e44"}"#,
    ]);
}

/// Every place in which a text may stay under a sensitive name, unless the place has to be random.
const EXEMPT_PLACES: [&str; 29] = [
    r#"{"password":{"type":"string","title":"SECRET"}}"#,
    r#"{"password":{"type":"string","description":"It is SECRET, for now"}}"#,
    r#"{"password":{"type":"string","pattern":"SECRET"}}"#,
    r##"{"password":{"$ref":"SECRET"}}"##,
    r#"{"password":{"type":"object","required":["SECRET"]}}"#,
    r#"{"password":{"type":"object","discriminator":{"propertyName":"SECRET"}}}"#,
    r#"{"password":{"type":"string","enum":["SECRET"]}}"#,
    r#"{"password":{"type":"string","maximum":"SECRET"}}"#,
    r#"{"password":{"secretName":"SECRET"}}"#,
    r#"{"password":{"valueFrom":{"secretKeyRef":{"key":"SECRET"}}}}"#,
    r#"{"password":{"secretName":"a","version":"SECRET"}}"#,
    r#"{"type":"token","token":"SECRET"}"#,
    r#"{"token":{"id":1,"text":"SECRET"}}"#,
    r#"{"id-token":"SECRET"}"#,
    r#"["--token","--SECRET"]"#,
    r#"{"prompt_token":"SECRET"}"#,
    r#"{"boarding_pass":"SECRET"}"#,
    r#"{"otp":"SECRET"}"#,
    r#"{"mnemonic":"SECRET"}"#,
    r#"{"db_password":"SECRET"}"#,
    r#"{"session_token":"SECRET"}"#,
    r#"{"secret":{"name":"SECRET","optional":true}}"#,
    r#"{"admin_password":{"Ref":"SECRET"}}"#,
    r#"{"private_key":{"algorithm":"SECRET","rotationPolicy":"SECRET"}}"#,
    r#"{"client_credentials":{"tokenUrl":"https://a.example/SECRET","scopes":{}}}"#,
    r#"{"password":{"type":"object","properties":{"SECRET":{"type":"string"}}}}"#,
    r#"{"token":{"tokenUrl":"https://a.example","scopes":{"SECRET":"Reads"}}}"#,
    r#"{"password":{"type":"string","description":"See https://a.example/SECRET"}}"#,
    r#"["X-Api-Key","SECRET"]"#,
];

#[test]
fn a_random_string_stays_in_no_exempt_place() {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = fastrand::Rng::with_seed(17);
    let mut survivors = Vec::new();
    for more in ["", "!@#$%^&*", "+/", "-_"] {
        let letters: Vec<char> = LETTERS.chars().chain(more.chars()).collect();
        for place in EXEMPT_PLACES.iter().cycle().take(EXEMPT_PLACES.len() * 50) {
            let length = random.usize(16..=40);
            let secret: String = (0..length).map(|_| *random.choice(&letters).unwrap()).collect();
            if redact_json(&place.replace("SECRET", &secret)).contains(&secret) {
                survivors.push(place.replace("SECRET", &secret));
            }
        }
    }
    // One in a thousand has no digit and reads like words.
    assert!(survivors.len() <= 4, "{survivors:?}");
}

#[test]
fn arguments_after_short_options_go_if_they_look_random() {
    let lines = [
        r#"{"cmd":["curl","-u","ana:q7Xk2Lm9Zt4R","https://h"]}"#,
        r#"{"cmd":["redis-cli","-a","q7Xk2Lm9Zt4R","ping"]}"#,
        r#"{"cmd":["sshpass","-p","q7Xk2Lm9Zt4R","ssh","h"]}"#,
        r#"{"cmd":["mysql","-u","root","-pq7Xk2Lm9Zt4R"]}"#,
    ];
    for line in lines {
        let out = redact_json(line);
        assert!(!out.contains("q7Xk2") && out.contains("[REDACTED]"), "{out}");
    }
    assert_stay(&[
        r#"["docker","run","-p","8080:80","-u","1000:1000","-a","stdout"]"#,
        r#"["cargo","test","-p","serde@1.0.219","-p","crates/redact2","-path"]"#,
        r#"["sh","-a","./scripts/Build2Release9.sh","-u","kim:wheel","-w","/srv/App1Build2"]"#,
    ]);
}

#[test]
fn elements_of_a_list_are_judged_by_the_name_of_the_list() {
    let text = r#"{"tokens":["Hel","lo","zT5kq8Wn3RvB9xLm"],"APP_KEYS":["v2","Q7mX2kL9pR4tW8zB"]}"#;
    let expected = r#"{"tokens":["Hel","lo","[REDACTED]"],"APP_KEYS":["v2","[REDACTED]"]}"#;
    assert_eq!(redact_json(text), expected);
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

#[test]
fn lists_of_a_name_and_a_random_value_lose_it() {
    let random = "kXq8Zr3TtB9wLm4v";
    for line in [
        r#"["X-Api-Key","SECRET"]"#,
        r#"{"header":["Authorization","SECRET"]}"#,
        r#"{"OTTER_KEYS":["SECRET","SECRET"],"open":["public_keys"]}"#,
        r#"{"OTTER_KEYS":"SECRET"}"#,
    ] {
        let gone = line.replace("SECRET", "[REDACTED]");
        assert_eq!(redact_json(&line.replace("SECRET", random)), gone);
    }
    assert_stay(&[
        r#"["password","email"]"#,
        r#"["api_key","oauth2_scopes"]"#,
        r#"{"public_keys":["kXq8Zr3TtB9wLm4v"],"imagePullSecrets":[{"name":"registry-2"}]}"#,
        r#"["X-Api-Key","kXq8Zr3TtB9wLm4v","x"]"#,
    ]);
}

#[test]
fn placeholders_stay_except_under_the_names_of_the_floor() {
    assert_stay(&[
        r#"{"env":{"OTTER_API_KEY":"${OTTER_API_KEY}","DB_PASSWORD":"$DB_PASSWORD"}}"#,
        r#"{"with":{"github-token":"${{ secrets.GITHUB_TOKEN }}"},"x_token":"{{token}}"}"#,
        r#"{"args":["--token","${input:token}","--api-key","$API_KEY"]}"#,
        r#"{"client_secret":"/run/secrets/oidc","db_password":"********"}"#,
        r#"{"devDependencies":{"tough-cookie":"^5.0.0","csrf-token":"1.0.2"}}"#,
        r#"{"node_modules/tough-cookie":{"version":"5.1.1"},"@a/cookie":"latest"}"#,
    ]);
    for value in ["${X}", "********", "{{token}}", "^5.0.0"] {
        for name in ["password", "api_key", "Cookie", "TOKEN"] {
            let line = serde_json::json!({ name: value }).to_string();
            assert!(redact_json(&line).contains("[REDACTED]"), "{line}");
        }
    }
    assert_go(&[
        r#"{"client_secret":"SECRET"}"#,
        r#"{"db_password":"SECRET"}"#,
        r#"{"args":["--token","SECRET"]}"#,
    ]);
    let whole = [
        r#""[kxq] and [zrb]""#,
        r#""{\"a\":\"lemon\"}""#,
        r#""https://otter.example/x""#,
        r#""lemon-${X}""#,
    ];
    for value in whole {
        let line = format!("{{\"client_secret\":{value}}}");
        assert_eq!(redact_json(&line), r#"{"client_secret":"[REDACTED]"}"#);
    }
}

#[test]
fn references_of_deployments_stay() {
    assert_stay(&[
        r#"{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}}"#,
        r#"{"secret":{"name":"app-config","optional":true}}"#,
        r#"{"MasterUserPassword":{"Ref":"DBPassword"}}"#,
        r#"{"privateKey":{"algorithm":"RSA","size":2048,"rotationPolicy":"Always"}}"#,
        r#"{"flows":{"clientCredentials":{"tokenUrl":"https://id.example/token","scopes":{"a:b":"x"}}}}"#,
        r#"{"parameters":{"AccessToken":{"name":"access_token","in":"query","schema":{"type":"string"}}}}"#,
        r#"{"schemas":{"ApiToken":{"type":"object","xml":{"name":"token"},"properties":{"id":{"type":"integer"}}}}}"#,
        r##"{"credentials":{"$ref":"#/components/schemas/CredentialsV2Base64Model"}}"##,
    ]);
}

#[test]
fn values_under_other_names_of_pairs_go() {
    assert_go(&[
        r#"{"op":"add","path":"/data/apiKey","value":"SECRET"}"#,
        r#"{"fields":[{"label":"password","type":"CONCEALED","value":"SECRET"}]}"#,
        r#"{"name":"Client Secret","value":"SECRET"}"#,
        r#"{"field":"password","oldValue":"SECRET","newValue":"SECRET"}"#,
    ]);
    assert_stay(&[r#"{"name":"a new client secret","value":"lemon"}"#]);
}
