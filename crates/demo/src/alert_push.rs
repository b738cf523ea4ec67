//! Alerts as push notifications: an application's own notifier.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use llm_audit::alerts::{Alert, Notifier, NotifyError};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::http_client::HttpClient;
use crate::push::{PushClient, PushError};

/// The push service gets this long for one notification.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends alerts to the push service. The recorder starts before the service, so alerts wait until
/// [`Service::start`](crate::Service::start) knows the address.
///
/// It uses a client that records nothing. Otherwise the alerts would be events of the service.
#[derive(Clone, Default)]
pub struct AlertPush(Arc<OnceLock<(Handle, PushClient)>>);

impl AlertPush {
    /// Sends to this push service from now on, on the runtime of the caller.
    pub(crate) fn connect(&self, base_url: String) {
        let client = PushClient { http: HttpClient::plain(), base_url };
        // If it is connected already, it stays so.
        let _ = self.0.set((Handle::current(), client));
    }
}

impl Notifier for AlertPush {
    fn name(&self) -> &str {
        "push"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        let Some((runtime, client)) = self.0.get() else {
            return Err(NotifyError::temporary("the service has not started yet"));
        };
        let state = if alert.is_firing() { "fires" } else { "is resolved" };
        let title = format!("{} {state}", alert.rule);
        let body = json!({"title": title, "text": alert.summary}).to_string();
        match runtime.block_on(async { timeout(LIMIT, client.post(body)).await }) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(PushError::Refused(status, _))) if status.is_client_error() => {
                Err(NotifyError::permanent(format!("the push service said {status}")))
            }
            Ok(Err(error)) => Err(NotifyError::temporary(error.to_string())),
            Err(_) => Err(NotifyError::temporary("the push service did not answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::Value;
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::Config;
    use crate::server::DemoServer;

    fn alert() -> Alert {
        let alert = json!({
            "rule": "errors-high", "objective": "errors", "service": "benefits", "severity": "page",
            "subject": null, "starts_at": 0, "ends_at": null, "summary": "20 of 30 failed", "value": "",
            "target": "", "window": "5m", "traces": [], "command": "",
        });
        serde_json::from_value(alert).expect("an alert")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_alert_is_a_notification_once_the_service_has_started() {
        let (heard, mut hears) = mpsc::channel(1);
        let answer = move |Json(body): Json<Value>| async move {
            heard.send(body).await.expect("the test listens");
        };
        let router = Router::new().route("/push", post(answer));
        let server = DemoServer::start(Config::default().address, router).await.expect("a port");
        let push = AlertPush::default();
        let mut notifier = push.clone();
        let told = tokio::task::spawn_blocking(move || (notifier.notify(&alert()), notifier));
        let (early, mut notifier) = told.await.expect("no panic");
        assert!(early.expect_err("nobody listens").is_temporary());
        push.connect(format!("http://{}", server.address));
        let told = tokio::task::spawn_blocking(move || notifier.notify(&alert()));
        told.await.expect("no panic").expect("it was sent");
        let body = hears.recv().await.expect("a notification");
        assert_eq!(body, json!({"title": "errors-high fires", "text": "20 of 30 failed"}));
        server.stop().await;
    }
}
