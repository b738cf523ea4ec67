//! A stand-in for a push service, which knows no device in one case of ten.

use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::Value;

use crate::planted::{AWS_KEY, EMAIL};

pub(crate) fn push_standin_router() -> Router {
    Router::new().route("/push", post(answer_push))
}

/// By the number of the case, so that what happens depends on nothing but the request.
async fn answer_push(Json(notice): Json<Value>) -> (StatusCode, String) {
    match notice["title"].as_str() {
        None => (StatusCode::BAD_REQUEST, "a notification has a title".to_owned()),
        Some(title) if title.ends_with('3') => {
            let why = format!("no device of {EMAIL} is known to {AWS_KEY}");
            (StatusCode::GONE, why)
        }
        Some(_) => (StatusCode::ACCEPTED, String::new()),
    }
}
