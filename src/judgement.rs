//! Evaluations of answers and feedback of people, recorded by one line of code.

use std::fmt;

use crate::context::TraceContext;
use crate::record::event::{AuditEvent, EventType};
use crate::record::{OptionalFields, Payload};
use crate::recorder::{AuditLogger, Outlet};

/// The members of the data that are content.
const CONTENT: [&str; 2] = ["explanation", "comment"];

/// What a judge found about an answer, for [`record_evaluation`].
///
/// A judge may be a model, a rule or a test. This library runs none.
///
/// # Examples
///
/// An answer is evaluated later, by the ids that the log has:
///
/// ```
/// use llm_audit::{Evaluation, TraceContext, record_evaluation};
///
/// # let seen = llm_audit::testing::capture();
/// let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
/// let answer = TraceContext::from_hex(trace, Some(span))?;
/// let evaluation = Evaluation::new("benefits", "faithfulness").score(0.8).label("pass");
/// record_evaluation(&evaluation.span(&answer));
/// # let line = &seen.lines()[0];
/// # assert!(line.contains(r#""span_id":"b7ad6b7169203331""#), "{line}");
/// # assert!(line.contains(r#""event_type":"eval.result""#), "{line}");
/// # assert!(line.contains(r#""data":{"name":"faithfulness","score":0.8,"label":"pass"}"#), "{line}");
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    agent: &'a str,
    name: &'a str,
    score: Option<f64>,
    label: &'a str,
    explanation: &'a str,
    span: Option<&'a TraceContext>,
}

impl fmt::Debug for Evaluation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluation").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Evaluation<'a> {
    /// Returns an evaluation of what `agent` answered. `name` is what was judged, such as `faithfulness`.
    pub fn new(agent: &'a str, name: &'a str) -> Self {
        Self { agent, name, score: None, label: "", explanation: "", span: None }
    }

    /// Sets the score. If it is not finite, it is left out.
    pub fn score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }

    /// Sets what the score means, such as `pass` or `fail`.
    pub fn label(mut self, label: &'a str) -> Self {
        self.label = label;
        self
    }

    /// Sets why the judge thinks so; recorded only if content is captured, as it may quote the answer.
    pub fn explanation(mut self, explanation: &'a str) -> Self {
        self.explanation = explanation;
        self
    }

    /// Sets the span that is judged. Without it, it is the [current context](TraceContext::current).
    ///
    /// For a span of the past, see [`TraceContext::from_hex`]. The user, the tenant and the conversation are those of
    /// this context. What it does not know is taken from the current context only if that is of the same trace: a
    /// judge may work for others.
    pub fn span(mut self, context: &'a TraceContext) -> Self {
        self.span = Some(context);
        self
    }

    fn record(&self, outlet: &Outlet) {
        let explanation = self.explanation;
        let members = [
            ("name", given(&self.name)),
            ("score", finite(&self.score)),
            ("label", given(&self.label)),
            ("explanation", given(&explanation).filter(|_| outlet.captures_content())),
        ];
        let event = AuditEvent::new(EventType::EvalResult, self.agent, self.name);
        emit_judgement(event, self.span, &members, outlet);
    }
}

/// What a person thinks of an answer, for [`record_feedback`].
///
/// # Examples
///
/// A front end sends back the `traceparent` of the answer that it got:
///
/// ```
/// use llm_audit::{Feedback, TraceContext, record_feedback};
///
/// # let seen = llm_audit::testing::capture();
/// let sent_back = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let request = TraceContext::from_traceparent(sent_back)?;
/// record_feedback(&Feedback::new("benefits").thumb(false).span(&request).user("u-1842"));
/// # let line = &seen.lines()[0];
/// # assert!(line.contains(r#""span_id":"b7ad6b7169203331""#), "{line}");
/// # assert!(line.contains(r#""data":{"thumb":"down","user":"u-1842"}"#), "{line}");
/// # Ok::<(), llm_audit::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Feedback<'a> {
    agent: &'a str,
    is_up: Option<bool>,
    score: Option<f64>,
    comment: &'a str,
    user: &'a str,
    span: Option<&'a TraceContext>,
}

impl fmt::Debug for Feedback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feedback").field("is_up", &self.is_up).finish_non_exhaustive()
    }
}

impl<'a> Feedback<'a> {
    /// Returns feedback on what `agent` answered.
    pub fn new(agent: &'a str) -> Self {
        Self { agent, is_up: None, score: None, comment: "", user: "", span: None }
    }

