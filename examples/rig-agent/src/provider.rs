//! A stand-in for a provider: OpenAI's chat API on loopback, with answers given in advance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An answer. A client that asks for a stream gets a good one in chunks.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, if no stream was asked for.
    pub body: Value,
    /// How a stream ends.
    pub end: StreamEnd,
}

/// How the stream of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StreamEnd {
    /// With the provider's end marker.
    Whole,
    /// Without it, after the first text or arguments.
    Truncated,
    /// In the middle, because the connection is closed.
    Broken,
    /// Never: the rest does not come.
    Held,
}

impl Answer {
    /// Returns an answer whose stream is whole.
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, body, end: StreamEnd::Whole }
    }

    /// Sets how a stream ends.
    pub fn ends(self, end: StreamEnd) -> Self {
        Self { end, ..self }
    }
}

/// Serves these answers, one a request, the last one forever. Returns the base URL for a client;
/// the service ends with the runtime.
///
/// # Errors
///
/// There is no free port on loopback.
pub async fn serve(answers: Vec<Answer>) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let (answers, next) = (Arc::new(answers), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answers, next) = (Arc::clone(&answers), Arc::clone(&next));
            tokio::spawn(async move {
                // Relaxed: only the count matters.
                let number = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
                answer(stream, &answers[number]).await
            });
        }
    });
    Ok(url)
}

/// Reads one request to its end and answers it; the connection is for this one.
async fn answer(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    if request["stream"] == true && answer.status == 200 {
        return answer_in_chunks(&mut stream, answer).await;
    }
    let body = answer.body.to_string();
    let head = format!(
        "HTTP/1.1 {} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        answer.status,
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

/// Returns the body of a request.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Value> {
    let mut request = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        request.read_line(&mut line).await?;
        let Some((name, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    request.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// Writes server-sent events. The end of the connection ends them, unless more bytes were promised.
async fn answer_in_chunks(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let promised = match answer.end {
        StreamEnd::Broken => "content-length: 100000\r\n",
        _ => "",
    };
    let head = format!(
        "HTTP/1.1 200 -\r\ncontent-type: text/event-stream\r\n{promised}connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let chunks = chunks(&answer.body);
    let sent = if answer.end == StreamEnd::Whole { chunks.len() } else { 2 };
    for chunk in &chunks[..sent] {
        stream.write_all(format!("data: {chunk}\n\n").as_bytes()).await?;
        stream.flush().await?;
    }
    match answer.end {
        StreamEnd::Whole => stream.write_all(b"data: [DONE]\n\n").await,
        StreamEnd::Truncated | StreamEnd::Broken => Ok(()),
        StreamEnd::Held => std::future::pending().await,
    }
}

/// Returns a completion as the chunks of a stream: its role, text or arguments in two pieces, why it ended,
/// and its usage.
fn chunks(completion: &Value) -> Vec<Value> {
    let choice = &completion["choices"][0];
    let chunk = |delta: Value, reason: &Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
        json!({"id": completion["id"], "object": "chat.completion.chunk", "created": 1_763_900_000,
            "model": completion["model"], "choices": choices})
    };
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), &Value::Null)];
    let call = &choice["message"]["tool_calls"][0];
    let is_call = call.is_object();
    let text = if is_call { &call["function"]["arguments"] } else { &choice["message"]["content"] };
    let text = text.as_str().unwrap_or_default();
    let (one, two) = text.split_at(text.len() / 2);
    for (number, piece) in [one, two].into_iter().enumerate() {
        let delta = match (is_call, number) {
            (true, 0) => {
                let function = json!({"name": call["function"]["name"], "arguments": piece});
                json!({"tool_calls": [{"index": 0, "id": call["id"], "type": "function", "function": function}]})
            }
            (true, _) => json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
            (false, _) => json!({"content": piece}),
        };
        chunks.push(chunk(delta, &Value::Null));
    }
    chunks.push(chunk(json!({}), &choice["finish_reason"]));
    let mut last = chunk(Value::Null, &Value::Null);
    last["choices"] = json!([]);
    last["usage"] = completion["usage"].clone();
    chunks.push(last);
    chunks
}

/// An answer that calls the tool for this plan.
pub fn tool_call(plan: &str) -> Answer {
    let arguments = json!({ "plan": plan }).to_string();
    let function = json!({"name": "plan_search", "arguments": arguments});
    let call = json!({"id": "call_1", "type": "function", "function": function});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    Answer::new(200, completion("chatcmpl-1", &message, "tool_calls", [120, 96, 18]))
}

/// An answer that is a text.
pub fn text(text: &str) -> Answer {
    let message = json!({"role": "assistant", "content": text});
    Answer::new(200, completion("chatcmpl-2", &message, "stop", [160, 128, 12]))
}

/// A refusal.
pub fn refusal() -> Answer {
    Answer::new(500, json!({"error": {"type": "server_error", "message": "overloaded"}}))
}

/// An answer that calls the tool with a text that is not its arguments, or a tool that there is not.
pub fn changed_call(member: &str, text: &str) -> Answer {
    let mut answer = tool_call("dental");
    answer.body["choices"][0]["message"]["tool_calls"][0]["function"][member] = text.into();
    answer
}

/// As the API has it: `tokens` are those of the prompt, the cached ones among them, and those of
/// the completion.
fn completion(id: &str, message: &Value, reason: &str, tokens: [u64; 3]) -> Value {
    let [prompt, cached, completion] = tokens;
    json!({
        "id": id,
        "object": "chat.completion",
        "created": 1_763_900_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    })
}
