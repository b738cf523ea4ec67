//! The pages that a Prometheus scrapes and a probe asks. The recorder of the process can be made once, so
//! this is one test in a program of its own.
#![cfg(all(not(loom), feature = "axum", feature = "prometheus"))]

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use llm_audit::layer::metrics_router;
use llm_audit::{AuditEvent, AuditLogger, EventType, Status};
use tower::ServiceExt;

/// Returns the code, the type of the content, and the content.
async fn ask(path: &str, accept: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
    let router: Router = metrics_router();
    let response = router.oneshot(request).await.unwrap();
    let code = response.status();
    let of = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, of, String::from_utf8(body.to_vec()).unwrap())
}

fn bytes_in(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let logs = entries.filter(|entry| entry.path().extension().is_some_and(|of| of == "jsonl"));
    logs.map(|entry| entry.metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn the_pages_show_the_recorder_from_before_its_start_to_its_end() {
    let (code, _, body) = ask("/health", "").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let (code, _, body) = ask("/metrics", "").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "{body}");

    let folder = tempfile::tempdir().unwrap();
    let builder = AuditLogger::builder().without_environment().directory(folder.path());
    let guard = llm_audit::init_with(builder).unwrap();
    let request = AuditEvent::new(EventType::RequestEnd, "benefits", "answer \"a\"\n");
    llm_audit::emit(&request.latency_ms(1_500.0).tenant("ann@example.org"));
    llm_audit::emit(&AuditEvent::new(EventType::ToolError, "benefits", "tool.search"));
    let call = llm_audit::LlmCall::new("benefits", "chat", "openai", "gpt-4o");
    llm_audit::record_llm_call(&call.usage((1_000, 10)).status(Status::Ok));
    let mut usage = llm_audit::Usage::new(2_000, 10);
    usage.cache_read = 1_500;
    let call = llm_audit::LlmCall::new("benefits", "chat", "openai", "gpt-4o-mini");
    llm_audit::record_llm_call(&call.usage(usage));
    llm_audit::count("plans_found", 3);
    llm_audit::count("plans of ann@example.org", 1);
    llm_audit::flush(std::time::Duration::from_secs(60)).unwrap();

    let (code, of, body) = ask("/health", "").await;
    assert_eq!((code, of.as_str()), (StatusCode::OK, "application/json"));
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(health["status"], "ok");
    assert!(health["last_write"].as_str().is_some_and(|at| at.ends_with('Z')), "{body}");

    let (code, of, page) = ask("/metrics", "text/plain").await;
    assert_eq!((code, of.as_str()), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"llm_audit_requests_total{agent="benefits",action="answer \"a\"\n",tenant="[REDACTED_email]",status="ok"} 1"#,
        r#"llm_audit_errors_total{event_type="tool.error",agent="benefits",action="tool.search"} 1"#,
        r#"llm_audit_tokens_total{agent="benefits",model="gpt-4o",tenant="",direction="input"} 1000"#,
        r#"llm_audit_cost_usd_total{agent="benefits",model="gpt-4o",tenant=""} 0.0026"#,
        r#"llm_audit_request_latency_seconds_sum{agent="benefits",action="answer \"a\"\n"} 1.5"#,
        r#"llm_audit_request_latency_seconds_bucket{agent="benefits",action="answer \"a\"\n",le="1.28"} 0"#,
        r#"llm_audit_request_latency_seconds_bucket{agent="benefits",action="answer \"a\"\n",le="2.56"} 1"#,
        r#"llm_audit_request_latency_seconds_bucket{agent="benefits",action="answer \"a\"\n",le="+Inf"} 1"#,
        r#"llm_audit_token_kinds_total{agent="benefits",model="gpt-4o-mini",tenant="",kind="cache_read"} 1500"#,
        r#"llm_audit_counts_total{name="plans_found"} 3"#,
        r#"llm_audit_counts_total{name="plans of [REDACTED_email]"} 1"#,
        &format!("llm_audit_written_bytes_total {}", bytes_in(folder.path())),
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let writes =
        page.lines().find(|line| line.starts_with("llm_audit_write_latency_seconds_count"));
    assert!(writes.is_some_and(|line| !line.ends_with(" 0")), "{page}");
    let (_, of, page) = ask("/metrics", "application/openmetrics-text; version=1.0.0").await;
    assert!(of.starts_with("application/openmetrics-text"), "{of}");
    assert!(page.ends_with("# EOF\n"), "{page}");

    drop(guard);
    let (code, _, body) = ask("/health", "").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""status":"closed""#), "{body}");
}
