use super::*;

/// Returns a random string of each common alphabet.
fn random_strings(rng: &mut fastrand::Rng, length: usize) -> Vec<String> {
    const ALPHABETS: [&str; 4] = [
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "0123456789abcdef",
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_",
    ];
    let one = |alphabet: &&str| {
        (0..length).map(|_| char::from(alphabet.as_bytes()[rng.usize(..alphabet.len())])).collect()
    };
    ALPHABETS.iter().map(one).collect()
}

#[test]
fn random_strings_are_irregular() {
    let mut rng = fastrand::Rng::with_seed(41);
    let mut missed = 0;
    for _ in 0..5_000 {
        for text in random_strings(&mut rng, 40) {
            missed += usize::from(!is_irregular_value(text.as_bytes()));
            assert!(!is_code_path(text.as_bytes()), "{text}");
        }
    }
    assert!(missed <= 20, "{missed} of 20,000");
}

#[test]
fn names_ids_and_dates_are_not_irregular() {
    let texts = [
        "created_at_2024",
        "reports/2026/otter-4711.parquet",
        "tenant#40351162",
        "user:77123:profile:v3",
        "agent-lemon-cache-v12",
        "6f0d7f3a-5a0e-4a57-9d1e-2f6a1c0b9e44",
        "2026-03-09T12:15:30.250Z",
        "TestParseRequestHeadersV2",
        "aws_kms_key_alias_production_1",
        "com.example.service.CacheKeyV2",
        "a short text with 12 words1",
    ];
    for text in texts {
        assert!(!is_irregular_value(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_reference_has_its_form_as_a_whole() {
    let references = [
        "",
        "$DB_PASSWORD",
        "$env:API_KEY2",
        "${TOKEN}",
        "${TOKEN:-x}",
        "$(cat /run/secrets/x1)",
        "{{ vault.token1 }}",
        "prefix-${TOKEN}",
        "{password}",
        "<your-token-1>",
        "%API_TOKEN%",
        "%(token1)s",
        "[hidden 1]",
        "(unset)",
        "!secret",
        "/run/secrets/db_password1",
        "~/.aws/credentials2",
        "./keys/id_ed25519",
        "********",
        "sk-****a1b2",
        "xxxxxxxx1",
        "sk-1...",
        "null",
        "arn:aws:kms:eu-west-1:1:key/x",
        "https://vault.example.com/v1/x",
        "op://vault/item/field1",
        "[REDACTED]",
        "x[REDACTED_email]",
    ];
    for text in references {
        assert!(is_reference(text.as_bytes()), "{text}");
    }
    let values = [
        "$Rz7~Kq3PmX2v",
        "$aB3xY9kLmQ2z",
        "%Wq8tR2nXk5Lp",
        "<T4hKm9zQx2",
        "{p8Kd2Xw9Lm",
        "[r4T9xK2mQ7z",
        "(m3Xq8Lz5Tr",
        "!Vn5xKq2Z8tLp",
        "/Gk2T~x9Rm4Qz",
        "/q7Lm/GXRe6wFigJYYGo96MvqHk0h",
        "+hB9x/T2mKz4Qr7s",
        ".Xk2Lq8TzR4m",
        "*8KmQz3Tx",
        "#Lm4Xq9Zt2",
        "&Tz5Kx2Qm8",
        "@Rq3Xz7Lm2",
        "=Km2Tx9Qz",
        ":Qz8Xm3Kt",
    ];
    for text in values {
        assert!(!is_reference(text.as_bytes()), "{text}");
        assert!(!is_code_path(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_path_of_identifiers_is_code() {
    let code = [
        "process.env.API_KEY!",
        "settings.SECRET_KEY2",
        "self.config.lemon.password_v3",
        "ctx.otterReq2._meta?.token1",
        "&cfg.Token1",
        "std::env::TOKEN",
        "random_password.db1.result",
        "this.#token2.value",
    ];
    for text in code {
        assert!(is_code_path(text.as_bytes()), "{text}");
    }
    for text in ["aK3xQ9t.B7zLm2.9Xk", "hunter2", "a1.b2C3d4E5f6G7", "x:y1", "a..b", "password1"] {
        assert!(!is_code_path(text.as_bytes()), "{text}");
    }
    for text in ["accessToken2", "castle_token", "userPassword1", "API_KEY3"] {
        assert!(is_secret_identifier(text.as_bytes()), "{text}");
    }
    for text in ["password1", "hunter2", "my_token_a1b2c3", "token123456", "auth_key-7"] {
        assert!(!is_secret_identifier(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_value_has_the_form_that_its_name_demands() {
    use SecretForm::{Opaque, Password, Phrase, Pin, SocialSecurityNumber};
    let phrase = ["otter", "lemon", "river"].repeat(4).join(" ");
    let cases = [
        (Pin, "4711", true),
        (Pin, "47110815", true),
        (Pin, "13", false),
        (Pin, "123456789", false),
        (Pin, "12a4", false),
        (SocialSecurityNumber, "536904399", true),
        (SocialSecurityNumber, "536-90-4399", true),
        (SocialSecurityNumber, "53690439", false),
        (SocialSecurityNumber, "unknown", false),
        (Password, "kX9vQ2mZ7tLp", true),
        (Password, "abc!def1", true),
        (Password, "checks", false),
        (Password, "test_parse_v2", false),
        (Password, "120 of 121", false),
        (Password, "2026-03-09", false),
        (Phrase, phrase.as_str(), true),
        (Phrase, "MOV", false),
        (Phrase, "otter lemon river", false),
        (Opaque, "otter", true),
        (Opaque, "{\"a\":1}", false),
        (Opaque, "", false),
    ];
    for (form, text, is_secret) in cases {
        assert_eq!(has_secret_form(text.as_bytes(), form), is_secret, "{form:?}: {text}");
    }
}

#[test]
fn expressions_of_source_code_are_no_values() {
    let cases = [
        ("password", "otterSchema.min(8),"),
        ("credentials", "credentials,"),
        ("lemon_secret_key", "secretKey,"),
        ("api_key", "26,"),
        ("token", "nil}"),
        ("password", "{"),
        ("password", "&OtterValue{"),
        ("auth_pass", "dict("),
        ("password", "dict(type='str', no_log=True),"),
        ("client_secret", "os.environ[\"LEMON_SECRET\"],"),
        ("access_key", "otter.storageAccessKey,"),
        ("token", "s.URL + \"/token\","),
        ("password", "{Type: cty.String, Optional: true},"),
        ("secret", "{\"no_log\": True}"),
        ("token", "cty.NullVal(cty.String),"),
        ("kms_key_token", "kmsName,"),
        ("secrets", "map[string]otter.Lemon{}{"),
        ("token", "await lemon.fetch(request),"),
    ];
    for (name, text) in cases {
        assert!(is_code_value(text.as_bytes(), name.as_bytes()), "{name}: {text}");
    }
}

#[test]
fn values_that_lost_their_quotes_are_no_code() {
    let cases = [
        ("password", "hunter2hunter2,"),
        ("password", "otterlemon,"),
        ("password", "otter-lemon42"),
        ("password", "otter.lemon4711,"),
        ("password", "26,"),
        ("token", "4711,"),
        ("token", "f(hunter2hunter2),"),
        ("token", "Some(otterlemon),"),
        ("password", "{value: otterlemon},"),
        ("password", "{\"value\": \"my_secret\"},"),
        ("passwords", "[\"my_secret\", \"lemon_token\"],"),
        ("password", "lemon.String(\"otter-lemon\"),"),
        ("password", "otter lemon river,"),
        ("password", "\"otter\","),
        ("password", "/* x.y */ otter,"),
    ];
    for (name, text) in cases {
        assert!(!is_code_value(text.as_bytes(), name.as_bytes()), "{name}: {text}");
    }
    let mut rng = fastrand::Rng::with_seed(17);
    let mut taken = 0;
    for round in 0..5_000 {
        for text in random_strings(&mut rng, 10 + round % 30) {
            for code in [format!("{text},"), format!("f({text}),"), format!("{{v: {text}}},")] {
                taken += usize::from(is_code_value(code.as_bytes(), b"password"));
            }
        }
    }
    assert!(taken <= 6, "{taken} of 60,000");
}

#[test]
fn identifiers_with_a_number_in_a_word_are_no_secrets() {
    for text in ["ec2_secret_key", "@LEMON1_PASSWORD", "oauth2Token", "GpgBadPassphrase"] {
        assert!(is_secret_identifier(text.as_bytes()), "{text}");
    }
    for text in ["e1c2_secret_key", "kQ7zKeyXw9", "secret", "otter_lemon"] {
        assert!(!is_secret_identifier(text.as_bytes()), "{text}");
    }
}

#[test]
fn short_random_values_differ_from_words() {
    let mut rng = fastrand::Rng::with_seed(18);
    let mut missed = 0;
    for round in 0..5_000 {
        let text: String = (0..8 + round % 8).map(|_| rng.alphabetic()).collect();
        missed += usize::from(!is_short_random_value(text.as_bytes()));
    }
    assert!(missed < 500, "{missed} of 5,000");
    for text in ["otterlemon", "storageKey", "KafkaAdmin", "sha256sum", "credentialId", "postgres"]
    {
        assert!(!is_short_random_value(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_short_credential_in_base64_is_one() {
    for text in ["YTpiYw==", "bWU6cHc=", "b3R0ZXI6bGVtb24="] {
        assert!(has_secret_form(text.as_bytes(), SecretForm::Random), "{text}");
    }
    for text in ["required", "disabled", "YTpi", "basic", "otterlem"] {
        assert!(!has_secret_form(text.as_bytes(), SecretForm::Random), "{text}");
    }
}

#[test]
fn a_text_with_a_random_word_is_told_from_prose() {
    let prose = [
        "At least 12 characters, e.g. `aes256`, of [A-Za-z0-9] and !@#$%^&*.",
        "Base64 of the SHA-256 (RFC4648); see https://a.example/blob/v1.2/oauth2-flows#s3",
        "A UUID such as 6f0d7f3a-5a0e-4a57-9d1e-2f6a1c0b9e44, or 2026-03-09T12:15:30.250Z.",
        "YYYY-MM-DDTHH:mm:ss.SSSZ",
        "internationalization, electroencephalography",
        "x509v3 k8s i18n OAuth2Token1 v1beta1",
        "Jürgen 東京 \u{1f600}",
        "x [REDACTED_github_token]kXq8Zr3TtB9wLm4 y",
    ];
    for text in prose {
        assert!(!has_random_word(text), "{text}");
        assert!(!is_password_word(text), "{text}");
    }
    let random = [
        "the token is kXq8Zr3TtB9wLm4",
        "(5f2a91c07d3e44b1)",
        "\"Vx#8kQ!2mZ&7tLp\" works",
        "hB9x/T2mKz4Qr7s+",
        "see https://a.example/3f9c2b7d41e8a05f6c2d",
        "of https://a.example/x?key=kXq8Zr3TtB9wLm4.",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:kXq8Zr3TtB9wLm4",
        "qwxzkvbnmjgfdp",
    ];
    for text in random {
        assert!(has_random_word(text), "{text}");
    }
    for text in ["hunter2hunter2!", "p4ss1w0rd", "'a1b2c3d4'"] {
        assert!(is_password_word(text), "{text}");
    }
}

#[test]
fn a_given_name_consists_of_words_and_small_numbers() {
    let names = [
        "db",
        "orders-db-v2",
        "my-postgresql",
        "default-token-x7k2p",
        "app-config-7b5t8k2m4h",
        "POSTGRES_PASSWORD",
        "team/apps/apiToken",
        "sh.helm.release.v1.app.v3",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
        "${DB_SECRET}",
        "{{ .Values.secret }}",
        "https://vault.example.com/v1/x",
    ];
    for text in names {
        assert!(is_given_name(text.as_bytes()), "{text}");
    }
    let long = "a-".repeat(200);
    let values = [
        "12345678",
        "hunter2hunter2",
        "Vx#8kQ!2mZ&7tLp",
        "kXq8Zr3TtB9wLm4",
        "5f2a91c07d3e44b1",
        "hB9x/T2mKz4Qr7s",
        "a word and more",
        long.as_str(),
    ];
    for text in values {
        assert!(!is_given_name(text.as_bytes()), "{text}");
    }
}

#[test]
fn links_and_patterns_are_told_from_secrets() {
    let links = [
        "",
        "#",
        "#/$defs/Pet",
        "#/definitions/io.k8s.api.core.v1.SecretKeySelector",
        "#address",
        "../common.json#/$defs/Id",
        "https://example.org/schemas/login-v2.json#/definitions/User",
    ];
    for text in links {
        assert!(is_link(text), "{text}");
    }
    for text in ["#/$defs/kXq8Zr3TtB9wLm4", "kXq8Zr3TtB9wLm4", "#Vx8kQ!2mZ&7tLp", "a b"] {
        assert!(!is_link(text), "{text}");
    }
    let patterns = [
        r"^[A-Za-z0-9_-]{43}$",
        r"^(?:sk|pk)-(live|test)_[0-9A-Za-z]{24,}$",
        r"^\d{4}-\d{2}$",
        r".*\.(png|jpg|jpeg|gif|svg|webp)$",
        "^[123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz]+$",
    ];
    for text in patterns {
        assert!(is_plain_pattern(text), "{text}");
    }
    for text in ["kXq8Zr3TtB9wLm4", "^kXq8Zr3TtB9wLm4$", "hunter2hunter2", "a[", "Vx#8kQ!2mZ&7tLp"]
    {
        assert!(!is_plain_pattern(text), "{text}");
    }
}
