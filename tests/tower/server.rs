//! Requests to a server: one start and one end each, whatever happens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{any, any_service, get};
use axum::{BoxError, Extension, Router};
use llm_audit::layer::tower::{ResponseBody, ServerLayer};
use llm_audit::{AuditEvent, AuditLogger, EventType, InSpan, TraceContext};
use serde_json::{Value, json};
use tower::ServiceBuilder;

use crate::support::{
    AtDrop, Connection, LastFrame, PanicsInCall, Piped, Served, Step, layer, piped, until, verdict,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Returns the context that the handler is in, by the thread and by the request.
async fn where_am_i(Extension(given): Extension<TraceContext>) -> String {
    let current = TraceContext::current().expect("a context");
    assert_eq!(current, given);
    tokio::task::yield_now().await;
    assert_eq!(TraceContext::current().as_ref(), Some(&given));
    format!("{:016x} {}", given.span_id(), given.tracestate().unwrap_or("none"))
}

#[test]
fn a_request_continues_the_caller_s_trace_and_a_malformed_one_begins_its_own() {
    let good = format!("traceparent: 00-{TRACE}-{CALLER}-01");
    let later = format!("traceparent: cc-{TRACE}-{CALLER}-00-what-comes-later");
    let refused = [
        "traceparent: 00-0af7".to_owned(),
        format!("traceparent: 00-{}-{CALLER}-01", TRACE.to_uppercase()),
        format!("traceparent: 00-{}-{CALLER}-01", "0".repeat(32)),
        format!("traceparent: 00-{TRACE}-{}-01", "0".repeat(16)),
        format!("traceparent: ff-{TRACE}-{CALLER}-01"),
        format!("traceparent: 00-{TRACE}-{CALLER}-01-more"),
        format!("traceparent: 00-{TRACE} {CALLER}-01"),
        format!("traceparent: 00-{TRACE}-{CALLER}-\u{e9}1"),
        "traceparent:".to_owned(),
        format!("{good}\r\n{good}"),
    ];
    let state = "tracestate: a=1\r\ntracestate: b=2";
    // Headers, whether the trace continues, whether a header is refused, the state.
    let mut cases = vec![
        (String::new(), false, false, "none"),
        ("x-other: 1\r\ntracestate: a=1".to_owned(), false, false, "none"),
        (good.clone(), true, false, "none"),
        (format!("{good}\r\n{state}"), true, false, "a=1,b=2"),
        (format!("{good}\r\ntracestate: ="), true, false, "none"),
        (later, true, false, "none"),
    ];
    let with_state = |header: String| (format!("{header}\r\n{state}"), false, true, "none");
    cases.extend(refused.into_iter().map(with_state));

    let served =
        Served::new(|capture| Router::new().route("/at", get(where_am_i)).layer(layer(capture)));
    let replies: Vec<_> = std::thread::scope(|scope| {
        let address = &served.address;
        let ask = |headers: &str| {
            let mut connection = Connection::to(*address);
            let headers: Vec<&str> = headers.split("\r\n").filter(|h| !h.is_empty()).collect();
            connection.send("GET /at", &headers);
            connection.reply(false)
        };
        let threads: Vec<_> =
            cases.iter().map(|(headers, ..)| scope.spawn(move || ask(headers))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let pairs = served.finish(cases.len()).pairs();
    for ((headers, continues, refuses, state), reply) in cases.iter().zip(&replies) {
        let body = String::from_utf8(reply.body.clone()).unwrap();
        let (span, seen_state) = body.split_once(' ').unwrap();
        let found = pairs.iter().find(|pair| pair.start["span_id"] == span);
        let (start, end) = found.map(|pair| (&pair.start, &pair.end)).unwrap();
        let trace = start["trace_id"].as_str().unwrap();
        assert_eq!(reply.header("x-trace-id"), trace);
        assert_eq!(&reply.header("traceparent")[..52], &format!("00-{trace}-{span}"));
        assert_eq!(seen_state, *state, "{headers}");
        assert_eq!(verdict(end), ("ok", None));
        if *continues {
            assert_eq!((trace, &start["parent_span_id"]), (TRACE, &json!(CALLER)), "{headers}");
        } else {
            assert_ne!(trace, TRACE, "{headers}");
            assert_eq!(start["parent_span_id"], Value::Null, "{headers}");
        }
        let why = start["data"]["traceparent"].as_str();
        assert_eq!(why.is_some(), *refuses, "{headers:?} {why:?}");
        assert!(!why.unwrap_or_default().contains(CALLER) && end["data"]["traceparent"].is_null());
    }
}

#[test]
fn at_an_edge_a_request_begins_its_own_trace_and_says_whose_it_left() {
    let served = Served::new(|capture| {
        let edge = || layer(capture).restart_trace();
        Router::new().route("/at", get(where_am_i)).layer(edge()).layer(edge())
    });
    let traceparent = format!("traceparent: 00-{TRACE}-{CALLER}-01");
    let mut connection = Connection::to(served.address);
    connection.send("GET /at", &[&traceparent, "tracestate: a=1"]);
    let reply = connection.reply(false);
    assert!(reply.body.ends_with(b" none"), "no tracestate");
    let pairs = served.finish(2).pairs();
    let [outer, inner] = pairs.as_slice() else { panic!("two requests") };
    let (outer, inner) = match outer.start.get("parent_span_id") {
        None => (&outer.start, &inner.start),
        Some(_) => (&inner.start, &outer.start),
    };
    assert_eq!(outer["data"]["caller"], json!({ "trace_id": TRACE, "span_id": CALLER }));
    assert!(outer["trace_id"] != TRACE && outer.get("parent_span_id").is_none());
    assert_eq!(
        (&inner["parent_span_id"], &inner["trace_id"]),
        (&outer["span_id"], &outer["trace_id"])
    );
    assert!(inner["data"].get("caller").is_none());
}

/// Request, headers, the route, the end's status and error, the status code, the bytes.
type Case = (
    &'static str,
    &'static [&'static str],
    Option<&'static str>,
    (&'static str, Option<&'static str>),
    u64,
    u64,
);

#[test]
fn every_answer_is_told_by_its_code_and_its_route_and_no_raw_path_is() {
    let cases: [Case; 18] = [
        ("GET /members/7734?q=7734", &[], Some("/members/{id}"), ("ok", None), 200, 8),
        ("HEAD /members/7734", &[], Some("/members/{id}"), ("ok", None), 200, 0),
        ("POST /members/7734", &[], Some("/members/{id}"), ("ok", None), 405, 0),
        ("GET /7734/nowhere?q=7734", &[], None, ("ok", None), 404, 0),
        ("BREW /any", &[], Some("/any"), ("ok", None), 200, 3),
        ("GET /any", &[], Some("/any"), ("ok", None), 200, 3),
        ("GET /empty", &[], Some("/empty"), ("ok", None), 200, 0),
        ("GET /code/204", &[], Some("/code/{code}"), ("ok", None), 204, 0),
        ("GET /code/304", &[], Some("/code/{code}"), ("ok", None), 304, 0),
        ("GET /code/400", &[], Some("/code/{code}"), ("ok", None), 400, 4),
        ("GET /code/408", &[], Some("/code/{code}"), ("timeout", Some("408")), 408, 4),
        ("GET /code/429", &[], Some("/code/{code}"), ("ok", None), 429, 4),
        ("GET /code/500", &[], Some("/code/{code}"), ("error", Some("500")), 500, 4),
        ("GET /code/503", &[], Some("/code/{code}"), ("error", Some("503")), 503, 4),
        ("GET /code/504", &[], Some("/code/{code}"), ("timeout", Some("504")), 504, 4),
        ("GET /outer/inner/7734", &[], Some("/outer/inner/{id}"), ("ok", None), 200, 5),
        ("GET /outer/none/7734", &[], None, ("ok", None), 404, 0),
        (
            "POST /pkg.Service/Method",
            &["content-type: application/grpc"],
            Some("/pkg.Service/Method"),
            ("ok", None),
            404,
            0,
        ),
    ];
    async fn code(axum::extract::Path(code): axum::extract::Path<u16>) -> Response<Body> {
        Response::builder().status(code).body(Body::from("body")).unwrap()
    }
    let served = Served::new(|capture| {
        let inner = Router::new().route("/inner/{id}", get(|| async { "inner" }));
        Router::new()
            .route("/members/{id}", get(|| async { "a member" }))
            .route("/any", any(|| async { "any" }))
            .route("/empty", get(|| async {}))
            .route("/code/{code}", get(code))
            .nest("/outer", inner)
            .layer(layer(capture))
    });
    for (request, headers, _, _, code, _) in cases {
        let reply = served.ask(request, headers);
        assert_eq!((u64::from(reply.status), request), (code, request));
        assert_eq!(reply.header("x-trace-id").len(), 32);
        assert_eq!(reply.header("traceparent").len(), 55);
    }
    let recorded = served.finish(cases.len());
    for (pair, (request, _, route, expected, code, bytes)) in recorded.pairs().iter().zip(cases) {
        let (end, data) = (&pair.end, &pair.end["data"]);
        assert_eq!(verdict(end), expected, "{request}: {end}");
        assert_eq!(data["http.route"].as_str(), route, "{request}");
        assert_eq!(data["http.status_code"], code, "{request}");
        assert_eq!(data["bytes"], bytes, "{request}");
        let method = request.split(' ').next().unwrap().replace("BREW", "_OTHER");
        assert_eq!(data["http.method"], method);
        assert_eq!(
            end["action"],
            route.map_or(method.clone(), |route| format!("{method} {route}"))
        );
    }
    assert!(recorded.lines.iter().all(|line| !line["data"].to_string().contains("7734")));
    assert!(recorded.lines.iter().all(|line| !line["action"].to_string().contains("7734")));
}

#[test]
fn without_a_matched_path_the_closure_names_the_route() {
    let served = Served::new(|capture| {
        let layer = layer(capture).route(|head| {
            head.uri.path().strip_prefix("/plans/").map(|_| "/plans/{plan}".to_owned())
        });
        Router::new().route("/own/{id}", get(|| async {})).fallback(|| async {}).layer(layer)
    });
    for path in ["/plans/7", "/other/7", "/own/7"] {
        assert_eq!(served.ask(&format!("GET {path}"), &[]).status, 200);
    }
    let pairs = served.finish(3).pairs();
    let routes: Vec<_> = pairs.iter().map(|pair| pair.end["data"]["http.route"].as_str()).collect();
    assert_eq!(routes, [Some("/plans/{plan}"), None, Some("/own/{id}")]);
}

#[test]
fn a_request_is_for_the_user_that_the_application_names() {
    async fn emit_twice(logger: AuditLogger) {
        logger.emit(&AuditEvent::new(EventType::CacheHit, "benefits", "here"));
        let work = async move {
            logger.emit(&AuditEvent::new(EventType::CacheHit, "benefits", "task"));
        };
        tokio::spawn(work.in_span(TraceContext::current().unwrap())).await.unwrap();
    }
    let served = Served::new(|capture| {
        let logger = capture.logger().clone();
        let header = |name: &'static str| {
            move |head: &Parts| Some(head.headers.get(name)?.to_str().ok()?.to_owned())
        };
        // As if the headers were checked.
        let layer = layer(capture).user(header("x-user")).tenant(header("x-tenant"));
        Router::new().route("/at", get(move || emit_twice(logger.clone()))).layer(layer)
    });
    let requests: [&[&str]; 3] = [&["x-user: ann", "x-tenant: acme"], &["x-user: bob"], &[]];
    for (ended, headers) in (1..).zip(requests) {
        served.ask("GET /at", headers);
        served.wait_for("request.end", ended);
    }
    let metrics = served.capture.logger().metrics();
    let lines = served.finish(3).lines;
    let expected = [(Some("ann"), Some("acme")), (Some("bob"), None), (None, None)];
    for (events, expected) in lines.chunks(4).zip(expected) {
        for event in events {
            let member = |name: &str| event["data"][name].as_str();
            assert_eq!((member("user"), member("tenant")), expected, "{event}");
        }
    }
    let of_acme = metrics.rows.iter().filter(|row| row.tenant == "acme");
    assert_eq!(of_acme.map(|row| row.events).sum::<u64>(), 4);
}

#[test]
fn a_request_is_for_whom_configured_headers_and_trusted_baggage_name() {
    let headers = |layer: ServerLayer| {
        layer.user_header("x-user").tenant_header("x-tenant").conversation_header("x-talk")
    };
    // A header that is refused is not the same as none.
    const FORGED: &str = "baggage: user.id=eve,tenant.id=evil,session.id=c-3";
    let requests: [&[&str]; 3] = [
        &["x-user: ann@example.org", "x-tenant: acme", "x-talk: c-1", "baggage: user.id=bob"],
        &["baggage: user.id=bob,tenant.id=acme,session.id=c%2D2"],
        &["x-user: ann", "x-user: bob", "x-tenant: a\tb", "x-talk: ", FORGED],
    ];
    let ann = Some("u_");
    let all = [
        (ann, Some("acme"), Some("c-1")),
        (Some("bob"), Some("acme"), Some("c-2")),
        (None, None, None),
    ];
    let none = (None, None, None);
    for (reads_baggage, expected) in [(true, all), (false, [all[0], none, none])] {
        let served = Served::new(|capture| {
            let layer = headers(layer(capture));
            let layer = if reads_baggage { layer.identity_from_baggage() } else { layer };
            Router::new().route("/at", get(where_am_i)).layer(layer)
        });
        for (ended, headers) in (1..).zip(requests) {
            served.ask("GET /at", headers);
            served.wait_for("request.end", ended);
        }
        for (pair, expected) in served.finish(3).pairs().iter().zip(expected) {
            for event in [&pair.start, &pair.end] {
                let member = |name: &str| event["data"][name].as_str();
                let user =
                    member("user").map(|user| if user.starts_with("u_") { "u_" } else { user });
                assert_eq!((user, member("tenant"), member("conversation")), expected, "{event}");
            }
        }
    }
}

#[test]
fn a_connection_that_is_kept_gives_each_request_its_own_events() {
    let served =
        Served::new(|capture| Router::new().route("/at", get(where_am_i)).layer(layer(capture)));
    let mut connection = served.connect();
    let mut traces = Vec::new();
    for _ in 0..5 {
        connection.send("GET /at", &[]);
        traces.push(connection.reply(false).header("x-trace-id").to_owned());
    }
    let pairs = served.finish(5).pairs();
    let recorded: Vec<_> =
        pairs.iter().map(|pair| pair.end["trace_id"].as_str().unwrap()).collect();
    assert_eq!(recorded, traces);
    assert_eq!(traces.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
}

/// Returns a handler that answers with this body, once.
fn once(body: Piped) -> axum::routing::MethodRouter {
    let body = Arc::new(Mutex::new(Some(body)));
    get(move || async move {
        let body = body.lock().unwrap().take().expect("one request");
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(Body::new(body))
            .unwrap()
    })
}

/// Starts a server with one streamed response, whose steps the test sends.
fn streaming() -> (Served, tokio::sync::mpsc::UnboundedSender<Step>) {
    let mut sender = None;
    let served = Served::new(|capture| {
        let (steps, body) = piped(capture.logger());
        sender = Some(steps);
        Router::new().route("/stream", once(body)).layer(layer(capture))
    });
    (served, sender.unwrap())
}

/// Checks that the events of the body are below the request, also the one of its drop.
fn assert_below(lines: &[Value], polls: usize, span: &Value) {
    let of = |event_type: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["event_type"] == event_type).collect()
    };
    assert_eq!((of("cache.hit").len(), of("cache.miss").len()), (polls, 1));
    for line in of("cache.hit").into_iter().chain(of("cache.miss")) {
        assert_eq!(&line["parent_span_id"], span, "{line}");
    }
}

#[test]
fn a_stream_ends_with_its_last_byte() {
    let (served, steps) = streaming();
    let mut connection = served.connect();
    connection.send("GET /stream", &[]);
    assert_eq!(connection.head().status, 200);
    for _ in 0..3 {
        steps.send(Step::Data("data: token\n\n")).unwrap();
        connection.read_to("token\n\n\r\n");
        // The request has arrived and has not ended.
        served.wait_for("request.start", 1);
        assert!(served.lines().iter().all(|line| line["event_type"] != "request.end"));
    }
    drop(steps);
    connection.read_to("0\r\n\r\n");
    let recorded = served.finish(1);
    let end = recorded.pair().end;
    assert_eq!(verdict(&end), ("ok", None));
    assert_eq!(end["data"]["bytes"], 39);
    assert_below(&recorded.lines, 4, &end["span_id"]);
}

#[test]
fn a_stream_that_the_client_leaves_is_cancelled() {
    let (served, steps) = streaming();
    let mut connection = served.connect();
    connection.send("GET /stream", &[]);
    steps.send(Step::Data("data: token\n\n")).unwrap();
    connection.read_to("token\n\n\r\n");
    drop(connection);
    until("the body's drop", || steps.is_closed().then_some(()));
    let recorded = served.finish(1);
    let end = recorded.pair().end;
    assert_eq!(verdict(&end), ("error", Some("cancelled")));
    assert_eq!(
        (&end["data"]["bytes"], &end["data"]["http.status_code"]),
        (&json!(13), &json!(200))
    );
    assert_below(&recorded.lines, 1, &end["span_id"]);
}

#[test]
fn a_body_that_fails_or_panics_is_an_error() {
    for (step, expected) in [
        (Step::Fail, ("error", Some("axum_core::error::Error"))),
        (Step::Panic, ("error", Some("panic"))),
    ] {
        let (served, steps) = streaming();
        let mut connection = served.connect();
        connection.send("GET /stream", &[]);
        steps.send(Step::Data("data: token\n\n")).unwrap();
        connection.read_to("token\n\n\r\n");
        steps.send(step).unwrap_or_else(|_| panic!("the body is gone"));
        assert!(connection.is_closed());
        let recorded = served.finish(1);
        let end = recorded.pair().end;
        assert_eq!(verdict(&end), expected, "{end}");
        assert_eq!(end["data"]["bytes"], 13);
        assert!(!end.to_string().contains("ana@"), "{end}");
        assert_below(&recorded.lines, 2, &end["span_id"]);
    }
}

/// hyper drops a body of known length at its last byte, without asking for its end.
#[test]
fn a_body_of_known_length_ends_when_all_of_it_is_sent() {
    let mut sender = None;
    let served = Served::new(|capture| {
        let (steps, body) = piped(capture.logger());
        sender = Some(steps);
        let body = Arc::new(Mutex::new(Some(body)));
        let answer = move || async move {
            let body = body.lock().unwrap().take().expect("one request");
            Response::builder().header("content-length", 10).body(Body::new(body)).unwrap()
        };
        Router::new().route("/known", get(answer)).layer(layer(capture))
    });
    // The sender is not dropped, so the body itself never ends.
    let steps = sender.unwrap();
    steps.send(Step::Data("01234")).unwrap();
    steps.send(Step::Data("56789")).unwrap();
    assert_eq!(served.ask("GET /known", &[]).body, b"0123456789");
    let end = served.finish(1).pair().end;
    assert_eq!(verdict(&end), ("ok", None));
    assert_eq!(end["data"]["bytes"], 10);
}

/// If a body reports its end, hyper drops it without asking for more.
#[test]
fn a_body_that_knows_its_end_ends_with_its_last_frame() {
    let served = Served::new(|capture| {
        let answer = async || Response::new(Body::new(LastFrame(Some("last"))));
        Router::new().route("/last", get(answer)).layer(layer(capture))
    });
    assert_eq!(served.ask("GET /last", &[]).body, b"4\r\nlast\r\n0\r\n\r\n");
    let end = served.finish(1).pair().end;
    assert_eq!(verdict(&end), ("ok", None));
    assert_eq!(end["data"]["bytes"], 4);
}

#[test]
fn a_panic_is_the_end() {
    async fn panics() {
        tokio::task::yield_now().await;
        std::panic::resume_unwind(Box::new("the handler's own"))
    }
    let served = Served::new(|capture| {
        Router::new()
            .route("/handler", get(panics))
            .route("/call", any_service(PanicsInCall))
            .layer(layer(capture))
    });
    for path in ["/handler", "/call"] {
        let mut connection = served.connect();
        connection.send(&format!("GET {path}"), &[]);
        assert!(connection.is_closed());
    }
    for pair in served.finish(2).pairs() {
        assert_eq!(verdict(&pair.end), ("error", Some("panic")));
        assert_eq!(pair.end["data"]["http.status_code"], Value::Null);
    }
}

#[test]
fn a_handler_that_is_too_slow_is_a_timeout() {
    let served = Served::new(|capture| {
        let slow = || get(std::future::pending::<()>);
        let on_error = || {
            HandleErrorLayer::new(|_: BoxError| async { (StatusCode::GATEWAY_TIMEOUT, "too slow") })
        };
        let short = Duration::from_millis(1);
        // Either the response to the timeout passes the layer, or the timeout itself does.
        let outside = ServiceBuilder::new().layer(layer(capture)).layer(on_error()).timeout(short);
        let inside = ServiceBuilder::new().layer(on_error()).layer(layer(capture)).timeout(short);
        Router::new()
            .route("/outside", slow().layer(outside))
            .route("/inside", slow().layer(inside))
    });
    for path in ["/outside", "/inside"] {
        assert_eq!(served.ask(&format!("GET {path}"), &[]).status, 504);
    }
    let pairs = served.finish(2).pairs();
    assert_eq!(verdict(&pairs[0].end), ("timeout", Some("504")));
    assert_eq!(verdict(&pairs[1].end), ("timeout", Some("timeout")));
    assert_eq!(pairs[1].end["error"]["message"], "request timed out");
    assert_eq!(pairs[1].end["data"]["http.status_code"], Value::Null);
}

#[test]
fn a_client_that_leaves_before_the_answer_cancels() {
    let (arrived, arrivals) = std::sync::mpsc::channel();
    let served = Served::new(|capture| {
        let logger = capture.logger().clone();
        let handler = async move || {
            let _at_drop = AtDrop(logger);
            arrived.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        Router::new().route("/slow", get(handler)).layer(layer(capture))
    });
    let mut connection = served.connect();
    connection.send("GET /slow", &[]);
    arrivals.recv().unwrap();
    drop(connection);
    let recorded = served.finish(1);
    let end = recorded.pair().end;
    assert_eq!(verdict(&end), ("error", Some("cancelled")));
    assert_eq!(end["data"]["http.status_code"], Value::Null);
    assert_below(&recorded.lines, 0, &end["span_id"]);
}

#[test]
fn an_upgrade_ends_with_the_head() {
    async fn upgrade(_request: Request) -> Response<Body> {
        let mut headers = HeaderMap::new();
        headers.insert("connection", "upgrade".parse().unwrap());
        headers.insert("upgrade", "echo".parse().unwrap());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        response
    }
    let served =
        Served::new(|capture| Router::new().route("/up", get(upgrade)).layer(layer(capture)));
    let mut connection = served.connect();
    connection.send("GET /up", &["connection: upgrade", "upgrade: echo"]);
    let reply = connection.head();
    assert_eq!((reply.status, reply.header("x-trace-id").len()), (101, 32));
    let end = served.finish(1).pair().end;
    assert_eq!(verdict(&end), ("ok", None));
    assert_eq!(end["data"]["note"], "upgraded");
}

#[test]
fn a_logger_that_is_off_leaves_requests_alone() {
    let off = AuditLogger::builder().without_environment().enabled(false).build().unwrap();
    let served = Served::new(|capture| {
        let off = layer(capture).logger(off).capture_bodies(100);
        async fn nothing_given(request: Request) -> String {
            assert!(request.extensions().get::<TraceContext>().is_none());
            assert_eq!(TraceContext::current(), None);
            "untouched".to_owned()
        }
        Router::new().route("/", get(nothing_given)).layer(off)
    });
    let reply = served.ask("GET /", &[&format!("traceparent: 00-{TRACE}-{CALLER}-01")]);
    assert_eq!(reply.body, b"untouched");
    assert!(reply.headers.get("x-trace-id").is_none());
    assert!(reply.headers.get("traceparent").is_none());
    assert!(served.finish(0).lines.is_empty());
}

#[test]
fn a_layer_inside_another_continues_its_span() {
    let served = Served::new(|capture| {
        let (outer, inner) = (layer(capture), layer(capture));
        Router::new().route("/", get(async || "plans")).layer(inner).layer(outer)
    });
    let reply = served.ask("GET /", &[&format!("traceparent: 00-{TRACE}-{CALLER}-01")]);
    let recorded = served.finish(2);
    let [outer, inner] = &recorded.pairs()[..] else { panic!("{:#?}", recorded.lines) };
    assert_eq!(outer.start["parent_span_id"], CALLER);
    assert_eq!(inner.start["parent_span_id"], outer.start["span_id"]);
    for pair in [outer, inner] {
        assert_eq!(pair.start["trace_id"], TRACE);
    }
    let outer = outer.start["span_id"].as_str().unwrap();
    assert_eq!(reply.header("traceparent"), format!("00-{TRACE}-{outer}-01"));
}

/// Layers such as those for timeouts answer with a body of their own making.
#[test]
fn a_body_can_be_made_around_the_layer() {
    let body = ResponseBody::<Body>::default();
    assert!(http_body::Body::is_end_stream(&body));
}

#[test]
fn a_request_of_mcp_is_named_by_its_headers_as_far_as_the_protocol_knows_them() {
    let method = |name: &str| format!("mcp-method: {name}");
    let named = |method: &str, action: &str, member: &str, name: &str| {
        (format!("{action} {method}"), json!({"mcp.method.name": method, member: name}))
    };
    let cases = [
        (method("tools/call"), "mcp-name: find", named("tools/call", "GET /mcp", "tool", "find")),
        (
            method("prompts/get"),
            "mcp-name: explain",
            named("prompts/get", "GET /mcp", "gen_ai.prompt.name", "explain"),
        ),
        (
            method("resources/read"),
            "mcp-name: plan://ana@example.com",
            named("resources/read", "GET /mcp", "mcp.resource.uri", "plan://[REDACTED_email]"),
        ),
        (
            method("tools/list"),
            "mcp-name: ignored",
            ("GET /mcp tools/list".to_owned(), json!({"mcp.method.name": "tools/list"})),
        ),
        (
            method("tools/call"),
            "mcp-name: =?base64?YW5hQGV4YW1wbGUuY29t?=",
            ("GET /mcp tools/call".to_owned(), json!({"mcp.method.name": "tools/call"})),
        ),
        (method("tools/calls"), "mcp-name: find", ("GET /mcp".to_owned(), json!({}))),
        ("x-other: 1".to_owned(), "mcp-name: find", ("GET /mcp".to_owned(), json!({}))),
    ];
    let served =
        Served::new(|capture| Router::new().route("/mcp", get(|| async {})).layer(layer(capture)));
    for (method, name, _) in &cases {
        served.ask("GET /mcp", &[method, name]);
    }
    let recorded = served.finish(cases.len());
    let starts = recorded.of("request.start");
    for (start, (method, _, (action, expected))) in starts.iter().zip(&cases) {
        assert_eq!(start["action"], **action, "{method}");
        let mut data = start["data"].as_object().unwrap().clone();
        data.retain(|name, _| !name.starts_with("http."));
        assert_eq!(Value::Object(data), *expected, "{method}");
    }
    let ends: Vec<&Value> = recorded.of("request.end").iter().map(|end| &end["action"]).collect();
    assert_eq!(ends, starts.iter().map(|start| &start["action"]).collect::<Vec<_>>());
}
