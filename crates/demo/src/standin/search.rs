//! The search service: members, plans and claims. It represents another service of the same house, so
//! its requests are recorded, below the calls that made them.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use llm_audit::layer::tower::ServerLayer;
use serde_json::{Value, json};

use super::{CaseScript, hang_without_answer, retries_from_headers, simulate_work};
use crate::planted::{AWS_KEY, COOKIE, EMAIL, JWT, SECRET, TOKEN};

pub(crate) fn search_router(seed: u64) -> Router {
    Router::new()
        .route("/members/{case}", get(search_member))
        .route("/plans", get(search_plans))
        .route("/claims/{case}", get(search_claim))
        .layer(ServerLayer::new("search"))
        .with_state(seed)
}

async fn search_member(State(seed): State<u64>, Path(case): Path<u64>) -> Json<Value> {
    simulate_work(seed, case, 2, 6).await;
    Json(json!({
        "member": EMAIL, "since": "2019-04-01", "notes": "", "dependants": [],
        "session": {"token": TOKEN, "cookie": COOKIE},
    }))
}

async fn search_plans(
    State(seed): State<u64>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    simulate_work(seed, query.len() as u64, 3, 9).await;
    let gold = json!({"plan": "gold", "deductible_usd": 500, "copay_usd": 20, "remarks": null,
        "text": "Covers dental care, two visits a year, and every emergency. ".repeat(4)});
    Json(json!({
        "plans": [gold, gold, {"plan": "silver", "deductible_usd": 1500, "remarks": ""}],
        "topic": query.get("topic"), "by_member": {EMAIL: "covered"},
        "vault": {"secret": {"of": SECRET}},
    }))
}

async fn search_claim(
    State(seed): State<u64>,
    Path(case): Path<u64>,
    headers: HeaderMap,
) -> Response {
    simulate_work(seed, case, 3, 9).await;
    match CaseScript::for_case(seed, case) {
        CaseScript::ClaimsDown | CaseScript::Storm if retries_from_headers(&headers) == 0 => {
            let why = format!("the directory closed the connection of {EMAIL} ({JWT}, {AWS_KEY})");
            return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
        }
        CaseScript::ClaimsSlow if retries_from_headers(&headers) == 0 => {
            hang_without_answer().await
        }
        _ => {}
    }
    Json(json!({
        "claim": case, "status": "refunded", "amount_usd": 12.5, "history": ["sent", "sent", "paid"],
        "contact": EMAIL, "appeal": null,
    }))
    .into_response()
}
