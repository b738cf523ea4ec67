//! The agent's failures, each replayed without network.

#[path = "../../../testdata/replays.rs"]
mod replays;

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream::{self, StreamExt};
use replays::{Recording, requests};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use trip_agent_example::{TripAgent, replay_root};

/// Kinds of trips; the last ones are rare.
const KINDS: u64 = 40;
const CONCURRENCY: u64 = 8;

/// The services of the agent, as unreliable as the trip of this number wants them.
fn services() -> Router {
    let weather = |Path(city): Path<String>| async move {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        static PAIR: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
        match city.as_str() {
            "atlantis" => StatusCode::NOT_FOUND.into_response(),
            "fog" => std::future::pending().await,
            // It is another one each time that somebody asks.
            "april" => {
                let asked = ASKED.fetch_add(1, Ordering::Relaxed);
                // Both calls are under way before one is answered.
                PAIR.wait().await;
                format!("weather {asked}").into_response()
            }
            _ => "sun, says ana@example.com".into_response(),
        }
    };
    let seats = |Path(city): Path<String>| async move {
        match city.as_str() {
            "full" => json!({"left": 0}).to_string(),
            "none" => json!({"left": null, "ask": "ana@example.com"}).to_string(),
            // The replay answers with JSON on one line.
            "many" => "{\n  \"note\": \"ask\",\n  \"left\": \"many\"\n}\n".to_owned(),
            "babble" => "call +49 30 1234567".to_owned(),
            _ => json!({"left": 12}).to_string(),
        }
    };
    Router::new()
        .route("/model", post(answer_model))
        .route("/weather/{city}", get(weather))
        .route("/seats/{city}", get(seats))
}

async fn answer_model(headers: HeaderMap, body: Bytes) -> Response {
    let messages: Value = serde_json::from_slice(&body).expect("messages are JSON");
    let (wish, round) = (messages[0]["user"].as_str().expect("a wish"), messages.as_array());
    let round = round.expect("a list").len();
    let number: u64 = wish.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    let attempt = headers.get("x-attempt").and_then(|n| n.to_str().ok()).unwrap_or("1");
    let call = |tool: &str, cities: &[&str]| json!({"tool": tool, "arguments": json!({"cities": cities}).to_string()});
    let done = || json!({"tool": null, "text": "Have a good trip."});
    let step = match (number % KINDS, round, attempt) {
        (0, _, "1" | "2") | (1, ..) => return StatusCode::TOO_MANY_REQUESTS.into_response(),
        (2, 1, _) => std::future::pending().await,
        (3, 2, _) => return cut_stream(),
        (4, ..) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (5, 1, _) => json!({"tool": "seats", "arguments": "{cities: rome}"}),
        (6, 1, _) => call("hotel", &["rome"]),
        (7, 1, _) => call("seats", &["full"]),
        (8, 1, _) => call("seats", &["none"]),
        (9, 1, _) => call("seats", &["babble"]),
        (18, 1, _) => call("seats", &["many"]),
        (10, 1, _) => call("seats", &[]),
        (11, 1, _) => call("weather", &["atlantis", "rome"]),
        (12, 1, _) => call("weather", &["rome", "fog"]),
        (13, ..) => call("weather", &["rome", "oslo"]),
        (14, 1, _) => return "Dear ana@example.com, I would rather".into_response(),
        (15, 1, _) => call("weather", &["rome", "rome"]),
        (15, 2, _) => call("seats", &["full"]),
        // Twice the same, with two answers.
        (16, 1, _) if number % (KINDS * 4) == 16 => call("weather", &["april", "april"]),
        (16, 2, _) => call("seats", &["none"]),
        (_, 1, _) => call("weather", &["rome", "oslo"]),
        (_, 2, _) => call("seats", &["rome"]),
        _ => done(),
    };
    let event = |part: &str| Ok::<_, std::io::Error>(format!("data: {part}\n\n"));
    let events: Vec<_> = step.to_string().split_inclusive(',').map(event).collect();
    event_stream(Body::from_stream(stream::iter(events)))
}

/// An answer whose connection breaks in the middle.
fn cut_stream() -> Response {
    let begins = stream::iter([Ok(Bytes::from("{\"tool\":\n"))]);
    let breaks = stream::once(async {
        // The beginning is on its way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("the model went away"))
    });
    event_stream(Body::from_stream(begins.chain(breaks)))
}

fn event_stream(body: Body) -> Response {
    ([("content-type", "text/event-stream")], body).into_response()
}

/// Plans so many trips over real sockets.
fn plan_trips(count: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listener.await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async { axum::serve(listener, services()).await });
        let mut callers = JoinSet::new();
        for caller in 0..CONCURRENCY {
            let url = url.clone();
            callers.spawn(async move {
                for number in (0..count).filter(|number| number % CONCURRENCY == caller) {
                    let agent = TripAgent::new(&url);
                    // A panic is the end of one trip.
                    let trip = async move {
                        let wish = format!("By train, ana@example.com, trip {number}");
                        // One caller in many does not wait.
                        let patience = if number % KINDS == 17 { 0 } else { 10_000 };
                        let patience = Duration::from_millis(patience);
                        tokio::time::timeout(patience, agent.plan_trip(&wish)).await.is_ok()
                    };
                    let _ended = tokio::spawn(trip).await;
                }
            });
        }
        callers.join_all().await;
    });
}

#[test]
fn the_agents_failures_fail_again_at_the_same_step() {
    let count = requests(80);
    let recording = Recording::new("trip agent", || plan_trips(count));
    let others = recording.replay_failed_traces(replay_root, |_| {});
    let is_ambiguous = |why: &String| why.contains("ran at the same time and ended differently");
    assert!(others.keys().any(is_ambiguous), "one trip in {} is: {others:?}", KINDS * 4);
}
