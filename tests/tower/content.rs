//! Headers and bodies: in the log only if asked for, and then redacted.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::routing::post;
use http_body_util::BodyExt;
use llm_audit::CaptureContent;
use llm_audit::testing::{capture, capture_with};
use serde_json::{Value, json};

use crate::support::{Served, Step, layer, piped, until};

const HEADERS: [&str; 6] = [
    "user-agent: desk of ana@example.com",
    "authorization: Bearer hunter2",
    "proxy-authorization: Basic hunter2",
    "X-Api-Key: hunter2",
    "x-many: one",
    "x-many: two",
];

/// Echoes the body, with headers of its own.
async fn echo(body: String) -> Response<Body> {
    Response::builder()
        .header("set-cookie", "session=hunter2")
        .header("x-model", "small")
        .body(Body::from(body))
        .unwrap()
}

fn ask(served: &Served, headers: &[&str], body: &str) {
    let mut connection = served.connect();
    connection.send_body("POST /echo?q=hunter2", headers, body);
    assert_eq!(connection.reply(false).body, body.as_bytes());
}

#[test]
fn no_header_query_or_body_is_recorded_unasked() {
    let capture = capture_with(|builder| builder.capture_content(true));
    let served = Served::with(capture, |capture| {
        Router::new().route("/echo", post(echo)).layer(layer(capture))
    });
    ask(&served, &HEADERS, "hunter2");
    let recorded = served.finish(1);
    let text = json!(recorded.lines).to_string();
    for secret in ["hunter2", "ana", "small", "desk", "headers", "body"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn bodies_of_failed_requests_are_kept_alone() {
    for (path, has_bodies) in [("/echo", false), ("/fails", true)] {
        let capture = capture_with(|builder| builder.capture_content(CaptureContent::Failed));
        let served = Served::with(capture, |capture| {
            let fails = post(|body: String| async { (StatusCode::INTERNAL_SERVER_ERROR, body) });
            let router = Router::new().route("/echo", post(echo)).route("/fails", fails);
            router.layer(layer(capture).capture_bodies(100))
        });
        let mut connection = served.connect();
        connection.send_body(&format!("POST {path}"), &[], "a question");
        assert_eq!(connection.reply(false).body, b"a question");
        let recorded = served.finish(1);
        let data = &recorded.pair().end["data"];
        for body in ["request_body", "response_body"] {
            assert_eq!(data.get(body).is_some(), has_bodies, "{path}: {data}");
        }
        assert_eq!(data["bytes"], 10);
    }
}

#[test]
fn headers_are_recorded_by_name_and_credentials_never() {
    let served = Served::new(|capture| {
        let names = ["User-Agent", "authorization", "proxy-authorization", "x-api-key", "x-many"];
        let layer = layer(capture).capture_headers(names);
        let layer = layer.capture_headers(["set-cookie", "x-model", "x-absent"]);
        Router::new().route("/echo", post(echo)).layer(layer)
    });
    ask(&served, &HEADERS, "text");
    let recorded = served.finish(1);
    let pair = recorded.pair();
    let request = json!({
        "user-agent": "desk of [REDACTED_email]",
        "authorization": "[REDACTED]",
        "proxy-authorization": "[REDACTED]",
        "x-api-key": "[REDACTED]",
        "x-many": "one, two",
    });
    assert_eq!(pair.start["data"]["http.request.headers"], request);
    let response = json!({"set-cookie": "[REDACTED]", "x-model": "small"});
    assert_eq!(pair.end["data"]["http.response.headers"], response);
    assert!(!json!(recorded.lines).to_string().contains("hunter2"));
}

#[test]
#[should_panic(expected = "\"no name\" is not a name of a header")]
fn a_name_that_no_header_has_is_refused() {
    let _ = layer(&capture()).capture_headers(["no name"]);
}

#[test]
fn bodies_are_recorded_whole_and_redacted_or_not_at_all() {
    let long = "x".repeat(201);
    let form: &[&str] = &["content-type: application/x-www-form-urlencoded"];
    let cases: [(&[&str], &str, Value); 8] = [
        (
            &[],
            r#"{"q":"mail ana@example.com","n":1,"password":"hunter2"}"#,
            json!({"q": "mail [REDACTED_email]", "n": 1, "password": "[REDACTED]"}),
        ),
        (&[], "call me, ana@example.com", json!("call me, [REDACTED_email]")),
        (
            &[],
            "data: {\"secret\":\"hunter2\",\"n\":1}\n\n",
            json!("data: {\"secret\":\"[REDACTED]\",\"n\":1}\n\n"),
        ),
        (&[], r#"{"password":"hunter2", "torn"#, json!(r#"{"password":"[REDACTED]", "torn"#)),
        (&[], &long, json!("[TRUNCATED:201]")),
        (&[], &long[..200], json!(long[..200])),
        (form, "password=hunter2", json!("password=[REDACTED_credential]")),
        (&[], "", Value::Null),
    ];
    for captures in [false, true] {
        let capture = capture_with(|builder| builder.capture_content(captures));
        let served = Served::with(capture, |capture| {
            let layer = layer(capture).capture_bodies(200);
            Router::new().route("/echo", post(echo)).layer(layer)
        });
        for (headers, body, _) in &cases {
            ask(&served, headers, body);
        }
        let recorded = served.finish(cases.len());
        for (pair, (headers, body, expected)) in recorded.pairs().iter().zip(&cases) {
            let data = &pair.end["data"];
            assert_eq!(
                (&data["bytes_in"], &data["bytes"]),
                (&json!(body.len()), &data["bytes_in"])
            );
            let expected = if captures { expected } else { &Value::Null };
            let is_form = captures && !headers.is_empty();
            let request = if is_form { &json!("[TRUNCATED:16]") } else { expected };
            assert_eq!((&data["request_body"], &data["response_body"]), (request, expected));
        }
    }
}

#[test]
fn a_body_that_is_a_json_string_stays_one_whatever_is_redacted_in_it() {
    let cases = [
        ("plain \"text\"", "plain \"text\""),
        ("Dear ana@example.com, é\n", "Dear [REDACTED_email], é\n"),
        (r#"{"password":"hunter2 abc"}"#, r#"{"password":"[REDACTED]"}"#),
        (r#"{"in":"{\"password\":\"hunter2\"}"}"#, r#"{"in":"{\"password\":\"[REDACTED]\"}"}"#),
        (r#""{\"password\":\"hunter2\"}""#, r#""{\"password\":\"[REDACTED]\"}""#),
        (r#"data: {"secret":"hunter2"} "#, r#"data: {"secret":"[REDACTED]"} "#),
        (r#"{"password":"hunter2", "torn"#, r#"{"password":"[REDACTED]", "torn"#),
        ("password=hunter2x9", "password=[REDACTED_credential]"),
    ];
    let capture = capture_with(|builder| builder.capture_content(true));
    let served = Served::with(capture, |capture| {
        Router::new().route("/echo", post(echo)).layer(layer(capture).capture_bodies(200))
    });
    for (body, _) in cases {
        ask(&served, &[], &json!(body).to_string());
    }
    let recorded = served.finish(cases.len());
    for (pair, (_, expected)) in recorded.pairs().iter().zip(cases) {
        for name in ["request_body", "response_body"] {
            let body = pair.end["data"][name].as_str().expect("a text");
            assert_eq!(
                serde_json::from_str::<String>(body).ok().as_deref(),
                Some(expected),
                "{body}"
            );
        }
    }
}

/// Answers before it has read the request's body.
#[test]
fn a_request_that_is_not_read_is_not_recorded() {
    let capture = capture_with(|builder| builder.capture_content(true));
    let served = Served::with(capture, |capture| {
        let layer = layer(capture).capture_bodies(200);
        Router::new().route("/unread", post(async || "done")).layer(layer)
    });
    let mut connection = served.connect();
    connection.send_body("POST /unread", &[], "nobody reads this");
    assert_eq!(connection.reply(false).body, b"done");
    let end = served.finish(1).pair().end;
    assert_eq!(end["data"]["bytes_in"], 0);
    assert_eq!(
        (&end["data"]["request_body"], &end["data"]["response_body"]),
        (&Value::Null, &json!("done"))
    );
}

/// If half of a secret is cut off, no rule finds it.
#[test]
fn a_body_that_is_cut_is_not_recorded() {
    let mut sender = None;
    let capture = capture_with(|builder| builder.capture_content(true));
    let served = Served::with(capture, |capture| {
        let (steps, body) = piped(capture.logger());
        sender = Some(steps);
        let body = Arc::new(Mutex::new(Some(body)));
        let half = async move |request: Request| {
            let mut sent = request.into_body();
            let frame = sent.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "mail ana@exam");
            Body::new(body.lock().unwrap().take().expect("one request"))
        };
        Router::new().route("/half", post(half)).layer(layer(capture).capture_bodies(200))
    });
    let steps = sender.unwrap();
    steps.send(Step::Data("to bo@exam")).unwrap();
    let mut connection = served.connect();
    connection.send("POST /half", &["content-length: 100"]);
    connection.stream.write_all(b"mail ana@exam").unwrap();
    connection.read_to("bo@exam");
    drop(connection);
    // While more of the request may come, hyper notices only by a write that the client is gone.
    until("the body's drop", || steps.send(Step::Data("x")).is_err().then_some(()));
    let data = served.finish(1).pair().end["data"].clone();
    assert_eq!(data["request_body"], "[TRUNCATED:13]");
    assert_eq!(data["response_body"], format!("[TRUNCATED:{}]", data["bytes"]));
}
