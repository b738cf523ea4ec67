//! Dumps of settings, states and manifests, in which a type and a value are beside each other.

use llm_audit_redact::{Redactions, Sanitizer, debug};

const SECRETS: [&str; 3] = ["k3Jx9vQ2mZ7tLp0WsYb5", "r7!mX@p2Wq#9zK^d", "otter-lemon7"];

fn redacted(line: &str) -> String {
    let mut out = String::new();
    Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    out
}

/// Each text also stands in a string of JSON, where it may have several lines.
fn assert_gone(texts: &[&str]) {
    for (text, secret) in texts.iter().flat_map(|text| SECRETS.map(|secret| (text, secret))) {
        let text = text.replace('@', secret);
        let quoted = serde_json::json!({ "m": text }).to_string();
        let line = if text.contains('\n') { quoted.clone() } else { text };
        for given in [line, quoted] {
            let once = redacted(&given);
            assert!(!once.contains(secret), "{given}: {once}");
            assert_eq!(redacted(&once), once);
        }
    }
}

fn assert_stays(texts: &[&str]) {
    for text in texts {
        let quoted = serde_json::json!({ "m": text }).to_string();
        assert_eq!(redacted(&quoted), quoted);
        if !text.contains('\n') {
            assert_eq!(redacted(text), *text);
        }
    }
}

#[test]
fn values_in_structures_of_go_and_ruby_go() {
    assert_gone(&[
        r#"map[string]interface {}{"password":map[string]interface {}{"type":"string", "value":"@"}}"#,
        r#"map[string]any{"password":map[string]any{"type":"string", "value":"@"}}"#,
        r#"x{"password":struct { Type string; Value string }{Type:"string", Value:"@"}}"#,
        r#"Config{Password:[]uint8("@")}"#,
        r#"map[string]*string{"password":(*string)("@")}"#,
        r#"password: json.RawMessage("@")"#,
        r#"{:password=>{:type=>"string", :value=>"@"}}"#,
        r#"{:db=>{:password=>{:value=>"@", :type=>"string"}}}"#,
        r#"{password: {type: "string", value: "@"}}"#,
        r#"%{password: %{type: "string", value: "@"}}"#,
        r#"{:password {:type "string" :value "@"}}"#,
    ]);
}

#[test]
fn a_type_may_be_before_a_value_without_quotes() {
    assert_gone(&[
        "password (string): @",
        "db_password (sensitive string) = @",
        "password <string>: @",
        "password string = @",
        "DB_PASSWORD: string = @",
        "let password: String = @;",
        "password: (string) @",
        "password: !str @",
    ]);
    assert_stays(&[
        "password (string): The password of the user",
        "password (string, required): The password",
        "password string = required",
        "fn x(password: &str) -> String",
        "let password: String = lemon_password();",
        "private password: string = this.otter.password;",
    ]);
}

#[test]
fn a_type_may_be_between_a_name_and_its_value_in_a_list() {
    assert_gone(&[
        r#"["DB_PASSWORD","string","@"]"#,
        r#"("DB_PASSWORD", "string", "@")"#,
        "('DB_PASSWORD', 'string', '@')",
        r#"{"rows":[["DB_PASSWORD","SecureString","@"],["PORT","number","5"]]}"#,
        r#"log ["DB_PASSWORD","str","@"] end"#,
        r#""DB_PASSWORD","string","@""#,
    ]);
    assert_stays(&[
        r#"["password","string","required"]"#,
        r#"("password", "string", "lemon")"#,
        r#"["plan","string","k3Jx9vQ2mZ7tLp0WsYb5"]"#,
    ]);
}

#[test]
fn values_in_functions_of_terraform_go() {
    assert_gone(&[
        r#"db_passwords = tolist(["@",])"#,
        r#"db_passwords = toset(["lemon-7x", "@"])"#,
        "db_passwords = tolist([\n  \"@\",\n  \"lemon-@\",\n])",
        r#"db_password = tomap({ a = "@" })"#,
        r#"passwords = { a = "lemon-7x", b = "@" }"#,
        r#"db_password = sensitive("@")"#,
        r#"password = sensitive(tostring("@"))"#,
        "variable \"db_password\" {\n  type = string\n  default = \"@\"\n}",
    ]);
    assert_stays(&["password = tomap({ a = var.otter7 })", "passwords = [\n  otter7,\n  \"x\"]"]);
}

#[test]
fn a_flag_makes_a_secret_of_the_value_beside_it() {
    assert_gone(&[
        r#"{"tokens":{"sensitive":true,"type":"string","value":"@"}}"#,
        r#"{"x":{"value":"@","type":"string","sensitive":true}}"#,
        r#"{"x":{"sensitive":true,"type":["list","string"],"value":["@","b"]}}"#,
        r#"{"x":{"value":{"a":["@"]},"sensitive":true}}"#,
        r#"INFO {"key":"FOO","value":"@","isSecret":true} ok"#,
        r#"{"key":"FOO","secret":true,"value":"@"}"#,
        r#"{"Name":"/otter/x","Type":"SecureString","Value":"@"}"#,
        "{'x': {'sensitive': True, 'type': 'string', 'value': '@'}}",
        "output \"x\" {\n  value     = \"@\"\n  sensitive = true\n}",
        "variable \"x\" {\n  sensitive = true\n  default   = \"@\"\n}",
        "x: {sensitive: true, type: string, value: @}",
        "- name: FOO\n  value: @\n  secret: true",
    ]);
    assert_stays(&[
        r#"{"x":{"sensitive":false,"type":"string","value":"otter7lemon"}}"#,
        r#"{"sensitive":true,"type":"string","name":"otter7lemon"}"#,
        r#"{"a":{"sensitive":true},"b":{"value":"otter7lemon"}}"#,
        "x:\n  value: otter7lemon\n  sensitive: false",
    ]);
}

