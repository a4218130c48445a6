//! A completions endpoint on 127.0.0.1 for the whole program: it answers as a model might, or fails as
//! it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// What the server sends back.
pub(crate) enum Reply {
    /// A right answer.
    Answer,
    /// A status with this body.
    Status(u16, &'static str),
    /// 200 with a body that is no JSON.
    Garbage,
    /// 200 with half of the body that it promises.
    Half,
    /// The connection closes without a byte.
    Nothing,
}

/// A running server; it ends with the test process.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Calls so far that were for completions.
    pub(crate) calls: Arc<AtomicUsize>,
}

impl Server {
    /// Starts a server that answers call number `i` with `reply(i)`, after `delay`.
    pub(crate) fn start(delay: Duration, reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let (count, reply) = (Arc::clone(&calls), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, reply) = (Arc::clone(&count), Arc::clone(&reply));
                std::thread::spawn(move || {
                    // A client that was killed in the middle is no matter here.
                    let _ = serve(stream, delay, &count, reply.as_ref());
                });
            }
        });
        Self { url, calls }
    }
}

fn serve(
    stream: TcpStream,
    delay: Duration,
    calls: &AtomicUsize,
    reply: &(impl Fn(usize) -> Reply + ?Sized),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut head = String::new();
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if head.starts_with("GET") {
            send(&mut stream, 200, &json!({"data": [{"id": "tiny"}]}).to_string(), None)?;
            continue;
        }
        std::thread::sleep(delay);
        match reply(calls.fetch_add(1, Ordering::Relaxed)) {
            Reply::Answer => send(&mut stream, 200, &answer(&serde_json::from_slice(&body).unwrap()), None)?,
            Reply::Status(status, text) => send(&mut stream, status, text, None)?,
            Reply::Garbage => send(&mut stream, 200, "<html>502 Bad Gateway</html>", None)?,
            Reply::Half => {
                let text = answer(&serde_json::from_slice(&body).unwrap());
                send(&mut stream, 200, &text, Some(text.len() / 2))?;
                return Ok(());
            }
            Reply::Nothing => return Ok(()),
        }
    }
}

fn send(stream: &mut TcpStream, status: u16, body: &str, cut: Option<usize>) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nRetry-After: 0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body.as_bytes()[..cut.unwrap_or(body.len())])?;
    stream.flush()
}

/// A text that depends on prompt and seed alone, and is kept for most of them.
fn answer(call: &Value) -> String {
    let prompt = match &call["messages"] {
        Value::Array(messages) => messages[messages.len() - 1]["content"].as_str().unwrap(),
        _ => call["prompt"].as_str().unwrap(),
    };
    let seed = call["seed"].as_u64().unwrap();
    let first = prompt.split('\n').nth(3).unwrap_or_default().split(' ').next().unwrap_or_default();
    let choices: Vec<Value> = (0..call["n"].as_u64().unwrap_or(1))
        .map(|index| {
            let text = match (seed + index) % 5 {
                0 => "I'd rather not.".to_owned(),
                1 => format!(" {{{{context}}}}\nWhich word comes first ({seed})?\n<|pipe|>\n{first}"),
                _ => {
                    format!("{{{{context}}}}\nWhat does it begin with ({seed}, {index})?\n<|pipe|>\n{first}")
                }
            };
            json!({"index": index, "text": text, "finish_reason": "stop"})
        })
        .collect();
    json!({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 7}}).to_string()
}
