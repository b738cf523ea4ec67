//! Alerts to a topic of Amazon SNS.

use std::time::Duration;

use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sns::{Client, config::Region};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use tokio::runtime::{self, Runtime};

use super::notifier::{Notifier, NotifyError};
use super::payload::{WebhookPayload, fingerprint, status};
use super::text::title;
use crate::Alert;

/// The time for one message, with the look-up of credentials.
const PUBLISH_SECONDS_MAX: u64 = 10;
/// The longest subject that SNS takes.
const SUBJECT_CHARS_MAX: usize = 100;

/// Publishes each alert to a topic. The subject says in a line what fires, for mail. The message is the JSON that
/// [`Webhook`](super::Webhook) would post. The attributes `status` and `severity` are for filters of subscriptions.
///
/// The region is that of the topic. Credentials and endpoint come from where AWS's own tools take them, such as
/// `AWS_PROFILE`, the role of the machine, and `AWS_ENDPOINT_URL_SNS`.
pub struct Sns {
    topic: String,
    region: String,
    /// Made on the notifier's own thread, with the first alert.
    connection: Option<(Runtime, Client)>,
}

impl Sns {
    /// Returns `None` if the text is not the ARN of a topic.
    pub fn new(topic: &str) -> Option<Self> {
        let parts: Vec<_> = topic.split(':').collect();
        let ["arn", _, "sns", region, account, name] = parts[..] else { return None };
        let is_whole = [region, account, name].iter().all(|part| !part.is_empty());
        is_whole.then(|| Self {
            topic: topic.to_owned(),
            region: region.to_owned(),
            connection: None,
        })
    }

    fn connection(&mut self) -> Result<&(Runtime, Client), NotifyError> {
        if self.connection.is_none() {
            let failed = |error: std::io::Error| NotifyError::temporary(error.to_string());
            let runtime =
                runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
            let client = runtime.block_on(client(self.region.clone()));
            self.connection = Some((runtime, client));
        }
        Ok(self.connection.as_ref().expect("made above"))
    }
}

/// The dispatcher tries again, so the SDK does not.
async fn client(region: String) -> Client {
    let tls = tls::Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    let limit = Duration::from_secs(PUBLISH_SECONDS_MAX);
    let config = aws_config::from_env()
        .http_client(http)
        .region(Region::new(region))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(limit).build());
    Client::new(&config.load().await)
}

impl Notifier for Sns {
    fn name(&self) -> &str {
        "sns"
    }

    fn notify(&mut self, alert: &Alert) -> Result<(), NotifyError> {
        let topic = self.topic.clone();
        let (runtime, client) = self.connection()?;
        let mut message = client
            .publish()
            .subject(subject(alert))
            .message(WebhookPayload::new(alert).to_json())
            .message_attributes("status", attribute(status(alert)))
            .message_attributes("severity", attribute(alert.severity.name()));
        if topic.ends_with(".fifo") {
            let group = fingerprint(&alert.labels());
            let id = format!("{group}-{}-{}", alert.starts_at, status(alert));
            message = message.message_group_id(group).message_deduplication_id(id);
        }
        runtime.block_on(message.topic_arn(topic).send()).map_err(failure)?;
        Ok(())
    }
}

fn attribute(text: &str) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type("String").string_value(text);
    value.build().expect("the type is set")
}

/// SNS takes printable ASCII only, and no space at the start.
fn subject(alert: &Alert) -> String {
    let ascii = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    title(alert).chars().map(ascii).take(SUBJECT_CHARS_MAX).collect()
}

/// Of an answer only the code is shown: the text of a refused signature repeats the session's token.
fn failure(error: SdkError<PublishError>) -> NotifyError {
    let text = match error.code() {
        Some(code) => format!("the answer is {code}"),
        None => DisplayErrorContext(&error).to_string(),
    };
    let is_refused = error.as_service_error().is_some_and(|error| {
        error.is_authorization_error_exception()
            || error.is_invalid_parameter_exception()
            || error.is_invalid_parameter_value_exception()
            || error.is_not_found_exception()
    });
    if is_refused { NotifyError::permanent(text) } else { NotifyError::temporary(text) }
}
