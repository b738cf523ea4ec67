//! Calls of a client that is not a service, recorded in two steps.

use std::io;

use axum::body::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, Full};
use llm_audit::layer::tower::{Attempt, ClientLayer, ResponseBody};
use llm_audit::testing::{Capture, capture, capture_with};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::support::verdict;

const BODY: &str = r#"{"model": "gpt-4o", "messages": []}"#;

fn head() -> Parts {
    let request = http::Request::post("https://api.openai.com/v1/chat/completions");
    Attempt::count(request.body(()).unwrap()).into_parts().0
}

fn layer(seen: &Capture) -> ClientLayer<llm_audit::layer::tower::Captured> {
    ClientLayer::new("benefits").model_calls().logger(seen.logger().clone())
}

fn events(seen: &Capture) -> Vec<Value> {
    seen.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read(body: ResponseBody<Full<Bytes>>) -> Bytes {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(body.collect()).unwrap().to_bytes()
}

#[test]
fn a_failed_attempt_a_retry_and_an_answer_are_as_those_of_a_service() {
    let seen = capture();
    let (layer, mut head) = (layer(&seen), head());
    let late = io::Error::new(io::ErrorKind::TimedOut, "no answer of ana@example.com");
    layer.open_call(&mut head, Some(BODY.as_bytes())).fail(&late);
    let first = head.headers["traceparent"].clone();
    let call = layer.open_call(&mut head, Some(BODY.as_bytes()));
    assert_ne!(head.headers["traceparent"], first, "each attempt has its own span");
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500});
    let answer = json!({"model": "gpt-4o-2024-08-06", "usage": usage}).to_string();
    let response = call.answer(http::Response::new(Full::from(answer.clone())));
    assert_eq!(events(&seen).len(), 2, "the call lasts to the end of its body");
    assert_eq!(read(response.into_body()), answer);

    let [failed, retry, good] = &events(&seen)[..] else { panic!("{:?}", events(&seen)) };
    assert_eq!(verdict(failed), ("timeout", Some("std::io::error::Error")));
    assert_eq!(failed["error"]["message"], "no answer of [REDACTED_email]");
    assert_eq!(
        (&retry["event_type"], &retry["data"]["attempt"]),
        (&json!("agent.retry"), &json!(2))
    );
    assert_eq!((verdict(good), &good["cost_usd"]), (("ok", None), &json!(0.0075)));
    assert_eq!((&good["data"]["attempt"], &good["data"]["bytes_in"]), (&json!(2), &json!(35)));
    let span = head.headers["traceparent"].to_str().unwrap().split('-').nth(2).unwrap();
    assert_eq!(good["span_id"], span);
}

#[test]
fn a_call_without_an_end_is_cancelled() {
    let seen = capture();
    drop(layer(&seen).open_call(&mut head(), None));
    let response =
        layer(&seen).open_call(&mut head(), None).answer(http::Response::new(Full::from("{}")));
    read(response.into_body());
    let [dropped, streamed] = &events(&seen)[..] else { panic!("{:?}", events(&seen)) };
    assert_eq!(verdict(dropped), ("error", Some("cancelled")));
    assert_eq!((verdict(streamed), streamed["data"].get("bytes_in")), (("ok", None), None));
}

#[test]
fn a_call_that_was_not_sent_is_no_event() {
    let seen = capture();
    layer(&seen).open_call(&mut head(), Some(BODY.as_bytes())).forget();
    assert_eq!(events(&seen), Vec::<Value>::new());
}

#[test]
fn a_recorder_that_is_off_leaves_the_call_as_it_is() {
    let seen = capture_with(|builder| builder.enabled(false));
    let mut head = head();
    let call = layer(&seen).open_call(&mut head, Some(BODY.as_bytes()));
    assert!(head.headers.is_empty());
    assert_eq!(read(call.answer(http::Response::new(Full::from("{}"))).into_body()), "{}");
    layer(&seen).open_call(&mut head, None).fail(&io::Error::other("no connection"));
    assert_eq!(events(&seen), Vec::<Value>::new());
}
