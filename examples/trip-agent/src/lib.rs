//! An agent that plans trips: it asks a model for the next step, and runs the tools that it calls.
//!
//! It was written without replay in mind. A replay needed three things: `capture_args` at the root,
//! `capture_bodies` of the HTTP client, and [`replay_root`].

mod error;
mod replay;

use std::time::Duration;

use bytes::Bytes;
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

pub use error::TripError;
pub use replay::replay_root;

/// A service that takes longer is given up.
const PATIENCE: Duration = Duration::from_millis(500);
/// The model is asked so often for one trip.
const ROUNDS_MAX: usize = 4;

/// Plans trips.
pub struct TripAgent {
    http: BoxCloneSyncService<Request<Full<Bytes>>, Response<Answer>, BoxError>,
    base_url: String,
}

type Answer = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// What the model wants: a tool, or to be done.
#[derive(Deserialize)]
struct Step {
    tool: Option<String>,
    #[serde(default)]
    arguments: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Cities {
    cities: Vec<String>,
}

#[derive(Deserialize)]
struct Seats {
    left: Option<u64>,
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

    /// Asks the model, again if it is busy. It streams its answer, a part in each event.
    #[audit_span(agent = "trips", event = "llm.invoke", action = "next_step")]
    async fn next_step(&self, messages: &[Value]) -> Result<Step, TripError> {
        let mut attempt = 1;
        loop {
            let request = Request::post(format!("{}/model", self.base_url));
            let request = request.extension(Attempt(attempt)).header("x-attempt", attempt);
            match self.fetch(request.body(json!(messages).to_string().into())).await {
                Err(TripError::Refused(StatusCode::TOO_MANY_REQUESTS)) if attempt < 3 => {
                    tokio::time::sleep(Duration::from_millis(10) * attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok(events) => {
                    let parts = events.lines().filter_map(|line| line.strip_prefix("data: "));
                    let text: String = parts.collect();
                    return serde_json::from_str(&text).map_err(TripError::Unreadable);
                }
            }
        }
    }

    /// The weather in all cities, at the same time.
    #[audit_span(agent = "trips", action = "weather")]
    async fn weather(&self, cities: &[String]) -> Result<Value, TripError> {
        let city = |at: usize| cities.get(at).map_or("home", String::as_str);
        let (first, second) =
            tokio::join!(self.get("weather", city(0)), self.get("weather", city(1)));
        Ok(json!([first?, second?]))
    }

    /// The price of a seat to the first city.
    #[audit_span(agent = "trips", action = "seats")]
    async fn seats(&self, cities: &[String]) -> Result<Value, TripError> {
        let city = &cities[0];
        let seats = self.get("seats", city).await?;
        let seats: Seats = serde_json::from_str(&seats).map_err(TripError::Unreadable)?;
        match seats.left {
            None => Err(TripError::NoSeats(city.clone())),
            Some(left) => Ok(json!({"price": 9_000 / left})),
        }
    }

    async fn get(&self, tool: &str, city: &str) -> Result<String, TripError> {
        let request = Request::get(format!("{}/{tool}/{city}", self.base_url));
        self.fetch(request.body(Full::default())).await
    }

    async fn fetch(
        &self,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<String, TripError> {
        let answer = async {
            let response = self.http.clone().oneshot(request.map_err(BoxError::from)?).await?;
            match response.status().is_success() {
                true => Ok(response.into_body().collect().await?.to_bytes()),
                false => Err(TripError::Refused(response.status())),
            }
        };
        let body =
            tokio::time::timeout(PATIENCE, answer).await.unwrap_or(Err(TripError::TimedOut))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}
