//! Large files into the Hub's store, by git-lfs's batch API: whole, or in parts where the Hub says so.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::http::{Call, Client, Failure, Sent, Trouble};
use super::local::LocalFile;
use super::pull::at_once;
use super::push::changing;
use super::watch::Counters;
use crate::endpoint::http::header;

/// What git-lfs calls its JSON.
const LFS_JSON: &str = "application/vnd.git-lfs+json";

/// A file for the store.
pub(super) struct Large<'a> {
    pub(super) file: &'a LocalFile,
    /// In hexadecimal digits.
    pub(super) sha256: String,
}

/// Uploads those that the store hasn't.
pub(super) fn upload(client: &Client<'_>, files: &[Large<'_>], counters: &Counters) -> Result<(), Failure> {
    let objects: Vec<Value> =
        files.iter().map(|large| json!({"oid": large.sha256, "size": large.file.bytes})).collect();
    let asked = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "hash_algo": "sha256",
        "ref": {"name": client.repo.revision()},
        "objects": objects,
    });
    let url = format!("{}.git/info/lfs/objects/batch", client.page());
    let call = Call::post(url, &asked).with("content-type", LFS_JSON).with("accept", LFS_JSON);
    let mut answer = client.json("ask where large files are to be sent", &call)?;
    let said: Vec<Value> = match answer["objects"].take() {
        Value::Array(objects) => objects,
        _ => return Err(odd(client, "its answer to git-lfs's batch has no objects")),
    };
    // Two files with the same bytes are one object.
    let mut work: Vec<(&Large<'_>, Value)> = Vec::new();
    for large in files {
        let object = said.iter().find(|object| object["oid"] == *large.sha256);
        let Some(object) = object else {
            return Err(odd(client, &format!("it says nothing about `{}`", large.file.path)));
        };
        if let Some(message) = object["error"]["message"].as_str() {
            let error = client
                .error(format!("the Hub doesn't take `{}`: {message}", large.file.path))
                .with_hint("is the account's storage full, or the file too large?");
            return Err(error.into());
        }
        let is_under_way = work.iter().any(|(other, _)| other.sha256 == large.sha256);
        match object.get("actions").filter(|actions| actions["upload"]["href"].is_string()) {
            Some(actions) if !is_under_way => work.push((large, actions.clone())),
            _ => {
                counters.add_bytes(large.file.bytes);
                counters.file_done();
            }
        }
    }
    at_once(client, &work, |(large, actions)| {
        one(client, large, actions, counters)?;
        counters.file_done();
        Ok(())
    })
}

/// Uploads one file as the Hub says, and asks it to look at what it got.
fn one(client: &Client<'_>, large: &Large<'_>, actions: &Value, counters: &Counters) -> Result<(), Failure> {
    let upload = &actions["upload"];
    let href = upload["href"].as_str().unwrap_or_default().to_owned();
    let no_headers = Map::new();
    let headers = upload["header"].as_object().unwrap_or(&no_headers);
    let doing = format!("send `{}`", large.file.path);
    match headers.get("chunk_size") {
        None => {
            let mut call = Call { method: "PUT", url: href, headers: Vec::new(), body: Sent::Nothing };
            for (name, value) in headers {
                if let Some(value) = value.as_str() {
                    call = call.with(name, value);
                }
            }
            send(client, &doing, large.file, 0, large.file.bytes, call, counters)?;
        }
        Some(size) => {
            let size = size.as_u64().or_else(|| size.as_str()?.parse().ok()).filter(|size| *size > 0);
            let size = size.ok_or_else(|| odd(client, "its parts of a large file have no size"))?;
            let mut parts: Vec<(u64, &str)> = headers
                .iter()
                .filter_map(|(number, url)| Some((number.parse().ok()?, url.as_str()?)))
                .collect();
            parts.sort_unstable();
            if parts.len() as u64 != large.file.bytes.div_ceil(size) {
                return Err(odd(client, "its parts of a large file don't make the whole"));
            }
            let mut done = Vec::new();
            for (place, (_, url)) in (0..).zip(parts) {
                let from = place * size;
                let bytes = size.min(large.file.bytes - from);
                let call =
                    Call { method: "PUT", url: url.to_owned(), headers: Vec::new(), body: Sent::Nothing };
                let etag = send(client, &doing, large.file, from, bytes, call, counters)?;
                let etag =
                    etag.ok_or_else(|| odd(client, "its store gives a part of a large file no name"))?;
                done.push(json!({"partNumber": place + 1, "etag": etag}));
            }
            let whole = json!({"oid": large.sha256, "parts": done});
            let call = Call::post(href, &whole).with("content-type", LFS_JSON).with("accept", LFS_JSON);
            client.patiently(&doing, || client.open(&call).map(|_| ()))?;
        }
    }
    if let Some(href) = actions["verify"]["href"].as_str() {
        let mut call = Call::post(href.to_owned(), &json!({"oid": large.sha256, "size": large.file.bytes}));
        for (name, value) in actions["verify"]["header"].as_object().unwrap_or(&no_headers) {
            if let Some(value) = value.as_str() {
                call = call.with(name, value);
            }
        }
        let doing = format!("have `{}` verified", large.file.path);
        client.patiently(&doing, || client.open(&call).map(|_| ()))?;
    }
    Ok(())
}

/// Sends a stretch of a file; the name that the store gives to it.
fn send(
    client: &Client<'_>,
    doing: &str,
    file: &LocalFile,
    from: u64,
    bytes: u64,
    call: Call<'_>,
    counters: &Counters,
) -> Result<Option<String>, Failure> {
    let sent = AtomicU64::new(0);
    let open = || -> io::Result<Box<dyn Read + '_>> {
        let mut file = File::open(&file.file)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Box::new(Outgoing { inner: file.take(bytes), client, sent: &sent, counters }))
    };
    let call =
        Call { method: call.method, url: call.url, headers: call.headers, body: Sent::Stream(bytes, &open) };
    client.patiently(doing, || {
        counters.take_back(sent.swap(0, Ordering::Relaxed));
        let response = client.open(&call)?;
        if sent.load(Ordering::Relaxed) != bytes {
            return Err(Trouble::Lasting(changing(client, &file.file)));
        }
        Ok(header(response.headers(), "etag").filter(|etag| !etag.is_empty()).map(str::to_owned))
    })
}

/// A stretch of a file on its way out.
struct Outgoing<'a> {
    inner: io::Take<File>,
    client: &'a Client<'a>,
    sent: &'a AtomicU64,
    counters: &'a Counters,
}

impl Read for Outgoing<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if self.client.stop.is_raised() {
            return Err(io::Error::other("interrupted"));
        }
        let read = self.inner.read(piece)?;
        self.sent.fetch_add(read as u64, Ordering::Relaxed);
        self.counters.add_bytes(read as u64);
        Ok(read)
    }
}

fn odd(client: &Client<'_>, what: &str) -> Failure {
    client
        .error(format!("the Hub at `{}` answers oddly: {what}", client.base))
        .with_hint("is HF_ENDPOINT the address of the Hub, or of one of its mirrors?")
        .into()
}
