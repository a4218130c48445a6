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
            seed: 0,
            limit: None,
            report: None,
            max_drop: None,
            keep_run: false,
            threads: 0,
        }
    }
}
