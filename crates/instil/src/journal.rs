//! What a model has answered before, on disk before it counts.
//!
//! A call is known by everything that decides its answer: the model's identity, the input, the
//! constraint, the sampling, the seed and the sample. So a killed run continues where it stopped, new
//! documents or task kinds cost only themselves, and a changed check costs nothing. Answers are kept.
//! Failures and refusals are not: a run that is continued asks for them again.

mod score;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

pub use self::score::scores;
use crate::error::{Error, Result};
use crate::lm::{Completion, Event, Input, LanguageModel, Next, Outcome, Request, Session};

/// The layout of the tables; a journal of another one is refused.
const VERSION: i64 = 1;
/// `inst`: what tells a journal from other SQLite files.
const APPLICATION: i64 = 0x696e_7374;

const TABLES: &str = "
    CREATE TABLE call (
        key BLOB PRIMARY KEY,         -- BLAKE3 of all that decides the answer
        model TEXT NOT NULL,          -- the identity, for people who look
        declined INTEGER NOT NULL,
        text TEXT NOT NULL,
        truncated INTEGER NOT NULL,
        prompt_tokens INTEGER,
        completion_tokens INTEGER
    ) WITHOUT ROWID;
";

/// Answers by call, in one SQLite file.
pub struct Journal {
    connection: Connection,
    path: PathBuf,
}

/// A call's name in the journal.
pub type Key = [u8; 32];

/// How long one process waits for another that is writing.
const PATIENCE: Duration = Duration::from_secs(30);

impl Journal {
    /// Opens the journal at `path`, making it if it isn't there.
    ///
    /// # Errors
    /// When the file can't be opened, is no journal, or is one of another version.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |cause: rusqlite::Error| {
            Error::output(format!("failed to open journal `{}`", path.display()))
                .because(cause)
                .with_hint("move the file away to begin a new journal, or name another with --journal")
        };
        let connection = Connection::open(path).map_err(failed)?;
        // With a write-ahead log a finished transaction outlives the process at any moment; `NORMAL`
        // leaves the last few to the operating system in a power cut, and they are then asked again.
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let began = Instant::now();
        // Two processes that turn the log on at the same time would wait for each other: SQLite refuses one of
        // them at once, whatever the timeout.
        while let Err(e) = connection.pragma_update(None, "journal_mode", "WAL") {
            if e.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || began.elapsed() > PATIENCE {
                return Err(failed(e));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        // Two runs may open one new journal at once: the version is read behind the lock.
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let version = number("user_version").map_err(failed)?;
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
            .map_err(failed)?;
        let is_ours = number("application_id").map_err(failed)? == APPLICATION;
        if !is_ours && (version != 0 || tables > 0) || is_ours && version != VERSION {
            let what =
                if is_ours { format!("has version {version}") } else { "is no journal of instil".to_owned() };
            return Err(Error::output(format!("`{}` {what}", path.display()))
                .with_hint("move the file away to begin a new journal, or name another with --journal"));
        }
        if !is_ours {
            let pragmas = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};");
            connection.execute_batch(&format!("{TABLES} {pragmas}")).map_err(failed)?;
        }
        connection.execute_batch(score::TABLE).map_err(failed)?;
        connection.execute_batch("COMMIT").map_err(failed)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Whether nothing has been answered yet.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn is_empty(&self) -> Result<bool> {
        self.connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM call)", [], |row| row.get(0)).map_err(
            |e| Error::output(format!("failed to read journal `{}`", self.path.display())).because(e),
        )
    }

    /// The name of one sample of a request to the model of this identity.
    pub fn key(identity: &str, request: &Request, sample: u32) -> Key {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        part(identity.as_bytes());
        match &request.input {
            Input::Prompt(text) => part(text.as_bytes()),
            Input::Messages(messages) => {
                part(&serde_json::to_vec(messages).expect("messages are strings"));
            }
        }
        part(&request.constraint.key());
        part(&serde_json::to_vec(&request.sampling).expect("sampling is numbers and strings"));
        part(&request.seed.to_le_bytes());
        part(&sample.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// The answer to a call, if it was given before.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn get(&self, key: &Key) -> Result<Option<Outcome>> {
        self.connection
            .prepare_cached(
                "SELECT declined, text, truncated, prompt_tokens, completion_tokens FROM call WHERE key = ?",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(params![key.as_slice()], |row| {
                        if row.get(0)? {
                            return Ok(Outcome::Declined);
                        }
                        Ok(Outcome::Text(Completion {
                            text: row.get(1)?,
                            truncated: row.get(2)?,
                            prompt_tokens: row.get(3)?,
                            completion_tokens: row.get(4)?,
                        }))
                    })
                    .optional()
            })
            .map_err(|e| {
                Error::output(format!("failed to read journal `{}`", self.path.display())).because(e)
            })
    }

    /// Remembers answers, all of them or none; failures and refusals are not remembered.
    ///
    /// # Errors
    /// When the file can't be written, as on a full disk.
    pub fn put(&self, model: &str, answers: &[(Key, &Outcome)]) -> Result<()> {
        let put = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            let nothing = Completion::default();
            for (key, outcome) in answers {
                let (declined, completion) = match outcome {
                    Outcome::Text(completion) => (false, completion),
                    Outcome::Declined => (true, &nothing),
                    Outcome::Refused(_) | Outcome::Failed(_) => continue,
                };
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO call VALUES (?, ?, ?, ?, ?, ?, ?)")?
                    .execute(params![
                        key.as_slice(),
                        model,
                        declined,
                        completion.text,
                        completion.truncated,
                        completion.prompt_tokens,
                        completion.completion_tokens
                    ])?;
            }
            transaction.commit()
        };
        put().map_err(|e| {
            Error::output(format!("failed to write journal `{}`", self.path.display()))
                .because(e)
                .with_hint("make room and run the same command again: it continues where it stopped")
        })
    }
}

