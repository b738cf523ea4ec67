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
        ("sqlcmd -S h -P ", "bluemoon", " -Q x"),
        ("tool -p ", "Zk3mQ9x2Lw8v", " run"),
    ] {
        let text = format!("{before}{secret}{after}");
        let expected = format!("{before}[REDACTED_credential]{after}");
        assert_eq!(Sanitizer::default().redact_str(&text), expected);
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
    ] {
        assert_eq!(Sanitizer::default().redact_str(text), text);
    }
}
