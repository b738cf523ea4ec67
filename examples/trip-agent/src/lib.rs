//! An agent that plans trips: it asks a model for the next step, and runs the tools that it calls.
//!
//! It was written without replay in mind. A replay needed three things: `capture_args` at the root,
//! `capture_bodies` of the HTTP client, and [`replay_root`].

mod replay;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use llm_audit::audit_span;
use llm_audit::layer::tower::{Attempt, ClientLayer};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};

pub use replay::replay_root;

/// A service that takes longer is given up.
const PATIENCE: Duration = Duration::from_millis(150);
/// The model is asked so often for one trip.
const ROUNDS_MAX: usize = 4;

/// Plans trips.
pub struct TripAgent {
    http: BoxCloneSyncService<Request<Full<Bytes>>, Response<Answer>, BoxError>,
    base_url: String,
}

type Answer = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// Why there is no plan.
#[derive(Debug)]
pub enum TripError {
    Refused(StatusCode),
    TimedOut,
    NoAnswer(BoxError),
    Unreadable(serde_json::Error),
    NoSuchTool(String),
    NoSeats { city: String },
    Endless,
}

impl fmt::Display for TripError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "the service said {status}"),
            Self::TimedOut => f.write_str("the service took too long"),
            Self::NoAnswer(cause) => write!(f, "no whole answer came: {cause}"),
            Self::Unreadable(cause) => write!(f, "the answer is not what was agreed: {cause}"),
            Self::NoSuchTool(name) => write!(f, "there is no tool {name}"),
            Self::NoSeats { city } => write!(f, "no seats to {city}"),
            Self::Endless => f.write_str("the model calls for tools without end"),
        }
    }
}

impl Error for TripError {}

/// What the model wants: a tool, or to be done.
#[derive(Deserialize)]
struct Step {
    tool: Option<String>,
    /// JSON in a text, as models give arguments.
    #[serde(default)]
    arguments: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Cities {
    cities: Vec<String>,
}

impl TripAgent {
    /// An agent whose model and tools are at this URL.
    pub fn new(base_url: impl Into<String>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let client = ClientLayer::new("trips").capture_bodies(64 << 10).layer(client);
        let client = client.map_response(|response| response.map(|body| body.boxed_unsync()));
        Self { http: BoxCloneSyncService::new(client), base_url: base_url.into() }
    }

    /// Plans one trip.
    #[audit_span(agent = "trips", action = "plan_trip", capture_args)]
    pub async fn plan_trip(&self, wish: &str) -> Result<String, TripError> {
        let mut messages = vec![json!({"user": wish})];
        for _ in 0..ROUNDS_MAX {
            let step = self.next_step(&messages).await?;
            let Some(tool) = step.tool else { return Ok(step.text) };
            let Cities { cities } =
                serde_json::from_str(&step.arguments).map_err(TripError::Unreadable)?;
            let found = match tool.as_str() {
                "weather" => self.weather(&cities).await?,
                "seats" => self.seats(&cities).await?,
                _ => return Err(TripError::NoSuchTool(tool)),
            };
            messages.push(json!({"tool": tool, "found": found}));
        }
        Err(TripError::Endless)
    }

    /// Asks the model, again if it is busy. It streams its answer, one word in each line.
    #[audit_span(agent = "trips", event = "llm.invoke", action = "next_step")]
    async fn next_step(&self, messages: &[Value]) -> Result<Step, TripError> {
        let mut attempt = 1;
        loop {
            let request = Request::post(format!("{}/model", self.base_url));
            let request = request.extension(Attempt(attempt)).header("x-attempt", attempt);
            match self.fetch(request, json!(messages).to_string()).await {
                Err(TripError::Refused(StatusCode::TOO_MANY_REQUESTS)) if attempt < 3 => {
                    tokio::time::sleep(Duration::from_millis(10) * attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok(words) => {
                    let text: String = words.lines().collect();
                    return serde_json::from_str(&text).map_err(TripError::Unreadable);
                }
            }
        }
    }

    /// The weather in all cities, at the same time.
    #[audit_span(agent = "trips", action = "weather")]
    async fn weather(&self, cities: &[String]) -> Result<Value, TripError> {
        let city = |at: usize| cities.get(at).map_or("home", String::as_str);
        let get = |city| self.fetch(Request::get(format!("{}/weather/{city}", self.base_url)), "".into());
        let (first, second) = tokio::join!(get(city(0)), get(city(1)));
        Ok(json!([first?, second?]))
    }

    /// The price of a seat to the first city.
    #[audit_span(agent = "trips", action = "seats")]
    async fn seats(&self, cities: &[String]) -> Result<Value, TripError> {
        let city = &cities[0];
        let url = format!("{}/seats/{city}", self.base_url);
        let seats = self.fetch(Request::get(url), "".into()).await?;
        let seats: Value = serde_json::from_str(&seats).map_err(TripError::Unreadable)?;
        match seats["left"].as_u64() {
            None => Err(TripError::NoSeats { city: city.clone() }),
            Some(left) => Ok(json!({"price": 9_000 / left})),
        }
    }

    async fn fetch(&self, request: http::request::Builder, body: String) -> Result<String, TripError> {
        let request = request.body(Full::from(body)).map_err(|error| TripError::NoAnswer(error.into()))?;
        let answer = async {
            let response = self.http.clone().oneshot(request).await.map_err(TripError::NoAnswer)?;
            if !response.status().is_success() {
                return Err(TripError::Refused(response.status()));
            }
            let mut body = response.into_body().collect().await.map_err(TripError::NoAnswer)?.aggregate();
            let bytes = body.copy_to_bytes(body.remaining());
            String::from_utf8(bytes.into()).map_err(|error| TripError::NoAnswer(error.into()))
        };
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or(Err(TripError::TimedOut))
    }
}
