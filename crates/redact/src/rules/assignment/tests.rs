use crate::{Redactions, Sanitizer};

const SECRET: &str = "q7Xk2Lm9Zt4RvB8sWn3D";

fn redacted(text: &str) -> String {
    Sanitizer::default().redact_str(text).into_owned()
}

/// Asserts that each text loses the secret in the place of `@` and nothing else.
fn assert_found(secret: &str, texts: &[&str]) {
    for text in texts {
        let out = redacted(&text.replace('@', secret));
        let (before, behind) = text.split_once('@').unwrap();
        assert_eq!(redacted(&out), out);
        assert!(!out.contains(secret), "{text}: {out}");
        assert!(out.starts_with(before) && out.ends_with(behind), "{text}: {out}");
    }
}

fn assert_stays(texts: &[&str]) {
    for text in texts {
        assert_eq!(redacted(text), *text);
    }
}

#[test]
fn a_password_may_begin_with_any_mark() {
    for mark in "!#$%&*+-./:?^_~([{<".chars() {
        let secret = format!("{mark}q7Xk2Lm9Zt4R");
        for text in [
            "DB_PASSWORD=@",
            "  password: @",
            "host=a.example.com password=@ user=x",
            "connect(user='x', password='@')",
            "INFO {\"user\":\"x\",\"password\":\"@\"}",
            "Server=a.example.com;Password=@;Encrypt=True",
        ] {
            let out = redacted(&text.replace('@', &secret));
            assert!(!out.contains("q7Xk2"), "{secret} in {text}: {out}");
        }
    }
    assert_found("/q7L/GXRe6wFigJYYGo96Mvq+k0h=", &["SECRET_KEY=@", "AccountKey=@;x=1"]);
}

#[test]
fn names_have_last_words_and_other_languages() {
    assert_found(
        SECRET,
        &[
            "level=info passwordOld=@ n=3",
            "tool run --password-new @ --n 3",
            "tool run --passwordold @",
            "password_backup: @",
            "Dim strPassword As String = \"@\"",
            "signaturekey=@",
            "openaikey: @",
            "APP_PREVIOUS_KEYS=@",
            "auth_code=@",
            "API_HASH=@",
            "totp_seed: '@'",
        ],
    );
    assert_found("381", &["security_code=@", "card_security_code: \"@\""]);
    assert_stays(&[
        "contrase\u{f1}a: incorrecta",
        "pw=$PASSWORD pw=yes",
        "security_code=600519 device_code=required",
        "apt-key adv --recv-keys 71F0CE97D0F6E92F6931B84FCC0768C3D918C58D",
        "file_count=12 threshold=0.5 hash: x",
    ]);
}

#[test]
fn sessions_are_found_by_the_names_of_their_cookies() {
    assert_found(
        SECRET,
        &[
            "PHPSESSID=@; path=/",
            "const cfg = { JSESSIONID: '@' }",
            "GET /app;jsessionid=@",
            "cookies={'sessionid': '@'}",
            "<Cookie sessionid=@ for shop.test/>",
            ":connect.sid => '@',",
            "ASP.NET_SessionId: @",
            ".shop.test\tTRUE\t/\tFALSE\t1799999999\tcart\t@",
        ],
    );
    assert_stays(&[
        "sessionid=6f0d7f3a-5a0e-4a57-9d1e-2f6a1c0b9e44",
        "sessionId=q7Xk2Lm9Zt4RvB8sWn3D session_id: q7Xk2Lm9Zt4RvB8sWn3D",
        "PHPSESSID=your-session",
        "a\tTRUE\tb\tTRUE\t17\tcart\tq7Xk2Lm9Zt4RvB8sWn3D",
    ]);
}

#[test]
fn a_uuid_is_a_key_in_variables_and_headers() {
    let uuid = "8b84a3d5-ccaa-442e-a896-10dc664e32b8";
    assert_found(
        uuid,
        &["MAILER_KEY=@", "bearer: \"@\"", "creds=@", "X-Search-Key: @", "Cfg(FAL_KEY='@')"],
    );
    assert_stays(&[
        "PARTITION_KEY=8b84a3d5-ccaa-442e-a896-10dc664e32b8",
        "tenant_key=8b84a3d5-ccaa-442e-a896-10dc664e32b8",
        "MAILER_KEY=00000000-0000-0000-0000-000000000000",
    ]);
}

