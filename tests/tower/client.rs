//! Calls of a client: one event each, in the span that the called service gets.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, Response};
use axum::routing::{any, get};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use llm_audit::layer::tower::{Attempt, ClientLayer};
use llm_audit::testing::{Capture, capture_with};
use llm_audit::{AuditLogger, InSpan, SamplingPolicy, TraceContext};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tower::retry::Policy;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt};

use crate::support::{Served, Step, layer, piped, verdict};

type Inner = Client<HttpConnector, Full<Bytes>>;

fn inner() -> Inner {
    Client::builder(TokioExecutor::new()).build_http()
}

fn client_layer(served: &Served) -> ClientLayer {
    ClientLayer::new("caller").logger(served.capture.logger().clone())
}

fn request(served: &Served, path: &str) -> http::request::Builder {
    Request::get(format!("http://{}{path}", served.address))
}

fn empty(builder: http::request::Builder) -> Request<Full<Bytes>> {
    builder.body(Full::default()).unwrap()
}

/// Starts a server with a response of each kind.
fn serve() -> Served {
    Served::new(|capture| {
        let code = async |axum::extract::Path(code): axum::extract::Path<u16>| {
            Response::builder().status(code).body(Body::from("body")).unwrap()
        };
        let headers = async |headers: HeaderMap| {
            let all = |name: &str| -> Vec<String> {
                let all = headers.get_all(name).iter();
                all.map(|value| value.to_str().unwrap().to_owned()).collect()
            };
            format!("{:?}", (all("traceparent"), all("tracestate")))
        };
        Router::new()
            .route("/code/{code}", any(code))
            .route("/headers", get(headers))
            .layer(layer(capture))
    })
}

