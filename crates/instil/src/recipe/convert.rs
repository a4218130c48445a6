//! The settings of `convert`.

use serde::{Deserialize, Serialize};

use super::Verb;

/// The settings of `convert`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Convert {
    /// The verb: [`Verb::Convert`].
    pub verb: Verb,
    /// Files of rows, folders, globs or `-`.
    pub input: Vec<String>,
    /// A file by its ending.
    pub output: String,
    /// The shape of the rows; none means that each file's is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The shape that they get.
    pub to: String,
    /// A model's folder or a file of Jinja that conversations become texts by; `to` is `text` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// Whether a part that the new shape can't carry ends the run.
    pub strict: bool,
    /// The most rows read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The share of rows not kept, above which the exit code is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// Whether the run folder beside the file stays.
    pub keep_run: bool,
    /// Threads that convert; 0 means one a processor.
    pub threads: usize,
}

impl Default for Convert {
    fn default() -> Self {
        Self {
            verb: Verb::Convert,
            input: Vec::new(),
            output: String::new(),
            from: None,
            to: String::new(),
            chat_template: None,
            strict: false,
            limit: None,
            max_drop: None,
            keep_run: false,
            threads: 0,
        }
    }
}
