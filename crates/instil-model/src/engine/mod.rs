//! A model that completes prompts and scores texts on this machine.
//!
//! [`Engine`] holds the weights, the cache and the threads; a session of it is a thread that makes one
//! forward pass after the other (`schedule`).

mod blocks;
mod constraint;
mod lookup;
mod net;
mod sample;
mod schedule;
mod score;
mod score_t5;
mod served;
mod session;
mod sources;
mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use instil::chat_template::{ChatTemplate, Conversation, Moment, SpecialTokens, TODAY};
pub use instil::lm::tokens::{Finish, TokenEvent as Event, TokenRequest};
use instil::lm::{Capabilities, Constraint, LanguageModel, Message, Prefill, Sampling, Scoring, Session};
pub use instil::lm::{Score, Scored};
use instil::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Map, Value};

use self::blocks::Blocks;
use self::constraint::{Constraints, Form, Vocabulary};
use self::net::Net;
pub use self::score::Tokens;
pub use self::session::{Stream, Streamed};
use crate::adapter::Adapter;
use crate::decoder::{BLOCK, Cache, Cost, Decoder};
use crate::kernel::limits::Limits;
use crate::t5::T5;
use crate::tokenizer::Tokenizer;
use crate::weights::{Checkpoint, Model, Options, human};

/// What decides the bits of a logit besides weights and tokens. A change of it makes journals ask again.
const NUMERICS: &str = "instil-model 3";

/// Tokens of cache that each sequence under way has on average, where memory allows.
const TOKENS_PER_SEQUENCE: usize = 1024;

/// The most rows of a forward pass in which tokens are guessed. Few rows wait for weights, so that one more costs little;
/// of many each costs its time, and a wrong guess is lost.
const GUESSED_ROWS: usize = 16;

/// How an engine runs. None of it changes what comes out, but for [`Options::quantize`] and the
/// adapter.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the weights are held.
    pub weights: Options,
    /// An adapter's folder, in the layout of Python's `peft`; what it adds is added unmerged.
    pub adapter: Option<PathBuf>,
    /// Threads; 0 means one a processor.
    pub threads: usize,
    /// The most sequences under way at once.
    pub sequences: usize,
    /// The most rows of one forward pass, unless more sequences than that are running: prompts are cut to it.
    pub rows: usize,
    /// Whether what prompts have in common at their heads is computed once.
    pub share_prefixes: bool,
    /// Whether tokens are guessed from what was read and written before, where a forward pass has room for more rows.
    pub speculate: bool,
    /// The most bytes of the key-value cache; none means what is useful and fits into half of the free memory.
    pub cache_bytes: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            weights: Options { available: crate::weights::available_memory(), ..Options::default() },
            adapter: None,
            threads: 0,
            sequences: 64,
            rows: 256,
            share_prefixes: true,
            speculate: true,
            cache_bytes: None,
        }
    }
}

/// A model on this machine.
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    net: Net,
    tokenizer: Tokenizer,
    identity: Arc<str>,
    notes: Vec<String>,
    template: Option<ChatTemplate>,
    pool: ThreadPool,
    limits: schedule::Limits,
    memory: Mutex<Memory>,
    /// Made when the first completion is held to something.
    constraints: OnceLock<Result<Arc<Constraints>, String>>,
    guessed: AtomicU64,
    guessed_right: AtomicU64,
}

/// The cache and who uses what of it. One session or scoring at a time has it.
struct Memory {
    cache: Cache,
    blocks: Blocks,
    /// What was computed of the texts that were scored.
    prefill: Prefill,
}

