//! A stand-in for a provider: OpenAI's chat API on loopback, with answers given in advance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// An answer: a status code and a body.
pub type Answer = (u16, Value);

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
async fn answer(mut stream: TcpStream, (status, body): &Answer) -> std::io::Result<()> {
    let mut request = BufReader::new(&mut stream);
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
    request.read_exact(&mut vec![0; length]).await?;
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

/// An answer that calls the tool for this plan.
pub fn tool_call(plan: &str) -> Answer {
    let arguments = json!({ "plan": plan }).to_string();
    let function = json!({"name": "plan_search", "arguments": arguments});
    let call = json!({"id": "call_1", "type": "function", "function": function});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    (200, completion("chatcmpl-1", &message, "tool_calls", [120, 96, 18]))
}

/// An answer that is a text.
pub fn text(text: &str) -> Answer {
    let message = json!({"role": "assistant", "content": text});
    (200, completion("chatcmpl-2", &message, "stop", [160, 128, 12]))
}

/// A refusal.
pub fn refusal() -> Answer {
    (500, json!({"error": {"type": "server_error", "message": "overloaded"}}))
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
