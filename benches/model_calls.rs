//! Measures how much later a chunk of a model's stream arrives because `ClientLayer` reads it.
//!
//! Each poll of the body is timed: with the layer and its `model_calls`, and without any layer, in turns
//! and in the same process. The peer's body does nothing but return the chunk, so the difference is all that
//! the layer adds. The streams are those of `testdata/samples`, in chunks of 256 bytes, and begin with the
//! head of the answer. The event at the end of a call is not in the figure: it comes with the last poll,
//! and a median does not show it.
#![allow(missing_docs, clippy::print_stdout)]

mod common;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use common::{against, median, quick, title};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use llm_audit::AuditLogger;
use llm_audit::layer::tower::{ClientLayer, RequestBody};
use llm_audit::testing::capture;
use serde_json::Value;
use tower::{Layer, Service};

const CHUNK_BYTES: usize = 256;

/// A body that returns its chunks, with no work.
struct Chunks(VecDeque<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

struct Stream {
    name: String,
    url: String,
    request: String,
    content_type: String,
    chunks: VecDeque<Bytes>,
}

impl Stream {
    /// Reads a stream of text; those of Bedrock are binary.
    fn read(line: &str) -> Option<Self> {
        let row: Value = serde_json::from_str(line).expect("a sample is JSON");
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        let chunks =
            text("body")?.as_bytes().chunks(CHUNK_BYTES).map(Bytes::copy_from_slice).collect();
        Some(Self {
            name: format!("{}, {}", text("provider")?, row["expect"]["operation"].as_str()?),
            url: text("url")?,
            request: row["request"].to_string(),
            content_type: text("content_type")?,
            chunks,
        })
    }

    fn response(&self) -> Response<Chunks> {
        let response = Response::builder().header("content-type", &self.content_type);
        response.body(Chunks(self.chunks.clone())).expect("a content type is valid")
    }

    /// Returns the body as a client under the layer gets it.
    fn recorded(&self, logger: &AuditLogger) -> impl Body<Data = Bytes> {
        let client = tower::service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
            std::future::ready(Ok::<_, Infallible>(self.response()))
        });
        let layer = ClientLayer::new("bench").logger(logger.clone()).model_calls();
        let request = Request::post(&self.url).body(Full::from(self.request.clone()));
        let call = pin!(layer.layer(client).call(request.expect("a URL is valid")));
        match call.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(response) => response.expect("the client does not fail").into_body(),
            Poll::Pending => unreachable!("the client is ready at once"),
        }
    }
}

/// Returns the median time of a poll, in nanoseconds, and what came.
fn median_poll(body: impl Body<Data = Bytes>) -> (f64, usize) {
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    let (mut times, mut bytes) = (Vec::new(), 0);
    loop {
        let began = Instant::now();
        let polled = body.as_mut().poll_frame(&mut context);
        times.push(began.elapsed().as_nanos() as f64);
        match polled {
            Poll::Ready(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(None) => return (median(times), bytes),
            _ => unreachable!("the body does not wait or fail"),
        }
    }
}

fn main() {
    let seen = capture();
    title("time of a poll that returns 256 bytes of a model's stream");
    println!("{:36} {:>12} {:>12} {:>12}", "", "no layer", "model_calls", "added");
    let calls = if quick() { 1 } else { 200 };
    let sample = testdata::sample("model-streams.jsonl");
    for stream in sample.lines().filter_map(Stream::read) {
        let whole: usize = stream.chunks.iter().map(Bytes::len).sum();
        let polls = |body: &dyn Fn() -> (f64, usize)| {
            let medians = (0..calls).map(|_| {
                let (median, bytes) = body();
                assert_eq!(bytes, whole, "every byte passes");
                median
            });
            median(medians.collect())
        };
        let (ours, peer) = against(
            || polls(&|| median_poll(stream.recorded(seen.logger()))),
            || polls(&|| median_poll(stream.response().into_body())),
        );
        println!("{:36} {peer:9.0} ns {ours:9.0} ns {:9.2} µs", stream.name, (ours - peer) / 1e3);
    }
    let line: Value = serde_json::from_str(&seen.lines()[0]).expect("an event is JSON");
    assert_eq!(line["event_type"], "llm.invoke");
}
