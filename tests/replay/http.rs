//! Clients under `ClientLayer`, and requests to a service under `ServerLayer`.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use llm_audit::layer::tower::{Attempt, ClientLayer, ServerLayer};
use llm_audit::replay::{Replayer, RootInput};
use serde_json::{Value, json};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use crate::{alone, disabled, fixture, recorded};

thread_local! {
    /// How many calls were really made.
    static MADE: Cell<u32> = const { Cell::new(0) };
    /// Whether the service has its error.
    static IS_FIXED: Cell<bool> = const { Cell::new(false) };
    /// The paths of the calls that were really made.
    static PATHS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The live service: too many requests at first, then plans without a price; one path hangs, one breaks.
async fn live<B: BodyExt>(request: Request<B>) -> Result<Response<Full<Bytes>>, io::Error> {
    MADE.set(MADE.get() + 1);
    let attempt = request.extensions().get::<Attempt>().map_or(1, |attempt| attempt.0);
    let (head, body) = request.into_parts();
    drop(body.collect().await);
    let answer = |status: StatusCode, body: &str| {
        let answer = Response::builder().status(status).header("retry-after", "3");
        Ok(answer.body(Full::from(body.to_owned())).expect("it is valid"))
    };
    match (head.uri.path(), attempt) {
        ("/hang", _) => std::future::pending().await,
        ("/broken", _) => Err(io::Error::other("no route to ana@example.com")),
        (_, 1) => answer(StatusCode::TOO_MANY_REQUESTS, "wait"),
        _ => answer(StatusCode::OK, r#"{"plans": [{"name": "gold", "to": "ana@example.com"}]}"#),
    }
}

/// The path whose calls are recorded as those of a model.
const MODEL_PATH: &str = "/v1/chat/completions";

async fn get(path: &str, attempt: u32) -> Result<(StatusCode, Bytes), BoxError> {
    let layer = ClientLayer::new("benefits").capture_bodies(1_000).capture_headers(["retry-after"]);
    // The port is another one in the replay.
    let port = if MADE.get() == 0 { 4711 } else { 4712 };
    let request =
        Request::get(format!("http://127.0.0.1:{port}{path}")).extension(Attempt(attempt));
    let response = if path == MODEL_PATH {
        let request = request.method("POST").body(Full::<Bytes>::from(r#"{"messages": []}"#));
        let client = layer.model_calls().layer(service_fn(live));
        client.oneshot(request.expect("it is valid")).await?
    } else {
        let request = request.body(Full::<Bytes>::default()).expect("it is valid");
        layer.layer(service_fn(live)).oneshot(request).await?
    };
    let (head, body) = response.into_parts();
    assert!(head.status != 429 || head.headers["retry-after"] == "3");
    Ok((head.status, body.collect().await?.to_bytes()))
}

/// The service that is replayed.
async fn answer(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("it is whole").to_bytes();
    let question: Value = serde_json::from_slice(&body).expect("a question is JSON");
    let path = question["path"].as_str().expect("a path");
    let mut answered = tokio::time::timeout(Duration::from_millis(20), get(path, 1)).await;
    if matches!(&answered, Ok(Ok((status, _))) if *status == 429) {
        answered = Ok(get(path, 2).await);
    }
    let status = match answered {
        Err(_) => StatusCode::GATEWAY_TIMEOUT,
        Ok(Err(_)) => StatusCode::BAD_GATEWAY,
        Ok(Ok((_, plans))) => {
            let plans: Value = serde_json::from_slice(&plans).expect("plans are JSON");
            match plans["plans"][0]["price"].as_u64() {
                None if !IS_FIXED.get() => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::OK,
            }
        }
    };
    let body = Full::from(status.as_str().to_owned());
    Ok(Response::builder().status(status).body(body).expect("it is valid"))
}

fn ask(request: Request<Bytes>) -> StatusCode {
    let layer = ServerLayer::new("benefits")
        .route(|_| Some("/ask".to_owned()))
        .capture_headers(["authorization"])
        .capture_bodies(1_000);
    let service = service_fn(|request: Request<_>| async {
        let (head, body): (_, llm_audit::layer::tower::RequestBody<Full<Bytes>>) =
            request.into_parts();
        let body = body.collect().await.expect("it is whole").to_bytes();
        answer(Request::from_parts(head, Full::new(body))).await
    });
    let mut service = layer.layer(service);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let response = service.call(request.map(Full::new)).await.expect("it is infallible");
        let status = response.status();
        response.into_body().collect().await.expect("it is whole");
        status
    })
}

fn record(path: &str) -> Replayer {
    let seen = recorded();
    MADE.set(0);
    let body = json!({"path": path, "from": "ana@example.com"}).to_string();
    let request = Request::post("/ask").header("authorization", "Bearer abcdefgh12345678");
    ask(request.body(body.into()).expect("it is valid"));
    let replayer = Replayer::new(fixture(&seen));
    assert!(MADE.get() > 0);
    MADE.set(100);
    replayer
}

fn root(input: &RootInput) -> StatusCode {
    let request = input.request().expect("the root is a request");
    assert_eq!(request.headers()["authorization"], "[REDACTED]");
    ask(request)
}

#[test]
fn a_request_fails_as_it_was_recorded_without_a_call() {
    let _alone = alone();
    let replayer = record("/plans");
    let replay = replayer.run(root);
    assert_eq!(replay.output(), Some(&StatusCode::INTERNAL_SERVER_ERROR), "{replay:#?}");
    assert_eq!((replay.mismatches().len(), MADE.get()), (0, 100), "{replay:#?}");
    let why = replay.check().unwrap_err();
    assert_eq!(
        why,
        "it fails as it was recorded: request.end POST /ask: 500: Internal Server Error"
    );
    assert_eq!(replayer.run(root).lines(), replay.lines());
    IS_FIXED.set(true);
    replayer.run(root).assert_fixed();
    IS_FIXED.set(false);
}

#[test]
fn the_calls_of_a_model_are_answered_too() {
    let _alone = alone();
    let replayer = record(MODEL_PATH);
    let replay = replayer.run(root);
    assert_eq!(replay.output(), Some(&StatusCode::INTERNAL_SERVER_ERROR), "{replay:#?}");
    assert_eq!((replay.mismatches().len(), MADE.get()), (0, 100), "{replay:#?}");
    assert!(replay.reproduces(), "{replay:#?}");
    let is_of_model = |line: &&String| line.contains("llm.invoke") || line.contains("llm.error");
    assert_eq!(replay.lines().iter().filter(is_of_model).count(), 2, "{:#?}", replay.lines());
}

#[test]
fn a_call_that_was_given_up_is_never_answered() {
    let _alone = alone();
    let replayer = record("/hang");
    let replay = replayer.run(root);
    assert_eq!(replay.output(), Some(&StatusCode::GATEWAY_TIMEOUT), "{replay:#?}");
    assert!(replay.reproduces() && MADE.get() == 100, "{replay:#?}");
}

#[test]
fn a_call_that_failed_fails_with_the_recorded_error() {
    let _alone = alone();
    let replayer = record("/broken");
    let replay = replayer.run(root);
    assert_eq!(replay.output(), Some(&StatusCode::BAD_GATEWAY), "{replay:#?}");
    assert!(replay.reproduces(), "{replay:#?}");
    let call = replay.lines().iter().find(|line| line.contains("api.call")).unwrap();
    assert!(call.contains(r#""message":"no route to [REDACTED_email]""#), "{call}");
}

#[test]
fn an_unknown_call_gets_an_error_and_is_not_made() {
    let _alone = alone();
    let replayer = record("/plans");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let replay = replayer.run(|_| runtime.block_on(get("/others", 1)).map_err(|e| e.to_string()));
    let Some(Err(message)) = replay.output() else { panic!("{replay:?}") };
    assert!(message.contains("has another input than step 1: /url is"), "{message}");
    assert!(message.contains(r#"recorded "http://127.0.0.1/plans""#), "{message}");
    assert_eq!((MADE.get(), replay.mismatches().len()), (100, 1));
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn a_call_at_the_root_blocks_and_is_never_made() {
    let _alone = alone();
    let seen = recorded();
    MADE.set(0);
    block_on(get("/plans", 1)).expect("it is answered");
    let mut fixture = fixture(&seen);
    assert!(!fixture.is_replayable(), "{fixture:?}");
    fixture.not_captured.clear();
    MADE.set(100);
    let replay = Replayer::new(fixture).run(|_| block_on(get("/plans", 1)).is_err());
    assert_eq!((replay.output(), MADE.get()), (Some(&true), 100));
    assert_eq!(replay.mismatches().len(), 1, "{replay:?}");
}

/// Makes a call by another layer, with these headers; returns the error and how many calls were made.
fn call(layer: ClientLayer, headers: &[(&str, String)]) -> (String, u32) {
    let before = MADE.get();
    let mut request = Request::get("http://127.0.0.1/plans").extension(Attempt(2));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::<Bytes>::default()).expect("it is valid");
    let answer = block_on(layer.layer(service_fn(live)).oneshot(request));
    let error = answer.err().map(|error| error.to_string()).unwrap_or_default();
    (error, MADE.get() - before)
}

#[test]
fn a_call_with_a_disabled_logger_is_refused() {
    let _alone = alone();
    let replayer = record("/plans");
    let layer = || ClientLayer::new("others").logger(disabled().clone());
    let replay = replayer.run(|_| call(layer(), &[]));
    let Some((error, made)) = replay.output() else { panic!("{replay:?}") };
    assert!(error.contains("is not recorded below") && *made == 0, "{error}");
}

#[test]
fn a_call_with_a_trace_of_its_own_is_refused_on_another_thread() {
    let _alone = alone();
    let replayer = record("/plans");
    for traceparent in ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "bad"] {
        let replay = replayer.run(|_| {
            let headers = [("traceparent", traceparent.to_owned())];
            let outside = || call(ClientLayer::new("benefits"), &headers);
            std::thread::scope(|scope| scope.spawn(outside).join().expect("no panic"))
        });
        let Some((error, made)) = replay.output() else { panic!("{replay:?}") };
        assert!(error.contains("its task needs in_span") && *made == 0, "{error}");
    }
}

#[test]
fn an_event_of_a_call_that_was_emitted_by_hand_blocks() {
    let _alone = alone();
    let seen = recorded();
    let span = llm_audit::TraceContext::new_trace();
    let _scope = span.enter();
    let event = llm_audit::AuditEvent::new(llm_audit::EventType::ApiCall, "benefits", "GET x");
    llm_audit::emit(
        &llm_audit::AuditEvent::new(llm_audit::EventType::ToolCall, "benefits", "root").span(&span),
    );
    llm_audit::emit(&event);
    let fixture = fixture(&seen);
    let gap = fixture.not_captured.iter().find(|gap| gap.blocks).expect("a gap");
    assert!(gap.what.contains("outside of ClientLayer"), "{gap:?}");
}

/// An event stream that breaks in its second event.
struct Breaking(u8);

#[derive(Debug)]
struct Broken(Option<Box<Broken>>);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "no route to http://a.example/plans"
        } else {
            "no cable"
        })
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

impl http_body::Body for Breaking {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Broken>>> {
        self.0 += 1;
        let frame = match self.0 {
            1 => Ok("data: ana@example.com\n\ndata: ana@"),
            _ => Err(Broken(Some(Box::new(Broken(None))))),
        };
        Poll::Ready(Some(frame.map(|text| http_body::Frame::data(text.into()))))
    }
}

/// Reads a stream: the whole events of it, and the error and its source that it ends with.
#[llm_audit::audit_span(agent = "benefits", action = "listen")]
async fn listen() -> Result<(), String> {
    MADE.set(MADE.get() + 1);
    let answer = |_: Request<Full<Bytes>>| async {
        let answer = Response::builder().header("content-type", "text/event-stream");
        Ok::<_, Infallible>(answer.body(Breaking(0)).expect("it is valid"))
    };
    let client = ClientLayer::new("benefits").capture_bodies(1_000).layer(service_fn(answer));
    let request = Request::get("http://127.0.0.1/live").body(Full::default()).expect("it is valid");
    let response = client.oneshot(request).await.map_err(|error| error.to_string())?;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut body, mut seen) = (response.into_body(), String::new());
    loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                seen += std::str::from_utf8(frame.data_ref().expect("data")).unwrap()
            }
            Some(Err(error)) => {
                let events = seen.rsplit_once("\n\n").map(|(events, _)| events);
                let source = error.source().map(ToString::to_string);
                return Err(format!("{events:?}, {error}, {source:?}"));
            }
            None => return Ok(()),
        }
    }
}

