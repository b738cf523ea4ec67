use crate::samples::{sample_secrets, sample_token_body};
use crate::{Kind, Redactions, Sanitizer};

fn redacted(text: &str) -> String {
    Sanitizer::default().redact_str(text).into_owned()
}

#[test]
fn tokens_are_found_after_colors_and_spelled_escapes() {
    let hex = "3fa81c0d92be47a5610f3c7d8e92b4a1";
    let tokens = [
        (format!("dapi{hex}"), "databricks_token"),
        (format!("SK{hex}"), "twilio_key"),
        (format!("sbp_{hex}5f60c7d1"), "api_token"),
        ("r8_Q7xVbT2nLw9ZkRf4MhYc8PjDs3GaEu6Wo".to_owned(), "api_token"),
        (format!("patQ7xVbT2nLw9ZkR.{hex}{hex}"), "api_token"),
    ];
    for (token, kind) in tokens {
        for (before, after) in [
            ("first\\n", "\\nlast"),
            ("first\\t", "\\tlast"),
            ("\\u0022", "\\u0022"),
            ("a%0A", "%0Ab"),
            ("\x1b[32m", "\x1b[0m"),
            ("key: \x1b[1;39m", "\x1b[39;49;00m end"),
        ] {
            let out = redacted(&format!("{before}{token}{after}"));
            assert_eq!(out, format!("{before}[REDACTED_{kind}]{after}"));
            assert_eq!(redacted(&out), out);
        }
    }
    let secret = "q7Xk2Lm9Zt4RvB8sWn3D";
    for (before, after) in [
        ("\x1b[1mAPI_KEY:\x1b[0m \x1b[32m", "\x1b[0m"),
        ("DB_PASSWORD=\x1b[32m", "\x1b[0m"),
        ("\x1b[34;1m\"password\"\x1b[0m\x1b[1;39m:\x1b[0m\x1b[0;32m\"", "\"\x1b[0m"),
    ] {
        let out = redacted(&format!("{before}{secret}{after}"));
        assert_eq!(out, format!("{before}[REDACTED_credential]{after}"));
        assert_eq!(redacted(&out), out);
    }
    for text in ["\x1b[31mno key\x1b[0m \x1b[", "\\new C:\\tokens\\r8_x", "100%20off"] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn each_kind_is_found_whole_wherever_it_stands() {
    for (kind, secret) in sample_secrets() {
        let expected = kind.placeholder();
        for (before, behind) in [("", ""), ("see ", " now"), ("(", ")"), ("\"", "\""), ("é ", "\n")]
        {
            let text = format!("{before}{secret}{behind}");
            assert_eq!(redacted(&text), format!("{before}{expected}{behind}"), "{text:?}");
        }
    }
}

#[test]
fn what_stands_around_a_secret_stays() {
    let random = sample_token_body(32);
    let aws = sample_token_body(40);
    let cases = [
        (format!("AKIA0123456789ABCDEF {aws}"), "[REDACTED_aws_key] [REDACTED_aws_secret]"),
        (format!("aws_secret_access_key = {aws}"), "aws_secret_access_key = [REDACTED_aws_secret]"),
        (format!("-----BEGIN PRIVATE KEY-----\n{random}"), "[REDACTED_private_key]"),
        (
            format!("GET /\r\nAuthorization: Bearer {random}\r\nHost: h"),
            "GET /\r\nAuthorization: Bearer [REDACTED_authorization]\r\nHost: h",
        ),
        (
            "authorization: Basic QWxhZGRpbjpvcGVu".into(),
            "authorization: Basic [REDACTED_authorization]",
        ),
        ("Cookie: a=1; b=2\nHost: h".into(), "Cookie: [REDACTED_cookie]\nHost: h"),
        ("Set-Cookie: sid=9; Secure".into(), "Set-Cookie: [REDACTED_cookie]"),
        ("postgres://ana:pw@db:5432/x".into(), "postgres://[REDACTED_url_credentials]@db:5432/x"),
        (
            format!("https://h/p?page=2&api_key={random}&n=1"),
            "https://h/p?page=2&api_key=[REDACTED_url_parameter]&n=1",
        ),
        (
            format!("https://h/p?X-Amz-Signature={random}#top"),
            "https://h/p?X-Amz-Signature=[REDACTED_url_parameter]#top",
        ),
        ("password=hunter2hunter".into(), "password=[REDACTED_credential]"),
        ("DB_PASSWORD: 'correct horse'".into(), "DB_PASSWORD: '[REDACTED_credential]'"),
        ("Server=h;Uid=u;Pwd=abc;x=1".into(), "Server=h;Uid=u;Pwd=[REDACTED_credential];x=1"),
        (format!("clientSecret: \"{random}\","), "clientSecret: \"[REDACTED_credential]\","),
        (
            format!("{{\\\"apiKey\\\":\\\"{random}\\\"}}"),
            "{\\\"apiKey\\\":\\\"[REDACTED_credential]\\\"}",
        ),
        ("the password is 'blue-7-moon'".into(), "the password is '[REDACTED_credential]'"),
    ];
    for (text, expected) in cases {
        assert_eq!(redacted(&text), expected, "{text:?}");
    }
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let cases = [
        "password: string",
        "password = getpass.getpass()",
        "password=os.environ[\"DB_PASSWORD\"]",
        "fn login(password: &str, token: Token)",
        "def login(user, password, token=None):",
        "password: ${DB_PASSWORD}",
        "api_key={{ secrets.API_KEY }}",
        "token = self.next_token(),",
        "max_tokens: 4096, token_count=123456789012",
        "\"password\": \"********\"",
        "password=<your password>",
        "authorization: Option<String>",
        "the bearer of this letter",
        "https://user@localhost/ and http://h:8080/a@b",
        "https://${USER}:${PASSWORD}@host/",
        "cookie: chocolate",
        "sk-learn sk-proj-short task-notification ghp_short",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 1536-90-4399",
        "GB29 NWBK 6016 1331 9268 18",
        "be1234567890abcd",
        "4111 1111 1111 111 is none",
        "2026-11-24T06:02:40.123456Z 1764000000000 0.30000000000000004",
        "claude-sonnet-4-5-20250929",
        "550e8400-e29b-41d4-a716-446655440000",
    ];
    for text in cases {
        assert_eq!(redacted(text), text);
    }
}

/// Concatenates pieces that make, join, cut and disguise matches.
fn random_text(rng: &mut fastrand::Rng, samples: &[(Kind, String)]) -> String {
    const JOINTS: [&str; 44] = [
        "",
        " ",
        "\n",
        ".",
        "-",
        "_",
        "/",
        ":",
        "=",
        "\"",
        "'",
        "\\\"",
        "[",
        "]",
        "(",
        ")",
        ",",
        ";",
        "&",
        "?",
        "@",
        "$",
        "~",
        "é",
        "\u{200B}",
        "password",
        "pwd=",
        "token: ",
        "\"secret\":\"",
        "api_key=",
        "_pass",
        "authorization: ",
        "Bearer ",
        "Basic ",
        "Cookie: a=",
        "https://",
        "://u:",
        "is ",
        "[REDACTED_email]",
        "[REDACTED]",
        "0",
        "12",
        "a",
        "Zz9",
    ];
    let mut text = String::new();
    for _ in 0..rng.usize(1..9) {
        match rng.u8(..8) {
            0..5 => text.push_str(JOINTS[rng.usize(..JOINTS.len())]),
            5 | 6 => {
                let (_, sample) = &samples[rng.usize(..samples.len())];
                let end = if rng.bool() { sample.len() } else { rng.usize(..=sample.len()) };
                text.push_str(&sample[if rng.u8(..4) == 0 { rng.usize(..=end) } else { 0 }..end]);
            }
            _ => text.extend((0..rng.usize(0..40)).map(|_| rng.alphanumeric())),
        }
    }
    text
}

#[test]
fn a_second_redaction_finds_nothing() {
    let samples = sample_secrets();
    let mut rng = fastrand::Rng::with_seed(0xA6E);
    let rounds = std::env::var("REDACT_ROUNDS").ok().and_then(|n| n.parse().ok());
    for _ in 0..rounds.unwrap_or(30_000) {
        let text = random_text(&mut rng, &samples);
        let once = redacted(&text);
        assert_eq!(redacted(&once), once, "given {text:?}");
    }
}

/// One token of each form of the tables, and of vendors in no table.
#[test]
fn tokens_of_vendors_are_found_whole() {
    let mut rng = fastrand::Rng::with_seed(2026);
    let mut draw = |alphabet: &str, length: usize| -> String {
        let alphabet: Vec<_> = alphabet.chars().collect();
        // The first is a digit, so that no sample is unlikely.
        std::iter::once('7')
            .chain(std::iter::repeat_with(|| alphabet[rng.usize(..alphabet.len())]))
            .take(length)
            .collect()
    };
    const HEX: &str = "0123456789abcdef";
    const SMALL: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
    const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const ANY: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let uuid = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let tokens = [
        format!("e2b_{}", draw(HEX, 40)),
        format!("dtn_{}", draw(HEX, 64)),
        format!("crsr_{}", draw(HEX, 64)),
        format!("bkua_{}", draw(HEX, 40)),
        format!("cal_live_{}", draw(HEX, 32)),
        format!("pk_{}", draw(HEX, 34)),
        format!("sk_{}", draw(HEX, 48)),
        format!("sk-newco-{}", draw(HEX, 64)),
        format!("pk_7203410_{}", draw(CAPITALS, 32)),
        format!("rpa_{}", draw(CAPITALS, 42)),
        format!("napi_{}", draw(SMALL, 64)),
        format!("cog_{}", draw(SMALL, 52)),
        format!("hcaik_{}", draw(SMALL, 58)),
        format!("npg_{}", draw(ANY, 12)),
        format!("polar_oat_{}", draw(ANY, 43)),
        format!("nyk_v0_{}", draw(ANY, 64)),
        format!("pylf_v1_us_{}", draw(ANY, 44)),
        format!("rnd_{}", draw(ANY, 32)),
        format!("re_{}_{}", draw(ANY, 8), draw(ANY, 24)),
        format!("ctx7sk-{uuid}"),
        format!("xaat-{uuid}"),
        format!("access-sandbox-{uuid}"),
        format!("ak-{uuid}-{}", draw(ANY, 32)),
        format!("snyk_uat.{}.{}", draw(HEX, 8), draw(ANY, 40)),
        format!("mlsn.{}", draw(HEX, 64)),
        format!("wk-1.{}", draw(HEX, 64)),
        format!("pat{}.{}", draw(ANY, 14), draw(HEX, 64)),
        format!("pat.{}.{}.{}", draw(ANY, 22), draw(HEX, 24), draw(ANY, 20)),
        format!("{}.atlasv1.{}", draw(ANY, 14), draw(ANY, 67)),
        format!("{}JQQJ99{}", draw(ANY, 52), draw(CAPITALS, 26)),
        format!("{}AzSeD{}", draw(ANY, 42), draw(ANY, 5)),
        format!("abc3Q~{}", draw(ANY, 34)),
        format!("14|{}", draw(ANY, 48)),
        format!("IQoJb3JpZ2luX2Vj{}", draw(ANY, 300)),
        format!("cmVmdGtuOjAxOj{}", draw(ANY, 50)),
        format!("EAAA{}", draw(ANY, 60)),
        format!("xai-{}_{}", draw(ANY, 40), draw(ANY, 39)),
        format!("eyJ{}.eyJ{}", draw(ANY, 30), draw(ANY, 60)),
        "DO28BAGR00000001212453611324".to_owned(),
        // In no table.
        "acme_7gT2kQ9zLmB4xVw8RjN3".to_owned(),
        "acme_live_7gT2kQ9zLmB4xVw8RjN3".to_owned(),
        "quokka-prod-v2-7gT2kQ9zLmB4xVw8RjN3dY6hC".to_owned(),
    ];
    for token in tokens {
        for (before, after) in [("", ""), ("key ", " ok"), ("\"", "\""), ("é=", ";")] {
            let text = redacted(&format!("{before}{token}{after}"));
            let inside = text.strip_prefix(before).and_then(|text| text.strip_suffix(after));
            let is_one = inside.is_some_and(|it| it.starts_with("[REDACTED_") && it.ends_with(']'));
            assert!(is_one && text.matches("[RED").count() == 1, "{token} became {text}");
        }
    }
}

#[test]
fn ids_in_the_open_stay() {
    let random = "7gT2kQ9zLmB4xVw8RjN3dY6hC";
    for prefix in [
        "msg_",
        "resp_",
        "chatcmpl-",
        "call_",
        "toolu_",
        "req_",
        "run_",
        "thread_",
        "cus_",
        "evt_",
        "price_",
        "pi_",
        "asst_",
        "file-",
        "batch_",
        "user_",
        "org_",
        "pk_live_",
        "sha256-",
        "css-",
        "msg_bdrk_",
        "toolu_vrtx_",
        "chunk-",
        "proj_",
    ] {
        let text = format!("id {prefix}{random} ok");
        assert_eq!(redacted(&text), text);
    }
    for text in [
        "s.createTunnelRibbonViolet()",
        "https://cdn.example/vendor-7gT2kQ9zLmB4xVw8RjN3.js",
        "load vendor-7gT2kQ9zLmB4xVw8RjN3.min.js",
        "live_update_stream_for_the_mellow_component_v2",
        "hawk.authenticate_with_the_cedar_server_and_validate",
        "npm_config_registry_mirror_proxy_settings",
        "re_compiled_badge_pattern_cache_entry_840022",
        "user_getUserByIdAndName2Factory",
        "test_thatItHandlesUnicode16InputAndOutput",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "acme-9f86d081884c7d659a2feaa0c55ad015",
        "7|7gT2kQ9z",
        "be12-3456",
        "order 371449635398431 is open",
        "build 4222222222222",
    ] {
        assert_eq!(redacted(text), text);
    }
    for text in ["pay by card 371449635398431", "371449635398431", "amex: 371449635398431"] {
        assert!(redacted(text).ends_with("[REDACTED_card]"), "{text}");
    }
}

#[test]
fn in_a_payload_only_the_floor_counts() {
    let part = |length| sample_token_body(length);
    let payload =
        |inside: &str| format!("data:image/png;base64,{}{inside}{}", part(150), part(150));
    for inside in ["/EAAB", "/AIza", "/AKCp", "+xoxb/", "/sk_live_", "/fm2_"] {
        let text = payload(inside);
        assert_eq!(redacted(&text), text);
    }
    let found = redacted(&payload("/AKIA0123456789ABCDEF/"));
    assert_eq!(found.matches("[REDACTED_aws_key]").count(), 1, "{found}");
    // A token that is a payload of its own, and a name at the end of one.
    assert_eq!(redacted(&format!("IQoJb3JpZ2luX2Vj{}", part(600))), "[REDACTED_aws_secret]");
    let named = format!("{}/db_password=hunter2hunter", part(400));
    assert!(redacted(&named).ends_with("[REDACTED_credential]"));
}

#[test]
fn a_url_whose_user_is_a_placeholder_keeps_its_host() {
    let goes = ["$USER:$PASSWORD", "%DB_USER%:%DB_PASS%", "app:$DB_PASSWORD", "$TOKEN"];
    for user in goes {
        let given = format!("git clone https://{user}@db.example.com/a.git");
        let expected = "git clone https://[REDACTED_url_credentials]@db.example.com/a.git";
        assert_eq!(redacted(&given), expected, "{user}");
    }
    // The rule for e-mail takes nothing of these.
    for user in ["${USER}:${PASSWORD}", "{user}:{password}", "<user>:<password>", "app:***", "${T}"]
    {
        let given = format!("git clone https://{user}@db.example.com/a.git");
        assert_eq!(redacted(&given), given, "{user}");
    }
}

fn redacted_line(line: &str) -> String {
    let mut out = String::new();
    Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    out
}

#[test]
fn source_code_that_begins_like_json_stays() {
    for line in [
        "\"apiKey\": 26,",
        "    \"credentials\": credentials,",
        "\"password\": otterSchema.min(8),",
        "  \"lemon_token\": {",
        "\"password\": {Type: cty.String, Optional: true, Sensitive: true},",
        "\"Key of the lemon token\" + lemon.apiKey() + \" v\"",
        "{\"an_attr\": cty.StringVal(\"secret\")},",
        "[Alias(\"lemon_password\")]",
        "\"the id of an otter differs from the token's name (%s)\",",
        "[ \"$(grep -c 'SECRET')\" = \"0\" ]",
    ] {
        assert_eq!(redacted_line(line), line);
    }
}

#[test]
fn damaged_json_still_loses_its_values() {
    for line in [
        "\"password\": @,",
        "{\"a\": 1, \"clientSecret\": @, \"n\": 1",
        "[{\"token\": @}, {",
        "{\"password\" @, \"n\": 1}",
        "\"auth_token\" = @,",
        "{'password': @, 'x': 1}",
        "\"password\": [@],",
        "\"password\": lemon(\"@\"),",
        "\"password\": {\"value\": \"@\"}, {",
    ] {
        for secret in ["hunter2hunter2", "Vt8.q4Lm2Zx", "9f86d081884c7d65", "kXqZvTrPwAbC"] {
            let out = redacted_line(&line.replace('@', secret));
            assert!(!out.contains(secret), "{line}: {out}");
            assert_eq!(redacted_line(&out), out);
        }
    }
}

#[test]
fn a_container_over_several_lines_of_a_text_goes_whole() {
    let text = r#"{"a": "{\n \"credentials\": {\n  \"lemon\": \"otterotter\"\n },\n"}"#;
    let out = redacted_line(text);
    assert!(!out.contains("otterotter"), "{out}");
    assert_eq!(redacted_line(&out), out);
}

#[test]
fn an_id_in_a_part_of_json_stays_under_its_name() {
    for line in [
        "\"span_id\":\"5500000000000004\"",
        "  \"parentSpanId\": \"5500000000000004\",",
        "\"spanId\":5500000000000004,",
        "{\"a\":\"x\",\"trace_id\":\"5500000000000004\"",
        "\"{\\\"span_id\\\":\\\"5500000000000004\\\"",
        "\"ts\": \"1764374400123456\",",
    ] {
        assert_eq!(redacted_line(line), line);
    }
    let out = redacted_line("\"order\":\"5500000000000004\"");
    assert_eq!(out, "\"order\":\"[REDACTED_card]\"");
}

#[test]
fn names_of_branches_and_builds_are_no_tokens() {
    for text in [
        "lemon-AddNewRiverPageV2ForOtters2025",
        "build2-2025Q1-RC2-Nightly20250316",
        "feature-AddOAuth2LoginForUsers2025V3",
        "wamid-HBgLMTY0NjcwNDM1OTUVAgARGBI1RjQyNUE3NEYxMzAzMzQ5MkEA",
    ] {
        assert_eq!(redacted(text), text);
    }
    let token = format!("lemon_{}", sample_token_body(24));
    assert_eq!(redacted(&token), "[REDACTED_api_token]");
}

#[test]
fn the_profiles_agree_on_names_of_pictures() {
    for profile in crate::Profile::ALL {
        let out = Sanitizer::with_profile(profile).redact_str("tile@2x.png").into_owned();
        assert_eq!(out, "[REDACTED_email]");
    }
}

/// A map of Ruby does not parse as JSON, and what is around a value stays as it is.
#[test]
fn maps_of_ruby_lose_their_values_and_nothing_else() {
    for (before, secret, after) in [
        (r#"{:host=>"h", :password=>""#, "oTi6,9PkY;0Oa}8iK", r#""}"#),
        (r#"{"user"=>"u", "api_key"=>""#, "w7Kq9pL2mZ4rT", r#"", "n"=>nil, "l"=>[1, 2]}"#),
    ] {
        let (line, mut redacted) = (format!("{before}{secret}{after}"), String::new());
        Sanitizer::default().redact_line(&line, &mut redacted, &mut Redactions::default());
        let rest = redacted.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        assert!(rest.is_some_and(|rest| rest.starts_with("[REDACTED")), "{redacted}");
    }
}

#[test]
fn a_bearer_token_of_one_case_goes() {
    let sanitizer = Sanitizer::default();
    let text = "Authorization: Bearer kwzxvqjhgpmtrb";
    assert_eq!(sanitizer.redact_str(text), "Authorization: Bearer [REDACTED_authorization]");
    for text in ["Authorization: Bearer authentication is required", "Authorization: Basic realm"] {
        assert_eq!(sanitizer.redact_str(text), text);
    }
}
