//! Explains the placeholders of a redacted line: the rule, the name and the place, never the text.
//!
//! Redaction itself keeps no reasons, so that it costs nothing. What was replaced is found again from
//! the line and its redacted form.

mod align;
mod names;

use std::ops::Range;

use align::{add_aligned_parts, is_placeholder};
use names::name_before;

use super::json::{JsonCause, json_causes, replaced_json_parts};
use super::{Kind, Sanitizer};

/// A placeholder of a redacted line, and why it is there.
///
/// # Examples
///
/// ```
/// use llm_audit_redact::{Redactions, Sanitizer};
///
/// let (sanitizer, line) = (Sanitizer::default(), "DB_PASSWORD=gull-4711-x for kim@post.example");
/// let mut redacted = String::new();
/// sanitizer.redact_line(line, &mut redacted, &mut Redactions::default());
/// let findings = sanitizer.explain_line(line, &redacted);
/// assert_eq!((findings[0].rule, findings[0].offset), ("credential", 12));
/// assert_eq!(findings[0].name.as_deref(), Some("DB_PASSWORD"));
/// assert_eq!((findings[1].rule, findings[1].name.as_deref()), ("email", None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the kind, as [`Kind::name`] returns it, or `too_deep` for what is nested too
    /// deep.
    pub rule: &'static str,
    /// The place in the line at which the replaced text begins, in bytes. It is the opening quote if
    /// a quoted value was replaced as a whole.
    pub offset: usize,
    /// The key, header, variable or option that led to it, or the pattern of the caller's own. It is
    /// redacted itself. `None` if the text has a form of its own.
    pub name: Option<String>,
}

/// A part of a line that was replaced.
pub(super) struct ExplainedPart {
    pub(super) place: Range<usize>,
    pub(super) rule: &'static str,
    /// `None` if it is nested too deep.
    pub(super) kind: Option<Kind>,
}

/// If a name is longer, its end is cut off.
const NAME_CHARS_MAX: usize = 64;

impl Sanitizer {
    /// Returns why each placeholder of a line is there, in order. `redacted` is what
    /// [`redact_line`](Self::redact_line) or [`redact_text`](Self::redact_text) made of the line.
    /// Placeholders that the line contained before are left out.
    ///
    /// In a line that is not quite JSON the offsets are those of the closest fit. Nothing of the
    /// replaced text is returned. This takes longer than the redaction.
    pub fn explain_line(&self, line: &str, redacted: &str) -> Vec<Finding> {
        if line == redacted {
            return Vec::new();
        }
        let json = replaced_json_parts(self, line, redacted).map(|replaced| {
            let mut parts = Vec::new();
            for part in &replaced {
                let given = &line[part.place.clone()];
                // A placeholder of a key may get another number.
                if !is_placeholder(given) {
                    add_aligned_parts(given, &part.with, part.place.start, &mut parts);
                }
            }
            parts
        });
        match json {
            Some(parts) => self.json_findings(line, &parts),
            None => self.text_findings(line, redacted),
        }
    }

    fn json_findings(&self, line: &str, parts: &[ExplainedPart]) -> Vec<Finding> {
        let places: Vec<_> = parts.iter().map(|part| part.place.clone()).collect();
        let mut edge = 0;
        let mut findings = Vec::with_capacity(parts.len());
        for (part, cause) in parts.iter().zip(json_causes(self, line, &places)) {
            let name = match cause {
                JsonCause::Name(name) => Some(name),
                JsonCause::Text { start } => self.name_in_text(line, edge.max(start), part),
                JsonCause::Nothing => None,
            };
            findings.push(self.finding_of_part(line, part, name));
            edge = part.place.end;
        }
        findings
    }

    fn text_findings(&self, line: &str, redacted: &str) -> Vec<Finding> {
        let mut edge = 0;
        let mut findings = Vec::new();
        for part in self.text_parts(line, redacted) {
            let name = self.name_in_text(line, edge, &part);
            findings.push(self.finding_of_part(line, &part, name));
            edge = part.place.end;
        }
        findings
    }

    /// Returns the replaced parts of a line that is not JSON.
    fn text_parts(&self, line: &str, redacted: &str) -> Vec<ExplainedPart> {
        let matches: Vec<_> = self.matches(line).collect();
        if self.redact_str(line) == redacted {
            let part = |found: crate::Match| ExplainedPart {
                place: found.start..found.end,
                rule: found.kind.name(),
                kind: Some(found.kind),
            };
            return matches.into_iter().map(part).collect();
        }
        let mut parts = Vec::new();
        add_aligned_parts(line, redacted, 0, &mut parts);
        parts
    }

    /// Returns the name before a part of a text. Nothing before `edge` counts, because another part
    /// was replaced there.
    fn name_in_text(&self, line: &str, edge: usize, part: &ExplainedPart) -> Option<String> {
        let is_named = matches!(
            part.kind?,
            Kind::Key
                | Kind::Credential
                | Kind::Authorization
                | Kind::Cookie
                | Kind::UrlParameter
                | Kind::AwsSecret
        );
        is_named.then(|| name_before(self, line, edge, part.place.start).map(str::to_owned))?
    }

    fn finding_of_part(&self, line: &str, part: &ExplainedPart, name: Option<String>) -> Finding {
        let pattern = || {
            let options = self.options.as_ref()?;
            options.patterns.pattern_of(&line[part.place.clone()]).map(str::to_owned)
        };
        let name = match part.kind {
            Some(Kind::Custom) => pattern(),
            _ => name.map(|name| {
                let name = self.redact_str(&name);
                name.chars().take(NAME_CHARS_MAX).collect()
            }),
        };
        Finding { rule: part.rule, offset: part.place.start, name }
    }
}

#[cfg(test)]
mod tests;
