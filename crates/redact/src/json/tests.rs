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