impl Engine {
    /// Loads a model: a Hugging Face folder or a GGUF file.
    ///
    /// # Errors
    /// When a file is missing or broken, the model is of a family that isn't known, or memory is too
    /// small (the message says how much is needed; nothing was allocated then).
    pub fn load(path: &Path, settings: &Settings) -> Result<Self> {
        let checkpoint = Checkpoint::open_with(path, &settings.weights)?;
        let tokenizer = checkpoint.tokenizer()?;
        let template = chat_template(path, &checkpoint, &tokenizer)?;
        let adapter = settings.adapter.as_deref().map(Adapter::read).transpose()?;
        let needed = checkpoint.bytes_needed() + adapter.as_ref().map_or(0, Adapter::bytes);
        let blocks = cache_blocks(checkpoint.model(), needed, settings)?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|e| Error::model("failed to start the engine's threads").because(e))?;
        let fingerprint = pool.install(|| checkpoint.fingerprint())?;
        let adapted = adapter.as_ref().map(Adapter::fingerprint).transpose()?;
        let net = pool.install(|| match checkpoint.model() {
            Model::Decoder(_) => Decoder::load_with(&checkpoint, adapter).map(Net::Decoder),
            Model::T5(_) => T5::load(&checkpoint, adapter).map(Net::T5),
        })?;
        if tokenizer.vocab_size() > net.vocab() {
            return Err(Error::input(format!(
                "`{}`: the tokenizer has {} tokens, the model's embedding [{}, {}]",
                path.display(),
                tokenizer.vocab_size(),
                net.vocab(),
                checkpoint.model().hidden()
            ))
            .with_hint("tokenizer and weights are of different models"));
        }
        let limits = schedule::Limits {
            sequences: settings.sequences.max(1),
            rows: settings.rows.max(1),
            window: window(checkpoint.model(), blocks),
            guessed: if settings.speculate { GUESSED_ROWS } else { 0 },
        };
        let memory = Memory {
            cache: net.cache(blocks),
            blocks: Blocks::new(blocks, settings.share_prefixes),
            prefill: Prefill::default(),
        };
        let mut identity = format!("{NUMERICS}; weights {fingerprint}; tokenizer {}", tokenizer.hash());
        if let Some(adapted) = adapted {
            identity.push_str("; adapter ");
            identity.push_str(&adapted);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                identity: identity.into(),
                notes: checkpoint.notes().to_vec(),
                net,
                tokenizer,
                template,
                pool,
                limits,
                memory: Mutex::new(memory),
                constraints: OnceLock::new(),
                guessed: AtomicU64::new(0),
                guessed_right: AtomicU64::new(0),
            }),
        })
    }

    /// Rows of the embedding: one more than the largest token.
    pub fn vocab(&self) -> usize {
        self.inner.net.vocab()
    }

    /// Whether prompts are read by an encoder.
    pub fn has_encoder(&self) -> bool {
        matches!(self.inner.net, Net::T5(_))
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.inner.tokenizer
    }

    /// How many tokens were guessed so far in all sessions ([`Settings::speculate`]), and how many of them came.
    pub fn guesses(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.inner.guessed), count(&self.inner.guessed_right))
    }

    /// What a forward pass takes at least.
    pub fn cost(&self) -> Cost {
        self.inner.net.cost()
    }

    /// The most rows of a forward pass, unless more sequences than that are running.
    pub fn rows(&self) -> usize {
        self.inner.limits.rows
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.inner.pool.current_num_threads()
    }

    /// What this machine can do at the most, measured on the engine's threads.
    pub fn limits(&self) -> Limits {
        self.inner.pool.install(Limits::measure)
    }

    /// The most tokens of prompt and completion together: the model's window, or what the cache holds.
    pub fn window(&self) -> usize {
        self.inner.limits.window
    }

    /// Begins a session that gives text as it comes.
    pub fn stream(&self) -> Stream {
        Stream::start(Arc::clone(&self.inner))
    }

    /// The log-likelihood of completions given prompts.
    ///
    /// Prompt and completion are encoded together, the tokenizer's own BOS first, unless [`Scored::apart`] says
    /// otherwise; the completion's tokens are those after the prompt's. A first token that nothing precedes is not
    /// scored. Texts longer than the window are scored in overlapping parts, each token with at least half a window
    /// before it. With an encoder prompts go to it, whole, and completions are always encoded on their own.
    ///
    /// # Errors
    /// When a text can't be encoded, an end of text is wanted that the tokenizer doesn't have, or an encoder's prompt and
    /// what follows are longer than the window.
    pub fn score(&self, texts: &[Scored]) -> Result<Vec<Score>> {
        let tokens = texts.iter().map(|text| self.inner.tokens(text)).collect::<Result<Vec<_>>>()?;
        let sums = self.sums(&tokens)?;
        let score = |(tokens, sum): (&Tokens, score::Sum)| Score {
            nll: sum.nll,
            tokens: tokens.tokens.len() - tokens.from,
            greedy: Some(sum.is_greedy),
            whole: tokens.tokens.len() <= self.window(),
        };
        Ok(tokens.iter().zip(sums).map(score).collect())
    }

    /// The sums of the negative log-likelihoods of tokens, in nats.
    ///
    /// # Errors
    /// When a token isn't in the vocabulary, or a text's first token is to be scored.
    pub fn score_tokens(&self, texts: &[Tokens]) -> Result<Vec<f64>> {
        Ok(self.sums(texts)?.into_iter().map(|sum| sum.nll).collect())
    }

    fn sums(&self, texts: &[Tokens]) -> Result<Vec<score::Sum>> {
        let inner = &*self.inner;
        let vocab = inner.net.vocab();
        for (number, text) in texts.iter().enumerate() {
            if let Some(token) = text.tokens.iter().find(|token| **token as usize >= vocab) {
                return Err(Error::input(format!(
                    "text {number}: token {token} isn't in a vocabulary of {vocab}"
                )));
            }
            if text.from == 0 && !text.tokens.is_empty() {
                return Err(Error::input(format!("text {number}: nothing precedes its first token")));
            }
            if let Some(why) = inner.beyond_window(text) {
                return Err(Error::input(format!("text {number}: {why}")));
            }
        }
        let mut memory = inner.memory();
        let Memory { cache, blocks, prefill } = &mut *memory;
        inner
            .pool
            .install(|| match &inner.net {
                Net::Decoder(decoder) => score::score(decoder, inner.limits, cache, blocks, prefill, texts),
                Net::T5(t5) => score_t5::score(t5, inner.limits, cache, blocks, prefill, texts),
            })
            .map_err(failed)
    }
}