#[test]
fn the_call_is_above_what_the_server_records_and_below_what_it_is_made_in() {
    let served = serve();
    let root =
        TraceContext::from_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .unwrap()
            .with_tracestate("vendor=1");
    let client = client_layer(&served).layer(inner());
    let stale = |uri: String| {
        let request = Request::get(uri)
            .header("traceparent", "00-11111111111111111111111111111111-1111111111111111-00")
            .header("tracestate", "stale=1")
            .header("tracestate", "stale=2");
        empty(request)
    };
    let ask = |request| {
        let client = client.clone();
        async move {
            let body = client.oneshot(request).await.unwrap().into_body();
            String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
        }
    };
    let uri = format!("http://ana:hunter2@{}/headers?q=7734", served.address);
    let inside = served.runtime.block_on(ask(stale(uri.clone())).in_span(root.clone()));
    let outside = served.runtime.block_on(ask(stale(uri)));
    let recorded = served.finish(2);
    let calls = recorded.of("api.call");
    assert_eq!(calls.len(), 2);
    for (pair, call) in recorded.pairs().iter().zip(&calls) {
        assert_eq!(pair.start["parent_span_id"], call["span_id"]);
        assert_eq!(pair.start["trace_id"], call["trace_id"]);
        assert_eq!(verdict(call), ("ok", None));
        assert_eq!(call["action"], "GET 127.0.0.1");
        assert!(call["latency_ms"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(calls[0]["trace_id"], format!("{:032x}", root.trace_id()));
    assert_eq!(calls[0]["parent_span_id"], format!("{:016x}", root.span_id()));
    // Without a span of its own the call continues the trace that another tracer put there.
    assert_eq!(calls[1]["trace_id"], "1".repeat(32));
    assert_eq!(calls[1]["parent_span_id"], "1".repeat(16));
    let header = |call: &Value, flag: &str| {
        let id = |field: &str| call[field].as_str().unwrap().to_owned();
        format!("00-{}-{}-{flag}", id("trace_id"), id("span_id"))
    };
    assert_eq!(inside, format!("{:?}", ([header(calls[0], "01")], ["vendor=1"])));
    assert_eq!(outside, format!("{:?}", ([header(calls[1], "00")], ["stale=1,stale=2"])));
    let all = json!(recorded.lines).to_string();
    assert!(!all.contains("hunter2") && !all.contains("?q="), "{all}");
}

#[test]
fn the_trace_goes_to_the_hosts_of_the_list_alone() {
    let served = serve();
    let ask = |hosts: &[&str]| {
        let client = client_layer(&served).propagate_to(hosts.iter().copied()).layer(inner());
        let foreign = "00-11111111111111111111111111111111-1111111111111111-00";
        let request = request(&served, "/headers").header("traceparent", foreign);
        let asked = client.oneshot(empty(request.header("tracestate", "a=1")));
        served.runtime.block_on(async {
            asked.await.unwrap().into_body().collect().await.unwrap().to_bytes()
        })
    };
    assert_eq!(ask(&[]), "([], [])");
    assert_eq!(ask(&["api.example.com", "0.0.1", ".1.0.0.1"]), "([], [])");
    for hosts in [&["127.0.0.1"][..], &["example.com", ".0.0.1"]] {
        assert!(ask(hosts).starts_with(b"([\"00-111"), "{hosts:?}");
    }
    let recorded = served.finish(4);
    let calls = recorded.of("api.call");
    let is_recorded = |call: &&Value| call["trace_id"] == "1".repeat(32);
    assert!(calls.len() == 4 && calls.iter().all(is_recorded), "{calls:?}");
}

/// The flag and the threshold of a new trace are decided by the logger that records it, not by the
/// process.
#[test]
fn the_flag_of_a_new_trace_is_that_of_the_layer_s_logger() {
    let served = serve();
    for (rate, sent) in [(0.0, "-02\"], [])"), (1.0, "-03\"], [\"ot=th:0\"])")] {
        let policy = SamplingPolicy { trace_rate: rate, ..SamplingPolicy::default() };
        let own = capture_with(|builder| builder.sampling(policy));
        let client = ClientLayer::new("caller").logger(own.logger().clone()).layer(inner());
        let body = served.runtime.block_on(async {
            let asked = client.oneshot(empty(request(&served, "/headers")));
            asked.await.unwrap().into_body().collect().await.unwrap().to_bytes()
        });
        let header = String::from_utf8_lossy(&body);
        assert!(header.ends_with(sent), "{header}");
    }
    served.finish(2);
}

#[test]
fn an_answer_is_told_by_its_code_and_bytes() {
    let served = serve();
    let cases = [
        ("GET", "200", ("ok", None), 4),
        ("HEAD", "200", ("ok", None), 0),
        ("GET", "204", ("ok", None), 0),
        ("GET", "404", ("error", Some("404")), 4),
        ("GET", "408", ("timeout", Some("408")), 4),
        ("GET", "500", ("error", Some("500")), 4),
        ("GET", "504", ("timeout", Some("504")), 4),
    ];
    let template = |head: &http::request::Parts| {
        head.uri.path().starts_with("/code/").then(|| "/code/{code}".to_owned())
    };
    let client = client_layer(&served).url(template).layer(inner());
    for (at, (method, code, ..)) in cases.into_iter().enumerate() {
        let request = request(&served, &format!("/code/{code}")).method(method);
        let request = empty(request.extension(Attempt(at as u32 + 1)));
        served.runtime.block_on(async {
            let response = client.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status().as_str(), code);
            response.into_body().collect().await.unwrap();
        });
    }
    let recorded = served.finish(cases.len());
    let calls = recorded.of("api.call");
    assert_eq!(calls.len(), cases.len());
    for (at, (call, (method, code, expected, bytes))) in calls.into_iter().zip(cases).enumerate() {
        assert_eq!(verdict(call), expected);
        assert_eq!(call["action"], format!("{method} /code/{{code}}"));
        let data = json!({
            "http.method": method,
            "url": "/code/{code}",
            "attempt": at + 1,
            "http.status_code": code.parse::<u16>().unwrap(),
            "bytes": bytes,
        });
        assert_eq!(call["data"], data);
    }
}

/// Retries an answer of 503 after a pause, during which it reads what is recorded.
#[derive(Clone)]
struct Again {
    capture: Rc<Capture>,
    recorded: Arc<Mutex<Vec<usize>>>,
}

impl<R> Policy<Request<Full<Bytes>>, Response<R>, BoxError> for Again {
    type Future = std::pin::Pin<Box<dyn Future<Output = ()>>>;

    fn retry(
        &mut self,
        _request: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<R>, BoxError>,
    ) -> Option<Self::Future> {
        let again = self.clone();
        let is_busy = result.as_ref().is_ok_and(|answer| answer.status() == 503);
        is_busy.then(|| {
            let pause =
                async move { again.recorded.lock().unwrap().push(again.capture.lines().len()) };
            Box::pin(pause) as Self::Future
        })
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

#[test]
fn each_attempt_is_a_call_of_its_own_that_ends_before_the_pause() {
    let capture = Rc::new(capture_with(|builder| builder));
    let policy = Again { capture: capture.clone(), recorded: Arc::default() };
    let asked = Arc::new(Mutex::new(0));
    let busy_twice = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        let status = if *asked % 3 == 0 { 200 } else { 503 };
        let parent = request.headers()["traceparent"].to_str().unwrap().to_owned();
        let answer = Response::builder().status(status).body(Full::<Bytes>::from(parent));
        std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
    });
    let client = ServiceBuilder::new()
        .map_request(Attempt::count)
        .retry(policy.clone())
        .layer(ClientLayer::new("caller").logger(capture.logger().clone()))
        .service(busy_twice);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let root = TraceContext::new_trace();
    let asked = async || {
        // The count begins anew with each request.
        for _ in 0..2 {
            let answer = client.clone().oneshot(empty(Request::get("http://a.example/plans")));
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            let _traceparent = answer.into_body().collect().await.unwrap();
        }
    };
    runtime.block_on(asked().in_span(root.clone()));
    assert_eq!(*policy.recorded.lock().unwrap(), [1, 2, 4, 5], "the pause is in no call");
    let lines: Vec<Value> =
        capture.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attempts: Vec<_> =
        lines.iter().map(|line| (&line["data"]["attempt"], verdict(line))).collect();
    let (one, two, three) = (json!(1), json!(2), json!(3));
    let busy = ("error", Some("503"));
    let expected = [(&one, busy), (&two, busy), (&three, ("ok", None))];
    assert_eq!(attempts, [expected, expected].concat());
    let parent = format!("{:016x}", root.span_id());
    assert!(lines.iter().all(|line| line["parent_span_id"] == *parent), "attempts are siblings");
}

#[test]
fn a_layer_around_the_retries_records_one_call() {
    let capture = Rc::new(capture_with(|builder| builder));
    let policy = Again { capture: capture.clone(), recorded: Arc::default() };
    let codes = Arc::new(Mutex::new(vec![200, 503]));
    let busy_once = tower::service_fn(move |_: Request<Full<Bytes>>| {
        let code = codes.lock().unwrap().pop().unwrap();
        let answer = Response::builder().status(code).body(Full::<Bytes>::default());
        std::future::ready(Ok::<_, BoxError>(answer.unwrap()))
    });
    let client = ServiceBuilder::new()
        .layer(ClientLayer::new("caller").logger(capture.logger().clone()))
        .retry(policy.clone())
        .service(busy_once);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let asked = client.oneshot(empty(Request::get("http://a.example/plans")));
    drop(runtime.block_on(asked).unwrap());
    assert_eq!(*policy.recorded.lock().unwrap(), [0]);
    let lines = capture.lines();
    let call: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((lines.len(), verdict(&call)), (1, ("ok", None)));
    assert!(call["data"].get("attempt").is_none());
}

#[test]
fn a_call_without_an_answer_is_an_error_with_its_sources() {
    let served = serve();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client_layer(&served).layer(inner());
    let request = empty(Request::get(format!("http://{nobody}/plans")));
    let error = served.runtime.block_on(client.oneshot(request)).unwrap_err();
    assert!(error.downcast::<hyper_util::client::legacy::Error>().unwrap().is_connect());
    let recorded = served.finish(0);
    let call = recorded.of("api.call")[0];
    assert_eq!(verdict(call), ("error", Some("hyper_util::client::legacy::client::Error")));
    assert!(call["error"]["traceback"].as_str().unwrap().contains("refused"), "{call}");
    assert_eq!(
        call["data"],
        json!({"http.method": "GET", "url": format!("http://{nobody}/plans")})
    );
}

#[test]
fn a_call_that_takes_too_long_is_a_timeout() {
    let served = serve();
    // This listener accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = ServiceBuilder::new()
        .layer(client_layer(&served))
        .timeout(Duration::from_millis(1))
        .service(inner());
    let request = empty(Request::get(format!("http://{}/", silent.local_addr().unwrap())));
    let error = served.runtime.block_on(client.oneshot(request)).unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>());
    let recorded = served.finish(0);
    let calls = recorded.of("api.call");
    assert_eq!(calls.len(), 1);
    assert_eq!(verdict(calls[0]), ("timeout", Some("timeout")));
    assert_eq!(calls[0]["error"]["message"], "request timed out");
}

#[test]
fn a_call_that_is_dropped_is_cancelled_on_both_sides() {
    let (arrived, arrivals) = std::sync::mpsc::channel();
    let served = Served::new(|capture| {
        let slow = async move || {
            arrived.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        Router::new().route("/slow", get(slow)).layer(layer(capture))
    });
    let client = client_layer(&served).layer(inner());
    let task = served.runtime.spawn(client.oneshot(empty(request(&served, "/slow"))));
    arrivals.recv().unwrap();
    task.abort();
    served.wait_for("api.call", 1);
    let recorded = served.finish(1);
    let calls: Vec<_> = recorded.of("api.call").into_iter().map(verdict).collect();
    assert_eq!(calls, [("error", Some("cancelled"))]);
    assert_eq!(verdict(&recorded.pair().end), ("error", Some("cancelled")));
}

/// Starts a server for one request at `/stream`. The body of its response begins with `sent`, and the
/// test gets what continues it.
fn serve_begun(
    sent: &'static str,
    respond: impl Fn(Body) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (Served, oneshot::Receiver<UnboundedSender<Step>>) {
    let (sender, receiver) = oneshot::channel();
    let served = Served::new(|capture| {
        let logger = capture.logger().clone();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let stream = async move || {
            let (steps, body) = piped(&logger);
            steps.send(Step::Data(sent)).unwrap();
            let _ = sender.lock().unwrap().take().expect("one request").send(steps);
            respond(Body::new(body))
        };
        Router::new().route("/stream", get(stream)).layer(layer(capture))
    });
    (served, receiver)
}

/// How much a caller reads of the body that it gets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reads {
    Nothing,
    Half,
    All,
}

#[test]
fn a_body_ends_the_call_read_whole_unread_cut_or_broken() {
    let cases = [
        (Reads::All, None, ("ok", None), 5),
        (Reads::Nothing, None, ("ok", None), 0),
        (Reads::Half, None, ("error", Some("cancelled")), 5),
        (Reads::All, Some(Step::Fail), ("error", Some("hyper::error::Error")), 5),
    ];
    for (reads, step, expected, bytes) in cases {
        let (served, receiver) = serve_begun("token", Response::new);
        let client = client_layer(&served).layer(inner());
        let call = client.oneshot(empty(request(&served, "/stream")));
        served.runtime.block_on(async {
            let mut body = call.await.unwrap().into_body();
            let steps = receiver.await.unwrap();
            if reads == Reads::Nothing {
                return;
            }
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "token");
            if reads == Reads::All {
                let fails = step.is_some();
                step.into_iter().for_each(|step| steps.send(step).unwrap_or_else(|_| panic!()));
                drop(steps);
                assert_eq!(body.collect().await.is_err(), fails);
            }
        });
        let recorded = served.finish(1);
        let calls = recorded.of("api.call");
        assert_eq!(calls.len(), 1, "{reads:?}");
        assert_eq!(verdict(calls[0]), expected, "{reads:?}: {}", calls[0]);
        assert_eq!(calls[0]["data"]["bytes"], bytes, "{reads:?}");
    }
}

/// Clients of model providers stop reading at `data: [DONE]` and drop the body.
#[test]
fn an_event_stream_may_be_dropped_after_a_whole_event() {
    let cases = [
        (200, "data: {}\n\n", ("ok", None)),
        (200, "data: {}\n\ndata: [DONE]\n", ("ok", None)),
        (200, "data: {}\n\ndata: half", ("error", Some("cancelled"))),
        (500, "data: {}\n\n", ("error", Some("cancelled"))),
    ];
    for (code, sent, expected) in cases {
        let (served, receiver) = serve_begun(sent, move |body| {
            let response = Response::builder().status(code);
            response.header("content-type", "text/event-stream").body(body).unwrap()
        });
        let client = client_layer(&served).layer(inner());
        let call = client.oneshot(empty(request(&served, "/stream")));
        served.runtime.block_on(async {
            let mut body = call.await.unwrap().into_body();
            let steps = receiver.await.unwrap();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), sent);
            drop(body);
            drop(steps);
        });
        let recorded = served.finish(1);
        let call = recorded.of("api.call")[0];
        assert_eq!(verdict(call), expected, "{code} {sent:?}: {call}");
        assert_eq!(call["data"]["stream"], true);
        assert_eq!(call["data"]["bytes"], sent.len());
    }
}