    /// Sets whether the thumb is up or down.
    pub fn thumb(mut self, is_up: bool) -> Self {
        self.is_up = Some(is_up);
        self
    }

    /// Sets the score, such as a number of stars. If it is not finite, it is left out.
    pub fn score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }

    /// Sets what the person wrote; recorded only if content is captured.
    pub fn comment(mut self, comment: &'a str) -> Self {
        self.comment = comment;
        self
    }

    /// Sets the person; see [`AuditEvent::user`].
    ///
    /// Without it, it is the user of the judged span if that is known, or else of the current context.
    pub fn user(mut self, user: &'a str) -> Self {
        self.user = user;
        self
    }

    /// Sets the span that is judged; see [`Evaluation::span`]. For the user see [`user`](Self::user).
    pub fn span(mut self, context: &'a TraceContext) -> Self {
        self.span = Some(context);
        self
    }

    fn record(&self, outlet: &Outlet) {
        let thumb = self.is_up.map(|is_up| if is_up { "up" } else { "down" });
        let members = [
            ("thumb", thumb.as_ref().map(|thumb| thumb as &dyn Payload)),
            ("score", finite(&self.score)),
            ("comment", given(&self.comment).filter(|_| outlet.captures_content())),
        ];
        let current = TraceContext::current();
        let known = self.span.and_then(TraceContext::user);
        let known = known.or_else(|| current.as_ref()?.user()).unwrap_or_default();
        let user = if self.user.is_empty() { known } else { self.user };
        let event = AuditEvent::new(EventType::FeedbackGiven, self.agent, "feedback");
        emit_judgement(event.user(user), self.span, &members, outlet);
    }
}

fn given<'p>(text: &'p &str) -> Option<&'p dyn Payload> {
    (!text.is_empty()).then_some(text as &dyn Payload)
}

fn finite(score: &Option<f64>) -> Option<&dyn Payload> {
    score.as_ref().filter(|score| score.is_finite()).map(|score| score as &dyn Payload)
}

