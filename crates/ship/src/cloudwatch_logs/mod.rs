//! Lines of a log to CloudWatch Logs, each as an event of a log stream.

mod chunks;
mod cut;
mod name;
#[cfg(test)]
mod tests;

use std::env;
use std::fmt;
use std::io;
use std::ops::Range;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::operation::create_log_group::CreateLogGroupError;
use aws_sdk_cloudwatchlogs::operation::create_log_stream::CreateLogStreamError;
use aws_sdk_cloudwatchlogs::operation::put_log_events::PutLogEventsError;
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, RejectedLogEventsInfo};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use jiff::Timestamp;
use llm_audit_log::Line;
use tokio::runtime::{self, Runtime};

use crate::shipper::{BatchLimits, Destination, LineSource, Rejected, SendError, Shipped};
use chunks::chunks;
use cut::message_of;
use name::stream_name;

/// The longest name of a group or a stream.
const NAME_CHARS_MAX: usize = 512;
/// The time for one request, with the look-up of credentials.
const REQUEST_SECONDS_MAX: u64 = 30;
/// What is read before it is sent: a few requests.
const LIMITS: BatchLimits = BatchLimits { lines: 20_000, bytes: 4 << 20 };

/// Makes a client with what region, credentials and endpoint are now.
type Connect = Box<dyn Fn(&Runtime) -> Client + Send + Sync>;

/// A log stream of CloudWatch Logs. Each line of the log is an event of it. Group and stream are created if they are
/// missing.
///
/// Region, credentials and endpoint come from where AWS's own tools take them, such as `AWS_PROFILE`, the role of the
/// machine, and `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`. It needs the permissions `logs:PutLogEvents`,
/// `logs:CreateLogStream` and `logs:CreateLogGroup`; the last one only if the group is missing.
pub struct CloudWatchLogs {
    name: String,
    group: String,
    stream: String,
    runtime: Runtime,
    connect: Connect,
    /// Made with the first request, and again if it may be the reason of a failure.
    client: Option<Client>,
    /// The time of the last line that has one, in milliseconds since the Unix epoch.
    latest: i64,
}

impl fmt::Debug for CloudWatchLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, stream, .. } = self;
        f.debug_struct("CloudWatchLogs").field("group", group).field("stream", stream).finish()
    }
}

impl CloudWatchLogs {
    /// Makes a destination. It connects with the first batch.
    ///
    /// # Errors
    ///
    /// The service takes no group or stream of this name, or the operating system has no resources for the runtime of
    /// the SDK.
    pub fn new(group: impl Into<String>, stream: impl Into<String>) -> io::Result<Self> {
        let connect = Box::new(|runtime: &Runtime| runtime.block_on(client()));
        Self::connected_by(connect, group.into(), stream.into())
    }

    fn connected_by(connect: Connect, group: String, stream: String) -> io::Result<Self> {
        check_names(&group, &stream)?;
        Ok(Self {
            name: stream_name(&group, &stream, |variable| env::var(variable).ok()),
            group,
            stream,
            runtime: runtime::Builder::new_current_thread().enable_all().build()?,
            connect,
            client: None,
            latest: Timestamp::now().as_millisecond(),
        })
    }

    fn client(&mut self) -> Client {
        self.client.get_or_insert_with(|| (self.connect)(&self.runtime)).clone()
    }

    /// Sends events, which are in the order of time. Creates group and stream if they are missing.
    fn put(
        &mut self,
        events: Vec<InputLogEvent>,
    ) -> Result<Option<RejectedLogEventsInfo>, SendError> {
        let client = self.client();
        let request =
            client.put_log_events().log_group_name(&self.group).log_stream_name(&self.stream);
        let request = request.set_log_events(Some(events));
        let mut put = self.runtime.block_on(request.clone().send());
        if put.as_ref().is_err_and(is_missing) {
            self.create(&client)?;
            put = self.runtime.block_on(request.send());
        }
        match put {
            Ok(answer) => Ok(answer.rejected_log_events_info),
            // An earlier request arrived, and its answer did not.
            Err(error) if is_there_already(&error) => Ok(None),
            // Only what is wrong with the events themselves is final. Whatever is wrong with credentials, permissions
            // or the service can be mended.
            Err(error) if is_invalid(&error) => Err(SendError::Refused { why: text(&error) }),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Returns what becomes of a failure that may pass. A client keeps the region and the credentials that it found at
    /// first, or that it found none, so another one is made unless the service itself answers that it is busy or failed.
    fn failure<E: 'static>(&mut self, error: &SdkError<E>) -> SendError
    where
        SdkError<E>: ProvideErrorMetadata + std::error::Error,
    {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let is_busy = error.code().is_some_and(|code| code.contains("Throttl"));
        if !is_busy && status.is_none_or(|status| status < 500) {
            self.client = None;
        }
        let (why, after) = (text(error), None);
        match status {
            Some(500 | 501 | 505..) => SendError::Failed { why, after },
            _ => SendError::Later { why, after },
        }
    }

    fn create(&mut self, client: &Client) -> Result<(), SendError> {
        let group = client.create_log_group().log_group_name(&self.group).send();
        let is_there = |error: &SdkError<CreateLogGroupError>| {
            error.as_service_error().is_some_and(|e| e.is_resource_already_exists_exception())
        };
        let created = self.runtime.block_on(group);
        // Without the permission the group may be there all the same.
        let not_allowed = |error: &SdkError<CreateLogGroupError>| {
            error.code().is_some_and(|code| code.contains("AccessDenied"))
        };
        created.map(drop).or_else(|error| match is_there(&error) || not_allowed(&error) {
            true => Ok(()),
            false => Err(self.failure(&error)),
        })?;
        let stream =
            client.create_log_stream().log_group_name(&self.group).log_stream_name(&self.stream);
        let is_there = |error: &SdkError<CreateLogStreamError>| {
            error.as_service_error().is_some_and(|e| e.is_resource_already_exists_exception())
        };
        let created = self.runtime.block_on(stream.send());
        created.map(drop).or_else(|error| match is_there(&error) {
            true => Ok(()),
            false => Err(self.failure(&error)),
        })
    }
}

/// The shipper tries again, so the SDK does not.
async fn client() -> Client {
    let tls = tls::Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    let limit = Duration::from_secs(REQUEST_SECONDS_MAX);
    let config = aws_config::from_env()
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(limit).build());
    Client::new(&config.load().await)
}

/// An event, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Milliseconds since the Unix epoch.
    timestamp: i64,
    message: String,
}