#[test]
fn a_client_that_panics_ends_its_call() {
    let served = serve();
    let client = client_layer(&served).layer(tower::service_fn(async |_: Request<Full<Bytes>>| {
        tokio::task::yield_now().await;
        if true {
            std::panic::resume_unwind(Box::new("the client's own"));
        }
        Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default()))
    }));
    let request = empty(request(&served, "/"));
    let task = served.runtime.spawn(async { client.oneshot(request).await.map(drop) });
    assert!(served.runtime.block_on(task).unwrap_err().is_panic());
    let recorded = served.finish(0);
    let calls: Vec<_> = recorded.of("api.call").into_iter().map(verdict).collect();
    assert_eq!(calls, [("error", Some("panic"))]);
}

#[test]
fn a_logger_that_is_off_leaves_calls_alone() {
    let served = serve();
    let off = AuditLogger::builder().without_environment().enabled(false).build().unwrap();
    let client = client_layer(&served).logger(off).layer(inner());
    let asked = client.oneshot(empty(request(&served, "/headers")));
    let body = served.runtime.block_on(async {
        asked.in_span(TraceContext::new_trace()).await.unwrap().into_body().collect().await.unwrap()
    });
    assert_eq!(body.to_bytes(), "([], [])");
    let recorded = served.finish(1);
    assert!(recorded.of("api.call").is_empty());
}