#[test]
fn a_literal_default_is_a_secret() {
    assert_found(
        SECRET,
        &[
            "password: {{ db_password | default('@') }}",
            "  password: {{ .Values.password | default \"@\" | quote }}",
            "config('SECRET_KEY', default='@')",
            "parser.add_argument('--password', default=\"@\")",
            "api_key: SecretStr = Field(default=\"@\")",
            "env::var(\"DB_PASSWORD\").unwrap_or_else(|_| \"@\".into())",
            "password: |\n  @\n",
            "client_secret: >-\n    @",
        ],
    );
    assert_stays(&[
        "password: {{ db_password | default('changeme') }}",
        "password: {{ lookup('env', 'DB_PASSWORD_V2') }}",
        "variable \"db_password\" {\n  default = null\n}",
    ]);
}

#[test]
fn names_are_found_in_the_marks_of_prose() {
    assert_found(
        SECRET,
        &[
            "- **API key**: `@`",
            "| **Client Secret** | `@` |",
            "**DB_PASSWORD** = @",
            "<strong>Password:</strong> @",
            "<b>Password</b>: @",
            "DB_PASSWORD \u{2192} @",
            "`DB_PASSWORD` \u{2192} `@`",
            "password: \u{201c}@\u{201d}",
            "\u{201c}password\u{201d}: \u{201c}@\u{201d}",
            "password:\u{a0}@",
            "DB_PASSWORD\u{a0}=\u{a0}@",
        ],
    );
    assert_stays(&[
        "| Client Secret | `string` |",
        "**token**: the text between two blanks",
        "<b>Password</b>: required",
        "token \u{2192} user",
    ]);
}

#[test]
fn other_languages_write_values_in_their_own_ways() {
    assert_found(
        SECRET,
        &[
            "$ENV{DB_PASSWORD} = '@';",
            "{password, \"@\"},",
            "  clientSecret:: '@',",
            "x_password=$'@'",
            "Config(user = u, password = Some(@))",
            " Password: (string) (len=20) \"@\",",
            "<property name = \"password\" value = \"@\"/>",
            "msg={\\u0022password\\u0022:\\u0022@\\u0022}",
        ],
    );
    assert_stays(&["Some(password) = None", "const {token, name} = x;", "password: [MASKED]"]);
}

#[test]
fn blanks_around_a_sign_may_be_many() {
    assert_found(
        SECRET,
        &[
            "JWT_SECRET:                              @",
            "db_password                     = \"@\"",
            "api_key:\t\t\t\t@",
            "'api_key'                       => '@',",
        ],
    );
}

#[test]
fn a_secret_is_found_in_the_column_after_its_name() {
    assert_found(
        SECRET,
        &[
            "client_secret        @",
            "a\nAPI_SECRET\t@\nb\tc",
            "| DB_PASSWORD | @ |",
            "|DB_PASSWORD|@|the database|",
            "| `API_KEY` | `@` | lemon |",
            "│ SMTP_PASSWORD     │ @ │",
            " db_password   | @",
            "Name        Value\n----        -----\npassword    @\nuser        x",
        ],
    );
    assert_stays(&[
        "otter-token-x7d2k   kubernetes.io/service-account-token   3      12d",
        "db-password         Opaque                                1      3d",
        "DB_PASSWORD   2026-03-09T12:15:30Z",
        "api-key:  53 bytes",
        "| `DB_PASSWORD` | required | password of the lemon1 database |",
        "| user1 | password2 | token3 |",
        "The password       of the otter1 user must be changed every 51 days.",
        "| `API_KEY` | `$API_KEY2` |",
        "token    1.12.3-beta.4",
    ]);
}

#[test]
fn a_type_may_be_between_a_name_and_its_value() {
    assert_found(
        SECRET,
        &[
            "apiToken: string = \"@\";",
            "apiToken?: string | null = '@'",
            "const API_KEY: &'static str = \"@\";",
            "var apiToken string = \"@\"",
            "password: Optional[str] = \"@\"",
            "char password[32] = \"@\";",
            "private static final String PASSWORD = \"@\";",
        ],
    );
    assert_stays(&[
        "def login(user: str, password: str, token: Optional[str] = None) -> Token5:",
        "type Token = { type: \"identifier2\"; value: string }",
        "password: string;",
    ]);
}

