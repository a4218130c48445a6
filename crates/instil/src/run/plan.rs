//! A recipe settled: names looked up, inputs found, documents cut so that every prompt fits.

use std::path::Path;
use std::sync::Arc;

use crate::chunk::{self, Chunker, Limit};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::lm::LanguageModel;
use crate::pipeline::{Road, Window};
use crate::prompt::Style;
use crate::recipe::Generate;
use crate::record::{Document, Passage};
use crate::reject::Reject;
use crate::sink::Layout;
use crate::source::{self, Documents, SourceFile};

use super::rows_plan::{not_ctga, without_own_output};

/// Tokens that joining passage and prompt may add to the sum of their own counts.
const SEAM_TOKENS: usize = 8;

/// A recipe whose names are looked up and whose inputs are found.
pub struct Plan {
    /// The files, in the order in which they are read.
    pub files: Vec<SourceFile>,
    /// What is made of each document.
    pub road: Road,
    /// The shape of the rows.
    pub format: Format,
    /// Where they go.
    pub layout: Layout,
}

impl Plan {
    /// Settles a recipe. Nothing is written and no model is asked.
    ///
    /// # Errors
    /// When an input is missing, a name unknown, or a combination of settings has no meaning.
    pub fn of(recipe: &Generate) -> Result<Self> {
        Self::with_window(recipe, None)
    }

    /// [`Plan::of`] for a model whose window is known: it holds where the recipe names none.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub fn with_window(recipe: &Generate, own: Option<Window>) -> Result<Self> {
        if recipe.input.is_empty() {
            return Err(Error::usage("no input is named")
                .with_hint("name files, folders or `-`, as in `instil generate notes/ -o out`"));
        }
        let kinds = recipe.kinds()?;
        let format = Format::parse(&recipe.format)?;
        if format == Format::Ctga {
            return Err(not_ctga());
        }
        let layout = Layout::of(Path::new(&recipe.output))?;
        let style = Style::parse(&recipe.prompt)?;
        let sampling = recipe.sampling()?;
        if recipe.samples == 0 || recipe.shard_rows == 0 {
            let what = if recipe.samples == 0 { "samples" } else { "shard_rows" };
            return Err(Error::usage(format!("{what} must be at least 1")));
        }
        if recipe.max_drop.is_some_and(|most| !(0.0..=1.0).contains(&most)) {
            return Err(Error::usage("max_drop must be a share from 0 to 1"));
        }
        if recipe.reference && style == Style::Instruct {
            return Err(Error::usage("the published library has no `instruct` prompts")
                .with_hint("leave out --reference or --prompt instruct"));
        }
        if recipe.reference && recipe.constrain {
            return Err(Error::usage("the published library constrains nothing")
                .with_hint("leave out --reference or --constrain"));
        }
        if !recipe.labels.is_empty() && !kinds.iter().any(|kind| crate::prompt::takes_labels(*kind)) {
            return Err(Error::usage("labels are given, but no task kind that takes them")
                .with_hint("add `--task topic_class` or `--task sentiment`"));
        }
        let tokenizer = match &recipe.tokenizer {
            Some(path) => Some(Arc::new(chunk::load_tokenizer(Path::new(path))?)),
            None => own.as_ref().map(|own| Arc::clone(&own.tokenizer)),
        };
        let window = match (recipe.window, &tokenizer) {
            (Some(tokens), Some(tokenizer)) => Some(Window { tokens, tokenizer: Arc::clone(tokenizer) }),
            (Some(_), None) => return Err(needs_tokenizer("--window")),
            (None, _) => own,
        };
        let mut road = Road {
            kinds,
            labels: recipe.labels.clone(),
            style,
            reference: recipe.reference,
            constrain: recipe.constrain,
            chunker: Chunker::whole(),
            sampling,
            samples: recipe.samples,
            seed: recipe.seed,
            window,
        };
        road.chunker = chunker(recipe, &road, tokenizer)?;
        let mut files = source::resolve(&recipe.input)?;
        without_own_output(&mut files, &layout)?;
        Ok(Self { files, road, format, layout })
    }

    /// Begins to read.
    ///
    /// # Errors
    /// When the first table has no such column, or the first file can't be opened.
    pub fn documents(&self, recipe: &Generate) -> Result<Documents> {
        let options =
            source::Options { text_column: recipe.text_column.clone(), id_column: recipe.id_column.clone() };
        source::open(self.files.clone(), &options)
    }

    /// What the files and the model were when a run began; none for standard input, which can't be looked at twice.
    pub(super) fn fingerprint(&self, model: &dyn LanguageModel) -> Option<String> {
        let mut parts = vec![model.identity().to_string()];
        for file in &self.files {
            let modified = file.modified?;
            parts.push(format!("{} {} {modified}", file.name, file.bytes));
        }
        Some(crate::rng::hex_of(&parts.iter().map(String::as_str).collect::<Vec<_>>(), 32))
    }
}