impl Inner {
    /// A run that panicked leaves the cache's content unknown, but not its shape; what is used again is
    /// only what was filled.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a completion of a prompt of so many tokens is held to; or why it can't be.
    fn form(
        &self,
        constraint: &Constraint,
        sampling: &Sampling,
        prompt: usize,
        continues: bool,
    ) -> Result<Option<Form>, String> {
        if matches!(constraint, Constraint::Free | Constraint::JsonSchema(_)) {
            return Ok(None);
        }
        let vocab = self.net.vocab();
        let make = || Vocabulary::of(&self.tokenizer, vocab).map(|made| Arc::new(Constraints::new(made)));
        let shared = self.constraints.get_or_init(make).as_ref().map_err(String::clone)?;
        let left = (sampling.max_tokens as usize).min(self.limits.window - prompt);
        // The window is far below 2^32.
        Form::of(shared, constraint, continues, left as u32)
    }

    /// The tokens of a conversation that is to be answered.
    fn answer(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let messages: Vec<_> = messages
            .iter()
            .map(|message| serde_json::json!({"role": message.role, "content": message.content}))
            .collect();
        self.chat(&messages, &Map::new())
    }

    /// The tokens that the model's template makes of messages, with further names for it.
    fn chat(&self, messages: &[Value], more: &Map<String, Value>) -> Result<Vec<u32>> {
        let template =
            self.template.as_ref().ok_or_else(|| Error::model("the model has no chat template"))?;
        let conversation = Conversation {
            add_generation_prompt: true,
            now: Moment::new(TODAY, 0),
            extra: more.clone(),
            ..Conversation::of(messages)
        };
        // The template writes what begins a text itself; an encoder's texts have an end.
        self.tokenizer.encode(&template.render(&conversation)?, matches!(self.net, Net::T5(_)))
    }

    /// The tokens of a prompt: a text that is to be continued, or one that an encoder reads, with its end.
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self.net {
            Net::Decoder(_) => self.tokenizer.encode_prompt(text),
            Net::T5(_) => self.tokenizer.encode_source(text),
        }
    }

    /// Why a text can't be scored whole, where it can't be scored in parts.
    fn beyond_window(&self, text: &Tokens) -> Option<String> {
        let (len, window) = (text.tokens.len(), self.limits.window);
        (matches!(self.net, Net::T5(_)) && len > window)
            .then(|| format!("prompt and completion have {len} tokens, and the model's window is {window}"))
    }

    fn tokens(&self, text: &Scored) -> Result<Tokens> {
        let prompt = self.encode(&text.prompt)?;
        let from = prompt.len();
        let mut tokens = match text.apart || matches!(self.net, Net::T5(_)) {
            true => [prompt, self.tokenizer.encode(&text.completion, false)?].concat(),
            false => self.tokenizer.encode_prompt(&(text.prompt.clone() + &text.completion))?,
        };
        if text.eos {
            let end = self.tokenizer.end().ok_or_else(|| {
                Error::input("the tokenizer has no end of text, so none can be scored")
                    .with_hint("score without it")
            })?;
            tokens.push(end);
        }
        Ok(Tokens { from: from.max(1).min(tokens.len()), tokens })
    }
}