#[test]
fn a_secret_is_found_after_any_sign() {
    assert_found(
        SECRET,
        &[
            "API_KEY ?= @",
            "API_KEY::=@",
            "$apiKey .= \"@\"",
            "if (token === \"@\") {",
            "if token != \"@\":",
            "process.env.JWT_SECRET || \"@\"",
            "process.env.API_KEY ?? '@'",
            "os.getenv(\"API_KEY\") or \"@\"",
            "os.getenv(\"API_KEY\", \"@\")",
            "${API_KEY:-@}",
            "password_here=@",
            "token2 = \"@\"",
            "config[\"apiKey\"] = \"@\"",
            "client.setPassword(\"@\")",
            ".apiKey('@')",
            "Password: ['@']",
            "password: Some(\"@\")",
            "secret=SecretStr('@')",
            "String::from(x); api_key = String::from(\"@\")",
            "apiKey = b\"@\"",
        ],
    );
    assert_found(SECRET, &["API key: @", "the Secret key: '@'"]);
    assert_stays(&[
        "request.getParameter(\"password6Xk2Lm9Z\")",
        "if password != confirm_password or token == castle_token:",
        "let secret = Secret::from_env(\"LEMON_SECRET_2\")?;",
        "token = os.environ[\"LEMON_TOKEN_2\"]",
        "the foreign key: reports/2026/otter-4711",
    ]);
}

#[test]
fn code_and_references_are_not_secrets() {
    assert_stays(&[
        "accessToken: process.env.LEMON_API_KEY2!,",
        "password=self.config.otter.password_v9,",
        "token := cfg.Token6",
        "client_secret = azuread_application_password.otter5.value",
        "const { token: accessToken4 } = await lemon()",
        "password: *db_password1",
        "api_key: !secret lemon_key1",
        "password=&user=otter123",
        "arn:aws:secretsmanager:eu-west-1:099502194680:secret:prod/otter-bIOQn4",
        "PASS: TestParseHeadersV2 (0.01s)",
        "pass=12345678 pass=2nd pass: lemon7",
        "otter: pass=44 fail=1",
        "SORT_KEY=created_at_2026_03",
        "nextPageToken=7yCkVtCtitsgopo7fCwJa1",
    ]);
    assert_found("aK3xQ9t.B7zLm2.9Xk4", &["DB_PASSWORD=@", "password: \"@\""]);
}

#[test]
fn a_name_with_a_demand_needs_a_value_of_that_form() {
    assert_found(
        SECRET,
        &[
            "MISTRAL_KEY=@",
            "export GITLAB_PAT=\"@\"",
            "gateway_auth: @",
            "ftp user=x pass=@",
            "bearer: \"@\"",
            "API_KEY_PROD=@",
        ],
    );
    assert_found("base64:nIfq7Xk2Lm9Zt4RvB8sWn3Dw+aw=", &["APP_KEY=@"]);
    assert_found("4711", &["otp=@", "pin: \"@\"", "card_cvv=@ x"]);
    assert_found("536904399", &["ssn: @", "\"ssn\":\"@\""]);
    let phrase = ["otter", "lemon", "river"].repeat(4).join(" ");
    assert_found(&phrase, &["seed_phrase: @", "MNEMONIC=\"@\""]);
    assert_stays(&["pin: 13", "gpio pin=7", "otp: enabled", "ssn: required", "jwt: true"]);
}

#[test]
fn structures_judge_such_values_alike() {
    let line = |given: &str| {
        let mut out = String::new();
        Sanitizer::default().redact_line(given, &mut out, &mut Redactions::default());
        out
    };
    for name in ["MISTRAL_KEY", "GITLAB_PAT", "gateway_auth", "pass", "jwt", "bearer"] {
        for given in [
            format!("{{\"{name}\":\"{SECRET}\"}}"),
            format!("{{\"a\":[{{\"name\":\"{name}\",\"value\":\"{SECRET}\"}}]}}"),
            format!("{{\"value\":\"{SECRET}\",\"name\":\"{name}\"}}"),
            format!("{{\"arguments\":\"{{\\\"{name}\\\":\\\"{SECRET}\\\"}}\"}}"),
            format!("{{\"{name}\":\"{SECRET}\""),
            format!("[{{\"name\":\"{name}\",\"value\":\"{SECRET}\""),
        ] {
            let out = line(&given);
            assert!(!out.contains(SECRET), "{given}: {out}");
            assert_eq!(line(&out), out);
        }
        let given = format!("{{\"{name}\":\"otter_lemon\",\"n\":{{\"{name}\":[1,true,null]}}}}");
        assert_eq!(line(&given), given);
    }
    let given = r#"[{"ParameterKey":"DBPassword","ParameterValue":"otter"}]"#;
    assert!(!line(given).contains("otter"));
    let given = r#"{"SecretString":"{\"user\":\"otter\",\"password\":\"lemon\"}"}"#;
    assert_eq!(line(given), given.replace("lemon", "[REDACTED]"));
}

