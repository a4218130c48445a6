//! A Hub on 127.0.0.1, with its store of large files on a second port, that remembers what it was asked and fails as it
//! is told to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Value, json};

/// The one token that is good here.
pub(crate) const TOKEN: &str = "hf_loopback_secret";

/// Files of more bytes than this go by the store of large files.
const LARGE: usize = 1000;
/// Files of more bytes than this go there in parts of this size.
pub(crate) const PART: usize = 4000;
/// Files on a page of a list.
const PAGE: usize = 3;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

#[derive(Default)]
pub(crate) struct Repo {
    pub(crate) private: bool,
    pub(crate) gated: bool,
    /// Branches and tags; each a commit.
    pub(crate) refs: BTreeMap<String, String>,
    pub(crate) commits: BTreeMap<String, Files>,
    /// What the last commit was called.
    pub(crate) message: String,
}

/// A request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `hub` or `store`.
    pub(crate) at: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) body: usize,
}

/// What goes wrong with the next request whose path holds a text.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// This status, with `Retry-After: 0`.
    Status(u16),
    /// The connection breaks after so many bytes of the body.
    Cut(usize),
    /// The body comes with another first byte.
    Corrupt,
    /// The whole file comes although a range was asked for.
    WholeFile,
    /// Nothing comes after so many bytes of the body.
    Hang(usize),
    /// It is done, and the connection breaks before the answer.
    Unanswered,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) repos: BTreeMap<String, Repo>,
    pub(crate) store: Files,
    parts: BTreeMap<(String, usize), Vec<u8>>,
    pub(crate) seen: Vec<Seen>,
    faults: Vec<(String, Fault)>,
}

pub(crate) struct Hub {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

/// Where both servers are.
#[derive(Clone)]
struct Places {
    hub: String,
    store: String,
}

impl Hub {
    pub(crate) fn start() -> Self {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (hub, store) = (listen(), listen());
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let places = Places { hub: url(&hub), store: url(&store) };
        let state = Arc::new(Mutex::new(State::default()));
        for (at, listener) in [("hub", hub), ("store", store)] {
            let (state, places) = (Arc::clone(&state), places.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (state, places) = (Arc::clone(&state), places.clone());
                    std::thread::spawn(move || {
                        // A client that was killed in the middle is no matter here.
                        let _ = serve(stream, at, &state, &places);
                    });
                }
            });
        }
        Self { url: places.hub, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Adds a repository, such as `models/a/b`, with these files at `main`.
    pub(crate) fn add(&self, repo: &str, files: &[(&str, &[u8])]) {
        let files: Files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
        let mut state = self.state();
        for bytes in files.values().filter(|bytes| bytes.len() > LARGE) {
            state.store.insert(sha256(bytes), bytes.clone());
        }
        let commit = commit_of(&files);
        let repo = state.repos.entry(repo.to_owned()).or_default();
        repo.refs.insert("main".to_owned(), commit.clone());
        repo.commits.insert(commit, files);
    }

    /// What the next request for `path` meets.
    pub(crate) fn fail(&self, path: &str, fault: Fault) {
        self.state().faults.push((path.to_owned(), fault));
    }

    /// Whether all faults have happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().faults.is_empty()
    }

