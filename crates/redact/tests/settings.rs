//! Dumps of settings, states and manifests, in which a type and a value are beside each other.

use std::collections::BTreeMap;

use llm_audit_redact::{Redactions, Sanitizer, debug};

const SECRETS: [&str; 4] =
    ["w8Hc3Vd6Rn1Tq5Zy", "r7!mX@p2Wq#9zK^d", "walnut-copper83", "Lm9Zt4Rv+B8/sWn3Dw=="];

fn redacted(line: &str) -> String {
    let mut out = String::new();
    Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    out
}

/// In each text `@` marks a secret. Nothing else goes, in the line and in a string of JSON, where a
/// text may have several lines.
fn assert_gone(texts: &[&str]) {
    for (text, secret) in texts.iter().flat_map(|text| SECRETS.map(|secret| (text, secret))) {
        let given = text.replace('@', secret);
        let quoted = serde_json::json!({ "m": given }).to_string();
        let lines = if given.contains('\n') { vec![quoted] } else { vec![given, quoted] };
        for given in lines {
            let once = redacted(&given);
            assert!(!once.contains(secret), "{given}: {once}");
            assert_eq!(redacted(&once), once, "{given}");
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
fn a_name_and_its_value_are_under_many_keys() {
    for name in ["name", "Key", "variable", "envVar", "variable_name", "ENV_NAME"] {
        for value in ["value", "Default", "current", "val", "env_value", "currentValue"] {
            assert_gone(&[
                &format!(r#"{{"{name}":"DB_PASSWORD","type":"string","{value}":"@"}}"#),
                &format!(r#"{{"{value}":"@","x":{{"a":[1]}},"y":[{{}}],"{name}":"DB_PASSWORD"}}"#),
                &format!("{name}: DB_PASSWORD, type: string, {value}: @"),
            ]);
        }
    }
    assert_gone(&[
        "name: DB_PASSWORD, envVar: OTHER, value: @",
        "name: DB_PASSWORD, envVar: OTHER, default: @",
        "name: DB_PASSWORD, default: null, value: @",
        r#"log {"value": "@", "name": "DB_PASSWORD", "default": "none"#,
        "value=@ name=DB_PASSWORD val=copper83",
        r#"E { value: "@", name: "DB_PASSWORD", default: "" }"#,
        "password type=string default=@",
    ]);
    assert_stays(&[
        r#"{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db","key":"copper83"}}}"#,
        r#"{"name":"DB_PASSWORD","type":"string","required":true,"default":null}"#,
        r#"{"name":"DB_PASSWORD","description":"walnut-copper83","default":false}"#,
        r#"{"label":"Password","current":"step 2","default":"hidden"}"#,
        "- name: token\n  in: query\n  schema:\n    type: string\n    default: walnut83\n",
        r#"variable { name = "db_password", default = "x1y" }"#,
        r#"[{"name":"DB_PASSWORD"},{"default":"walnut-copper83","name":"DB_HOST"}]"#,
        "name: DB_PASSWORD, default: none, x: y",
    ]);
}

#[test]
fn a_flag_makes_a_secret_of_the_value_beside_it() {
    for flag in ["sensitive", "secret", "is_secret", "isSensitive", "NoEcho"] {
        assert_gone(&[
            &format!(r#"{{"x":{{"{flag}":true,"type":"string","value":"@"}}}}"#),
            &format!(r#"{{"x":{{"default":"@","type":"string","{flag}":true}}}}"#),
            &format!(r#"{{"x":{{"value":{{"a":["@"]}},"{flag}":true,"y":"z"}}}}"#),
            &format!("{{'x': {{'{flag}': True, 'value': '@'}}}}"),
            &format!(r#"{{"x":{{"{flag}":true,"value":"@","y"#),
        ]);
        assert_stays(&[
            &format!(r#"{{"{flag}":false,"type":"string","value":"walnut-copper83"}}"#),
            &format!(r#"{{"a":{{"{flag}":true}},"b":{{"value":"walnut-copper83"}}}}"#),
            &format!(r#"[{{"{flag}":true}},{{"value":"walnut-copper83"}}]"#),
            &format!(r#"{{"{flag}":true,"a":{{"value":"walnut-copper83"}}}}"#),
            &format!(r#"{{"{flag}":true,"type":"string","name":"walnut-copper83"}}"#),
            &format!(r#"{{"{flag}":true,"value":null,"description":"walnut-copper83"}}"#),
        ]);
    }
    for flag in ["masked", "protected", "secure"] {
        assert_gone(&[
            &format!(r#"{{"variable_type":"file","key":"WALNUT_2","value":"@","{flag}":true}}"#),
            &format!(r#"{{"{flag}":true,"value":"@","name":"WALNUT"}}"#),
        ]);
        assert_stays(&[
            &format!(r#"{{"name":"main","{flag}":true,"default":"walnut-copper83"}}"#),
            &format!(r#"{{"{flag}":true,"value":"walnut-copper83","x":"WALNUT"}}"#),
            &format!(r#"{{"key":"WALNUT","{flag}":false,"value":"walnut-copper83"}}"#),
        ]);
    }
    for kind in ["SecureString", "secret", "password"] {
        assert_gone(&[
            &format!(r#"{{"Name":"/walnut","Type":"{kind}","Value":"@","Version":1}}"#),
            &format!(r#"{{"value":"@","name":"walnut","type":"{kind}"}}"#),
        ]);
    }
    assert_stays(&[
        r#"{"case_insensitive":true,"value":"walnut-copper83"}"#,
        r#"{"role":"user","sensitive":true,"current":"copper","val":1}"#,
        r#"{"confidential":true,"value":"walnut-copper83"}"#,
        r#"{"type":"string","value":"walnut-copper83"}"#,
        r#"{"a":{"Type":"SecureString"},"Value":"walnut-copper83"}"#,
        r#"{"type":"password","required":true,"label":"walnut-copper83"}"#,
    ]);
}

#[test]
fn every_value_of_a_secret_of_kubernetes_goes() {
    assert_gone(&[
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"a":"@"}}"#,
        r#"{"apiVersion":"v1","data":{"a":"@"},"kind":"Secret","stringData":{"b":"@"}}"#,
        r#"{"kind":"List","items":[{"kind":"Secret","data":{"a":"@"}},{"data":{"a":"@"},"kind":"Secret"}]}"#,
        r#"{"x":"{\"kind\":\"Secret\",\"data\":{\"a\":\"@\"}}"}"#,
        "{'kind': 'Secret', 'data': {'a': '@'}}",
    ]);
    assert_eq!(
        redacted(r#"applied {"data":{"a":"walnut"},"kind":"Secret"} ok"#),
        r#"applied {"data":{"a":"[REDACTED]"},"kind":"Secret"} ok"#
    );
    assert_stays(&[
        r#"{"kind":"ConfigMap","data":{"a":"walnut-copper83"}}"#,
        r#"{"kind":"Secret","metadata":{"name":"walnut-copper83"},"type":"Opaque"}"#,
        r#"{"a":{"kind":"Secret"},"data":{"a":"walnut-copper83"}}"#,
        r#"{"kind":"SecretClass","data":{"a":"walnut-copper83"}}"#,
        r#"{"data":{"a":"walnut-copper83"},"x":{"kind":"Secret"}}"#,
        r#"{"kind":"Secret","data":"walnut-copper83 of it"}"#,
    ]);
    let names = r#"{"kind":"Secret","data":{"a":"walnut","b":"","c":null,"d":{"e":"walnut"}}}"#;
    let expected =
        r#"{"kind":"Secret","data":{"a":"[REDACTED]","b":"","c":null,"d":"[REDACTED]"}}"#;
    assert_eq!(redacted(names), expected);
}

#[test]
fn structures_of_rust_are_judged_alike() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct Output {
        secret: bool,
        value: &'static str,
    }
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct Manifest {
        kind: &'static str,
        data: BTreeMap<&'static str, &'static str>,
    }
    let shown = |value: &dyn std::fmt::Debug| {
        debug::redacted(value, &Sanitizer::default(), &mut Redactions::default()).unwrap()
    };
    for secret in [true, false] {
        assert_eq!(shown(&Output { secret, value: "walnut" }).contains("walnut"), !secret);
    }
    let data = BTreeMap::from([("a", "walnut")]);
    assert!(!shown(&Manifest { kind: "Secret", data }).contains("walnut"));
    let value = serde_json::json!({ "data": { "a": "walnut" }, "kind": "Secret" });
    let value = Sanitizer::default().sanitize(&value, &mut Redactions::default());
    assert_eq!(value["data"]["a"], "[REDACTED]");
    let value = serde_json::json!({ "value": "walnut", "sensitive": true });
    let value = Sanitizer::default().sanitize(&value, &mut Redactions::default());
    assert_eq!(value["value"], "[REDACTED]");
}

#[test]
fn a_value_of_yaml_may_be_lines_before_its_name() {
    assert_gone(&[
        "env:\n- value: @\n  name: DB_PASSWORD\n",
        "env:\n  - value: \"@\"\n    type: string\n    name: \"DB_PASSWORD\"\n",
        "- name: X\n  value: y\r\n- value: @\r\n  name: DB_PASSWORD\r\n",
    ]);
    assert_stays(&[
        "- value: walnut-copper83\n- name: DB_PASSWORD\n",
        "value: walnut-copper83\nname: DB_PASSWORD\n",
        "- value: walnut-copper83\n    name: DB_PASSWORD\n",
        "- valueFrom: walnut-copper83\n  name: DB_PASSWORD\n",
    ]);
}

#[test]
fn a_type_may_be_between_a_name_and_its_value_in_a_list() {
    assert_gone(&[
        r#"["DB_PASSWORD","string","@"]"#,
        r#"{"rows":[["DB_PASSWORD","SecureString","@"],["PORT","number","5"]]}"#,
        r#"log ["DB_PASSWORD","str","@"] end"#,
        r#"["DB_PASSWORD","string","@""#,
    ]);
    assert_stays(&[
        r#"["password","string","required"]"#,
        r#"["api_key","string","sha256"]"#,
        r#"["password","string","min8chars"]"#,
        r#"["password","string","at least 8 letters"]"#,
        r#"["password","string","walnut-copper83","x"]"#,
        r#"["plan","string","w8Hc3Vd6Rn1Tq5Zy"]"#,
        r#"["plan","password","string","w8Hc3Vd6Rn1Tq5Zy"]"#,
        r#"["password","string",["w8Hc3Vd6Rn1Tq5Zy"]]"#,
    ]);
    let list = serde_json::json!(["DB_PASSWORD", "string", SECRETS[0]]);
    let list = Sanitizer::default().sanitize(&list, &mut Redactions::default());
    assert_eq!(list[2], "[REDACTED]");
    let shown = ("DB_PASSWORD", "string", SECRETS[0]);
    let shown = debug::redacted(&shown, &Sanitizer::default(), &mut Redactions::default());
    assert!(!shown.unwrap().contains(SECRETS[0]));
}

#[test]
fn a_value_may_be_in_a_constructor_or_have_escaped_quotes() {
    assert_gone(&[
        r#"E { name: "DB_PASSWORD", value: Some("@") }"#,
        r#"E { name: "DB_PASSWORD", value: Some(Secret("@")), x: 1 }"#,
        r#"E { value: String("@"), name: "DB_PASSWORD" }"#,
        "E(name='DB_PASSWORD', value=SecretStr('@'))",
        "E(name='DB_PASSWORD', value=b'@')",
        r#"E{Name:"DB_PASSWORD", Value:(*string)("@")}"#,
        r#"E{Name:"DB_PASSWORD", Value:json.RawMessage("@")}"#,
        r#"x Object {"name": String("DB_PASSWORD"), "type": String("t"), "value": String("@")}"#,
        r#"password: Var { kind: "string", value: "@" }"#,
        r#"{"password":map[string]interface {}{"type":"string", "value":"@"}}"#,
        r#"{ name = "DB_PASSWORD", value = "wal\"@" }"#,
        r#"{ name = "DB_PASSWORD", pattern = "\", value = "@" }"#,
        r#"{ name = "DB_PASSWORD", dir = "C:\d\", value = "@" }"#,
        "- name: DB_PASSWORD\n  sep: '\\'\n  value: '@'\n",
        r#"credentials: [Cred { value: "copper", raw: "@" }]"#,
        r#"api_key=[{"current": "copper", "x": "@"}]"#,
        r#"{ note = "a\", b", name = "DB_PASSWORD", type = "a\", b", value = "@" }"#,
    ]);
    let once = redacted(r#"E { name: "DB_PASSWORD", value: Some("w8Hc3Vd6Rn1Tq5Zy"), x: 1 }"#);
    assert_eq!(once, r#"E { name: "DB_PASSWORD", value: Some("[REDACTED_credential]"), x: 1 }"#);
    assert_stays(&[
        r#"E { name: "DB_PASSWORD", value: os.Getenv("DB_PASSWORD_83") }"#,
        r#"E { name: "DB_PASSWORD", value: GetSecret("walnut-copper83") }"#,
        r#"E { name: "DB_PASSWORD", value: None }"#,
    ]);
}

#[test]
fn a_type_may_be_beside_a_value_in_a_text() {
    assert_gone(&[
        r#"row ("DB_PASSWORD", "string", "@")"#,
        "row ('DB_PASSWORD', 'varchar', '@'),",
        "DB_PASSWORD,string,@",
        "DB_PASSWORD  string  @",
        "DB_PASSWORD\tstring\t@",
        "| `DB_PASSWORD` | string | `@` | yes |",
        "db_password (string): @",
        "db_password (sensitive string, required) = @",
        "DB_PASSWORD: string = @",
        "DB_PASSWORD: string = \"@\"",
        r#"<setting name="DB_PASSWORD" type="string"><value>@</value></setting>"#,
        r#"<add value="@" type="string" name="DB_PASSWORD"/>"#,
        "name=DB_PASSWORD type=string value=@",
        "[db_password]\ntype = \"string\"\nvalue = \"@\"\n",
        "[db_password]\r\ntype = string\r\nvalue = @\r\n",
        "variable \"db_password\" {\n  type = string\n  default = \"@\"\n}",
    ]);
    assert_stays(&[
        r#"("password", "string", "required")"#,
        r#"("plan", "string", "w8Hc3Vd6Rn1Tq5Zy")"#,
        "password,string,required",
        "| password | varchar | utf8mb4 |",
        "| DB_PASSWORD | string | required |",
        "| DB_PASSWORD | string | sha256 |",
        "API_TOKEN  string  default1  see docs",
        "password (string): The password of the user",
        "password (string, required): The password",
        "let password: String = walnut_password();",
        "private password: string = this.walnut.password;",
        "[db_password]\ntype = string\n\nvalue = walnut-copper83\n",
        "[db_password]\ntype = string\n[db_host]\nvalue = walnut-copper83\n",
        "# walnut [password]\nvalue: copper",
    ]);
}

#[test]
fn the_new_value_of_a_change_goes_whatever_the_old_one_is() {
    assert_gone(&[
        r#"~ admin_password = "old" -> "@""#,
        r#"~ admin_password = "" -> "@" # forces replacement"#,
        r#"~ admin_password = null -> "@""#,
        r#"~ admin_password = (sensitive value) -> "@""#,
        r#"~ "API_TOKEN"    = "changeme" -> "@""#,
        r#"~ password = "walnut-x83" -> "a\"@""#,
    ]);
    assert_stays(&[
        r#"~ admin_password = "old" -> null"#,
        r#"~ admin_password = "old" -> var.admin_password"#,
        "~ admin_password = (sensitive value) -> (known after apply)",
    ]);
}

#[test]
fn values_in_functions_of_terraform_go() {
    assert_gone(&[
        r#"db_passwords = tolist(["@",])"#,
        r#"db_passwords = toset(["walnut-x83", "@"])"#,
        "db_passwords = tolist([\n  \"@\",\n  \"walnut-@\",\n])",
        r#"db_password = sensitive("@")"#,
        r#"db_password = sensitive(tostring("@"))"#,
    ]);
    assert_stays(&[
        "secrets = {\n  source = \"hashicorp/walnut83\"\n}",
        "passwords = tolist(var.walnut83)",
        "passwords = [\n  walnut83,\n  \"x\"]",
    ]);
}

#[test]
fn what_is_typed_into_the_field_of_a_password_goes() {
    assert_gone(&[
        r##"{"element":"Password input","ref":"e12","text":"@"}"##,
        r##"{"selector":"#password","value":"@"}"##,
        r##"{"value":"@","selector":"input[name=pass-word], input[name=password]"}"##,
        r##"{"name":"type","arguments":"{\"element\":\"The password box\",\"text\":\"@\"}"}"##,
    ]);
    assert_stays(&[
        r##"{"element":"User name","text":"walnut-copper83"}"##,
        r##"{"selector":"#token-list","text":"walnut-copper83"}"##,
        r##"[{"element":"Password input"},{"text":"walnut-copper83"}]"##,
        r##"{"element":"Password input","ref":"walnut-copper83","label":"copper"}"##,
    ]);
}

#[test]
fn what_a_placeholder_hides_is_left_twice() {
    for text in [
        r#"name: DB_PASSWORD, x: "ana@otter.test", default: "walnut-copper83""#,
        r#"E { apiKey: E { x: "4111111111111111", value: "walnut-copper83" } }"#,
        "[db_password]\nowner = \"ana@otter.test\"\nvalue = \"walnut-copper83\"",
        "- name: DB_PASSWORD\n  owner: \"ana@otter.test\"\n  default: walnut-copper83\n",
    ] {
        let once = redacted(&serde_json::json!({ "m": text }).to_string());
        assert!(once.contains("[REDACTED_"), "{once}");
        assert_eq!(redacted(&once), once);
    }
}

#[test]
fn words_of_source_code_beside_a_name_stay() {
    assert_stays(&[
        r#"t.Fatalf("unexpected db_password value: expected %v, have %v", want, have)"#,
        "    update_password=dict(type='str', default='never', choices=['never', 'once'])",
        "- name: update_password\n  default: always\n",
    ]);
    assert_gone(&[
        "    login_password=dict(type='str', default='@')",
        "the db_password value: @ is wrong",
    ]);
}
