//! The commit that names what was sent: a line of JSON for each file, the small ones with their bytes, read from disk as
//! they go out.

use std::fs::File;
use std::io::{self, Cursor, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::{Call, Client, Failure, Sent};
use super::lfs::Large;
use super::local::LocalFile;
use super::repo::{is_commit, quoted};

/// Bytes of a file that are read at once; a multiple of 3, so that pieces of base64 make a whole.
const PIECE: usize = 3 << 14;

/// One change of a commit.
pub(super) enum Operation<'a> {
    /// A file that stands in the commit itself.
    Small(&'a LocalFile),
    /// A file that is in the store of large ones.
    Large(&'a Large<'a>),
    /// A path that is gone.
    Remove(&'a str),
}

/// Commits to the branch, whose head has to be `parent` still; gives the new commit.
pub(super) fn commit(
    client: &Client<'_>,
    parent: &str,
    message: &str,
    operations: &[Operation<'_>],
) -> Result<String, Failure> {
    let header = json!({"summary": message, "description": "", "parentCommit": parent});
    let mut parts = vec![Part::line("header", &header)];
    for operation in operations {
        match operation {
            Operation::Small(file) => {
                // The content comes last, so that the line can be cut in two around it.
                let value = json!({"path": file.path, "encoding": "base64"}).to_string();
                let head = value.trim_end_matches('}');
                parts.push(Part::Text(format!("{{\"key\":\"file\",\"value\":{head},\"content\":\"")));
                parts.push(Part::Base64(file));
                parts.push(Part::Text("\"}}\n".to_owned()));
            }
            Operation::Large(Large { file, sha256 }) => {
                let value = json!({"path": file.path, "algo": "sha256", "oid": sha256, "size": file.bytes});
                parts.push(Part::line("lfsFile", &value));
            }
            Operation::Remove(path) => parts.push(Part::line("deletedFile", &json!({"path": path}))),
        }
    }
    let bytes = parts.iter().map(Part::len).sum();
    let open = || -> io::Result<Box<dyn Read + '_>> { Ok(Box::new(Body::of(&parts))) };
    let call = Call {
        method: "POST",
        url: client.api(&format!("/commit/{}", quoted(client.repo.revision(), false))),
        headers: vec![("content-type".to_owned(), "application/x-ndjson".to_owned())],
        body: Sent::Stream(bytes, &open),
    };
    let answer = client.json("commit", &call)?;
    match answer["commitOid"].as_str().filter(|id| is_commit(id)) {
        Some(id) => Ok(id.to_owned()),
        None => Err(client
            .error(format!("the Hub at `{}` doesn't say which commit it made", client.base))
            .with_hint("the same command finds out what is there")
            .into()),
    }
}

/// A stretch of the commit's body.
enum Part<'a> {
    Text(String),
    /// The bytes of a file, in base64.
    Base64(&'a LocalFile),
}

impl Part<'_> {
    fn line(key: &str, value: &Value) -> Self {
        Self::Text(format!("{}\n", json!({"key": key, "value": value})))
    }

    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Base64(file) => file.bytes.div_ceil(3) * 4,
        }
    }
}

/// The body, part after part.
struct Body<'a> {
    parts: &'a [Part<'a>],
    /// What is to be read next.
    ready: Cursor<Vec<u8>>,
    /// The file whose bytes come then.
    file: Option<(io::Take<File>, &'a LocalFile)>,
}

impl<'a> Body<'a> {
    fn of(parts: &'a [Part<'a>]) -> Self {
        Self { parts, ready: Cursor::new(Vec::new()), file: None }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.ready.read(piece)?;
            if read > 0 {
                return Ok(read);
            }
            if let Some((file, local)) = &mut self.file {
                let mut raw = Vec::with_capacity(PIECE);
                file.by_ref().take(PIECE as u64).read_to_end(&mut raw)?;
                if !raw.is_empty() {
                    self.ready = Cursor::new(STANDARD.encode(raw).into_bytes());
                    continue;
                }
                if file.limit() > 0 {
                    return Err(io::Error::other(format!("`{}` became shorter", local.file.display())));
                }
                self.file = None;
            }
            let Some((next, rest)) = self.parts.split_first() else { return Ok(0) };
            self.parts = rest;
            match next {
                Part::Text(text) => self.ready = Cursor::new(text.clone().into_bytes()),
                Part::Base64(local) => self.file = Some((File::open(&local.file)?.take(local.bytes), local)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_as_long_as_it_says_and_holds_files_in_base64() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let file = folder.path().join("f");
            let raw: Vec<u8> = (0..bytes).map(|i| i as u8).collect();
            std::fs::write(&file, &raw).unwrap();
            let local = LocalFile { file, path: "f".into(), bytes: bytes as u64 };
            let parts = [Part::Text("<".into()), Part::Base64(&local), Part::Text(">\n".into())];
            let mut body = Vec::new();
            Body::of(&parts).read_to_end(&mut body).unwrap();
            assert_eq!(body.len() as u64, parts.iter().map(Part::len).sum::<u64>(), "{bytes}");
            assert_eq!(body, format!("<{}>\n", STANDARD.encode(raw)).into_bytes(), "{bytes}");
        }
    }

    #[test]
    fn a_file_that_shrinks_is_not_sent_as_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        std::fs::write(&file, "abc").unwrap();
        let local = LocalFile { file, path: "f".into(), bytes: 4 };
        let parts = [Part::Base64(&local)];
        let mut body = Vec::new();
        assert!(Body::of(&parts).read_to_end(&mut body).is_err());
    }
}
