//! The root of a replayed trace: a request to the service, without its sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use llm_audit::replay::RootInput;
use tower::ServiceExt;

use crate::config::{Config, Provider};
use crate::service::ServiceParts;

/// Sends the recorded request to a service that is configured by the environment, and reads the answer.
///
/// `llm-audit fixture --test` writes tests that call this. Time does not pass in them: a time-out passes at
/// once.
///
/// # Panics
///
/// Panics if the environment is not accepted, or if the root is not a request.
pub fn replay_root(input: &RootInput) {
    replay_root_with(Config::from_env().expect("the environment is accepted"), input);
}

/// As [`replay_root`], with other settings.
///
/// # Panics
///
/// Panics if the root is not a request, or if the temporary folder cannot be made.
pub fn replay_root_with(config: Config, input: &RootInput) {
    // Nothing is sent there. Addresses of this machine are compared without their ports.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let parts = ServiceParts {
        provider: config.provider.unwrap_or_else(|| Provider::standin(nowhere)),
        urls: [0, 1].map(|_| format!("http://{nowhere}")),
        store: config.store,
        skips_malformed: config.skips_malformed_calls,
    };
    let router = parts.into_router().expect("a temporary folder");
    let request = input.request().expect("the root is a request").map(Body::from);
    let answer = async {
        let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
        // The caller sees the status; the log has what went wrong.
        let _read = response.into_body().collect().await;
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
    // The question is analysed on another thread, and the transcript is a file. Time passes after these.
    let pause = || tokio::time::sleep(Duration::from_millis(1));
    runtime.block_on(input.drive_with_pauses(answer, pause));
}