    /// What was asked since this was called last.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// The files of a repository at a branch.
    pub(crate) fn files(&self, repo: &str, branch: &str) -> Files {
        let state = self.state();
        let repo = &state.repos[repo];
        repo.commits[&repo.refs[branch]].clone()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

pub(crate) fn git_id(bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(format!("blob {}\0", bytes.len()).as_bytes());
    context.update(bytes);
    hex(context.finish().as_ref())
}

pub(crate) fn commit_of(files: &Files) -> String {
    let all: Vec<u8> = files.iter().flat_map(|(path, bytes)| [path.as_bytes(), bytes].concat()).collect();
    git_id(&all)
}

struct Asked {
    seen: Seen,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn json(status: u16, value: &Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { status, headers, body: value.to_string().into_bytes() }
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({"error": message}))
            .with("X-Error-Code", code)
            .with("X-Error-Message", message)
    }

    fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// Serves one connection until either side closes it.
fn serve(stream: TcpStream, at: &'static str, state: &Mutex<State>, places: &Places) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        assert!(
            !headers.contains_key("transfer-encoding"),
            "a store of files wants to know the length first"
        );
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body)?;
        let seen = Seen {
            at,
            method,
            path,
            authorization: headers.get("authorization").cloned(),
            range: headers.get("range").cloned(),
            body: body.len(),
        };
        let (fault, answer) = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen.clone());
            let place = state.faults.iter().position(|(path, _)| seen.path.contains(path.as_str()));
            let fault = place.map(|place| state.faults.remove(place).1);
            let asked = Asked { seen, body };
            let answer = match fault {
                Some(Fault::Status(status)) => {
                    Answer::json(status, &json!({"error": "later"})).with("Retry-After", 0)
                }
                _ if at == "hub" => hub(&mut state, &asked, places),
                _ => store(&mut state, &asked, matches!(fault, Some(Fault::WholeFile))),
            };
            (fault, answer)
        };
        write(&stream, answer, fault)?;
        if matches!(fault, Some(Fault::Cut(_) | Fault::Hang(_) | Fault::Unanswered)) {
            return Ok(());
        }
    }
}