/// Emits a judgement. Whom it is about is known from the judged span, or from a context of the same trace.
///
/// Who judges another trace may work for another tenant, and in another conversation.
fn emit_judgement(
    event: AuditEvent<'_>,
    span: Option<&TraceContext>,
    members: &[(&'static str, Option<&dyn Payload>)],
    outlet: &Outlet,
) {
    let is_judged =
        |current: &TraceContext| span.is_none_or(|span| span.trace_id() == current.trace_id());
    let (data, around) = (OptionalFields(members), TraceContext::current().filter(is_judged));
    let mut event = event.payload(&data).content(&CONTENT);
    if let Some(span) = span {
        event = event.span(span).with_identity_of(span);
    }
    outlet.emit(&around.iter().fold(event, |event, around| event.with_identity_of(around)));
}

/// Records an evaluation into the recorder of the process; see [`AuditLogger::record_evaluation`].
pub fn record_evaluation(evaluation: &Evaluation<'_>) {
    evaluation.record(&Outlet::default());
}

/// Records feedback into the recorder of the process; see [`AuditLogger::record_feedback`].
pub fn record_feedback(feedback: &Feedback<'_>) {
    feedback.record(&Outlet::default());
}

impl AuditLogger {
    /// Records an evaluation as `eval.result`, with the ids of the judged span.
    ///
    /// Sampling leaves none out. What it left out of the judged trace before does not come back.
    pub fn record_evaluation(&self, evaluation: &Evaluation<'_>) {
        evaluation.record(&Outlet(Some(self.clone())));
    }

    /// Records feedback as `feedback.given`, with the ids of the judged span; see
    /// [`record_evaluation`](Self::record_evaluation).
    pub fn record_feedback(&self, feedback: &Feedback<'_>) {
        feedback.record(&Outlet(Some(self.clone())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sampler::SamplingPolicy;
    use crate::testing::{Capture, capture, capture_with};

    fn recorded(seen: &Capture) -> Vec<Value> {
        seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_judgement_has_the_ids_of_what_is_judged() {
        let (seen, judged) = (capture(), TraceContext::new_trace().new_span());
        let evaluation = Evaluation::new("benefits", "faithfulness").score(f64::NAN);
        let feedback = Feedback::new("benefits").thumb(true).score(4.0);
        record_evaluation(&evaluation.span(&judged));
        {
            let _scope = judged.enter();
            record_feedback(&feedback);
        }
        seen.logger().record_evaluation(&evaluation);
        let lines = recorded(&seen);
        for line in &lines[..2] {
            assert_eq!(line["trace_id"], format!("{:032x}", judged.trace_id()));
            assert_eq!(line["span_id"], format!("{:016x}", judged.span_id()));
            assert_eq!(line["status"], "ok");
        }
        assert_ne!(lines[2]["trace_id"], lines[0]["trace_id"], "there is no context");
        assert_eq!(lines[0]["data"], json!({"name": "faithfulness"}));
        assert_eq!(lines[1]["data"], json!({"thumb": "up", "score": 4.0}));
        let heads = |at: usize| (lines[at]["event_type"].clone(), lines[at]["action"].clone());
        assert_eq!(heads(0), (json!("eval.result"), json!("faithfulness")));
        assert_eq!(heads(1), (json!("feedback.given"), json!("feedback")));
    }

    #[test]
    fn what_is_written_about_an_answer_is_content_and_redacted() {
        for captures in [false, true] {
            let seen = capture_with(|builder| builder.capture_content(captures));
            let text = "ask ann@example.org";
            record_evaluation(&Evaluation::new("benefits", "tone").label("fail").explanation(text));
            record_feedback(&Feedback::new("benefits").comment(text));
            let shown = captures.then_some("ask [REDACTED_email]");
            let lines = recorded(&seen);
            assert_eq!(lines[0]["data"]["explanation"].as_str(), shown);
            assert_eq!(lines[1]["data"]["comment"].as_str(), shown);
            assert_eq!(lines[0]["data"]["label"], "fail");
        }
    }

    #[test]
    fn who_judges_is_said_or_is_that_of_a_context() {
        let seen = capture();
        let judged = TraceContext::new_trace().with_tenant("acme").with_user("bob");
        let bare = TraceContext::new_trace();
        let _scope = TraceContext::new_trace().with_user("ann").with_conversation("c-1").enter();
        let feedback = Feedback::new("benefits");
        record_feedback(&feedback.span(&bare));
        record_feedback(&feedback.span(&judged));
        record_feedback(&feedback.span(&judged).user("eve"));
        let data: Vec<_> = recorded(&seen).iter().map(|line| line["data"].clone()).collect();
        let of = |user: &str| json!({"user": user, "tenant": "acme"});
        assert_eq!(data, [json!({"user": "ann"}), of("bob"), of("eve")]);
    }

    #[test]
    fn of_another_trace_no_tenant_and_no_conversation_of_the_judge_is_taken() {
        let seen = capture();
        let judge = TraceContext::new_trace().with_user("ann").with_tenant("us");
        let judge = judge.with_conversation("c-1");
        let (same, other) = (judge.to_traceparent(), TraceContext::new_trace().to_traceparent());
        let _scope = judge.enter();
        for (judged, tenant, user) in [(&same, Some("us"), Some("ann")), (&other, None, None)] {
            let judged = TraceContext::from_traceparent(judged).unwrap();
            record_evaluation(&Evaluation::new("benefits", "tone").span(&judged));
            record_feedback(&Feedback::new("benefits").span(&judged));
            let lines = recorded(&seen);
            let [.., evaluation, feedback] = &lines[..] else { panic!("two events") };
            for line in [evaluation, feedback] {
                assert_eq!(line["data"]["tenant"].as_str(), tenant);
                assert_eq!(line["data"].get("conversation").is_some(), tenant.is_some());
            }
            assert_eq!(evaluation["data"]["user"].as_str(), user);
            assert_eq!(feedback["data"]["user"], "ann", "the person that gives it");
        }
    }

    #[test]
    fn sampling_leaves_no_judgement_out() {
        let none =
            SamplingPolicy { trace_rate: 0.0, success_rate: 0.0, ..SamplingPolicy::default() };
        let all = SamplingPolicy { trace_rate: 1.0, ..none };
        for (policy, kept) in [(none, Some("judgement")), (all, None)] {
            let seen = capture_with(|builder| builder.sampling(policy));
            record_evaluation(&Evaluation::new("benefits", "tone"));
            record_feedback(&Feedback::new("benefits").span(&TraceContext::new_trace()));
            let lines = recorded(&seen);
            assert_eq!(lines.len(), 2);
            assert!(lines.iter().all(|line| line["kept"].as_str() == kept), "{lines:?}");
        }
    }
}
