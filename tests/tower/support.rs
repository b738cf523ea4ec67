//! A server on loopback, a client that writes requests byte by byte, and bodies that the test
//! controls.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, Request, Response};
use hyper::body::Frame;
use llm_audit::layer::tower::ServerLayer;
use llm_audit::testing::{Capture, capture};
use llm_audit::{AuditEvent, AuditLogger, EventType};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tower::Service;

/// Long enough for a busy machine; no test waits until it has passed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `found` returns a value.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A server that runs until it is dropped, with its recorder.
pub struct Served {
    pub address: SocketAddr,
    pub runtime: Runtime,
    pub capture: Capture,
}

/// The two events of one request.
#[derive(Debug)]
pub struct Pair {
    pub start: Value,
    pub end: Value,
}

pub fn layer(capture: &Capture) -> ServerLayer {
    ServerLayer::new("benefits").logger(capture.logger().clone())
}

impl Served {
    pub fn new(app: impl FnOnce(&Capture) -> Router) -> Self {
        Self::with(capture(), app)
    }

    pub fn with(capture: Capture, app: impl FnOnce(&Capture) -> Router) -> Self {
        let app = app(&capture);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { address, runtime, capture }
    }

    pub fn connect(&self) -> Connection {
        Connection::to(self.address)
    }

    /// Sends `METHOD path` with these further header lines, and returns the response.
    pub fn ask(&self, request: &str, headers: &[&str]) -> Reply {
        let mut connection = self.connect();
        connection.send(request, headers);
        connection.reply(request.starts_with("HEAD"))
    }

    pub fn lines(&self) -> Vec<Value> {
        self.capture.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn wait_for(&self, event_type: &str, count: usize) {
        until(&format!("{count} {event_type}"), || {
            let of_type = |line: &&Value| line["event_type"] == event_type;
            (self.lines().iter().filter(of_type).count() >= count).then_some(())
        });
    }

    /// Waits for `requests` to end, stops the server, and returns all events.
    ///
    /// Nothing runs any more then, so no event can follow.
    pub fn finish(self, requests: usize) -> Recorded {
        self.wait_for("request.end", requests);
        let Self { runtime, capture, .. } = self;
        runtime.shutdown_timeout(DEADLINE);
        let lines: Vec<Value> =
            capture.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let recorded = Recorded { lines };
        assert_eq!(recorded.pairs().len(), requests, "{:#?}", recorded.lines);
        recorded
    }
}

pub struct Recorded {
    pub lines: Vec<Value>,
}

impl Recorded {
    pub fn of(&self, event_type: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["event_type"] == event_type).collect()
    }

    /// Returns the requests in the order of their starts.
    ///
    /// Fails unless each has exactly one start and one end, and both agree.
    pub fn pairs(&self) -> Vec<Pair> {
        let mut ends: BTreeMap<String, Value> = BTreeMap::new();
        for end in self.of("request.end") {
            let earlier = ends.insert(end["span_id"].to_string(), end.clone());
            assert!(earlier.is_none(), "two ends: {end}");
        }
        let pair = |start: &Value| {
            let end = ends.remove(&start["span_id"].to_string());
            let end = end.unwrap_or_else(|| panic!("no end: {start}"));
            for field in ["trace_id", "parent_span_id", "agent", "action"] {
                assert_eq!(start[field], end[field]);
            }
            for field in ["http.method", "http.route"] {
                assert_eq!(start["data"][field], end["data"][field]);
            }
            assert_eq!(start["status"], "ok");
            assert!(end["latency_ms"].as_f64().unwrap() > 0.0);
            Pair { start: start.clone(), end }
        };
        let pairs: Vec<Pair> = self.of("request.start").into_iter().map(pair).collect();
        assert!(ends.is_empty(), "an end without a start: {ends:?}");
        pairs
    }

    /// Returns the only request; fails unless there is exactly one.
    pub fn pair(&self) -> Pair {
        let mut pairs = self.pairs();
        assert_eq!(pairs.len(), 1);
        pairs.remove(0)
    }
}