fn write(mut stream: &TcpStream, mut answer: Answer, fault: Option<Fault>) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    match fault {
        Some(Fault::Cut(bytes) | Fault::Hang(bytes)) => answer.body.truncate(bytes),
        Some(Fault::Corrupt) => answer.body[0] ^= 1,
        Some(Fault::Unanswered) => return Ok(()),
        _ => {}
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(&answer.body)?;
    stream.flush()?;
    if let Some(Fault::Hang(_)) = fault {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    Ok(())
}

/// The Hub's answer.
fn hub(state: &mut State, asked: &Asked, places: &Places) -> Answer {
    let (path, query) = asked.seen.path.split_once('?').unwrap_or((&asked.seen.path, ""));
    let path = path.replace("%2F", "/").replace("%20", " ");
    let token = asked.seen.authorization.as_deref();
    if token.is_some_and(|token| token != format!("Bearer {TOKEN}")) {
        return Answer::error(401, "", "Invalid credentials in Authorization header");
    }
    let has_token = token.is_some();
    let body = || -> Value { serde_json::from_slice(&asked.body).unwrap() };
    if path == "/api/repos/create" {
        let body = body();
        if !has_token {
            return Answer::error(401, "", "Invalid username or password.");
        }
        assert_eq!(body["type"], "dataset");
        let id =
            format!("datasets/{}/{}", body["organization"].as_str().unwrap(), body["name"].as_str().unwrap());
        let files = Files::from([(".gitattributes".to_owned(), b"*.parquet lfs\n".to_vec())]);
        let commit = commit_of(&files);
        let repo = Repo {
            private: body["private"].as_bool().unwrap_or(false),
            refs: BTreeMap::from([("main".to_owned(), commit.clone())]),
            commits: BTreeMap::from([(commit, files)]),
            ..Repo::default()
        };
        state.repos.insert(id.clone(), repo);
        return Answer::json(200, &json!({"url": format!("{}/{id}", places.hub)}));
    }
    if let Some(sha) = path.strip_prefix("/complete/") {
        let numbers: Vec<usize> =
            state.parts.keys().filter(|(of, _)| of == sha).map(|(_, number)| *number).collect();
        let body = body();
        assert_eq!(body["oid"], sha);
        let sent = body["parts"].as_array().unwrap();
        for (i, part) in sent.iter().enumerate() {
            assert_eq!(part["partNumber"], i + 1);
            assert_eq!(part["etag"], format!("\"etag-{}\"", i + 1));
        }
        assert_eq!(sent.len(), numbers.len());
        let whole: Vec<u8> = numbers
            .into_iter()
            .flat_map(|number| state.parts.remove(&(sha.to_owned(), number)).unwrap())
            .collect();
        assert_eq!(sha256(&whole), sha);
        state.store.insert(sha.to_owned(), whole);
        return Answer::empty(200);
    }
    if path == "/verify" {
        let body = body();
        let found =
            state.store.get(body["oid"].as_str().unwrap()).is_some_and(|bytes| body["size"] == bytes.len());
        return Answer::empty(if found { 200 } else { 404 });
    }
    // `/api/models/a/b/…`, `/a/b/…`, `/datasets/a/b/…`, `/datasets/a/b.git/…`
    let rest = path.strip_prefix("/api/").unwrap_or(&path[1..]);
    let rest = match rest.starts_with("models/") || rest.starts_with("datasets/") {
        true => rest.to_owned(),
        false => format!("models/{rest}"),
    };
    let parts: Vec<&str> = rest.splitn(4, '/').collect();
    let id = format!("{}/{}/{}", parts[0], parts[1], parts[2].trim_end_matches(".git"));
    let rest = parts.get(3).copied().unwrap_or_default().to_owned();
    let Some(repo) = state.repos.get_mut(&id).filter(|repo| has_token || !repo.private) else {
        return match has_token {
            true => Answer::error(404, "RepoNotFound", "Repository not found"),
            false => Answer::error(401, "", "Invalid username or password."),
        };
    };
    let (what, rest) = rest.split_once('/').unwrap_or((&rest, ""));
    if asked.seen.method == "POST" && !has_token {
        return Answer::error(401, "", "Invalid username or password.");
    }
    match what {
        "revision" => match repo.refs.get(rest) {
            _ if repo.commits.contains_key(rest) => {
                Answer::json(200, &json!({"sha": rest, "private": repo.private}))
            }
            Some(commit) => Answer::json(200, &json!({"sha": commit, "private": repo.private})),
            None => Answer::error(404, "RevisionNotFound", &format!("Invalid rev id: {rest}")),
        },
        "tree" => tree(&repo.commits[rest], query, &format!("{}{path}", places.hub)),
        "resolve" => {
            let (commit, path) = rest.split_once('/').unwrap();
            match repo.commits[commit].get(path) {
                _ if repo.gated && !has_token => Answer::error(
                    401,
                    "GatedRepo",
                    "Access to model is restricted. You must be authenticated.",
                ),
                None => Answer::error(404, "EntryNotFound", "Entry not found"),
                Some(bytes) if bytes.len() > LARGE => {
                    Answer::empty(302).with("Location", format!("{}/{}", places.store, sha256(bytes)))
                }
                Some(bytes) => part_of(bytes, asked.seen.range.as_deref()),
            }
        }
        "branch" => {
            let commit = repo.refs["main"].clone();
            repo.refs.insert(rest.to_owned(), commit);
            Answer::empty(200)
        }
        "preupload" => {
            let files = repo.commits[&repo.refs[rest]].clone();
            let entries: Vec<Value> = body()["files"]
                .as_array()
                .unwrap()
                .iter()
                .map(|file| {
                    let path = file["path"].as_str().unwrap();
                    let large = file["size"].as_u64().unwrap() as usize > LARGE;
                    let oid = files.get(path).map(|bytes| if large { sha256(bytes) } else { git_id(bytes) });
                    json!({"path": path, "uploadMode": if large { "lfs" } else { "regular" }, "shouldIgnore": false, "oid": oid})
                })
                .collect();
            Answer::json(200, &json!({"files": entries}))
        }
        "info" => Answer::json(200, &batch(&state.store, &body(), places)),
        "commit" => {
            let lines: Vec<Value> = asked
                .body
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect();
            let head = &lines[0]["value"];
            if head["parentCommit"].as_str().is_some_and(|parent| parent != repo.refs[rest]) {
                return Answer::error(412, "", "The branch has moved");
            }
            let mut files = repo.commits[&repo.refs[rest]].clone();
            for line in &lines[1..] {
                let value = &line["value"];
                let path = value["path"].as_str().unwrap().to_owned();
                match line["key"].as_str().unwrap() {
                    "file" => {
                        assert_eq!(value["encoding"], "base64");
                        files.insert(path, unbase64(value["content"].as_str().unwrap()));
                    }
                    "lfsFile" => {
                        let bytes = state.store[value["oid"].as_str().unwrap()].clone();
                        assert_eq!(value["size"], bytes.len());
                        files.insert(path, bytes);
                    }
                    "deletedFile" => {
                        files.remove(&path).unwrap();
                    }
                    other => panic!("{other}"),
                }
            }
            let commit = commit_of(&files);
            repo.message = head["summary"].as_str().unwrap().to_owned();
            repo.refs.insert(rest.to_owned(), commit.clone());
            repo.commits.insert(commit.clone(), files);
            Answer::json(
                200,
                &json!({"commitOid": commit, "commitUrl": format!("{}/{id}/commit/{commit}", places.hub)}),
            )
        }
        other => panic!("nothing answers {other}: {:?}", asked.seen),
    }
}

fn tree(files: &Files, query: &str, url: &str) -> Answer {
    let from: usize =
        query.split('&').find_map(|one| one.strip_prefix("cursor=")).map_or(0, |n| n.parse().unwrap());
    let entries: Vec<Value> = files
        .iter()
        .skip(from)
        .take(PAGE)
        .map(|(path, bytes)| match bytes.len() > LARGE {
            true => {
                let pointer = git_id(sha256(bytes).as_bytes());
                json!({"type": "file", "path": path, "size": bytes.len(), "oid": pointer, "lfs": {"oid": sha256(bytes), "size": bytes.len(), "pointerSize": 130}})
            }
            false => json!({"type": "file", "path": path, "size": bytes.len(), "oid": git_id(bytes)}),
        })
        .collect();
    let answer = Answer::json(200, &Value::from(entries));
    match from + PAGE < files.len() {
        true => answer.with("Link", format!("<{url}?recursive=true&cursor={}>; rel=\"next\"", from + PAGE)),
        false => answer,
    }
}

/// What git-lfs's batch API says: where to send which files.
fn batch(store: &Files, body: &Value, places: &Places) -> Value {
    assert_eq!((&body["operation"], &body["hash_algo"]), (&json!("upload"), &json!("sha256")));
    let objects = body["objects"].as_array().unwrap().iter().map(|object| {
        let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap() as usize);
        let mut answer = json!({"oid": oid, "size": size});
        if !store.contains_key(oid) {
            let verify = json!({"href": format!("{}/verify", places.hub)});
            answer["actions"] = if size > PART {
                let mut header: serde_json::Map<String, Value> = (1..=size.div_ceil(PART))
                    .map(|number| (format!("{number:05}"), json!(format!("{}/part/{oid}/{number}", places.store))))
                    .collect();
                header.insert("chunk_size".to_owned(), json!(PART.to_string()));
                json!({"upload": {"href": format!("{}/complete/{oid}", places.hub), "header": header}, "verify": verify})
            } else {
                json!({"upload": {"href": format!("{}/whole/{oid}", places.store)}, "verify": verify})
            };
        }
        answer
    });
    json!({"transfer": "basic", "objects": objects.collect::<Vec<_>>()})
}

