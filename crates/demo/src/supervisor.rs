//! The supervisor: reads a question, chooses who answers, keeps and announces the answer.

use std::sync::Arc;
use std::time::Instant;

use llm_audit::{AuditEvent, EventType, InSpan};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::agent::{BenefitsAgent, record_fallback};
use crate::nlp::{self, Entities};
use crate::push::PushClient;
use crate::question::{Question, Route};
use crate::step::{current_span_or_new, step_ms_since};
use crate::store::{Store, put_and_record};

/// Where nobody else has an answer.
const TEMPLATE: &str = "We have your question and will answer it by mail.";
/// Where a person is to answer.
const HANDOFF: &str = "Somebody of our staff will call you.";

/// What a member is answered.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MemberAnswer {
    pub(crate) case: u64,
    pub(crate) route: &'static str,
    pub(crate) text: String,
}

/// What happens while a question is answered, for whoever wants to watch: an event's name and text.
pub(crate) type AnswerProgress = mpsc::Sender<(&'static str, String)>;

/// What comes before the benefits agent.
pub(crate) struct Supervisor {
    pub(crate) agent: Arc<BenefitsAgent>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) push: PushClient,
}

impl Supervisor {
    /// The encoded answer. What cannot be stored or announced is in the log alone.
    pub(crate) async fn answer(
        &self,
        question: Question,
        progress: Option<AnswerProgress>,
    ) -> Vec<u8> {
        let entities = analyse_question(question.text.clone()).await;
        let route = Route::from_entities(&entities);
        send_progress(&progress, "route", route.name()).await;
        let question = Arc::new(question);
        let text = self.ask_route(&question, route, &entities).await;
        send_progress(&progress, "answer", &text).await;
        let answer = MemberAnswer { case: question.case, route: route.name(), text };
        let encoded = encode_recorded(&answer);
        let key = format!("transcripts/{}/{}.json", question.contact, question.case);
        let notice = push_notice(&question, &answer);
        let transcript = encode_recorded(&json!({"question": question.text, "answer": answer}));
        // Both are recorded; neither keeps the answer from the member.
        let _outcomes = tokio::join!(
            put_and_record(&*self.store, "supervisor", &key, transcript),
            self.push.send("supervisor", &notice),
        );
        encoded
    }

    /// Hands the question over. What answers it runs as a task of its own, below the span of the
    /// choice. The task is cancelled if nobody waits for it any more.
    async fn ask_route(
        &self,
        question: &Arc<Question>,
        route: Route,
        entities: &Entities,
    ) -> String {
        let span = current_span_or_new().new_span();
        let others = Route::ALL.into_iter().filter(|other| *other != route).map(Route::name);
        let data = json!({
            "route": route.name(), "alternatives": others.collect::<Vec<_>>(),
            "reason": format!("{} words of claims, {} of plans; asked by {}",
                entities.claim_words, entities.plan_words, question.contact),
        });
        let event = AuditEvent::new(EventType::AgentRoute, "supervisor", "route.question");
        llm_audit::emit(&event.span(&span).data(&data));
        if route == Route::Human {
            return HANDOFF.to_owned();
        }
        let (agent, question) = (Arc::clone(&self.agent), Arc::clone(question));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { agent.answer(&question, route).await }.in_span(span));
        match tasks.join_next().await {
            Some(Ok(Some(text))) => text,
            Some(Ok(None)) | None => TEMPLATE.to_owned(),
            Some(Err(_)) => {
                record_fallback("the agent panicked", "benefits", "template");
                TEMPLATE.to_owned()
            }
        }
    }
}

/// Counts what the question has, on a thread if that may take its time.
async fn analyse_question(text: String) -> Entities {
    let here = current_span_or_new();
    let work = move || {
        let _scope = here.enter();
        let begin = Instant::now();
        let entities = nlp::extract_entities(&text);
        llm_audit::emit(
            &AuditEvent::new(EventType::NlpExtract, "supervisor", "question.analyse")
                .latency_ms(step_ms_since(begin))
                .data(&entities),
        );
        entities
    };
    // It does not panic; without entities a person answers.
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

/// As JSON; recorded with the bytes of the strings that go in and of what comes out.
fn encode_recorded<T: Serialize>(payload: &T) -> Vec<u8> {
    let begin = Instant::now();
    let value = json!(payload);
    let encoded = value.to_string().into_bytes();
    let data = json!({"format": "json", "bytes_in": json_string_bytes(&value),
        "bytes_out": encoded.len()});
    llm_audit::emit(
        &AuditEvent::new(EventType::Serialize, "supervisor", "answer.encode")
            .latency_ms(step_ms_since(begin))
            .data(&data),
    );
    encoded
}

fn json_string_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(json_string_bytes).sum(),
        Value::Object(members) => members.values().map(json_string_bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// What the member's telephone is sent.
fn push_notice(question: &Question, answer: &MemberAnswer) -> Value {
    json!({
        "to": question.contact, "authorization": question.authorization,
        "title": format!("Your question {}", question.case), "text": answer.text,
    })
}

async fn send_progress(progress: &Option<AnswerProgress>, event: &'static str, text: &str) {
    if let Some(progress) = progress {
        // Nobody watches any more: then nobody is told.
        let _gone = progress.send((event, text.to_owned())).await;
    }
}