#[test]
fn code_after_a_name_is_no_secret() {
    assert_stays(&[
        "password = @{type = \"str\"; no_log = $true }",
        "$password = [NullString]::Value",
        "LEMON_SECRET = 0x00000020,",
        "if self.update_password == 'always' and x:",
        "assert otter_pass == 'VALUE_FROM_THE_PARAMETER'",
        "prompt = \"%s password[of lemon]: \" % otter_method",
        "    LEMON_PASSWORD=lemon_password,",
        "lemon_password: @LEMON1_PASSWORD",
        "aws.secret_access_key = ec2_secret_key",
        "'BAD_PASSPHRASE': LemonBadPassphrase,",
        "--vault-password-file my-password format_1_2_AES256.yml",
    ]);
    assert_found(
        "kXqZvTrPw",
        &["token = \"@\"", "    client_secret: '@'", "API_KEY=@", "`secret_key`: `@`"],
    );
    assert_found("0x9f86d081884c7d659a2f", &["secret = @,", "LEMON_SECRET=@"]);
    assert_found("@{Vt8Lq2mZ", &["password: @"]);
}

#[test]
fn a_value_in_a_url_may_contain_its_signs() {
    for (before, secret, after) in [
        ("https://h.test/cb#access_token=", "ab#cd9Xk2Lm4Zt", ""),
        ("https://h.test/cb#access_token=", "Rk4tW9xQz2Lm#Vb7NcP3s", "&state=x"),
        ("https://h.test/p?token=", "Rk4tW9xQz2Lm&Vb7NcP3s", "&n=2"),
        ("https://h.test/p?code=", "Rk4tW9xQz2LmVb7N!cP3s", "&n=2"),
        ("https://h.test/p?api_key=", "Rk4tW9xQz2Lm", "&debug&n=2"),
        ("https://h.test/p?api_key=", "Rk4tW9xQz2Lm", "#section-2"),
        ("https://h.test/p?api_key=", "Rk4tW9xQz2Lm", "&V1"),
        ("https://h.test/p?api_key=", "Rk4tW9xQz2Lm", "&amp;n=2"),
        ("see https://h.test/p?sig=", "Rk4tW9xQz2Lm", ": refused"),
    ] {
        let out = redacted(&format!("{before}{secret}{after}"));
        assert_eq!(out, format!("{before}[REDACTED_url_parameter]{after}"));
        assert_eq!(redacted(&out), out);
    }
    assert_stays(&["https://h.test/p?key=${LEMON_API_KEY2}&n=1", "https://h/p?sort_key=a!b#c2d4"]);
}

#[test]
fn names_in_the_plural_have_values_too() {
    let secret = "Rk4tW9xQz2LmVb7N";
    assert_found(
        secret,
        &[
            "API_KEYS=@",
            "auth_tokens: @",
            "PRIVATE_KEYS=@",
            "secret_keys = [\"@\"]",
            "API_TOKENS=@",
        ],
    );
    assert_stays(&["sort_keys=Rk4tW9xQz2LmVb7N", "tokens: 4096", "cache_keys=Rk4tW9xQz2LmVb7N"]);
}

#[test]
fn every_value_of_a_list_or_of_a_change_goes() {
    for (given, expected) in [
        ("passwords = [ \"otter-1x\", \"lemon-2y\" ]", "passwords = [ \"*\" ]"),
        ("  ~ password = \"otter-1x\" -> \"lemon-2y\"", "  ~ password = \"*\""),
        ("  ~ api_token = 'Rk4tW9xQz2LmVb7N' => 'lemon-2y' # x", "  ~ api_token = '*' # x"),
        ("  ~ password = \"otter-1x\" -> (known later)", "  ~ password = \"*\" -> (known later)"),
        ("  ~ password = \"otter-1x\" -> \"lemon", "  ~ password = \"*\" -> \"lemon"),
    ] {
        let out = redacted(given);
        assert_eq!(out, expected.replace('*', "[REDACTED_credential]"), "{given}");
        assert_eq!(redacted(&out), out);
    }
}

