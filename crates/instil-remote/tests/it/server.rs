//! A small HTTP/1.1 server on 127.0.0.1 that plays the part of vLLM, llama.cpp's server or OpenAI, and
//! fails as it is told to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A call for completions, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Calls before it.
    pub(crate) number: usize,
    /// Calls with the same prompt before it.
    pub(crate) attempt: usize,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

impl Call {
    /// The prompt, or the last message.
    pub(crate) fn prompt(&self) -> &str {
        match &self.body["messages"] {
            Value::Array(messages) => messages[messages.len() - 1]["content"].as_str().unwrap(),
            _ => self.body["prompt"].as_str().unwrap(),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.body["seed"].as_u64().unwrap()
    }

    pub(crate) fn n(&self) -> usize {
        self.body["n"].as_u64().unwrap_or(1) as usize
    }

    /// A right answer with this many choices.
    pub(crate) fn answer(&self, choices: usize) -> Reply {
        let choices: Vec<Value> = (0..choices)
            .map(|index| {
                let text = text(self.prompt(), self.seed(), index);
                match self.path.as_str() {
                    "/v1/completions" => json!({"index": index, "text": text, "finish_reason": "stop"}),
                    _ => json!({"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}),
                }
            })
            .collect();
        let usage = json!({"prompt_tokens": 11, "completion_tokens": 5 * choices.len()});
        Reply::json(200, json!({"object": "answer", "choices": choices, "usage": usage}))
    }
}

/// The text that the server gives as choice `index`.
pub(crate) fn text(prompt: &str, seed: u64, index: usize) -> String {
    format!("{prompt} / {seed} / {index}")
}

/// What the server does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers.
    Full { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Promises a body and closes after half of it.
    Half,
    /// Closes without a word.
    Gone,
    /// Says nothing for a minute.
    Hang,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::Full { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Full { status, headers: Vec::new(), body: body.into() }
    }

    /// An error in OpenAI's shape.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::json(
            status,
            json!({"error": {"message": message, "type": "some_error", "param": null, "code": null}}),
        )
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Self::Full { headers, .. } = &mut self {
            headers.push((name, value.to_string()));
        }
        self
    }
}

type Script = dyn Fn(&Call) -> Reply + Send + Sync;

pub(crate) struct Server {
    pub(crate) base: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    /// Starts a server with one model, `tiny`, that does with each call what `script` says.
    pub(crate) fn start(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let models = json!({"object": "list", "data": [{"id": "tiny"}]});
        Self::with_models(Reply::json(200, models), script)
    }

    /// The same with this answer to `GET /models`.
    pub(crate) fn with_models(
        models: Reply,
        script: impl Fn(&Call) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&calls));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, log, models) = (Arc::clone(&script), Arc::clone(&log), models.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &models, &*script, &log));
            }
        });
        Self { base, calls }
    }

    /// Calls for completions so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// Serves one connection until either side closes it.
fn serve(stream: TcpStream, models: &Reply, script: &Script, log: &Mutex<Vec<Call>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let reply = if path.ends_with("/models") {
            models.clone()
        } else {
            let call = {
                let mut log = log.lock().unwrap();
                let mut call = Call {
                    number: log.len(),
                    attempt: 0,
                    path,
                    authorization: headers.get("authorization").cloned(),
                    body: serde_json::from_slice(&body).unwrap(),
                    at: Instant::now(),
                };
                call.attempt = log.iter().filter(|other| other.prompt() == call.prompt()).count();
                log.push(call.clone());
                call
            };
            script(&call)
        };
        write(&stream, reply)?;
    }
}

fn write(mut stream: &TcpStream, reply: Reply) -> Option<()> {
    match reply {
        Reply::Full { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            head += "\r\n";
            stream.write_all(&[head.as_bytes(), &body].concat()).ok()
        }
        Reply::Half => {
            let half = "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"choices\": [{\"index\": 0, \"te";
            let _ = stream.write_all(half.as_bytes());
            None
        }
        Reply::Gone => None,
        Reply::Hang => {
            std::thread::sleep(Duration::from_secs(60));
            None
        }
    }
}
