//! The server: listens, serves connections, and stops at a signal.

mod body;
mod checks;
mod refusals;
mod service;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use llm_audit::metrics::HealthStatus;
use llm_audit::{AuditLogger, CaptureContent};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::error::{Cause, Error};
use crate::settings::{
    CONNECTIONS_MAX, DECODED_MAX, HEAD_WITHIN, READ_WITHIN, STOP_WITHIN, Settings, THREADS_WITHIN,
};
use refusals::Refusals;
use service::Service;

/// Receives OTLP over HTTP, and records it with a logger.
///
/// Paths are `/v1/logs`, `/v1/traces`, `/v1/metrics` and `/health`. A request is answered with 200 only after its
/// events are in the kernel or, if [`Settings::durable`] is set, on the disk. Metrics are not recorded, and the answer
/// says so.
///
/// The logger must keep every event: a request with events that are sampled out is not acknowledged.
///
/// # Examples
///
/// ```no_run
/// use llm_audit::AuditLogger;
/// use llm_audit_receive::{Receiver, Settings};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let logger = AuditLogger::builder().directory("logs").debug(true).build()?;
/// let receiver = Receiver::bind(Settings::new("127.0.0.1:4318".parse()?), &logger)?;
/// println!("OTLP is received on http://{}", receiver.address());
/// let received = receiver.run()?; // until SIGTERM or SIGINT
/// println!("{} requests", received.requests);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
    runtime: Runtime,
    service: Arc<Service>,
}

/// What a receiver was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Requests that were acknowledged.
    pub requests: u64,
    /// What was turned away, by its kind: requests by their status, such as `refused_401`, and connections without HTTP as
    /// `refused_connections`.
    pub refusals: Vec<(&'static str, u64)>,
    /// Acknowledged requests that were sent before, and so not recorded again.
    pub repeated_requests: u64,
    /// Records of acknowledged requests that became no event. Data points of metrics are among them.
    pub rejected_records: u64,
}

/// What is counted while the server runs.
#[derive(Debug)]
struct Counts {
    requests: AtomicU64,
    rejected_records: AtomicU64,
    refusals: Refusals,
}

impl Receiver {
    /// Listens on the address of the settings. Requests are answered from [`run`](Self::run) on.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be listened on, or if it is not a loopback address and that is not
    /// allowed. Returns an error if other machines are allowed and there is no token. Also returns an error if the logger
    /// records nothing, or keeps content in failed traces alone.
    pub fn bind(settings: Settings, logger: &AuditLogger) -> Result<Self, Error> {
        if logger.health().status == HealthStatus::Disabled {
            return Err(Cause::Disabled.into());
        }
        if logger.capture_content() == CaptureContent::Failed {
            return Err(Cause::HoldsContent.into());
        }
        let asked = settings.listen;
        if !settings.allow_remote && !asked.ip().is_loopback() {
            return Err(Cause::Remote(asked).into());
        }
        if settings.allow_remote && settings.token.is_none() {
            return Err(Cause::NoToken.into());
        }
        let listen = || {
            let listener = TcpListener::bind(asked)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            io::Result::Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|error| Cause::Listen(asked, error))?;
        let runtime = start_runtime().map_err(Cause::Start)?;
        let service = Service::start(settings, logger).map_err(Cause::Start)?;
        Ok(Self { listener, address, runtime, service: Arc::new(service) })
    }

    /// Returns the address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until SIGTERM or SIGINT. Then the requests under way are answered, for at most five seconds. A second
    /// signal ends the process.
    ///
    /// The logger stays open.
    ///
    /// # Errors
    ///
    /// Returns an error if signals cannot be listened for.
    pub fn run(self) -> Result<Received, Error> {
        let service = Arc::clone(&self.service);
        self.runtime.block_on(serve(self.listener, self.service)).map_err(Cause::Start)?;
        // Connections that did not end in time are dropped. While the disk hangs, threads that record do not end.
        self.runtime.shutdown_timeout(THREADS_WITHIN);
        Ok(service.stop(THREADS_WITHIN))
    }
}

fn start_runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(DECODED_MAX)
        .enable_all()
        .build()
}

async fn serve(listener: TcpListener, service: Arc<Service>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut stopped = std::pin::pin!(stop_signal()?);
    loop {
        // While all places are taken, further clients wait in the queue of the kernel.
        let accepted = async {
            let place = Arc::clone(&connections).acquire_owned().await;
            (place.expect("never closed"), listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stopped => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small, and are not to wait for more. If it fails, they only come later.
                let _ = stream.set_nodelay(true);
                let connection = serve_connection(stream, Arc::clone(&service), &graceful);
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            // There are no descriptors left, or the client has gone. Other connections may end meanwhile.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
    tokio::spawn(exit_at_signal(stop_signal()?));
    drop(listener);
    // What is not answered by then was not acknowledged.
    let _ = tokio::time::timeout(STOP_WITHIN, graceful.shutdown()).await;
    Ok(())
}

fn serve_connection<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    service: Arc<Service>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<S> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READ_WITHIN));
    let answering = Arc::clone(&service);
    let answer = service_fn(move |request| {
        let service = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let connection =
        graceful.watch(server.serve_connection(TokioIo::new(Box::pin(stream)), answer));
    async move {
        // Others break off, or do not read.
        if connection.await.is_err_and(|error| error.is_parse()) {
            service.note_connection();
        }
    }
}

/// Ends the process at a second signal, whatever it waits for.
async fn exit_at_signal(signal: impl Future<Output = ()>) {
    signal.await;
    // As a shell shows a process that SIGINT ended.
    std::process::exit(130);
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

impl Counts {
    fn new(report: Option<fn(&str)>) -> Self {
        Self {
            requests: AtomicU64::default(),
            rejected_records: AtomicU64::default(),
            refusals: Refusals::new(report),
        }
    }

    fn received(&self, repeated_requests: u64) -> Received {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Received {
            requests: load(&self.requests),
            refusals: self.refusals.by_kind(),
            repeated_requests,
            rejected_records: load(&self.rejected_records),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    use super::*;

    /// The clock moves only while all wait for it.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_keeps_no_connection() {
        let folder = tempfile::tempdir().unwrap();
        let logger = AuditLogger::builder().directory(folder.path()).stdout(false).build().unwrap();
        let settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let service = Arc::new(Service::start(settings, &logger).unwrap());
        let (server, mut client) = tokio::io::duplex(1 << 10);
        let connection = serve_connection(server, service, &GracefulShutdown::new());
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let send = async { while client.write_all(request).await.is_ok() {} };
        let both = async { tokio::join!(connection, send) };
        assert!(timeout(Duration::from_secs(3_600), both).await.is_ok(), "it is still open");
    }
}
