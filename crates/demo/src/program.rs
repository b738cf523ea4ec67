//! The service as a program: from its start to the signal that ends it.

use std::io;

use llm_audit::{AuditEvent, EventType};
use serde_json::json;

use crate::config::Config;
use crate::service::Service;

/// Runs the service until the process is interrupted or terminated; the answers under way are
/// finished then. The log says where it listens: `service.start`, with the `address`.
///
/// # Errors
///
/// As [`Service::start`]; signals that cannot be listened for.
pub async fn serve(config: Config) -> io::Result<()> {
    // Before the address is known to anybody: whoever reads it may stop the service at once.
    let asked_to_stop = stop_signal()?;
    let service = Service::start(config).await?;
    let data = json!({"address": service.address().to_string()});
    let started = EventType::Custom("service.start");
    llm_audit::emit(&AuditEvent::new(started, "benefits", "listen").data(&data));
    asked_to_stop.await;
    service.shutdown().await;
    Ok(())
}

#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // If it cannot be listened for, the process is ended from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