#[test]
fn a_quote_that_is_escaped_does_not_end_a_value() {
    assert_found(
        "a\\\"q7Xk2Lm9Zt4",
        &["password=\"@\"", "api_key: \"@\", x: \"lemon\"", "login --password \"@\" -v"],
    );
    assert_found("a\\'q7Xk2Lm9Zt4", &["'password': '@'", "set secret = '@';"]);
    assert_found("a\\\\\\\"q7Xk2Lm9Zt4", &["{\\\"password\\\": \\\"@\\\", \\\"x\\\": 1}"]);
    // A backslash at the end of a value escapes nothing.
    for (given, expected) in [
        ("password='q7Xk2Lm9\\' ok", "password='*\\' ok"),
        ("password=\"q7Xk2Lm9\\\\\", x=\"lemon\"", "password=\"*\\\\\", x=\"lemon\""),
        ("\"password=\\\"\" + lemon + \"\\\"\"", "\"password=\\\"\" + lemon + \"\\\"\""),
    ] {
        let out = redacted(given);
        assert_eq!(out, expected.replace('*', "[REDACTED_credential]"), "{given}");
        assert_eq!(redacted(&out), out);
    }
}

#[test]
fn a_value_in_quotes_of_html_goes() {
    assert_found(
        "q7X;k2<L'm9",
        &[
            "password=&quot;@&quot;",
            "{&quot;password&quot;: &quot;@&quot;, &quot;a&quot;:1}",
            "password: &#39;@&#39; x",
            "%22password%22%3A%22@%22",
        ],
    );
    assert_stays(&["password=&quot;&quot;", "type=&quot;password&quot; name=&quot;lemon7&quot;"]);
}

#[test]
fn a_tag_or_an_anchor_may_be_before_a_value() {
    assert_found(
        "q7Xk2Lm9",
        &[
            "password: !!str @",
            "password: !!str \"@\"",
            "  db_password: &main @",
            "password: !unsafe '@'",
        ],
    );
    assert_found(SECRET, &["api_key: &key !!str @", "secret: !!binary @ # lemon"]);
    assert_stays(&[
        "password: &mut lemon_buffer,",
        "password: !Ref LemonPassword1",
        "password: !!str",
        "secret: &main [REDACTED_credential]",
    ]);
}

#[test]
fn what_follows_a_placeholder_that_no_rule_has_put_there_goes() {
    assert_found(
        "q7Xk2Lm9Zt4R",
        &[
            "password=[REDACTED]@",
            "password: [REDACTED_credential]@",
            "api_key=\"[REDACTED_credential]@\"",
            "Authorization: Bearer [REDACTED_authorization]@",
            "https://h.test/p?token=[REDACTED_url_parameter]@&n=1",
        ],
    );
    assert_stays(&[
        "password=[REDACTED_credential]&x=1",
        "password=[REDACTED_credential].",
        "Authorization: Bearer [REDACTED_authorization], x",
        "secret=[REDACTED]|base64",
    ]);
}

#[test]
fn a_chosen_word_with_a_digit_is_a_password_beside_its_short_name() {
    assert_found("lemon77", &["pass=@", "user=x pass=@", "PASS=\"@\"", "a;pass=@;b"]);
}

#[test]
fn a_soft_hyphen_in_a_name_hides_no_value() {
    assert_found(
        SECRET,
        &["pass\u{AD}word=@", "the api\u{AD}_key: @ and more", "client_se\u{AD}cret = \"@\""],
    );
    assert_stays(&["a long pass\u{AD}word is bet\u{AD}ter"]);
}

