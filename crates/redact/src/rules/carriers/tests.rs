//! Tests of carriers without a sign.

use crate::Sanitizer;

fn assert_carried(cases: &[(&str, &str, &str)]) {
    for (before, secret, after) in cases {
        let text = format!("{before}{secret}{after}");
        let once = Sanitizer::default().redact_str(&text).into_owned();
        assert_eq!(once, format!("{before}[REDACTED_credential]{after}"), "{text}");
        assert_eq!(Sanitizer::default().redact_str(&once), once);
    }
}

#[test]
fn values_in_markup_go() {
    assert_carried(&[
        ("<server><password>", "blue7Moon", "</password></server>"),
        ("<s:clientSecret type=\"x\">", "Zk3mQ9x2Lw8v", "</s:clientSecret>"),
        ("<password><![CDATA[", "blue7Moon", "]]></password>"),
        ("<key>password</key>\n  <string>", "blue7Moon", "</string>"),
        ("<td>password</td><td>", "Zk3mQ9x2Lw8v", "</td>"),
        ("<add key=\"ApiKey\" value=\"", "Zk3mQ9x2Lw8v", "\"/>"),
        ("<input name='password' id=x value='", "blue7Moon", "'>"),
        ("<entry key=\"db.password\">", "blue7Moon", "</entry>"),
        ("<Parameter Name=\"Password\" Value=\"", "blue7Moon", "\" />"),
        ("<input value=\"", "blue7Moon", "\" type=\"password\" name=\"password\">"),
        ("<setting name=\"ApiKey\" as=\"x\"><value>", "Zk3mQ9x2Lw8v", "</value></setting>"),
        ("<setting name=\"ApiKey\" as=\"x\">\n  <value>", "Zk3mQ9x2Lw8v", "</value>\n</setting>"),
        ("&lt;password&gt;", "blue7Moon", "&lt;/password&gt;"),
        ("<string name=\"api_key\">", "Zk3mQ9x2Lw8v", "</string>"),
    ]);
}

#[test]
fn values_in_statements_and_forms_go() {
    assert_carried(&[
        ("ALTER USER ana WITH ENCRYPTED PASSWORD '", "blue7Moon", "';"),
        ("create user ana identified by '", "blue7Moon", "'"),
        ("CREATE USER ana IDENTIFIED WITH sha256_password BY '", "blue7Moon", "'"),
        ("CREATE USER ana IDENTIFIED BY ", "blue7Moon", ";"),
        ("form-data; name=\"password\"\r\n\r\n", "blue7Moon", "\r\n--b--"),
        ("CREATE LOGIN ana WITH PASSWORD = N'", "blue7Moon", "';"),
        ("UID=sa;PWD={", "blue7;Moon", "};"),
    ]);
}

#[test]
fn values_on_command_lines_and_in_files_of_settings_go() {
    assert_carried(&[
        ("deploy --token ", "Zk3mQ9x2Lw8v", " --region x"),
        ("deploy --token ", "UfhnYfxeauupsmDGsYLxxYJvjh", ""),
        ("deploy --token ", "-cZzLDOkImgac0EY76O7", " --x"),
        ("deploy --password ", "blue7Moon", ""),
        ("ENV SMTP_PASSWORD ", "blue7Moon", ""),
        ("aws configure set aws_session_token ", "Zk3mQ9x2Lw8v", ""),
        ("git config --global user.password ", "blue7Moon", ""),
        ("machine h login ana password ", "blue7Moon", ""),
        ("machine h login ana account shop password ", "blue7Moon", ""),
        ("default login ana password ", "blue7Moon", ""),
        ("the password ", "Zk3mQ9x2Lw8v", " was refused"),
    ]);
}

#[test]
fn values_in_dumps_of_structures_go() {
    assert_carried(&[
        ("Config { password: Some(\"", "blue7Moon", "\") }"),
        ("Config { api_key: Some(Secret(\"", "Zk3mQ9x2Lw8v", "\")) }"),
        ("INFO {\"passwords\":[\"", "blue7Moon19\",\"red8Sun20", "\"]}"),
        ("data: {\"access_token\":\"", "Zk3m7", "\"}"),
        ("map[X-Api-Key:[", "Zk3mQ9x2Lw8v", "] Accept:[*/*]]"),
        ("[\"password\"]=> string(9) \"", "blue7Moon", "\""),
        ("s:8:\"password\";s:9:\"", "blue7Moon", "\";"),
        ("    [password] => ", "blue7Moon", ""),
    ]);
}