#[test]
fn a_stream_that_broke_gives_its_whole_events_and_then_its_error() {
    let _alone = alone();
    let seen = recorded();
    let error = block_on(listen()).expect_err("it breaks");
    let call = seen.lines().into_iter().find(|line| line.contains("api.call")).expect("a call");
    assert!(
        call.contains(r#""response_body":"data: [REDACTED_email]\n\n[TRUNCATED:33]""#),
        "{call}"
    );
    let fixture = fixture(&seen);
    assert!(fixture.is_replayable(), "{:?}", fixture.not_captured);
    let replay = Replayer::new(fixture).run(|_| block_on(listen()));
    let expected = error.replace("ana@example.com", "[REDACTED_email]").replace("/plans", "");
    assert_eq!(replay.output(), Some(&Err(expected)));
    assert!(replay.reproduces(), "{replay:?}");
    let again = replay.lines().iter().find(|line| line.contains("api.call")).expect("a call");
    assert!(again.contains(r#""response_body":"data: [REDACTED_email]\n\n[TRUNCATED:"#), "{again}");
}

#[test]
fn a_client_makes_calls_from_a_step_on_only_on_request() {
    let _alone = alone();
    let replay = record("/plans").live_from_step(2).run(root);
    assert_eq!(MADE.get(), 101, "{replay:?}");
    assert_eq!(replay.output(), Some(&StatusCode::INTERNAL_SERVER_ERROR), "{replay:?}");
    assert!(replay.reproduces(), "{replay:?}");
}

/// A call that is like those of all other questions; the answer is the number of the call.
#[llm_audit::audit_span(agent = "benefits", action = "question", capture_args)]
async fn question(text: &str) -> String {
    let answer = |_: Request<Full<Bytes>>| async {
        MADE.set(MADE.get() + 1);
        let made = MADE.get();
        // All calls are under way before one is answered.
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("answer {made}"))))
    };
    let client = ClientLayer::new("benefits").capture_bodies(1_000).layer(service_fn(answer));
    let request = Request::post("http://127.0.0.1/model").body(text.to_owned().into());
    let response = client.oneshot(request.expect("it is valid")).await.expect("it is answered");
    let body = response.into_body().collect().await.expect("it is whole").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

#[llm_audit::audit_span(agent = "benefits", action = "both")]
async fn ask_both(first: &str, second: &str) -> (String, String) {
    tokio::join!(question(first), question(second))
}

#[test]
fn calls_that_are_alike_are_told_apart_by_the_functions_around_them() {
    let _alone = alone();
    MADE.set(0);
    let seen = recorded();
    assert_eq!(block_on(ask_both("a", "b")), ("answer 1".into(), "answer 2".into()));
    let replayer = Replayer::new(fixture(&seen));
    let replay = replayer.run(|_| block_on(ask_both("b", "a")));
    let expected = ("answer 2".to_owned(), "answer 1".to_owned());
    assert_eq!(replay.output(), Some(&expected), "{replay:?}");
    assert_eq!((MADE.get(), replay.check()), (2, Ok(())));
}

#[llm_audit::audit_span(agent = "benefits", action = "each")]
async fn ask_each() -> Result<(), String> {
    let client = |path: &'static str| async move {
        let answer = |request: Request<Full<Bytes>>| async move {
            PATHS.with_borrow_mut(|paths| paths.push(request.uri().path().to_owned()));
            // A slow answer comes after the second call of the other branch has begun.
            for _ in 0..if request.uri().path() == "/b1" { 9 } else { 1 } {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("answer")))
        };
        let client = ClientLayer::new("benefits").capture_bodies(1_000).layer(service_fn(answer));
        let request = Request::get(format!("http://127.0.0.1{path}")).body(Full::default());
        let response = client.oneshot(request.expect("it is valid")).await.expect("an answer");
        response.into_body().collect().await.expect("it is whole");
    };
    let branch = async |paths: [&'static str; 2]| {
        for path in paths {
            client(path).await;
        }
    };
    tokio::join!(branch(["/a1", "/a2"]), branch(["/b1", "/b2"]));
    Err("it failed".to_owned())
}

