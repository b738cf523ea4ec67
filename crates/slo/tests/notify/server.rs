//! A server of HTTP that answers as a test tells it, and keeps what it was asked.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What one request is answered. 200 after the last one.
pub enum Answer {
    Status(u16),
    /// 429, with this `Retry-After`.
    Later(u32),
    /// The connection ends without an answer.
    Nothing,
}

pub struct Request {
    /// Method and path.
    pub line: String,
    /// Names in lower case, `: ` and the value.
    pub headers: Vec<String>,
    pub body: String,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|header| header.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub struct Server {
    pub address: String,
    requests: Receiver<Request>,
}

impl Server {
    pub fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let (sender, requests) = channel();
        thread::spawn(move || serve(&listener, answers.into(), &sender));
        Self { address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for the next request.
    pub fn next(&self) -> Request {
        self.requests.recv_timeout(Duration::from_secs(60)).expect("a request")
    }

    /// Returns the requests that came and were not looked at.
    pub fn rest(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn serve(listener: &TcpListener, mut answers: VecDeque<Answer>, requests: &Sender<Request>) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let request = read(&mut BufReader::new(&stream));
        // Before the answer, so that the requests are here once the client has it.
        if requests.send(request).is_err() {
            return;
        }
        answer(&mut stream, answers.pop_front().unwrap_or(Answer::Status(200)));
    }
}

fn read(stream: &mut BufReader<&TcpStream>) -> Request {
    let mut lines = stream.lines().map(|line| line.expect("a line"));
    let first = lines.next().expect("the first line");
    let headers: Vec<_> = lines.take_while(|line| !line.is_empty()).map(lower_name).collect();
    let mut request =
        Request { line: first.replace(" HTTP/1.1", ""), headers, body: String::new() };
    let length =
        request.header("content-length").map_or(0, |length| length.parse().expect("a number"));
    stream.take(length).read_to_string(&mut request.body).expect("the body");
    request
}

fn lower_name(header: String) -> String {
    let (name, value) = header.split_once(": ").expect("a header");
    format!("{}: {value}", name.to_lowercase())
}

fn answer(stream: &mut TcpStream, answer: Answer) {
    let (status, more) = match answer {
        Answer::Status(status) => (status, String::new()),
        Answer::Later(seconds) => (429, format!("retry-after: {seconds}\r\n")),
        Answer::Nothing => return,
    };
    let head =
        format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n{more}\r\n");
    // A client that gave up meanwhile is part of some tests.
    let _ = stream.write_all(head.as_bytes());
}