#[test]
fn names_of_headers_and_registries_carry_secrets() {
    assert_carried(&[
        ("X-Honeycomb-Team: ", "Zk3mQ9x2Lw8vRt5y", ""),
        ("curl -H 'X-Auth-Token: ", "QOskVguoOGMVTpxsKXoFcrk=", "' https://h/x"),
        ("x-functions-key: ", "Zk3mQ9x2Lw8vRt5yBn1c", ""),
        ("X-Registry-Auth: ", "Zk3mQ9x2Lw8vRt5yBn1c", ""),
        ("//npm.test/:_auth=", "YW5hOmJsdWVNb29u", ""),
        ("npmAuthIdent: \"", "ana:blue7Moon9", "\""),
        ("FLY_API_TOKEN=\"", "FlyV1 fm2_Zk3mQ9x2Lw8vRt5yBn1c", "\""),
        ("APP_API_TOKEN=", "12|Zk3mQ9x2Lw8vRt5yBn1c", ""),
        ("DB_PASSWORD=", "b7Mn", ""),
    ]);
    assert_eq!(
        Sanitizer::default().redact_str("user=ana&password=12345&n=1"),
        "user=ana&password=[REDACTED_url_parameter]&n=1"
    );
    for text in ["API_TOKEN=$A|base64", "Sec-WebSocket-Key: 9POVElGOAvza6JK7mGkDOw==", "team: 7a"] {
        assert_eq!(Sanitizer::default().redact_str(text), text);
    }
}

#[test]
fn names_without_a_value_stay() {
    for text in [
        "<label for=\"password\">Password of the shop</label>",
        "<user><password></password></user> <input name=\"password\" value=\"\">",
        "mysql://ana:<password>@db.corp.test:3306/x1",
        "curl -u <user>:<password> https://h1/x",
        "SELECT id, password, token FROM users WHERE age > 17",
        "CREATE TABLE t (password varchar(117), token TEXT NOT NULL)",
        "docker build --secret id=npmrc,src=x1 -t web1 .",
        "tool --max-tokens 4096 --stop-token END --token \"$TOKEN\"",
        "password: Env(\"DB_PASSWORD_1\"), token = Deno.env.get(\"API_TOKEN_1\")",
        "{\"properties\":{\"password\":{\"type\":\"string\",\"minLength\":8}}} text",
        "event: x data: {\"token\":\"v2\"}",
        "/strong-password\":\"/en/server@3.0/auth\", the secret key:a1",
        "password must have 8 characters, the token Sha256PasswordHasher",
        "the --username and --password options, a passwd record, login password aging",
        "token = { value: '', depth1: 0 }; PASSWORD = ObjectIdentifier(\"1.2.840.1135\")",
        "default login screen; machine learning login password",
    ] {
        assert_eq!(Sanitizer::default().redact_str(text), text);
    }
}

