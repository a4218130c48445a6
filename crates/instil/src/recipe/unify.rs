//! The settings of `unify`.

use serde::{Deserialize, Serialize};

use super::Verb;

/// The settings of `unify`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unify {
    /// The verb: [`Verb::Unify`].
    pub verb: Verb,
    /// Files of rows, folders or globs.
    pub input: Vec<String>,
    /// A file by its ending.
    pub output: String,
    /// `task`, `instance` or `keyword`; none means that of the style, or else `task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Built-in styles by name, files of styles, or one dataset whose style is taken over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub style: Vec<String>,
    /// Whether each row is given one of several styles, drawn by their weights.
    pub diversify: bool,
    /// The shape of the rows; none means that each file's is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The shape that they get; none means `super-ni-rows` without a style, else `prompt-completion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The column that names a row's task; none means `task` or `task_name`, or else its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_column: Option<String>,
    /// Files of templates, or folders of them, that rows may say they were rendered with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<String>,
    /// A file of definitions: an object on each line, with `task` and `definition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definitions: Option<String>,
    /// Whether rows that rules can't bring to the style are written as they are, and counted; not those whose definition
    /// stands in a column of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_rest: bool,
    /// A file of definitions that are paired with the templates of `templates`, instead of rows being read: the output is a
    /// folder of pairs and of rows to train a model with that writes definitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub make_pairs: Option<String>,
    /// Who writes the definitions that rules can't: a folder with weights, a `.gguf` file, an id of the Hub, or what the endpoint calls
    /// its model. What was written becomes the file `definitions`, with which the rows are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A low-rank adapter for a local model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The base URL of an OpenAI-compatible server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A file of recorded completions that answers instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// How a local model's weights lie in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantize: Option<String>,
    /// Pairs of instructions in both styles that show how it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<String>,
    /// How many definitions each task has to choose from; none means 32 where a model judges, else 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u32>,
    /// The model that chooses; none means the one that writes, where it runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scorer: Option<String>,
    /// Whether the choice is made as the authors' code does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<bool>,
    /// What a million tokens cost, in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// The most calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_calls: Option<u64>,
    /// The most tokens in and out together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_tokens: Option<u64>,
    /// The most money, by `prices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap_money: Option<f64>,
    /// Calls to the endpoint at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Seconds that one call may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Decides every random choice.
    pub seed: u64,
    /// The most rows read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// A file that gets an object of each task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// The share of rows not kept, above which the exit code is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// Whether the run folder beside the file stays.
    pub keep_run: bool,
    /// Threads that work; 0 means one a processor.
    pub threads: usize,
}

impl Default for Unify {
    fn default() -> Self {
        Self {
            verb: Verb::Unify,
            input: Vec::new(),
            output: String::new(),
            level: None,
            style: Vec::new(),
            diversify: false,
            from: None,
            to: None,
            task_column: None,
            templates: Vec::new(),
            definitions: None,
            keep_rest: false,
            make_pairs: None,
            model: None,
            adapter: None,
            endpoint: None,
            replay: None,
            quantize: None,
            seeds: None,
            candidates: None,
            scorer: None,
            reference: None,
            prices: None,
            cap_calls: None,
            cap_tokens: None,
            cap_money: None,
            concurrency: None,
            timeout: None,
            seed: 0,
            limit: None,
            report: None,
            max_drop: None,
            keep_run: false,
            threads: 0,
        }
    }
}