#[test]
fn a_random_word_with_brackets_and_separators_goes_whole() {
    for mark in "(){}[]<>,;|`\\:&".chars() {
        for secret in [format!("{mark}q7Xk2Lm9Zt4RvB8"), format!("q7Xk2Lm9{mark}Zt4RvB8")] {
            for text in [
                "DB_PASSWORD=@",
                "  password: @",
                "a=1\nexport DB_PASSWORD=@\nb=2",
                "host=a.example.com password=@ user=x",
                "--password=@",
                "Server=a.example.com;Password=@;Encrypt=True",
            ] {
                if mark == ';' && text.starts_with("Server")
                    || mark == '\\' && secret.starts_with(mark)
                {
                    continue;
                }
                let out = redacted(&text.replace('@', &secret));
                assert!(
                    !out.contains("q7Xk2") && !out.contains("Zt4Rv"),
                    "{secret} in {text}: {out}"
                );
                assert_eq!(redacted(&out), out);
            }
        }
    }
    for (given, expected) in [
        ("login(user, password=q7Xk2Lm9Zt4RvB8)", "login(user, password=*)"),
        ("password=q7Xk2Lm9Zt4R,user=otter", "password=*,user=otter"),
        ("<p>password: q7Xk2Lm9,Zt4RvB8</p>", "<p>password: *,Zt4RvB8</p>"),
        ("DB_PASSWORD=q7Xk2Lm9Zt4R|base64", "DB_PASSWORD=*|base64"),
    ] {
        assert_eq!(redacted(given), expected.replace('*', "[REDACTED_credential]"), "{given}");
    }
    assert_stays(&[
        "DB_PASSWORD=get_secret(otter1)",
        "  password: string[],",
        "token=foo(bar2)[3],",
        "  secret: {secretName: otter-1}",
    ]);
}

#[test]
fn the_last_byte_of_a_random_value_may_be_that_of_code() {
    assert_found(
        "q7Xk2Lm9Zt4R(",
        &["password='@'", "C { password: Some(\"@\") }", "IDENTIFIED BY '@'"],
    );
    assert_found("q7Xk2Lm9Zt4R:", &["DB_PASSWORD: \"@\"", "login --password '@'"]);
    assert_found(":q7Xk2Lm9Zt4R", &["CREATE USER x IDENTIFIED BY '@'"]);
    assert_found("2!3$RV***iup#yRG", &["DB_PASSWORD=@"]);
    assert_stays(&["password = \"enter your password:\"", "IDENTIFIED BY ':new_password'"]);
}

#[test]
fn emphasis_colours_and_typography_may_be_around_a_sign() {
    assert_found(
        SECRET,
        &[
            "- **API key**: `@`",
            "**DB_PASSWORD**: @",
            "<strong>Password:</strong> @",
            "<b>API key</b>: <code>@</code>",
            "\u{1B}[1mAPI_KEY:\u{1B}[0m \u{1B}[32m@\u{1B}[0m",
            "\u{1B}[34mpassword\u{1B}[0m: '@'",
            "DB_PASSWORD → @",
            "password: “@”",
            "api_key:\u{A0}@",
        ],
    );
}

#[test]
fn code_between_a_name_and_a_random_value_does_not_hide_it() {
    assert_found(
        SECRET,
        &[
            "password: {{ db_password | default('@') }}",
            "  password: {{ .Values.password | default \"@\" | quote }}",
            "SECRET_KEY = config('SECRET_KEY', default='@')",
            "  api_key: SecretStr = Field(default=\"@\")",
            "gh secret set DB_PASSWORD --body @",
            "strcpy(password, \"@\");",
            "get('#password').type('@')",
            "fill('input[name=password]', '@')",
            "let(:password) { '@' }",
            "{password, \"@\"}",
            "$ENV{DB_PASSWORD} = '@';",
            "http.Header{\"X-Api-Key\":[]string{\"@\"}}",
            "l_password VARCHAR2(64) := '@';",
            "Dim strPassword As String = \"@\"",
            "user%5Bname%5D=x&user%5Bpassword%5D=@&commit=Go",
            "x={\\u0022password\\u0022:\\u0022@\\u0022}",
            "password: |\n  @\nport: 80",
            "API_KEY:\n  @",
        ],
    );
    assert_stays(&[
        "strcpy(password, \"the other otter\");",
        "config('SECRET_KEY', default='change-me-later')",
        "get('#password').type('lemon_password_field')",
        "password:\n  min_length: 12",
        "const [password, setPassword] = useState(\"\");",
        "login(email: String!, password: String!): Session!",
        "    var password: String? = null",
        "\ttoken := &oauth2.Token{AccessToken: otter, Expiry: lemon}",
        "FIELDS = ('password', 'last_login2', 'email')",
        "'password' => 'required|string|min:8',",
        "password: incorrect",
        "password: [MASKED]",
        "gpg:                using RSA key 5DE1F0B3C7A9284E6D11BF03A2C94E7780AD51C6",
        "\"amqp://%s:%s@%s:5672\"",
        "https://api.lemon.test/v1?key=YOUR_API_KEY&n=1",
    ]);
}
