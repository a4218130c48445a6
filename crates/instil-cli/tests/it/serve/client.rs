//! A server in a process of its own, and requests written by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, repository};

/// What a conversation looks like to the model.
const TEMPLATE: &str = "{% for message in messages %}{% if message.content == 'refuse' %}\
    {{ raise_exception('not this') }}{% endif %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
    {% if add_generation_prompt %}assistant:{% endif %}";

/// Puts a random model with a window of 4096 and a chat template into the place, as `model`.
pub(super) fn model(place: &Place) -> PathBuf {
    let golden = repository().join("crates/instil-model/tests/goldens/decoder/llama");
    let folder = place.path("model");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(golden.join(file), folder.join(file)).unwrap();
    }
    let config = folder.join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    json["max_position_embeddings"] = 4096.into();
    std::fs::write(config, json.to_string()).unwrap();
    std::fs::write(folder.join("chat_template.jinja"), TEMPLATE).unwrap();
    folder
}

/// `instil serve`, running.
pub(super) struct Served {
    place: Place,
    child: Child,
    pub(super) address: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Served {
    pub(super) fn start(args: &[&str]) -> Self {
        Self::start_with(|command| {
            command.args(args);
        })
    }

    pub(super) fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let place = Place::new();
        model(&place);
        let mut command = place.command(&["serve", "--model", "model", "--port", "0", "--json"]);
        change(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let address = told["base_url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let address = address.strip_suffix("/v1").unwrap().parse().unwrap();
        Self { place, child, address }
    }

    pub(super) fn model(&self) -> PathBuf {
        self.place.path("model")
    }

    /// Sends these bytes and reads until the other side closes.
    pub(super) fn raw(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // It may answer, and close, before everything is sent.
        let _ = stream.write_all(request.as_bytes());
        read(stream)
    }

    pub(super) fn get(&self, path: &str) -> Reply {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    /// Sends a request, and doesn't wait.
    pub(super) fn begin(&self, path: &str, body: &Value) -> TcpStream {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Reply {
        read(self.begin(path, body))
    }

    /// What is answered to a request that has to succeed.
    #[track_caller]
    pub(super) fn ask(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    /// Waits for a line of the metrics.
    #[track_caller]
    pub(super) fn wait_for(&self, line: &str) {
        let begun = Instant::now();
        loop {
            let metrics = self.get("/metrics").body;
            if metrics.lines().any(|found| found == line) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{line} never came:\n{metrics}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the number of samples under way is such, for less time than [`endless`](super::endless) ones take.
    #[track_caller]
    pub(super) fn wait_until_running(&self, is_such: impl Fn(u64) -> bool) {
        let begun = Instant::now();
        loop {
            let metrics = self.get("/metrics").body;
            let count =
                metrics.lines().find_map(|line| line.strip_prefix("instil_running_sequences ")).unwrap();
            if is_such(count.parse().unwrap()) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "still {count} are running");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends SIGTERM.
    pub(super) fn signal(&self) {
        assert!(
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Waits for the process to end; gives its exit code and its last line.
    pub(super) fn end(&mut self) -> (Option<i32>, String) {
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        (self.child.wait().unwrap().code(), told.lines().last().unwrap_or_default().to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended already is a success.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an answer to its end.
pub(super) fn read(mut stream: TcpStream) -> Reply {
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let head = head.to_owned();
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
    Reply { status, head, body }
}

/// A body without the lengths of its chunks.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole += &rest[..length];
        body = &rest[length + 2..];
    }
    whole
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

/// The objects of a stream.
pub(super) fn events(body: &str) -> Vec<Value> {
    let data = body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap());
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}
