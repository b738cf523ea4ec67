//! Evaluations and feedback, as their lines have them: `Judgement`.

use std::fmt;

use super::{EventType, Line};
use crate::json::Json;

/// What an `eval.result` or a `feedback.given` says.
///
/// # Examples
///
/// ```
/// use llm_audit_log::schema::Judgement;
///
/// let mut line = br#"{"event_type":"eval.result","agent":"a","action":"tone","status":"ok",
///     "data":{"name":"tone","score":0.5,"label":"pass"}}"#.to_vec();
/// let line = llm_audit_log::parse(&mut line)?;
/// let judgement = Judgement::of(&line).expect("it is one");
/// assert_eq!(judgement.to_string(), "tone 0.5 pass");
/// # Ok::<(), llm_audit_log::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Judgement<'l> {
    /// Whether a person gave it.
    pub is_feedback: bool,
    /// What was judged, `data.name`. Without it, it is the action.
    pub name: &'l str,
    /// `data.score`.
    pub score: Option<f64>,
    /// `data.label`, or `data.thumb` of feedback.
    pub label: Option<&'l str>,
    /// `data.explanation`, or `data.comment` of feedback.
    pub text: Option<&'l str>,
}

impl<'l> Judgement<'l> {
    /// Reads a line. Returns `None` if it has another type.
    pub fn of(line: &'l Line<'_>) -> Option<Self> {
        let event_type = line.event_type().filter(|name| is_judgement(name))?;
        let is_feedback = event_type == EventType::FeedbackGiven.name();
        let member = |name| line.data()?.get(name);
        let text = |name| member(name).and_then(Json::as_str);
        let [label, more] = match is_feedback {
            true => ["thumb", "comment"],
            false => ["label", "explanation"],
        };
        Some(Self {
            is_feedback,
            name: text("name").or(line.action()).unwrap_or_default(),
            score: member("score").and_then(Json::as_f64),
            label: text(label),
            text: text(more),
        })
    }
}

impl fmt::Display for Judgement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.score.iter().try_for_each(|score| write!(f, " {score}"))?;
        self.label.iter().try_for_each(|label| write!(f, " {label}"))?;
        self.text.iter().try_for_each(|text| write!(f, ": {text}"))
    }
}

/// Whether events of this type judge what others did.
pub(crate) fn is_judgement(event_type: &str) -> bool {
    [EventType::EvalResult, EventType::FeedbackGiven].iter().any(|of| of.name() == event_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_as_far_as_it_is_there() {
        let cases = [
            (
                "eval.result",
                r#"{"name":"tone","score":1,"label":"pass","explanation":"kind"}"#,
                Some("tone 1 pass: kind"),
            ),
            ("eval.result", r#"{"label":7,"thumb":"up"}"#, Some("act")),
            (
                "feedback.given",
                r#"{"thumb":"down","comment":"wrong","label":"x"}"#,
                Some("act down: wrong"),
            ),
            ("feedback.given", "{}", Some("act")),
            ("eval.results", r#"{"name":"tone"}"#, None),
        ];
        for (event_type, data, expected) in cases {
            let text = format!(
                r#"{{"event_type":"{event_type}","agent":"a","action":"act","status":"ok","data":{data}}}"#
            );
            let mut bytes = text.clone().into_bytes();
            let line = crate::parse(&mut bytes).unwrap();
            let shown = Judgement::of(&line).map(|judgement| judgement.to_string());
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
    }
}
