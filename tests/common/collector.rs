//! A collector on a socket, which takes everything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Starts a collector. Returns its URL, and what it gets: the head of a request, and the bytes after it.
pub fn start() -> (String, Receiver<(String, Vec<u8>)>) {
    start_with(|| "200 OK")
}

/// Starts a collector that answers so.
pub fn start_with(
    status: impl Fn() -> &'static str + Send + 'static,
) -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let answered = sender.send(receive(&stream));
            let status = status();
            let answer =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            (&stream).write_all(answer.as_bytes()).unwrap();
            if answered.is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

fn receive(stream: &TcpStream) -> (String, Vec<u8>) {
    let (mut reader, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    (head, body)
}

/// Whether a request contains a text. It must not be packed.
pub fn has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}