#[test]
fn every_value_of_a_secret_of_kubernetes_goes() {
    assert_gone(&[
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"a":"@"}}"#,
        r#"{"apiVersion":"v1","data":{"a":"@"},"kind":"Secret","stringData":{"b":"@"}}"#,
        r#"{"kind":"List","items":[{"kind":"Secret","data":{"a":"@"}},{"data":{"a":"@"},"kind":"Secret"}]}"#,
        r#"applied {"kind":"Secret","metadata":{"name":"x"},"data":{"a":"@"}} ok"#,
        r#"applied {"kind":"Secret","data":{"a":"@"}} ok"#,
        "{'kind': 'Secret', 'data': {'a': '@'}}",
        "apiVersion: v1\ndata:\n  a: @\nkind: Secret\n",
    ]);
    assert_stays(&[
        r#"{"kind":"ConfigMap","data":{"a":"otter7lemon"}}"#,
        r#"{"kind":"Secret","metadata":{"name":"otter7lemon"}}"#,
        r#"{"a":{"kind":"Secret"},"data":{"a":"otter7lemon"}}"#,
    ]);
}

#[test]
fn the_names_in_a_secret_of_kubernetes_stay() {
    for (given, expected) in [
        (
            r#"{"kind":"Secret","data":{"a":"otter","b":"","c":null,"d":{"e":"otter"}}}"#,
            r#"{"kind":"Secret","data":{"a":"[REDACTED]","b":"","c":null,"d":"[REDACTED]"}}"#,
        ),
        (
            r#"{"data":{"a":"otter","ana@otter.test":"x","b":["otter"]},"kind":"Secret"}"#,
            r#"{"data":{"a":"[REDACTED]","[REDACTED_email]":"[REDACTED]","b":"[REDACTED]"},"kind":"Secret"}"#,
        ),
        (
            r#"{"value":"x","data":{"a":"ana@otter.test"},"name":"password","kind":"Secret"}"#,
            r#"{"value":"[REDACTED]","data":{"a":"[REDACTED]"},"name":"password","kind":"Secret"}"#,
        ),
    ] {
        assert_eq!(redacted(given), expected);
        assert_eq!(redacted(expected), expected);
    }
}

#[test]
fn a_name_and_its_value_are_under_many_keys() {
    for name in ["id", "env", "var", "title", "variable", "envVar", "identifier"] {
        for value in ["default", "current", "defaultValue", "currentValue", "value"] {
            assert_gone(&[
                &format!(r#"{{"{name}":"DB_PASSWORD","type":"string","{value}":"@"}}"#),
                &format!(r#"{{"{value}":"@","{name}":"DB_PASSWORD"}}"#),
                &format!("{name}: DB_PASSWORD, type: string, {value}: @"),
                &format!("- {name}: DB_PASSWORD\n  {value}: @"),
            ]);
        }
    }
}

#[test]
fn a_sentence_under_a_phrase_is_a_translation() {
    assert_stays(&[
        r#"{"key":"reset password","value":"Passwort zurücksetzen"}"#,
        r#"{"id":"forgot_password","value":"Forgot your password?"}"#,
        r#"{"key":"auth.reset_password","value":"Réinitialiser le mot de passe"}"#,
    ]);
    assert_gone(&[
        r#"{"key":"reset password","value":"@"}"#,
        r#"{"key":"reset_password","value":"Otter @"}"#,
        r#"{"name":"Client Secret","value":"@"}"#,
    ]);
    let kept = redacted(r#"{"name":"password","value":"correct otter battery"}"#);
    assert!(!kept.contains("otter"), "{kept}");
}

#[test]
fn the_whole_argument_of_a_variable_goes() {
    assert_gone(&[
        "terraform apply -var 'db_password=@'",
        "terraform apply -var=\"db_password=@\"",
        "terraform plan -var 'db_password=a;@'",
        "docker run -e 'DB_PASSWORD=aa @;x' img",
        "TF_VAR_db_password=\"a;@\"",
    ]);
}

#[test]
fn a_default_in_a_comment_goes_with_the_value() {
    assert_gone(&[
        "password: lemon-otter1 # default @",
        "password = \"lemon-otter1\" (default \"@\")",
        "DB_PASSWORD=lemon-otter1 # was: @",
    ]);
    let out = redacted("password: lemon-otter1 # default is empty");
    assert_eq!(out, "password: [REDACTED_credential] # default is empty");
}

#[test]
fn structures_of_rust_are_judged_alike() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct Output {
        sensitive: bool,
        value: &'static str,
    }
    for sensitive in [true, false] {
        let shown = Output { sensitive, value: "otter" };
        let shown = debug::redacted(&shown, &Sanitizer::default(), &mut Redactions::default());
        assert_eq!(shown.unwrap().contains("otter"), !sensitive);
    }
    let value = serde_json::json!({ "data": { "a": "otter" }, "kind": "Secret" });
    let value = Sanitizer::default().sanitize(&value, &mut Redactions::default());
    assert_eq!(value["data"]["a"], "[REDACTED]");
}