#[test]
fn a_password_in_a_netrc_goes_whatever_the_login_is() {
    let redacted = |text: &str| Sanitizer::default().redact_str(text).into_owned();
    for (entry, password) in [
        ("machine git.corp.test login ana@corp.test password ", "blue7"),
        ("machine git.corp.test\n  login ana@corp.test\n  account dev\n  password ", "moon"),
        ("machine git.corp.test password ", "Zk3mQ9x2"),
        ("default login ana@corp.test\npassword ", "blue"),
        ("machine h login \u{200b}ana password ", "blue7"),
    ] {
        let out = redacted(&format!("{entry}{password}\nmachine x"));
        assert!(out.ends_with(" [REDACTED_credential]\nmachine x"), "{entry}: {out}");
        assert_eq!(redacted(&out), out);
    }
    for text in ["the default password is seven", "our machine login needs a password again"] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_variable_with_the_name_in_an_annotation_loses_its_value() {
    assert_carried(&[
        ("[Alias(\"password\")] [string] $x = \"", "Zk3mQ9x2Lw8vRt5y", "\""),
        ("@Named(\"apiKey\") private String key = \"", "Zk3mQ9x2Lw8vRt5y", "\";"),
        ("[Option('token')] = '", "Zk3mQ9x2Lw8vRt5y", "'"),
    ]);
    for text in [
        "[Alias(\"password\")] [string] $x = \"the new password\"",
        "@Column(\"token\") String column = \"access_token_2\";",
        "f(\"password\") + g = \"Zk3mQ9x2Lw8vRt5y\"",
    ] {
        assert_eq!(Sanitizer::default().redact_str(text), text);
    }
}

#[test]
fn values_beside_the_member_that_names_them_go() {
    assert_carried(&[
        ("- {name: SMTP_PASSWORD, value: ", "blue7Moon", "}"),
        ("env: [{name: SMTP_PASSWORD, value: \"", "lemon", "\"}, {name: LEVEL, value: debug}]"),
        ("- name: API_TOKEN, value: ", "Zk3mQ9x2Lw8v", ""),
        ("{ name = \"SMTP_PASSWORD\", value = \"", "lemon", "\" }"),
        ("set { name = \"auth.password\" value = \"", "blue7Moon", "\" }"),
        ("level=info name=smtp_password value=", "blue,7Moon", " a=b"),
        ("key=api_key&value=", "Zk3mQ9x2Lw8v", "&x=1"),
        ("[map[name:SMTP_PASSWORD value:", "blue7Moon", "] map[name:LEVEL value:info]]"),
        ("map[value:", "blue7Moon", " name:SMTP_PASSWORD]"),
        ("{:name=>\"SMTP_PASSWORD\", :value=>\"", "blue7Moon", "\"}"),
        ("EnvVar{Name:\"API_TOKEN\", Value:\"", "Zk3mQ9x2Lw8v", "\", ValueFrom:(*Source)(nil)}"),
        ("ParameterKey=SmtpPassword,ParameterValue=", "blue7Moon", ",UsePreviousValue=false"),
        ("Name: SMTP_PASSWORD, Type: SecureString, Value: ", "blue7Moon", ""),
        ("aws ssm put-parameter --name /shop/smtp/password --type x --value ", "blue7Moon", ""),
        ("Set-Secret -Name api-token -Value ", "Zk3mQ9x2Lw8v", ""),
        ("- name: SMTP_PASSWORD\n  value: ", "blue7Moon", "\n- name: LEVEL\n  value: debug"),
        ("  name  = \"smtp.password\"\n  value = \"", "blue7Moon", "\"\n"),
        ("{\\\"name\\\": \\\"SMTP_PASSWORD\\\", \\\"value\\\": \\\"", "lemon", "\\\"}"),
    ]);
}

#[test]
fn values_among_the_members_of_a_name_go() {
    assert_carried(&[
        ("smtp_password = { type = \"string\", value = \"", "lemon", "\" }"),
        ("smtp_password: {sensitive: true, type: string, value: ", "blue7Moon", "}"),
        ("password:{type:string value:", "blue7Moon", "}"),
        ("map[api_key:map[type:string value:", "Zk3mQ9x2Lw8v", "]]"),
        ("smtp_password type=string value=", "blue7Moon", ""),
        ("variable \"smtp_password\" { default = \"", "blue7Moon", "\" }"),
        ("variable \"smtp_password\" {\n  type = string\n  default = \"", "lemon", "\"\n}"),
        ("smtp_password:\n  type: string\n  value: ", "blue7Moon", "\nother: x"),
        ("| SMTP_PASSWORD | string | ", "blue7Moon5", " |"),
        ("SMTP_PASSWORD   SecureString   ", "blue7Moon5", ""),
        ("| key | api_key | value | ", "Zk3mQ9x2Lw8v", " |"),
    ]);
}

#[test]
fn members_that_are_no_values_stay() {
    for text in [
        "{ key: TOKEN, value: token }",
        "new Pair(name=\"token\", value=token)",
        "setEnv({ name: \"API_TOKEN\", value: process.env.API_TOKEN })",
        "EnvVar(name=\"SMTP_PASSWORD\", value=os.environ[\"SMTP_PASSWORD\"])",
        "EnvVar(name=\"SMTP_PASSWORD\", value=read_password())",
        "{name: SMTP_PASSWORD, valueFrom: {secretKeyRef: {name: smtp, key: password}}}",
        "{name: SMTP_PASSWORD, value: $(OTHER)}, {name: LEVEL, value: debugger99x}",
        "- name: SMTP_PASSWORD\n- name: LEVEL\n  value: debugger99x",
        "name: SMTP_PASSWORD\n\nvalue: debugger99x",
        "password:\nvalue: debugger99x",
        "  password:\n  value: debugger99x",
        "the key: password is used, and the value: debugger99x",
        "<input type=password value=\"Show\">",
        "password: {type: string, description: value of the password}",
        "| API_KEY | string | The key of the api |",
        "secrets:[{name:mail-cred-2}]",
    ] {
        assert_eq!(Sanitizer::default().redact_str(text), text);
    }
}

#[test]
fn all_values_of_a_plural_go() {
    assert_carried(&[
        ("passwords=", "blue7Moon,otter9x", ""),
        ("db_passwords: ", "blue7Moon, otter9Lx2", "\n"),
        ("api_keys=", "Zk3mQ9x2Lw8v,Qk3mQ9x2Lw8w", " x=1"),
        ("http.Header{\"X-Api-Key\":[]string{\"", "Zk3mQ9x2Lw8v", "\"}}"),
        ("passwordNew=", "blue7Moon", ""),
    ]);
}

#[test]
fn a_random_string_is_no_placeholder() {
    for value in ["${Zk3mQ9x2Lw8vB4}", "***Zk3mQ9x2Lw8vB4"] {
        let line = format!("SMTP_PASSWORD={value}");
        let redacted = Sanitizer::default().redact_str(&line).into_owned();
        assert!(!redacted.contains("Zk3mQ9x2Lw8vB4"), "{redacted}");
    }
    for value in
        ["${SMTP_PASSWORD}", "***cret", "sk-***abcd", "{{ smtp.pass_v2 }}", "${oauth2Client1}"]
    {
        let line = format!("SMTP_PASSWORD={value}");
        assert_eq!(Sanitizer::default().redact_str(&line), line);
    }
}

#[test]
fn a_name_at_the_end_of_a_long_path_has_no_value_before_it() {
    let path =
        "/production/eu-central-1/benefits-agent/services/checkout/database/primary/OTTER_PASSWORD";
    for line in [format!("name={path}"), format!("Name: {path}"), format!("get --name {path}")] {
        assert_eq!(Sanitizer::default().redact_str(&line), line);
    }
}