/// A session with `model` that asks only what `journal` doesn't know, and tells the journal each
/// answer before it tells the caller.
///
/// # Errors
/// When the model can't be opened.
pub fn session<'a>(
    model: &'a dyn LanguageModel,
    journal: Option<&'a Journal>,
) -> Result<Box<dyn Session + 'a>> {
    let inner = model.open()?;
    Ok(match journal {
        Some(journal) if model.capabilities().journaled => Box::new(Remembering {
            inner,
            journal,
            identity: model.identity().to_string(),
            known: VecDeque::new(),
            asked: HashMap::new(),
        }),
        _ => inner,
    })
}

struct Remembering<'a> {
    inner: Box<dyn Session + 'a>,
    journal: &'a Journal,
    identity: String,
    known: VecDeque<Result<Event>>,
    asked: HashMap<u64, Asked>,
}

/// A request under way. Its samples are remembered together: an endpoint draws those of one call from
/// one seed, so half of them would be completed differently after a kill. Where some failed, the others
/// are kept all the same, since they were paid for.
struct Asked {
    keys: Vec<(u32, Key)>,
    events: Vec<Event>,
}

impl Session for Remembering<'_> {
    fn room(&self) -> usize {
        if self.known.is_empty() { self.inner.room() } else { 0 }
    }

    fn submit(&mut self, requests: Vec<Request>) {
        let mut unknown = Vec::with_capacity(requests.len());
        for mut request in requests {
            let mut keys = Vec::new();
            for &sample in &request.samples {
                let key = Journal::key(&self.identity, &request, sample);
                match self.journal.get(&key) {
                    Ok(Some(outcome)) => {
                        self.known.push_back(Ok(Event { request: request.id, sample, outcome }));
                    }
                    Ok(None) => keys.push((sample, key)),
                    Err(error) => self.known.push_back(Err(error)),
                }
            }
            if !keys.is_empty() {
                request.samples = keys.iter().map(|(sample, _)| *sample).collect();
                self.asked.insert(request.id, Asked { keys, events: Vec::new() });
                unknown.push(request);
            }
        }
        if !unknown.is_empty() {
            self.inner.submit(unknown);
        }
    }

    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(known) = self.known.pop_front() {
                return known.map(Next::Event);
            }
            let event = match self.inner.next()? {
                Next::Event(event) => event,
                other => return Ok(other),
            };
            let id = event.request;
            let asked = self.asked.get_mut(&id).expect("only what was asked comes back");
            asked.events.push(event);
            if asked.events.len() < asked.keys.len() {
                continue;
            }
            let Asked { keys, events } = self.asked.remove(&id).expect("it was there");
            let key =
                |sample| keys.iter().find(|(asked, _)| *asked == sample).expect("only what was asked").1;
            let answers: Vec<(Key, &Outcome)> =
                events.iter().map(|event| (key(event.sample), &event.outcome)).collect();
            self.journal.put(&self.identity, &answers)?;
            self.known.extend(events.into_iter().map(Ok));
        }
    }
}