/// Returns the end of an event: its status and the type of its error.
pub fn verdict(line: &Value) -> (&str, Option<&str>) {
    (line["status"].as_str().unwrap(), line["error"]["type"].as_str())
}

/// A connection that sends the HTTP/1.1 that a test gives it.
pub struct Connection {
    pub stream: TcpStream,
    read: Vec<u8>,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name}")).to_str().unwrap()
    }
}

impl Connection {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub fn send(&mut self, request: &str, headers: &[&str]) {
        self.send_body(request, headers, "");
    }

    pub fn send_body(&mut self, request: &str, headers: &[&str], body: &str) {
        let mut text = format!("{request} HTTP/1.1\r\nhost: desk\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until `end` finds the end of a part, and takes that part out.
    pub fn read_until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> Vec<u8> {
        loop {
            if let Some(end) = end(&self.read) {
                return self.read.drain(..end).collect();
            }
            let mut more = [0; 4096];
            let length = self.stream.read(&mut more).unwrap();
            assert_ne!(length, 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
            self.read.extend_from_slice(&more[..length]);
        }
    }

    pub fn read_to(&mut self, text: &str) -> Vec<u8> {
        let find = |read: &[u8]| {
            let found = read.windows(text.len()).position(|window| window == text.as_bytes());
            found.map(|at| at + text.len())
        };
        self.read_until(find)
    }

    /// Reports whether the server closed without another byte.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0) | Err(_)) && self.read.is_empty()
    }

    pub fn head(&mut self) -> Reply {
        let head = String::from_utf8(self.read_to("\r\n\r\n")).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        Reply { status, headers, body: Vec::new() }
    }

    /// Reads the whole response. A chunked body is not decoded.
    pub fn reply(&mut self, is_head: bool) -> Reply {
        let mut reply = self.head();
        let has_body = !is_head && ![204, 304].contains(&reply.status);
        reply.body = match reply.headers.get("content-length") {
            Some(length) if has_body => {
                let length: usize = length.to_str().unwrap().parse().unwrap();
                self.read_until(|read| (read.len() >= length).then_some(length))
            }
            None if has_body => self.read_to("0\r\n\r\n"),
            _ => Vec::new(),
        };
        reply
    }
}

/// The next step of a body.
pub enum Step {
    Data(&'static str),
    Trailers(HeaderMap),
    Fail,
    Panic,
}

/// A body that takes its steps from a channel.
///
/// It emits an event for each step, and another when it is dropped.
pub struct Piped {
    steps: mpsc::UnboundedReceiver<Step>,
    logger: AuditLogger,
}

pub fn piped(logger: &AuditLogger) -> (mpsc::UnboundedSender<Step>, Piped) {
    let (sender, steps) = mpsc::unbounded_channel();
    (sender, Piped { steps, logger: logger.clone() })
}

impl HttpBody for Piped {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let step = std::task::ready!(self.steps.poll_recv(cx));
        self.logger.emit(&AuditEvent::new(EventType::CacheHit, "body", "poll"));
        Poll::Ready(step.map(|step| match step {
            Step::Data(data) => Ok(Frame::data(Bytes::from_static(data.as_bytes()))),
            Step::Trailers(trailers) => Ok(Frame::trailers(trailers)),
            Step::Fail => Err(std::io::Error::other("the disk of ana@example.com is gone")),
            Step::Panic => std::panic::resume_unwind(Box::new("the body's own")),
        }))
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.logger.emit(&AuditEvent::new(EventType::CacheMiss, "body", "drop"));
    }
}

/// A body of one frame and unknown length, which knows its end after that frame.
pub struct LastFrame(pub Option<&'static str>);

impl HttpBody for LastFrame {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.0.take().expect("not asked again after its end");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data.as_bytes())))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// Emits an event when it is dropped.
pub struct AtDrop(pub AuditLogger);

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.emit(&AuditEvent::new(EventType::CacheMiss, "tests", "dropped"));
    }
}

/// A service that panics before it returns a future.
#[derive(Clone)]
pub struct PanicsInCall;

impl Service<Request<Body>> for PanicsInCall {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        std::panic::resume_unwind(Box::new("the call's own"))
    }
}
