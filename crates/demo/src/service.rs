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

use crate::agent::BenefitsAgent;
use crate::cache::Cache;
use crate::config::{Config, Provider};
use crate::http_client::HttpClient;
use crate::model::ModelClient;
use crate::push::Push;
use crate::question::Question;
use crate::server::Server;
use crate::standin;
use crate::step::here;
use crate::store::Folder;
use crate::supervisor::Supervisor;
use crate::tools::Tools;

/// A longer body is not recorded, even if content is captured.
const BODY_BYTES_MAX: usize = 64 << 10;
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
/// It records into the recorder of the process.
pub struct Service {
    server: Server,
    standins: Vec<Server>,
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
        let search = Server::start(free, standin::search::router(config.seed)).await?;
        let push = Server::start(free, standin::push::router()).await?;
        let mut standins = vec![search, push];
        let urls = [0, 1].map(|at: usize| format!("http://{}", standins[at].address));
        let provider = match config.provider {
            Some(provider) => provider,
            None => {
                let model = Server::start(free, standin::model::router(config.seed)).await?;
                let provider = Provider::standin(model.address);
                standins.push(model);
                provider
            }
        };
        let store = match config.store {
            Some(store) => store,
            None => Arc::new(Folder::temporary()?),
        };
        let http = HttpClient::recorded();
        let [search_url, push_url] = urls;
        let tools = Tools { http: http.clone(), base_url: search_url, timeout: TOOL_TIMEOUT };
        let agent = BenefitsAgent {
            model: ModelClient { http: http.clone(), provider },
            tools: Arc::new(tools),
            cache: Cache::default(),
        };
        let push = Push { http, base_url: push_url };
        let supervisor = Arc::new(Supervisor { agent: Arc::new(agent), store, push });
        let server = Server::start(config.address, router(supervisor)).await?;
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

fn router(supervisor: Arc<Supervisor>) -> Router {
    Router::new()
        .route("/benefits/{member}", post(answer))
        .route("/benefits/{member}/stream", post(stream))
        .layer(
            ServerLayer::new("benefits")
                .capture_headers(["authorization", "cookie"])
                .capture_bodies(BODY_BYTES_MAX),
        )
        .with_state(supervisor)
}

/// The body of a request.
#[derive(Deserialize)]
struct Asked {
    case: u64,
    contact: String,
    question: String,
}

async fn answer(
    State(supervisor): State<Arc<Supervisor>>,
    Path(member): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Response {
    let encoded = supervisor.answer(question(member, &headers, asked), None).await;
    ([(CONTENT_TYPE, "application/json")], encoded).into_response()
}

async fn stream(
    State(supervisor): State<Arc<Supervisor>>,
    Path(member): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Response {
    let question = question(member, &headers, asked);
    let (tell, told) = mpsc::channel(PROGRESS_MAX);
    // In the stream's hands, so that it ends with it.
    let mut tasks = JoinSet::new();
    let work = async move { supervisor.answer(question, Some(tell)).await };
    tasks.spawn(work.in_span(here()));
    let events = unfold((told, tasks), |(mut told, tasks)| async {
        let (name, text): (&str, String) = told.recv().await?;
        // As JSON, a text of any lines is one line.
        let event = Event::default().event(name).data(serde_json::Value::from(text).to_string());
        Some((Ok::<_, Infallible>(event), (told, tasks)))
    });
    Sse::new(events).into_response()
}

fn question(member: String, headers: &HeaderMap, asked: Asked) -> Question {
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