impl LanguageModel for Engine {
    fn identity(&self) -> Arc<str> {
        Arc::clone(&self.inner.identity)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            json_schema: false,
            constrains: Vocabulary::can_be_made(&self.inner.tokenizer).is_ok()
                && Vocabulary::has_pipe(&self.inner.tokenizer),
            messages: self.inner.template.is_some(),
            journaled: true,
            scores: true,
        }
    }

    fn notes(&self) -> &[String] {
        &self.inner.notes
    }

    fn open(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self.stream()))
    }

    /// As [`Engine::score`]; texts that are too long for an encoder are refused, each for itself, and those whose completion
    /// has no token of its own: nothing of them would be scored, which is as likely as can be.
    fn score(&self, texts: &[Scored]) -> Result<Vec<Scoring>> {
        if !self.has_encoder() {
            let scores = Self::score(self, texts)?.into_iter().zip(texts);
            let scoring = |(score, text): (Score, &Scored)| match score.tokens {
                0 if !text.completion.is_empty() => Scoring::Refused(NO_TOKEN.to_owned()),
                _ => Scoring::Score(score),
            };
            return Ok(scores.map(scoring).collect());
        }
        let refused: Vec<Option<String>> = texts
            .iter()
            .map(|text| Ok(self.inner.beyond_window(&self.inner.tokens(text)?)))
            .collect::<Result<_>>()?;
        let fitting =
            texts.iter().zip(&refused).filter(|(_, why)| why.is_none()).map(|(text, _)| text.clone());
        let mut scores = Self::score(self, &fitting.collect::<Vec<_>>())?.into_iter();
        let scoring = |why: Option<String>| match why {
            Some(why) => Some(Scoring::Refused(why)),
            None => scores.next().map(Scoring::Score),
        };
        Ok(refused.into_iter().filter_map(scoring).collect())
    }

    fn prefill(&self) -> Option<Prefill> {
        Some(self.inner.memory().prefill)
    }
}

/// Why a completion isn't scored that the tokenizer joins with its prompt.
const NO_TOKEN: &str = "the tokenizer joins the completion with the prompt's last token, so that nothing is left to score: \
                        begin it with a blank, or have both encoded apart";

/// The chat template that lies beside the weights.
fn chat_template(
    path: &Path,
    checkpoint: &Checkpoint,
    tokenizer: &Tokenizer,
) -> Result<Option<ChatTemplate>> {
    if path.is_dir() {
        return ChatTemplate::of_folder(path);
    }
    let Some(source) = checkpoint.file("chat_template.jinja")? else { return Ok(None) };
    let token = |name: &str, id: Option<u32>| {
        id.and_then(|id| tokenizer.token_of(id)).map(|token| (name.to_owned(), token))
    };
    let special: SpecialTokens = [
        token("bos_token", tokenizer.bos()),
        token("eos_token", tokenizer.end()),
        token("pad_token", tokenizer.pad()),
    ]
    .into_iter()
    .flatten()
    .collect();
    ChatTemplate::parse(&String::from_utf8_lossy(&source), special).map(Some)
}

/// The most tokens of prompt and completion together, with so many blocks.
fn window(model: &Model, blocks: usize) -> usize {
    model.window().min((blocks - apart(model)) * BLOCK)
}

/// Blocks that a sequence may need beside those of its tokens: an encoder's prompt and the completion have their own,
/// each of which may end within one, and the completion begins with a token that nobody counts.
fn apart(model: &Model) -> usize {
    if matches!(model, Model::T5(_)) { 2 } else { 0 }
}

/// How many cache blocks are made.
///
/// # Errors
/// When weights and the cache of one sequence don't fit into the memory there is.
fn cache_blocks(model: &Model, weights: usize, settings: &Settings) -> Result<usize> {
    let block = BLOCK * model.cache_bytes_per_token();
    let one = model.window().div_ceil(BLOCK) + apart(model);
    let many = settings.sequences.max(1) * TOKENS_PER_SEQUENCE.min(model.window()).div_ceil(BLOCK);
    let wanted = one.max(many);
    if let Some(bytes) = settings.cache_bytes {
        return Ok((bytes / block).clamp(1 + apart(model), wanted));
    }
    let Some(available) = settings.weights.available else { return Ok(wanted) };
    // A window of a token more than the shortest prompt is of no use; this many are.
    let least = one.min(TOKENS_PER_SEQUENCE / BLOCK);
    let needed = weights + least * block;
    if needed > available {
        return Err(Error::model(format!(
            "the model needs {} of memory ({} for its weights, {} for its cache), and {} are available",
            human(needed),
            human(weights),
            human(least * block),
            human(available)
        ))
        .with_hint("`--quantize q4_k` takes the least memory; otherwise a smaller model, or --endpoint"));
    }
    Ok(((available - weights) / 2 / block).clamp(least, wanted))
}

/// An error of the arithmetic, which is a mistake of this crate.
fn failed(error: candle_core::Error) -> Error {
    Error::model("a forward pass failed").because(error)
}
