//! Tests of options of commands.

use crate::Sanitizer;

#[test]
fn passwords_behind_short_options_go() {
    for (before, secret, after) in [
        ("curl -s -u ana:", "blue7Moon", " https://h/x"),
        ("curl --user 'ana:", "bluemoon", "' https://h/x"),
        ("http --proxy-user=ana:", "Blue7moon", ""),
        ("curl -u ", "sk9Rm2LqVt8Zw4Xc1Bn7", ": https://h/x"),
        ("mysql -u root -p", "bluemoon", " shop"),
        ("docker login -u ana -p ", "bluemoon", " registry.test"),
        ("sshpass -p '", "blue moon", "' ssh h"),
        ("redis-cli -h h -p 6379 -a ", "bluemoon", " ping"),
        ("http -a ana:", "Blue7moon", " GET h"),
        ("sqlcmd -S h -P ", "bluemoon", " -Q x"),
        ("tool -p ", "Zk3mQ9x2Lw8v", " run"),
    ] {
        let text = format!("{before}{secret}{after}");
        let expected = format!("{before}[REDACTED_credential]{after}");
        assert_eq!(Sanitizer::default().redact_str(&text), expected);
    }
}

/// What was found before the option does not hide the program.
#[test]
fn a_match_between_a_program_and_its_option_hides_neither() {
    let given = "mysql -u ana@shop.test -pOtterLemon7 shop";
    let expected = "mysql -u [REDACTED_email] -p[REDACTED_credential] shop";
    for text in [given, expected] {
        assert_eq!(Sanitizer::default().redact_str(text), expected);
    }
}

#[test]
fn options_that_take_no_password_stay() {
    for text in [
        "docker run -p 8080:80 -u 1000:1000 -u app:app web:1.2",
        "mkdir -p /srv/a1B2c3D4e5 && ls -a crate7",
        "git push -u origin main:main",
        "curl -u \"$USER:$PASSWORD\" --user-agent x/1.0 https://h",
        "ssh -p 2222 h; psql -p 5432 -U ana shop",
        "mysql -p shop",
        "redis-cli -p 6379 ping; curl -b jar.txt h",
        "perldoc -u Some::Module1",
        "pytest -p no:cacheprovider",
        r#"ansible w -m reg -a "path=HKCU:\\Software\\Tool7 name=Shell""#,
    ] {
        assert_eq!(Sanitizer::default().redact_str(text), text);
    }
}

#[test]
fn an_ampersand_in_a_word_is_a_part_of_the_password() {
    for (before, secret, after) in [
        ("mysql -u root -p", "Vt8%q&41m", " shop"),
        ("tool --token ", "v&uu4Zk3mQ9x2Lw8v", " run"),
        ("mysql -p", "&Vt8Lq2mZ", ""),
        ("curl -u ana:", "Vt8&Lq&2mZ", " https://h/x"),
        ("sshpass -p '", "-4vmQ9x2", "' ssh h"),
        ("tool --api-key '", "-4vmQ9x2Lw8v", "'"),
        ("mysql -p", "Vt8Lq2mZ", " && echo otter"),
        ("mysql -p", "Vt8Lq2mZ", "& wait"),
        ("tool --token ", "Zk3mQ9x2Lw8v", "&page=2"),
        ("tool --token ", "Zk3mQ9x2Lw8v", "&quot;"),
        ("set -x LEMON_API_KEY ", "9f86d081884c7d659a2f", ""),
        ("set -Ux LEMON_TOKEN ", "9f86d081884c7d659a2f", ""),
        ("set --global --export LEMON_TOKEN ", "9f86d081884c7d659a2f", "; run"),
    ] {
        let text = format!("{before}{secret}{after}");
        let expected = format!("{before}[REDACTED_credential]{after}");
        assert_eq!(Sanitizer::default().redact_str(&text), expected);
    }
    for text in
        ["mysql -p -u root", "sshpass -p -v ssh h", "vault --token-file token-v1_2_AES256.yml"]
    {
        assert_eq!(Sanitizer::default().redact_str(text), text);
    }
}
