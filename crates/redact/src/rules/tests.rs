use crate::samples::{sample_secrets, sample_token_body};
use crate::{Kind, Sanitizer};

fn redacted(text: &str) -> String {
    Sanitizer::default().redact_str(text).into_owned()
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
