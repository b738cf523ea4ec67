//! Verdicts as a JUnit report, which CI servers show.

use std::fmt::Write;

use llm_audit_slo::{Judgement, Verdict};

use crate::ui::escape_html;

/// One test case for each objective. A breach is a failure, unknown is an error, and one without data is skipped.
pub(super) fn junit_report(judged: &[Judgement<'_>]) -> String {
    let count = |verdict| judged.iter().filter(|judgement| judgement.verdict == verdict).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Nothing fails when a string is written to.
    let _ = writeln!(
        xml,
        "<testsuite name=\"llm-audit slo check\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        judged.len(),
        count(Verdict::Breached),
        count(Verdict::Unknown),
        count(Verdict::NoData)
    );
    for judgement in judged {
        let name = escape_html(&judgement.objective.name);
        let (value, target) = (escape_html(&judgement.value), escape_html(&judgement.target));
        let outcome = match judgement.verdict {
            Verdict::Met => String::new(),
            Verdict::NoData => "<skipped message=\"no data\"/>".to_owned(),
            Verdict::Breached => format!("<failure message=\"{value}, target {target}\"/>"),
            _ => format!("<error message=\"unknown: {value}, target {target}\"/>"),
        };
        let _ = writeln!(xml, "  <testcase classname=\"slo\" name=\"{name}\">{outcome}</testcase>");
    }
    xml + "</testsuite>\n"
}