impl Destination for CloudWatchLogs {
    type Item = StreamEvent;

    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn item(&mut self, line: &Line<'_>, source: &LineSource<'_>) -> Option<(usize, StreamEvent)> {
        // A line without a time follows the one before it.
        let own = line.timestamp().map(|micros| micros.div_euclid(1_000));
        let timestamp = own.unwrap_or(self.latest);
        self.latest = timestamp;
        let message = message_of(line, source);
        Some((0, StreamEvent { timestamp, message }))
    }

    fn arrange(&self, items: &mut [Shipped<StreamEvent>]) -> Vec<Range<usize>> {
        // Stable, so that events of one millisecond keep the order of the files.
        items.sort_by_key(|of| of.item.timestamp);
        chunks(items.iter().map(|of| (of.item.timestamp, of.item.message.len())))
    }

    fn send(
        &mut self,
        _part: usize,
        items: &[Shipped<StreamEvent>],
    ) -> Result<Rejected, SendError> {
        let rejected = self.put(items.iter().map(|of| event_of(&of.item)).collect())?;
        Ok(rejected.map_or_else(Rejected::default, |info| rejected_of(&info, items.len())))
    }
}

fn event_of(item: &StreamEvent) -> InputLogEvent {
    let event = InputLogEvent::builder().timestamp(item.timestamp).message(&item.message);
    event.build().expect("time and message are set")
}

/// Which events the service did not store because of their time. It stored the others.
fn rejected_of(info: &RejectedLogEventsInfo, events: usize) -> Rejected {
    let end = |end: Option<i32>| usize::try_from(end.unwrap_or(0)).unwrap_or(0).min(events);
    let old = end(info.too_old_log_event_end_index).max(end(info.expired_log_event_end_index));
    let new = info.too_new_log_event_start_index.map_or(events, |start| end(Some(start)));
    let places: Vec<usize> = (0..old).chain(new.max(old)..events).collect();
    let why = "events older than 14 days or the retention of the group, or of the future";
    Rejected { count: places.len() as u64, places: Some(places), why: why.to_owned() }
}

fn is_missing(error: &SdkError<PutLogEventsError>) -> bool {
    error.as_service_error().is_some_and(PutLogEventsError::is_resource_not_found_exception)
}

fn is_there_already(error: &SdkError<PutLogEventsError>) -> bool {
    error.as_service_error().is_some_and(PutLogEventsError::is_data_already_accepted_exception)
}

fn is_invalid(error: &SdkError<PutLogEventsError>) -> bool {
    error.as_service_error().is_some_and(PutLogEventsError::is_invalid_parameter_exception)
}

/// Of an answer only the code is shown: the text of a refused signature repeats the session's token.
fn text<E: 'static>(error: &SdkError<E>) -> String
where
    SdkError<E>: ProvideErrorMetadata + std::error::Error,
{
    match (error.code(), error.raw_response()) {
        (Some(code), _) => format!("CloudWatch answered {code}"),
        // Not its sources: they repeat whatever a proxy has answered.
        (None, Some(_)) => format!("CloudWatch cannot be asked: {error}"),
        (None, None) => format!("CloudWatch cannot be asked: {}", causes(error)),
    }
}

/// Returns the causes of an error that has no answer, such as that there is no region. Those of credentials that cannot
/// be loaded are left out, since they repeat what their provider has answered.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source().filter(|_| !cause.is::<CredentialsError>());
    }
    text
}

/// The names that the service takes. It would answer others as it answers bad events.
fn check_names(group: &str, stream: &str) -> io::Result<()> {
    let is_length = |name: &str| (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    let in_group = |c: char| c.is_ascii_alphanumeric() || "._/#-".contains(c);
    let wrong = if !is_length(group) || !group.chars().all(in_group) {
        format!("group {group:?}; accepted: up to {NAME_CHARS_MAX} letters, digits and . _ / # -")
    } else if !is_length(stream) || stream.contains([':', '*']) {
        format!("stream {stream:?}; accepted: up to {NAME_CHARS_MAX} characters without : and *")
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
}