#[test]
fn only_the_calls_from_the_live_step_on_are_made_in_whatever_order_they_come() {
    let _alone = alone();
    let seen = recorded();
    block_on(ask_each()).expect_err("it fails");
    let fixture = fixture(&seen);
    let paths: Vec<_> =
        fixture.calls.iter().map(|call| call.input.as_ref().unwrap()["url"].clone()).collect();
    assert_eq!(paths, ["/a1", "/b1", "/a2", "/b2"].map(|path| format!("http://127.0.0.1{path}")));
    for (live, made) in [(2, &["/a2", "/b1", "/b2"][..]), (3, &["/a2", "/b2"]), (4, &["/b2"])] {
        PATHS.take();
        let replay =
            Replayer::new(fixture.clone()).live_from_step(live).run(|_| block_on(ask_each()));
        let mut paths = PATHS.take();
        paths.sort();
        assert_eq!(
            (&*paths, replay.mismatches()),
            (&made.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()[..], &[][..]),
            "from step {live}"
        );
        assert!(replay.reproduces(), "{replay:?}");
    }
}

/// Its caller gives up. The changed one waits for something else before its call.
#[llm_audit::audit_span(agent = "benefits", action = "waits")]
async fn waits() -> Result<(), String> {
    if IS_FIXED.get() {
        std::future::pending::<()>().await;
    }
    get("/hang", 1).await.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_changed_root_that_waits_for_something_else_is_dropped_after_many_pauses() {
    let _alone = alone();
    let seen = recorded();
    block_on(async {
        let root = tokio::time::timeout(Duration::from_millis(20), waits());
        root.await.expect_err("its caller gives up");
    });
    let replayer = Replayer::new(fixture(&seen));
    let replay = || {
        let pause = || std::future::ready(());
        replayer.run(|input| block_on(input.drive_with_pauses(waits(), pause)))
    };
    assert_eq!(replay().mismatches(), [""; 0]);
    IS_FIXED.set(true);
    let changed = replay();
    IS_FIXED.set(false);
    assert!(matches!(changed.output(), Some(None)), "{changed:?}");
    let why = changed.check().unwrap_err();
    assert!(why.ends_with("not called: step 1 (tool waits > http GET 127.0.0.1)"), "{why}");
}
