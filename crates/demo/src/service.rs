//! The service: its routes, and all that is started and stopped with it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::stream::unfold;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use llm_audit::InSpan;
use llm_audit::layer::tower::ServerLayer;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::account::{tenant_of_request, user_of_request};
use crate::agent::BenefitsAgent;
use crate::cache::Cache;
use crate::config::{Config, Provider};
use crate::http_client::{BODY_BYTES_MAX, HttpClient};
use crate::model::ModelClient;
use crate::push::PushClient;
use crate::question::Question;
use crate::server::DemoServer;
use crate::standin;
use crate::step::current_span_or_new;
use crate::store::{Folder, Store};
use crate::supervisor::Supervisor;
use crate::tools::Tools;

/// A tool of the bundled search service that takes longer is cancelled.
const TOOL_TIMEOUT: Duration = Duration::from_millis(300);
/// Steps that nobody has taken off the event stream yet.
const PROGRESS_MAX: usize = 16;

/// A running service.
///
/// `POST /benefits/{member}` takes `{"case": 7, "contact": "…", "question": "…"}` and answers
/// `{"case": 7, "route": "…", "text": "…"}`; `POST /benefits/{member}/stream` answers the same
/// question with server-sent events: `route`, then `answer`, each with a JSON string. The header
/// `x-trace-id` of an answer names its trace.
///
/// `GET /metrics` is for Prometheus, and `GET /health` for a probe (feature `metrics`).
///
/// It records into the recorder of the process.
pub struct Service {
    server: DemoServer,
    standins: Vec<DemoServer>,
}

impl Service {
    /// Starts the service, the bundled search and push services, and where no provider is
    /// configured the stand-in for one.
    ///
    /// # Errors
    ///
    /// An address that cannot be listened on; a temporary folder that cannot be made.
    pub async fn start(config: Config) -> io::Result<Self> {
        let free = Config::default().address;
        let search = DemoServer::start(free, standin::search::search_router(config.seed)).await?;
        let push = DemoServer::start(free, standin::push::push_standin_router()).await?;
        let mut standins = vec![search, push];
        let urls = [0, 1].map(|at: usize| format!("http://{}", standins[at].address));
        #[cfg(feature = "alerts")]
        config.alert_push.connect(urls[1].clone());
        let provider = match config.provider {
            Some(provider) => provider,
            None => {
                let model =
                    DemoServer::start(free, standin::model::model_standin_router(config.seed))
                        .await?;
                let provider = Provider::standin(model.address);
                standins.push(model);
                provider
            }
        };
        let parts = ServiceParts {
            provider,
            urls,
            store: config.store,
            skips_malformed: config.skips_malformed_calls,
        };
        let server = DemoServer::start(config.address, parts.into_router()?).await?;
        Ok(Self { server, standins })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Takes no more requests, waits up to ten seconds for the answers under way, and stops the
    /// stand-ins.
    pub async fn shutdown(self) {
        self.server.stop().await;
        for standin in self.standins {
            standin.stop().await;
        }
    }
}

/// What the routes of the service are made of.
pub(crate) struct ServiceParts {
    pub(crate) provider: Provider,
    /// Of the search service and the push service.
    pub(crate) urls: [String; 2],
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) skips_malformed: bool,
}

impl ServiceParts {
    pub(crate) fn into_router(self) -> io::Result<Router> {
        let store = match self.store {
            Some(store) => store,
            None => Arc::new(Folder::temporary()?),
        };
        let http = HttpClient::recorded();
        let [search_url, push_url] = self.urls;
        let tools = Tools { http: http.clone(), base_url: search_url, timeout: TOOL_TIMEOUT };
        let agent = BenefitsAgent {
            model: ModelClient { http: http.clone(), provider: self.provider },
            tools: Arc::new(tools),
            cache: Cache::default(),
            skips_malformed: self.skips_malformed,
        };
        let push = PushClient { http, base_url: push_url };
        let supervisor = Supervisor { agent: Arc::new(agent), store, push };
        Ok(service_router(Arc::new(supervisor)))
    }
}

fn service_router(supervisor: Arc<Supervisor>) -> Router {
    let service = Router::new()
        .route("/benefits/{member}", post(answer_question))
        .route("/benefits/{member}/stream", post(stream_answer))
        .layer(
            ServerLayer::new("benefits")
                .user(user_of_request)
                .tenant(tenant_of_request)
                .capture_headers(["authorization", "cookie"])
                .capture_bodies(BODY_BYTES_MAX),
        )
        .with_state(supervisor);
    // Outside of the layer, so that a scrape does not count as a request.
    #[cfg(feature = "metrics")]
    let service = service.merge(llm_audit::layer::metrics_router());
    service
}

/// The body of a request.
#[derive(Deserialize)]
struct QuestionBody {
    case: u64,
    contact: String,
    question: String,
}

async fn answer_question(
    State(supervisor): State<Arc<Supervisor>>,
    Path(member): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<QuestionBody>,
) -> Response {
    let encoded = supervisor.answer(question_from_request(member, &headers, asked), None).await;
    ([(CONTENT_TYPE, "application/json")], encoded).into_response()
}

async fn stream_answer(
    State(supervisor): State<Arc<Supervisor>>,
    Path(member): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<QuestionBody>,
) -> Response {
    let question = question_from_request(member, &headers, asked);
    let (tell, told) = mpsc::channel(PROGRESS_MAX);
    // In the stream's hands, so that it ends with it.
    let mut tasks = JoinSet::new();
    let work = async move { supervisor.answer(question, Some(tell)).await };
    tasks.spawn(work.in_span(current_span_or_new()));
    let events = unfold((told, tasks), |(mut told, tasks)| async {
        let (name, text): (&str, String) = told.recv().await?;
        // As JSON, a text of any lines is one line.
        let event = Event::default().event(name).data(serde_json::Value::from(text).to_string());
        Some((Ok::<_, Infallible>(event), (told, tasks)))
    });
    Sse::new(events).into_response()
}

fn question_from_request(member: String, headers: &HeaderMap, asked: QuestionBody) -> Question {
    let header = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
    Question {
        case: asked.case,
        member,
        contact: asked.contact,
        text: asked.question,
        authorization: header(AUTHORIZATION),
        cookie: header(COOKIE),
    }
}