/// The store's answer.
fn store(state: &mut State, asked: &Asked, whole: bool) -> Answer {
    let path: Vec<&str> = asked.seen.path[1..].split('/').collect();
    match (asked.seen.method.as_str(), path.as_slice()) {
        ("GET", [sha]) => part_of(&state.store[*sha], asked.seen.range.as_deref().filter(|_| !whole)),
        ("PUT", ["whole", sha]) => {
            assert_eq!(sha256(&asked.body), *sha);
            state.store.insert((*sha).to_owned(), asked.body.clone());
            Answer::empty(200)
        }
        ("PUT", ["part", sha, number]) => {
            let number: usize = number.parse().unwrap();
            state.parts.insert(((*sha).to_owned(), number), asked.body.clone());
            Answer::empty(200).with("ETag", format!("\"etag-{number}\""))
        }
        other => panic!("the store can't do {other:?}"),
    }
}

fn part_of(bytes: &[u8], range: Option<&str>) -> Answer {
    match range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()) {
        Some(from) if from < bytes.len() => Answer { body: bytes[from..].to_vec(), ..Answer::empty(206) }
            .with("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
        Some(_) => Answer::empty(416),
        None => Answer { body: bytes.to_vec(), ..Answer::empty(200) },
    }
}

fn unbase64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(text.len() % 4, 0);
    let digits = text.bytes().filter(|byte| *byte != b'=');
    let bits: Vec<u32> =
        digits.map(|byte| DIGITS.iter().position(|digit| *digit == byte).unwrap() as u32).collect();
    bits.chunks(4)
        .flat_map(|four| {
            let word = four.iter().fold(0, |word, bits| word << 6 | bits) << (6 * (4 - four.len()));
            word.to_be_bytes()[1..four.len()].to_vec()
        })
        .collect()
}
