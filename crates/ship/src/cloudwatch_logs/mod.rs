//! Lines of a log to CloudWatch Logs, each as an event of a log stream.

mod chunks;
mod cut;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::time::Duration;

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
use chunks::Chunks;
use cut::message_of;

/// The longest name of a group or a stream.
const NAME_CHARS_MAX: usize = 512;
/// The longest name of a file, before what is added to it.
const FILE_NAME_BYTES_MAX: usize = 200;
/// The time for one request, with the look-up of credentials.
const REQUEST_SECONDS_MAX: u64 = 30;
/// What is read before it is sent: a few requests.
const LIMITS: BatchLimits = BatchLimits { lines: 20_000, bytes: 4 << 20 };

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
    /// Made with the first request.
    client: Option<Client>,
    chunks: Chunks,
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
        let (group, stream) = (group.into(), stream.into());
        check_names(&group, &stream)?;
        let name = file_name("cloudwatch", &[&group, &stream]);
        if name.len() > FILE_NAME_BYTES_MAX {
            let wrong = format!("group and stream are too long for the name of a file: {name}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
        }
        Ok(Self {
            name,
            group,
            stream,
            runtime: runtime::Builder::new_current_thread().enable_all().build()?,
            client: None,
            chunks: Chunks::default(),
            latest: Timestamp::now().as_millisecond(),
        })
    }

    fn client(&mut self) -> Client {
        let client = self.client.get_or_insert_with(|| self.runtime.block_on(client()));
        client.clone()
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
        let put = request.clone().send();
        match self.runtime.block_on(put) {
            Ok(answer) => Ok(answer.rejected_log_events_info),
            Err(error) if is_missing(&error) => {
                self.create(&client)?;
                let put = self.runtime.block_on(request.send());
                put.map(|answer| answer.rejected_log_events_info).map_err(|error| failure(&error))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    fn create(&self, client: &Client) -> Result<(), SendError> {
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
            false => Err(later(&error)),
        })?;
        let stream =
            client.create_log_stream().log_group_name(&self.group).log_stream_name(&self.stream);
        let is_there = |error: &SdkError<CreateLogStreamError>| {
            error.as_service_error().is_some_and(|e| e.is_resource_already_exists_exception())
        };
        let created = self.runtime.block_on(stream.send());
        created.map(drop).or_else(|error| match is_there(&error) {
            true => Ok(()),
            false => Err(later(&error)),
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
        Some((self.chunks.place(timestamp, message.len()), StreamEvent { timestamp, message }))
    }

    fn send(
        &mut self,
        _chunk: usize,
        items: &[Shipped<StreamEvent>],
    ) -> Result<Rejected, SendError> {
        self.chunks = Chunks::default();
        // Stable, so that events of one millisecond keep the order of the files.
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|at| items[*at].item.timestamp);
        let events = order.iter().map(|at| event_of(&items[*at].item)).collect();
        let rejected = self.put(events)?;
        Ok(rejected.map_or_else(Rejected::default, |info| rejected_of(&info, &order)))
    }
}

fn event_of(item: &StreamEvent) -> InputLogEvent {
    let event = InputLogEvent::builder().timestamp(item.timestamp).message(&item.message);
    event.build().expect("time and message are set")
}

/// Which events the service did not store because of their time. It stored the others.
fn rejected_of(info: &RejectedLogEventsInfo, order: &[usize]) -> Rejected {
    let end = |end: Option<i32>| usize::try_from(end.unwrap_or(0)).unwrap_or(0).min(order.len());
    let old = end(info.too_old_log_event_end_index).max(end(info.expired_log_event_end_index));
    let new = info.too_new_log_event_start_index.map_or(order.len(), |start| end(Some(start)));
    let places: Vec<usize> = order[..old].iter().chain(&order[new.max(old)..]).copied().collect();
    let why = "events older than 14 days or the retention of the group, or of the future";
    Rejected { count: places.len() as u64, places: Some(places), why: why.to_owned() }
}

fn is_missing(error: &SdkError<PutLogEventsError>) -> bool {
    error.as_service_error().is_some_and(PutLogEventsError::is_resource_not_found_exception)
}

/// Only what is wrong with the events themselves is final. Whatever is wrong with credentials, permissions or the
/// service can be mended.
fn failure(error: &SdkError<PutLogEventsError>) -> SendError {
    let is_refused =
        error.as_service_error().is_some_and(PutLogEventsError::is_invalid_parameter_exception);
    if is_refused { SendError::Refused { why: text(error) } } else { later(error) }
}

fn later<E>(error: &SdkError<E>) -> SendError
where
    SdkError<E>: ProvideErrorMetadata + std::error::Error,
{
    SendError::Later { why: text(error), after: None }
}

/// Of an answer only the code is shown: the text of a refused signature repeats the session's token.
fn text<E>(error: &SdkError<E>) -> String
where
    SdkError<E>: ProvideErrorMetadata + std::error::Error,
{
    match error.code() {
        Some(code) => format!("CloudWatch answered {code}"),
        // Not its sources: they repeat whatever a proxy has answered.
        None => format!("CloudWatch cannot be asked: {error}"),
    }
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

/// A name for files, which another group or stream does not have.
fn file_name(kind: &str, parts: &[&str]) -> String {
    let mut name = kind.to_owned();
    for part in parts {
        name.push('-');
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => name.push(byte.into()),
                other => name.push_str(&format!("_{other:02x}")),
            }
        }
    }
    name
}
