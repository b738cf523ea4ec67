//! gRPC over HTTP/2: the status is in the trailers, or in the head of a response without a body.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use llm_audit::layer::tower::ClientLayer;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};

use crate::support::{Served, Step, layer, piped, verdict};

fn status(code: &str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())])
}

/// The code, the server's status and the client's status.
type Case =
    (&'static str, (&'static str, Option<&'static str>), (&'static str, Option<&'static str>));

const CASES: [Case; 9] = [
    ("0", ("ok", None), ("ok", None)),
    ("1", ("ok", None), ("error", Some("CANCELLED"))),
    ("2", ("error", Some("UNKNOWN")), ("error", Some("UNKNOWN"))),
    ("4", ("timeout", Some("DEADLINE_EXCEEDED")), ("timeout", Some("DEADLINE_EXCEEDED"))),
    ("5", ("ok", None), ("error", Some("NOT_FOUND"))),
    ("12", ("error", Some("UNIMPLEMENTED")), ("error", Some("UNIMPLEMENTED"))),
    ("13", ("error", Some("INTERNAL")), ("error", Some("INTERNAL"))),
    ("14", ("error", Some("UNAVAILABLE")), ("error", Some("UNAVAILABLE"))),
    ("15", ("error", Some("DATA_LOSS")), ("error", Some("DATA_LOSS"))),
];

#[test]
fn the_status_of_a_call_is_that_of_its_trailers_or_its_head() {
    let served = Served::new(|capture| {
        let logger = capture.logger().clone();
        // The request's headers contain the code and its place.
        let answer = async move |request: Request| {
            let code = request.headers()["x-code"].to_str().unwrap();
            let mut response = Response::new(Body::empty());
            if request.headers().contains_key("x-in-head") {
                *response.headers_mut() = status(code);
            } else {
                let (steps, body) = piped(&logger);
                steps.send(Step::Data("message")).unwrap();
                steps.send(Step::Trailers(status(code))).unwrap();
                *response.body_mut() = Body::new(body);
            }
            let content_type = "application/grpc+proto".parse().unwrap();
            response.headers_mut().insert("content-type", content_type);
            response
        };
        Router::new().fallback(answer).layer(layer(capture))
    });
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let client = ClientLayer::new("caller").logger(served.capture.logger().clone()).layer(client);
    let calls = || CASES.into_iter().flat_map(|case| [(case, false), (case, true)]);
    for ((code, ..), is_in_head) in calls() {
        let request = Request::post(format!("http://{}/pkg.Plans/Search", served.address))
            .header("content-type", "application/grpc")
            .header("x-code", code);
        let request = if is_in_head { request.header("x-in-head", "1") } else { request };
        let request = request.body(Full::<Bytes>::default()).unwrap();
        served.runtime.block_on(async {
            let response = client.clone().oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        });
    }
    let recorded = served.finish(2 * CASES.len());
    let made = recorded.of("api.call");
    for (((code, server, client), is_in_head), (pair, call)) in
        calls().zip(recorded.pairs().iter().zip(made))
    {
        assert_eq!((verdict(&pair.end), verdict(call)), (server, client), "{code} {is_in_head}");
        for data in [&pair.end["data"], &call["data"]] {
            assert_eq!(data["rpc.grpc.status_code"].to_string(), code);
            assert_eq!(data["http.status_code"], 200);
            assert_eq!(data["bytes"], if is_in_head { 0 } else { 7 });
        }
        assert_eq!(pair.end["data"]["http.route"], "/pkg.Plans/Search");
        assert_eq!(pair.start["parent_span_id"], call["span_id"]);
    }
}

#[test]
fn what_only_claims_to_be_grpc_has_no_route_and_what_is_none_has_no_status() {
    let served = Served::new(|capture| {
        let answer = async || Response::builder().header("grpc-status", "13").body(Body::empty());
        Router::new().fallback(async move || answer().await.unwrap()).layer(layer(capture))
    });
    for path in ["/members/ana@example.com", "/pkg.Plans", "/a/b/c", "/pkg.Plans/", "//x"] {
        served.ask(&format!("POST {path}"), &["content-type: application/grpc"]);
    }
    for pair in served.finish(5).pairs() {
        assert_eq!(verdict(&pair.end), ("ok", None));
        assert_eq!(pair.end["data"]["http.route"], Value::Null);
        assert_eq!(pair.end["data"]["rpc.grpc.status_code"], Value::Null);
    }
}

/// gRPC-Web has its trailers in the last frame of the body.
#[test]
fn the_status_of_a_grpc_web_call_is_in_its_body() {
    const OK: &[u8] = b"\0\0\0\0\x02hi\x80\0\0\0\x0fgrpc-status:0\r\n";
    const MISSING: &[u8] = b"\x80\0\0\0\x10grpc-status: 5\r\n";
    const OK_TEXT: &[u8] = b"AAAAAAJoaQ==gAAAAA9ncnBjLXN0YXR1czowDQo=";
    const CUT: &[u8] = b"\0\0\0\0\x02hi";
    let unknown = ("error", Some("UNKNOWN"));
    let cases = [
        ("application/grpc-web+proto", OK, ("ok", None), ("ok", None), json!(0)),
        ("application/grpc-web-text", OK_TEXT, ("ok", None), ("ok", None), json!(0)),
        ("application/grpc-web", MISSING, ("ok", None), ("error", Some("NOT_FOUND")), json!(5)),
        ("application/grpc-web", CUT, unknown, unknown, Value::Null),
    ];
    for (content_type, body, server, client, code) in cases {
        let served = Served::new(|capture| {
            let answer = async move || {
                let response = Response::builder().header("content-type", content_type);
                response.body(Body::from(body)).unwrap()
            };
            Router::new().fallback(answer).layer(layer(capture))
        });
        let inner = Client::builder(TokioExecutor::new()).build_http();
        let caller =
            ClientLayer::new("caller").logger(served.capture.logger().clone()).layer(inner);
        let request = Request::post(format!("http://{}/pkg.Plans/Search", served.address))
            .header("content-type", "application/grpc-web+proto");
        let call = caller.oneshot(request.body(Full::<Bytes>::default()).unwrap());
        served.runtime.block_on(async {
            let collected = call.await.unwrap().into_body().collect().await.unwrap();
            assert_eq!(collected.to_bytes(), body);
        });
        let recorded = served.finish(1);
        let (end, call) = (recorded.pair().end, recorded.of("api.call")[0]);
        assert_eq!((verdict(&end), verdict(call)), (server, client), "{content_type}");
        for data in [&end["data"], &call["data"]] {
            assert_eq!(data["rpc.grpc.status_code"], code, "{content_type}");
        }
    }
}
