//! The settings of `mix`.

use serde::{Deserialize, Serialize};

use super::Verb;
use crate::sink::SHARD_ROWS;

/// The settings of `mix`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// The verb: [`Verb::Mix`].
    pub verb: Verb,
    /// The sources, each a file of rows, a dataset folder or a glob; `NAME=PATH` calls it `NAME`.
    pub input: Vec<String>,
    /// A dataset folder, or a file by its ending.
    pub output: String,
    /// A file that says how proportions are learnt ([`Learn`](crate::mix::learn::Learn)), and everything else of the mix: such a
    /// step names no more than its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learn: Option<String>,
    /// How many rows the mix has; none means as many as can be taken without one twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How many tokens it has instead; shares are of tokens then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The `tokenizer.json` that counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// How much there is of each source beside the others: a number each, in their order, or `NAME=NUMBER`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<String>,
    /// Shares go by the sources' sizes to the power of this. Without it and weights all are alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Whether a source that is too small is taken again and again.
    pub repeat: bool,
    /// The shape of the sources' rows; none means that each file's is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The shape of the mix's rows; none means the sources' own, if they have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Decides every random choice.
    pub seed: u64,
    /// Rows of one shard of a dataset folder.
    pub shard_rows: usize,
    /// The licence for the dataset's card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The share of rows not kept, above which the exit code is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// Whether the run folder beside a single file stays.
    pub keep_run: bool,
    /// Threads that read and convert; 0 means one a processor.
    pub threads: usize,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            verb: Verb::Mix,
            input: Vec::new(),
            output: String::new(),
            learn: None,
            rows: None,
            tokens: None,
            tokenizer: None,
            weights: Vec::new(),
            alpha: None,
            repeat: false,
            from: None,
            to: None,
            seed: 0,
            shard_rows: SHARD_ROWS,
            license: None,
            max_drop: None,
            keep_run: false,
            threads: 0,
        }
    }
}