fn needs_tokenizer(flag: &str) -> Error {
    Error::usage(format!("{flag} counts tokens, and no tokenizer is named"))
        .with_hint("add `--tokenizer PATH/tokenizer.json`, the model's own")
}

/// The chunker of the recipe: never so long a passage that the prompt's tail, or a whole completion,
/// would leave the window (the published code cuts `<|task|>` away there, spec/bonito.md 1.5).
fn chunker(recipe: &Generate, road: &Road, tokenizer: Option<Arc<tokenizers::Tokenizer>>) -> Result<Chunker> {
    if recipe.reference {
        return Ok(Chunker::whole());
    }
    let room = match &road.window {
        None => usize::MAX,
        Some(window) => {
            let nothing = Passage {
                document: "".into(),
                origin: crate::record::Origin { source: "".into(), row: None },
                span: 0..0,
                text: String::new(),
            };
            let frame = road
                .kinds
                .iter()
                .map(|kind| {
                    let prompt = road.request(0, *kind, &nothing).input.text();
                    chunk::count_tokens(&window.tokenizer, &prompt)
                })
                .max()
                .unwrap_or(0);
            let taken = frame + SEAM_TOKENS + recipe.max_tokens as usize;
            window.tokens.checked_sub(taken).filter(|room| *room > 0).ok_or_else(|| {
                Error::usage(format!(
                    "a window of {} tokens has no room for a passage: the prompt around it and the completion take {taken}",
                    window.tokens
                ))
                .with_hint("raise --window or lower --max-tokens")
            })?
        }
    };
    match (recipe.chunk_tokens, tokenizer) {
        (Some(0), _) => Err(Error::usage("chunk_tokens must be at least 1")),
        (Some(_), None) => Err(needs_tokenizer("--chunk-tokens")),
        (Some(max), Some(tokenizer)) => Ok(Chunker::new(Limit::Tokens { max: max.min(room), tokenizer })),
        (None, Some(tokenizer)) if room < usize::MAX => {
            // A token is rarely longer than four characters of prose.
            let max = room.min(recipe.chunk_chars.div_ceil(4));
            Ok(Chunker::new(Limit::Tokens { max, tokenizer }))
        }
        _ if recipe.chunk_chars == 0 => Err(Error::usage("chunk_chars must be at least 1")),
        _ => Ok(Chunker::new(Limit::Chars(recipe.chunk_chars))),
    }
}

impl Generate {
    /// Those of the documents that the recipe asks for: the one that it names, or the first ones up to
    /// its limit, with the rejects between them.
    pub(super) fn choose(
        &self,
        mut documents: Documents,
    ) -> impl Iterator<Item = Result<Document, Reject>> + use<> {
        let (id, limit) = (self.document.clone(), self.limit.unwrap_or(u64::MAX));
        let mut taken = 0;
        std::iter::from_fn(move || {
            while taken < limit {
                let read = documents.next()?;
                let is_asked_for = match (&id, &read) {
                    (Some(id), Ok(document)) => document.id == *id,
                    (Some(_), Err(_)) => false,
                    (None, _) => true,
                };
                if is_asked_for {
                    taken += u64::from(read.is_ok());
                    return Some(read);
                }
            }
            None
        })
    }
}
