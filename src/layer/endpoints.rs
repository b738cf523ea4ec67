//! Pages that a Prometheus scrapes and a probe asks.

use axum::Router;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::{Health, TextFormat, prometheus_text};
use crate::recorder::AuditLogger;

/// Returns a router with the pages `/metrics` and `/health` of the process's recorder.
///
/// `/metrics` is what [`prometheus_text`] returns. `/health` is [`Health`] as JSON, with the code 503 if the
/// recorder cannot write or [`init`](crate::init) was not called.
///
/// Anybody who can ask these pages sees the names of agents, actions, models and tenants, and what models
/// cost. Let only your own monitoring ask them.
///
/// # Examples
///
/// ```
/// use axum::Router;
///
/// let service: Router = Router::new();
/// let service = service.merge(llm_audit::layer::metrics_router());
/// # let _ = service;
/// ```
pub fn metrics_router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/metrics", get(show_metrics)).route("/health", get(show_health))
}

async fn show_metrics(headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    let format = TextFormat::from_accept(accept);
    let Some(logger) = AuditLogger::get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "llm-audit is not initialized\n").into_response();
    };
    let page = prometheus_text(&logger.metrics(), &logger.accounting(), format);
    ([(CONTENT_TYPE, format.content_type())], page).into_response()
}

async fn show_health() -> Response {
    let health = AuditLogger::get().map_or_else(Health::default, AuditLogger::health);
    let code =
        StatusCode::from_u16(health.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    (code, [(CONTENT_TYPE, "application/json")], health.to_json() + "\n").into_response()
}
