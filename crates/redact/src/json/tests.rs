use crate::steps::STEPS;
use crate::{Redactions, Sanitizer};

fn redacted(line: &str) -> String {
    let mut out = String::new();
    Sanitizer::default().redact_line(line, &mut out, &mut Redactions::default());
    out
}

#[test]
fn values_before_their_names_take_linear_time() {
    let secret = r#""default":"q7Xk2Lm9Zt4","#;
    for text in [
        format!("{{{}\"name\":\"password\"}}", secret.repeat(4_000)),
        format!("{{{}\"sensitive\":true}}", secret.repeat(4_000)),
        format!("{{{}\"x\":1}}", r#""value":"a@otter.test","sensitive":true,"#.repeat(2_000)),
        format!(
            "{{{}\"x\":1}}",
            r#""data":{"a":"b"},"stringData":1,"kind":"Secret","#.repeat(2_000)
        ),
        format!("[{}1]", r#"{"data":{"a":"b"},"kind":"Secret"},"#.repeat(2_000)),
        format!(
            "{}1{}",
            r#"{"data":{"a":"b"},"kind":"Secret","data":"#.repeat(100),
            "}".repeat(100)
        ),
        format!(
            "{}1{}",
            r#"{"value":"a@otter.test","value":"#.repeat(100),
            ",\"secret\":true}".repeat(100)
        ),
    ] {
        let before = STEPS.get();
        let once = redacted(&text);
        let steps = STEPS.get() - before;
        assert!(steps < 40 * text.len(), "{steps} steps for {} bytes", text.len());
        assert!(once.contains("[REDACTED]"));
        assert_eq!(redacted(&once), once);
    }
}

#[test]
fn nothing_but_the_beginnings_of_settings_takes_linear_time() {
    for unit in [
        r#"["DB_PASSWORD","string","#,
        r#"("DB_PASSWORD", "string", "#,
        r#"{"sensitive":true,"value":"#,
        r#"{"kind":"Secret","data":"#,
        "- value: a\n  name: password\n",
        "- value: a\n  type: b\n",
        "name: password, default: a, ",
        "name=password envVar=x default=",
        "DB_PASSWORD (string): ",
        "password: string = ",
        "password = \"old\" -> \"",
        "password = null -> ",
        "password = tolist([\"",
        "password = sensitive(\n\n\n",
        "password: Var { kind: \"",
        "name: \"password\", value: Some(Some(Some(",
        "name: \"password\", value: \"a\\\"",
        "[db_password]\ntype = string\n",
        "DB_PASSWORD,string,",
        "<a value=\"x\" name=\"password\" ",
    ] {
        let text = unit.repeat(20_000 / unit.len());
        let quoted = serde_json::json!({ "m": text }).to_string();
        let line = text.replace('\n', " ");
        for given in [format!("{{{line}"), quoted[..quoted.len() - 2].to_owned(), line, quoted] {
            let before = STEPS.get();
            redacted(&given);
            let steps = STEPS.get() - before;
            assert!(steps < 400 * given.len(), "{steps} steps for {} bytes of {unit}", given.len());
        }
    }
}
