//! The settings of `generate`.

use serde::{Deserialize, Serialize};

use super::Verb;
use crate::error::{Error, Result};
use crate::lm::Sampling;
use crate::task::TaskKind;

/// The settings of `generate`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generate {
    /// The verb.
    pub verb: Verb,
    /// Files, folders, globs or `-`.
    pub input: Vec<String>,
    /// A dataset folder, or a file by its ending.
    pub output: String,
    /// Kinds of task, by short or full name.
    pub task: Vec<String>,
    /// `rules`, or the name that the endpoint knows the model by.
    pub model: String,
    /// A low-rank adapter for a local model: a folder in the layout of Python's `peft`, or an id of the Hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The base URL of an OpenAI-compatible server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `auto`, `completions` or `chat`.
    pub api: String,
    /// A recording that answers in the model's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// `bonito` or `instruct`.
    pub prompt: String,
    /// Exactly what the published library gives.
    pub reference: bool,
    /// Whether the model can only write what the parse and the checks of the form take.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub constrain: bool,
    /// The labels of topic classification and sentiment.
    pub labels: Vec<String>,
    /// The column that holds the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// The column that holds the document's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// Only this document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The most characters of a passage, where tokens don't say.
    pub chunk_chars: usize,
    /// The most tokens of a passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_tokens: Option<usize>,
    /// The `tokenizer.json` that counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// The model's window: the tokens of prompt and completion together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Samples of each prompt.
    pub samples: u32,
    /// 0 is greedy.
    pub temperature: f64,
    /// The share of probability that the nucleus keeps.
    pub top_p: f64,
    /// The most tokens of one completion.
    pub max_tokens: u32,
    /// How many of the likeliest tokens are candidates; 0 means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Candidates are at least this share of the likeliest one's probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// By what logits of tokens that were there already are divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Taken from the logits of tokens that the completion holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// The same, once for each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Strings before which a completion ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// How the weights of a local model are stored in memory: `auto`, `none`, `q8_0`, `q4_k` or `nf4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantize: Option<String>,
    /// Every random choice comes from it. 63 bits, as TOML's numbers go.
    pub seed: u64,
    /// The most documents read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The shape of the rows.
    pub format: String,
    /// Rows of a shard.
    pub shard_rows: usize,
    /// The licence for the dataset's card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The share of samples not kept, above which the exit code is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// A journal shared with other runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// Whether the output is written although calls failed for good.
    pub allow_errors: bool,
    /// Whether the run folder beside a single file stays.
    pub keep_run: bool,
    /// Calls to the endpoint at once.
    pub concurrency: usize,
    /// Seconds that one call may take.
    pub timeout: u64,
    /// Threads of `rules`; 0 means one a processor.
    pub threads: usize,
}

impl Default for Generate {
    fn default() -> Self {
        let Sampling { temperature, top_p, max_tokens, .. } = Sampling::default();
        Self {
            verb: Verb::Generate,
            input: Vec::new(),
            output: String::new(),
            task: ["exqa", "ynqa", "nli", "summarization"].map(str::to_owned).to_vec(),
            model: "rules".to_owned(),
            adapter: None,
            endpoint: None,
            api: "auto".to_owned(),
            replay: None,
            prompt: "bonito".to_owned(),
            reference: false,
            constrain: false,
            labels: Vec::new(),
            text_column: None,
            id_column: None,
            document: None,
            chunk_chars: 2000,
            chunk_tokens: None,
            tokenizer: None,
            window: None,
            samples: 1,
            temperature,
            top_p,
            max_tokens,
            top_k: None,
            min_p: None,
            repetition_penalty: None,
            presence_penalty: None,
            frequency_penalty: None,
            stop: Vec::new(),
            quantize: None,
            seed: 0,
            limit: None,
            format: "messages".to_owned(),
            shard_rows: 500_000,
            license: None,
            max_drop: None,
            journal: None,
            allow_errors: false,
            keep_run: false,
            concurrency: 32,
            timeout: 600,
            threads: 0,
        }
    }
}

impl Generate {
    /// The kinds of task, in the order asked for, none twice.
    ///
    /// # Errors
    /// When a name is unknown, or there is none.
    pub fn kinds(&self) -> Result<Vec<TaskKind>> {
        let mut kinds = Vec::new();
        for name in &self.task {
            let kind = TaskKind::parse(name)?;
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            return Err(
                Error::usage("no task kind is asked for").with_hint("`instil list tasks` shows them all")
            );
        }
        Ok(kinds)
    }

    /// How tokens are drawn.
    ///
    /// # Errors
    /// When a number is out of its range.
    pub fn sampling(&self) -> Result<Sampling> {
        let default = Sampling::default();
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens,
            top_k: self.top_k.unwrap_or(default.top_k),
            min_p: self.min_p.unwrap_or(default.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(default.repetition_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(default.presence_penalty),
            frequency_penalty: self.frequency_penalty.unwrap_or(default.frequency_penalty),
            stop: self.stop.clone(),
        }
        .checked()
    }
}
