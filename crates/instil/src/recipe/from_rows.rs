//! The settings of `apply` and `remix`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Verb;
use crate::draw::Splits;
use crate::error::Result;

/// The settings of `apply` and `remix`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FromRows {
    /// The verb: [`Verb::Apply`] or [`Verb::Remix`].
    pub verb: Verb,
    /// Files of rows, folders, globs, `-`, or adapters (`.toml`) that say how raw files become rows.
    pub input: Vec<String>,
    /// The folder that the paths of adapters begin from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// A dataset folder, or a file by its ending.
    pub output: String,
    /// Template files, or folders of them.
    pub templates: Vec<String>,
    /// The key of the dataset that files of rows belong to, such as `super_glue/boolq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// `one`: a random template for each row; `all` of them; or a template's name.
    pub template: String,
    /// Exactly the published rules, their defects included.
    pub reference: bool,
    /// The most rows taken of each dataset, drawn without replacement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
    /// How often each row of a dataset is taken, by key; 1 where nothing is said, 0.5 takes half of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weight: BTreeMap<String, f64>,
    /// Whether the rows are written in a random order.
    pub shuffle: bool,
    /// The splits besides `train` and the share of the passages that each gets: `validation=5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Every random choice comes from it. 63 bits, as TOML's numbers go.
    pub seed: u64,
    /// The most rows read of each input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The shape of the rows; none is the verb's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Rows of a shard.
    pub shard_rows: usize,
    /// The licence for the dataset's card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The share of renderings not kept, above which the exit code is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// Whether the run folder beside a single file stays.
    pub keep_run: bool,
    /// Threads that render; 0 means one a processor.
    pub threads: usize,
}

impl FromRows {
    /// The splits of its output.
    ///
    /// # Errors
    /// When they are not written as splits are.
    pub fn splits(&self) -> Result<Splits> {
        self.split.as_deref().map_or_else(|| Ok(Splits::default()), Splits::parse)
    }
}

impl Default for FromRows {
    fn default() -> Self {
        Self {
            verb: Verb::Apply,
            input: Vec::new(),
            data: None,
            output: String::new(),
            templates: Vec::new(),
            dataset: None,
            template: "one".to_owned(),
            reference: false,
            cap: None,
            weight: BTreeMap::new(),
            shuffle: false,
            split: None,
            seed: 0,
            limit: None,
            format: None,
            shard_rows: crate::sink::SHARD_ROWS,
            license: None,
            max_drop: None,
            keep_run: false,
            threads: 0,
        }
    }
}
