//! The settings of `cook`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Verb;

/// The settings of `cook`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cook {
    /// The verb: [`Verb::Cook`].
    pub verb: Verb,
    /// Templates, each with how often it comes where that isn't once: `["doc_qa=3", "mcqa"]`.
    pub template: Vec<String>,
    /// A dataset folder, or a file by its ending.
    pub output: String,
    /// Rows of the split `train`.
    pub rows: u64,
    /// Rows of the split `validation`.
    #[serde(skip_serializing_if = "is_zero")]
    pub validation_rows: u64,
    /// Rows of the split `test`.
    #[serde(skip_serializing_if = "is_zero")]
    pub test_rows: u64,
    /// What the templates are set to, by `TEMPLATE.KNOB`: a number, or a range such as `200..400`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// What they are set to at the last row, where the settings change from row to row.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub until: BTreeMap<String, String>,
    /// Files of templates of one's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<String>,
    /// The words that are drawn: `synthetic`, `wordlist`, `safe` or `all`. None means `safe` with a tokenizer, `wordlist`
    /// with words, else `synthetic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How many words a synthetic pool has.
    pub pool_words: u32,
    /// A file with a word on each line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// A `tokenizer.json`, whose tokens are the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// How samples are worded: `bare`, `instruct`, `harness` or `chat`. None means `chat` for messages, else `instruct`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wording: Option<String>,
    /// `prompt-completion`, `bonito`, `messages`, `text` or `ids`.
    pub format: String,
    /// Decides every random choice.
    pub seed: u64,
    /// Whether every answer is derived anew from the text.
    pub verify: bool,
    /// Rows of one shard of a dataset folder.
    pub shard_rows: usize,
    /// Whether the run folder beside a single file stays.
    pub keep_run: bool,
    /// Threads that make samples; 0 means one a processor.
    pub threads: usize,
}

impl Default for Cook {
    fn default() -> Self {
        Self {
            verb: Verb::Cook,
            template: Vec::new(),
            output: String::new(),
            rows: 1000,
            validation_rows: 0,
            test_rows: 0,
            set: BTreeMap::new(),
            until: BTreeMap::new(),
            script: Vec::new(),
            pool: None,
            pool_words: crate::cook::SYNTHETIC_WORDS,
            words: None,
            tokenizer: None,
            wording: None,
            format: "prompt-completion".to_owned(),
            seed: 0,
            verify: false,
            shard_rows: crate::sink::SHARD_ROWS,
            keep_run: false,
            threads: 0,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
